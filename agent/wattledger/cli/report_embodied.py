"""``wattledger report embodied``: the trial balance of machines, whom they were charged to, and their place in the inventory."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from wattledger.accounting.embodied.made import UG_PER_G
from wattledger.accounting.embodied.methods import METHODS
from wattledger.accounting.embodied.rows import ALL, UnknownAsset, amortised, inventoried
from wattledger.accounting.evidence import pack, pinned
from wattledger.accounting.report_ask import Ask
from wattledger.cli import fail
from wattledger.cli.report_books import PRICES, allocated, asked, instant, options
from wattledger.cli.report_evidence import EVIDENCE, told, write
from wattledger.cli.report_view import SHOWN, aligned, fit
from wattledger.core.figures import digits, gram
from wattledger.ledger.books import Books, Span
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import ConfigError, nearest

# Heads of the trial balance → the amounts below them.
BALANCE = {
    "opening": ("opening_ug",),
    "in": ("made_ug", "added_ug", "transferred_in_ug"),
    "jobs": ("jobs_ug",),
    "(idle)": ("idle_ug",),
    "(unattributed)": ("unattributed_ug",),
    "(unmetered)": ("unmetered_ug",),
    "(true-up)": ("true_up_ug",),
    "written off": ("written_off_ug",),
    "sold": ("transferred_out_ug",),
    "closing": ("closing_ug",),
    "residual": ("residual_ug",),
}
VIEWS = ["amortised", "inventory"]
ALWAYS = ("opening", "in", "jobs", "closing", "residual")


@click.command("embodied")
@click.argument("asset", required=False)
@options
@click.option("--view", type=click.Choice(VIEWS), default=VIEWS[0], help="Over use, or in the year of purchase.")
@click.option("--method", type=click.Choice([*METHODS, ALL]), default=METHODS[0], help="How it is allocated; all: side by side.")
@PRICES
@EVIDENCE
@click.option("--json", "as_json", is_flag=True, help="As JSON (schema wattledger.embodied/1).")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
def command(asset: str | None, **given: Any) -> None:
    """What machines carried, were charged and carry now, and the jobs that paid; with ASSET, of that one.

    Every kilogram that came in was charged, left, or is still carried: the residual is 0. For example:
    wattledger report embodied --from 2026-01-01 --method all
    """
    try:
        if given["as_json"] and given["as_csv"]:
            raise ValueError("--json or --csv, not both")
        found = _found(asset, given)
    except UnknownAsset as wrong:
        fail(f"report embodied: {wrong}{nearest(asset or '', wrong.names)}")
    except (ConfigError, LedgerError, ValueError) as wrong:
        fail(f"report embodied: {wrong}")
    if given["as_json"]:
        click.echo(json.dumps(found, ensure_ascii=False))
    elif given["as_csv"]:
        click.echo(csv_text(found), nl=False)
    else:
        click.echo("\n".join(lines(found)))


def _found(asset: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    where = asked(given["config_file"], given["ledgers"], given["zone"])
    from_s, to_s = instant(given["from_"], "--from"), instant(given["to"], "--to")
    ask = Ask("embodied", asset, from_s, to_s, as_of_s=instant(given["as_of"], "--as-of"))
    rules = allocated(where.rules, None, given["prices"])
    with Books(where.places, Span(from_s, to_s, ask.as_of_s)) as books:
        ask = pinned(ask, books) if given["evidence_file"] else ask
        found = inventoried(books, ask) if given["view"] == "inventory" else amortised(books, ask, rules, given["method"])
        if given["evidence_file"]:
            rules = rules if given["method"] == ALL else allocated(rules, given["method"], None)
            write(given["evidence_file"], pack(books, ask, rules, found, told=told(given, _words(given))))
    return found


def _words(given: Mapping[str, Any]) -> list[str]:
    """Of the command, beyond what every report is asked."""
    return [word for name in ("view", "method", "prices") if given[name] for word in (f"--{name}", given[name])]


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """As people read it."""
    yield f"embodied carbon, {found['view']} ({found['from']} to {found['to']})"
    yield from _inventory(found) if found["view"] == "inventory" else _balance(found)
    for note in found["notes"]:
        yield f"note: {note}"


def _balance(found: Mapping[str, Any]) -> Iterator[str]:
    if found["assets"]:
        rows = [*found["assets"][:SHOWN], {**found["total"], "asset": "all"}]
        heads = [head for head, names in BALANCE.items() if head in ALWAYS or any(row[name] for row in rows for name in names)]
        body = [[_name(row["asset"]), *(_kg(sum(row[name] for name in BALANCE[head])) for head in heads)] for row in rows]
        yield from aligned(["asset (kg)", *heads], body)
        if len(found["assets"]) > SHOWN:
            yield f"{len(found['assets']) - SHOWN} more assets, in the sum: --json or --csv has all"
        yield "opening + in = jobs and (…) + written off + sold + closing; residual: what does not add up, always 0"
        if found["in_stock_ug"]:
            yield f"in stock: {_kg(found['in_stock_ug'])} kg of what is carried, charged to nobody while it lies there"
    else:
        yield "no passports of machines are in these books (wattledger asset discover proposes one)"
    yield from _charged(found)


def _charged(found: Mapping[str, Any]) -> Iterator[str]:
    methods = list(found["charged_ug"])
    if not found["jobs"]:
        return
    if len(methods) == 1:
        heads = ["job", "embodied", "95 %", "passports", "estimates"]
        body = [
            [_name(row["job"]), _ug(row["embodied_ug"]), _span(row), _ug(row["passport_ug"]), _ug(row["estimate_ug"])]
            for row in found["jobs"][:SHOWN]
        ]
        body.append(["all", _ug(found["charged_ug"][methods[0]]), "", *(_ug(sum(r[w] for r in found["jobs"])) for w in _PARTS)])
    else:
        heads = ["job", *methods]
        body = [[_name(row["job"]), *(_ug(row["embodied_ug"][method]) for method in methods)] for row in found["jobs"][:SHOWN]]
        body.append(["all", *(_ug(found["charged_ug"][method]) for method in methods)])
    yield from aligned(heads, body)
    for method in methods:
        yield f"{method}: {found['means'][method]}"
    yield from dict.fromkeys(_estimate(one) for one in found["estimates"])  # a card that was on two hosts stands there twice


def _estimate(one: Mapping[str, Any]) -> str:
    life = f"{digits(one['life_h'] / 8760)} years"
    kilos = f"{digits(one['kg'])} kg ({digits(one['low_kg'])} to {digits(one['high_kg'])})"
    return f"estimate for {_name(one['for'])}: {one['item']}, {kilos} over {life}, {one['method']}: {one['source']}"


_PARTS = ("passport_ug", "estimate_ug")


def _inventory(found: Mapping[str, Any]) -> Iterator[str]:
    body: list[Sequence[str]] = []
    for year in found["years"]:
        of_year = [(f"scope 3.{each['scope3_category']}", each["name"], _ug(each["emitted_ug"])) for each in year["categories"]]
        body += [[year["year"], *cells] for cells in of_year]
    if body:
        yield from aligned(["year", "category", "", "CO2e"], body)
    else:
        yield "nothing was bought in this time"
    yield found["note"]


def csv_text(found: Mapping[str, Any]) -> str:
    """The trial balance; of all methods, the jobs; of the inventory, what was bought.  What is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if found["view"] == "inventory":
        names = ("asset", "scope3_category", "by", "emitted_ug")
        writer.writerow(["year", *names])
        writer.writerows([year["year"], *(one[name] for name in names)] for year in found["years"] for one in year["assets"])
    elif len(found["charged_ug"]) > 1:
        writer.writerow(["job", *(f"{method}_ug" for method in found["charged_ug"])])
        writer.writerows([row["job"], *row["embodied_ug"].values()] for row in found["jobs"])
    else:
        words = ("asset", "kind", "model", "host", "inside", "status", "made")
        writer.writerow([*words, *found["total"]])
        writer.writerows([row.get(word, "") for word in (*words, *found["total"])] for row in found["assets"])
    return text.getvalue()


def _kg(ug: int) -> str:
    return f"{ug / UG_PER_G / 1000:,.3f}" if ug else "0"


def mass(grams: float) -> str:
    """At three digits, in tonnes where there are many: nobody weighs in megagrams."""
    return f"{digits(grams / 1e6)} t" if abs(grams) >= 999_500 else gram(grams)


def _ug(ug: int) -> str:
    return mass(ug / UG_PER_G) if ug else "0"


def _span(row: Mapping[str, Any]) -> str:
    grams = row["embodied_g"]
    return f"{mass(grams['low'])} to {mass(grams['high'])}" if grams["value"] > 0 else ""


def _name(name: str) -> str:
    return fit(name) or "(no name)"
