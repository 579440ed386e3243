"""Nodes that are made up (``wattledger agent --demo``), by the word of their meters: whoever reads of them is told."""

from collections.abc import Collection, Iterable

from wattledger.core.facts import Known, RunFact
from wattledger.ledger import query
from wattledger.ledger.books import Books
from wattledger.ledger.query import Scope

MARK = "machine.made_up"


def hosts(holding: Iterable[Known]) -> frozenset[str]:
    """Those that a meter began on which played a recording."""
    began = (one.fact for one in holding if isinstance(one.fact, RunFact) and one.fact.what == "began")
    return frozenset(fact.host for fact in began if MARK in dict(fact.config))


def within(books: Books, scope: Scope) -> frozenset[str]:
    """Those that energy of the scope was booked on."""
    found = hosts(books.holding)
    return found and found.intersection(host for *_, host in query.hosts(books.connection, scope))


def notes(made_up: Collection[str]) -> list[str]:
    """What must be said of figures that these hosts are part of."""
    if not made_up:
        return []
    said = "is no machine" if len(made_up) == 1 else "are no machines"
    return [f"made up: {', '.join(sorted(made_up))} {said} (wattledger agent --demo): nothing of it was measured"]
