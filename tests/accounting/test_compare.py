"""Keep or replace: by hand, and what must hold of any answer."""

import json
from math import inf, log
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_choices import KEEP, REPLACE, asked

from wattledger.accounting.assets.life import Passport
from wattledger.accounting.compare.analytic import difference, total
from wattledger.accounting.compare.answer import answer, best
from wattledger.accounting.compare.assumption import middle
from wattledger.accounting.compare.machine import Machine, made_by
from wattledger.accounting.compare.option import (
    GRID,
    KEPT,
    PARTS,
    PUE,
    WORK,
    Counting,
    Course,
    Option,
    Question,
    avoided_kg,
    break_even_g_per_kwh,
    break_even_y,
    course,
    years_at_today,
)
from wattledger.accounting.compare.rows import to_dict, verdict


def courses(question: Question) -> tuple[Course, Course]:
    """(the other, the first), at the values as they are."""
    old, new = (course(option, middle(question.assumptions)) for option in question.options[:2])
    return new, old


def intensity(question: Question) -> float | None:
    new, old = courses(question)
    now = question.assumptions[GRID].value
    return break_even_g_per_kwh(new, old, intensity_g_per_kwh=now, horizon_y=question.horizon_y, counting=question.counting)


# --- by hand ----------------------------------------------------------------------------------------------------------------


def test_the_totals_are_a_hands() -> None:
    keep, replace = answer(asked()).lines
    assert keep.parts_kg == pytest.approx({"embodied": 0, "operation": 8 * 36.5, "maintenance": 0, "end of life": 0})
    assert replace.parts_kg == pytest.approx({"embodied": 73, "operation": 4 * 36.5, "maintenance": 0, "end of life": 0})
    assert (keep.joules_per_unit, replace.joules_per_unit) == (10, 5)
    assert tuple(replace.parts_kg) == PARTS


def test_the_break_even_date_is_carbon_over_what_is_saved_a_year() -> None:
    new, old = courses(asked())
    assert break_even_y(new, old, 8) == pytest.approx(73 / 18.25, rel=1e-12)  # four years
    found = to_dict(answer(asked()), Machine("a", "a"), "token")
    assert found["versus"][0]["break_even"]["date"] == "1973-12-31"  # years of 365 days
    assert answer(asked(horizon_y=3.9)).versus[0].break_even_y == inf


def test_a_grid_that_gets_cleaner_repays_later_and_one_that_does_so_fast_never() -> None:
    # 73 = 18.25 x (1 - 0.9^t) / -ln 0.9
    new, old = courses(asked(values={KEPT: 0.9}))
    assert break_even_y(new, old, 8) == pytest.approx(log(1 - 73 / 18.25 * -log(0.9)) / log(0.9), rel=1e-9)
    new, old = courses(asked(values={KEPT: 0.7}))
    assert break_even_y(new, old, 8) == inf


def test_a_break_even_that_upkeep_undoes_again_is_found() -> None:
    """The savings of a cleaner grid no longer pay the dearer upkeep in the end, but did in between."""
    new = Course(10.0, 0.0, inf, 10.0, 8.0, 0.5)
    old = Course(0.0, 0.0, inf, 40.0, 0.0, 0.5)
    assert new.total(8, "whole") > old.total(8, "whole")
    at = break_even_y(new, old, 8)
    assert 0 < at < 2
    assert new.total(at, "whole") == pytest.approx(old.total(at, "whole"), abs=1e-6)


def test_the_break_even_intensity_is_carbon_md_3_6() -> None:
    """I* = (P_new t2/EL_new - F) / ((e_old - e_new) W)."""
    repair = Option("repair", KEEP.energy, "repair kg", "repair years")
    values = {"repair kg": 5.0, "repair years": 2.0}
    question = asked(repair, REPLACE, horizon_y=2.0, counting="share", values=values)
    saved_kwh = 5 * 36_000 * 730 / 3.6e6
    assert intensity(question) == pytest.approx((73 * 2 / 8 - 5) * 1000 / saved_kwh, rel=1e-12)
    new, old = courses(question)
    # A = P_new t2/EL_new - F - (e_old - e_new) I W
    assert avoided_kg(old, new, 2.0) == pytest.approx(73 * 2 / 8 - 5 - saved_kwh, rel=1e-12)


