"""The water of a report's line as plain data.  What is not known is absent, never zero."""

from typing import Any

from wattledger.accounting.report_sums import Sums, parts
from wattledger.accounting.water import WATER


def water_row(sums: Sums, *, shared: bool) -> dict[str, Any]:
    """Litres by where they were consumed, of what part of the energy (where not of all), and on what they stand."""
    litres, covers, stands = {}, {}, {}
    energy_uj = sums.energy_uj()
    for where in WATER:
        known = sums.of(f"{where} energy")
        if not known:
            continue
        litres[where] = sums.water_l(where, shared=shared).to_dict()
        stands[where] = {"quality": parts(known, "quality"), "boundary": parts(known, "boundary")}
        missing = sums.missing(where)
        if missing and energy_uj:
            covers[where] = float(1 - missing / energy_uj)
    if not litres:
        return {}
    return {"water_l": litres, **({"water_cover": covers} if covers else {}), "water_stands_on": stands}


def water_not_known(sums: Sums) -> dict[str, str]:
    """Why litres are absent."""
    why = {}
    if sums.facts and not sums.of("onsite energy"):
        why["water_onsite"] = "nobody said what the site evaporates for a kWh of IT energy ([facility] wue)"
    if sums.facts and not sums.of("offsite energy"):
        why["water_offsite"] = "hydro power is to be left out, and what the electricity is made of is not known ([water] hydro)"
    return why
