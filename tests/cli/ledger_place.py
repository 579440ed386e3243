"""Books of a user, as the tests of ``wattledger ledger …`` need them."""

from pathlib import Path

from tests.ledger.made import DAY_S, NOON_S, energy, key

from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store


def some_books(folder: Path, *, days: int = 2, sealed: bool = True) -> Path:
    """Books with facts of days long ago, sealed: a minute's energy at each of two minutes a day."""
    store = Store.open(folder)
    for day in range(days):
        for minute in range(2):
            at_s = NOON_S - 100 * DAY_S + day * DAY_S + 60 * minute
            store.append([energy(of=key(labels=(("user", "ada"),)), start_s=at_s, uj=1_000 + minute)], at_s + 60)
    store.close()
    if sealed:
        seal(folder, NOON_S)
    return folder


def writer_of(folder: Path) -> str:
    """Whose books these are."""
    store = Store.open(folder, readonly=True)
    store.close()
    return store.writer
