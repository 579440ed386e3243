"""The open minute of each process: one row, overwritten as the minute goes on, and who is alive to go on with it.

A body is its SHA-256, a space, and {"day", "energy": [[key, start_s, length_s, seen_ms, energy_uj, spread_uj] …], "work": [[key,
…] …], "allocation": [[key, …] …]}, fields in the order of the facts', keys by their numbers of that recorded day; with ``keys``,
[[number, body] …], once the rows that explain them have left for a segment.
"""

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.core.facts import AllocationFact, EnergyFact, Key, WorkFact
from wattledger.ledger.body import NONSENSE, BadBody, Keyed, decode_key

Amounts = Keyed
PROCFS = Path("/proc")
KINDS = {"energy": EnergyFact, "work": WorkFact, "allocation": AllocationFact}
SILENT_S = 600  # in another container, whose processes cannot be looked up: gone, when it has written nothing for so long


class Process(NamedTuple):
    """``started``: clock ticks after boot.  ``boot``: the boot, and the PID namespace.  0 and empty where there is no /proc."""

    pid: int
    started: int
    boot: str


def this_process(procfs: Path = PROCFS) -> Process:
    """Who we are."""
    pid = os.getpid()
    state = _state(pid, procfs)
    return Process(pid, state[1] if state else 0, _boot(procfs))


def is_alive(process: Process, silent_s: int, procfs: Path = PROCFS) -> bool:
    """Whether the very process still runs; ``silent_s``: for how long it has written nothing."""
    here = _boot(procfs)
    boot, _, space = process.boot.partition(" ")
    boot_here, _, space_here = here.partition(" ")
    if boot and boot_here and boot != boot_here:
        return False
    if space != space_here:
        return silent_s < SILENT_S
    if not boot_here:
        return _exists(process.pid)
    return _state(process.pid, procfs) == ("alive", process.started)


def written(facts: Sequence[Amounts], numbers: Sequence[int], day: int) -> str:
    """The body of a journal; ``numbers``: of the facts' keys."""
    pairs = list(zip(facts, numbers, strict=True))
    rows = {name: [(number, *fact[1:]) for fact, number in pairs if type(fact) is kind] for name, kind in KINDS.items()}
    return _sealed({"day": day, **{name: rows[name] for name in KINDS if rows[name] or name != "allocation"}})


def day_of(body: str) -> int:
    """The recorded day whose numbers a journal uses.  Raises BadBody."""
    return int(_parsed(body)["day"])


def read(body: str, keys: Mapping[int, Key]) -> list[Amounts]:
    """The facts of a journal; ``keys``: those of its day that are still held.  Raises BadBody."""
    found = _parsed(body)
    try:
        said = dict(keys)
        for _, text in found.get("keys", ()):
            key = decode_key(json.loads(text))
            said[key.number] = key.key
        facts: list[Amounts] = [EnergyFact(said[number], *_ints(rest, (5,))) for number, *rest in found["energy"]]
        # Before engine steps were counted, a row of work was one shorter.
        facts += [WorkFact(said[number], *_ints(rest, (6, 7))) for number, *rest in found["work"]]
        return facts + [_allocation(said[number], rest) for number, *rest in found.get("allocation", ())]
    except KeyError as wrong:
        raise BadBody(f"{wrong} is missing") from None
    except NONSENSE as wrong:
        raise BadBody(str(wrong)) from None


def with_keys(body: str, keys: Mapping[int, str]) -> str:
    """A journal that carries the bodies of its keys with it.  Raises BadBody."""
    found = _parsed(body)
    used = {row[0] for kind in KINDS for row in found.get(kind, ())} & keys.keys()
    found["keys"] = [*found.get("keys", ()), *([number, keys[number]] for number in sorted(used))]
    return _sealed(found)


def _sealed(found: Mapping[str, Any]) -> str:
    """The text behind its own digest: a journal has no chain to hold it against, and a flipped digit would become a fact."""
    text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
    return f"{sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()} {text}"


Window = tuple[object, ...]
Taken = dict[Window, tuple[int, ...]]


def window(fact: Amounts) -> Window:
    """What amounts are of: two facts that agree in it say the same thing twice."""
    whose = (fact.request, fact.tenant) if isinstance(fact, AllocationFact) else ()
    return type(fact), fact.key, fact.start_s, fact.length_s, *whose


def _amounts(fact: Amounts) -> tuple[int, ...]:
    return fact[3:8] + fact[11:] if isinstance(fact, AllocationFact) else fact[3:]


def _less(fact: Amounts, rest: Sequence[int]) -> Amounts:
    if isinstance(fact, AllocationFact):
        return AllocationFact._make((*fact[:3], *rest[:5], *fact[8:11], *rest[5:]))
    return type(fact)._make((*fact[:3], *rest))


def take(taken: Taken, facts: Sequence[Amounts]) -> None:
    """Count these among what was taken."""
    for fact in facts:
        amounts = _amounts(fact)
        before = taken.get(window(fact), (0,) * len(amounts))
        taken[window(fact)] = tuple(a + b for a, b in zip(before, amounts, strict=True))


def less(facts: Sequence[Amounts], taken: Taken) -> list[Amounts]:
    """Amounts that grew, less what another process has taken to the chain already; nothing is said twice."""
    if not taken:  # nearly always
        return list(facts)
    left: list[Amounts] = []
    for fact in facts:
        gone = taken.get(window(fact))
        if gone is None:
            left.append(fact)
            continue
        rest = [max(0, now - before) for now, before in zip(_amounts(fact), gone, strict=True)]
        if any(rest):
            left.append(_less(fact, rest))
    return left


def _ints(rest: Sequence[Any], counts: Sequence[int]) -> list[int]:
    if len(rest) not in counts or not all(type(n) is int for n in rest):
        raise ValueError(f"{rest!r:.80} is not a row of a journal")
    return list(rest)


def _allocation(key: Key, rest: Sequence[Any]) -> AllocationFact:
    texts = rest[8:10]
    if len(rest) != len(AllocationFact._fields) - 1 or type(rest[7]) is not bool or not all(isinstance(t, str) for t in texts):
        raise ValueError(f"{rest!r:.80} is not a row of a journal")
    _ints([*rest[:7], *rest[10:]], (10,))
    return AllocationFact(key, *rest)


def _parsed(body: str) -> dict[str, Any]:
    digest, _, text = body.partition(" ")
    if sha256(text.encode("utf-8", "surrogateescape")).hexdigest() != digest:
        raise BadBody("not a journal as it was written: its digest does not hold")
    try:
        found = json.loads(text)
        int(found["day"])
    except NONSENSE as wrong:
        raise BadBody(f"not a journal: {wrong!r}") from None
    return dict(found)


def _boot(procfs: Path) -> str:
    try:
        boot = (procfs / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(procfs / 'self/ns/pid')}"
    except OSError:
        return ""


def _state(pid: int, procfs: Path) -> tuple[str, int] | None:
    """Whether it runs, and its start; a zombie has ended."""
    try:
        fields = (procfs / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return "ended" if fields[0] in (b"Z", b"X") else "alive", int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
