"""Explanations as plain data: what JSON says (schema ``wattledger.explain/1``).

Exact figures are ints, or texts ``"p/q"`` where a window was cut; what is not known is absent.
"""

import json
from fractions import Fraction
from typing import Any

from wattledger.accounting.explain import Figure, Slot, total
from wattledger.accounting.explain_fact import Correcting, Story, Version
from wattledger.accounting.explain_tokens import Division
from wattledger.accounting.explain_water import WaterFigure, Wet
from wattledger.accounting.explain_water import total as total_water
from wattledger.accounting.report_ask import Ask
from wattledger.accounting.report_rows import EMISSIONS
from wattledger.accounting.report_sums import MILLI, UG_PER_G
from wattledger.accounting.reports import iso_time
from wattledger.ledger.columns import TOKENS

SCHEMA = "wattledger.explain/1"
BASES = EMISSIONS  # name in the answer → basis
FORMULA = "energy_uj x ug_per_kwh x pue / 3.6e12 = emitted_ug"
WATER_FORMULA = {
    "onsite": "energy_uj x ul_per_kwh (WUE) / 3.6e12 = water_ul",
    "offsite": "energy_uj x pue x ul_per_kwh (EWIF) / 3.6e12 = water_ul",
}


def figure_dict(found: Figure) -> dict[str, Any]:
    """A report's figure."""
    said = asked_dict(found.ask)
    said |= {"basis": next(name for name, basis in BASES.items() if basis == found.basis), "formula": FORMULA}
    said["slots"] = [slot_dict(slot) for slot in found.slots]
    known = any(slot.is_priced for slot in found.slots)
    said["sum"] = _amounts(*total(found.slots), known=known)
    said["report"] = _amounts(found.reported_uj, found.reported_ug, known=known)
    said["equal"] = found.is_equal
    said["notes"] = list(found.notes)
    return said


def asked_dict(ask: Ask) -> dict[str, Any]:
    """What report is explained."""
    said: dict[str, Any] = {"schema": SCHEMA, "of": "report", "kind": ask.kind}
    times = {"from": ask.from_s, "to": ask.to_s, "as_of": ask.as_of_s}
    said |= {word: iso_time(time_s) for word, time_s in times.items() if time_s is not None}
    return said | ({"name": ask.name} if ask.name is not None else {})


def water_dict(found: WaterFigure) -> dict[str, Any]:
    """A report's litres."""
    said = asked_dict(found.ask) | {"basis": f"water_{found.where}", "formula": WATER_FORMULA[found.where]}
    said["slots"] = [_wet(slot) for slot in found.slots]
    known = any(slot.litres is not None for slot in found.slots)
    for name, (energy_uj, water_ul) in (("sum", total_water(found.slots)), ("report", (found.reported_uj, found.reported_ul))):
        said[name] = {"energy_uj": exact(energy_uj)} | ({"water_ul": exact(water_ul)} if known else {})
        said[name] |= {"water_l": float(water_ul / UG_PER_G)} if known else {}
    return said | {"equal": found.is_equal, "notes": list(found.notes)}


def _wet(slot: Wet) -> dict[str, Any]:
    said: dict[str, Any] = {"facts": slot.facts, "energy_uj": exact(slot.energy_uj)}
    litres = slot.litres
    if litres is None:
        return said
    said |= {name: value for name in ("zone", "boundary", "quality", "origin", "version") if (value := getattr(litres, name))}
    said |= {"ul_per_kwh": litres.ul_per_kwh, "interval_95": {"down": litres.g95, "up": litres.g95_high or litres.g95}}
    said |= {"pue": slot.pue_milli / MILLI} if slot.pue_milli else {}
    return said | {"water_ul": exact(slot.water_ul)}


