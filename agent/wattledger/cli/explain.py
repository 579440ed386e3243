"""``wattledger explain``: how a figure was computed, down to the facts."""

import json
from typing import Any

import click

from wattledger.accounting.explain import Figure, explain
from wattledger.accounting.explain_fact import Story, story
from wattledger.accounting.explain_rows import BASES, figure_dict, story_dict
from wattledger.accounting.report_ask import DAY_S, KINDS, Ask
from wattledger.accounting.reports import UnknownName, iso_day
from wattledger.cli import fail
from wattledger.cli.explain_view import figure_lines, story_lines
from wattledger.cli.report_books import Asked, asked, instant, options
from wattledger.ledger.books import Books, Span
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import ConfigError, nearest

WHAT = "WRITER:SEQ (a fact), or job:NAME, model:NAME, device:NAME, host:NAME, day:DATE"


@click.command("explain")
@click.argument("what", metavar="FACT|job:NAME|model:NAME|device:NAME|host:NAME|day:DATE")
@options
@click.option("--basis", type=click.Choice(list(BASES)), default="location_based", help="Which of the report's emissions.")
@click.option("--all", "every", is_flag=True, help="Every price slot, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="As JSON (schema wattledger.explain/1), with every slot.")
def command(what: str, **given: Any) -> None:
    """How a figure was computed.

    Of a FACT: what it says, its place in the chain, what corrects it, and its joules x price x PUE; of an intensity, all its
    versions. Of a job, model, device, host or day: each price with its energy, and the sum beside the report's figure.
    Exit status 1: the two differ, or the fact does not fit its chain.
    """
    kind, colon, name = what.partition(":")
    try:
        where = asked(given["config_file"], given["ledgers"], given["zone"])
        as_of_s = instant(given["as_of"], "--as-of")
        if colon and kind in KINDS:
            _figure(_ask(kind, name, given, as_of_s), where, given)
        elif _is_fact(what):
            _fact(story(where.places, what, where.rules, as_of_s), as_of_s, as_json=given["as_json"])
        else:
            fail(f"explain: {what!r} is nothing to explain{nearest(kind, KINDS) if colon else ''}: it is {WHAT}")
    except UnknownName as wrong:
        fail(f"explain: {wrong}{nearest(name if kind in KINDS else what, wrong.names)}")
    except (ConfigError, LedgerError, ValueError) as wrong:
        fail(f"explain: {wrong}")


def _is_fact(what: str) -> bool:
    writer, _, seq = what.rpartition(":")
    return bool(writer) and ":" not in writer and seq.isascii() and seq.isdigit()


def _ask(kind: str, name: str, given: dict[str, Any], as_of_s: int | None) -> Ask:
    from_s, to_s = instant(given["from_"], "--from"), instant(given["to"], "--to")
    marginal = given["basis"] == "marginal"
    if kind != "day":
        return Ask(kind, name, from_s, to_s, as_of_s=as_of_s, marginal=marginal)
    day_s = instant(name, "day:")
    assert day_s is not None
    begin_s = day_s - day_s % DAY_S
    from_s = begin_s if from_s is None else max(from_s, begin_s)
    to_s = begin_s + DAY_S if to_s is None else min(to_s, begin_s + DAY_S)
    return Ask(kind, None, from_s, to_s, as_of_s=as_of_s, marginal=marginal)


def _figure(ask: Ask, where: Asked, given: dict[str, Any]) -> None:
    with Books(where.places, Span(ask.from_s, ask.to_s, ask.as_of_s)) as books:
        found: Figure = explain(books, ask, where.rules, basis=BASES[given["basis"]])
    if ask.kind == "day" and not found.slots:
        fail(f"explain: nothing is booked on {iso_day(ask.from_s or 0)}")
    if given["as_json"]:
        click.echo(json.dumps(figure_dict(found), ensure_ascii=False))
    else:
        click.echo("\n".join(figure_lines(found, every=given["every"])))
    if not found.is_equal:
        raise SystemExit(1)


def _fact(found: Story, as_of_s: int | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(story_dict(found, as_of_s), ensure_ascii=False))
    else:
        click.echo("\n".join(story_lines(found, as_of_s)))
    if not found.place.holds:
        raise SystemExit(1)
