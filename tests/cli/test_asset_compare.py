"""``wattledger asset compare``: an answer out of the books or out of flags, and one line for what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_reports import DAY_S, add, books
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.made import NOON_S, energy, key

from wattledger.accounting.assets.words import fact
from wattledger.core.facts import Key, WorkFact
from wattledger.runtime.clock import now

FLAGS = ("old", "--joules-per-unit", "10", "--work-per-day", "36000", "--zone", "DE", "--pue", "1.2", "--decline", "0")
BY_HAND = ("--replace", "kg=73,years=8,efficiency=2", "--intensity", "1000..1000..1000")
J = 1_000_000


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two cards that serve one model, the second with half the joules; the first has a passport and was made a while ago."""
    made: list[Any] = []
    for day in range(120):
        at_s = NOON_S - day * DAY_S
        for card, model, joules in (("GPU-old", "NVIDIA A100-SXM4-40GB", 40), ("GPU-new", "NVIDIA L4", 20)):
            of = key(device=card, device_model=model, job=card, run=card, pue_milli=0)
            made.append(energy(of=of, start_s=at_s, uj=joules * J))
            who = Key("agent:gpu-7", "gpu-7", "DE", run=card, job=card, model="m")
            made.append(WorkFact(who, at_s, 60, 60, 0, 40, 1))
    begun_s = now().wall_ns // 10**9 - 365 * DAY_S
    lived: Any = {"kind": "gpu", "device": "GPU-old", "el_h": 35_040, "vendor": "NVIDIA", "model": "A100"}
    made.append(fact("gpu-3", "make", at_s=begun_s - DAY_S, emitted_g=200_000, **lived))
    made.append(fact("gpu-3", "commission", at_s=begun_s, host="gpu-7"))
    return books(tmp_path, made)


def compared(front: Front, *words: str) -> Any:
    got = front("asset", "compare", *words, "--json")
    assert (got.status, got.err) == (0, "")
    return json.loads(got.out)


# --- out of flags -----------------------------------------------------------------------------------------------------------


def test_without_any_books_the_numbers_may_come_from_flags(front: Front) -> None:
    found = compared(front, *FLAGS[:-2], *BY_HAND)
    keep, replace = found["options"]
    assert found["schema"] == "wattledger.compare/1"
    assert (found["horizon_y"], found["told"]) == (8.0, "old (not in the books)")  # the life of what replaces it
    assert keep["total_kg"]["value"] == pytest.approx(8 * 36.5 * 1.2)
    assert replace["total_kg"]["value"] == pytest.approx(73 + 4 * 36.5 * 1.2)
    assert found["versus"][0]["break_even"]["years"] == pytest.approx(73 / 18.25 / 1.2)
    assert {one["name"] for one in found["assumptions"] if one["source"] == "given"} == {
        "work per day", "joules per unit", "PUE", "grid intensity", "kg of replace", "years of replace", "efficiency of replace",
    }  # fmt: skip
    assert "sunk" not in found
    assert "measured" not in found


def test_the_table_says_which_is_better_when_and_by_what(front: Front) -> None:
    got = front("asset", "compare", *FLAGS, *BY_HAND, "--repair", "kg=5,years=2", "--keep", "--horizon", "6")
    assert (got.status, got.err) == (0, "")
    out = got.out
    assert out.splitlines()[0].startswith("old (not in the books): the next 6 years, from ")
    assert [line.split()[0] for line in out.splitlines()[1:5]] == ["option", "keep", "repair", "replace"]
    for words in ("keep almost certainly emits less than repair", "replace almost certainly emits less than keep", "breaks even",
                  "never within the horizon", "hangs most on", "better above", "stands on", "joules per unit",
                  "look at the difference"):  # fmt: skip
        assert words in out
    assert all(sign.isprintable() or sign == "\n" for sign in out)


