"""A node's sensors that went away: their absence is news until they are back."""

import shutil
from pathlib import Path

import pytest

from wattledger.core.model import Workload
from wattledger.core.series import Series
from wattledger.runtime.build import Plan, Session, look_again, open_session
from wattledger.runtime.config import load
from wattledger.runtime.opening import NODE, Scope


def chip(root: Path) -> Path:
    """An AMD socket whose energy anybody may read."""
    folder = root / "sys/class/hwmon/hwmon0"
    folder.mkdir(parents=True)
    for name, text in {"name": "amd_energy", "energy1_label": "Esocket0", "energy1_input": "1000"}.items():
        (folder / name).write_text(f"{text}\n")
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Session:
    chip(tmp_path)
    off = {f"WATTLEDGER_SOURCES_{name.upper()}_ENABLED": "false" for name in (*NODE, "nvml", "amdsmi")}
    environ = {"WATTLEDGER_PATHS_SYSFS": str(tmp_path / "sys"), "XDG_STATE_HOME": str(tmp_path / "state"), **off}
    scope = Scope(Workload("(node)"), (), whole_machine=True, clients=dict)
    return open_session(load(environ, here=False), environ, Plan(scope, series=Series(10)))


def names(session: Session) -> set[str]:
    return {runner.source.name for runner in session.sampler.runners}


def test_a_sensor_that_went_away_is_missed_until_it_is_back(tmp_path: Path, session: Session) -> None:
    said: list[str] = []
    assert "hwmon" in names(session)
    assert "hwmon" not in session.opened.missed()
    [hwmon] = [runner for runner in session.sampler.runners if runner.source.name == "hwmon"]
    shutil.rmtree(tmp_path / "sys/class/hwmon/hwmon0")
    hwmon.up = False
    look_again(session, said.append)
    assert "hwmon" not in names(session)
    assert "hwmon" in session.opened.missed()
    assert not {"jetson", "promquery", "slurm"} & session.opened.missed().keys(), "nobody asked for these, and they never were"
    chip(tmp_path)
    look_again(session, said.append)
    assert "hwmon" in names(session)
    assert "hwmon" not in session.opened.missed()
    assert said[-1] == "hwmon is there now: hwmon:socket-0"
    session.sampler.stop()
