"""The books as the ``asset`` commands read and write them: what is known of machines, and new facts that break no rule."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from wattledger.accounting.assets.books import fleet_of
from wattledger.accounting.assets.fold import Fleet
from wattledger.accounting.assets.fold_judge import shown, time_text
from wattledger.accounting.assets.rules import check
from wattledger.cli import fail
from wattledger.cli.asset.words import DAY_S, told
from wattledger.cli.ledger.anchor import books, now_s
from wattledger.core.facts import AssetFact, Known
from wattledger.ledger import lake
from wattledger.ledger.body import encode
from wattledger.ledger.books import Books, Span
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store
from wattledger.runtime.books.place import folders_to_read, has_books
from wattledger.runtime.config import Config, ConfigError, load

LEDGER = click.option("--ledger", "ledger", metavar="PATH", help="The folder of the books; default: this user's.")
LEDGERS = click.option(
    "--ledger", "ledgers", metavar="PATH-OR-URL", multiple=True, help="Books or a lake, repeatable; default: all here."
)
CONFIG = click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
# How figures were got that nobody measured or declared of this very thing.
GUESSES = ("bottom-up", "class", "nearest", "boavizta")
DRY = click.option("--dry-run", "dry", is_flag=True, help="Check everything and say what would be added; write nothing.")


class Added(NamedTuple):
    """What was written: the facts that were new with their ids (none of a dry run), how many were there already, and what must be
    said of the new ones."""

    fresh: tuple[AssetFact, ...]
    ids: tuple[str, ...]
    there: int
    doubts: tuple[str, ...]


def settings(config_file: str | None, word: str) -> Config:
    """The settings in force; a wrong one is one line and exit status 2."""
    try:
        return load(os.environ, file=config_file)
    except ConfigError as wrong:
        fail(f"asset {word}: {wrong}")


def places(config: Config, given: Sequence[str]) -> list[str]:
    """The books to read: as given, else all that reports read here.  Raises LedgerError."""
    for place in given:
        if not lake.is_url(place) and not lake.path_of(place).is_dir():
            raise LedgerError(f"{place}: there are no books: --ledger names a folder of books, a lake's folder or its URL")
    if given:
        return list(given)
    shared = str(config["ledger.lake"])
    return [str(folder) for folder in folders_to_read(config, os.environ) if folder.is_dir()] + ([shared] if shared else [])


def known(where: Sequence[str]) -> tuple[Known, ...]:
    """All that those books say of assets, with what corrects it beside it.  Raises LedgerError."""
    if not where:
        return ()
    with Books(where, Span(from_s=now_s())) as held:  # of intensities and energy we want none
        return tuple(one for one in held.other if isinstance(one.fact, AssetFact))


def held(config: Config, ledger: str | None) -> tuple[Known, ...]:
    """What the books say that new facts are written into, and all books that reports read beside them.  Raises LedgerError."""
    here = places(config, ())
    if ledger is None or str(folder := books(ledger, config)) in here:
        return known(here)
    # Books that no report here reads beside others are a world of their own.
    return known([str(folder)]) if has_books(folder) else ()


def add(facts: Sequence[AssetFact], config: Config, ledger: str | None, *, dry: bool) -> Added:
    """All of the facts that are new, or none of them.

    Raises LedgerError, and BrokenRule where the assets of these books, and of all that reports read beside them, could not have
    lived so.
    """
    folder = books(ledger, config)
    before = held(config, ledger)
    there = {one.fact for one in before}
    fresh = tuple(dict.fromkeys(fact for fact in facts if fact not in there))
    _happened(fresh)
    doubts = check(before, fresh)
    ids = () if dry or not fresh else _write(folder, fresh)
    return Added(fresh, ids, len(set(facts)) - len(fresh), doubts)


def _happened(facts: Iterable[AssetFact]) -> None:
    """LedgerError where one tells of a time to come: books say what was."""
    # A day begins up to fourteen hours earlier in the east than the UTC day that is written.
    until_s = now_s() + DAY_S
    for fact in facts:
        if fact.at_s > until_s:
            raise LedgerError(f"event to come: {shown(fact.asset)}, {time_text(fact.at_s)}: {fact.event} has not been yet")


def said(added: Added) -> Iterator[str]:
    """A line for each fact that was new, and one for those that were not."""
    for fact, name in zip(added.fresh, added.ids or ["would be added"] * len(added.fresh), strict=True):
        yield f"{name}  {told(fact)}"
    made = [fact for fact in added.fresh if fact.event == "make"]
    if len(made) > 1:
        grams = sum(fact.emitted_g or 0 for fact in made)
        guessed = sum(1 for fact in made if dict(fact.details).get("method") in GUESSES)
        yield f"{len(made)} assets, {grams / 1000:.3f} kg CO2e to make them; {guessed} of them by an estimate"
    if added.there:
        count = added.there + len(added.fresh)
        yield f"{added.there} of {count} fact{'s were' if count != 1 else ' was'} in the books already: not written again"


def tell(word: str, added: Added, warnings: Iterable[str], *, as_json: bool, dry: bool) -> None:
    """What was added, and what must be said of it."""
    # Passports and inventories are weighed as they are read, with the line: not once more.
    doubts = list(dict.fromkeys((*warnings, *(line for line in added.doubts if ": make of " not in line))))
    if as_json:
        would = len(added.fresh) if dry else 0
        rows = {"added": list(added.ids), "would_add": would, "there_already": added.there, "warnings": doubts}
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for line in said(added):
        click.echo(line)
    warn(word, doubts)


def body(fact: AssetFact) -> dict[str, Any]:
    """The fact as it will be hashed, without its kind and when it was recorded."""
    found: dict[str, Any] = json.loads(encode(fact, 0))
    return {name: value for name, value in found.items() if name not in ("fact", "recorded_s")}


def one_line(wrong: Exception, word: str) -> str:
    """The last line of a complaint; those before it are said at once, each as a line of its own."""
    *first, last = str(wrong).split("\n")
    warn(word, first)
    return last


def warn(word: str, lines: Iterable[str]) -> None:
    """What a reader must be told, on standard error."""
    for line in dict.fromkeys(lines):
        click.echo(f"wattledger: asset {word}: {line}", err=True)


def fleet(config: Config, ledgers: Sequence[str], word: str) -> tuple[tuple[Known, ...], Fleet]:
    """What is known, and what it comes to now; events that cannot have been are said to be left out.  Raises LedgerError."""
    found = known(places(config, ledgers))
    folded = fleet_of(found, until_s=now_s())
    warn(word, (f"left out of all sums: {breach.message}" for breach in folded.refused))
    return found, folded


def _write(folder: Path, facts: Sequence[AssetFact]) -> tuple[str, ...]:
    store = Store.open(folder)
    try:
        return tuple(store.append(facts, now_s()))
    finally:
        store.close()