def test_what_has_already_paid_and_what_never_does_are_said(front: Front) -> None:
    free = front("asset", "compare", *FLAGS, "--replace", "kg=0,efficiency=2").out
    assert "breaks even  already: it emits no more to make it" in free
    assert "by the grid  on any grid" in free
    dear = front("asset", "compare", *FLAGS, "--replace", "kg=9000,efficiency=2").out
    assert "by the grid  on no grid there is: only above" in dear
    same = front("asset", "compare", *FLAGS, "--replace", "kg=73,efficiency=1..1..1").out
    assert "breaks even  never within the horizon" in same
    assert "by the grid  on no grid" in same
    assert "avoided by keep: 73 kg" in same


def test_a_repair_without_keep_is_what_the_others_are_compared_with(front: Front) -> None:
    found = compared(front, *FLAGS, *BY_HAND, "--repair", "kg=5,years=2")
    assert [option["name"] for option in found["options"]] == ["repair", "replace"]
    assert found["versus"][0]["against"] == "repair"


def test_watts_say_what_a_unit_takes(front: Front) -> None:
    """Of tokens over the whole day, of hours while it is used."""
    [_, by_day] = compared(front, *FLAGS, "--replace", "kg=73,power_w=5")["options"]
    assert by_day["joules_per_unit"] == pytest.approx(5 * 86_400 / 36_000)
    [_, by_hour] = compared(front, *FLAGS, "--unit", "hour", "--replace", "kg=73,power_w=5")["options"]
    assert by_hour["joules_per_unit"] == pytest.approx(5 * 3600)


def test_several_replacements_have_names_of_their_own(front: Front) -> None:
    words = ("--replace", "kg=73,efficiency=2", "--replace", "kg=7,efficiency=1.5", "--replace", "X1,kg=1,efficiency=1.1")
    found = compared(front, *FLAGS, *words, "--upgrade", "kg=2,efficiency=1.2")
    assert [option["name"] for option in found["options"]] == ["keep", "upgrade", "replace", "replace #2", "replace by X1"]
    assert len({one["name"] for one in found["assumptions"]}) == len(found["assumptions"])


def test_the_same_seed_gives_the_same_bytes(front: Front) -> None:
    first, again = (front("asset", "compare", *FLAGS, *BY_HAND, "--seed", "3", "--json").out for _ in range(2))
    other = front("asset", "compare", *FLAGS, *BY_HAND, "--seed", "4", "--json").out
    assert first == again != other


def test_kilograms_that_look_like_grams_are_said(front: Front) -> None:
    found = compared(front, *FLAGS, "--replace", "kg=164000,efficiency=2")
    assert found["notes"][-1].startswith("--replace kg=164000: are these grams?")


def test_a_model_by_its_name_has_the_packages_figure(front: Front) -> None:
    found = compared(front, *FLAGS, "--replace", "NVIDIA H100 80GB HBM3,efficiency=3")
    [made] = [one for one in found["assumptions"] if one["name"].startswith("kg of")]
    assert made["low"] < made["value"] < made["high"]
    assert made["value"] == pytest.approx(164)  # the vendor's product footprint
    assert "NVIDIA" in made["source"]


# --- out of the books -------------------------------------------------------------------------------------------------------


def test_what_was_measured_is_taken_and_said(front: Front, place: Path) -> None:
    found = compared(front, "gpu-3", "--replace", "kg=50,efficiency=2", "--ledger", str(place))
    assert found["told"] == "asset gpu-3 (NVIDIA A100)"
    assert found["measured"]["joules_per_unit"]["value"] == pytest.approx(0.4)
    stands = {one["name"]: one for one in found["assumptions"]}
    assert stands["joules per unit"]["value"] == pytest.approx(0.4)
    assert stands["joules per unit"]["source"].startswith("measured, 2026-")
    assert stands["work per day"]["value"] == pytest.approx(100)
    assert stands["grid intensity"]["source"].startswith("DE, ")  # where it was metered
    assert found["measured"]["change_per_year"]["value"] == pytest.approx(0, abs=1e-9)


