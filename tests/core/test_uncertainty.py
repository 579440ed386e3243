"""Sums and products of uncertain values, by hand."""

import pytest

from wattledger.core.uncertainty import Quantity, Term, scale, total


def test_a_quantity_is_three_numbers_in_json() -> None:
    assert Quantity(2.0, 1.0, 4.0).to_dict() == {"value": 2.0, "low": 1.0, "high": 4.0}


def test_one_cause_adds_up_and_causes_add_in_quadrature_each_side_for_itself() -> None:
    # Up: 0.1 x 100 + 0.1 x 100 = 20 of one cause, 0.5 x 30 = 15 of the other: 25.  Down: 18.18 and 10: 20.75.
    found = total([Term(100, "a", 1.1), Term(100, "a", 1.1), Term(30, "b", 1.5)])
    # Quadrature: by the sum's moments the bounds are 0.2 nearer.
    assert found == pytest.approx((230, 230 - 20.75, 255), abs=0.25)


def test_endpoints_are_independent_of_the_sensor_and_of_each_other() -> None:
    found = total([Term(100, "a", 1.0, edge=3), Term(100, "a", 1.0, edge=4)])
    assert found == pytest.approx((200, 195, 205))


def test_a_hole_is_added_above_and_only_there() -> None:
    assert total([Term(100, "a", 1.0, missing=30), Term(5, "a", 1.0, missing=7)]) == (105, 105, 142)


def test_the_lower_end_never_falls_below_zero() -> None:
    assert total([Term(1, "a", 1.1, edge=50)]).low == 0


def test_a_product_of_what_may_be_nothing_may_be_nothing() -> None:
    assert scale(Quantity(1, 0, 2), 10, [1.0]) == pytest.approx((10, 0, 20))


def test_a_product_by_one_sure_factor_keeps_the_interval() -> None:
    assert scale(Quantity(10, 8, 15), 2, []) == pytest.approx((20, 16, 30))


def test_a_product_of_nothing_is_as_uncertain_as_the_nothing_was() -> None:
    assert scale(Quantity(0, 0, 6), 2, [1.5]) == pytest.approx((0, 0, 18))
