"""Slurm's jobs beside the books, for people and for programs; what is not known is absent, never zero."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wattledger.accounting.reports import iso_time
from wattledger.cli.report_view import aligned, fit
from wattledger.core.figures import digits, gram, joule
from wattledger.core.units import J_PER_KWH
from wattledger.runtime.slurm.joined import Joined, Row
from wattledger.runtime.slurm.sacct import Table

SCHEMA = "wattledger.slurm/1"
SHOWN = 40
FIGURES = ("energy_j", "energy_uj", "held_j", "measured_fraction", "emissions_g", "cost", "work", "hosts")
HEADS = ("job", "name", "user", "state", "energy", "95 %", "sensed", "location")
_PLAIN = ("job_id", "slurm_job_id", "name", "cluster", "user", "account", "partition", "state", "start", "end", "nodes")
_READINGS = ("energy_uj", "held_j", "measured_fraction")
_BASES = ("location_based", "location_based_inventory", "market_based")
_ENDS = ("value", "low", "high")


def to_dict(found: Joined, jobs: Table, *, kept: Sequence[str], there: int | None) -> dict[str, Any]:
    """The JSON of schema ``wattledger.slurm/1``; ``there``: facts that the books held already, ``None`` where none were kept."""
    rows = [_row(row) for row in found.rows]
    said: dict[str, Any] = {"schema": SCHEMA, "jobs": rows, "total": _total(rows), "waiting": jobs.waiting}
    if there is not None:
        said["kept"] = {"facts": list(kept), "there_already": there}
    said["not_known"] = {} if not found.report else dict(found.report["not_known"])
    notes = [] if not found.report else [note for note in found.report["notes"] if not note.startswith("coverage:")]
    return said | {"notes": notes, "warnings": list(jobs.warnings)}


def _row(row: Row) -> dict[str, Any]:
    job = row.job
    said: dict[str, Any] = {
        "job_id": job.id, "slurm_job_id": job.raw, "run_id": job.run_id, "name": job.name, "cluster": job.cluster, "user": job.user,
        "account": job.account, "partition": job.partition, "state": job.state, "start": iso_time(job.start_s),
        "end": "" if job.end_s is None else iso_time(job.end_s), "nodes": job.node_list,
    }  # fmt: skip
    said = {name: value for name, value in said.items() if value}
    said |= {"allocated": dict(job.tres)} if job.tres else {}
    said |= {name: row.said[name] for name in FIGURES if name in row.said}
    said |= {"covered": row.covered} if row.covered is not None else {}
    return said | {"whole": row.is_whole} | ({"partial": why} if (why := _why(row)) else {})


def _why(row: Row) -> str:
    """Why the figure is not all that the job used; empty: it is."""
    if row.job.end_s is None:
        return "it still runs"
    if not row.job.nodes:
        return "sacct was not asked for its nodes (NodeList)"
    if row.unseen:
        more = f" and {len(row.unseen) - 1} more" if len(row.unseen) > 1 else ""
        return f"{row.unseen[0]}{more} of {len(row.job.nodes)} nodes: not in these books"
    if row.covered is not None and row.covered < 1.0:
        return f"its nodes were metered over {_percent(row.covered)} of its time (a minute is booked when it is over)"
    return "" if row.said else "no energy is booked for it: is the source slurm on (wattledger doctor)?"


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Plain sums of the jobs shown; an interval of a sum is a report's to say."""
    known = [row for row in rows if "energy_uj" in row]
    said: dict[str, Any] = {"jobs": len(rows), "metered": len(known), "whole": sum(bool(row["whole"]) for row in rows)}
    if known:
        said["energy_uj"] = sum(row["energy_uj"] for row in known)
    # Of a basis that some of them lack, the sum would look like all.
    for basis in _BASES:
        grams = [row["emissions_g"][basis]["value"] for row in known if basis in row.get("emissions_g", {})]
        if known and len(grams) == len(known):
            said.setdefault("emissions_g", {})[basis] = sum(grams)
    money = [row["cost"] for row in known if "cost" in row]
    if known and len(money) == len(known) and len({each["currency"] for each in money}) == 1:
        said["cost"] = {"value": sum(each["value"] for each in money), "currency": money[0]["currency"]}
    return said


