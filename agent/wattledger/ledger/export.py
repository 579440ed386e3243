"""Facts out of the books, as one file: the open part and what is sealed, by writer and number.  Equal books give equal bytes."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import manifests
from wattledger.ledger.parquet import Where, write_rows
from wattledger.ledger.segments import stage, sync
from wattledger.ledger.store import OPEN, Store
from wattledger.ledger.store_schema import is_there

FORMS = ("csv", "jsonl", "parquet")


class Exported(NamedTuple):
    """How many rows were written, and the days whose facts were not there any more (rolled up)."""

    rows: int
    missing_days: tuple[str, ...]


def export(folders: Sequence[Path], to: Path, where: Where, form: str) -> Exported:
    """Write ``to``, whole or not at all.  JSON lines are bodies as they stand, with their days' keys.  Raises LedgerError."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as folder:
            work = Path(folder)
            files, missing = _files(folders, work)
            part = work / f"part.{form}"
            rows = write_rows(files, where, part, form)
            sync(part)
            os.replace(part, to)
    except OSError as wrong:
        raise LedgerError(f"{to}: cannot be written: {wrong.strerror or wrong}") from None
    return Exported(rows, missing)


def _files(folders: Sequence[Path], work: Path) -> tuple[list[Path], tuple[str, ...]]:
    found: dict[tuple[str, int], Path] = {}
    missing: dict[tuple[str, int], str] = {}
    for folder in folders:
        opened = ("", 0)
        if is_there(folder / OPEN):
            store = Store.open(folder, readonly=True)
            try:
                with store.frozen():
                    opened = store.writer, store.start().seq
                    found |= {(store.writer, seq): path for seq, path in stage(store, work).items()}
            finally:
                store.close()
        for manifest in manifests(folder):
            segment = manifest.segment
            if segment.writer == opened[0] and segment.first_seq > opened[1]:
                continue  # a seal was stopped right before its end: the open part has these
            place = (segment.writer, segment.first_seq)
            if manifest.path.exists():
                found.setdefault(place, manifest.path)
            else:
                missing[place] = segment.day
    return list(found.values()), tuple(sorted({day for place, day in missing.items() if place not in found}))


ALL_KINDS = ("key", "energy", "work", "allocation", "gap", "intensity", "contract", "asset", "purchase", "run", "withdrawal")