def test_what_is_not_booked_yet_is_told_apart(front: Front, place: Path) -> None:
    found = compared(front, "gpu-3", "--replace", "kg=50,efficiency=2", "--ledger", str(place))
    assert found["sunk"]["carried_kg"] == pytest.approx(150, abs=0.1)  # 200 kg over 4 years, of which one has gone
    assert found["options"][0]["parts_kg"]["embodied"] == 0


def test_a_flag_goes_before_what_was_measured(front: Front, place: Path) -> None:
    words = ("--joules-per-unit", "0.5", "--zone", "FR", "--replace", "kg=50,efficiency=2", "--ledger", str(place))
    stands = {one["name"]: one for one in compared(front, "GPU-old", *words)["assumptions"]}
    assert (stands["joules per unit"]["value"], stands["joules per unit"]["source"]) == (0.5, "given")
    assert stands["grid intensity"]["source"].startswith("FR, ")


def test_a_model_that_the_books_have_metered_needs_no_efficiency(front: Front, place: Path) -> None:
    found = compared(front, "gpu-3", "--replace", "NVIDIA L4,kg=120", "--ledger", str(place))
    [efficiency] = [one for one in found["assumptions"] if one["name"].startswith("efficiency of")]
    assert efficiency["value"] == pytest.approx(2.0)
    assert efficiency["source"] == "measured: NVIDIA L4 in these books, on what both served"


def test_two_machines_are_laid_side_by_side(front: Front, place: Path) -> None:
    found = compared(front, "gpu-3", "--with", "GPU-new", "--ledger", str(place))
    assert found["efficiency"]["times_the_work_per_joule"]["value"] == pytest.approx(2.0)
    got = front("asset", "compare", "gpu-3", "--with", "GPU-new", "--ledger", str(place))
    assert "compared: device GPU-new does 2 times the work of asset gpu-3 (NVIDIA A100) with a joule" in got.out
    assert "400 mJ per token" in got.out


def test_an_hour_of_use_is_no_common_work(front: Front, place: Path) -> None:
    found = compared(front, "gpu-3", "--with", "GPU-new", "--unit", "hour", "--ledger", str(place))
    assert "did not do the same work" in found["efficiency"]["times_the_work_per_joule"]["not_known"]


def test_the_books_are_not_written(front: Front, place: Path) -> None:
    before = sorted((path.name, path.read_bytes()) for path in place.iterdir() if path.suffix == ".db")
    compared(front, "gpu-3", "--replace", "kg=50,efficiency=2", "--ledger", str(place))
    assert sorted((path.name, path.read_bytes()) for path in place.iterdir() if path.suffix == ".db") == before


def test_an_asset_without_a_meter_of_its_own_says_so(front: Front, place: Path) -> None:
    add(place, [fact("disk-1", "make", at_s=NOON_S - 200 * DAY_S, emitted_g=9_000, kind="ssd")], NOON_S)
    got = front("asset", "compare", "disk-1", "--replace", "kg=5,efficiency=2", "--ledger", str(place))
    assert (got.status, is_one_line(got.err)) == (2, True)
    assert "asset disk-1: it has no meter of its own: say --joules-per-unit" in got.err


