"""``%%wattledger`` in a real IPython: the cell's value, its exceptions, its footprint and its curve."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.programs import python, rigged

from wattledger.integrations.jupyter import plot, sparkline

needs_ipython = pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="IPython is not installed")

BEGIN = """
import io, contextlib
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="nocolor")

def cell(text):
    with contextlib.redirect_stdout(io.StringIO()) as seen:
        done = shell.run_cell(text)
    return done, seen.getvalue()

cell("%load_ext wattledger.integrations.jupyter")
"""


def notebook(code: str, folder: Path) -> Any:
    done = python(BEGIN + code, rigged(folder, WATTLEDGER_GRID_ZONE="DE"), cwd=folder)
    assert done.status == 0, done.err
    return done.value


@needs_ipython
def test_a_cell_keeps_its_value_and_its_names(tmp_path: Path) -> None:
    found = notebook(r"""
done, seen = cell("%%wattledger --job 'my cell' --model m --zone FR\nimport time\nx = 41\ntime.sleep(0.4)\nx + 1")
footprint = shell.user_ns["wattledger_footprint"]
out([done.success, done.result, shell.user_ns["x"], seen, footprint.to_dict()])
""", tmp_path)
    success, value, x, seen, footprint = found
    assert (success, value, x) == (True, 42, 41)
    assert (footprint["job"], footprint["model"]) == ("my cell", "m")
    assert [f["zone"] for f in footprint["factors"] if f["kind"] == "grid"] == ["FR"]
    assert seen.startswith("my cell: ")
    assert "CO2e (FR" in seen
    assert "Out[" in seen


@needs_ipython
def test_a_cells_exception_is_shown_once_and_fails_the_cell(tmp_path: Path) -> None:
    found = notebook(r"""
done, seen = cell("%%wattledger\nimport time\ntime.sleep(0.3)\n1 / 0")
after, _ = cell("%%wattledger\ndef (:")
out([done.success, repr(done.error_in_exec), seen, str(shell.user_ns["wattledger_footprint"]), repr(after.error_in_exec)])
""", tmp_path)
    success, error, seen, footprint, syntax = found
    assert (success, error) == (False, "ZeroDivisionError('division by zero')")
    assert seen.count("ZeroDivisionError: division by zero") == 1
    assert "> 3 1 / 0" in seen
    assert "jupyter.py" not in seen  # the traceback is the cell's
    assert footprint.startswith("notebook: ")
    assert syntax.startswith("SyntaxError")


@needs_ipython
def test_a_statement_can_be_measured_too(tmp_path: Path) -> None:
    value, seen, footprint = notebook(r"""
done, seen = cell("y = %wattledger --job=one --no-plot sum([1, 2]) + len('--job')")
out([shell.user_ns["y"], seen, shell.user_ns["wattledger_footprint"].identity.job])
""", tmp_path)
    assert (value, footprint) == (8, "one")
    assert seen.startswith("one: ")


@needs_ipython
def test_a_wrong_word_is_one_line_and_runs_nothing(tmp_path: Path) -> None:
    lines, ran = notebook(r"""
said = []
shell.show_usage_error = lambda error: said.append(str(error))
cell("%%wattledger --wrong\nran = 1")
cell("%%wattledger --job x y\nran = 1")
out([said, "ran" in shell.user_ns])
""", tmp_path)
    assert lines == [
        f"%%wattledger: unknown {word!r}; there are --job NAME, --model NAME, --zone ZONE, --no-plot" for word in ("--wrong", "y")
    ]
    assert not ran


@needs_ipython
@pytest.mark.slow
def test_a_longer_cell_has_a_curve_of_its_power(tmp_path: Path) -> None:
    seen = notebook(r"""
done, seen = cell("%%wattledger\nimport time\ntime.sleep(3.2)")
out(seen)
""", tmp_path)
    curve = seen.splitlines()[-1]
    assert curve.split()[0].strip("▁▂▃▄▅▆▇█") == ""
    over = re.fullmatch(r"\S+ [\d.]+ to [\d.]+ m?W over ([\d.]+) s", curve)
    assert over is not None
    assert float(over[1]) >= 3.2


def test_a_line_of_bars_begins_at_nothing_and_ends_at_the_most() -> None:
    assert sparkline([(1.0, 0.0), (2.0, 50.0), (3.5, 100.0)]) == "▁▅█ 0 to 100 W over 3.5 s"
    assert sparkline([(1.0, 0.0), (2.0, 0.0)]) == "▁▁ 0 to 0 W over 2 s"


def test_a_curve_is_a_picture_where_there_is_matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    png = plot([(1.0, 30.0), (2.0, 200.0), (2.5, 90.0)])
    assert png is not None
    assert png.startswith(b"\x89PNG\r\n")
