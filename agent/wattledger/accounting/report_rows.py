"""A report as plain data: what JSON says (schema ``wattledger.report/1``), and what tables are made from.

What is not known is absent, never zero.  Ints stay ints; every quantity is ``{value, low, high}``, a 95 % interval.
"""

from collections.abc import Mapping
from typing import Any

from wattledger.accounting.embodied.report_rows import add_embodied, embodied_not_known, embodied_words
from wattledger.accounting.report_sums import UG_PER_G, UJ_PER_J, Sums, parts
from wattledger.accounting.report_token_rows import share_row, token_row
from wattledger.accounting.report_water_rows import water_not_known, water_row
from wattledger.accounting.reports import Line, Report, iso_day, iso_time
from wattledger.ledger.query import GROUPS

SCHEMA = "wattledger.report/1"
WORK = ("prompt_tokens", "cached_tokens", "generated_tokens", "requests")
# name in the answer → basis; the first two are the same method at the price of the hour and of the year's official average
EMISSIONS = {
    "location_based": "operational",
    "location_based_inventory": "inventory",
    "upstream": "upstream",
    "market_based": "market",
    "marginal": "marginal",
}
PER_DEVICE = ("device", "host", "day")  # kinds whose lines hold all of a device: nothing is shared out among them
PER_TOKEN = ("job", "model")


def to_dict(found: Report) -> dict[str, Any]:
    """The report as JSON."""
    ask = found.ask
    said: dict[str, Any] = {"schema": SCHEMA, "kind": ask.kind}
    times = {"from": ask.from_s, "to": ask.to_s, "as_of": ask.as_of_s}
    said |= {word: iso_time(time_s) for word, time_s in times.items() if time_s is not None}
    said |= {"name": ask.name} if ask.name is not None else {}
    said["rows"] = [row(found, line) for line in found.lines]
    said["total"] = _row(found, found.total, shared=False)
    if found.true_up_ug is not None:
        said["total"]["true_up_g"] = float(found.true_up_ug / UG_PER_G)
    if found.coverage is not None:
        part = found.coverage.part(found.total.hosts or None)
        said["total"] |= {"coverage": part} if part is not None else {}
        said["gaps"] = {"count": found.coverage.gaps, "seconds": found.coverage.gaps_ms / 1000}
    said |= embodied_words(found.embodied)
    said["not_known"] = _not_known(found)
    said["notes"] = list(found.notes)
    return said


def _not_known(found: Report) -> dict[str, str]:
    """Why a basis is absent."""
    why = {"market_based": found.why_no_market} if found.why_no_market else {}
    if found.total.sums.facts and not found.total.sums.of("upstream energy"):
        why["upstream"] = "no source gives both the direct and the life-cycle factor of these zones"
    if found.ask.marginal and not found.total.sums.of("marginal energy"):
        why["marginal"] = "no provider said any marginal intensity of these zones and times"
    why |= embodied_not_known(found.embodied, found.total.made)
    return why | water_not_known(found.total.sums)


def names(found: Report, line: Line) -> dict[str, str]:
    """What the line is of."""
    columns = GROUPS[found.ask.kind] or ("day",)
    return dict(zip(columns, line.group, strict=True))


def row(found: Report, line: Line) -> dict[str, Any]:
    """One line."""
    ask = found.ask
    shared = ask.kind not in PER_DEVICE
    said = {**names(found, line), **_row(found, line, shared=shared)}
    if found.coverage is not None and ask.kind in ("device", "host"):
        part = found.coverage.part([line.group[0]], line.group[1] if ask.kind == "device" else None)
        said |= {"coverage": part} if part is not None else {}
    if ask.by is not None:
        pieces = [{"start": _start(ask.by, piece), **_row(found, piece, shared=shared)} for piece in line.pieces]
        said["by"] = [share_row(share) for share in line.shares] if ask.by == "tenant" else pieces
    return said


def _start(by: str, piece: Line) -> str:
    return (iso_time if by == "hour" else iso_day)(piece.bucket_s or 0)


def _row(found: Report, line: Line, *, shared: bool) -> dict[str, Any]:
    sums, said = line.sums, dict[str, Any]()
    energy_uj = sums.energy_uj()
    if sums.facts:
        said["energy_j"] = sums.energy_j(shared=shared).to_dict()
        said["energy_uj"] = round(energy_uj)
        if energy_uj:
            measured = sum(uj for sensor, uj in sums.of("energy").items() if sensor.method != "estimated")
            said["measured_fraction"] = float(measured / energy_uj)
        said["held_j"] = float(sum(sums.of("held").values()) / UJ_PER_J)
        said |= _emissions(found, sums, shared=shared)
        said |= water_row(sums, shared=shared)
        add_embodied(said, line, found.embodied, shared=shared)
        if sums.currency and not sums.missing("cost"):
            said["cost"] = {"value": float(sums.cost_micro() / 1_000_000), "currency": sums.currency}
    # Joules per token are a job's, a model's: all that a fleet drew over all its tokens would be neither's.
    said |= _work(line, float(energy_uj / UJ_PER_J) if found.ask.kind in PER_TOKEN and line.group else None)
    said |= token_row(line.tokens, sums) if line.tokens is not None else {}
    if line.hosts:
        said |= {"hosts": len(line.hosts)}
    if line.runs:
        said["runs"] = line.runs
    return said


def _emissions(found: Report, sums: Sums, *, shared: bool) -> dict[str, Any]:
    """Grams by basis, and on what they stand: parts of the energy by quality and boundary, and what may still be revised."""
    grams, covers, stands = {}, {}, {}
    energy_uj = sums.energy_uj()
    for name, basis in EMISSIONS.items():
        known = sums.of(f"{basis} energy")
        missing = sums.missing(basis)
        if not known or (basis == "market" and missing) or (basis == "marginal" and not found.ask.marginal):
            continue
        grams[name] = sums.emissions_g(basis, shared=shared).to_dict()
        if missing and energy_uj:
            covers[name] = float(1 - missing / energy_uj)
        stands[name] = {"quality": parts(known, "quality"), "boundary": parts(known, "boundary")}
    said: dict[str, Any] = {"emissions_g": grams}
    said |= {"emissions_cover": covers} if covers else {}
    said["stands_on"] = stands
    settled = parts(sums.of("operational energy"), "settled")
    if settled:
        said["provisional_fraction"] = settled.get("False", 0.0)
        said["state"] = "settled" if not said["provisional_fraction"] else "provisional"
    return said


def _work(line: Line, energy_j: float | None) -> dict[str, Any]:
    if not any(line.work):
        return {}
    done: Mapping[str, int] = dict(zip(WORK, line.work, strict=True))
    tokens = done["prompt_tokens"] + done["generated_tokens"]
    # What has no name is many things, and most of them have no tokens: their energy is nobody's price.
    each = tokens and any(line.group) and energy_j is not None and line.sums.facts
    per_token = {"energy_per_token_j": energy_j / tokens} if each and energy_j is not None else {}
    return {"work": dict(done), **per_token}
