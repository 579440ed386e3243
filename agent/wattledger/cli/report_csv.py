"""A report as CSV: one header, units in the names; what is not known is empty."""

import csv
import io
from collections.abc import Mapping
from typing import Any

NAMES = {
    "job": ("job",),
    "model": ("model",),
    "device": ("host", "device", "component", "device_model"),
    "host": ("host",),
    "day": ("day",),
}
BASES = {
    "location_based": "location-based",
    "location_based_inventory": "  inventory",
    "market_based": "market-based",
    "upstream": "upstream",
    "marginal": "marginal",
    "embodied": "embodied",
}
ENDS = ("", "low_", "high_")
WATER = ("onsite", "offsite")
_PLAIN = ("energy_uj", "held_j", "measured_fraction", "provisional_fraction", "energy_per_token_j", "hosts", "runs", "coverage")
_WORK = ("prompt_tokens", "cached_tokens", "generated_tokens", "requests")
_CSV = (
    *(f"energy_{end}j" for end in ENDS),
    *(f"{basis}_{end}g" for basis in BASES for end in ENDS),
    *_PLAIN, "cost", "currency", *_WORK,
    *(f"water_{where}_{end}l" for where in WATER for end in ENDS),
)  # fmt: skip
_KINDS = ("prompt", "generated", "standby", "overhead")
_EACH = ("prompt", "generated")
_PACE = ("prompt_per_s", "generated_per_s", "mean_batch", "weak_fraction")
_TOKENS = (
    *(f"{kind}_{end}j" for kind in _KINDS for end in ENDS),
    *(f"energy_per_{kind}_token_{end}j" for kind in _EACH for end in ENDS),
    *(f"{kind}_{end}g_per_million" for kind in _EACH for end in ENDS),
    *_PACE,
)


def csv_text(found: Mapping[str, Any]) -> str:
    """The report; of pieces, a line each."""
    kind, text = found["kind"], io.StringIO()
    cut = [row["by"] for row in found["rows"] if "by" in row]
    part = ["start" if any("start" in piece for pieces in cut for piece in pieces) else "tenant"] if cut else []
    writer = csv.writer(text, lineterminator="\n")
    keys = (*NAMES[kind], *part)
    writer.writerow([*keys, *_CSV, *(_TOKENS if kind == "model" else ())])
    for row in found["rows"]:
        for each in row.get("by", [row]):
            flat = {**row, **each}
            cells = {**_flat(each), **(_tokens(each) if kind == "model" else {})}
            writer.writerow([*(flat.get(key, "") for key in keys), *cells.values()])
    return text.getvalue()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = dict.fromkeys(_CSV, "")
    for end in ENDS:
        word = end.rstrip("_") or "value"
        flat[f"energy_{end}j"] = row.get("energy_j", {}).get(word, "")
        for basis in BASES:
            flat[f"{basis}_{end}g"] = row.get("emissions_g", {}).get(basis, {}).get(word, "")
        for where in WATER:
            flat[f"water_{where}_{end}l"] = row.get("water_l", {}).get(where, {}).get(word, "")
    flat |= {name: row[name] for name in _PLAIN if name in row}
    flat |= {"cost": row["cost"]["value"], "currency": row["cost"]["currency"]} if "cost" in row else {}
    if "tenant" in row:
        counts = {f"{kind}_tokens": row[kind]["tokens"] for kind in _EACH if "tokens" in row.get(kind, {})}
        flat |= counts | {name: row[name] for name in ("cached_tokens", "requests") if name in row}
    flat |= row.get("work", {})
    return flat


def _tokens(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of a model's line or piece; a tenant says his kinds himself."""
    tokens = row if "tenant" in row else row.get("tokens", {})
    flat: dict[str, Any] = dict.fromkeys(_TOKENS, "")
    for end in ENDS:
        word = end.rstrip("_") or "value"
        for kind in _KINDS:
            flat[f"{kind}_{end}j"] = tokens.get(kind, {}).get("energy_j", {}).get(word, "")
        for kind in _EACH:
            flat[f"energy_per_{kind}_token_{end}j"] = tokens.get(kind, {}).get("energy_per_token_j", {}).get(word, "")
            flat[f"{kind}_{end}g_per_million"] = tokens.get(kind, {}).get("emissions_g_per_million", {}).get(word, "")
    return flat | {name: tokens[name] for name in _PACE if name in tokens}
