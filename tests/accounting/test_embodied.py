"""Who pays for the carbon that made machines: each share equals a hand's, and the kilograms add up to the microgram."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.accounting.made_machines import (
    DAY_S,
    GPU,
    HOST,
    METHODS,
    UG,
    H,
    at,
    booked,
    by_job,
    card,
    charged,
    event,
    owed,
    ran,
    server,
)
from tests.accounting.made_reports import asked, books
from tests.ledger.made import NOON_S

from wattledger.accounting.price import Price
from wattledger.accounting.report_ask import Ask
from wattledger.ledger import compact
from wattledger.ledger.compact import Plan
from wattledger.ledger.manifest import manifests
from wattledger.ledger.query_embodied_sql import Method
from wattledger.ledger.rollup import Level
from wattledger.ledger.segments import seal

# --- by hand ----------------------------------------------------------------------------------------------------------------


def test_an_exclusive_hour_of_a_ton_over_four_years_is_the_standards_figure(tmp_path: Path) -> None:
    # carbon.md 9, example 2 (ISO/IEC 21031): 1,000 kg, 1 h of 35,040 h, the whole machine: 28.5388 g.
    place = books(tmp_path, [*server(), *ran(1000, device="cpu-0", component="cpu")])
    [row] = asked(place, Ask("job"))["rows"]
    assert row["emissions_g"]["embodied"]["value"] == pytest.approx(28.5388, abs=5e-5)
    assert row["stands_on"]["embodied"]["quality"] == {"passport": 1.0}


@pytest.mark.parametrize(("g", "grams"), [(164_000, 4.680), (575_087, 16.413), (284_250, 8.112)])
def test_an_hour_of_a_gpu_by_each_figure(tmp_path: Path, g: int, grams: float) -> None:
    # carbon.md 9, example 20: NVIDIA's H100, Boavizta's H100, NVIDIA's B200.
    place = books(tmp_path, [*server(g=0), *card(g=g), *ran(1000)])
    assert by_job(booked(place), "card") == {"job-0": pytest.approx(grams * UG, rel=2e-4)}


def test_a_rate_spread_over_the_time_in_use_is_blooms(tmp_path: Path) -> None:
    # carbon.md 9, example 21: 2,500 kg over 6 years at 85 % use is 0.05596 kg an hour.
    place = books(tmp_path, [*server(g=2_500_000, el_h=str(6 * 8760 * 0.85)), *ran(1000, device="c", component="cpu")])
    assert sum(by_job(booked(place)).values()) == pytest.approx(55.96 * UG, rel=1e-4)


def test_a_devices_own_time_is_its_and_the_rest_follows_all_devices(tmp_path: Path) -> None:
    facts = [*ran(300), *ran(100, job="b", device="GPU-1")]
    place = books(tmp_path, [*server(), *card(), *facts])
    found = booked(place)
    assert by_job(found, "card") == {"job-0": owed(found)["card"]}
    whole = owed(found)["srv"]
    assert by_job(found, "srv") == {"job-0": pytest.approx(whole * 3 / 4, abs=1), "b": pytest.approx(whole / 4, abs=1)}


def test_whoever_holds_a_device_pays_for_it_and_what_nobody_holds_is_paid_by_use(tmp_path: Path) -> None:
    # a: 6 J of work and 3 J idle that it held; b: 3 J of work; 1 J idle that nobody held.  3/4 of the time is held; of the other
    # quarter 6/10 are a's, 3/10 b's, and 1/10 nobody's.
    facts = [*ran(6), *ran(3, use="held"), *ran(3, job="b"), *ran(1, job="(idle)", use="held")]
    found = booked(books(tmp_path, [*server(g=0), *card(), *facts]))
    whole = owed(found)["card"]
    parts = {"job-0": 0.75 + 0.25 * 0.6, "b": 0.25 * 0.3, "(idle)": 0.25 * 0.1}
    assert by_job(found, "card") == {job: pytest.approx(whole * part, abs=2) for job, part in parts.items()}


SHARED = {
    "reserved": {"job-0": 0.9, "b": 0.075, "(idle)": 0.025},
    "time": {"job-0": 0.5, "b": 0.5},
    "physical": {"job-0": 9 / 13, "b": 3 / 13, "(idle)": 1 / 13},
    "economic": {"job-0": 0.9 * 3 / 2.775, "b": 0.075 / 2.775},
}


@pytest.mark.parametrize("method", METHODS)
def test_the_four_methods_divide_the_same_kilograms(tmp_path: Path, method: Method) -> None:
    facts = [*ran(6), *ran(3, use="held"), *ran(3, job="b"), *ran(1, job="(idle)", use="held")]
    found = booked(books(tmp_path, [*server(g=0), *card(), *facts]), method)
    whole = owed(found)["card"]
    assert by_job(found, "card") == {job: pytest.approx(whole * part, abs=2) for job, part in SHARED[method].items()}
    assert sum(by_job(found, "card").values()) == whole


def test_by_time_an_empty_machine_is_idle_and_the_agent_is_no_job(tmp_path: Path) -> None:
    facts = [*ran(50, job="(idle)", use="held"), *ran(1, job="(agent)")]
    found = booked(books(tmp_path, [*server(g=0), *card(), *facts]), "time")
    assert by_job(found, "card") == {"(idle)": owed(found)["card"]}


def test_a_cpu_is_paid_by_whom_the_cpus_worked_for(tmp_path: Path) -> None:
    cpu = [event("chip", "make", -124, 40_000, kind="cpu", el_h="35040"), event("chip", "install", -100, inside="srv")]
    facts = [*ran(900), *ran(10, job="b", device="package-0", component="cpu")]
    found = booked(books(tmp_path, [*server(g=0), *cpu, *facts]))
    assert by_job(found, "chip") == {"b": owed(found)["chip"]}


def test_time_that_nobody_metered_is_a_line_of_its_own(tmp_path: Path) -> None:
    place = books(tmp_path, [*server(), *ran(10, minutes=range(30), device="c", component="cpu")])
    found = booked(place, ask=Ask("job", from_s=NOON_S, to_s=NOON_S + H))
    half = pytest.approx(28.5388 / 2 * UG, rel=1e-5)
    assert by_job(found) == {"job-0": half, "(unmetered)": half}
    said = asked(place, Ask("job", from_s=NOON_S, to_s=NOON_S + H))
    assert said["embodied"]["method"] == "reserved"
    assert said["embodied"]["unmetered_g"] == pytest.approx(28.5388 / 2, rel=1e-5)
    assert said["total"]["emissions_g"]["embodied"]["value"] == pytest.approx(28.5388 / 2, rel=1e-5)


def test_a_window_that_was_seen_in_part_is_unmetered_for_the_rest(tmp_path: Path) -> None:
    facts = ran(10, minutes=[0], length_s=H, seen_ms=H * 250, device="c", component="cpu")
    found = booked(books(tmp_path, [*server(), *facts]))
    whole = owed(found)["srv"]
    assert by_job(found) == {"job-0": pytest.approx(whole / 4, abs=1), "(unmetered)": pytest.approx(whole * 3 / 4, abs=1)}


def test_two_agents_in_turn_are_one_minute_together(tmp_path: Path) -> None:
    facts = [*ran(5, seen_ms=30_000), *ran(5, seen_ms=30_000, meter="agent:second")]
    found = booked(books(tmp_path, [*server(), *facts]))
    assert by_job(found, "srv") == {"job-0": owed(found)["srv"]}


# --- moves, and conservation ------------------------------------------------------------------------------------------------


def month() -> list[Any]:
    """Two servers, a GPU that moves from one to the other in the middle of an hour, two jobs, and times when nobody metered."""
    machines = [*server(), *server("two", host="b-1", g=2_000_001), *card()]
    moved = event("card", "move", 10.3, 77, inside="two", mode="road")
    facts: list[Any] = [*machines, moved, event("two", "repair", 20, 1234), event("srv", "estimate", 25.5, el_h="20000")]
    for hour in (*range(0, 24, 2), 25, 26):
        host = HOST if hour < 11 else "b-1"
        minutes = range(60 * hour, 60 * hour + 50)
        facts += [*ran(30, minutes=minutes, host=host), *ran(7, minutes=minutes, host=host, job="b", use="held")]
        facts += ran(2, minutes=minutes, host=host, job="(idle)", use="held")
        facts += ran(11, minutes=range(60 * hour, 60 * hour + 60, 2), job="(unattributed)", device="c", component="cpu")
    return facts


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by", [None, "hour", "day"])
def test_every_asset_is_charged_to_the_microgram(tmp_path: Path, method: Method, by: Any) -> None:
    ask = Ask("job", from_s=at(-3), to_s=at(27), by=by)
    found = booked(books(tmp_path, month()), method, ask)
    assert charged(found) == owed(found)
    assert set(owed(found)) == {"srv", "two", "card"}
    assert {"job-0", "b", "(unmetered)"} <= set(by_job(found, "card"))


@pytest.mark.parametrize("kind", ["job", "model", "device", "host", "day"])
def test_every_kind_of_report_has_the_same_kilograms(tmp_path: Path, kind: str) -> None:
    place = books(tmp_path, month())
    said = asked(place, Ask(kind, from_s=at(0), to_s=at(27)))
    rows = sum(row["emissions_g"]["embodied"]["value"] for row in said["rows"])
    total = said["total"]["emissions_g"]["embodied"]["value"]
    assert rows == pytest.approx(total, rel=1e-12)
    whole = owed(booked(place, ask=Ask("job", from_s=at(0), to_s=at(27))))
    assert total + said["embodied"]["unmetered_g"] == pytest.approx(sum(whole.values()) / UG, rel=1e-12)


def test_one_jobs_report_says_of_it_what_the_report_of_all_says(tmp_path: Path) -> None:
    place = books(tmp_path, month())
    every = {row["job"]: row["emissions_g"]["embodied"] for row in asked(place, Ask("job"))["rows"]}
    for job in ("job-0", "b"):
        [row] = asked(place, Ask("job", job))["rows"]
        assert row["emissions_g"]["embodied"]["value"] == pytest.approx(every[job]["value"], rel=1e-9)


def test_pieces_of_time_sum_to_the_line(tmp_path: Path) -> None:
    said = asked(books(tmp_path, month()), Ask("job", by="hour", from_s=at(0), to_s=at(27)))
    for row in said["rows"]:
        pieces = sum(piece.get("emissions_g", {}).get("embodied", {}).get("value", 0) for piece in row["by"])
        assert pieces == pytest.approx(row["emissions_g"]["embodied"]["value"], rel=1e-12)


@pytest.mark.parametrize("level", ["slots", "days"])
def test_rolled_up_days_are_charged_to_the_microgram(tmp_path: Path, level: Level) -> None:
    place = books(tmp_path, month(), at_s=NOON_S + 29 * H)
    fine = booked(place, ask=Ask("job", from_s=at(0), to_s=at(24)))
    roll_up(place, level)
    ask = Ask("job", from_s=at(0), to_s=at(24))
    for method in METHODS:
        found = booked(place, method, ask)
        assert charged(found) == owed(found)
    again = booked(place, ask=ask)
    if level == "slots":
        # A window holds its hour's energy evenly: a card that left in the middle of one has its part of it.
        assert by_job(again)["job-0"] == pytest.approx(by_job(fine)["job-0"], rel=0.05)


def roll_up(place: Path, level: Level) -> None:
    seal(place, NOON_S + 30 * DAY_S)
    prices = [Price("DE", NOON_S - DAY_S, 20 * DAY_S, 100_000_000, "direct", "live", "p|DE|live", 1.1)]
    for day in {manifest.segment.day for manifest in manifests(place)}:
        assert compact.compact(place, day, Plan(level, drop=True, prices=prices), now_s=NOON_S + 3000 * DAY_S)


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happened_all_is_charged(tmp_path: Path, data: st.DataObject) -> None:
    jobs = ["a", "b", "", "(idle)", "(agent)", "(unattributed)"]
    facts: list[Any] = [*server(g=data.draw(st.integers(0, 10**7)), el_h=str(data.draw(st.integers(90, 400)))), *card()]
    if data.draw(st.booleans()):
        facts += [event("card", "remove", data.draw(st.integers(-50, 30)) / 10), event("card", "install", 3.5, inside="srv")]
    for _ in range(data.draw(st.integers(0, 12))):
        minute = data.draw(st.integers(0, 200))
        more = {
            "job": data.draw(st.sampled_from(jobs)), "use": data.draw(st.sampled_from(["active", "held"])),
            "device": data.draw(st.sampled_from([GPU, "GPU-9"])), "seen_ms": data.draw(st.integers(0, 60_000)),
        }  # fmt: skip
        length_s = data.draw(st.sampled_from([1, 60, 3600]))
        facts += ran(data.draw(st.integers(0, 10**6)) / 1e6, minutes=[minute], length_s=length_s, **more)
    from_s = at(data.draw(st.integers(-60, 60)) / 60)
    ask = Ask("job", from_s=from_s, to_s=from_s + data.draw(st.integers(1, 4 * H)), by=data.draw(st.sampled_from([None, "hour"])))
    place = books(tmp_path, facts)
    for method in METHODS:
        found = booked(place, method, ask)
        assert charged(found) == owed(found)
        assert all(one.ug >= 0 for one in found.booked)
