"""Joules to grams, by hand."""

import pytest
from tests.core.made import factor

from wattledger.core.pricing import emissions, grams
from wattledger.core.uncertainty import Quantity

KWH_J = 3_600_000.0


def test_a_hundred_kilowatt_hours_at_380_grams_are_38_kilograms() -> None:
    """carbon.md 9, example 1."""
    assert grams(100 * 3_600_000 * 1_000_000, 380, 1.0) == pytest.approx(38_000)


def test_pue_multiplies_what_the_it_drew() -> None:
    assert grams(3_600_000_000_000, 300, 1.2) == pytest.approx(360)


def test_grams_carry_the_interval_of_every_factor_and_of_the_mismatch() -> None:
    """ln g: 1.10 of the sensor, 1.05 of the grid, 1.15 of the PUE, 2.0 for an hour judged by a year."""
    found = emissions(Quantity(KWH_J, KWH_J / 1.10, KWH_J * 1.10), [factor("grid", 329, 1.05), factor("pue", 1.5, 1.15)], 2.0)
    g95 = 2.0445
    assert found == pytest.approx((493.5, 493.5 / g95, 493.5 * g95), rel=1e-3)


def test_without_a_factor_there_is_nothing_to_multiply_by_but_one() -> None:
    assert emissions(Quantity(KWH_J, KWH_J, KWH_J), [], 1.0) == pytest.approx((1, 1, 1))


def test_a_grid_may_be_cleaner_than_the_worlds_average_but_not_dirtier() -> None:
    world = factor("grid", 400, 15.0)._replace(g95_high=2.0)
    found = emissions(Quantity(KWH_J, KWH_J, KWH_J), [world], 1.0)
    assert found == pytest.approx((400, 400 / 15, 800))