def csv_text(said: Mapping[str, Any]) -> str:
    """One header, units in the names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    energy = [f"energy_{end}j" for end in ("", "low_", "high_")]
    grams = [f"{basis}_{end}g" for basis in _BASES for end in ("", "low_", "high_")]
    ends = ("cost", "currency", "covered", "whole", "partial")
    writer.writerow([*_PLAIN, *energy, *_READINGS, *grams, *ends])
    for row in said["jobs"]:
        quantities = [row.get("energy_j", {}), *(row.get("emissions_g", {}).get(basis, {}) for basis in _BASES)]
        first, *others = ([quantity.get(end, "") for end in _ENDS] for quantity in quantities)
        plain = [row.get(name, "") for name in _READINGS]
        money = [row.get("cost", {}).get(word, "") for word in ("value", "currency")]
        doubt = [row.get("covered", ""), "yes" if row["whole"] else "no", row.get("partial", "")]
        cells = [row.get(name, "") for name in _PLAIN] + first + plain + [end for other in others for end in other]
        writer.writerow([_inert(cell) for cell in (*cells, *money, *doubt)])
    return text.getvalue()


def _inert(cell: Any) -> Any:
    """A name that a spreadsheet would take for a formula is text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def table(said: Mapping[str, Any]) -> Iterator[str]:
    """For a terminal: the jobs with most energy first, each that is not whole with why."""
    rows = sorted(said["jobs"], key=lambda row: -row.get("energy_uj", -1))
    if not rows:
        yield "sacct tells of no job that has begun" + (f" ({said['waiting']} wait)" if said["waiting"] else "")
        return
    money = next((row["cost"]["currency"] for row in rows if "cost" in row), "")
    heads = [*HEADS, *([money] if money else [])]
    yield from aligned(heads, [_cells(row, money=bool(money)) for row in rows[:SHOWN]])
    if len(rows) > SHOWN:
        yield f"{len(rows) - SHOWN} more jobs: --json or --csv has all"
    yield from (f"*{row['job_id']}: {row['partial']}" for row in rows[:SHOWN] if "partial" in row)
    total = said["total"]
    if "energy_uj" in total:
        grams = f", {gram(total['emissions_g']['location_based'])} CO2e" if "location_based" in total.get("emissions_g", {}) else ""
        sums = f"{_energy(total['energy_uj'] / 1e6)}{grams}"
        yield f"{total['jobs']} jobs, {total['metered']} metered, {total['whole']} wholly: {sums}"
    if "kept" in said:
        yield f"{len(said['kept']['facts'])} facts kept, {said['kept']['there_already']} were in the books already"
    yield from (f"note: {note}" for note in said["notes"])


def _cells(row: Mapping[str, Any], *, money: bool) -> list[str]:
    energy, grams = row.get("energy_j"), row.get("emissions_g", {}).get("location_based")
    cells = [
        ("*" if "partial" in row else "") + row["job_id"], fit(row.get("name", "")), fit(row.get("user", "?")),
        row.get("state", "?"), "?" if energy is None else _energy(energy["value"]), _interval(energy),
        "?" if "measured_fraction" not in row else _percent(row["measured_fraction"]),
        "?" if grams is None else gram(grams["value"]),
    ]  # fmt: skip
    return [*cells, digits(row["cost"]["value"]) if "cost" in row else "?"] if money else cells


def _interval(energy: Mapping[str, float] | None) -> str:
    if energy is None or energy["value"] <= 0:
        return ""
    down, up = (abs(energy[end] / energy["value"] - 1) for end in ("low", "high"))
    return f"-{down * 100:.0f} +{up * 100:.0f} %"


def _energy(energy_j: float) -> str:
    return joule(energy_j) if energy_j < J_PER_KWH / 100 else f"{digits(energy_j / J_PER_KWH)} kWh"


def _percent(part: float) -> str:
    return f"{part:.1%}" if 0.9 < part < 1 else f"{part:.0%}"
