"""Explanations as people read them."""

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from wattledger.accounting.explain import Figure, Slot, total
from wattledger.accounting.explain_fact import Story, Version
from wattledger.accounting.explain_rows import BASES, WATER_FORMULA
from wattledger.accounting.explain_water import WaterFigure, Wet
from wattledger.accounting.explain_water import total as total_water
from wattledger.accounting.report_ask import Ask
from wattledger.accounting.report_sums import MILLI, UG_PER_G
from wattledger.accounting.reports import iso_time
from wattledger.cli.explain_tokens import allocation_headline, division_lines, named
from wattledger.core.figures import digits, gram, joule, litre
from wattledger.core.units import UJ_PER_J
from wattledger.ledger.columns import KEYED, TOKENS

SHOWN = 24  # lines of slots
UL_PER_ML, UG_PER_MG = 1000, 1000
OFF = "NOT EQUAL: a bug; please report it"
FORMULA = "uJ x ug/kWh x PUE / 3.6e12 = ug CO2e"
_SAID_ELSEWHERE = ("fact", "recorded_s", "corrects", "because")
_WHO = ("host", "device", "device_model", "component", "job", "model", "run", "use", "method", "meter", "zone")


def figure_lines(found: Figure, *, every: bool) -> Iterator[str]:
    """A report's figure: its slots, their sum, and whether the report says the same."""
    slots = found.slots
    basis = next(name for name, each in BASES.items() if each == found.basis)
    yield f"{asked_words(found.ask)}, {basis.replace('_', ' ')}: {FORMULA}"
    if not slots:
        yield "  nothing was metered in that time: not known"
        return
    shown = len(slots) if every or len(slots) <= SHOWN else SHOWN - 1
    yield from _aligned([_cells(slot) for slot in slots[:shown]])
    if rest := slots[shown:]:
        energy_uj, emitted_ug = total(rest)
        yield f"  {len(rest)} more slots: {_number(energy_uj)} uJ = {_number(emitted_ug)} ug (--all lists them)"
    yield from _sums(found)
    for note in found.notes:
        yield f"note: {note}"


def water_lines(found: WaterFigure) -> Iterator[str]:
    """A report's litres: each figure of water with its energy, their sum, and whether the report says the same."""
    yield f"{asked_words(found.ask)}, water {found.where}: {WATER_FORMULA[found.where]}"
    if not found.slots:
        yield "  nothing was metered in that time: not known"
        return
    yield from _aligned([_wet_cells(slot) for slot in found.slots])
    energy_uj, water_ul = total_water(found.slots)
    known = any(slot.litres is not None for slot in found.slots)
    much = f" = {_litres(water_ul)}" if known else ", its litres are not known"
    yield f"  sum              {_number(energy_uj)} uJ{much}"
    said = f" = {_number(found.reported_ul)} ul" if known else ", without litres"
    yield f"  the report says  {_number(found.reported_uj)} uJ{said}: {'exactly equal' if found.is_equal else OFF}"
    for note in found.notes:
        yield f"note: {note}"


def _litres(water_ul: Fraction) -> str:
    """Exactly, and from a millilitre on as people say it."""
    exact = f"{_number(water_ul)} ul"
    return f"{exact} = {litre(float(water_ul / UG_PER_G))}" if abs(water_ul) >= UL_PER_ML else exact


def _wet_cells(slot: Wet) -> list[str]:
    litres = slot.litres
    facts = f"({slot.facts} fact{'' if slot.facts == 1 else 's'})"
    cells = [(litres.zone if litres is not None else "") or "(no zone)", f"{_number(slot.energy_uj)} uJ", facts]
    if litres is None:
        return [*cells, "", "", "", "not known"]
    pue = f"x {slot.pue_milli / MILLI:g}" if slot.pue_milli else ""
    source = " ".join(word for word in (litres.quality, litres.boundary, litres.origin, litres.version) if word)
    return [*cells, f"x {litres.ul_per_kwh:,} ul/kWh".replace(",", " "), pue, f"= {_number(slot.water_ul)} ul", source]


def asked_words(ask: Ask) -> str:
    """What report is explained."""
    times = {"from": ask.from_s, "to": ask.to_s, "as of": ask.as_of_s}
    when = ", ".join(f"{word} {iso_time(time_s)}" for word, time_s in times.items() if time_s is not None)
    return (f"{ask.kind} {ask.name}" if ask.name is not None else ask.kind) + (f" ({when})" if when else "")


