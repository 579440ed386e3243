"""``wattledger explain``: how a figure was computed, down to the facts."""

import json
from collections.abc import Iterable
from typing import Any

import click

from wattledger.accounting import explain_embodied
from wattledger.accounting.explain import explain
from wattledger.accounting.explain_asset import asset, effect
from wattledger.accounting.explain_asset_rows import asset_dict, effect_dict
from wattledger.accounting.explain_embodied_rows import embodied_dict
from wattledger.accounting.explain_fact import Story, story
from wattledger.accounting.explain_rows import BASES, SCHEMA, figure_dict, story_dict, water_dict
from wattledger.accounting.explain_water import water
from wattledger.accounting.report_ask import DAY_S, KINDS, Ask
from wattledger.accounting.reports import UnknownName, iso_day
from wattledger.accounting.sci import UNITS, Intensity
from wattledger.accounting.sci_rows import per, scores
from wattledger.accounting.water import WATER
from wattledger.cli import fail
from wattledger.cli.explain_asset import asset_lines, effect_lines
from wattledger.cli.explain_embodied import embodied_lines
from wattledger.cli.explain_sci import adds_up, sci_lines
from wattledger.cli.explain_view import figure_lines, story_lines, water_lines
from wattledger.cli.report_books import METHOD, PRICES, Asked, allocated, asked, instant, options
from wattledger.ledger.books import Books, Span
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import ConfigError, nearest

WHAT = "WRITER:SEQ (a fact), asset:NAME, job:NAME, model:NAME, device:NAME, host:NAME, day:DATE, or sci:job:NAME, sci:model:NAME"
NAMED = (*KINDS, "asset", "sci")
WET = {f"water_{where}": where for where in WATER}
EMBODIED = "embodied"
SCORED = ("job", "model")


@click.command("explain")
@click.argument("what", metavar="FACT|asset:NAME|job:NAME|model:NAME|device:NAME|host:NAME|day:DATE|sci:job:NAME")
@options
@click.option("--basis", type=click.Choice([*BASES, EMBODIED, *WET]), default="location_based", help="Which figure of the report.")
@METHOD
@PRICES
@click.option("--per", metavar="UNIT", help=f"The functional unit of a score: {', '.join(UNITS)}.")
@click.option("--count", type=float, metavar="N", help="How many units there were, for what the books do not count.")
@click.option("--all", "every", is_flag=True, help="Every price slot, event or period, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="As JSON (schema wattledger.explain/1), with every slot.")
def command(what: str, **given: Any) -> None:
    """How a figure was computed.

    Of a FACT: what it says, its place in the chain, what corrects it, and its joules x price x PUE; of an intensity, all its
    versions; of a machine's event, what it moves. Of a job, model, device, host or day: each price with its energy, and the sum
    beside the report's figure. Of an asset: each event of its life, each pace at which it is booked, and its balance. Of a score
    (sci:job:NAME --per token): its formula, input by input. For example: wattledger explain job:train --basis embodied
    Exit status 1: two figures differ that must not, or the fact does not fit its chain.
    """
    kind, colon, name = what.partition(":")
    try:
        where = asked(given["config_file"], given["ledgers"], given["zone"])
        as_of_s = instant(given["as_of"], "--as-of")
        where = where._replace(rules=allocated(where.rules, given["method"], given["prices"]))
        if colon and kind in KINDS:
            _figure(_ask(kind, name, given, as_of_s), where, given)
        elif colon and kind == "sci":
            _sci(name, where, given)
        elif colon and kind == "asset":
            _asset(name, where, given)
        elif _is_fact(what):
            _fact(story(where.places, what, where.rules, as_of_s), where, given)
        else:
            fail(f"explain: {what!r} is nothing to explain{nearest(kind, NAMED) if colon else ''}: it is {WHAT}")
    except UnknownName as wrong:
        asked_for = name.partition(":")[2] if kind == "sci" else name if kind in NAMED else what
        fail(f"explain: {wrong}{nearest(asked_for, wrong.names)}")
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
    basis = given["basis"]
    with Books(where.places, Span(ask.from_s, ask.to_s, ask.as_of_s)) as books:
        if basis == EMBODIED:
            made = explain_embodied.explain(books, ask, where.rules)
            _say(embodied_dict(made), embodied_lines(made, every=given["every"]), given, good=made.is_equal)
        elif basis in WET:
            litres = water(books, ask, where.rules, where=WET[basis])
            _check_day(ask, bool(litres.slots))
            _say(water_dict(litres), water_lines(litres), given, good=litres.is_equal)
        else:
            found = explain(books, ask, where.rules, basis=BASES[basis])
            _check_day(ask, bool(found.slots))
            _say(figure_dict(found), figure_lines(found, every=given["every"]), given, good=found.is_equal)


def _check_day(ask: Ask, there: bool) -> None:
    if ask.kind == "day" and not there:
        fail(f"explain: nothing is booked on {iso_day(ask.from_s or 0)}")


def _asset(name: str, where: Asked, given: dict[str, Any]) -> None:
    with Books(where.places, Span(as_of_s=instant(given["as_of"], "--as-of"))) as books:
        found = asset(books, name, to_s=instant(given["to"], "--to"))
    _say(asset_dict(found), asset_lines(found, every=given["every"]), given, good=found.is_equal)


def _sci(what: str, where: Asked, given: dict[str, Any]) -> None:
    kind, colon, name = what.partition(":")
    if not colon or kind not in SCORED:
        raise ValueError(f"a score is of sci:job:NAME or sci:model:NAME, not of sci:{what}")
    if given["per"] not in UNITS:
        raise ValueError(f"--per says the functional unit{nearest(given['per'] or '', list(UNITS))}: {', '.join(UNITS)}")
    intensity: Intensity = "marginal" if given["basis"] == "marginal" else "average"
    asked_per = per(given["per"], units=given["count"], intensity=intensity)
    ask = _ask(kind, name, given, instant(given["as_of"], "--as-of"))
    with Books(where.places, Span(ask.from_s, ask.to_s, ask.as_of_s)) as books:
        found = scores(books, ask, where.rules, asked_per)
    good = adds_up(found)
    _say({"schema": SCHEMA, "of": "score", "equal": good, "score": found}, sci_lines(found, intensity), given, good=good)


def _fact(found: Story, where: Asked, given: dict[str, Any]) -> None:
    as_of_s = instant(given["as_of"], "--as-of")
    said, lines = story_dict(found, as_of_s), list(story_lines(found, as_of_s))
    if found.columns["fact"] == "asset" and found.known:
        with Books(where.places, Span(as_of_s=as_of_s)) as books:
            moves = effect(books, found.id, to_s=instant(given["to"], "--to"))
        said, lines = said | {"effect": effect_dict(moves)}, [*lines, *effect_lines(moves)]
    _say(said, lines, given, good=found.place.holds)


def _say(said: dict[str, Any], lines: Iterable[str], given: dict[str, Any], *, good: bool) -> None:
    click.echo(json.dumps(said, ensure_ascii=False) if given["as_json"] else "\n".join(lines))
    if not good:
        raise SystemExit(1)