def test_at_the_break_even_intensity_both_emit_the_same() -> None:
    countings: tuple[Counting, ...] = ("whole", "share")
    for counting in countings:
        at = intensity(asked(horizon_y=5.0, counting=counting))
        assert at is not None
        keep, replace = answer(asked(horizon_y=5.0, counting=counting, values={GRID: at})).lines
        assert keep.total_kg.value == pytest.approx(replace.total_kg.value, rel=1e-12)


def test_beyond_its_life_a_thing_is_made_again_by_its_share_of_time() -> None:
    new, _ = courses(asked())
    assert new.parts(8, "whole")["embodied"] == 73
    assert new.parts(12, "whole")["embodied"] == pytest.approx(73 * 1.5)
    assert new.parts(2, "share")["embodied"] == pytest.approx(73 / 4)


def test_years_at_todays_intensity() -> None:
    assert years_at_today(1.0, 7) == 7
    assert years_at_today(0.9, 2) == pytest.approx((1 - 0.81) / -log(0.9))


# --- laws -------------------------------------------------------------------------------------------------------------------


def test_an_identical_machine_never_pays() -> None:
    for kg in (0.0, 73.0):
        found = answer(asked(values={"efficiency": 1.0, "kg": kg})).versus[0]
        assert (found.break_even_y, found.drawn.better, found.drawn.repaid) == (inf, 0.0, 0.0)
        assert found.intensity_g_per_kwh is None


def test_what_is_free_and_takes_less_has_broken_even_already() -> None:
    found = answer(asked(values={"kg": 0.0})).versus[0]
    assert (found.break_even_y, found.drawn.better, found.intensity_g_per_kwh) == (0.0, 1.0, 0.0)


@settings(max_examples=60, deadline=None)
@given(st.floats(1.01, 10), st.floats(1.01, 3), st.floats(1, 500), st.floats(0.8, 1.0))
def test_the_more_efficient_the_new_the_earlier_it_breaks_even(efficiency: float, more: float, kg: float, kept: float) -> None:
    questions = [asked(values={"efficiency": times, "kg": kg, KEPT: kept}) for times in (efficiency, efficiency * more)]
    worse, better = (break_even_y(*courses(question), 8) for question in questions)
    assert better <= worse


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 100), st.floats(1, 500), st.floats(0.5, 4))
def test_scaling_all_kilograms_scales_the_differences(scale: float, kg: float, efficiency: float) -> None:
    one, other = (
        answer_of(asked(g95=1.3, values={"kg": kg * by, "efficiency": efficiency, GRID: 400 * by})) for by in (1.0, scale)
    )
    assert other == pytest.approx([value * scale for value in one], rel=1e-6, abs=1e-9)


def answer_of(question: Question) -> list[float]:
    keep, replace = question.options
    return [*total(keep, question), *total(replace, question), *difference(replace, keep, question)]


def test_the_break_even_is_where_the_cumulative_lines_cross() -> None:
    for kept in (1.0, 0.95, 0.9):
        new, old = courses(asked(values={KEPT: kept}))
        at = break_even_y(new, old, 40)
        assert new.total(at, "whole") == pytest.approx(old.total(at, "whole"), rel=1e-9)
        assert new.total(at * 0.99, "whole") > old.total(at * 0.99, "whole")


