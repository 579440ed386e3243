"""Which files hold the sealed part of the books: segments, or the compacted days that stand for them, each day's once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wattledger.ledger import compaction, lake
from wattledger.ledger.engine import LedgerError


class File(NamedTuple):
    """A Parquet file of one recorded day: of one ``writer``, or compacted out of several (``writer`` empty)."""

    day: str
    writer: str
    address: str


def compacted(roots: Sequence[str | Path]) -> tuple[list[File], set[tuple[str, str]]]:
    """The compacted files to read, and the (day, writer) that they hold: a store's own is left out where a lake's holds it too."""
    found = [(made, root) for root in roots if _is_there(root) for made in compaction.standing(root)]
    files: list[File] = []
    taken: set[tuple[str, str]] = set()
    for made, root in sorted(found, key=lambda each: (each[0].day, -len(each[0].sources))):
        units = {(made.day, source.writer) for source in made.sources.values()}
        if units <= taken:
            continue
        if units & taken:
            raise LedgerError(f"{lake.shown(root)}: {made.file} shares segments with another place's: leave one of the two out")
        taken |= units
        files.append(File(made.day, "", lake.address(root, made.file)))
    return files, taken


def sealed(root: str | Path) -> Iterator[File]:
    names = set(lake.names(root)) if _is_there(root) else set()
    for name in sorted(names):
        # A manifest stands for a whole segment; a file without one may still be on its way.
        if lake.SEALED.fullmatch(name) and (data := name.removesuffix(".json") + ".parquet") in names:
            day, _, file = data.split("/")
            yield File(day.removeprefix("day="), file.removesuffix(".parquet"), lake.address(root, data))


def _is_there(root: str | Path) -> bool:
    return lake.is_url(root) or Path(root).is_dir()
