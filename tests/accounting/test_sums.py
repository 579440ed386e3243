"""Sums of energy times price: the worked figures, and what part of them stands on which boundary."""

from fractions import Fraction

import pytest
from tests.accounting.made_prices import KWH, LB_PER_MWH, T0, H, flat

from wattledger.accounting import prices
from wattledger.accounting.sums import MixedBoundaries, by_boundary, one_boundary, true_up


def test_vectors_1_and_10_worked_by_hand() -> None:
    """carbon.md: 100 kWh x 0.38; CAMX 10 MWh with the AR5 sum of its gases."""
    assert by_boundary(flat("X", 380), [(T0, H, 100 * KWH)])["direct"].emitted_ug == 38_000 * 10**6
    camx = (428.464 + 28 * 0.025 + 265 * 0.003) * LB_PER_MWH
    emitted_ug = by_boundary(flat("US-CAMX", camx), [(T0, H, 10_000 * KWH)])["direct"].emitted_ug
    assert float(emitted_ug) / 1e9 == pytest.approx(1950.2612, rel=1e-6)


def test_a_sum_says_what_part_stands_on_which_boundary() -> None:
    two = [*flat("DE", 300, end_s=T0 + H), *flat("DE", 400, boundary="lifecycle", start_s=T0 + H, end_s=T0 + 2 * H)]
    parts = by_boundary(two, [(T0, 3 * H, 9 * KWH)])
    assert {name: part.energy_uj // KWH for name, part in parts.items()} == {"": 3, "direct": 3, "lifecycle": 3}
    assert parts["lifecycle"].emitted_ug == 1_200_000_000
    assert parts[""].emitted_ug == 0
    with pytest.raises(MixedBoundaries, match="3 kWh without a price, 3 kWh direct, 3 kWh lifecycle"):
        one_boundary(parts)
    assert one_boundary({"direct": parts["direct"]}) == "direct"
    with pytest.raises(MixedBoundaries, match="nothing"):
        one_boundary({})


def test_what_was_posted_at_an_instant_is_of_that_second() -> None:
    assert by_boundary(flat("DE", 300), [(T0, 0, KWH)])["direct"].emitted_ug == 300 * 10**6


def test_a_true_up_compares_one_boundary_and_refuses_two() -> None:
    windows = [(T0, 2 * H, 10 * KWH)]
    operated = by_boundary([*flat("DE", 300, end_s=T0 + H), *flat("DE", 310, start_s=T0 + H)], windows)
    official = by_boundary(prices.inventory("DE", T0, T0 + 2 * H), windows)
    assert true_up(official, operated) == Fraction((329 - 305) * 10 * 10**6)
    whole = by_boundary(flat("DE", 342, boundary="lifecycle"), windows)
    with pytest.raises(MixedBoundaries, match="direct, what was operated on is lifecycle"):
        true_up(official, whole)
