"""Runs the console script in this process, in a place of its own."""

from pathlib import Path
from typing import NamedTuple

import pytest

from wattledger.cli import main


class Said(NamedTuple):
    """What a command said and how it ended."""

    status: int
    out: str
    err: str


class Front:
    """``front("doctor", "--json")``: exit status, standard output, standard error."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: str) -> Said:
        self._capture.readouterr()
        status = 0
        try:
            main(words)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
        return Said(status, *self._capture.readouterr())


def own_place(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """No settings, floors or file of this machine's user: an empty home, and an empty folder to stand in."""
    for name in ("WATTLEDGER_CONFIG", "WATTLEDGER_GRID_ZONE", "WATTLEDGER_FACILITY_PUE", "XDG_CONFIG_HOME", "XDG_STATE_HOME",
                 "AWS_REGION", "AWS_DEFAULT_REGION", "AZURE_REGION", "GOOGLE_CLOUD_REGION"):  # fmt: skip
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(folder))
    patch.setenv("COLUMNS", "80")
    patch.chdir(folder)


def is_one_line(text: str) -> bool:
    """The form of every complaint: one line that names the program."""
    return text.startswith("wattledger: ") and text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text
