"""A fresh Python that opens the nvml source on a simulated machine and says what it was told."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.rig.rig import Gpu, NoCompiler, Rig

PRELUDE = """
import json, os, sys, time
from wattledger.core.model import Instant
from wattledger.core.ports import Host, SourceFailed, SourceGone
from wattledger.sources import nvml

def now():
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())

class Seconds:
    # Each full read is a second after the last, whatever the real clock says.
    at = 0
    def __call__(self):
        return Instant(self.at * 10**9, self.at * 10**9)
    def next(self):
        self.at += 1
        return self

def plain(value):
    return value._asdict() if hasattr(value, "_asdict") else value

def said(samples):
    told = []
    for sample in samples:
        one = {key: plain(value) for key, value in sample._asdict().items()}
        if "device" in one:
            one["device_id"] = one["device"]["id"]
        told.append({"type": type(sample).__name__, **one})
    return told

def out(value):
    print(json.dumps(value))

def runs(*lines):
    # Who computes from now on, as (GPU, pid, SM percent, GPU instance?, "ended"?): the rig reads this at each process query.
    path = os.path.join(os.path.dirname(os.environ["WATTLEDGER_RIG"]), "control.txt")
    with open(path, "w") as control:
        for gpu, pid, percent, *more in lines:
            instance = next((word for word in more if word != "ended"), 0)
            control.write(f"{gpu} {pid} {percent} 0 1 {instance} 0 {int('ended' in more)}\\n")

def begun_as(place):
    # The source, on a machine whose time begins now: a fault at half a second comes well after the opening.
    import pynvml
    import wattledger.sources.nvml.source
    path = os.environ["WATTLEDGER_RIG"]
    with open(path) as scenario:
        lines = scenario.read().splitlines()
    lines[0] = f"epoch_ns {now().mono_ns}"
    with open(path, "w") as scenario:
        scenario.write("\\n".join(lines) + "\\n")
    return nvml.open(place)

def begun():
    return begun_as(host())

def fetch(request):
    import urllib.request
    try:
        with urllib.request.urlopen(request.url, timeout=request.timeout_s) as reply:
            return reply.read(request.limit_bytes)
    except OSError as error:
        raise SourceFailed(f"{request.url}: {error}") from None

def host(roots=(1,), pids_match=True, procfs="/proc", **options):
    return Host("/sys", procfs, os.environ, roots, pids_match, options, fetch)
"""

Told = list[dict[str, Any]]


def python(code: str, rig: Rig | None = None, env: Mapping[str, str] | None = None) -> Any:
    """Run it, on a rig or without one; gives the JSON that it prints."""
    path = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **(env or {})}
    hidden = {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"} - path.keys()
    forget = f"import os\nfor name in {sorted(hidden)!r}: os.environ.pop(name, None)\n"
    env = {**os.environ, **(rig.env() if rig is not None else {}), **path}
    argv = [sys.executable, "-c", forget + PRELUDE + code]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def machine(home: Path, *gpus: Gpu) -> Rig:
    """A written rig; skips where it cannot be built."""
    try:
        rig = Rig(gpus=gpus).write(home / "rig")
        rig.env()
    except NoCompiler as reason:
        pytest.skip(str(reason))
    return rig


def of(told: Told, kind: str, device_id: str | None = None) -> Told:
    """The samples of one type, and of one device."""
    return [s for s in told if s["type"] == kind and device_id in (None, s.get("device_id"))]
