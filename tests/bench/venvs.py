"""The tools that are measured, each in a Python of its own: ours as it lies here, the others fresh from the package index."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).with_name("inside.py")


@dataclass(frozen=True)
class Tool:
    """One meter: its name, what pip installs for it, and the Python that has it."""

    name: str
    python: Path
    version: str

    def argv(self, question: str, *args: str) -> list[str]:
        """The command that asks this tool one question of ``inside.py``."""
        return [str(self.python), str(INSIDE), self.name, question, *args]


def cache_dir() -> Path:
    """Where the peers' environments are kept between runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        (base / "wattledger-bench").mkdir(parents=True, exist_ok=True)
    except OSError:
        base = Path(tempfile.gettempdir())
        (base / "wattledger-bench").mkdir(exist_ok=True)
    return base / "wattledger-bench"


def ours() -> list[Tool]:
    """The checkout, and the plain reader that everyone is compared with."""
    here = Path(sys.executable)
    return [Tool("plain", here, "40 lines"), Tool("wattledger", here, _commit())]


def peers() -> list[Tool]:
    """CodeCarbon and Zeus, installed the first time they are asked for.  Neither needs torch."""
    return [_installed("codecarbon"), _installed("zeus")]


def _installed(name: str) -> Tool:
    home = cache_dir() / name
    python = home / "bin/python"
    if not (home / "ready").exists():
        print(f"installing {name} into {home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        # numpy is the load of the slow-down benchmark.
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--upgrade", name, "numpy"], check=True)
        (home / "ready").touch()
    ask = f"import importlib.metadata as m; print(m.version({name!r}))"
    done = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True)
    return Tool(name, python, done.stdout.strip())


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "not a checkout"


def environment() -> dict[str, str]:
    """What every tool is run with: our packages on the path, no agent, nothing learnt on another machine."""
    paths = [str(ROOT), str(ROOT / "agent"), str(ROOT / "exporters")]
    quiet = {"PYTHONWARNINGS": "ignore", "XDG_STATE_HOME": tempfile.mkdtemp(prefix="wattledger-bench-")}
    return {"PYTHONPATH": ":".join(paths), "PYTHONDONTWRITEBYTECODE": "", **quiet}
