"""How a compacted file is made and read back, in SQL; and what must be known of other days before it may be made."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from wattledger.ledger import lake
from wattledger.ledger.body import day_of
from wattledger.ledger.columns import DAY_S, KEY_COLUMNS, KINDS_UJ, TOKENS
from wattledger.ledger.compaction import Reader, standing
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import Segment
from wattledger.ledger.rollup import ALL_COLUMNS, ORDER, Level, Rated, midnight_s, rolled, setup, slot_lengths, text
from wattledger.ledger.store import OPEN, Store

# A job's rows lie side by side, so a report of one job reads a few of these; smaller ones would compress worse.
ROW_GROUP = 30_720
SUMS = ("energy_uj", "spread_uj", *TOKENS, "requests", "steps")
DIVIDED = (*KINDS_UJ, "spread_uj", *TOKENS)
NEAR_DAYS = range(-2, 7)  # around a day: where the intensities of its zones were learnt, and so how long the grid's slots are
# A fact is recorded after its window; what is recorded later than this after it has no price here, and stays a slot.
PRICED_DAYS = range(-40, 2)


class Recipe(NamedTuple):
    """What a day is rolled up by."""

    level: Level
    slots: dict[str, int]
    corrected: Collection[str]
    prices: Sequence[Rated] = ()


def write(reader: Reader, day: str, recipe: Recipe, to: Path) -> None:
    """The rows of ``given`` (``show``) → a Parquet file, rolled up.  Raises LedgerError."""
    for statement in [*setup(recipe.slots), *_filled(day, recipe)]:
        reader.ask(statement)
    source = "given"
    if recipe.level == "days":  # first to slots: what must stay finer than a day must not stay finer than that
        reader.ask(f"CREATE TEMP TABLE by_slot AS {rolled(source, 'slots')}")
        source = "by_slot"
    order = ", ".join(f"{name} NULLS LAST" for name in ORDER)
    reader.ask(
        f"COPY (SELECT * FROM ({rolled(source, recipe.level)}) r ORDER BY {order}) TO {text(str(to))}"
        f" (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE {ROW_GROUP})"
    )


def show(reader: Reader, files: Sequence[Path]) -> None:
    """Make ``given``: all rows of these files, with ALL_COLUMNS.  Raises LedgerError."""
    listed = ", ".join(text(str(path)) for path in files)
    source = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"
    has = {row[0] for row in reader.ask(f"DESCRIBE SELECT * FROM {source}")}
    columns = ", ".join(f"CAST({name if name in has else 'NULL'} AS {kind}) AS {name}" for name, kind in ALL_COLUMNS.items())
    reader.ask(f"CREATE VIEW given AS SELECT {columns} FROM {source}")


def energy_by_writer(reader: Reader) -> dict[str, int]:
    """The sum of the energy facts of ``given``, in microjoules, by writer.  Raises LedgerError."""
    found = reader.ask("SELECT writer, SUM(energy_uj) FROM given WHERE fact = 'energy' AND writer IS NOT NULL GROUP BY writer")
    return {writer: int(energy_uj or 0) for writer, energy_uj in found}


def read_back(reader: Reader, made: Path, expected_uj: int) -> int:
    """The file as it was written: how many rows.  LedgerError where a key has not exactly what it had in ``given``."""
    source = reader.files([made.name])
    differing = 0
    allocated = "fact = 'allocation'", ("tenant", "CASE WHEN request IS NULL THEN 0 ELSE 1 END"), DIVIDED
    for facts, more, names in (("fact IN ('energy', 'work')", ("fact",), SUMS), allocated):
        keys, sums = ", ".join((*KEY_COLUMNS, *more)), ", ".join(f"SUM({name})" for name in names)
        by_key = f"SELECT {keys}, {sums} FROM {{}} WHERE {facts} GROUP BY {keys}"
        differing += reader.ask(f"SELECT COUNT(*) FROM ({by_key.format('given')} EXCEPT {by_key.format(source)}) d")[0][0]
    found_uj = reader.energy_uj(made.name)
    if differing or found_uj != expected_uj:
        raise LedgerError(f"{made.name}: {differing} keys differ, {found_uj} uJ, not {expected_uj}: a bug; nothing was changed")
    return int(reader.ask(f"SELECT COUNT(*) FROM {source}")[0][0])


def _filled(day: str, recipe: Recipe) -> list[str]:
    ids = [fact_id.rpartition(":") for fact_id in sorted(recipe.corrected)]
    rows = [f"({text(writer)}, {int(seq)})" for writer, _, seq in ids]
    statements = [f"INSERT INTO corrected VALUES {', '.join(rows)}"] if rows else []
    from_s, to_s = (midnight_s(day) + n * DAY_S for n in (PRICED_DAYS.start, PRICED_DAYS.stop))
    near = [p for p in recipe.prices if p.settled and p.start_s < to_s and p.start_s + p.length_s > from_s]
    values = [f"({text(p.zone)}, {p.start_s}, {p.start_s + p.length_s}, {p.ug_per_kwh}, {text(p.cause)})" for p in near]
    return statements + ([f"INSERT INTO prices VALUES {', '.join(values)}"] if values else [])


# --- other days -----------------------------------------------------------------------------------------------------------


def slots(root: str | Path, day: str) -> dict[str, int]:
    """zone → the grid's slot, as the intensities say that were learnt about then.  Raises LedgerError."""
    near = {day_of(midnight_s(day) + n * DAY_S) for n in NEAR_DAYS}
    files = _files(root, near.__contains__)
    if not files:
        return {}
    with Reader(root) as reader:
        return slot_lengths(reader.ask(f"SELECT DISTINCT zone, length_s FROM {reader.files(files)} WHERE fact = 'intensity'"))


def corrected(place: str | Path, root: str | Path, day: str, segments: Sequence[Segment]) -> set[str]:
    """Ids of these segments' facts that a correction names which is known here, sealed or open.  Raises LedgerError."""
    files = _files(root, lambda other: other >= day)
    ids: set[str] = set()
    if files:
        with Reader(root) as reader:
            ids = {row[0] for row in reader.ask(f"SELECT corrects FROM {reader.files(files)} WHERE corrects IS NOT NULL")}
    if not lake.is_url(place) and (lake.path_of(place) / OPEN).exists():
        store = Store.open(lake.path_of(place), readonly=True)
        try:
            ids |= {known.corrects for known in store.known() if known.corrects} | {one.corrects for one in store.withdrawals()}
        finally:
            store.close()
    ranges = {one.writer: (one.first_seq, one.last_seq) for one in segments}
    return {fact_id for fact_id in ids if _within(fact_id, ranges)}


def _within(fact_id: str, ranges: dict[str, tuple[int, int]]) -> bool:
    writer, _, seq = fact_id.rpartition(":")
    first, last = ranges.get(writer, (1, 0))
    return seq.isdigit() and first <= int(seq) <= last


def _files(root: str | Path, wanted: Callable[[str], bool]) -> list[str]:
    """The files that hold the facts of these recorded days: compacted ones, and the segments that are in none."""
    made = [one for one in standing(root) if wanted(one.day)]
    covered = {(one.day, source.writer) for one in made for source in one.sources.values()}
    files = [one.file for one in made]
    for name in lake.names(root):
        parts = name.split("/")
        if len(parts) == 3 and name.endswith(".parquet") and name.startswith("day="):
            day, writer = parts[0][4:], parts[2].removesuffix(".parquet")
            if wanted(day) and (day, writer) not in covered:
                files.append(name)
    return files
