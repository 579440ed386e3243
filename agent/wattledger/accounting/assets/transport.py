"""What it emits to carry a thing: its mass times the way times a figure for the vehicle."""

from decimal import Decimal
from math import isfinite
from typing import NamedTuple

SOURCE = "Boavizta GPU method (API 2.5.0), kgCO2e per kg and km"
KG_PER_KG_KM = {"sea": Decimal("1.33e-5"), "road": Decimal("5.04e-5"), "air": Decimal("2.11e-3")}
ALSO = {"boat": "sea", "ship": "sea", "truck": "road", "plane": "air"}
G95 = Decimal(2)  # the basic uncertainty of transport in pedigree matrices
FARTHEST_KM = 100_000


class BadTransport(ValueError):
    """Cannot be computed; the message says why in one line."""


class Carried(NamedTuple):
    """Kilograms CO2e of one way; ``low_kg`` to ``high_kg`` is the 95 % interval."""

    kg: Decimal
    low_kg: Decimal
    high_kg: Decimal
    source: str = SOURCE


def transport(mode: str, mass_kg: Decimal | float, km: Decimal | float) -> Carried:
    """By ``sea``, ``road`` or ``air``.  BadTransport for rail, for which there is no cited figure here, and for what cannot be."""
    mode = ALSO.get(mode, mode)
    if mode not in KG_PER_KG_KM:
        known = ", ".join(KG_PER_KG_KM)
        raise BadTransport(f"no cited figure for transport by {mode!r} (there are {known}): give its 'kg', as the carrier says")
    mass_kg, km = (_positive(what, value) for what, value in (("mass_kg", mass_kg), ("km", km)))
    if km > FARTHEST_KM:
        raise BadTransport(f"km = {km:f}: farther than {FARTHEST_KM} km is not likely")
    kg = KG_PER_KG_KM[mode] * mass_kg * km
    return Carried(kg, kg / G95, kg * G95)


def _positive(what: str, value: Decimal | float) -> Decimal:
    if not isfinite(value) or value <= 0:
        raise BadTransport(f"{what} must be more than 0")
    return Decimal(str(value))
