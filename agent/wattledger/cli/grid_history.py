"""``wattledger grid history``: what a zone's grid emitted, by hour or whatever the provider's slots are."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click

from wattledger.cli import fail
from wattledger.cli.grid_known import Asking, asking, first_answer, holding, in_books
from wattledger.cli.grid_lines import clock_time, show
from wattledger.core.facts import IntensityFact, Signal
from wattledger.runtime.grid.standing import HOUR_S, end_s, instant

SIGNALS: tuple[Signal, ...] = ("average", "marginal")


class Line(NamedTuple):
    """One value, the facts of the books that it is, and when it was learnt (``None``: just now, from the provider)."""

    fact: IntensityFact
    ids: tuple[str, ...] = ()
    learnt_s: int | None = None


@click.command("history", short_help="What a zone's grid emitted.")
@click.argument("zone", required=False)
@click.option("--from", "from_text", metavar="TIME", help="From then on, e.g. 2026-11-21T10:00Z; default: 24 hours ago.")
@click.option("--to", "to_text", metavar="TIME", help="Until then; default: now.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
@click.option("--json", "as_json", is_flag=True, help="The values as JSON.")
def command(zone: str | None, from_text: str | None, to_text: str | None, config_file: str | None, as_json: bool) -> None:
    """What the grid of ZONE (default: the one here) emitted, from the books; what they do not hold is asked of the provider."""
    asked = asking("grid history", zone, config_file)
    if not asked.zone:
        fail("grid history: no zone is known: name one, as in `wattledger grid history DE`")
    from_s = asked.now_s - 24 * HOUR_S if from_text is None else time_of(from_text, "--from")
    to_s = asked.now_s if to_text is None else time_of(to_text, "--to")
    if from_s >= to_s:
        fail(f"grid history: --from {instant(from_s)} is not before --to {instant(to_s)}")
    notes: list[str] = []
    lines = found(asked, (from_s, to_s), notes)
    if as_json:
        click.echo(json.dumps({"zone": asked.zone, "values": [_row(line) for line in lines], "notes": notes}, ensure_ascii=False))
        return
    for note in notes:
        show([f"note      {note}"])
    if not lines:
        nobody = "name who may be asked with [grid] provider"
        who = "[grid] provider does not say it either" if asked.config["grid.provider"] else nobody
        fail(f"grid history: nothing is known of {asked.zone} in that time: {who}", 1)
    click.echo(f"{'start (UTC)':<16} {'min':>4} {'gCO2e/kWh':>9}  {'boundary':<9} {'signal':<8} {'provider':<17} how")
    for line in lines:
        click.echo(_text(line.fact, "" if line.learnt_s is None else f", learnt {clock_time(line.learnt_s)}"))


def found(asked: Asking, span: tuple[int, int], notes: list[str]) -> list[Line]:
    """By time: from the books where they hold anything of this time, else from the first provider that answers."""
    known = in_books(asked, notes)
    held = [one for signal in SIGNALS for one in holding(known, asked.zone, signal) if _touches(one.fact, span)]
    lines = [Line(one.fact, one.ids, one.learnt[0]) for one in held if one.fact.boundary != "residual"]  # that is no grid's
    if not lines:
        lines = [Line(fact) for signal in SIGNALS for fact in first_answer(asked, span, signal, notes) if _touches(fact, span)]
    return sorted(lines, key=lambda line: (line.fact.start_s, line.fact.signal, line.fact.provider))


def time_of(text: str, option: str) -> int:
    """Seconds since the epoch; a time without an offset is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"grid: {option} {text!r} is no time: write it like 2026-11-21T10:00Z")
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())


def how(fact: IntensityFact) -> str:
    """What kind of word it is."""
    return "forecast" if fact.forecast else "estimated" if fact.estimated else "measured"


def _touches(fact: IntensityFact, span: Sequence[int]) -> bool:
    return fact.start_s < span[1] and end_s(fact) > span[0]


def _text(fact: IntensityFact, learnt: str) -> str:
    value = f"{fact.length_s // 60:>4} {fact.ug_per_kwh / 1e6:>9.4g}"
    return f"{clock_time(fact.start_s):<16} {value}  {fact.boundary:<9} {fact.signal:<8} {fact.provider:<17} {how(fact)}{learnt}"


def _row(line: Line) -> dict[str, Any]:
    fact = line.fact
    row: dict[str, Any] = {
        "start": instant(fact.start_s),
        "end": instant(end_s(fact)),
        "g_per_kwh": fact.ug_per_kwh / 1e6,
        "boundary": fact.boundary,
        "signal": fact.signal,
        "provider": fact.provider,
        "how": how(fact),
        "version": fact.version,
    }
    return row if line.learnt_s is None else {**row, "learnt": instant(line.learnt_s), "facts": list(line.ids)}