def _sums(found: Figure) -> Iterator[str]:
    energy_uj, emitted_ug = total(found.slots)
    unpriced_uj = total([slot for slot in found.slots if not slot.is_priced])[0]
    if not any(slot.is_priced for slot in found.slots):
        yield f"  sum              {_number(energy_uj)} uJ, none of it priced: its grams are not known"
        yield f"  the report says  {_number(found.reported_uj)} uJ, without grams: {_verdict(found)}"
        return
    without = f", {_number(unpriced_uj)} uJ of it without a price" if unpriced_uj else ""
    grams = f" = {gram(float(emitted_ug / UG_PER_G))}" if abs(emitted_ug) >= UG_PER_MG else ""
    yield f"  sum              {_number(energy_uj)} uJ{without} = {_number(emitted_ug)} ug{grams} CO2e"
    yield f"  the report says  {_number(found.reported_uj)} uJ = {_number(found.reported_ug)} ug: {_verdict(found)}"


def story_lines(found: Story, as_of_s: int | None) -> Iterator[str]:
    """A fact."""
    row = found.columns
    yield f"{found.id}: {_headline(row)}"
    if as_of_s is not None:
        yield f"  as of         {iso_time(as_of_s)}{'' if found.known else ': not known then'}"
    for name, value in _facts_of(row):
        yield f"  {name:<13} {value}"
    yield f"  learnt        {iso_time(row['recorded_s'])}"
    yield f"  body          {row['body']}"
    yield from _chain(found)
    yield from _corrections(found)
    if found.division is not None:
        yield from division_lines(found.division, row)
    if row["fact"] in KEYED:
        yield f"  in reports    {f'not counted: {found.why_not}' if found.why_not else 'counted'}"
    if found.slots:
        yield from _arithmetic(found.slots)
    yield from _versions(found)
    for note in found.notes:
        yield f"  note          {note}"


def _headline(row: dict[str, Any]) -> str:
    match row["fact"]:
        case "energy":
            return f"{joule(row['energy_uj'] / UJ_PER_J)} in {_window(row)}"
        case "work":
            counts = (*TOKENS, "requests", "steps")
            done = [f"{row[name]} {name}".replace("_", " ") for name in counts if row[name]]
            return f"{', '.join(done) or 'no work'} in {_window(row)}"
        case "allocation":
            return allocation_headline(row, _window(row))
        case "intensity":
            return f"an intensity of the grid in {row['zone']}, {_window(row)}"
        case "withdrawal":
            return f"withdraws {row['corrects']}"
        case "key":
            return "explains what a key's number stands for"
        case "asset":
            said = json.loads(row["body"])
            return f"{said['event']} of asset {_plain(said['asset'])}, {iso_time(said['at_s'])}"
        case kind:
            return f"a {kind} fact"