def test_sunk_carbon_is_in_no_option() -> None:
    """What was emitted to make the old one changes no figure: it is told beside them."""
    found = answer(asked(g95=1.2))
    with_sunk, without = (to_dict(found, Machine("a", "a", carried_kg=kg), "token") for kg in (500.0, None))
    assert with_sunk.pop("sunk") == {"carried_kg": 500.0}
    assert with_sunk == without


def test_avoided_emissions_are_outside_the_inventory() -> None:
    found = to_dict(answer(asked()), Machine("a", "a"), "token")
    assert found["versus"][0]["outside_inventory"]["avoided_kg"]["value"] == pytest.approx(73 - 4 * 36.5)
    assert "avoided" not in json.dumps([found["options"], found["versus"][0]["difference_kg"]])


# --- how sure ---------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes() -> None:
    question = asked(g95=1.4)
    first, again, other = (json.dumps(to_dict(answer(question, seed=n), Machine("a", "a"), "token")) for n in (7, 7, 8))
    assert first == again
    assert first != other


def test_an_exact_question_has_an_exact_answer() -> None:
    found = answer(asked())
    assert found.lines[0].total_kg == pytest.approx([292, 292, 292])
    assert found.versus[0].difference_kg == pytest.approx([-73, -73, -73])
    assert found.versus[0].drawn.difference_kg == pytest.approx((-73, -73))
    assert found.versus[0].swings == ()


def test_what_moves_the_answer_most_comes_first() -> None:
    found = answer(asked(g95s={"kg": 3.0, GRID: 1.1, WORK: 1.05, PUE: 1.01})).versus[0].swings
    assert [swing.name for swing in found] == ["kg", GRID, WORK, PUE]
    kg = found[0]
    assert [kg.at_low_kg, kg.at_high_kg] == pytest.approx([73 / 3 - 146, 219 - 146])
    assert kg.turns
    assert not found[1].turns


def test_an_error_that_both_share_widens_no_difference_beyond_its_own() -> None:
    """The grid's error is common: of two machines that differ by a tenth, it is an error of a tenth."""
    found = answer(asked(values={"efficiency": 1 / 0.9, "kg": 0.0}, g95s={GRID: 1.3}))
    assert found.versus[0].drawn.better == 1.0
    low, high = found.versus[0].drawn.difference_kg
    assert (low, high) == pytest.approx((-29.2 * 1.3, -29.2 / 1.3), rel=0.03)


def test_a_break_even_interval_may_end_beyond_the_horizon() -> None:
    found = answer(asked(g95s={"kg": 3.0})).versus[0].drawn
    assert (found.break_even_y[0] < 4 < found.break_even_y[1], found.break_even_y[1]) == (True, inf)
    assert 0.5 < found.repaid < 0.95


@pytest.mark.parametrize(
    ("kg", "words"),
    [(1.0, "replace almost certainly emits less than keep"), (146.0, "replace cannot be told apart from keep"),
     (2000.0, "keep almost certainly emits less than replace")],
)  # fmt: skip
def test_a_sentence_is_as_sure_as_the_draws(kg: float, words: str) -> None:
    found = answer(asked(g95=1.2, values={"kg": kg}))
    assert verdict(found.versus[0], "keep").startswith(words)


def test_the_best_option_is_the_one_that_causes_least() -> None:
    third = Option("upgrade", (("joules per unit", 1), ("more", -1)), "part kg")
    question: Any = asked(KEEP, REPLACE, third, values={"more": 1.5, "part kg": 10.0})
    assert best(answer(question)).name == "upgrade"
    assert [each.option.name for each in answer(question).versus] == ["replace", "upgrade"]


def test_a_machine_is_named_by_its_maker_once() -> None:
    assert made_by(Passport("a", "gpu", "", "NVIDIA A100")) == "NVIDIA A100"
    assert made_by(Passport("a", "gpu", "NVIDIA", "NVIDIA A100")) == "NVIDIA A100"
    assert made_by(Passport("a", "gpu", "NVIDIA", "A100")) == "NVIDIA A100"
