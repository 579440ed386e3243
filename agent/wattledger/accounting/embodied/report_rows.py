"""A report's embodied carbon as plain data, beside the emissions of its energy and never in one sum with them."""

from typing import TYPE_CHECKING, Any

from wattledger.accounting.embodied.booking import Embodieds
from wattledger.accounting.embodied.entries import TRUE_UP, UNMETERED
from wattledger.accounting.embodied.made import UG_PER_G, Made
from wattledger.accounting.embodied.methods import SAID

if TYPE_CHECKING:
    from wattledger.accounting.reports import Line


def add_embodied(said: dict[str, Any], line: "Line", found: Embodieds | None, *, shared: bool) -> None:
    """Beside a line's other grams, with what they stand on."""
    if found is None or line.made is None or not line.made.by_figure:
        return
    spread = line.sums.of("spread").values()
    energy_uj = line.sums.energy_uj()
    # Equal shares of time do not depend on what was metered of each.
    part = float(sum(spread) / energy_uj) if shared and energy_uj and found.method != "time" else 0.0
    said["emissions_g"] = {**said.get("emissions_g", {}), "embodied": line.made.grams(spread=part).to_dict()}
    stands = {"quality": line.made.parts("stands"), "method": line.made.parts("method"), "boundary": line.made.parts("boundary")}
    said["stands_on"] = {**said.get("stands_on", {}), "embodied": stands}


def embodied_words(found: Embodieds | None) -> dict[str, Any]:
    """How it was divided, and what of it stands apart from all lines."""
    if found is None:
        return {}
    said: dict[str, Any] = {"method": found.method, "means": SAID[found.method]}
    for name, job in (("unmetered_g", UNMETERED), ("true_up_g", TRUE_UP)):
        ug = found.apart_ug(job)
        said |= {name: ug / UG_PER_G} if ug else {}
    return {"embodied": said}


def embodied_not_known(found: Embodieds | None, made: Made | None) -> dict[str, str]:
    """Why it is absent."""
    if found is None:
        return {"embodied": "left out as configured ([embodied] enabled)"}
    if (made is not None and made.by_figure) or found.notes:
        return {}  # or the notes say it
    return {"embodied": "no passports of these machines, and no figure to estimate them by (wattledger asset discover)"}
