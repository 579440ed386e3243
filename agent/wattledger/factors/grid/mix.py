"""From what was generated, by fuel, to grams per kWh: the plants' own emissions over all that they generated.

Generation-based, and said so: what neighbours sent in and took out is not followed (carbon.md 6.4).  CO2 of burning alone, so the
boundary is ``direct``; biogenic CO2 is outside of scope 2 and counts 0, like wind, sun, water and uranium.  What comes back out
of storage was counted when it was generated, and is left out of both sums.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

Fuel = Literal[
    "coal", "lignite", "gas", "oil", "other", "biomass", "waste", "hydro", "nuclear", "solar", "wind", "geothermal", "marine",
    "storage",
]  # fmt: skip

# g CO2e per kWh generated.  Coal, gas, oil: the default direct factors of carbon.md 6.1 (IPCC AR5 origin).  Other and waste: NESO's
# figure for "other" (6.3).  Lignite, with peat and oil shale: NESO's figure for coal, the highest that our sources name.
DIRECT_G_PER_KWH: Mapping[Fuel, int] = {
    "coal": 760,
    "lignite": 937,
    "gas": 370,
    "oil": 406,
    "other": 300,
    "waste": 300,
    "biomass": 0,
    "hydro": 0,
    "nuclear": 0,
    "solar": 0,
    "wind": 0,
    "geothermal": 0,
    "marine": 0,
}
UG_PER_G = 1_000_000

# The fuels that an hour does not tell of may have made so much of the usual mix, in percent; else the hour is not complete yet.
MAY_LACK_PERCENT = 1

Mix = Mapping[Fuel, Decimal]


def ug_per_kwh(mix: Mix) -> int | None:
    """Micrograms per kWh of one hour's generation; ``None`` where nothing was generated.

    Below nothing (a plant's own use at night) is not generation.
    """
    made = {fuel: max(Decimal(0), amount) for fuel, amount in mix.items() if fuel != "storage"}
    total = sum(made.values())
    if not total:
        return None
    grams = sum((DIRECT_G_PER_KWH[fuel] * amount for fuel, amount in made.items()), Decimal(0))
    return int((grams * UG_PER_G / total).to_integral_value())


def complete(mixes: Mapping[int, Mix]) -> dict[int, Mix]:
    """Those hours that tell of all fuels that matter in the hours at hand.

    Fuels are published one by one, and an hour that knows of its wind but not yet of its coal would look clean.
    """
    usual = _usual(mixes.values())
    total = sum(usual.values())
    return {
        start_s: mix
        for start_s, mix in mixes.items()
        if sum(amount for fuel, amount in usual.items() if fuel not in mix) * 100 <= total * MAY_LACK_PERCENT
    }


def _usual(mixes: Iterable[Mix]) -> dict[Fuel, Decimal]:
    """The mean of each fuel, over the hours that tell of it."""
    told: dict[Fuel, list[Decimal]] = {}
    for mix in mixes:
        for fuel, amount in mix.items():
            if fuel != "storage":
                told.setdefault(fuel, []).append(max(Decimal(0), amount))
    return {fuel: sum(amounts, Decimal(0)) / len(amounts) for fuel, amounts in told.items()}
