"""Slurm's commands as programs of the tests' own, and what they were asked: the real ones are asked in tests/slurm."""

import json
import os
import sys
from pathlib import Path

import pytest

# Answers as squeue, scontrol, sacctmgr and sacct do, from files in the folder that it lies in, and writes down what it was asked.
SLURM = """\
#!{python}
import json, sys
from pathlib import Path
here, name = Path(__file__).parent, Path(__file__).name
with (here / "asked").open("a") as file:
    file.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
answer = here / (name + ".out")
if not answer.exists():
    sys.exit((here / (name + ".err")).read_text() if (here / (name + ".err")).exists() else 0)
text = answer.read_text()
shape = next((word.partition("=")[2] for word in sys.argv if word.startswith("--format=") and "%A" in word), "")
if shape:
    job = json.loads(text)
    for sign, value in job.items():
        shape = shape.replace("%" + sign, value)
    text = shape + "\\n"
print(text, end="")
"""


def programs(patch: pytest.MonkeyPatch, folder: Path) -> Path:
    """squeue, scontrol, sacct and sacctmgr, before all others in PATH; their folder."""
    place = folder / "bin"
    place.mkdir()
    for name in ("squeue", "scontrol", "sacct", "sacctmgr"):
        (place / name).write_text(SLURM.format(python=sys.executable))
        (place / name).chmod(0o755)
    patch.setenv("PATH", str(place), prepend=os.pathsep)
    return place


def asked(slurm: Path, name: str) -> list[list[str]]:
    """The words of each call of a program."""
    rows = [json.loads(line) for line in (slurm / "asked").read_text().splitlines()] if (slurm / "asked").exists() else []
    return [row[1:] for row in rows if row[0] == name]
