"""What a kWh costs the climate, or its buyer, in one window: what reports multiply energy by."""

from typing import Literal, NamedTuple

Basis = Literal["operational", "inventory", "marginal", "market", "upstream"]


class Price(NamedTuple):
    """Micrograms CO2e per kWh of one zone in ``[start_s, start_s + length_s)``, and how it was got.

    ``cause`` names what its error comes from: sums with one cause share it (carbon.md 8.1).  ``quality``: ``live``,
    ``live-estimated``, ``last-known``, ``zone-annual``, ``country-annual``, ``world``, ``stand-in``, ``contract``, ``residual``,
    …  ``g95_high``: where the upper end is another, else 0.  ``settled``: no revision is expected any more.  ``facts``: the ids
    of the facts it was made from; ``origin`` and ``version``: who said it, for those that come from a table.
    """

    zone: str
    start_s: int
    length_s: int
    ug_per_kwh: int
    boundary: str
    quality: str
    cause: str
    g95: float
    g95_high: float = 0.0
    settled: bool = True
    facts: tuple[str, ...] = ()
    origin: str = ""
    version: str = ""


class Rate(NamedTuple):
    """Millionths of a currency per kWh in ``[start_s, start_s + length_s)``."""

    start_s: int
    length_s: int
    micro_per_kwh: int
    currency: str