def _plain(text: str) -> str:
    """A user's word: it commands no terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _window(row: dict[str, Any]) -> str:
    return f"{iso_time(row['start_s'])} + {row['length_s']} s"


def _facts_of(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if row["fact"] in KEYED:
        yield from ((name.replace("_", " "), row[name]) for name in _WHO if row[name])
        if row["labels"]:
            yield "labels", row["labels"]
    if row["fact"] == "energy":
        yield "seen", f"{row['seen_ms'] / 1000:g} s of {row['length_s']} s"
        if row["spread_uj"]:
            yield "may be others'", f"{row['spread_uj']:,} uJ, by the way the device was shared".replace(",", " ")
    if row["fact"] not in KEYED:
        said = json.loads(row["body"])
        yield from ((name, _shown(name, value)) for name, value in said.items() if name not in _SAID_ELSEWHERE)


def _shown(name: str, value: Any) -> str:
    """A field of a body; times as people read them too."""
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if name in ("start_s", "end_s", "at_s"):
        return f"{plain} ({iso_time(value)})"
    return f"{plain} ({iso_time(value // 1000)})" if name in ("start_ms", "end_ms", "at_ms") else plain


def _chain(found: Story) -> Iterator[str]:
    place = found.place
    state = f"sealed with {place.segment_facts} facts" if place.sealed else "open (not sealed yet)"
    yield f"  day           {place.day}, {state}"
    if not place.after:
        yield "  chain         facts before it were rolled up: its hashes cannot be worked out any more"
        return
    yield f"  hash before   {place.before}"
    yield f"  hash after    {place.after}"
    if not place.holds:
        yield "  chain         BROKEN: the hashes do not follow from the bodies: run `wattledger ledger verify`"


def _corrections(found: Story) -> Iterator[str]:
    if found.corrects:
        yield f"  corrects      {found.corrects}, because: {found.reason or 'no reason is given'}"
    for each in found.corrected_by:
        word = "withdrawn by" if each.withdraws else "corrected by"
        yield f"  {word}  {each.id}, learnt {iso_time(each.recorded_s)}, because: {each.reason or 'no reason is given'}"


def _arithmetic(slots: Sequence[Slot]) -> Iterator[str]:
    yield f"  {FORMULA}"
    yield from (f"  {line}" for line in _aligned([_cells(slot) for slot in slots]))
    if len(slots) > 1:
        yield f"    sum {_number(total(slots)[1])} ug"


def _versions(found: Story) -> Iterator[str]:
    if found.columns["fact"] != "intensity":
        return
    yield "  versions      of the same window, the oldest first:"
    for each in found.versions:
        yield f"    {_version(each)}"
    others = [each for each in found.in_force if not any(each in version.ids for version in found.versions)]
    if others:
        yield f"  in force      {', '.join(others)}, whose window is another"
    elif not found.in_force:
        yield "  in force      none of them"


def _version(each: Version) -> str:
    body = each.body
    words = [body["provider"], body.get("signal", "average"), body.get("boundary", "direct")]
    words += [body["version"]] if body.get("version") else []
    words += [word for word in ("estimated", "forecast") if body.get(word)]
    ends = [f"corrected by {', '.join(each.corrected_by)}"] if each.corrected_by else []
    ends += ["IN FORCE"] if each.in_force else []
    value = f"{digits(body['ug_per_kwh'] / UG_PER_G)} g/kWh"
    return f"{value}, learnt {iso_time(each.learnt_s)}, {' '.join(words)}: {'; '.join([named(each.ids), *ends])}"


def _cells(slot: Slot) -> list[str]:
    """A slot, cell by cell."""
    price = slot.price
    when = "rolled up" if slot.priced_by else "no price"
    when = f"{iso_time(price.start_s)} {price.zone or '(no zone)'}" if price is not None else when
    facts = f"({slot.facts} fact{'' if slot.facts == 1 else 's'})"
    cells = [when, f"{_number(slot.energy_uj)} uJ", facts]
    if not slot.is_priced:
        return [*cells, "", "", "", "not known"]
    rate = slot.ug_per_kwh
    cells.append(f"x {_number(rate) if rate is not None else '?'}")
    cells.append(f"x {slot.pue_milli / MILLI:g}" if slot.pue_milli else "x no PUE")
    return [*cells, f"= {_number(slot.emitted_ug)} ug", _source(slot)]


def _source(slot: Slot) -> str:
    price = slot.price
    if price is None:
        return f"by {slot.priced_by}"
    table = " ".join(word for word in (price.origin, price.version) if word)
    whose = named(price.facts) if price.facts else table
    return f"{price.quality} {price.boundary}, {'settled' if price.settled else 'provisional'}: {whose}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        middle = (cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True))
        yield f"  {'  '.join([row[0].ljust(widths[0]), *middle, row[-1]])}".rstrip()


def _verdict(found: Figure) -> str:
    if found.is_equal:
        return "exactly equal"
    off_uj, off_ug = (said - made for said, made in zip((found.reported_uj, found.reported_ug), total(found.slots), strict=True))
    return f"NOT EQUAL: the report has {_number(off_uj)} uJ and {_number(off_ug)} ug more: a bug; please report it"


def _number(value: Fraction) -> str:
    """Whole, or to three places (more where it is small), with spaces between thousands."""
    if value.denominator == 1:
        return f"{value.numerator:,}".replace(",", " ")
    return f"{float(value):,.3f}".replace(",", " ") if abs(value) >= 1 else f"{float(value):.6g}"
