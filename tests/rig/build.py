"""Compiles the two simulated libraries, once per content of their sources, into a cache outside the repository."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


class NoCompiler(RuntimeError):
    """There is no C compiler here, so there is no rig; a test skips with this as its reason."""


@dataclass(frozen=True)
class Paths:
    """What ``build`` made: the folder for LD_LIBRARY_PATH with its NVML, and the library for LD_PRELOAD."""

    lib_dir: Path
    nvml: Path
    shim: Path


@cache
def build() -> Paths:
    """Compile both libraries once per content of their sources; safe beside other processes doing the same."""
    sources = sorted(p for p in HERE.iterdir() if p.suffix in {".c", ".h"} or p.name == "build.py")
    digest = hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in sources)).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or tempfile.gettempdir())
    home = base / f"wattledger-rig-{os.getuid()}-{digest}"
    paths = Paths(home, home / "libnvidia-ml.so.1", home / "librig.so")
    if home.is_dir():
        return paths
    base.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=base, prefix="wattledger-rig-"))
    compile_into(fresh / paths.nvml.name, "nvml", "-Wl,-soname,libnvidia-ml.so.1")
    compile_into(fresh / paths.shim.name, "shim", "-ldl")
    try:
        fresh.rename(home)
    except OSError:  # another worker was first; its libraries are the same
        shutil.rmtree(fresh)
    return paths


def compile_into(target: Path, prefix: str, *flags: str) -> None:
    """One shared library from scenario.c and the C files whose names begin with ``prefix``."""
    cc = shutil.which(os.environ.get("CC", "cc"))
    if cc is None:
        raise NoCompiler("tests/rig: no C compiler (cc) on the PATH; install gcc or clang, or set CC")
    parts = [str(p) for p in (HERE / "scenario.c", *sorted(HERE.glob(f"{prefix}*.c")))]
    base = [cc, "-std=gnu11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]
    done = subprocess.run([*base, "-o", str(target), *parts, *flags], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"tests/rig: {target.name} does not compile:\n{done.stderr}")
