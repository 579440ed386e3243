"""A report as people read it: a narrow table, or all that is known of one line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from unicodedata import combining, east_asian_width

from wattledger.cli.report_csv import BASES, NAMES
from wattledger.cli.report_tokens import legend as token_legend
from wattledger.cli.report_tokens import tenant_lines, token_details, token_lines
from wattledger.cli.report_water import LEGEND as WATER_LEGEND
from wattledger.cli.report_water import cell as water_cell
from wattledger.cli.report_water import details as water_details
from wattledger.cli.report_water import total as water_total
from wattledger.core.figures import digits, gram, joule
from wattledger.core.units import J_PER_KWH

ABOUT = {
    "location_based": "at the price of the hour",
    "location_based_inventory": "at the year's official average",
    "market_based": "from contracts",
    "upstream": "fuel supply and building, beside direct",
    "marginal": "not for inventories",
    "embodied": "its share of what made the machines (scope 3)",
}
NO_NAME = "(no name)"
SHOWN = 40  # rows of a table; JSON and CSV have all
WIDEST = 32


def table(found: Mapping[str, Any]) -> list[str]:
    """The report's lines."""
    return list(_one(found) if len(found["rows"]) == 1 and "name" in found else _many(found))


def _many(found: Mapping[str, Any]) -> Iterator[str]:
    rows, kind = found["rows"], found["kind"]
    if not rows:
        of = f"{kind} {fit(found['name'])}" if "name" in found else f"any {kind}"
        yield f"nothing is booked for {of}{_when(found)}"
        return
    # By energy, as people look for what was most; days in their order.
    order = rows if kind == "day" else sorted(rows, key=lambda row: -row.get("energy_uj", 0))
    shown = [*order[:SHOWN], {**found["total"], "is_total": True}]
    columns = _columns(shown)
    body = [[_label(kind, row), *(show(row) for show in columns.values())] for row in shown]
    yield from aligned([kind, *columns], body)
    if len(rows) > SHOWN:
        yield f"{len(rows) - SHOWN} more rows, in the total: --json or --csv has all"
    for row in order[:SHOWN]:
        yield from _pieces(kind, row)
    yield from _legend(columns)
    if tokens := list(token_lines([(_label(kind, row), row) for row in order[:SHOWN]])):
        yield from aligned(tokens[0], tokens[1:])
        yield from token_legend(order[:SHOWN])
    yield from _below(found)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Callable[[Mapping[str, Any]], str]]:
    """Head → what stands below it.  What no row has, has no column."""
    known = {basis for row in rows for basis in row.get("emissions_g", {})}
    money = next((row["cost"]["currency"] for row in rows if "cost" in row), "")
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "energy": lambda row: _energy(row["energy_j"]["value"]) if "energy_j" in row else "?",
        "95 %": lambda row: _interval(row.get("energy_j")),
        "sensed": lambda row: _percent(row.get("measured_fraction")),
        "location": lambda row: _grams(row, "location_based"),
        "95 % ": lambda row: _interval(row.get("emissions_g", {}).get("location_based")),
        "inventory": lambda row: _grams(row, "location_based_inventory"),
    }
    for head, basis in (("market", "market_based"), ("marginal", "marginal")):
        if basis in known:
            columns[head] = partial(_grams, basis=basis)
    if "embodied" in known:
        columns["embodied"] = partial(_grams, basis="embodied")
    if any("onsite" in row.get("water_l", {}) for row in rows):  # half of it is no column: the total's line says what is known
        columns["water"] = water_cell
    if money:
        columns[money] = _money
    return columns


LEGEND = {
    "95 %": "95 %: how much less or more it may be",
    "sensed": "sensed: the part that sensors measured, the rest is a model's answer",
    "location": "CO2e: location at the price of the hour",
    "inventory": "inventory at the year's official average; ?: not known",
    "market": "market from contracts",
    "marginal": "marginal for decisions, not for inventories",
    "embodied": "embodied: its share of what made the machines, beside the others and in none of them",
    "water": WATER_LEGEND,
}


def _legend(columns: Iterable[str]) -> Iterator[str]:
    words = [LEGEND[head] for head in columns if head in LEGEND]
    for first, last in ((0, 2), (2, 4), (4, len(words))):
        if words[first:last]:
            yield "; ".join(words[first:last])


def aligned(heads: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(_width(line[n]) for line in [heads, *body]) for n in range(len(heads))]
    for line in [heads, *body]:
        first, *others = (" " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        yield "  ".join([line[0] + first, *(pad + cell for pad, cell in zip(others, line[1:], strict=True))]).rstrip()


def _one(found: Mapping[str, Any]) -> Iterator[str]:
    row = found["rows"][0]
    yield f"{found['kind']} {_label(found['kind'], row)}{_when(found)}"
    yield from _details(row)
    yield from _pieces(found["kind"], row)
    yield from _below(found)


def _details(row: Mapping[str, Any]) -> Iterator[str]:
    if "energy_j" not in row:
        yield "  energy          not known: nothing was metered"
    else:
        held = f", {_energy(row['held_j'])} of it idle that it held" if row["held_j"] else ""
        yield f"  energy          {_spanned(row['energy_j'], _energy)}{held}"
        rest = "" if row.get("measured_fraction") == 1 else ", the rest is a model's answer"
        yield f"  measured        {_percent(row.get('measured_fraction'))} by sensors{rest}"
    for basis, name in BASES.items():
        if basis in row.get("emissions_g", {}):
            cover = row.get("emissions_cover", {}).get(basis)
            part = "" if cover is None else f" of {_percent(cover)} of the energy"
            yield f"  {name:<15} {_spanned(row['emissions_g'][basis], gram)} CO2e{part}, {ABOUT[basis]}: {_stands(row, basis)}"
    if "state" in row:
        part = f", {_percent(row['provisional_fraction'])} of it may still be priced anew" if row["provisional_fraction"] else ""
        yield f"  state           {row['state']}{part}"
    yield from water_details(row)
    if "cost" in row:
        yield f"  cost            {_money(row)} {row['cost']['currency']}"
    if "work" in row:
        done = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in row["work"].items() if value)
        per = f", {joule(row['energy_per_token_j'])} a token (prompt and generated)" if "energy_per_token_j" in row else ""
        yield f"  work            {done}{per}"
    yield from token_details(row)
    where = [f"{row[word]} {word if row[word] != 1 else word[:-1]}" for word in ("hosts", "runs") if word in row]
    if where:
        yield f"  where           {', '.join(where)}"


