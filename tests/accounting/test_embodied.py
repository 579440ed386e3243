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
from tests.accounting.made_reports import LEARNT_S, asked, books
from tests.ledger.made import NOON_S, began

from wattledger.accounting.price import Price
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.core.facts import Correction, RunFact
from wattledger.ledger import compact
from wattledger.ledger.compact import Plan
from wattledger.ledger.manifest import manifests
from wattledger.ledger.query_embodied_sql import Method
from wattledger.ledger.rollup import Level
from wattledger.ledger.segments import seal

YEARS_4_H = 35_040


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
    machines = [*server(), *server("two", host="b-1", g=2_000_001), *card(), event("card", "move", 10.3, 77, inside="two", mode="road")]
    facts = [*machines, event("two", "repair", 20, 1234), event("srv", "estimate", 25.5, el_h="20000")]
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
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


# --- estimates --------------------------------------------------------------------------------------------------------------


MACHINE = (("machine.class", "server"), ("machine.cpus", "64"), ("machine.memory_gb", "512"))


def test_a_gpu_without_a_passport_is_estimated_for_the_time_it_was_metered(tmp_path: Path) -> None:
    place = books(tmp_path, ran(1000))
    said = asked(place, Ask("job", from_s=at(-10), to_s=at(10)))
    [row] = said["rows"]
    # carbon.md 9, example 20: 164 kg over four years, an hour.
    assert row["emissions_g"]["embodied"]["value"] == pytest.approx(4.680, abs=1e-3)
    assert row["stands_on"]["embodied"]["quality"] == {"estimate": 1.0}
    assert row["emissions_g"]["embodied"]["high"] > row["emissions_g"]["embodied"]["value"] * 3  # 575 kg by another source
    assert "unmetered_g" not in said["embodied"]


def test_a_passport_stops_the_estimate_of_the_same_thing_and_no_other(tmp_path: Path) -> None:
    facts = [*ran(1000), *ran(10, device="GPU-1"), began(config=MACHINE)]
    two_cards = {one.asset for one in booked(books(tmp_path, facts)).booked}
    assert two_cards == {f"estimate:{GPU}", "estimate:GPU-1", f"estimate:{HOST}"}
    one_card = {one.asset for one in booked(books(tmp_path, [*server(), *card(), *facts])).booked}
    assert one_card == {"srv", "card", "estimate:GPU-1"}


def test_a_host_whose_meter_said_nothing_of_it_is_not_guessed_and_one_that_is_configured_is(tmp_path: Path) -> None:
    place = books(tmp_path, ran(10, device="c", component="cpu"))
    found = asked(place, Ask("job"))
    assert "embodied" not in found["rows"][0]["emissions_g"]
    assert "no passports" in found["not_known"]["embodied"]
    [row] = asked(place, Ask("job"), Rules(host_kg=438, host_life_h=43_800))["rows"]
    assert row["emissions_g"]["embodied"]["value"] == pytest.approx(10)


def test_it_is_left_out_as_configured(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [*server(), *ran(10)]), Ask("job"), Rules(embodied=False))
    assert "embodied" not in found["total"]["emissions_g"]
    assert "as configured" in found["not_known"]["embodied"]


def test_it_is_never_part_of_another_sum(tmp_path: Path) -> None:
    facts = [*ran(10), *server(), *card()]
    with_it, without = (asked(books(tmp_path, facts), Ask("job"), Rules(embodied=on))["total"]["emissions_g"] for on in (True, False))
    assert {basis: grams for basis, grams in with_it.items() if basis != "embodied"} == without


# --- how sure ---------------------------------------------------------------------------------------------------------------


def interval(found: dict[str, Any]) -> tuple[float, float]:
    grams = found["total"]["emissions_g"]["embodied"]
    return grams["value"] / grams["low"], grams["high"] / grams["value"]


