"""Programs that meter themselves, what serves many hosts, hours on and work done: each pays its part, and all of it is charged."""

from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_machines import (
    GPU,
    HOST,
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
from tests.accounting.made_reports import LEARNT_S, add, asked, books
from tests.ledger.made import NOON_S, work

from wattledger.accounting.report_ask import Ask
from wattledger.core.facts import Correction, RunFact


def test_a_corrected_event_holds_as_corrected(tmp_path: Path) -> None:
    facts = [*server(), *ran(10, device="c", component="cpu")]
    place = books(tmp_path, facts)
    wrong = add(place, [event("other", "make", -9, 5, kind="server"), event("other", "commission", -8, host=HOST)], LEARNT_S)
    assert "other" in owed(booked(place))
    add(place, [Correction(wrong[0], "no such machine")], LEARNT_S + 1)
    found = booked(place)
    assert set(owed(found)) == {"srv"} == set(charged(found))


def tracked(reserved_s: int, minutes: int = 60, **more: Any) -> list[Any]:
    """As ``track`` keeps books: its energy is of the meter's run, each of its runs tells under a name of its own."""
    reserved = (GPU, reserved_s * 10**9), ("host", 10**12)
    began = RunFact("began", "track:t", HOST, at(0) * 1000, "job-run")
    ended = RunFact("ended", "track:t", HOST, at(1) * 1000, "run-0", "job-run", "job-0", reserved=reserved)
    return [began, *ran(10, minutes=range(minutes), meter="track:t", run="job-run"), ended._replace(**more)]


def test_a_program_that_meters_itself_pays_for_what_it_reserved(tmp_path: Path) -> None:
    found = booked(books(tmp_path, [*server(), *card(), *tracked(1800)]))
    card_ug, server_ug = owed(found)["card"], owed(found)["srv"]
    assert by_job(found, "card") == {"job-0": pytest.approx(card_ug / 2, abs=1), "(unmetered)": pytest.approx(card_ug / 2, abs=1)}
    assert by_job(found, "srv")["job-0"] == pytest.approx(server_ug * 1000 / 3600, rel=1e-6)
    assert charged(found) == owed(found)


def test_the_runs_of_one_program_pay_together_for_what_they_reserved_and_divide_it_by_use(tmp_path: Path) -> None:
    second = ran(10, minutes=range(60, 70), meter="track:t", run="job-run", job="second")
    ended = RunFact("ended", "track:t", HOST, at(2) * 1000, "run-1", "job-run", "second", reserved=((GPU, 300 * 10**9),))
    found = booked(books(tmp_path, [*server(), *card(), *tracked(1800), *second, ended]))
    hour = owed(found)["card"] * 3600 / 4200
    paid = by_job(found, "card")
    assert paid["second"] + paid["job-0"] == pytest.approx(hour * 2100 / 3600, rel=1e-5)
    assert paid["second"] == pytest.approx(hour * 2100 / 3600 * 10 / 70, rel=1e-5)


def test_of_books_that_begin_later_a_runs_parent_is_what_its_energy_is_of(tmp_path: Path) -> None:
    _, *rest = tracked(1800)
    found = booked(books(tmp_path, [*server(), *card(), *rest]))
    assert by_job(found, "card")["job-0"] == pytest.approx(owed(found)["card"] / 2, abs=1)


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
    facts: list[Any] = [net, event("net", "commission", -100, site="hall")]
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
    plan: dict[str, Any] = {"scheme": "work", "work_unit": "energy_j", "el_work": str(35_040 * 3_600_000)}
    facts = [*server(**plan), *ran(joules, device="c", component="cpu")]
    found = booked(books(tmp_path, facts))
    assert by_job(found)["job-0"] == pytest.approx(28.5388 * UG * joules * 60 / 3.6e6, rel=1e-4)
    assert sum(by_job(found).values()) == owed(found)["srv"]


def test_work_beyond_the_plan_is_charged_and_taken_back_in_the_true_up(tmp_path: Path) -> None:
    plan: dict[str, Any] = {"scheme": "work", "work_unit": "energy_j", "el_work": str(35_040 * 3_600_000)}
    found = booked(books(tmp_path, [*server(**plan), *ran(120_000, device="c", component="cpu")]))
    assert by_job(found)["job-0"] == pytest.approx(2 * 28.5388 * UG, rel=1e-4)
    assert by_job(found)["(true-up)"] < 0
    assert sum(by_job(found).values()) == owed(found)["srv"]


@pytest.mark.parametrize("kind", ["job", "model", "host", "device"])
def test_tokens_are_charged_each_at_the_planned_price(tmp_path: Path, kind: str) -> None:
    # Planned: a million tokens in each of 35,040 hours; done in one hour: 876 by job-1, and twice that by job-2.
    plan: dict[str, Any] = {"scheme": "work", "work_unit": "tokens", "el_work": str(35_040 * 1_000_000)}
    done = [work(1), work(2), work(2, start_s=NOON_S + 60)]
    place = books(tmp_path, [*server(**plan), *ran(10, device="c", component="cpu"), *done])
    found = booked(place, ask=Ask(kind))
    got, whole = by_job(found), owed(found)["srv"]
    assert sum(got.values()) == whole
    assert whole - got["(true-up)"] == pytest.approx(whole * 3 * 876 / 1e6, abs=1)
    if kind == "device":  # whose tokens are not known: there they are charged by energy
        assert {one.group for one in found.booked if one.group is not None} == {(HOST, "c", "cpu", "NVIDIA H100 80GB HBM3")}
    else:
        assert got["job-2"] == pytest.approx(2 * got["job-1"], abs=2)
