"""Books that are lived through event by event, so that they can be lived through again, honestly or not."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tests.ledger.made import DAY_S, NOON_S, energy

from wattledger.ledger import heads, segments
from wattledger.ledger.chain import genesis
from wattledger.ledger.log import look
from wattledger.ledger.store import Store

Event = tuple[str, int]  # ("facts", how many), ("days", how many pass), ("seal", 0), ("anchor", 0)
Change = Callable[[int, int], int | None]  # (number of the fact, from 0; its microjoules) → its microjoules now, None: left out

events = st.lists(
    st.one_of(
        st.tuples(st.just("facts"), st.integers(1, 4)),
        st.tuples(st.just("days"), st.integers(1, 2)),
        st.tuples(st.sampled_from(["seal", "anchor"]), st.just(0)),
    ),
    max_size=14,
)  # fmt: skip


def honest(_number: int, uj: int) -> int:
    """Everything as it was."""
    return uj


def lived(folder: Path, history: Sequence[Event], *, writer: str = "", change: Change = honest) -> list[dict[str, Any]]:
    """Make the books of a history; the heads at its anchors, with ``facts``: how many facts each stands for.

    ``writer`` and ``change`` are what a forger does: the same chain's name, other facts, everything consistent and sealed anew.
    """
    store = Store.open(folder)
    if writer:
        store.close()
        rename(folder, writer)
        store = Store.open(folder)
    now_s, number, found = NOON_S, 0, []
    for word, count in history:
        now_s += 60 + (count * DAY_S if word == "days" else 0)
        if word == "facts":
            given = [(number + i, 1_000_000 + number + i) for i in range(count)]
            number += count
            kept = [energy(n % 3, start_s=now_s, uj=uj) for n, was in given if (uj := change(n, was)) is not None]
            if kept:
                store.append(kept, now_s)
        elif word == "seal":
            segments.seal(folder, now_s)
        elif word == "anchor":
            found.append({"head": heads.to_dict(look(folder).head(now_s)), "facts": number})
    store.close()
    return found


def rename(folder: Path, writer: str) -> None:
    """Give empty books another writer's name, as root can."""
    db = sqlite3.connect(folder / "open.db")
    with db:
        db.execute("UPDATE meta SET writer = ?, hash = ?", (writer, genesis(writer)))
    db.close()


def facts_of(folder: Path) -> list[str]:
    """The ids of all facts, sealed or not: of all rows that do not explain a key."""
    log = look(folder)
    rows = [(day.first_seq + i, body) for day in log.days for i, body in enumerate(log.bodies(day))]
    return [f"{log.writer}:{seq}" for seq, body in rows if json.loads(body)["fact"] != "key"]


def writer_of(folder: Path) -> str:
    store = Store.open(folder, readonly=True)
    store.close()
    return store.writer
