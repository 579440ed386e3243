"""Compacted days and their manifests: one file for all that a day's segments said, and the digests of what it was made of.

A day's file lies under ``compact/day=YYYY-MM-DD/LEVEL.parquet`` with ``LEVEL.json`` beside it, in a store below its segments and
in a lake below its root.  A reader takes the files of ``standing`` and leaves out the segments they were made of (``rolled_up``).
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.ledger import lake
from wattledger.ledger.body import canonical
from wattledger.ledger.engine import LedgerError, connect, told
from wattledger.ledger.manifest import COMPACT, segments_of
from wattledger.ledger.rollup import LEVELS, Level, text

SCHEMA = "wattledger.compaction/1"


class Source(NamedTuple):
    """A segment that went into a compacted day; what its manifest says of it."""

    writer: str
    host: str
    energy_uj: int
    sha256: str


class Compaction(NamedTuple):
    """A compacted day.  ``sources``: by the digest of their leaves, which stay provable by their manifests.

    ``energy_uj`` is the sum of the sources' and of the file's energy facts.  ``corrected``: ids of facts of this day that were
    corrected when it was made (they are not rolled up).  ``slots``: the grid's slots that were not an hour.
    """

    day: str
    level: Level
    sources: Mapping[str, Source]
    rows: int
    energy_uj: int
    sha256: str
    bytes: int
    corrected: tuple[str, ...] = ()
    slots: Mapping[str, int] = {}

    @property
    def file(self) -> str:
        """The Parquet file's name, below the segments or the lake's root."""
        return f"{COMPACT}/day={self.day}/{self.level}.parquet"

    @property
    def written(self) -> str:
        """The manifest's own name."""
        return f"{COMPACT}/day={self.day}/{self.level}.json"

    def text(self) -> str:
        """The manifest as it is written, its own digest included."""
        plain: dict[str, Any] = {"schema": SCHEMA, **self._asdict()}
        plain["sources"] = {digest: source._asdict() for digest, source in self.sources.items()}
        plain["corrected"] = list(self.corrected)
        return canonical({**plain, "digest": sha256(canonical(plain).encode()).hexdigest()}) + "\n"


def root_of(place: str | Path) -> str | Path:
    """Where segments lie: below a store's folder, or right below a lake's root."""
    return place if lake.is_url(place) else segments_of(lake.path_of(place))


def parse(written: bytes, where: str) -> Compaction:
    """A manifest out of its text.  Raises LedgerError where a byte of it changed."""
    try:
        found = json.loads(written)
        # Held against its digest once, and against its length, so that the form is the one that was hashed: a fleet's year of
        # manifests names 365,000 sources.
        plain = canonical({name: value for name, value in found.items() if name != "digest"}).encode()
        digest = f',"digest":"{sha256(plain).hexdigest()}"'
        whole = found["digest"] == digest[11:-1] and len(written) == len(plain) + len(digest) + 1 and written.endswith(b"}\n")
        sources = {digest: Source(**source) for digest, source in found["sources"].items()}
        given = {name: found[name] for name in Compaction._fields}
        made = Compaction(**{**given, "sources": sources, "corrected": tuple(found["corrected"])})
        whole = whole and made.level in LEVELS and found["schema"] == SCHEMA
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise LedgerError(f"{where}: not the manifest of a compacted day, or changed since it was written")
    return made


def compactions(place: str | Path, prefix: str = "") -> list[Compaction]:
    """All compacted files of a place, by day, finest first (``prefix``: a day's, ``day=YYYY-MM-DD``).  Raises LedgerError."""
    root = root_of(place)
    found = [name for name in lake.names(root, f"{COMPACT}/{prefix}".rstrip("/")) if name.endswith((".json", ".next"))]
    made = {name: parse(lake.get(root, name), f"{lake.shown(root)}/{name}") for name in found}
    for name in [name for name in made if name.endswith(".next")]:
        # Stopped while it replaced a file: the new manifest holds as soon as the new file is there.
        following = made.pop(name)
        if lake.size(root, following.file) == following.bytes and lake.sha256(root, following.file) == following.sha256:
            made[following.written] = following
    return sorted(made.values(), key=lambda one: (one.day, LEVELS.index(one.level)))


