"""``wattledger asset event``: write down what happened to a machine or a part."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from wattledger.accounting.assets.books import fleet_of
from wattledger.accounting.assets.passport_events import event as event_of
from wattledger.accounting.assets.passport_fields import clipped
from wattledger.accounting.assets.passport_words import EVENTS
from wattledger.cli import fail
from wattledger.cli.asset import kept
from wattledger.cli.asset.energy import priced
from wattledger.cli.asset.words import iso
from wattledger.cli.ledger.anchor import now_s
from wattledger.core.facts import AssetFact
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import Config, nearest

OPTIONS = {"kg": "--kg", "inside": "--inside", "host": "--host", "at": "--at", "evidence": "--evidence"}
CHUNK = 1 << 20


@click.command("event")
@click.argument("asset", metavar="ASSET")
@click.argument("event", metavar="EVENT")
@click.option("--at", "at", metavar="TIME", help="When: a UTC day, or an ISO time with its zone; default: now.")
@click.option("--kg", "kg", metavar="KG", help="Kilograms CO2e that it emitted: transport, spare parts, treatment.")
@click.option("--inside", "inside", metavar="ASSET", help="The container that it goes into (install, move).")
@click.option("--host", "host", metavar="HOST", help="The host that it serves, as the meters name it (commission, move).")
@click.option("--detail", "said", metavar="WORD=VALUE", multiple=True, help="More of it, e.g. out=gpu-3, km=1200; repeatable.")
@click.option("--evidence", "evidence", metavar="REF-OR-FILE", help="A number, an address, or a file: its SHA-256 is kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the fact, its id, and whether it was there already.")
@kept.DRY
@kept.LEDGER
@kept.CONFIG
def command(**given: Any) -> None:
    """Write down that EVENT happened to ASSET. The books refuse what cannot have been, and name the rule that it breaks.

    \b
    wattledger asset event gpu-3 move --inside dgx-2 --at 2026-11-20 --detail mode=road --detail km=600
    wattledger asset event dgx-1 swap --detail out=gpu-3 --detail in=gpu-9
    wattledger asset event dgx-1 repair --kg 12.5 --evidence invoice-771.pdf
    wattledger asset event gpu-3 refurbish --detail energy_kwh=12 --detail life_years=3
    wattledger asset event dgx-1 scrap --detail route=recycle --kg 18

    \b
    commission, move, install, remove, swap, upgrade   where it is, and since when it serves
    repair, refurbish, degrade, estimate               what was done, what is left, how long it will serve
    acquire, transfer, second-life, scrap              whose it is, and how it ends
    """
    what = given["event"]
    if what not in EVENTS:
        hint = "; `wattledger asset add` writes what was made" if what == "make" else nearest(what, EVENTS)
        fail(f"asset event: no event is called {what!r}{hint} (there are {', '.join(EVENTS)})")
    config = kept.settings(given["config_file"], "event")
    try:
        table = _table(given)
        fact = event_of(table, _masses(config, given["ledger"]) if "km" in table else lambda _: None)
        [fact] = priced([fact], config)
        added = kept.add([fact], config, given["ledger"], dry=given["dry"])
    except (LedgerError, ValueError) as wrong:
        fail(f"asset event: {kept.one_line(wrong, 'event')}")
    if given["as_json"]:
        click.echo(json.dumps(_dict(fact, added), ensure_ascii=False))
        return
    for line in kept.said(added):
        click.echo(line)
    kept.warn("event", added.doubts)


def _table(given: dict[str, Any]) -> dict[str, Any]:
    """The words as a passport's event has them.  Raises LedgerError where one is said twice or is no WORD=VALUE."""
    found: dict[str, Any] = {"asset": given["asset"], "event": given["event"], "at": given["at"] or iso(now_s())}
    found |= {word: given[word] for word in ("kg", "inside", "host") if given[word] is not None}
    if given["evidence"] is not None:
        found["evidence"] = evidence(given["evidence"])
    for one in given["said"]:
        word, equals, value = one.partition("=")
        word = word.strip()
        if not equals or not word or not value.strip():
            raise LedgerError(f"--detail {one}: expected WORD=VALUE{_words(given['event'])}")
        if word in found or word in OPTIONS:
            raise LedgerError(f"--detail {one}: {word} is said by {OPTIONS.get(word, '--detail')}, and once")
        found[word] = value.strip()
    return found


def _words(event: str) -> str:
    words = [word for what, fields in EVENTS.items() if what == event for word in fields if word not in OPTIONS]
    return f"; {event} knows {', '.join(words)}" if words else ""


def evidence(given: str) -> str:
    """A reference as it is; of a file its SHA-256 and its name, so that the paper can be shown to be the one."""
    path = Path(given).expanduser()
    try:
        if not path.is_file():
            if path.suffix.lower() in (".pdf", ".json", ".csv", ".xml", ".eml", ".jpg", ".png") and "://" not in given:
                click.echo(f"wattledger: asset event: there is no file {given}: it is kept as a reference", err=True)
            return given
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as wrong:
        raise LedgerError(f"--evidence {clipped(given)}: {wrong.strerror or wrong}") from None
    return f"sha256:{digest.hexdigest()} {path.name}"


def _masses(config: Config, ledger: str | None) -> Callable[[str], int | None]:
    """Grams of each asset, where its passport says them: a way by mode and distance needs them."""
    fleet = fleet_of(kept.held(config, ledger), until_s=now_s())
    return lambda asset: fleet.lives[asset].passport.mass_g if asset in fleet.lives else None


def _dict(fact: AssetFact, added: kept.Added) -> dict[str, Any]:
    there, doubts = bool(added.there), list(added.doubts)
    return {"id": added.ids[0] if added.ids else None, "there_already": there, "fact": kept.body(fact), "warnings": doubts}
