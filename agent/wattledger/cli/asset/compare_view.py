"""A comparison as people read it: options, verdict, when it breaks even, what it hangs on, and what it stands on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wattledger.accounting.compare.boundary import CALLED
from wattledger.accounting.compare.option import PARTS
from wattledger.accounting.compare.rows import percent
from wattledger.core.figures import digits, joule
from wattledger.factors.grid.annual import DIRTIEST_G_PER_KWH

SWINGS = 6  # JSON has more
NEVER = "never within the horizon"
HEADS = {"embodied": "embodied", "operation": "operation", "maintenance": "upkeep", "end of life": "end of life"}


def lines(found: Mapping[str, Any]) -> list[str]:
    """The whole answer."""
    return list(_lines(found))


def efficiency_lines(rows: Sequence[tuple[str, Mapping[str, Any]]], ratio: Any) -> list[str]:
    """Two machines' measured work side by side; ``ratio``: how much more work the second does with a joule, or why not known."""
    found = [line for told, measured in rows for line in _measured(told, measured)]
    if isinstance(ratio, str):
        return [*found, f"compared: not known: {ratio}"]
    first, second = (told for told, _ in rows)
    between = f"95 %: {digits(ratio['low'])} to {digits(ratio['high'])}"
    return [*found, f"compared: {second} does {digits(ratio['value'])} times the work of {first} with a joule ({between})"]


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    horizon = digits(found["horizon_y"])
    yield "; ".join([f"{found['told']}: the next {horizon} years, from {found['start']}", *found.get("stand_ins", ())])
    yield from _options(found)
    for each, verdict in zip(found["versus"], found["verdict"], strict=True):
        yield ""
        yield verdict
        yield from _versus(each, found)
    yield ""
    yield from _assumptions(found["assumptions"])
    if "measured" in found:
        yield from _measured("measured", found["measured"])
    if "sunk" in found:
        sunk = _kg(found["sunk"]["carried_kg"])
        yield f"sunk: {sunk} of its making is not booked yet: the same in each choice, in no line above"
    how = {
        "whole": "embodied: whole, as it is emitted when a thing is made; after its life a successor's share of time",
        "share": "embodied: the share of its life that lies within the horizon; break-even dates are of the whole",
    }
    yield how[found["counting"]]
    yield "options share their grid, work and PUE: look at the difference, not at whether intervals overlap"
    for note in found["notes"]:
        yield f"note: {note}"


def _options(found: Mapping[str, Any]) -> Iterator[str]:
    shown = [part for part in PARTS if any(option["parts_kg"][part] for option in found["options"])]
    heads = ["option", "kg CO2e", "95 %", *(HEADS[part] for part in shown), f"per {found['unit']}"]
    body = [
        [option["name"], _number(option["total_kg"]["value"]), _between(option["total_kg"]),
         *(_number(option["parts_kg"][part]) for part in shown), joule(option["joules_per_unit"])]
        for option in found["options"]
    ]  # fmt: skip
    yield from aligned(heads, body)


