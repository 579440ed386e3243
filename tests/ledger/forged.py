"""Books changed behind the ledger's back, by chance or by someone who knows how they are kept."""

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.ledger.made import DAY_S, NOON_S, energy, store_of

from wattledger.ledger.engine import connect
from wattledger.ledger.manifest import Manifest, manifests
from wattledger.ledger.segments import digest_of, seal
from wattledger.ledger.store import Store


def books(folder: Path) -> Path:
    """Two sealed days of 18 rows each (6 keys, 10 energy, 2 work), and one of as many that is open."""
    store_of(folder, days=3).close()
    seal(folder, NOON_S + 2 * DAY_S)
    return folder


def sql(folder: Path, *statements: str, given: Sequence[object] = ()) -> None:
    """Run statements in the open part, as root can."""
    db = sqlite3.connect(folder / "open.db")
    with db:
        for statement in statements:
            db.execute(statement, given)
    db.close()


def rewrite(manifest: Manifest, chosen: str) -> None:
    """The Parquet file anew, with ``chosen`` in place of its columns, and a manifest that fits it."""
    made = manifest.path.with_suffix(".new")
    engine = connect(threads=1)
    rows = f"SELECT {chosen} FROM read_parquet('{manifest.path}', hive_partitioning = false) ORDER BY seq"
    engine.execute(f"COPY ({rows}) TO '{made}' (FORMAT parquet, COMPRESSION zstd)")
    engine.close()
    made.replace(manifest.path)
    now = manifest._replace(sha256=digest_of(manifest.path), bytes=manifest.path.stat().st_size)
    manifest.written.write_text(now.text(), encoding="utf-8")


def resealed(folder: Path) -> tuple[Manifest, Manifest]:
    """Two seals of one day, the first of which knew fewer of its facts: (the older, in a folder of its own; the newer)."""
    store = store_of(folder / "new")
    shutil.copytree(folder / "new", folder / "old")
    store.append([energy(1, start_s=NOON_S + 600)], NOON_S + 600)
    store.append([energy(1, start_s=NOON_S + DAY_S)], NOON_S + DAY_S)
    store.close()
    for name in ("old", "new"):
        seal(folder / name, NOON_S + DAY_S)
    return manifests(folder / "old")[0], manifests(folder / "new")[0]


def flip(data: bytes, bit: int) -> bytes:
    """The bytes with one bit turned over."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


class Raw(NamedTuple):
    """An open row as it is read, to the byte."""

    seq: int
    body: bytes
    hash: bytes


def rows(folder: Path) -> list[Raw]:
    """All of them."""
    store = Store.open(folder, readonly=True)
    found = [Raw(seq, body.encode("utf-8", "surrogateescape"), digest) for seq, body, digest in store.rows()]
    store.close()
    return found
