"""``wattledger report sci``: software carbon intensity, grams per token, request, run, …, with every input of the formula."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from wattledger.accounting.evidence import pack, pinned
from wattledger.accounting.report_ask import HOUR_S, Ask
from wattledger.accounting.reports import UnknownName
from wattledger.accounting.sci import BOUNDARIES, NO_MARKET, UNITS, unit_of
from wattledger.accounting.sci_rows import per, scores
from wattledger.cli import fail
from wattledger.cli.report_books import asked, instant, options
from wattledger.cli.report_evidence import EVIDENCE, told, write
from wattledger.core.figures import digits, gram
from wattledger.ledger.books import Books, Span
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import ConfigError, nearest

KINDS = ("job", "model")
ENDS = ("", "low_", "high_")
QUANTITIES = {"sci": "g", "energy": "kwh", "intensity": "g_per_kwh", "operational": "g", "embodied": "g"}
MILLION = 1_000_000


@click.command("sci")
@click.argument("kind", metavar="[job|model]", default="job")
@click.argument("name", required=False)
@options
@click.option("--per", "unit", metavar="UNIT", required=True,
              help=f"Functional unit: {', '.join(UNITS)}; or many: 1000-token, million-token.")  # fmt: skip
@click.option("--count", type=float, metavar="N", help="How many units there were, for what the books do not count.")
@click.option("--unit", "named", default="", metavar="NAME", help="What a custom unit is: image, page, agent run.")
@click.option("--effective", is_flag=True, help="--count leaves failed and repeated work out (default: gross).")
@click.option("--boundary", type=click.Choice(list(BOUNDARIES)), help="Default: the unit's own (token: consumer; flop: provider).")
@click.option("--intensity", default="average", metavar="average|marginal", help="Which location-based intensity is I.")
@click.option("--no-embodied", is_flag=True, help="Leave M out, and have the answer say that it is no full score.")
@EVIDENCE
@click.option("--json", "as_json", is_flag=True, help="As JSON (schema wattledger.sci/1).")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
def command(kind: str, name: str | None, **given: Any) -> None:
    """SCI = ((E x I) + M) per R of each job or model (ISO/IEC 21031); with NAME, of that one.

    E: kWh with PUE; I: g/kWh by location, never market-based; M: embodied carbon of the hardware's share; R: functional units.
    For example: wattledger report sci model llama-3.1-8b --per token; of a million tokens: --per 1000000-token
    """
    try:
        if given["as_json"] and given["as_csv"]:
            raise ValueError("--json or --csv, not both")
        if kind not in KINDS:
            raise ValueError(f"scores are of a job or a model, not of {kind!r}{nearest(kind, KINDS)}")
        found = _scores(kind, name, given)
    except UnknownName as wrong:
        fail(f"report sci {kind}: {wrong}{nearest(name or '', wrong.names)}")
    except (ConfigError, LedgerError, ValueError) as wrong:
        fail(f"report sci: {wrong}")
    if given["as_json"]:
        click.echo(json.dumps(found, ensure_ascii=False))
    elif given["as_csv"]:
        click.echo(csv_text(found), nl=False)
    else:
        click.echo("\n".join(lines(found)))


def _scores(kind: str, name: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    if given["intensity"].startswith("market"):
        raise ValueError(NO_MARKET)
    if given["intensity"] not in ("average", "marginal"):
        raise ValueError(f"--intensity {given['intensity']!r}: average or marginal")
    how = {"units": given["count"], "name": given["named"], "effective": given["effective"], "intensity": given["intensity"]}
    try:
        unit_of(given["unit"])
    except ValueError as wrong:
        close = nearest(given["unit"].lstrip("0123456789-"), list(UNITS))
        raise ValueError(f"--per: {wrong}{close}: {', '.join(UNITS)}, or a number of them, as in 1000-token") from None
    per_what = per(given["unit"], given["boundary"], **how, embodied=not given["no_embodied"])
    where = asked(given["config_file"], given["ledgers"], given["zone"])
    from_s, to_s = instant(given["from_"], "--from"), instant(given["to"], "--to")
    ask = Ask(kind, name, from_s, to_s, as_of_s=instant(given["as_of"], "--as-of"))
    with Books(where.places, Span(ask.from_s, ask.to_s, ask.as_of_s)) as books:
        ask = pinned(ask, books) if given["evidence_file"] else ask
        found = scores(books, ask, where.rules, per_what)
        if given["evidence_file"]:
            rules = where.rules._replace(embodied=where.rules.embodied and per_what.embodied)
            asked_of = ask._replace(marginal=per_what.intensity == "marginal")
            write(given["evidence_file"], pack(books, asked_of, rules, found, told=told(given, _words(given), under="sci")))
    return found


def _words(given: Mapping[str, Any]) -> list[str]:
    """Of the command, beyond what every report is asked."""
    said = ["--per", given["unit"]]
    said += [] if given["count"] is None else ["--count", repr(given["count"]).removesuffix(".0")]
    for name, option in (("named", "--unit"), ("boundary", "--boundary")):
        said += [option, given[name]] if given[name] else []
    said += ["--intensity", given["intensity"]] if given["intensity"] != "average" else []
    return said + [f"--{name.replace('_', '-')}" for name in ("effective", "no_embodied") if given[name]]


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """As people read it: the score, then its formula, input by input."""
    if not found["rows"]:
        yield f"nothing is booked for any {found['kind']}"
    for row in found["rows"]:
        title = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in row[found["kind"]]) or "(no name)"
        yield f"SCI of {found['kind']} {title}, per {found['per']} ({found['boundary']})"
        if "sci_g" in row:
            times = row["inputs"]["functional_unit"].get("per", 1)
            million = f", {gram(row['sci_g']['value'] * MILLION)} per million" if row["sci_g"]["value"] < 0.1 and times == 1 else ""
            yield f"  score      {_spanned(row['sci_g'], gram)} CO2e per {found['per']}{million}"
        else:
            yield f"  score      not known: {row['why']}"
        if "inputs" in row:
            yield from _inputs(row["inputs"])
    for note in found["notes"]:
        yield f"note: {note}"


def _inputs(inputs: Mapping[str, Any]) -> Iterator[str]:
    pue = f"PUE {inputs['pue']:.4g}" if "pue" in inputs else f"PUE known of {inputs['pue_known_of']:.0%} of it"
    yield f"  E energy   {_spanned(inputs['energy_kwh'], _kwh)}: {_kwh(inputs['it_energy_kwh'])} of IT energy, {pue}"
    if "intensity_g_per_kwh" in inputs:
        found = inputs["intensity_g_per_kwh"]
        yield f"  I grid     {_spanned(found, digits)} gCO2e/kWh, {found['signal']}: {_stands(found, ('quality', 'boundary'))}"
        yield f"  E x I      {_spanned(inputs['operational_g'], gram)}"
    if "embodied_g" in inputs:
        found = inputs["embodied_g"]
        yield f"  M embodied {_spanned(found, gram)}: {_stands(found, ('quality', 'method'))}"
    elif "embodied_left_out" in inputs:
        yield "  M embodied left out, as asked"
    unit = inputs["functional_unit"]
    window = f"{unit['window']['from']} to {unit['window']['to']}"
    short = f" ({digits(unit['count'] * HOUR_S)} s)" if unit["units"] == "hours" and 0 < unit["count"] < 1 else ""
    yield f"  R {unit['units']:<8} {unit['count']:.10g}{short}, {unit['counted']} ({unit['counted_by']}); {window}"


def csv_text(found: Mapping[str, Any]) -> str:
    """A line each; what is not known is empty."""
    plain = ("it_energy_kwh", "pue")
    names = [f"{name}_{end}{unit}" for name, unit in QUANTITIES.items() for end in ENDS]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([found["kind"], "unit", "boundary", "count", "counted", "counted_by", *names, *plain, "why"])
    for row in found["rows"]:
        inputs = row.get("inputs", {})
        unit, values = inputs.get("functional_unit", {}), {**inputs, **({"sci_g": row["sci_g"]} if "sci_g" in row else {})}
        found_of = [values.get(f"{name}_{of}", {}) for name, of in QUANTITIES.items()]
        cells = [quantity.get(end.rstrip("_") or "value", "") for quantity in found_of for end in ENDS]
        said = [found["per"], found["boundary"], *(unit.get(word, "") for word in ("count", "counted", "counted_by"))]
        writer.writerow([row[found["kind"]], *said, *cells, *(inputs.get(word, "") for word in plain), row.get("why", "")])
    return text.getvalue()


def _stands(found: Mapping[str, Any], words: tuple[str, ...]) -> str:
    """On what, by parts."""
    return ", ".join(f"{name} {part:.0%}" for word in words for name, part in found["stands_on"].get(word, {}).items())


def _spanned(quantity: Mapping[str, Any], show: Any) -> str:
    return f"{show(quantity['value'])} ({show(quantity['low'])} to {show(quantity['high'])})"


def _kwh(value: float) -> str:
    return f"{value:.4g} kWh"
