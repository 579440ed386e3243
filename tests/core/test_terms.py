"""A run that goes on while prices change: each part of its energy at the factors that were in force when it was drawn."""

import pytest
from tests.core.made import GPU, TREE, at, claim, counter, enter, factor, full, leave, part_batch, run, settled, used
from tests.core.metered import footprint

from wattledger.core.accounts import SpanAccount, joined, merge
from wattledger.core.footprint import terms_of
from wattledger.core.model import Batch, Factor, Sample
from wattledger.core.pipeline import Pipeline
from wattledger.core.pricing import Cost, priced
from wattledger.core.uncertainty import Quantity

LOW, HIGH = factor("grid", 100)._replace(quality="live"), factor("grid", 400)._replace(quality="live")
CENTS = Factor("tariff", "", 0.2, "EUR/kWh", "", "[tariff]", "", "", 1.0)
KWH = 3_600_000.0


def cell(time_s: float, energy_j: float, *more: Sample) -> Batch:
    return full(time_s, counter(GPU, time_s, energy_j), used(GPU.id, "pid:1", time_s, time_s), *more)


def changing(*between: Sample) -> SpanAccount:
    """100 J, then a change, then 300 J."""
    first = full(0, claim("pid:1", TREE), LOW, counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0), enter(1, 0))
    _, spans = run(first, cell(1, 100), part_batch(1, *between), cell(2, 400, leave(1, 2)))
    return spans[1]


def test_each_part_is_priced_at_what_was_in_force_then() -> None:
    account = changing(HIGH)
    assert [(used["grid"].value, uj) for used, uj in account.terms] == [(100, 100_000_000), (400, 300_000_000)]
    found = footprint(account)
    assert found.emissions_g["location_based"].value == pytest.approx((100 * 100 + 300 * 400) / KWH)
    assert [f.value for f in found.factors] == [100, 400]


def test_a_price_that_stays_is_one_term_whatever_is_said_again() -> None:
    assert [uj for _, uj in changing(LOW, LOW).terms] == [400_000_000]
    assert [uj for _, uj in changing(factor("something_else", 0.2)).terms] == [400_000_000]


def test_what_was_drawn_before_a_run_was_settled_is_not_priced_again_by_a_later_price() -> None:
    account = changing()
    assert terms_of(account, {"grid": HIGH}) == [({"grid": LOW}, 400_000_000)]


def test_a_running_run_is_priced_at_what_is_in_force() -> None:
    pipeline = Pipeline()
    first = full(0, claim("pid:1", TREE), LOW, counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0), enter(1, 0))
    settled(pipeline, [first, cell(1, 100), part_batch(1, HIGH), cell(2, 400)])
    account = pipeline.peek(at(2)).spans.find(1)
    assert account is not None
    assert [(used["grid"].value, uj) for used, uj in terms_of(account, pipeline.terms)] == [(100, 10**8), (400, 3 * 10**8)]


def test_the_pieces_of_a_run_keep_their_prices() -> None:
    first, second = changing(HIGH), changing(HIGH)
    whole = merge([first, second])
    assert [(used["grid"].value, uj) for used, uj in whole.terms] == 2 * [(100, 10**8), (400, 3 * 10**8)]
    assert whole.priced_uj == whole.energy_uj == 8 * 10**8
    assert joined([({"grid": LOW}, 1), ({"grid": LOW}, 2)]) == [({"grid": LOW}, 3)]


def test_a_basis_that_one_part_has_no_factor_for_is_absent() -> None:
    energy = Quantity(KWH, KWH, KWH)
    found = priced(energy, [({"grid": LOW, "upstream": LOW}, 1), ({"grid": HIGH}, 1)], 1.0)
    assert found.emissions_g.keys() == {"location_based"}
    assert found.emissions_g["location_based"].value == pytest.approx(250)


def test_a_factor_that_is_in_force_no_more_gives_no_grams_and_is_not_named() -> None:
    gone = LOW._replace(kind="upstream", value=0.0, quality="unknown")
    found = priced(Quantity(KWH, KWH, KWH), [({"grid": LOW, "upstream": gone}, 1)], 1.0)
    assert found.emissions_g.keys() == {"location_based"}
    assert found.factors == (LOW,)


def test_an_annual_average_is_wider_for_a_short_time_and_a_live_one_is_not() -> None:
    energy = Quantity(KWH, KWH, KWH)
    live, annual = (priced(energy, [({"grid": f}, 1)], 2.0).emissions_g["location_based"] for f in (LOW, factor("grid", 100)))
    assert live.high == pytest.approx(110)
    assert annual.high > 190


def test_the_cost_is_of_what_the_building_drew_at_each_hours_rate() -> None:
    energy = Quantity(2 * KWH, KWH, 3 * KWH)
    night = CENTS._replace(value=0.1)
    both = priced(energy, [({"tariff": CENTS}, 1), ({"tariff": night}, 1)], 1.0).cost
    assert both == Cost(pytest.approx(0.3), "EUR")  # type: ignore[arg-type]
    dearer = priced(energy, [({"tariff": CENTS, "pue": factor("pue", 1.5)}, 1)], 1.0).cost
    assert dearer == Cost(pytest.approx(0.6), "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [{}, {"tariff": CENTS._replace(quality="unknown")}, {"tariff": CENTS._replace(unit="USD/kWh")}])
def test_a_cost_that_is_known_in_part_or_in_two_currencies_is_not_said(other: dict[str, Factor]) -> None:
    assert priced(Quantity(KWH, KWH, KWH), [({"tariff": CENTS}, 1), (other, 1)], 1.0).cost is None


def test_the_line_says_between_which_intensities_and_what_it_cost() -> None:
    account = changing(HIGH, CENTS)
    line = str(footprint(account))
    assert "(DE 100 to 400 g/kWh" in line
    paid = footprint(account, factors={})
    assert paid.cost is None
    assert "cost" not in paid.to_dict()


def test_a_cost_stands_in_the_json() -> None:
    first = full(0, claim("pid:1", TREE), CENTS, counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0), enter(1, 0))
    _, spans = run(first, cell(2, 720, leave(1, 2)))
    found = footprint(spans[1])
    assert found.to_dict()["cost"] == {"value": pytest.approx(0.00004), "currency": "EUR"}
    assert str(found).endswith("; 4e-05 EUR")
