"""The books of ``agent --demo``: a report of them says what the agent says, and that all of it is made up."""

import json
import os
import shlex
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.cli.front import Front, own_place

from wattledger.core.totals import Snapshot
from wattledger.factors.grid.demo import STEP_S, average
from wattledger.runtime.config import Config, Value
from wattledger.runtime.node.agent import Agent
from wattledger.runtime.node.demo import Stage

METERED_S = 6.0
TOLD_S = 200  # so long after a slot's begin an agent may still go by the slot before


class Played(NamedTuple):
    """What a demo said last, the words that its greeting proposes, and the wall's time."""

    said: Snapshot
    hint: list[str]
    ended_s: float


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A demo of some seconds that has metered its last, so that no minute is open, and whose books are still there."""
    environ = {"HOME": str(tmp_path_factory.mktemp("home")), "PATH": os.environ["PATH"]}
    agent = Agent(None, environ, {"agent.listen": "127.0.0.1:0"}, demo=True)
    try:
        deadline = time.monotonic() + 30
        while agent.session.live.grid_age_s() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        agent.start()
        time.sleep(METERED_S)
        agent.session.stop()
        assert agent.publisher.final is not None
        yield Played(agent.publisher.final, shlex.split(agent._stage.line.partition("until then: ")[2]), time.time())
    finally:
        agent.stop()


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def live(said: Snapshot) -> dict[str, Counter[str]]:
    """Figure → job → sum, as the agent has them."""
    found: dict[str, Counter[str]] = {name: Counter() for name in ("joules", "grams", "embodied", "onsite", "offsite", "cost")}
    for (workload, *_), uj in said.energy_uj.items():
        found["joules"][workload.job] += uj / 1e6  # type: ignore[assignment]
    for workload, grams in said.emissions_g.items():
        found["grams"][workload.job] += grams  # type: ignore[assignment]
    for workload, grams in said.embodied_g.items():
        found["embodied"][workload.job] += grams  # type: ignore[assignment]
    for (workload, where), litres in said.water_l.items():
        found[where][workload.job] += litres  # type: ignore[assignment]
    for (workload, _), money in said.cost.items():
        found["cost"][workload.job] += money  # type: ignore[assignment]
    return found


def test_the_report_that_the_greeting_proposes_says_what_the_agent_says(played: Played, front: Front) -> None:
    assert played.hint[:3] == ["wattledger", "report", "job"]
    answer = front(*played.hint[1:], "--json")
    assert answer.status == 0, answer.err
    expected, rows = live(played.said), json.loads(answer.out)["rows"]
    assert {row["job"] for row in rows} == {job for job, joules in expected["joules"].items() if joules}
    # An agent goes by the newest slot that it was told of, a report by the one that it was.
    is_told = played.ended_s % STEP_S > TOLD_S
    late = 1.0 if is_told else average(int(played.ended_s) - STEP_S) / average(int(played.ended_s))
    checked = Counter[str]()
    for row in rows:
        told = {
            "joules": row["energy_j"]["value"], "grams": row["emissions_g"]["location_based"]["value"],
            "embodied": row["emissions_g"].get("embodied", {}).get("value"), "onsite": row["water_l"]["onsite"]["value"],
            "offsite": row["water_l"]["offsite"]["value"], "cost": row["cost"]["value"],
        }  # fmt: skip
        for name, value in told.items():
            agents = expected[name][row["job"]]
            # Embodied carbon is booked by whole micrograms: of less than a hundred of them 1 % cannot be told.
            if value is None or (name == "embodied" and value < 1e-4):
                assert agents < 1.1e-4, (row["job"], name)
                continue
            low, high = (min(1.0, late), max(1.0, late)) if name == "grams" else (1.0, 1.0)
            assert low * 0.99 <= agents / value <= high * 1.01, (row["job"], name, agents, value)
            checked[name] += 1
    assert checked["embodied"] >= 3
    assert min(checked.values()) == checked["embodied"]


def test_whoever_reports_without_the_demos_settings_gets_the_same_joules_grams_and_embodied(played: Played, front: Front) -> None:
    ours = json.loads(front(*played.hint[1:], "--json").out)
    others = json.loads(front("report", "job", *played.hint[-2:], "--json").out)
    for row, other in zip(ours["rows"], others["rows"], strict=True):
        assert (row["energy_j"], row["emissions_g"]) == (other["energy_j"], other["emissions_g"])
        assert "cost" not in other


@pytest.mark.parametrize("words", [
    ("report", "job"), ("report", "day"), ("report", "job", "chat"), ("report", "host"), ("report", "embodied"),
    ("report", "sci", "job", "--per", "token"), ("explain", "job:chat"), ("explain", "job:chat", "--basis", "embodied"),
])  # fmt: skip
def test_whatever_is_told_of_its_books_says_that_it_is_made_up(words: tuple[str, ...], played: Played, front: Front) -> None:
    said = front(*words, *played.hint[-2:])
    assert said.status == 0, said.err
    notes = [line for line in said.out.splitlines() if "made up: demo-node is no machine (wattledger agent --demo)" in line]
    assert len(notes) == 1
    assert "made up: demo-node" in front(*words, *played.hint[-2:], "--json").out


def test_a_picture_and_a_page_of_its_books_say_so_in_sight(played: Played, front: Front, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    picture, page = tmp_path / "power.svg", tmp_path / "report.html"
    said = front("report", "job", "chat", *played.hint[-2:], "--plot", str(picture), "--html", str(page))
    assert said.status == 0, said.err
    assert "<title>Power of job chat (made up: wattledger agent --demo)</title>" in picture.read_text()
    assert "made up: demo-node is no machine" in page.read_text()


def test_one_fact_of_its_books_says_so_too(played: Played, front: Front, tmp_path: Path) -> None:
    kept = tmp_path / "facts.jsonl"
    assert front("ledger", "export", *played.hint[-2:], "-o", str(kept)).status == 0
    row = next(row for row in map(json.loads, kept.read_text().splitlines()) if row["body"]["fact"] == "energy")
    fact = row["id"]
    assert "made up: demo-node is no machine" in front("explain", fact, *played.hint[-2:]).out
    assert json.loads(front("explain", fact, *played.hint[-2:], "--json").out)["notes"][0].startswith("made up: ")


def test_its_settings_are_written_as_toml_that_reads_back_without_what_reports_do_not_go_by() -> None:
    said = {
        "tariff.file": Value("rates \x7f \"é\" 𝛑.csv", "file"), "embodied.enabled": Value(False, "file"),
        "grid.electricitymaps.key_file": Value("/srv/key", "file"), "exporters.otlp.endpoint": Value("http://u:p@h", "file"),
    }  # fmt: skip
    stage = Stage(True)
    config = stage.settings(Config(said))
    stage.open(config)
    try:
        words = shlex.split(stage.line.partition("until then: ")[2])
        written = Path(words[words.index("--config") + 1])
        tree = tomllib.loads(written.read_text(encoding="utf-8"))
        assert written.parent.stat().st_mode & 0o077 == 0
        assert tree["tariff"]["file"] == str(Path.cwd() / "rates \x7f \"é\" 𝛑.csv")
        assert tree["embodied"] == {"enabled": False, "host": "server"}
        assert tree["ledger"] == {"path": words[-1]}
        assert set(tree) == {"grid", "facility", "tariff", "embodied", "ledger"}
        assert set(tree["grid"]) == {"zone", "provider", "period_s"}
        stage.keep(stage.settings(Config({"facility.pue": Value(1.5, "file")})))
        assert tomllib.loads(written.read_text(encoding="utf-8"))["facility"]["pue"] == 1.5
    finally:
        stage.close()
    assert not written.parent.exists()
