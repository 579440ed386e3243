"""What it emits to carry a thing: by cited figures, or refused."""

from decimal import Decimal

import pytest

from wattledger.accounting.assets.transport import BadTransport, transport


@pytest.mark.parametrize(
    ("mode", "km", "kg"),
    [("sea", 19_000, "0.427063"), ("road", 1_000, "0.085176"), ("air", 9_000, "32.0931"), ("boat", 19_000, "0.427063")],
)
def test_a_card_of_1690_grams_by_each_mode(mode: str, km: int, kg: str) -> None:
    """Boavizta's figures: 1.33e-5 (boat), 5.04e-5 (truck), 2.11e-3 (plane) kgCO2e per kg and km."""
    found = transport(mode, Decimal("1.69"), km)
    assert found.kg == Decimal(kg)
    assert (found.low_kg * 2, found.high_kg / 2) == (found.kg, found.kg)


def test_there_is_no_cited_figure_for_rail() -> None:
    with pytest.raises(BadTransport, match=r"no cited figure for transport by 'rail'.*give its 'kg'"):
        transport("rail", 100, 500)


@pytest.mark.parametrize(("mass", "km"), [(0, 10), (-1, 10), (float("nan"), 10), (10, 0), (10, float("inf")), (10, 100_001)])
def test_what_cannot_be_is_refused(mass: float, km: float) -> None:
    with pytest.raises(BadTransport):
        transport("sea", mass, km)