def _pieces(kind: str, row: Mapping[str, Any]) -> Iterator[str]:
    if not row.get("by"):
        return
    if any("tenant" in piece for piece in row["by"]):
        heads_and_rows = list(tenant_lines(_label(kind, row), row))
        yield from aligned(heads_and_rows[0], heads_and_rows[1:])
        return
    heads = "energy", "location", "inventory"
    bases = ("location_based", "location_based_inventory")
    yield from aligned(
        [_label(kind, row), *heads],
        [
            [f"  {piece['start']}", _energy(piece["energy_j"]["value"]) if "energy_j" in piece else "?",
             *(_grams(piece, basis) for basis in bases)]
            for piece in row["by"]
        ],
    )  # fmt: skip


def _below(found: Mapping[str, Any]) -> Iterator[str]:
    total = found["total"]
    alone = len(found["rows"]) == 1 and "name" in found
    for basis in ("location_based", "location_based_inventory", "embodied") if not alone else ():
        if basis in total.get("stands_on", {}):
            yield f"{BASES[basis].strip()}: {_stands(total, basis)}"
    yield from water_total(total) if not alone else ()
    if total.get("provisional_fraction") and not alone:
        yield f"provisional: {_percent(total['provisional_fraction'])} of the energy may still be priced anew"
    if "upstream" in total.get("emissions_g", {}) and "name" not in found:
        yield f"upstream (scope 3): {_spanned(total['emissions_g']['upstream'], gram)} CO2e"
    if "true_up_g" in total:
        yield f"true-up: inventory less location-based, {gram(total['true_up_g'])} CO2e"
    if "coverage" in total:
        yield f"coverage: devices were seen {_percent(total['coverage'])} of the time that they were expected to be"
    for note in found["notes"]:
        yield f"note: {note}"


def _grams(row: Mapping[str, Any], basis: str) -> str:
    emitted = row.get("emissions_g", {})
    return gram(emitted[basis]["value"]) if basis in emitted else "?"


def _label(kind: str, row: Mapping[str, Any]) -> str:
    if "is_total" in row:
        return "all"
    return fit(" ".join(str(row[name]) for name in NAMES[kind][:2]).strip() or NO_NAME)


def fit(name: str) -> str:
    """Its beginning and its end: runs of one name differ in their last letters.  A name commands no terminal."""
    safe = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)
    if _width(safe) <= WIDEST:
        return safe
    head, tail = safe, safe
    while _width(head) > WIDEST // 2 - 2:
        head = head[:-1]
    while _width(tail) > WIDEST // 2 - 1:
        tail = tail[1:]
    return f"{head}...{tail}"


def _width(text: str) -> int:
    """In columns of a terminal."""
    return sum(0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def _stands(row: Mapping[str, Any], basis: str) -> str:
    """Whose prices, and of which boundary; parts of the energy."""
    on = row["stands_on"][basis]
    return "; ".join(_shares(on[word]) for word in ("quality", "boundary") if on[word])


def _shares(parts: Mapping[str, float]) -> str:
    ranked: Sequence[tuple[str, float]] = sorted(parts.items(), key=lambda part: (-part[1], part[0]))
    if len(ranked) == 1:
        return ranked[0][0]
    return ", ".join(f"{_percent(share)} {name}" for name, share in ranked)


def _energy(energy_j: float) -> str:
    """kWh where people read kWh, joules below."""
    if energy_j < J_PER_KWH / 100:
        return joule(energy_j)
    scaled: Iterable[tuple[float, str]] = ((1e6, "GWh"), (1e3, "MWh"), (1.0, "kWh"))
    kwh = energy_j / J_PER_KWH
    return next((f"{digits(kwh / size)} {unit}" for size, unit in scaled if kwh >= size * 0.9995), f"{digits(kwh)} kWh")


def _spanned(quantity: Mapping[str, float], show: Any) -> str:
    return f"{show(quantity['value'])} ({show(quantity['low'])} to {show(quantity['high'])})"


def _interval(quantity: Mapping[str, float] | None) -> str:
    if quantity is None or quantity["value"] <= 0:
        return ""
    down, up = (abs(quantity[end] / quantity["value"] - 1) for end in ("low", "high"))
    return f"-{down * 100:.0f} +{up * 100:.0f} %"


def _percent(part: float | None) -> str:
    if part is None:
        return "?"
    # 99.96 % is not all of it, and 0.04 % is not nothing.
    rounded = f"{part:.1%}" if 0 < part < 0.1 or 0.9 < part < 1 else f"{part:.0%}"
    return {"100.0%": ">99.9%", "0.0%": "<0.1%"}.get(rounded, rounded) if 0 < part < 1 else f"{part:.0%}"


def _money(row: Mapping[str, Any]) -> str:
    return digits(row["cost"]["value"]) if "cost" in row else "?"


def _when(found: Mapping[str, Any]) -> str:
    words = [f"{word.replace('_', ' ')} {found[word]}" for word in ("from", "to", "as_of") if word in found]
    return f" ({', '.join(words)})" if words else ""
