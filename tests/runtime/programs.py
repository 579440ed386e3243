"""Runs programs and the command line as a user would: fresh processes, in an environment that nothing else has touched."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.rig.rig import Gpu, NoCompiler, Rig, build, load_constant, sockets

ROOT = Path(__file__).parents[2]
SOURCES = ("rapl", "hwmon", "nvml", "amdsmi", "jetson", "procfs", "portable", "estimate")
MAIN = "from wattledger.cli import main; main()"
RANKS = ("LOCAL_", "OMPI_", "MPI_", "MV2_", "SLURM_")

PRELUDE = """
import asyncio, gc, json, os, signal, subprocess, sys, threading, time, traceback
from wattledger import track

def burn(seconds):
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass

def final(run):
    # Past every register's refresh period, so that the footprint is final.
    for _ in range(100):
        found = run.footprint
        if run.final is not None or found.energy_j is None:
            return found
        time.sleep(0.02)
    raise SystemExit(f"never final: {found}")

def out(value):
    print(json.dumps(value), flush=True)
"""


class Done(NamedTuple):
    """How a program ended and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The JSON on the last line of its output."""
        assert self.status == 0, self.err
        return json.loads(self.out.splitlines()[-1])


def environ(folder: Path, **more: str) -> dict[str, str]:
    """An environment without our settings, ranks or state, with our sources on the path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WATTLEDGER_", *RANKS))}
    path = [str(ROOT / "agent"), str(ROOT / "exporters"), *filter(None, [kept.get("PYTHONPATH")])]
    homes = {name: str(folder / name) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME")}
    nobody = {"WATTLEDGER_AGENT_SOCKET": str(folder / "no-agent.sock")}  # this machine may have an agent of its own
    return {**kept, **homes, **nobody, "PYTHONPATH": os.pathsep.join(path), **more}


def blind(folder: Path, **more: str) -> dict[str, str]:
    """An environment in which no sensor is found, only a model of the CPU."""
    (folder / "sys").mkdir(exist_ok=True)
    return environ(folder, WATTLEDGER_PATHS_SYSFS=str(folder / "sys"), WATTLEDGER_SOURCES_NVML_ENABLED="false", **more)


def rigged(folder: Path, rig: Rig | None = None, **more: str) -> dict[str, str]:
    """An environment that sees a simulated machine (by default one 200 W GPU, one 60 W socket with 8 W of memory)."""
    compiler()
    rig = rig or Rig(gpus=(Gpu(load_constant(200)),), zones=sockets(1, package=load_constant(60), dram=load_constant(8)))
    return environ(folder, **{"WATTLEDGER_FACILITY_REST": "off", **rig.write(folder / "rig").env(), **more})


def compiler() -> None:
    """Skip where the rig cannot be built."""
    try:
        build()
    except NoCompiler as reason:
        pytest.skip(str(reason))


def run(argv: Sequence[str], env: Mapping[str, str], *, timeout_s: float = 60, **more: Any) -> Done:
    """Run to the end; a program that hangs fails its test."""
    more = {"stdin": subprocess.DEVNULL, **more}
    got = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=timeout_s, check=False, **more)
    return Done(got.returncode, got.stdout, got.stderr)


def python(code: str, env: Mapping[str, str], **more: Any) -> Done:
    """A program that begins with the prelude."""
    return run([sys.executable, "-c", PRELUDE + code], env, **more)


def command(*words: str) -> list[str]:
    """``wattledger`` and its words."""
    return [sys.executable, "-c", MAIN, *words]


def wattledger(env: Mapping[str, str], *words: str, **more: Any) -> Done:
    """The command line, in a folder without a configuration file."""
    return run(command(*words), env, **more)
