"""Litres that a site's cooling evaporates for a kWh of IT energy (WUE, water usage effectiveness).

What an operator measured beats any model (carbon.md 7); what nobody said is not known, and never 0.
"""

from wattledger.core.model import Factor
from wattledger.factors.water.ewif import DEFAULT_G95, TABLE

KIND = "water_onsite"
UNIT = "L/kWh IT"
SITE_G95 = 1.2  # carbon.md 8.3: a site's own published or measured figure
MOST = 15.0  # L/kWh: ten times what evaporating all of a site's heat takes (2.45 MJ a litre: 1.5 L/kWh); above it, a unit is wrong

# The regression of Ren-Research/Making-AI-Less-Thirsty (MIT): litres at a wet-bulb temperature, before the tower's blowdown.
COEFFICIENTS = (6e-5, -0.01, 0.61, -10.4)
CYCLES = 6.0
LEAST = 0.05


def onsite(wue_l_per_kwh: float) -> Factor:
    """The WUE that the operator configured.  Raises ValueError for one that cannot be: below 0, or in another unit."""
    if not 0 <= wue_l_per_kwh < MOST:
        raise ValueError(f"[facility] wue = {wue_l_per_kwh:g}: expected litres per kWh of IT energy, 0 to 3 or so (not per MWh)")
    return Factor(
        KIND, "", wue_l_per_kwh, UNIT, "consumed by cooling", "configuration ([facility] wue)", "", "configured", SITE_G95
    )


def onsite_cloud(provider: str) -> Factor | None:
    """What a cloud's operator published as the average of all its sites (``gcp``, ``azure``): of one region it says little, so the
    interval is that of a default.  ``None`` where none may be shipped."""
    with open(TABLE, encoding="utf-8") as table:
        for line in table:
            keys, kind, name, value, boundary, source, year, licence, *_ = (*line.rstrip("\n").split(","), *[""] * 8)
            if kind == "operator" and keys == f"|{provider}|":
                return Factor(
                    KIND, name, float(value), UNIT, boundary, source, year, "provider-average", DEFAULT_G95,
                    f"{year}-01-01", f"{year}-12-31", licence,
                )  # fmt: skip
    return None


def wet_bulb_upper(wet_bulb_f: float, *, cycles: float = CYCLES) -> Factor:
    """An upper scenario, never a default: a cooling tower at a wet-bulb temperature (Fahrenheit) without any free cooling.

    S / (S - 1) x (6e-5 T^3 - 0.01 T^2 + 0.61 T - 10.4), S cycles of concentration: 3.1 to 6.1 L/kWh at 50 to 80 F, where operators
    report 0.01 to 2.75.  Raises ValueError for cycles of 1 or fewer.
    """
    if not cycles > 1:
        raise ValueError(f"cycles of concentration of {cycles:g}: a tower concentrates its water more than once")
    litres = 0.0
    for coefficient in COEFFICIENTS:
        litres = litres * wet_bulb_f + coefficient
    origin = "Making AI Less Thirsty (arXiv 2304.03271), wet-bulb regression"
    value = max(LEAST, cycles / (cycles - 1) * litres)
    boundary = "consumed by a cooling tower without free cooling"
    return Factor(KIND, "", value, UNIT, boundary, origin, "2023", "upper-scenario", DEFAULT_G95)
