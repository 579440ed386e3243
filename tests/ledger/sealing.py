"""Seals that are killed between any two steps, that run into a full disk, that run side by side and beside a writer.

Run as a program of its own (it forks): kill FOLDER | full FOLDER | seal FOLDER | append FOLDER → a line of JSON.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.ledger.made import DAY_S, NOON_S, energy, key, minute, work

from wattledger.ledger import segments
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.log import look
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store
from wattledger.ledger.verify import verify

LATER_S = NOON_S + 30 * DAY_S


def bodies_of(folder: Path) -> list[str]:
    """The bodies of all rows, sealed or not, in order; each one there once."""
    log = look(folder)
    found = [body.decode() for day in log.days for body in log.bodies(day)]
    assert len(found) == sum(day.count for day in log.days)
    return found


def in_child(do: Callable[[], None]) -> int:
    """Do it in a fork; how it ended: 0, or the signal."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
            os._exit(0)
        except BaseException as wrong:
            print(repr(wrong), file=sys.stderr)
        finally:
            os._exit(1)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended != 1, "the child failed by itself"
    return -ended


def dying(at: int) -> Any:
    """A tracer that kills this process before the line of segments.py that is executed as number ``at``."""
    count = 0

    def line(_: FrameType, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        if count >= at:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    return lambda frame, _, __: line if frame.f_code.co_filename == segments.__file__ else None


def whole_again(folder: Path, grown: int) -> None:
    """What must hold after any crash: every fact is there, a late one joins them, the next seal ends it all, and it verifies."""
    before = bodies_of(folder)
    assert len(before) == len(set(before)) == 16
    store = Store.open(folder)
    store.append([energy(i, start_s=NOON_S + 9_000) for i in range(grown)], NOON_S + 9_000)
    store.close()
    seal(folder, LATER_S)
    after = bodies_of(folder)
    assert after[:16] == before
    assert len([body for body in after[16:] if '"fact":"energy"' in body]) == grown
    assert seal(folder, LATER_S) == []
    report = verify(folder)
    assert (report.problems, report.notes, report.facts, report.open_facts) == ((), (), len(after), 0)
    assert not (folder / "segments" / segments.WORK).exists()


def books(folder: Path) -> None:
    """Two closed days of 8 rows each."""
    store = Store.open(folder)
    for day in range(2):
        for m in range(2):
            at_s = NOON_S - (1 - day) * DAY_S + 60 * m
            store.append([*minute(2, start_s=at_s), *([work(start_s=at_s)] if m else [])], at_s + 60)
    store.close()


def killed(folder: Path) -> dict[str, int]:
    """Kill the seal at every sixth line or so, each time in books of its own; how often."""
    books(folder / "made")
    at, count = random.randrange(1, 4), 0
    while True:
        now = folder / str(at)
        shutil.copytree(folder / "made", now)

        def stopped(now: Path = now, at: int = at) -> None:
            sys.settrace(dying(at))
            seal(now, LATER_S)

        ended = in_child(stopped)
        assert ended in (0, signal.SIGKILL)
        in_child(lambda now=now, grown=at % 2: whole_again(now, grown))  # type: ignore[misc]
        if ended == 0:
            return {"kills": count}
        at, count = at + random.randrange(4, 8), count + 1


def full(folder: Path) -> dict[str, int]:
    """No file may grow beyond so many bytes, as on a disk that is full: refused in one line, or done; then there is room again."""
    books(folder / "made")
    refused = 0
    for size in (0, 100, 1_000, 3_000, 6_000, 20_000, 10**7):
        now = folder / str(size)
        shutil.copytree(folder / "made", now)

        def limited(now: Path = now, size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                seal(now, LATER_S)
            except LedgerError as wrong:
                os.kill(os.getpid(), signal.SIGTERM if "\n" not in str(wrong) else signal.SIGABRT)

        ended = in_child(limited)
        assert ended in (0, signal.SIGTERM)
        refused += ended == signal.SIGTERM
        in_child(lambda now=now: whole_again(now, 0))  # type: ignore[misc]
    return {"refused": refused}


def append(folder: Path) -> dict[str, object]:
    """Write until standard input ends, half of it with a clock that is behind; the numbers that were acknowledged."""
    store, ids, number = Store.open(folder), list[str](), 0
    print("writing", flush=True)
    os.set_blocking(0, False)
    while True:
        try:
            if os.read(0, 1) == b"":
                break
        except BlockingIOError:
            pass
        of = key(number % 40, run=f"late-{number}")
        ids += store.append([energy(of=of, uj=number)], NOON_S if number % 2 else LATER_S)
        number += 1
    store.close()
    return {"ids": ids}


if __name__ == "__main__":
    place = Path(sys.argv[2])
    words: dict[str, Callable[[Path], Any]] = {
        "kill": killed, "full": full, "append": append,
        "seal": lambda given: {"days": [m.segment.day for m in seal(given, LATER_S)]},
    }  # fmt: skip
    print(json.dumps(words[sys.argv[1]](place)))
