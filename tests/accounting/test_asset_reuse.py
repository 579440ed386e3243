"""Two lives: whatever the method, they are the whole."""

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.accounting.assets.life import Reuse
from wattledger.accounting.assets.reuse import Shares, Terms, production, shares, terms_of

KG = 1_000_000_000
INPUTS = {"years_1": Decimal(4), "years_2": Decimal(2), "price_ratio": Decimal("0.25"), "mass_ratio": Decimal("0.1")}


# Example 29 of the reference: production 1,312 kg, 4 and 2 years, refurbishment 50, end of life 20, resale at a quarter.
@pytest.mark.parametrize(
    ("method", "first_kg", "second_kg"),
    [
        ("cut-off", 1312, 70), ("50/50", 666, 716), ("time", 874.67, 437.33 + 70), ("economic", 984, 398),
        ("mass", 1180.8, 131.2 + 70),
    ],
)  # fmt: skip
def test_example_29(method: Reuse, first_kg: float, second_kg: float) -> None:
    found = shares(1312 * KG, 50 * KG, 20 * KG, Terms(method, INPUTS))
    assert found.first_ug / KG == pytest.approx(first_kg, abs=0.005)
    assert found.second_ug / KG == pytest.approx(second_kg, abs=0.005)
    assert sum(found) == 1382 * KG


AMOUNT = st.integers(0, 10**15)
RATIO = st.decimals(0, 1, places=4)
YEARS = st.decimals("0.01", 30, places=2)


@given(st.sampled_from(get_args(Reuse)), AMOUNT, AMOUNT, AMOUNT, st.fixed_dictionaries(
    {"years_1": YEARS, "years_2": YEARS, "price_ratio": RATIO, "mass_ratio": RATIO}
))  # fmt: skip
def test_two_lives_sum_to_the_whole(method: Reuse, made: int, fresh: int, ended: int, inputs: dict[str, Decimal]) -> None:
    terms = Terms(method, inputs)
    assert terms.wrong() == ""
    found = shares(made, fresh, ended, terms)
    assert sum(found) == made + fresh + ended
    assert min(found) >= 0
    assert sum(production(made, terms)) == made


@pytest.mark.parametrize(
    ("method", "inputs", "why"),
    [
        ("time", {"years_1": Decimal(4)}, "method time needs years_2"),
        ("economic", {}, "method economic needs price_ratio"),
        ("mass", {"mass_ratio": Decimal("1.5")}, "mass_ratio is a share, and over 1"),
        ("time", {"years_1": Decimal(0), "years_2": Decimal(0)}, "the two lives together last no time"),
        ("economic", {"price_ratio": Decimal("-0.1")}, "a part of a life is not negative"),
    ],
)
def test_terms_that_cannot_be_are_said(method: Reuse, inputs: dict[str, Decimal], why: str) -> None:
    assert Terms(method, inputs).wrong() == why


def test_who_says_no_method_means_cut_off_and_an_unknown_one_is_none() -> None:
    assert terms_of({}, {}) == Terms("cut-off")
    assert terms_of({"method": "both"}, {}) is None
    assert production(7, Terms("50/50")) == Shares(4, 3)
