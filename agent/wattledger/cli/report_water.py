"""What a report says of water, as people read it: a column, and lines of one row.  Consumed, not withdrawn."""

from collections.abc import Iterator, Mapping
from typing import Any

from wattledger.core.figures import litre

ABOUT = {"onsite": "evaporated by the site's cooling", "offsite": "consumed by the power stations"}
WHERE = {"onsite": "on-site", "offsite": "off-site"}
NAMES = {"onsite": "water on-site", "offsite": "  off-site"}
LEGEND = "water: litres consumed on the site and by power stations"


def cell(row: Mapping[str, Any]) -> str:
    """On-site and off-site together, as far as they are known."""
    found = row.get("water_l", {})
    return litre(sum(quantity["value"] for quantity in found.values())) if found else "?"


def total(row: Mapping[str, Any]) -> Iterator[str]:
    """One line of all rows together."""
    found = [f"{WHERE[where]} {_spanned(quantity)}" for where, quantity in row.get("water_l", {}).items()]
    if found:
        yield f"water: {', '.join(found)}"


def details(row: Mapping[str, Any]) -> Iterator[str]:
    """The lines of one row, on-site and off-site apart."""
    for where, quantity in row.get("water_l", {}).items():
        cover = row.get("water_cover", {}).get(where)
        part = "" if cover is None else f" of {cover:.0%} of the energy"
        name = NAMES[where] if "onsite" in row["water_l"] else "water off-site"
        stands = ", ".join(row["water_stands_on"][where]["quality"])
        yield f"  {name:<15} {_spanned(quantity)}{part}, {ABOUT[where]}: {stands}"


def _spanned(quantity: Mapping[str, float]) -> str:
    value, low, high = (litre(quantity[end]) for end in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