# --- what is wrong ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("old",), "nothing to compare with"),
        (("old", "--replace", "kg=3,efficiency=2"), "no books are kept here that could know 'old'; or say --joules-per-unit"),
        ((*FLAGS, "--replace", "kg=3"), "say efficiency= (2: half the joules), joules_per_unit= or power_w="),
        ((*FLAGS, "--replace", "kg=3,eficiency=2"), "unknown word 'eficiency=2'; did you mean efficiency=?"),
        ((*FLAGS, "--replace", "kg=3,kg=4"), "kg= is said twice"),
        ((*FLAGS, "--replace", "kg=x,efficiency=2"), "--replace kg 'x': expected a number, or LOW..VALUE..HIGH"),
        ((*FLAGS, "--replace", "kg=5..4..6,efficiency=2"), "'5..4..6': expected a number, or LOW..VALUE..HIGH"),
        ((*FLAGS, "--replace", "kg=-3,efficiency=2"), "'-3': is not negative"),
        ((*FLAGS, "--replace", "kg=nan,efficiency=2"), "'nan': expected a number"),
        ((*FLAGS, "--replace", "kg=3,efficiency=0"), "'0': must be above zero"),
        ((*FLAGS, "--replace", "kg=3,years=0,efficiency=2"), "--replace years '0': must be above zero"),
        ((*FLAGS, "--replace", "kg=3,efficiency=2,power_w=3"), "say what a unit of work takes in one way"),
        ((*FLAGS, "--upgrade", "years=3"), "say what it emits to make it"),
        ((*FLAGS, "--repair", "kg=3"), "a repair alone is no choice"),
        ((*FLAGS, "--replace", "kg=3,efficiency=2", "--horizon", "500"), "--horizon 500: years, at most 50"),
        ((*FLAGS, "--replace", "kg=3,efficiency=2", "--decline", "100"), "0 to under 100"),
        ((*FLAGS, "--replace", "kg=3,efficiency=2", "--pue", "0.9"), "--pue 0.9: a PUE is facility energy over IT energy"),
        ((*FLAGS, "--replace", "kg=3,efficiency=2", "--zone", "Germny"), "unknown grid zone 'Germny'; did you mean DE (Germany)?"),
        ((*FLAGS, "--replace", "kg=3,efficiency=2", "--ledger", "nowhere"), "nowhere: there are no books"),
        ((*FLAGS, "--replace", "kg=3,efficiency=2", "--unit", "tokn"), "'tokn' is not one of"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(front: Front, words: tuple[str, ...], said: str) -> None:
    got = front("asset", "compare", *words)
    assert (got.status, got.out, is_one_line(got.err)) == (2, "", True)
    assert said in got.err


def test_a_name_that_the_books_do_not_know_gets_the_nearest(front: Front, place: Path) -> None:
    got = front("asset", "compare", "gpu-33", "--replace", "kg=3,efficiency=2", "--ledger", str(place))
    assert (got.status, is_one_line(got.err)) == (2, True)
    assert "'gpu-33'; did you mean 'gpu-3'?" in got.err


def test_help_shows_an_example(front: Front) -> None:
    got = front("asset", "compare", "--help")
    assert got.status == 0
    assert 'wattledger asset compare gpu-3 --replace "NVIDIA H100' in got.out


# --- what the first line says -------------------------------------------------------------------------------------------------


def test_a_model_without_a_figure_of_its_own_is_said_in_the_first_line(front: Front) -> None:
    for model, whose in (("NVIDIA H2000", "NVIDIA H"), ("Foo", "the middle of")):
        first = front("asset", "compare", *FLAGS, "--replace", f"{model},efficiency=3").out.splitlines()[0]
        assert f"'{model}' is not in the table: {whose}" in first
        assert "stands in" in first


def test_a_name_near_one_in_the_books_is_asked_back_and_answered(front: Front, place: Path) -> None:
    out = front("asset", "compare", "gpu3", *FLAGS[1:], *BY_HAND, "--ledger", str(place)).out
    assert out.startswith("gpu3 (not in the books; did you mean 'gpu-3'?): the next 8 years")


def test_what_keep_assumes_of_a_machine_at_its_lifes_end_is_said(front: Front, place: Path) -> None:
    long = compared(front, "gpu-3", "--replace", "kg=50,efficiency=2", "--ledger", str(place))  # three years are left of four
    assert "keep assumes that it works on for 4 years as now: 25 % of its planned life of 4 years is over" in long["notes"][0]
    short = compared(front, "gpu-3", "--replace", "kg=50,efficiency=2", "--horizon", "2", "--ledger", str(place))
    assert not [note for note in short["notes"] if note.startswith("keep assumes")]


def test_a_chance_is_no_equation_with_an_inequality(front: Front) -> None:
    out = front("asset", "compare", *FLAGS, "--replace", "kg=9000,efficiency=2").out
    assert "(P > 99.9 %)" in out
    assert "= >" not in out
