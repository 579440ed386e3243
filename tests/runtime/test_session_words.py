"""What Python prints of a session when something breaks at a program's end holds none of the program's secrets."""

from pathlib import Path

from tests.runtime.programs import blind, python

PROGRAM = """
from wattledger.runtime.tracker import TRACKER
with track(job="x"):
    pass
out(repr(TRACKER._meter.session.stop))
"""


def test_a_session_is_shown_without_the_environment(tmp_path: Path) -> None:
    shown = python(PROGRAM, blind(tmp_path, OPENAI_API_KEY="sk-secret")).value
    assert "<Session on " in shown
    assert "sk-secret" not in shown
    assert "environ" not in shown
