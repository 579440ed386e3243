"""Over how much of the time that devices should have been metered they were: seen over expected."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wattledger.core.facts import GapFact, Known, RunFact
from wattledger.ledger.query import Seen

MS_PER_S = 1000


class Life(NamedTuple):
    """From when to when a meter was there, milliseconds."""

    from_ms: int
    to_ms: int


class Coverage(NamedTuple):
    """Milliseconds by (host, device); ``gaps``: how many times a device drew nobody knows what, and how long together."""

    seen_ms: Mapping[tuple[str, str], int]
    expected_ms: Mapping[tuple[str, str], int]
    gaps: int
    gaps_ms: int

    def part(self, hosts: Iterable[str] | None = None, device: str | None = None) -> float | None:
        """Seen over expected, of some hosts or one device; ``None`` where nothing was expected."""
        wanted = None if hosts is None else set(hosts)
        keys = [key for key in self.expected_ms if (wanted is None or key[0] in wanted) and device in (None, key[1])]
        expected = sum(self.expected_ms[key] for key in keys)
        return sum(self.seen_ms[key] for key in keys) / expected if expected else None


def coverage(seen: Sequence[Seen], known: Sequence[Known], from_s: int | None, to_s: int | None) -> Coverage:
    """Of the devices that were seen at all.  ``known``: the facts that hold.

    A device is expected to be seen while its meter lives: from its beginning to its end, or, where no end was written down (a
    kill, a power cut), to the next agent's beginning on that host, else to its last window."""
    lives = _lives(seen, known)
    span = Life(-(1 << 62) if from_s is None else from_s * MS_PER_S, 1 << 62 if to_s is None else to_s * MS_PER_S)
    got: dict[tuple[str, str], int] = {}
    want: dict[tuple[str, str], int] = {}
    for row in seen:
        life = lives[row.host, row.meter]
        expected = max(0, min(life.to_ms, span.to_ms) - max(life.from_ms, span.from_ms))
        key = row.host, row.device
        want[key] = want.get(key, 0) + expected
        got[key] = got.get(key, 0) + min(row.seen_ms, expected)
    gaps = [fact for one in known if isinstance(fact := one.fact, GapFact) and (fact.host, fact.device) in want]
    holes = [max(0, min(gap.end_ms, span.to_ms) - max(gap.start_ms, span.from_ms)) for gap in gaps]
    return Coverage(got, want, sum(1 for hole in holes if hole), sum(holes))


def _lives(seen: Sequence[Seen], known: Sequence[Known]) -> dict[tuple[str, str], Life]:
    began: dict[tuple[str, str], int] = {}
    ended: dict[tuple[str, str], int] = {}
    for one in known:
        if isinstance(one.fact, RunFact) and not one.fact.job and one.fact.energy_uj is None:  # of a meter, not of a run
            (began if one.fact.what == "began" else ended)[one.fact.host, one.fact.meter] = one.fact.at_ms
    lives: dict[tuple[str, str], Life] = {}
    for row in seen:
        key = row.host, row.meter
        sofar = lives.get(key, Life(row.first_s * MS_PER_S, row.last_s * MS_PER_S))
        lives[key] = Life(min(sofar.from_ms, row.first_s * MS_PER_S), max(sofar.to_ms, row.last_s * MS_PER_S))
    starts: dict[str, list[int]] = {}
    for (host, meter), life in lives.items():
        if meter.startswith("agent:"):
            starts.setdefault(host, []).append(began.get((host, meter), life.from_ms))
    return {key: _life(key, life, (began.get(key), ended.get(key)), starts.get(key[0], [])) for key, life in lives.items()}


def _life(key: tuple[str, str], life: Life, said: tuple[int | None, int | None], starts: Sequence[int]) -> Life:
    began_ms, ended_ms = said
    from_ms = life.from_ms if began_ms is None else began_ms
    if ended_ms is not None:
        return Life(from_ms, ended_ms)
    later = [start for start in starts if start > from_ms] if key[1].startswith("agent:") else []
    return Life(from_ms, max(life.to_ms, min(later)) if later else life.to_ms)
