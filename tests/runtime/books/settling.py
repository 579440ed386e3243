"""Books that are followed for the figures of their days, for the tests of those."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from wattledger.core.facts import Correction, EnergyFact, Fact, IntensityFact, Key
from wattledger.ledger.store import Store
from wattledger.runtime.books.settled import MOST_FACTS, Settled

DAY_S = 86_400
DAY = 20_700 * DAY_S  # 2026-09-04
NAME = "2026-09-04"
NOON = DAY + DAY_S // 2
HOUR = 3_600
SETTLE_S = 72 * HOUR
KWH_UJ = 3_600_000_000_000


def energy(start_s: int, uj: int = KWH_UJ, *, zone: str = "DE", pue_milli: int = 0, length_s: int = 60) -> EnergyFact:
    return EnergyFact(Key("agent:1", "node-1", zone, pue_milli), start_s, length_s, length_s * 1000, uj)


def hour(start_s: int, grams: float, **more: object) -> IntensityFact:
    return IntensityFact("DE", start_s, HOUR, round(grams * 1e6), "first")._replace(**more)  # type: ignore[arg-type]


class Rig:
    """An agent's books in a folder; a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store.open(folder)
        self.settled = Settled(SETTLE_S, ["first"])

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.store.close()

    @property
    def shown(self) -> Mapping[tuple[str, str, str], float]:
        return self.settled.shown

    def add(self, facts: Sequence[Fact | Correction], now_s: int) -> list[str]:
        """As another process would."""
        other = Store.open(self.folder)
        try:
            return other.append(facts, now_s)
        finally:
            other.close()

    def took(self, facts: Sequence[Fact | Correction], now_s: int) -> list[str]:
        """Written by the keeper, who then looks."""
        ids = self.store.append(facts, now_s) if facts else []
        self.settled.look(self.store, now_s)
        return ids

    def sealed(self) -> None:
        """All that is there goes from the open books, as whole days do."""
        self.store.forget(self.store.head().seq)

    def restart(self, *, most_facts: int = MOST_FACTS) -> None:
        """Another agent on the same books."""
        self.settled = Settled(SETTLE_S, ["first"], most_facts=most_facts)

    def day(self, name: str = NAME) -> dict[str, float]:
        """Grams of a day by basis, of both states together."""
        found: dict[str, float] = {}
        for (day, basis, _), grams in self.shown.items():
            if day == name:
                found[basis] = found.get(basis, 0.0) + grams
        return found
