"""Counts of several replicas as one count that falls only when the engine itself began anew.

A replica that is gone from the text (a label set that changes, half a text) keeps what it had done; one that restarts beside
others goes on from there; hits that run ahead of their prompts take nothing back.  When all of them have fallen, the engine
restarted: its new counts are handed on as they are, and whoever differences them sees the reset.
"""

from collections.abc import Mapping
from operator import add
from typing import NamedTuple

from wattledger.sources.engines.reading import Counts


class Life(NamedTuple):
    """Of one replica: what its former lives came to, and its last counts, in the order of ``Counts`` less ``running``."""

    before: tuple[int, ...]
    last: tuple[int | None, ...]


class Total(NamedTuple):
    """Of one model since its engine began; ``steps`` and ``running`` are ``None`` where it does not tell."""

    computed: int
    cached: int
    generated: int
    requests: int
    steps: int | None
    running: int | None


class Steady:
    """State: the replicas of each model."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Life]] = {}

    def forget(self) -> None:
        """The engine has restarted."""
        self._models.clear()

    def take(self, model: str, replicas: Mapping[str, Counts]) -> tuple[Total, bool]:
        """The model's totals, and whether its engine restarted since the last reply."""
        known = self._models.setdefault(model, {})
        if ("" in known) != ("" in replicas):
            known.clear()  # they are named otherwise from now on; what was known would be added to itself
        fell = {name for name, life in known.items() if name in replicas and _fell(life.last, replicas[name])}
        restarted = bool(fell) and all(name in fell or name not in replicas or not any(life.last) for name, life in known.items())
        if restarted:
            known.clear()
        for name, counts in replicas.items():
            life = known.get(name)
            said = counts[:-1]
            if life is None:
                known[name] = Life((0,) * len(said), said)
            elif name in fell:
                known[name] = Life(tuple(map(add, life.before, (n or 0 for n in life.last))), said)
            else:
                known[name] = life._replace(last=tuple(_most(was, now) for was, now in zip(life.last, said, strict=True)))
        running = [counts.running for counts in replicas.values() if counts.running is not None]
        return _total(known, sum(running) if running else None), restarted


def _fell(last: tuple[int | None, ...], counts: Counts) -> bool:
    """By the engine's own totals of prompt and generated tokens: the others may waver."""
    told, _, _, generated, *_ = last
    pairs = ((told, counts.told), (generated, counts.generated))
    return any(was is not None and now is not None and now < was for was, now in pairs)


def _most(was: int | None, now: int | None) -> int | None:
    return now if was is None else was if now is None else max(was, now)


def _total(known: Mapping[str, Life], running: int | None) -> Total:
    lives = known.values()
    _, computed, cached, generated, requests, steps = (
        sum(life.before[i] + (life.last[i] or 0) for life in lives) for i in range(len(Counts._fields) - 1)
    )
    told_steps = any(life.last[Counts._fields.index("steps")] is not None for life in lives)
    return Total(computed, cached, generated, requests, steps if told_steps else None, running)