def _versus(each: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    difference = each["difference_kg"]
    yield f"  difference   {_less(difference['value'])} (95 %: {_less(difference['low'])} to {_less(difference['high'])})"
    yield f"  breaks even  {_when(each['break_even'])}"
    yield from _grid(each, found)
    other = each.get("other_boundary", {"turns": False, "outside": False})
    if other["turns"] or other["outside"]:
        yield f"  boundary     {_by_other(other)}"
    swings = each["sensitivity"]
    if swings:
        first = swings[0]
        alone = "; the grid factor's boundary does" if other["turns"] else ""
        turns = ", and turns the answer" if first["turns"] else f", and does not turn it{alone}"
        yield f"  hangs most on {first['name']}{turns}:"
        yield from (f"    {line}" for line in _swings(swings[:SWINGS], found["assumptions"]))
    avoided = each.get("outside_inventory", {}).get("avoided_kg")
    if avoided is not None and avoided["value"] > 0:
        between = f"95 %: {_number(avoided['low'])} to {_number(avoided['high'])}"
        yield f"  avoided by {each['against']}: {_kg(avoided['value'])} ({between}); in no inventory, and never subtracted from one"


def _grid(each: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    now = next(one for one in found["assumptions"] if one["name"] == "grid intensity")
    here = f"{digits(now['value'])}{f', {CALLED[at]}' if (at := found.get('grid_boundary')) else ''}"
    said = each.get("break_even_g_per_kwh")
    if said is None:
        yield "  by the grid  on no grid: it takes no less energy for its work"
        return
    if not said["value"]:
        yield "  by the grid  on any grid: it emits no more to make it, and takes less energy"
        return
    if said["value"] > DIRTIEST_G_PER_KWH:
        yield f"  by the grid  on no grid there is: only above {digits(said['value'])} gCO2e/kWh; here it is {here}"
        return
    between = f" (95 %: {digits(said['low'])} to {digits(said['high']) if 'high' in said else 'none'})" if "low" in said else ""
    yield f"  by the grid  better above {digits(said['value'])} gCO2e/kWh{between}; here it is {here}"


def _by_other(other: Mapping[str, Any]) -> str:
    """In one line, what the other boundary answers."""
    factor = f"{CALLED[other['boundary']]} factor, {digits(other['g_per_kwh'])} gCO2e/kWh"
    means = "it turns the answer" if other["turns"] else "outside of the interval above"
    return f"by the zone's {factor}: {_less(other['difference_kg'])}: {means}"


def _swings(swings: Sequence[Mapping[str, Any]], assumptions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    by_name = {one["name"]: one for one in assumptions}
    body = []
    for each in swings:
        one = by_name[each["name"]]
        body.append([each["name"], f"{digits(one['low'])} to {digits(one['high'])}", f"{_less(each['at_low_kg'])}",
                     f"{_less(each['at_high_kg'])}", "turns" if each["turns"] else ""])  # fmt: skip
    yield from aligned(["assumption", "95 %", "at its low", "at its high", ""], body)


def _assumptions(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "stands on"
    body = [[one["name"], digits(one["value"]), "exact" if one["low"] == one["high"] else _between(one), one["unit"], one["source"]]
            for one in found]  # fmt: skip
    yield from (f"  {line}" for line in aligned(["", "value", "95 %", "", ""], body, left=(0, 3, 4))[1:])


def _measured(told: str, found: Mapping[str, Any]) -> Iterator[str]:
    said = found.get("joules_per_unit")
    if said is None:
        yield f"{told}: not known: {found['not_known']['joules_per_unit']}"
        return
    per_day = f", {digits(found['units_per_day']['value'])} {found['unit']}s a day" if "units_per_day" in found else ""
    yield f"{told}: {joule(said['value'])} per {found['unit']} (95 %: {joule(said['low'])} to {joule(said['high'])}){per_day}"
    change = found.get("change_per_year")
    if change is None:
        yield f"  as it ages: not known: {found['not_known'].get('trend', '')}"
    else:
        words = " to ".join(f"{change[end] * 100:+.1f} %" for end in ("low", "high"))
        year = "" if change["months"] >= 12 else ", seasons are in it"
        yield f"  as it ages: {change['value'] * 100:+.1f} % a year ({words}), over {change['months']} months{year}"


def _when(found: Mapping[str, Any]) -> str:
    at = "already: it emits no more to make it" if found["state"] == "already" else found.get("date", NEVER)
    if found["low"]["state"] == found["high"]["state"] != "date":
        return at
    low, high = (each.get("date", NEVER) if each["state"] != "already" else "already" for each in (found["low"], found["high"]))
    return f"{at} (95 %: {low} to {high}; {percent(found['within_horizon_probability'])} within the horizon)"


def _less(kg: float) -> str:
    return f"{_kg(abs(kg))} {'less' if kg < 0 else 'more'}" if kg else "the same"


def _kg(kg: float) -> str:
    return f"{_number(kg)} kg"


def _number(kg: float) -> str:
    return "0" if abs(kg) < 1e-9 else digits(kg)


def _between(found: Mapping[str, float]) -> str:
    return f"{_number(found['low'])} to {_number(found['high'])}"


def aligned(heads: Sequence[str], body: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> list[str]:
    """Columns; those of ``left`` to the left, the others to the right."""
    widths = [max(len(line[n]) for line in [heads, *body]) for n in range(len(heads))]
    cells = [
        [cell.ljust(width) if n in left else cell.rjust(width) for n, (cell, width) in enumerate(zip(line, widths, strict=True))]
        for line in [heads, *body]
    ]
    return ["  ".join(line).rstrip() for line in cells]
