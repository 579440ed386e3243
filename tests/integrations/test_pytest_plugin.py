"""``pytest --energy``: a table of tests, budgets that only a certain excess breaks, and nothing without the word."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.runtime.programs import Done, blind, run

pytestmark = pytest.mark.slow  # each runs suites of its own

TESTS = """
import sys, time
import pytest

def burn(cpu_s):
    end = time.process_time() + cpu_s
    while time.process_time() < end:
        pass

def test_long():
    burn(0.5)

def test_short():
    burn(0.1)

@pytest.mark.energy(budget_j={budget})
def test_held():
    burn(0.3)

@pytest.mark.energy(budget_j={budget})
def test_broken():
    burn(0.3)
    assert False, "its own words"

def test_skipped():
    pytest.skip("not here")
"""


def suite(folder: Path, *words: str, tests: str = TESTS, budget: float = 1e6) -> Done:
    """Run a suite of its own in a fresh interpreter; the plugin is loaded by name, as its entry point would."""
    (folder / "test_it.py").write_text(tests.format(budget=budget))
    (folder / "pytest.ini").write_text("[pytest]\n")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--strict-markers"]
    if not _by_entry_point():
        argv += ["-p", "wattledger.integrations.pytest_plugin"]
    return run([*argv, *words], blind(folder), cwd=folder, timeout_s=120)


def _by_entry_point() -> bool:
    from importlib.metadata import entry_points

    return any(point.value == "wattledger.integrations.pytest_plugin" for point in entry_points(group="pytest11"))


def table(out: str) -> dict[str, float]:
    """Test → joules, in the table's order."""
    rows = [line.split("  ") for line in out.splitlines() if " J (" in line and "  " in line]
    return {name: float(used.split(" J (")[0]) for used, name in rows}


def test_each_test_is_listed_by_what_it_used(tmp_path: Path) -> None:
    done = suite(tmp_path, "--energy")
    assert done.status == 1  # its own failure
    found = table(done.out)
    assert "energy of 5 tests" in done.out or "1 too short for a reading" in done.out  # the skipped one
    assert list(found.values())[:-1] == sorted(list(found.values())[:-1], reverse=True)
    assert found["test_it.py::test_long"] > found["test_it.py::test_short"] > 0
    assert list(found)[-1] == "in all"
    assert found["in all"] == pytest.approx(sum(list(found.values())[:-1]), rel=0.05)
    assert "1 failed, 3 passed, 1 skipped" in done.out


def test_a_test_that_surely_used_more_than_its_budget_fails_with_the_numbers(tmp_path: Path) -> None:
    done = suite(tmp_path, "--energy", budget=0.02)
    assert "2 failed, 2 passed, 1 skipped" in done.out
    [line] = [line for line in done.out.splitlines() if "its budget is" in line and not line.startswith("FAILED")]
    assert line.endswith("its budget is 0.02 J")
    assert line.startswith("used ")
    assert "its own words" in done.out  # a failure of its own is not covered up


def test_what_may_be_within_the_budget_passes(tmp_path: Path) -> None:
    """A table's guess of the CPU's power has a wide interval: the value is above the budget, its lower end is not."""
    tests = TESTS.partition("@pytest")[0]
    used = table(suite(tmp_path, "--energy", tests=tests).out)["in all"]
    assert suite(tmp_path, "--energy-budget", str(used * 0.95), tests=tests).status == 0
    assert suite(tmp_path, "--energy-budget", str(used * 0.05), tests=tests).status == 1


def test_a_budget_for_all_goes_behind_a_tests_own(tmp_path: Path) -> None:
    done = suite(tmp_path, "--energy-budget", "0.02")
    failed = {line.split("::")[1].split(" ")[0] for line in done.out.splitlines() if line.startswith("FAILED")}
    assert failed >= {"test_long", "test_broken"}
    assert "test_held" not in failed


@pytest.mark.parametrize("mark", ["energy", "energy('much')", "energy(budget_j=-1)", "energy(5, 6)", "energy(joules=5)"])
def test_a_marker_that_makes_no_sense_fails_its_test_in_one_line(tmp_path: Path, mark: str) -> None:
    tests = f"import pytest\n@pytest.mark.{mark}\ndef test_it(): pass\n"
    assert suite(tmp_path, tests=tests).status == 0
    done = suite(tmp_path, "--energy", tests=tests)
    assert done.status == 1
    assert "@pytest.mark.energy" in done.out
    assert "Traceback" not in done.out


def test_a_budget_that_is_none_is_refused(tmp_path: Path) -> None:
    for word in ("much", "-1", "nan"):
        done = suite(tmp_path, f"--energy-budget={word}")
        assert done.status == 4
        assert "--energy-budget" in done.err


def test_without_the_word_nothing_is_loaded_and_nothing_measured(tmp_path: Path) -> None:
    tests = """
import sys, threading, pytest
@pytest.mark.energy(budget_j=0)
def test_it():
    loaded = {{name for name in sys.modules if name.startswith("wattledger.")}}
    assert loaded <= {{"wattledger.track", "wattledger.core", "wattledger.core.version", "wattledger.integrations",
                      "wattledger.integrations.pytest_plugin"}}
    assert threading.active_count() == 1
"""
    done = suite(tmp_path, tests=tests)
    assert done.status == 0, done.out
    assert "energy" not in done.out


def test_workers_are_summed_at_the_controller(tmp_path: Path) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    done = suite(tmp_path, "--energy", "-n", "2", "-p", "xdist", budget=0.02)
    found = table(done.out)
    assert {"test_it.py::test_long", "test_it.py::test_short", "test_it.py::test_held", "in all"} <= set(found)
    assert found["in all"] == pytest.approx(sum(joules for name, joules in found.items() if name != "in all"), rel=0.05)
    assert "its budget is 0.02 J" in done.out
    assert done.out.count("energy of ") == 1


def test_the_list_is_as_long_as_asked(tmp_path: Path) -> None:
    done = suite(tmp_path, "--energy", "--energy-top", "1")
    assert list(table(done.out)) == [next(iter(table(done.out))), "in all"]
    assert ", the first 1" in done.out
    everything = suite(tmp_path, "--energy", "--energy-top", "0")
    assert len(table(everything.out)) >= 4


def test_junits_report_has_the_joules(tmp_path: Path) -> None:
    suite(tmp_path, "--energy", "--junitxml=report.xml")
    cases = ElementTree.parse(tmp_path / "report.xml").iter("testcase")
    [long] = [case for case in cases if case.get("name") == "test_long"]
    found = {p.get("name"): float(str(p.get("value"))) for p in long.iter("property")}
    assert list(found) == ["wattledger_energy_j", "wattledger_energy_low_j", "wattledger_energy_high_j"]
    assert found["wattledger_energy_low_j"] <= found["wattledger_energy_j"] <= found["wattledger_energy_high_j"]


