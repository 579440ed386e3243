"""``wattledger ledger restate``: correct or withdraw a fact by a new one that names it."""

import json
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click

from wattledger.accounting.assets.rules import BrokenRule, check_correction
from wattledger.cli import fail
from wattledger.cli.asset.kept import held
from wattledger.cli.ledger.anchor import books, now_s, settings
from wattledger.core.facts import AssetFact, Correction, Fact, Key, Known
from wattledger.ledger import compact
from wattledger.ledger.body import Keyed, hints
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.held import Found, find, segment_of
from wattledger.ledger.store import OPEN, Store
from wattledger.runtime.config import Config, nearest

PAIRS = tuple[tuple[str, str], ...]  # the type of a fact's labels and details


@click.command("restate")
@click.argument("fact", metavar="FACT")
@click.option(
    "--set", "changes", metavar="FIELD=VALUE", multiple=True,
    help="A field's right value, in the fact's own units; one detail: details.WORD=VALUE.",
)  # fmt: skip
@click.option("--withdraw", "withdraw", is_flag=True, help="Take the fact back, and put nothing in its place.")
@click.option("--reason", "reason", metavar="TEXT", required=True, help="Why; it is kept beside the correction.")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would change; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--ledger", "ledger", metavar="PATH", help="The folder of the books; default: this user's.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(**given: Any) -> None:
    """Correct FACT (WRITER:NUMBER) by a new fact that names it. The old one stays: reports with an earlier --as-of use it."""
    if bool(given["changes"]) == given["withdraw"]:
        fail("ledger restate: say either --set FIELD=VALUE (once or more) or --withdraw")
    if not given["reason"].strip():
        fail("ledger restate: --reason is empty: an auditor will ask")
    config = settings(given["config_file"], "restate")
    try:
        folder = books(given["ledger"], config)
        if not (folder / OPEN).exists():
            raise LedgerError(f"{folder}: no books are kept here")
        before = _find(folder, str(config["ledger.lake"]), given["fact"], dry=given["dry"]).known
        after = None if given["withdraw"] else changed(before.fact, given["changes"])
        if after == before.fact:
            raise LedgerError(f"{before.id} says that already: nothing to correct")
        doubts = _judged(before, after, config, given["ledger"])
        new_id = "" if given["dry"] else _write(folder, Correction(before.id, given["reason"].strip(), after))
    except (LedgerError, BrokenRule) as wrong:
        fail(f"ledger restate: {wrong}")
    _say(before, after, new_id, given["as_json"])
    for line in doubts:
        click.echo(f"wattledger: ledger restate: {line}", err=True)


def _judged(before: Known, after: Fact | None, config: Config, ledger: str | None) -> tuple[str, ...]:
    """BrokenRule where machines could not have lived as the correction has it; else what must be said of it, a line each."""
    if not isinstance(before.fact, AssetFact):  # a correction is of the same kind
        return ()
    return check_correction(held(config, ledger), before.id, after)


def _find(folder: Path, shared: str, fact_id: str, *, dry: bool) -> Found:
    """The fact, from these books or the lake; a compacted day of these books is taken apart for it.  Raises LedgerError."""
    places: list[str | Path] = [folder, *([shared] if shared else [])]
    found = find(places, fact_id)
    if found is None and (segment := segment_of(folder, fact_id)) is not None:
        if dry:
            raise LedgerError(f"{fact_id} is in the compacted day {segment.day}; without --dry-run it is taken out of there")
        # A correction names one fact, so that day must be read fact by fact again; the next compaction leaves this one out.
        compact.undo(folder, segment.day)
        found = find(places, fact_id)
    if found is None:
        raise LedgerError(f"no fact {fact_id} in {' or '.join(map(str, places))}")
    if found.corrected_by:
        raise LedgerError(f"{fact_id} was corrected by {found.corrected_by} already: restate that one")
    return found


def changed(fact: Fact, changes: Sequence[str]) -> Fact:
    """The fact with these fields set, its key's among them.  Raises LedgerError with the nearest right field."""
    own = {name: kind for name, kind in hints(type(fact)).items() if name != "key"}
    of_key = hints(Key) if isinstance(fact, Keyed) else {}
    for change in changes:
        name, equals, text = change.partition("=")
        field, dot, word = name.partition(".")
        if equals and dot and word and own.get(field) == PAIRS:
            # One word of several: the others stay as they are; without a value it is taken out.
            said = {**dict(getattr(fact, field)), word: text}
            pairs: Any = tuple(sorted((key, value) for key, value in said.items() if value))
            fact = fact._replace(**{field: pairs})
            continue
        if not equals or (name not in own and name not in of_key):
            raise LedgerError(f"--set {change}: expected FIELD=VALUE with a field of this fact{nearest(name, [*own, *of_key])}")
        value = _value((own.get(name) or of_key[name]), text, change)
        if name in own:
            fact = fact._replace(**{name: value})
        elif isinstance(fact, Keyed):
            fact = fact._replace(key=fact.key._replace(**{name: value}))
    return fact


def _value(kind: Any, text: str, change: str) -> Any:
    """The text as a value of a field's type."""
    if get_origin(kind) in (Union, types.UnionType):
        if text == "":
            return None
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise LedgerError(f"--set {change}: expected {' or '.join(get_args(kind))}{nearest(text, get_args(kind))}")
        return text
    if kind is bool and text in ("true", "false"):
        return text == "true"
    if kind is int and text.lstrip("-").isdecimal() and abs(int(text)) < 1 << 62:
        return int(text)
    if kind is str:
        return text
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind == PAIRS:
        pairs = [part.partition("=") for part in text.split(",") if part]
        return tuple(sorted((name, value) for name, _, value in pairs))
    wants = {bool: "true or false", int: "a whole number"}
    raise LedgerError(f"--set {change}: expected {wants.get(kind, 'what --set cannot say; withdraw the fact and add it anew')}")


def _write(folder: Path, correction: Correction) -> str:
    store = Store.open(folder)
    try:
        return store.append([correction], now_s())[0]
    finally:
        store.close()


def _say(before: Known, after: Fact | None, new_id: str, as_json: bool) -> None:
    was, now = _flat(before.fact), {} if after is None else _flat(after)
    differing = {name: (was[name], now.get(name)) for name in was if after is None or was[name] != now[name]}
    if as_json:
        pairs = {name: {"before": old, **({"after": new} if after is not None else {})} for name, (old, new) in differing.items()}
        click.echo(json.dumps({"corrects": before.id, "id": new_id or None, "withdrawn": after is None, "fields": pairs}))
        return
    for name, (old, new) in differing.items():
        click.echo(f"  {name}  {old}" + ("" if after is None else f" → {new}"))
    what = "withdrawn" if after is None else "corrected"
    click.echo(f"{before.id} {what} by {new_id}" if new_id else f"{before.id} would be {what}: nothing was written")


def _flat(fact: Fact) -> dict[str, Any]:
    """Field → value, the key's fields beside the fact's own."""
    key = fact.key._asdict() if isinstance(fact, Keyed) else {}
    return {**key, **{name: value for name, value in fact._asdict().items() if name != "key"}}
