"""Software carbon intensity: SCI = ((E x I) + M) per R (ISO/IEC 21031:2024; GSF sci SPEC v1.1 and sci-ai of January 2026).

E is kWh of the building, I grams per kWh by location (average or marginal), M the embodied carbon of the hardware's share, R how
many functional units that served.  Market-based figures have no place in it: a score falls by using less, never by buying.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from wattledger.core.uncertainty import Quantity, Term, scale, total

Boundary = Literal["consumer", "provider"]
Intensity = Literal["average", "marginal"]
FORMULA = "SCI = ((E x I) + M) per R"
STANDARD = "ISO/IEC 21031:2024"
NO_MARKET = (
    "market-based intensities (contracts, certificates, offsets) are excluded from an SCI score by ISO/IEC 21031: it counts what "
    "the grid emits where the software runs, and falls by using less, not by buying; take average or marginal"
)
# What each of the two boundaries of SCI for AI holds.  They are of different units: a sum of the two says nothing.
BOUNDARIES: Mapping[Boundary, str] = {
    "consumer": "operation and monitoring: inference, gateway, monitoring, cache, storage",
    "provider": "inception, design and development, deployment, retirement: data and all training runs, also failed ones",
}


MOST_UNITS = 10**18
NUMBERS = {"thousand": "1000", "million": "1000000"}


class Unit(NamedTuple):
    """A functional unit: its name for one and for many, whose boundary it is of where nothing else is asked, and what counts it.

    ``counted``: the words for what the books count; empty: the books count none, it must be declared.
    """

    one: str
    many: str
    boundary: Boundary
    counted: str = ""


UNITS: Mapping[str, Unit] = {
    "token": Unit("token", "tokens", "consumer", "computed prompt tokens and generated ones; cache hits are not counted"),
    "generated-token": Unit("generated token", "generated tokens", "consumer", "generated tokens"),
    "prompt-token": Unit("prompt token", "prompt tokens", "consumer", "computed prompt tokens; cache hits are not counted"),
    "request": Unit("request", "requests", "consumer", "requests"),
    "run": Unit("run", "runs", "consumer", "runs, failed ones too; of programs that metered themselves those of a second and more"),
    "hour": Unit("hour", "hours", "consumer", "time metered for it: how long its devices were seen in each window"),
    "epoch": Unit("epoch", "epochs", "provider"),
    "flop": Unit("FLOP", "FLOP", "provider"),
    "parameter": Unit("parameter", "parameters", "provider"),
    "custom": Unit("unit", "units", "consumer"),
}


def unit_of(words: str) -> tuple[str, int]:
    """``token`` → itself and 1; ``1000-token``, ``1000-tokens`` → token and 1,000: a score per that many.  Raises ValueError."""
    number, _, rest = words.partition("-")
    number = NUMBERS.get(number, number)
    if not (number.isascii() and number.isdigit()):
        if words in UNITS:
            return words, 1
        raise ValueError(f"{words!r} is no functional unit")
    unit = rest if rest in UNITS else rest.removesuffix("s")
    if unit not in UNITS:
        raise ValueError(f"{rest!r} is no functional unit")
    if not 0 < int(number) <= MOST_UNITS:
        raise ValueError(f"{words!r}: a score is per 1 to {MOST_UNITS} units")
    return unit, int(number)


def sci(energy_kwh: Quantity, intensity_g_per_kwh: Quantity, embodied_g: Quantity, units: float) -> Quantity:
    """Grams CO2e per functional unit, with an interval: E, I and M independent of each other, the count of units exact.

    Raises ValueError for units that are not more than 0, and for an energy, an intensity or embodied carbon below 0.
    """
    if min(energy_kwh.value, intensity_g_per_kwh.value, embodied_g.value) < 0:
        raise ValueError("energy, intensity and embodied carbon of a score are 0 or more: nothing is subtracted in it")
    return per_unit([operational_g(energy_kwh, intensity_g_per_kwh), embodied_g], units)


def operational_g(energy_kwh: Quantity, intensity_g_per_kwh: Quantity) -> Quantity:
    """E x I, independent of each other."""
    value, low, high = intensity_g_per_kwh
    if value <= 0:
        return Quantity(0.0, 0.0, energy_kwh.high * high)
    found = scale(energy_kwh, value, [value / low if low > 0 else 1.0], [high / value])
    return found if low > 0 else found._replace(low=0.0)


def per_unit(parts: Sequence[Quantity], units: float) -> Quantity:
    """The sum of independent grams, over a count of units, each side's errors for themselves.  Raises ValueError where there are
    none."""
    if not units > 0:
        raise ValueError(f"a score is per functional unit, and there are {units:g} of them: it is not known, rather than infinite")
    below = total(_term(f"{n}", part.value, part.low, part.value) for n, part in enumerate(parts))
    above = total(_term(f"{n}", part.value, part.value, part.high) for n, part in enumerate(parts))
    return Quantity(below.value / units, below.low / units, above.high / units)


def _term(cause: str, value: float, low: float, high: float) -> Term:
    """One addend with its error to one side; one that no ratio tells (an end is 0) is absolute."""
    return Term(value, cause, high / low) if low > 0 else Term(value, cause, 1.0, edge=high - low)


def share_g(total_g: float, *, reserved_h: float, life_h: float, resources: float = 1.0, of: float = 1.0) -> float:
    """M = TE x TiR/EL x RR/ToR: a device's embodied grams, by the time it was reserved of its life, and resources of all it has.

    Raises ValueError, naming the rule, where a share is below 0 or over 1, or a whole is not more than 0.
    """
    if not total_g >= 0:
        raise ValueError(f"embodied carbon of {total_g:g} g: what it took to make a thing is 0 or more")
    for said, part, whole in (("time reserved of the life (TiR/EL)", reserved_h, life_h), ("resources (RR/ToR)", resources, of)):
        if not whole > 0:
            raise ValueError(f"{said}: of a whole of {whole:g}: it must be more than 0")
        if not 0 <= part <= whole:
            raise ValueError(f"{said}: {part:g} of {whole:g} is no share: it must be from 0 to 1")
    return total_g * (reserved_h / life_h) * (resources / of)
