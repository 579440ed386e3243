"""The sums that contracts are held against, kept beside the books: once days are sealed, the open books do not tell them any more.

A view that is written down, and no fact: it is used where the chain stands where it says, and made anew where it can be.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattledger.runtime.books.settled_market import Contracts

if TYPE_CHECKING:
    from wattledger.ledger.store import Store

NAME = "settled.json"
SCHEMA = "wattledger.settled/1"


def save(store: "Store", contracts: Contracts) -> None:
    """Write the sums down, whole or not at all.  A disk that does not take them is asked again by the next."""
    hours: dict[tuple[str, int], list[int]] = {}
    for (zone, pue_milli, start_s), uj in sorted(contracts.hours.items()):
        hours.setdefault((zone, pue_milli), []).extend((start_s, uj))
    said = {
        "schema": SCHEMA, "writer": store.writer, "seq": contracts.seq, "hash": _hash(store, contracts.seq),
        "since_s": contracts.since_s, "hours": [[*of, *sums] for of, sums in hours.items()], "bodies": contracts.bodies,
    }  # fmt: skip
    place = store.folder / NAME
    made = place.with_suffix(".new")
    with suppress(OSError):
        with open(made, "w", encoding="utf-8") as file:
            json.dump(said, file, ensure_ascii=False, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, place)


def load(store: "Store") -> Contracts | None:
    """What was saved, if it is of these books and nothing was sealed behind it."""
    found = _read(store.folder / NAME)
    try:
        digest = _hash(store, found["seq"])
        if not digest or (found["schema"], found["writer"], found["hash"]) != (SCHEMA, store.writer, digest):
            return None
        contracts = Contracts(whole=True)
        contracts.seq, contracts.since_s = int(found["seq"]), int(found["since_s"])
        for zone, pue_milli, *sums in found["hours"]:
            contracts.hours.update(_hours(str(zone), int(pue_milli), sums))
        for fact_id, body in found["bodies"].items():
            contracts.keep(fact_id, body)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return contracts


def _hours(zone: str, pue_milli: int, sums: list[Any]) -> Iterator[tuple[tuple[str, int, int], int]]:
    for start_s, uj in zip(sums[::2], sums[1::2], strict=True):
        yield (zone, pue_milli, int(start_s)), int(uj)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(store: "Store", seq: int) -> str:
    """The chain's hash after that row; empty where the row was sealed, with rows behind it, or is not there yet."""
    start = store.start()
    if seq == start.seq:
        return start.hash.hex()
    return next((row.hash.hex() for row in store.rows(seq - 1, seq) if row.seq == seq), "") if seq > start.seq else ""
