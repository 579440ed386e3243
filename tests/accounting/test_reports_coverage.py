"""Coverage: over how much of the time that a device should have been seen it was; a missing hour shows."""

from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_reports import H, add, asked, books, used
from tests.ledger.made import NOON_S, began

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.core.facts import Correction, EnergyFact, GapFact, RunFact


def seen(hours: list[int], **more: Any) -> list[EnergyFact]:
    """A whole hour of energy at each of these."""
    return [used(1, hour=hour, length_s=H, **more) for hour in hours]


def life(from_h: float, to_h: float | None, meter: str = "agent:gpu-7", **more: str) -> list[RunFact]:
    ends = [("began", from_h), *([("ended", to_h)] if to_h is not None else [])]
    return [began(round(NOON_S + hour * H), what=what, meter=meter, **more) for what, hour in ends]


def covered(place: Path, ask: Ask | None = None) -> float:
    return float(asked(place, ask or Ask("host"))["total"]["coverage"])


def test_a_meter_that_saw_all_of_its_life_covers_it(tmp_path: Path) -> None:
    assert covered(books(tmp_path, [*seen([0, 1, 2]), *life(0, 3)])) == 1.0


def test_a_missing_hour_shows(tmp_path: Path) -> None:
    place = books(tmp_path, [*seen([0, 1, 3]), *life(0, 4)])
    assert covered(place) == 0.75
    assert covered(place, Ask("host", from_s=NOON_S + H, to_s=NOON_S + 3 * H)) == 0.5
    assert asked(place, Ask("device"))["rows"][0]["coverage"] == 0.75


def test_half_a_minute_seen_is_half_a_minute(tmp_path: Path) -> None:
    place = books(tmp_path, [seen([0])[0]._replace(seen_ms=H * 500), *life(0, 1)])
    assert covered(place) == 0.5


def test_many_jobs_on_one_device_see_it_once(tmp_path: Path) -> None:
    facts = [fact for job in ("a", "b", "c") for fact in seen([0, 2], job=job)]
    assert covered(books(tmp_path, [*facts, *life(0, 4)])) == 0.5


def test_a_meter_that_was_killed_is_missed_until_the_next_one_begins(tmp_path: Path) -> None:
    after = {"meter": "agent:next"}
    place = books(tmp_path, [*seen([0]), *life(0, None), *seen([3], **after), *life(3, 4, **after)])
    assert covered(place) == 0.5


def test_a_meter_that_ended_well_is_not_missed_afterwards(tmp_path: Path) -> None:
    after = {"meter": "agent:next"}
    assert covered(books(tmp_path, [*seen([0]), *life(0, 1), *seen([3], **after), *life(3, 4, **after)])) == 1.0


def test_a_run_that_ended_is_no_meters_end(tmp_path: Path) -> None:
    run_ended = life(0, 1, job="train")[1:]
    assert covered(books(tmp_path, [*seen([0, 1, 3]), *life(0, 4), *run_ended])) == 0.75


def test_a_tracker_whose_windows_were_left_to_an_agent_is_not_missed(tmp_path: Path) -> None:
    run = {"meter": "run:x"}
    place = books(tmp_path, [*seen([0, 1, 2, 3]), *life(0, 4), *seen([1, 2, 3, 4], **run), *life(1, 5, **run)])
    found = asked(place, Ask("host"))["total"]
    assert (found["coverage"], found["energy_j"]["value"]) == (1.0, 5 * 3.6e6)


def test_each_host_has_its_own(tmp_path: Path) -> None:
    other = {"meter": "agent:b", "host": "gpu-8"}
    place = books(tmp_path, [*seen([0, 1]), *life(0, 2), *seen([0], **other), *life(0, 2, **other)])
    rows = {row["host"]: row["coverage"] for row in asked(place, Ask("host"))["rows"]}
    assert rows == {"gpu-7": 1.0, "gpu-8": 0.5}
    assert covered(place, Ask("host", "gpu-8")) == 0.5
    assert covered(place) == 0.75


def test_gaps_are_counted_where_they_were_and_only_those_that_hold(tmp_path: Path) -> None:
    place = books(tmp_path, [*seen([0, 1]), *life(0, 2)])
    hole = GapFact("agent:gpu-7", "gpu-7", used(1).key.device, NOON_S * 1000, NOON_S * 1000 + 1500, "reset")
    add(place, [hole, hole._replace(host="gpu-8")], NOON_S + 3 * H)
    [withdrawn] = add(place, [hole._replace(start_ms=NOON_S * 1000 + 900)], NOON_S + 3 * H)
    add(place, [Correction(withdrawn, "no gap")], NOON_S + 4 * H)
    found = asked(place, Ask("host", "gpu-7"))
    assert found["gaps"] == {"count": 1, "seconds": 1.5}
    assert any("1 gap" in note for note in found["notes"])


def test_over_too_many_rows_it_is_not_worked_out_and_that_is_said(tmp_path: Path) -> None:
    found = asked(books(tmp_path, seen([0, 1])), Ask("job"), Rules(coverage_rows=1))
    assert "coverage" not in found["total"]
    assert any(note.startswith("coverage: not worked out") for note in found["notes"])
    assert found["total"]["energy_j"]["value"] == pytest.approx(2 * 3.6e6)