def slot_dict(slot: Slot) -> dict[str, Any]:
    """A price with what lies under it."""
    said: dict[str, Any] = {"facts": slot.facts, "energy_uj": exact(slot.energy_uj)}
    price = slot.price
    if price is not None:
        said |= {"zone": price.zone, "start": iso_time(price.start_s), "length_s": price.length_s, "ug_per_kwh": price.ug_per_kwh}
        said |= {"boundary": price.boundary, "quality": price.quality, "state": "settled" if price.settled else "provisional"}
        said |= {"price_facts": list(price.facts)} if price.facts else {}
        said |= {name: value for name, value in (("origin", price.origin), ("version", price.version)) if value}
    elif slot.ug_per_kwh is not None:
        said |= {"rolled_up": True, "priced_by": slot.priced_by, "ug_per_kwh": float(slot.ug_per_kwh)}
    said |= {"pue": slot.pue_milli / MILLI} if slot.pue_milli else {}
    return said | ({"emitted_ug": exact(slot.emitted_ug)} if slot.is_priced else {})


def story_dict(found: Story, as_of_s: int | None) -> dict[str, Any]:
    """A fact."""
    row, place = found.columns, found.place
    said: dict[str, Any] = {"schema": SCHEMA, "of": "fact", "id": found.id, "kind": row["fact"]}
    said |= {"as_of": iso_time(as_of_s)} if as_of_s is not None else {}
    said |= {"learnt": iso_time(row["recorded_s"]), "body": json.loads(row["body"])}
    said["columns"] = {name: value for name, value in row.items() if value not in (None, "") and name not in ("body", "fact")}
    chain: dict[str, Any] = {"day": place.day, "state": "sealed" if place.sealed else "open", "holds": place.holds}
    chain |= {"hash_before": place.before, "hash_after": place.after} if place.after else {}
    said["chain"] = chain | ({"segment_facts": place.segment_facts} if place.sealed else {})
    said |= {"corrects": found.corrects, "because": found.reason} if found.corrects else {}
    said["corrected_by"] = [_correcting(each) for each in found.corrected_by]
    said["counted"] = not found.why_not
    said |= {"why_not_counted": found.why_not} if found.why_not else {}
    said |= {"notes": list(found.notes)} if found.notes else {}
    if found.slots:
        said |= {"formula": FORMULA, "slots": [slot_dict(slot) for slot in found.slots]}
        said["sum"] = _amounts(*total(found.slots), known=True)
    if found.division is not None:
        said |= _division(found.division, row)
    if row["fact"] == "intensity":
        said |= {"in_force": list(found.in_force), "versions": [_version(each) for each in found.versions]}
    return said


def _division(found: Division, row: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"weak": bool(row["weak"])}
    if found.energy is not None:
        said["divides"] = {"energy_facts": list(found.energy.ids), "energy_uj": found.energy.counts[0]}
    if found.work is not None and any(found.work.counts):
        said["work"] = {"facts": list(found.work.ids), **dict(zip((*TOKENS, "steps"), found.work.counts, strict=True))}
    if found.windows is not None:
        whole, mine = sum(found.windows.counts), row["prompt_uj"] + row["generated_uj"]
        of = {"from": iso_time(found.from_s), "to": iso_time(found.to_s), "facts": list(found.windows.ids), "energy_uj": whole}
        said["part_of"] = of | ({"fraction": mine / whole} if whole else {})
    return said


def exact(value: Fraction) -> int | str:
    """An int, or ``"p/q"``."""
    return value.numerator if value.denominator == 1 else str(value)


def _amounts(energy_uj: Fraction, emitted_ug: Fraction, *, known: bool) -> dict[str, Any]:
    emitted = {"emitted_ug": exact(emitted_ug), "emitted_g": float(emitted_ug / UG_PER_G)}
    return {"energy_uj": exact(energy_uj)} | (emitted if known else {})


def _correcting(each: Correcting) -> dict[str, Any]:
    return {"id": each.id, "learnt": iso_time(each.recorded_s), "because": each.reason, "withdraws": each.withdraws}


def _version(each: Version) -> dict[str, Any]:
    said = {name: value for name, value in each.body.items() if name not in ("fact", "zone", "start_s", "length_s")}
    said |= {"corrected_by": list(each.corrected_by), "in_force": each.in_force}
    return {"ids": list(each.ids), "learnt": iso_time(each.learnt_s), **said}