def test_things_of_one_model_share_their_error_and_others_do_not(tmp_path: Path) -> None:
    # carbon.md 8.1: a thousand equal rows of one factor are as unsure as one.
    one = interval(asked(books(tmp_path, [*server(g=0), *card(), *ran(1)]), Ask("job")))
    alike = [*card(), *card("card-2", device="GPU-1"), *ran(1), *ran(1, device="GPU-1")]
    assert interval(asked(books(tmp_path, [*server(g=0), *alike]), Ask("job"))) == pytest.approx(one)
    assert one == pytest.approx((1.5, 1.5))  # a vendor's product footprint (carbon.md 8.3), its service life stated
    mixed = interval(asked(books(tmp_path, [*server(g=164_000), *card(), *ran(1)]), Ask("job")))
    assert mixed[1] == pytest.approx(1 + 0.5 / 2**0.5, rel=1e-6)


def test_a_passports_own_interval_is_taken_and_an_assumed_life_widens_it(tmp_path: Path) -> None:
    words = {"kind": "server", "method": "pcf", "source": "v", "model": "R", "low_g": "800000", "high_g": "3000000"}
    made = [event("srv", "make", -9, 1_000_000, **words), event("srv", "commission", -5, host=HOST)]
    low, high = interval(asked(books(tmp_path, [*made, *ran(1, device="c", component="cpu")]), Ask("job")))
    assert low == pytest.approx(2.718281828 ** ((0.22314**2 + 0.33647**2) ** 0.5), rel=1e-4)
    assert high == pytest.approx(2.718281828 ** ((1.09861**2 + 0.33647**2) ** 0.5), rel=1e-4)


# --- corrections, programs that meter themselves, shared assets, work ----------------------------------------------------------


def test_a_corrected_event_holds_as_corrected(tmp_path: Path) -> None:
    from tests.accounting.made_reports import add

    facts = [*server(), *ran(10, device="c", component="cpu")]
    place = books(tmp_path, facts)
    wrong = add(place, [event("other", "make", -9, 5, kind="server"), event("other", "commission", -8, host=HOST)], LEARNT_S)
    assert "other" in owed(booked(place))
    add(place, [Correction(wrong[0], "no such machine")], LEARNT_S + 1)
    found = booked(place)
    assert set(owed(found)) == {"srv"} == set(charged(found))


def tracked(reserved_s: int, minutes: int = 60, **more: Any) -> list[Any]:
    ended = RunFact("ended", "track:t", HOST, at(1) * 1000, "run-0", job="job-0", reserved=((GPU, reserved_s * 10**9), ("host", 10**12)))
    return [*ran(10, minutes=range(minutes), meter="track:t", run="run-0"), ended._replace(**more)]


def test_a_program_that_meters_itself_pays_for_what_it_reserved(tmp_path: Path) -> None:
    found = booked(books(tmp_path, [*server(), *card(), *tracked(1800)]))
    card_ug, server_ug = owed(found)["card"], owed(found)["srv"]
    assert by_job(found, "card") == {"job-0": pytest.approx(card_ug / 2, abs=1), "(unmetered)": pytest.approx(card_ug / 2, abs=1)}
    assert by_job(found, "srv")["job-0"] == pytest.approx(server_ug * 1000 / 3600, rel=1e-6)
    assert charged(found) == owed(found)


def test_an_inner_run_pays_its_own_part_of_the_outers(tmp_path: Path) -> None:
    inner = ran(10, minutes=range(60, 70), meter="track:t", run="run-1", job="inner")
    ended = RunFact("ended", "track:t", HOST, at(2) * 1000, "run-1", "run-0", "inner", reserved=((GPU, 300 * 10**9),))
    found = booked(books(tmp_path, [*server(), *card(), *tracked(2100), *inner, ended]))
    hour = owed(found)["card"] * 3600 / 4200
    assert by_job(found, "card")["inner"] == pytest.approx(hour * 300 / 3600, rel=1e-5)
    assert by_job(found, "card")["job-0"] == pytest.approx(hour * 1800 / 3600, rel=1e-5)


