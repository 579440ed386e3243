"""``wattledger report``: what a job, a model, a device, a day or a host cost, in joules, grams and money."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from wattledger.accounting.evidence import pack, pinned
from wattledger.accounting.report_ask import KINDS, Ask, of_day
from wattledger.accounting.report_rows import to_dict
from wattledger.accounting.reports import UnknownName, report
from wattledger.cli import fail
from wattledger.cli.report_also import also, checked, written
from wattledger.cli.report_books import METHOD, PRICES, allocated, asked, instant, options
from wattledger.cli.report_csv import csv_text
from wattledger.cli.report_evidence import EVIDENCE, told, write
from wattledger.cli.report_view import table
from wattledger.ledger.books import Books, Span
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.lake import is_url
from wattledger.ledger.store_check import journals
from wattledger.runtime.config import ConfigError, nearest

# Reports with words of their own → the module with their command.
OTHERS = {"embodied": "wattledger.cli.report_embodied", "sci": "wattledger.cli.report_sci"}


class Kinds(click.Command):
    """A command that hands over to another one where its first word is the name of one."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if not args or args[0] not in OTHERS:
            return super().make_context(info_name, args, parent, **extra)
        other: click.Command = importlib.import_module(OTHERS[args[0]]).command
        return other.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)


@click.command("report", cls=Kinds)
@click.argument("kind", metavar="job|model|device|day|host|embodied|sci")
@click.argument("name", required=False)
@options
@click.option("--by", type=click.Choice(["hour", "day", "tenant"]), help="Each line by UTC hours or days; models by tenant.")
@click.option("--marginal", is_flag=True, help="Marginal emissions beside the averages: for decisions, never for an inventory.")
@METHOD
@PRICES
@EVIDENCE
@also
@click.option("--json", "as_json", is_flag=True, help="The report as JSON (schema wattledger.report/1).")
@click.option("--csv", "as_csv", is_flag=True, help="The report as CSV.")
def command(kind: str, name: str | None, **given: Any) -> None:
    """What each job, model, device, day or host cost; with NAME, that one alone.

    Energy, carbon (by the price of the hour, by the year's official average, and from contracts) and money, each with how it was
    got. The same facts give the same answer, byte for byte; --as-of answers from what was known then. For grams per token, request
    or run: wattledger report sci --help; for machines and what they carry: wattledger report embodied --help
    """
    if given["as_json"] and given["as_csv"]:
        fail("report: --json or --csv, not both")
    if kind not in KINDS:
        fail(f"report: nothing is reported by {kind!r}{nearest(kind, (*KINDS, *OTHERS))}: {', '.join((*KINDS, *OTHERS))}")
    words = [word for name in ("method", "prices") if given[name] for word in (f"--{name}", given[name])]
    try:
        checked(given)
        where = asked(given["config_file"], given["ledgers"], given["zone"])
        times = {"from_s": instant(given["from_"], "--from"), "to_s": instant(given["to"], "--to")}
        rules = allocated(where.rules, given["method"], given["prices"])
        as_of_s = instant(given["as_of"], "--as-of")
        ask = of_day(Ask(kind, name, **times, by=given["by"], as_of_s=as_of_s, marginal=given["marginal"]))
        with Books(where.places, Span(ask.from_s, ask.to_s, as_of_s)) as books:
            ask = pinned(ask, books) if given["evidence_file"] else ask
            found = to_dict(report(books, ask, rules))
            if given["evidence_file"]:
                write(given["evidence_file"], pack(books, ask, rules, found, told=told(given, words)))
            written(books, ask, rules, found=found, given=given)
    except UnknownName as wrong:
        fail(f"report {kind}: {wrong}{nearest(name or '', wrong.names)}")
    except (ConfigError, LedgerError, ValueError) as wrong:
        fail(f"report: {wrong}")
    if as_of_s is None and times["to_s"] is None:
        _say_open(where.places)
    if given["as_json"]:
        click.echo(json.dumps(found, ensure_ascii=False))
    elif given["as_csv"]:
        click.echo(csv_text(found), nl=False)
    else:
        click.echo("\n".join(table(found)))


def _say_open(places: Sequence[str]) -> None:
    """A meter that runs has a minute open: beside the report, which is of facts alone."""
    folders = [Path(place) for place in places if not is_url(place) and (Path(place) / "open.db").exists()]
    if any(journals(folder) for folder in folders):
        click.echo("wattledger: a meter is running: its open minute is no fact yet and not in this report", err=True)
