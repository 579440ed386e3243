"""``wattledger grid best``: when to start a piece of work so that it emits least.  Advice; nothing is scheduled."""

import json
from collections.abc import Sequence
from typing import Any

import click

from wattledger.cli import fail
from wattledger.cli.grid_history import found as history_of
from wattledger.cli.grid_known import Asking, asking, first_answer
from wattledger.cli.grid_lines import clock_time, digits, show
from wattledger.core.facts import IntensityFact, Signal
from wattledger.runtime.grid.best import Best, by_hour, from_forecast, from_history
from wattledger.runtime.grid.standing import HOUR_S, instant

DAYS = 7  # that are looked back


@click.command("best", short_help="When to start so that it emits least.")
@click.argument("zone", required=False)
@click.option("--hours", type=click.FloatRange(0.0, 168.0, min_open=True), required=True, help="How long the work takes.")
@click.option("--within", type=click.FloatRange(0.0, 168.0, min_open=True), required=True, help="Hours until it must have ended.")
@click.option("--marginal", is_flag=True, help="By marginal intensities (what a shift changes) instead of averages.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
@click.option("--json", "as_json", is_flag=True, help="The advice as JSON.")
def command(zone: str | None, hours: float, within: float, marginal: bool, config_file: str | None, as_json: bool) -> None:
    """When to start work of --hours that must end --within so many hours, in ZONE (default: here), so that it emits least.

    From the provider's forecast; else from the same hours of the last seven days. Says which, how sure, and what is saved
    against starting now.
    """
    if not hours <= within:  # nor where one of them is NaN
        fail(f"grid best: --within {within:g} leaves no room for --hours {hours:g}: it is the time until the work must have ended")
    asked = asking("grid best", zone, config_file)
    if not asked.zone:
        fail("grid best: no zone is known: name one, as in `wattledger grid best DE --hours 2 --within 12`")
    notes: list[str] = []
    signal: Signal = "marginal" if marginal else "average"
    best = _best(asked, signal, (hours, within), notes)
    if best is None:
        why = "".join(f"; {note}" for note in notes)
        fail(f"grid best: neither a forecast nor two days of {signal} history of {asked.zone} are at hand{why}", 1)
    if as_json:
        click.echo(json.dumps(_dict(asked, best, signal, (hours, within), notes), ensure_ascii=False))
        return
    click.echo(f"{asked.zone}: {_advice(best, asked.now_s, hours)}")
    show(_lines(best, signal))
    show(f"note      {note}" for note in notes)


def _best(asked: Asking, signal: Signal, work: tuple[float, float], notes: list[str]) -> Best | None:
    forecast = first_answer(asked, None, signal, notes)
    if forecast:
        best = from_forecast(_one(forecast), asked.now_s, *work)
        if best is not None:
            return best
        notes.append(f"the forecast of {forecast[0].provider} does not reach over these hours")
    span = (asked.now_s // HOUR_S * HOUR_S - DAYS * 24 * HOUR_S, asked.now_s)
    past = [line.fact for line in history_of(asked, span, notes) if line.fact.signal == signal and not line.fact.forecast]
    best = from_history(_one(past), asked.now_s, *work)
    if best is None:
        # The books may hold today alone, and a provider the whole week.
        best = from_history(_one(first_answer(asked, span, signal, notes)), asked.now_s, *work)
    return best


def _one(facts: Sequence[IntensityFact]) -> list[IntensityFact]:
    """One provider's and boundary's, the one that tells most hours: different boundaries are never put side by side."""
    groups: dict[tuple[str, str], list[IntensityFact]] = {}
    for fact in facts:
        groups.setdefault((fact.provider, fact.boundary), []).append(fact)
    return max(groups.values(), key=lambda group: len(by_hour(group)), default=[])


def _advice(best: Best, now_s: int, hours: float) -> str:
    if best.start_s <= now_s:
        return f"start now: no later start within this time is better for {hours:g} h of work"
    wait_s = best.start_s - now_s
    wait = f"{wait_s // HOUR_S} h {wait_s % HOUR_S // 60} min"
    return f"start at {clock_time(best.start_s)} UTC, in {wait}, and save {best.saved:.0%}"


def _lines(best: Best, signal: Signal) -> list[str]:
    low, high = best.g_per_kwh / best.g95, best.g_per_kwh * best.g95
    what = "" if signal == "average" else " (marginal: what a shift changes; not for an inventory)"
    lines = [
        f"then      {digits(best.g_per_kwh)} gCO2e/kWh{what}, 95 % between {digits(low)} and {digits(high)}",
        f"now       {digits(best.now_g_per_kwh)} gCO2e/kWh",
    ]
    if best.source == "forecast":
        return [*lines, "from      the provider's forecast"]
    sure = f"; that start beat this one on {best.days_better} of them" if best.days_better else ""
    return [*lines, f"from      history: the same hours of {best.days} days{sure}; no forecast is at hand"]


def _dict(asked: Asking, best: Best, signal: Signal, work: tuple[float, float], notes: list[str]) -> dict[str, Any]:
    then = {"value": best.g_per_kwh, "low": best.g_per_kwh / best.g95, "high": best.g_per_kwh * best.g95}
    row: dict[str, Any] = {"zone": asked.zone, "signal": signal, "hours": work[0], "within_hours": work[1], "from": best.source}
    row |= {"start": instant(best.start_s), "end": instant(best.start_s + round(work[0] * HOUR_S))}
    row |= {"g_per_kwh": then, "now_g_per_kwh": best.now_g_per_kwh, "saved_fraction": best.saved}
    if best.source == "history":
        row |= {"days": best.days, "days_better": best.days_better}
    return {**row, "notes": notes}