def test_a_program_that_did_not_say_what_it_reserved_is_not_guessed(tmp_path: Path) -> None:
    place = books(tmp_path, [*server(), *card(), *tracked(1800, reserved=())])
    found = booked(place)
    assert by_job(found, "card") == {"(unmetered)": owed(found)["card"]}
    assert any("did not say how much" in note for note in asked(place, Ask("job"))["notes"])


def test_a_run_over_days_pays_a_days_part_of_it_in_a_days_report(tmp_path: Path) -> None:
    day = 24 * 60
    windows = ran(10, minutes=range(0, 2 * day, 60), length_s=H, meter="track:t", run="run-0")
    said = RunFact("ended", "track:t", HOST, at(48) * 1000, "run-0", job="job-0", reserved=((GPU, 24 * H * 10**9),))
    start = RunFact("began", "track:t", HOST, at(0) * 1000, "run-0")
    place = books(tmp_path, [*server(), *card(), start, *windows, said])
    ask = Ask("job", from_s=at(24), to_s=at(48))
    found = booked(place, ask=ask)
    assert by_job(found, "card")["job-0"] == pytest.approx(owed(found)["card"] / 2, rel=1e-6)


@pytest.mark.parametrize(("key", "parts"), [("hosts", (0.5, 0.5)), ("energy", (0.25, 0.75)), ("hours", (2 / 3, 1 / 3))])
def test_what_serves_many_hosts_is_spread_by_its_key(tmp_path: Path, key: str, parts: tuple[float, float]) -> None:
    net = event("net", "make", -124, 1_000_000, kind="network", spread_over=f"{HOST}, b", spread_by=key, el_h="35040")
    facts = [net, event("net", "commission", -100, site="hall")]
    facts += [*ran(10), *ran(60, minutes=range(30), host="b", job="b")]
    found = booked(books(tmp_path, [*server(), *server("two", host="b"), *facts]))
    got, whole = by_job(found, "net"), owed(found)["net"]
    assert sum(got.values()) == whole
    assert got["job-0"] == pytest.approx(whole * parts[0], abs=2)
    # By hosts, each pays for all of the time, metered or not.
    half = 0.5 if key == "hosts" else 1.0
    assert got["b"] == pytest.approx(whole * parts[1] * half, abs=2)


def test_hours_on_leave_a_true_up(tmp_path: Path) -> None:
    facts = [*server(scheme="hours-on"), *ran(10, minutes=range(15), device="c", component="cpu")]
    found = booked(books(tmp_path, facts), ask=Ask("job", from_s=NOON_S, to_s=NOON_S + H))
    whole = owed(found)["srv"]
    assert by_job(found) == {"job-0": pytest.approx(whole / 4, abs=1), "(true-up)": pytest.approx(whole * 3 / 4, abs=1)}


@pytest.mark.parametrize("joules", [600, 6000])
def test_work_is_charged_by_the_planned_price_of_a_unit_and_the_rest_is_trued_up(tmp_path: Path, joules: int) -> None:
    # Planned: 35,040 h x 3,600,000 J: 3.6 MJ an hour.  Done: 0.036 or 0.36 MJ in an hour, so 1 % or 10 % of an hour's part.
    plan = {"scheme": "work", "work_unit": "energy_j", "el_work": str(35_040 * 3_600_000)}
    facts = [*server(**plan), *ran(joules, device="c", component="cpu")]
    found = booked(books(tmp_path, facts))
    assert by_job(found)["job-0"] == pytest.approx(28.5388 * UG * joules * 60 / 3.6e6, rel=1e-4)
    assert sum(by_job(found).values()) == owed(found)["srv"]


def test_work_beyond_the_plan_is_charged_and_taken_back_in_the_true_up(tmp_path: Path) -> None:
    plan = {"scheme": "work", "work_unit": "energy_j", "el_work": str(35_040 * 3_600_000)}
    found = booked(books(tmp_path, [*server(**plan), *ran(120_000, device="c", component="cpu")]))
    assert by_job(found)["job-0"] == pytest.approx(2 * 28.5388 * UG, rel=1e-4)
    assert by_job(found)["(true-up)"] < 0
    assert sum(by_job(found).values()) == owed(found)["srv"]
