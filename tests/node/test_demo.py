"""``agent --demo`` as a user starts it: every panel's metric within seconds, books to look at, and nothing left behind."""

import contextlib
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.node.agents import Agent, started_as, total

from wattledger.core.catalog import CATALOG
from wattledger.runtime.config import Config, Value
from wattledger.runtime.node.demo import DEFAULTS, Stage

# Why they are absent in the first seconds, and for how long.
LATER = {
    "wattledger_request_energy_joules_total": "a request is settled some 30 s after it has ended",
    "wattledger_request_tokens_total": "the same",
    "wattledger_settled_emissions_grams": "a minute is written down when it is over: after one or two",
    "wattledger_exports_total": "no exporter that sends is configured",
}


@contextlib.contextmanager
def demo(folder: Path, config: str = "") -> Iterator[Agent]:
    (folder / "agent.toml").write_text(config)
    (folder / "temp").mkdir()
    own = {name: str(folder / place) for name, place in (("TMPDIR", "temp"), ("HOME", "home"), ("STATE_DIRECTORY", "state"))}
    with started_as(folder, "--demo", "--config", "agent.toml", env={**own, "XDG_STATE_HOME": ""}) as started:
        yield started


def until_there(running: Agent, names: set[str], patience_s: float = 20) -> dict[str, list[tuple[dict[str, str], Decimal]]]:
    deadline = time.monotonic() + patience_s
    while True:
        found: dict[str, list[tuple[dict[str, str], Decimal]]] = {}
        for name, labels, value in running.scrape():
            found.setdefault(name, []).append((labels, value))
        if names <= found.keys() or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


@pytest.mark.slow
def test_every_metric_is_there_within_seconds_and_nothing_of_it_stays(tmp_path: Path) -> None:
    wanted = {metric.name for metric in CATALOG} - LATER.keys()
    with demo(tmp_path) as running:
        found = until_there(running, wanted)
        assert wanted - found.keys() == set()
        rows = running.scrape()
        energy, devices = (total(rows, f"wattledger_{name}_joules_total") for name in ("energy", "device_energy"))
        assert energy + total(rows, "wattledger_retired_energy_joules_total") == devices > 0
        assert {value for _, value in found["wattledger_attribution_residual_joules"]} == {0}
        intensities = [row for row, _ in found["wattledger_grid_carbon_intensity_grams_per_kwh"]]
        signals = {(row["grid_zone"], row["provider"], row["basis"]) for row in intensities}
        assert signals == {("DE", "demo", "average"), ("DE", "demo-marginal", "marginal")}
        assert {row["currency"] for row, _ in found["wattledger_cost_total"]} == {"EUR"}
        # Its books are there to be looked at, and nobody else's business.
        [stage] = (tmp_path / "temp").iterdir()
        assert (stage / "ledger" / "open.db").exists()
        assert stage.stat().st_mode & 0o077 == 0
        assert f"--ledger {stage / 'ledger'}" in running.log
        assert "on demo-node:" in running.log
        assert "socket none" in running.log
        assert running.stop() == 0
        assert "Traceback" not in running.log
    assert list((tmp_path / "temp").iterdir()) == []
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_a_reload_goes_on_with_the_same_books_and_takes_what_the_user_says(tmp_path: Path) -> None:
    with demo(tmp_path, '[grid]\nzone = "FR"\n') as running:
        [stage] = (tmp_path / "temp").iterdir()
        (tmp_path / "agent.toml").write_text('[grid]\nzone = "SE"\n[facility]\npue = 1.5\n')
        running.hang_up()
        deadline = time.monotonic() + 15
        while "reload: " not in running.log and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "reload: " in running.log
        assert "wait for a restart" not in running.log
        zones = set[str]()
        while "SE" not in zones and time.monotonic() < deadline:
            time.sleep(0.1)
            zones = {labels["grid_zone"] for name, labels, _ in running.scrape() if name.endswith("intensity_grams_per_kwh")}
        assert zones == {"SE"}
        assert list((tmp_path / "temp").iterdir()) == [stage]


def test_what_the_user_says_goes_before_the_demos_defaults_but_books_and_grid_are_its_own() -> None:
    said = {
        "facility.pue": Value(1.05, "file"), "tariff.per_kwh": Value(0.1, "file"), "grid.provider": Value("neso", "file"),
        "ledger.path": Value("/srv/books", "file"), "agent.state": Value("/srv/state", "file"),
        "ledger.lake": Value("s3://x", "file"), "ledger.sign_key_file": Value("/srv/key.pem", "file"),
        "agent.socket": Value("/srv/agent.sock", "file"),
    }  # fmt: skip
    stage = Stage(True)
    found = stage.settings(Config(said, ("a warning",)))
    assert (found["facility.pue"], found["tariff.per_kwh"], found["tariff.hours"]) == (1.05, 0.1, "")
    assert found["grid.provider"] == "demo,demo-marginal"
    assert not any("srv" in str(value.value) or "s3" in str(value.value) for _, value in found.rows())
    assert found["facility.wue"] == DEFAULTS["facility.wue"]
    assert found.warnings == ("a warning",)
    assert not Path(str(found["agent.state"])).exists()


def test_of_a_real_node_nothing_is_changed(tmp_path: Path) -> None:
    stage, config = Stage(False), Config({})
    assert stage.settings(config) is config
    assert stage.environ({"A": "b"}) == {"A": "b"}
    assert stage.line == ""
    before = set(tmp_path.iterdir())
    stage.open(config)
    stage.keep(config)
    stage.close()
    assert set(tmp_path.iterdir()) == before


def test_a_name_that_the_operator_gave_the_node_stays() -> None:
    assert Stage(True).environ({"NODE_NAME": "gpu-7"})["NODE_NAME"] == "gpu-7"
    assert Stage(True).environ({})["NODE_NAME"] == "demo-node"


def test_what_a_demo_that_was_killed_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    from wattledger.runtime.node.demo import FRESH_S, PREFIX, _hold, _sweep

    old, held, young, other = (tmp_path / name for name in (f"{PREFIX}old", f"{PREFIX}held", f"{PREFIX}young", "another"))
    for folder in (old, held, young, other):
        (folder / "ledger").mkdir(parents=True)
        if folder != young:
            os.utime(folder, (0, 0))
    lock = _hold(held)
    assert lock is not None
    assert _hold(held) is None
    _sweep(tmp_path)
    assert FRESH_S > 1
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["another", f"{PREFIX}held", f"{PREFIX}young"]
    os.close(lock)


def test_a_demo_sends_nothing_to_the_collector_of_a_real_node(tmp_path: Path) -> None:
    from wattledger.runtime.config import load
    from wattledger.runtime.node.demo import Stage

    file = tmp_path / "agent.toml"
    file.write_text("[exporters.otlp]\nenabled = true\n")
    said = {"by file": load({}, file=str(file)), "by hand": load({"WATTLEDGER_EXPORTERS_OTLP_ENABLED": "true"}, file=str(file))}
    found = {how: Stage(True).settings(config)["exporters.otlp.enabled"] for how, config in said.items()}
    assert found == {"by file": False, "by hand": True}
    assert Stage(False).settings(said["by file"])["exporters.otlp.enabled"] is True
