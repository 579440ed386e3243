"""What a folder's books hold, linked row by row, for tests of whoever wrote them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from wattledger.core.facts import EnergyFact, Fact, IntensityFact, Known, RunFact
from wattledger.ledger.chain import genesis, link
from wattledger.ledger.store import Store

BOOKS = "wattledger/ledger"  # below $XDG_STATE_HOME


def known(folder: Path) -> list[Known]:
    """Every fact, in order; the chain is linked anew, row by row."""
    store = Store.open(folder, readonly=True)
    try:
        digest, seq = genesis(store.writer), 0
        for row in store.rows():
            seq, digest = seq + 1, link(digest, row.body)
            assert (row.seq, row.hash) == (seq, digest), f"the chain breaks at {row.seq}"
        assert store.head()[:2] == (seq, digest)
        return list(store.known())
    finally:
        store.close()


def bodies(folder: Path) -> list[str]:
    store = Store.open(folder, readonly=True)
    try:
        return [row.body for row in store.rows()]
    finally:
        store.close()


def facts(folder: Path) -> list[Fact]:
    return [found.fact for found in known(folder)]


def energies(folder: Path) -> list[EnergyFact]:
    return [fact for fact in facts(folder) if isinstance(fact, EnergyFact)]


def runs(folder: Path) -> list[RunFact]:
    """Those of programs that ended, not of meters."""
    return [fact for fact in facts(folder) if isinstance(fact, RunFact) and fact.what == "ended" and fact.job]


def intensities(folder: Path) -> list[IntensityFact]:
    return [fact for fact in facts(folder) if isinstance(fact, IntensityFact)]


def by_job(found: Iterable[EnergyFact]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for fact in found:
        sums[fact.key.job] += fact.energy_uj
    return dict(sums)


def by_device(found: Iterable[EnergyFact]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for fact in found:
        sums[fact.key.device] += fact.energy_uj
    return dict(sums)


def once(found: Sequence[EnergyFact]) -> None:
    """No window of one key of one meter is there twice."""
    places = Counter((fact.key, fact.start_s) for fact in found)
    assert [place for place, times in places.items() if times > 1] == []


def uj(joules: float) -> int:
    """A footprint's joules as the integer that they came from."""
    return round(joules * 1e6)
