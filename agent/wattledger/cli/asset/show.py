"""``wattledger asset show``: one asset, all that happened to it, and where its carbon went."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from wattledger.accounting.assets.life import HOUR_S, Life
from wattledger.accounting.assets.lineage import dot, lineage, mermaid, tree_text
from wattledger.cli import fail
from wattledger.cli.asset import kept
from wattledger.cli.asset.words import day, iso, kg, lasting, life_used, row, sums, told, where
from wattledger.cli.ledger.anchor import now_s
from wattledger.core.facts import AssetFact, Known
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import nearest

SCHEMA = "wattledger.asset/1"
FORMS = {"tree": tree_text, "dot": dot, "mermaid": mermaid}


@click.command("show")
@click.argument("asset", metavar="ASSET")
@click.option(
    "--lineage", "form", is_flag=False, flag_value="tree", metavar="[=tree|dot|mermaid]",
    help="Where it and its parts have been: a tree, or text for Graphviz or Mermaid.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help=f"One JSON object ({SCHEMA}).")
@kept.LEDGERS
@kept.CONFIG
def command(asset: str, form: str | None, as_json: bool, ledgers: tuple[str, ...], config_file: str | None) -> None:
    """ASSET: what it emitted to make it and where that went, its parts, and its history with the ids of the facts.

    \b
    wattledger asset show dgx-1
    wattledger asset show dgx-1 --lineage=dot | dot -Tsvg > dgx-1.svg
    """
    if form is not None and form not in FORMS:
        fail(f"asset show: --lineage={form}: expected {' or '.join(FORMS)}{nearest(form, FORMS)}")
    config = kept.settings(config_file, "show")
    now = now_s()
    try:
        known, fleet = kept.fleet(config, ledgers, "show")
        lives = fleet.lives
    except (LedgerError, ValueError) as wrong:
        fail(f"asset show: {wrong}")
    if asset not in lives:
        fail(f"asset show: no asset is called {asset!r}{nearest(asset, lives)}; `wattledger asset list` lists them")
    if form is not None:
        click.echo(FORMS[form](lineage(fleet, asset)))
        return
    facts = {one.id: one for one in known}
    history = [facts[name] for name in lives[asset].events if name in facts]
    if as_json:
        click.echo(json.dumps(to_dict(lives, asset, history, now), ensure_ascii=False))
        return
    for line in lines(lives, asset, history, now):
        click.echo(line)


def to_dict(lives: Mapping[str, Life], asset: str, history: Sequence[Known], now_s: int) -> dict[str, Any]:
    """JSON, schema ``wattledger.asset/1``."""
    life = lives[asset]
    stays = [
        {"status": stay.status, "from": iso(stay.start_s), "to": None if stay.end_s is None else iso(stay.end_s),
         "inside": stay.place.inside, "host": stay.place.host, "site": stay.place.site}
        for stay in life.stays
    ]  # fmt: skip
    places = [{name: value for name, value in stay.items() if value not in (None, "")} for stay in stays]
    events = [_event(one) for one in history]
    details = dict(sorted(life.passport.details.items()))
    return {"schema": SCHEMA, "at": iso(now_s), **row(life, now_s), "details": details, "places": places, "events": events}


def lines(lives: Mapping[str, Life], asset: str, history: Sequence[Known], now_s: int) -> Iterator[str]:
    """For people."""
    life = lives[asset]
    passport = life.passport
    name = " ".join(word for word in (passport.vendor, passport.model) if word)
    yield f"{asset}: {name or 'a thing that nobody named'} ({passport.kind}), {_state(life)}"
    yield f"  made       {_made(life)}"
    for word, text in (("device", passport.device), ("serial", passport.serial_hash), ("owner", life.place.owner)):
        if text:
            yield f"  {word:<9}  {text}"
    stated = "" if life.el_stated else ", the default of its kind"
    yield f"  life       {lasting(life.el_s)} planned{stated}; {life.age_s / HOUR_S:.1f} h in service ({life_used(life)})"
    if life.capacity_ppm != 1_000_000:
        yield f"  capacity   {life.capacity_ppm / 1e4:g} % of what it had when new"
    yield f"  balance    {sums(life.balance(now_s))}"
    below = list(_below(lives, life))
    if below:
        carried_ug = sum(lives[part].carried_ug(now_s) for part in (asset, *below))
        yield f"  parts      {len(below)}; with them it carries {kg(carried_ug)} kg CO2e"
        for part in life.parts:
            of = lives[part].passport
            yield f"    {part}  {of.model or of.kind}, {kg(lives[part].carried_ug(now_s))} kg carried"
    yield "  history"
    for one in history:
        yield from _told(one, asset)


def _state(life: Life) -> str:
    if life.status in ("transferred", "scrapped"):
        return life.status
    return f"in service {where(life.place)}" if life.status == "service" else where(life.place._replace(host=""))


def _made(life: Life) -> str:
    passport = life.passport
    low_g, high_g = passport.low_g, passport.high_g
    span = "" if low_g is None or high_g is None else f" ({low_g / 1000:,.10g} to {high_g / 1000:,.10g})"
    words = [passport.boundary, passport.method, " ".join(word for word in (passport.source, passport.year) if word)]
    when = "" if passport.made_s is None else f" on {day(passport.made_s)}"
    return f"{passport.made_g / 1000:,.10g} kg CO2e{span}{when}" + "".join(f", {word}" for word in words if word)


def _below(lives: Mapping[str, Life], life: Life) -> Iterator[str]:
    for part in life.parts:
        yield part
        yield from _below(lives, lives[part])


def _told(one: Known, asset: str) -> Iterator[str]:
    fact = one.fact
    assert isinstance(fact, AssetFact)
    yield f"    {told(fact, asset)}  [{one.id}]"
    if fact.evidence:
        yield f"{'':<16}evidence: {fact.evidence}"
    if one.corrects:
        yield f"{'':<16}corrects {one.corrects}: {one.reason}"


def _event(one: Known) -> dict[str, Any]:
    fact = one.fact
    assert isinstance(fact, AssetFact)
    found: dict[str, Any] = {
        "id": one.id, "asset": fact.asset, "event": fact.event, "at": iso(fact.at_s), "recorded": iso(one.recorded_s),
        "emitted_kg": None if fact.emitted_g is None else fact.emitted_g / 1000, "inside": fact.inside, "evidence": fact.evidence,
        "details": dict(fact.details), "corrects": one.corrects, "reason": one.reason,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value not in (None, "", {})}
