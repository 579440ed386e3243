"""`wattledger doctor`: an answer on every machine, and the command that mends what can be mended."""

import json
import os
import threading
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.sources.rapl_tree import host_with, zone

from wattledger.cli.doctor import Report, examine, show, within
from wattledger.core.model import Finding
from wattledger.runtime.config import Config, load
from wattledger.runtime.opening import BUILTIN

REGISTERS = "/sys/class/powercap/intel-rapl*:*/energy_uj"
GRANT = f'sudo sh -c "chgrp $(id -gn) {REGISTERS} && chmod 0440 {REGISTERS}"'
MODULES = {
    "refused": f"""
from wattledger.core.model import Finding
def examine(host):
    return [Finding("refused", f"package-{{i}}", "denied", "root only", {GRANT!r}) for i in range(2)]
""",
    "spare": """
from wattledger.core.model import Finding
def examine(host):
    return [Finding("spare", "perf", "denied", "not needed: powercap is read")]
""",
    "buggy": "def examine(host):\n    return 1 / 0\n",
    "unfinished": "import no_such_library\n",
    "wordless": "",
    "quiet": "def examine(host):\n    return []\n",
}


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without sysfs and procfs, as macOS and Windows are."""
    for name in ("sysfs", "procfs"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"WATTLEDGER_PATHS_{name.upper()}", str(tmp_path / name))
    return tmp_path


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Sources of all sorts, by name and module."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for name, text in MODULES.items():
        (folder / f"doctors_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return {name: f"doctors_{name}" for name in MODULES}


@pytest.mark.usefixtures("bare")
def test_a_machine_without_sensors_gets_an_answer(front: Front) -> None:
    said = front("doctor", "--json")
    assert (said.status, said.err) == (0, "")
    report = json.loads(said.out)
    assert {finding["source"] for finding in report["findings"]} >= set(BUILTIN)
    assert all(finding["why"] for finding in report["findings"])
    rapl = [finding["state"] for finding in report["findings"] if finding["source"] == "rapl"]
    assert rapl == ["absent"]
    assert {"counter", "integrated"}.isdisjoint(device["method"] for device in report["metered"])


@pytest.mark.usefixtures("bare")
def test_people_read_the_same_findings_within_80_columns(front: Front) -> None:
    report = json.loads(front("doctor", "--json").out)
    said = front("doctor")
    assert (said.status, said.err) == (0, "")
    assert all(source in said.out for source in BUILTIN)
    tables = [line for line in said.out.splitlines() if not line.startswith("  ")]
    assert max(len(line) for line in tables) <= 80
    assert all(device["device"] in said.out for device in report["metered"])


def test_a_model_answers_for_what_no_sensor_covers_and_the_two_views_agree(front: Front) -> None:
    report = json.loads(front("doctor", "--json").out)
    modelled = {d["device"] for d in report["metered"] if d["source"] == "estimate"}
    assert all(d["method"] == "estimated" for d in report["metered"] if d["source"] == "estimate")
    broken = [f for f in report["findings"] if f["state"] == "broken"]
    assert not broken
    assert modelled <= {f["sensor"] for f in report["findings"] if f["source"] == "estimate"} | {"rest"}


def registers(patch: pytest.MonkeyPatch, folder: Path, *, readable: bool) -> None:
    """A machine with one package's powercap zone; what root too cannot read: its register is a folder."""
    place = host_with(folder, {"intel-rapl:0": zone("package-0", 1_000)})
    patch.setenv("WATTLEDGER_PATHS_SYSFS", place.sysfs)
    patch.setenv("WATTLEDGER_PATHS_PROCFS", place.procfs)
    if not readable:
        register = Path(place.sysfs, "class/powercap/intel-rapl:0/energy_uj")
        register.unlink()
        register.mkdir()


def test_strict_is_1_where_something_is_broken_and_0_where_all_is_well(
    front: Front, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert front("doctor", "--strict").status == 0
    registers(monkeypatch, bare, readable=False)
    said = front("doctor", "--strict", "--json")
    assert said.status == 1
    assert json.loads(said.out)["to_mend"] >= 1
    assert front("doctor", "--json").status == 0


def test_a_register_is_metered_by_its_counter(front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registers(monkeypatch, tmp_path, readable=True)
    report = json.loads(front("doctor", "--json").out)
    [package] = [device for device in report["metered"] if device["device"] == "rapl:package-0"]
    assert (package["method"], package["source"]) == ("counter", "rapl")
    assert "cpu" not in {d["device"] for d in report["metered"]}


def looked(table: dict[str, str]) -> Report:
    config = load({}, here=False)
    return examine(config, {"HOME": os.environ["HOME"]}, table)


@pytest.mark.usefixtures("front")
@pytest.mark.parametrize("name", ["buggy", "unfinished", "wordless", "missing"])
def test_a_source_that_is_missing_or_buggy_is_one_row(table: dict[str, str], name: str) -> None:
    report = looked({name: table.get(name, "doctors_no_such_module")})
    [row] = [finding for finding in report.findings if finding.source == name]
    assert row.state == "broken"
    assert row.why
    assert row in report.to_mend


@pytest.mark.usefixtures("front")
def test_a_source_that_finds_nothing_is_absent_and_not_forgotten(table: dict[str, str]) -> None:
    [row] = [finding for finding in looked({"quiet": table["quiet"]}).findings if finding.source == "quiet"]
    assert row.state == "absent"
    assert row.why


@pytest.mark.usefixtures("front")
def test_what_is_denied_and_not_needed_has_nothing_to_mend(table: dict[str, str]) -> None:
    report = looked({name: table[name] for name in ("refused", "spare")})
    assert {finding.source for finding in report.to_mend} == {"refused"}


def test_a_command_that_mends_is_shown_once_and_whole(
    front: Front, table: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    report = looked({"refused": table["refused"]})
    capsys.readouterr()
    show(report)
    lines = capsys.readouterr().out.splitlines()
    assert lines.count(f"  {GRANT}") == 1
    assert "To mend refused package-0, refused package-1:" in lines


@pytest.mark.usefixtures("front")
def test_what_is_switched_off_is_not_asked(table: dict[str, str]) -> None:
    config = load({"WATTLEDGER_SOURCES_RAPL_ENABLED": "off"}, here=False)
    [row] = examine(config, {}, {"rapl": table["buggy"]}).findings[:1]
    assert (row.state, row.source) == ("absent", "rapl")
    assert "switched off" in row.why


def test_a_driver_that_hangs_does_not_hang_the_doctor() -> None:
    never = threading.Event()
    assert within(0.05, never.wait) is None
    never.set()
    assert within(5.0, lambda: [Finding("a", "b", "usable", "c")]) == [Finding("a", "b", "usable", "c")]


def test_a_rank_of_a_job_is_told(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert json.loads(front("doctor", "--json").out)["place"]["rank"] == "1 of 8 on this node"


def test_a_wrong_configuration_is_one_line_and_exit_status_2(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_GRID_ZONE", "Germny")
    said = front("doctor")
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
    assert "DE (Germany)" in said.err


def test_an_empty_configuration_is_enough() -> None:
    assert Config({})["sources.rapl.enabled"] is True
