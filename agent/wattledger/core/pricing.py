"""Energy → grams, with the factors used and their uncertainty."""

from collections.abc import Sequence

from wattledger.core.model import Factor
from wattledger.core.uncertainty import Quantity, scale
from wattledger.core.units import joules, kwh


def grams(energy_uj: int, intensity_g_per_kwh: float, pue: float) -> float:
    """Grams CO2e of IT energy: kWh x PUE x g/kWh (GHG Protocol Scope 2 Guidance, location-based: kWh times the grid's average)."""
    return kwh(joules(energy_uj)) * pue * intensity_g_per_kwh


def emissions(energy_j: Quantity, factors: Sequence[Factor], mismatch_g95: float) -> Quantity:
    """Grams CO2e with the interval of energy, every factor, and the mismatch of an annual average with one short window.

    ``energy_j`` in joules; ``factors`` are independent of each other, their product is in g/kWh (intensity, then PUE if any).
    """
    product = 1.0
    for factor in factors:
        product *= factor.value
    lows = [*(f.g95 for f in factors), mismatch_g95]
    highs = [*(f.g95_high or f.g95 for f in factors), mismatch_g95]
    return scale(energy_j, kwh(product), lows, highs)
