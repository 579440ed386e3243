"""The simulated machine that every tool is measured on, and how one is asked."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.venvs import Tool, environment
from tests.rig.rig import Gpu, Rig, Zone


class SilentToolError(RuntimeError):
    """A tool that gave no answer; the table says why."""


def machine(gpus: Sequence[Gpu] = (), zones: Sequence[Zone] = ()) -> Rig:
    """A rig in a folder of its own, with the two things beside sensors that CodeCarbon looks for before it reads any."""
    rig = Rig(gpus=tuple(gpus), zones=tuple(zones)).write(Path(tempfile.mkdtemp(prefix="wattledger-bench-rig-")))
    control = rig.sysfs / "devices/virtual/powercap/intel-rapl"
    if zones and not (control / "subsystem").exists():
        (control / "subsystem").symlink_to("../../../../class/powercap")
    smi = rig.home / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\nexit 0\n")
    smi.chmod(0o755)
    return rig


def start(rig: Rig, argv: Sequence[str]) -> subprocess.Popen[str]:
    """Start a program on the rig, its output kept."""
    env = {**os.environ, **rig.env(), **environment(), "PATH": f"{rig.home / 'bin'}:{os.environ['PATH']}"}
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str], timeout_s: float) -> Any:
    """What it says, as JSON.  Raises ``SilentToolError`` with its last words."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise SilentToolError(f"no answer in {timeout_s:g} s") from None
    if process.returncode:
        raise SilentToolError((err.strip().splitlines() or ["no answer"])[-1])
    return json.loads(out.splitlines()[-1])


def ask(rig: Rig, tool: Tool, question: str, *args: str, timeout_s: float = 300) -> Any:
    """One question of ``inside.py`` to one tool."""
    return answer(start(rig, tool.argv(question, *args)), timeout_s)