def standing(place: str | Path, prefix: str = "") -> list[Compaction]:
    """For each day the file to read: the one made of most segments, and of those the coarsest.  Raises LedgerError."""
    best: dict[str, Compaction] = {}
    for one in compactions(place, prefix):
        if one.day not in best or len(one.sources) >= len(best[one.day].sources):
            best[one.day] = one
    return list(best.values())


def rolled_up(place: str | Path) -> set[str]:
    """The leaf digests (``Segment.digest``) of the segments that ``standing`` files were made of.  Raises LedgerError."""
    return {digest for one in standing(place) for digest in one.sources}


def verify_compacted(place: str | Path) -> list[str]:
    """What is wrong with the compacted files of a place, a line each; empty where all is well."""
    try:
        root = root_of(place)
        names = lake.names(root, COMPACT)
    except LedgerError as wrong:
        return [str(wrong)]
    problems = []
    for name in [name for name in names if name.endswith(".json")]:
        where = f"{lake.shown(root)}/{name}"
        try:
            made = parse(lake.get(root, name), where)
            problems += [f"{where}: {problem}" for problem in _wrong_with(root, made, name)]
        except LedgerError as wrong:
            problems.append(str(wrong))
    return problems + _lost(root, names)


def _wrong_with(root: str | Path, made: Compaction, name: str) -> list[str]:
    if name != made.written:
        return [f"says that it is {made.written}"]
    if lake.size(root, made.file) is None:
        return [f"its file {made.file} is gone"]
    if lake.sha256(root, made.file) != made.sha256:
        return [f"{made.file} has changed since it was written (its SHA-256 does not hold)"]
    wrong = []
    if sum(source.energy_uj for source in made.sources.values()) != made.energy_uj:
        wrong.append("its energy is not the sum of its sources'")
    with Reader(root) as reader:
        found = reader.energy_uj(made.file)
    if found != made.energy_uj:
        wrong.append(f"{made.file} holds {found} uJ, and its sources {made.energy_uj} uJ")
    there = {one.segment.digest(): one.segment.energy_uj for one in lake.fetch_manifests(root, f"day={made.day}")}
    gone = [digest for digest in made.sources if digest not in there]
    if gone:
        wrong.append(f"{len(gone)} of the {len(made.sources)} segments that it was made of have no manifest any more")
    if any(there[digest] != made.sources[digest].energy_uj for digest in made.sources if digest in there):
        wrong.append("the manifest of a source says another energy than this one")
    return wrong


def _lost(root: str | Path, names: list[str]) -> list[str]:
    """Files that nothing stands for: a manifest that is gone is a loss once the sources are."""
    return [
        f"{lake.shown(root)}/{name}: a compacted file without its manifest"
        for name in names
        if name.endswith(".parquet") and name.removesuffix("parquet") + "json" not in names
    ]


class Reader:
    """DuckDB over the Parquet files of a place.  A context; every method raises LedgerError."""

    def __init__(self, root: str | Path, *, memory_mb: int = 400, spill: Path | None = None) -> None:
        self._root = root
        self.engine = connect(memory_mb=memory_mb)
        self.engine.execute(f"SET temp_directory = {text(str(spill) if spill else '')}")
        system = lake.filesystem(root)
        if system is not None:
            with told(lake.shown(root)):
                self.engine.register_filesystem(system)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()

    def files(self, names: list[str]) -> str:
        """What stands in SQL for all rows of these files.  The folders are no columns: there is one called ``host`` already."""
        listed = ", ".join(text(lake.address(self._root, name)) for name in names)
        return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer's rows."""
        with told(lake.shown(self._root)):
            found: list[tuple[Any, ...]] = self.engine.execute(sql).fetchall()
        return found

    def energy_uj(self, name: str) -> int:
        """The sum of a file's energy facts."""
        return int(self.ask(f"SELECT SUM(energy_uj) FROM {self.files([name])} WHERE fact = 'energy'")[0][0] or 0)
