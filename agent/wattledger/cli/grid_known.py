"""What the books and the configured providers say of a zone, for the ``grid`` commands; nothing is written."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from wattledger.accounting.prices_live import Said, said
from wattledger.cli import fail
from wattledger.core.facts import IntensityFact, Known, Signal
from wattledger.core.ports import GridProvider, SourceFailed, SourceGone
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store
from wattledger.runtime import clock
from wattledger.runtime.books.place import folders_to_read
from wattledger.runtime.config import Config, ConfigError, load
from wattledger.runtime.grid.here import Here, zone_here
from wattledger.runtime.grid.providers import open_providers


class Asking(NamedTuple):
    """A command's question: the configuration, the zone in force, and the time."""

    config: Config
    here: Here
    now_s: int

    @property
    def zone(self) -> str:
        return self.here.zone or ""


def asking(words: str, zone: str | None, config_file: str | None) -> Asking:
    """Ends the command with one line where the words are wrong."""
    try:
        config = load(os.environ, file=config_file)
    except ConfigError as wrong:
        fail(f"{words}: {wrong}")
    if zone is not None and not zone.strip():
        fail(f"{words}: an empty name is no zone: `wattledger grid zones` lists all")
    return Asking(config, zone_here(config, os.environ, zone), clock.now().wall_ns // 1_000_000_000)


def in_books(asked: Asking, notes: list[str]) -> list[Known]:
    """Every intensity that the open books hold; books that cannot be read are a note."""
    found: list[Known] = []
    for folder in folders_to_read(asked.config, os.environ):
        if not (folder / "open.db").exists():
            continue
        try:
            store = Store.open(folder, readonly=True)
            try:
                found += store.known(["intensity"])
            finally:
                store.close()
        except LedgerError as failure:
            notes.append(str(failure))
    return found


def holding(known: Iterable[Known], zone: str, signal: Signal) -> list[Said]:
    """Of each version the one that holds, by time and provider."""
    held = {}
    for one in sorted(said(known, zone, signal, None), key=lambda one: one.learnt):
        fact = one.fact
        held[fact.start_s, fact.length_s, fact.provider, fact.boundary] = one
    return [held[key] for key in sorted(held)]


def providers(asked: Asking, notes: list[str]) -> list[GridProvider]:
    """Those that are configured and know the zone."""
    opened = open_providers(asked.config, os.environ)
    notes += [f"grid provider {name} is not asked: {why}" for name, why in opened.absent.items()]
    return [provider for provider in opened.providers if asked.zone and provider.covers(asked.zone)]


def first_answer(asked: Asking, span: tuple[int, int] | None, signal: Signal, notes: list[str]) -> Sequence[IntensityFact]:
    """The first provider's that says anything of ``span`` (``None``: its forecast); why the others do not is noted."""
    for provider in _of(providers(asked, notes), signal):
        try:
            found = provider.read(asked.zone, *span, asked.now_s) if span else provider.forecast(asked.zone, asked.now_s)
        except (SourceFailed, SourceGone) as failure:
            notes.append(f"grid {provider.name}: {failure}")
            continue
        mine = [fact for fact in found if fact.zone == asked.zone and fact.signal == signal]
        if mine:
            return mine
    return []


def _of(found: Iterable[GridProvider], signal: Signal) -> Iterator[GridProvider]:
    """Those of this signal; a file of one's own may hold both."""
    return (provider for provider in found if provider.signal == signal or provider.name == "file")
