"""Grams per kWh from what was generated."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.factors.grid import mix

AMOUNTS = st.dictionaries(
    st.sampled_from(sorted(mix.DIRECT_G_PER_KWH)), st.integers(0, 100_000).map(Decimal), min_size=1, max_size=8
)


@pytest.mark.parametrize(
    ("amounts", "grams"),
    [
        ({"coal": 1, "wind": 1}, 380.0),
        ({"gas": 3, "nuclear": 1}, 277.5),
        ({"hydro": 5}, 0.0),
        ({"solar": -3, "gas": 1}, 370.0),
        ({"gas": 1, "storage": 9}, 370.0),
        ({"gas": 1, "storage": -9}, 370.0),
    ],
)
def test_an_hour_is_its_fuels_weighed(amounts: dict[mix.Fuel, int], grams: float) -> None:
    """A plant's own use at night is not generation, and storage generates nothing."""
    assert mix.ug_per_kwh({fuel: Decimal(amount) for fuel, amount in amounts.items()}) == grams * 1e6


@pytest.mark.parametrize("amounts", [{}, {"wind": Decimal(0)}, {"storage": Decimal(7)}, {"solar": Decimal(-1)}])
def test_an_hour_in_which_nothing_was_generated_has_no_intensity_not_zero(amounts: mix.Mix) -> None:
    assert mix.ug_per_kwh(amounts) is None


@given(AMOUNTS)
def test_a_mix_is_never_cleaner_than_its_cleanest_fuel_nor_dirtier_than_its_dirtiest(amounts: dict[mix.Fuel, Decimal]) -> None:
    found = mix.ug_per_kwh(amounts)
    made = [mix.DIRECT_G_PER_KWH[fuel] * 10**6 for fuel, amount in amounts.items() if amount]
    assert found is None if not made else found is not None and min(made) <= found <= max(made)


@given(AMOUNTS, st.integers(1, 1_000))
def test_only_the_parts_matter(amounts: dict[mix.Fuel, Decimal], times: int) -> None:
    assert mix.ug_per_kwh(amounts) == mix.ug_per_kwh({fuel: amount * times for fuel, amount in amounts.items()})


def test_an_hour_that_does_not_know_of_its_coal_yet_is_left_out() -> None:
    full: mix.Mix = {"coal": Decimal(50), "wind": Decimal(50), "oil": Decimal("0.5")}
    hours: dict[int, mix.Mix] = {
        0: full,
        1: {**full, "coal": Decimal(0)},
        2: {"wind": Decimal(60)},
        3: {"coal": Decimal(40), "wind": Decimal(60)},
    }
    assert sorted(mix.complete(hours)) == [0, 1, 3]


def test_every_fuel_but_storage_has_a_factor() -> None:
    from typing import get_args

    assert set(get_args(mix.Fuel)) - set(mix.DIRECT_G_PER_KWH) == {"storage"}
