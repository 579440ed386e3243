"""Compaction: a day's segments, of however many hosts → one file, rolled up as far as it may be.

Nothing is deleted before the new file has been read back and holds the same joules, key by key.  Stopped at any instant, it leaves
the old files or the new one, and goes on when it is called again; done twice, it does nothing.  The sources' manifests stay, so
that the log stays provable.
"""

import fcntl
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from wattledger.ledger import compact_rows as rows
from wattledger.ledger import lake
from wattledger.ledger.compaction import Compaction, Reader, Source, compactions, parse, root_of, standing
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import COMPACT, Manifest
from wattledger.ledger.rollup import LEVELS, Keep, Level, Rated, due_s

MEMORY_MB = 1200
KEEP = Keep()


class Plan(NamedTuple):
    """How to compact: to which level, at which settled ``prices`` (days only; hours without one stay slots), within what memory.

    ``drop``: delete the sources' files (never their manifests) once the new one has been verified.
    """

    level: Level
    prices: Sequence[Rated] = ()
    drop: bool = False
    memory_mb: int = MEMORY_MB


class _Day(NamedTuple):
    """What there is of a day: its segments, those whose files are here, and the compacted file that stands."""

    root: str | Path
    day: str
    segments: Sequence[Manifest]
    here: Sequence[Manifest]
    stands: Compaction | None

    @property
    def whole(self) -> bool:
        """Whether all segments' files are still here."""
        return len(self.here) == len(self.segments)


def days(place: str | Path) -> list[str]:
    """The recorded days that a place has segments or compacted files of.  Raises LedgerError."""
    return sorted(set(re.findall(r"(?:^|\n)(?:compact/)?day=([^/\n]+)/", "\n".join(lake.names(root_of(place))))))


def compact(
    place: str | Path, day: str, plan: Plan, *, now_s: int, keep: Keep = KEEP, say: Callable[[str], None] = lambda _: None
) -> Compaction | None:
    """The compacted file that stands for the day, made now if need be; ``None`` where the day has no segments.

    ``place``: a store's folder, or a lake (folder or URL).  Raises LedgerError: too early, something damaged, no room; nothing was
    lost then.
    """
    if due_s(day, plan.level, keep) > now_s:
        raise LedgerError(f"{day}: too early to compact to {plan.level}: {_when(day, plan.level, keep)}")
    root = root_of(place)
    with _alone(root) as work:
        found = _look(root, day)
        if not found.segments and found.stands is None:
            return None
        _finish(found)
        corrected: Collection[str] = ()
        if plan.level != "minutes" or (found.stands is not None and found.stands.level != "minutes"):
            corrected = rows.corrected(place, root, day, [one.segment for one in found.segments])
        made = _up_to_date(found, plan.level, corrected, say)
        if made is None:
            made = _make(found, plan, corrected, work)
            say(f"{made.file}: {made.rows} rows of {len(made.sources)} segments, {made.bytes} bytes")
        if plan.drop:
            _drop(found, made, say)
        return made


def undo(place: str | Path, day: str) -> bool:
    """Take away a day's compacted files, so that its segments are read again; whether there were any.

    LedgerError where a segment's file is gone: then they are all that there is.
    """
    root = root_of(place)
    with _alone(root):
        found = _look(root, day)
        made = compactions(place, f"day={day}")
        if made and not found.whole:
            raise LedgerError(f"{lake.shown(root)}: {day} is rolled up, its segments dropped: its facts can be corrected no more")
        for one in made:
            lake.remove(root, one.written)
            lake.remove(root, one.file)
        return bool(made)


def _when(day: str, level: Level, keep: Keep) -> str:
    at_s = due_s(day, level, keep)
    if at_s == math.inf:
        return "slots are kept for ever ([ledger] keep_slots_days = 0)"
    why = {"minutes": "the day must have ended", "slots": "[ledger] keep_minutes_days", "days": "[ledger] keep_slots_days"}
    return f"from {datetime.fromtimestamp(math.ceil(at_s), UTC).strftime('%Y-%m-%dT%H:%MZ')} on ({why[level]})"


@contextmanager
def _alone(root: str | Path) -> Iterator[Path]:
    """A folder to work in; in a folder's own ``compact``, one compaction at a time.  An object store's is worked on elsewhere."""
    if lake.is_url(root):
        with tempfile.TemporaryDirectory(prefix="wattledger-compact-") as work:
            yield Path(work)
        return
    folder = lake.path_of(root) / COMPACT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w", encoding="utf-8")  # noqa: SIM115  (held open as long as the lock)
    except OSError as wrong:
        raise LedgerError(f"{folder}: {wrong.strerror}: compaction must write there") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LedgerError(f"{folder}: being compacted by another process: wait for it") from None
        desk = folder / ".work"
        shutil.rmtree(desk, ignore_errors=True)  # of one that was killed
        desk.mkdir()
        try:
            yield desk
        finally:
            shutil.rmtree(desk, ignore_errors=True)


def _look(root: str | Path, day: str) -> _Day:
    names = set(lake.names(root, f"day={day}"))
    segments = lake.fetch_manifests(root, f"day={day}")
    here = [one for one in segments if _name(one) in names]
    stands = next(iter(standing(root, f"day={day}")), None)
    known = {} if stands is None else stands.sources
    lost = [one for one in segments if _name(one) not in names and one.segment.digest() not in known]
    if lost:
        raise LedgerError(f"{lake.shown(root)}/{_name(lost[0])}: gone, and not compacted: `wattledger ledger verify` says more")
    return _Day(root, day, segments, here, stands)


def _name(one: Manifest) -> str:
    return f"{one.folder.as_posix()}/{one.file}"


def _up_to_date(found: _Day, level: Level, corrected: Collection[str], say: Callable[[str], None]) -> Compaction | None:
    """What stands, where it is all that is asked for."""
    stands = found.stands
    if stands is None or any(one.segment.digest() not in stands.sources for one in found.segments):
        return None
    late = set(corrected) - set(stands.corrected) if stands.level != "minutes" else set()
    if late and found.whole:
        return None
    if late:
        say(f"{found.day}: {min(late)} was corrected after it had been rolled up and dropped: the correction cannot be applied")
    return stands if LEVELS.index(stands.level) >= LEVELS.index(level) else None


# --- making -------------------------------------------------------------------------------------------------------------


def _make(found: _Day, plan: Plan, corrected: Collection[str], work: Path) -> Compaction:
    """Roll up, read back, and only then let the new file stand."""
    stands = found.stands
    level = plan.level if stands is None else max(plan.level, stands.level, key=LEVELS.index)
    # From the segments where they are all here; else from what stands, and what came since.
    base = None if found.whole else stands
    fresh = [one for one in found.here if base is None or one.segment.digest() not in base.sources]
    local = [_checked(found.root, _name(one), one.sha256, work / f"{n}.parquet") for n, one in enumerate(fresh)]
    sources = {one.segment.digest(): _source(one) for one in fresh}
    slots = rows.slots(found.root, found.day) if level != "minutes" else {}
    if base is not None:
        local.append(_checked(found.root, base.file, base.sha256, work / "base.parquet"))
        sources, slots, corrected = {**base.sources, **sources}, {**slots, **base.slots}, {*corrected, *base.corrected}
    made = work / f"{level}.parquet"
    with Reader(work, memory_mb=plan.memory_mb, spill=work / "spill") as reader:
        rows.show(reader, local)
        if base is None:
            _check_sources(found, rows.energy_by_writer(reader))
        rows.write(reader, found.day, rows.Recipe(level, slots, corrected, plan.prices), made)
        energy_uj = sum(source.energy_uj for source in sources.values())
        count = rows.read_back(reader, made, energy_uj)
    size, noted = made.stat().st_size, tuple(sorted(corrected))
    done = Compaction(found.day, level, sources, count, energy_uj, lake.sha256(work, made.name), size, noted, slots)
    _place(found.root, done, made)
    return done


def _check_sources(found: _Day, sums: dict[str, int]) -> None:
    """Each source holds the joules that its manifest says.  (What was compacted before names no writers; its total is checked.)"""
    for one in found.here:
        if sums.get(one.segment.writer, 0) != one.segment.energy_uj:
            raise LedgerError(f"{lake.shown(found.root)}/{_name(one)}: not the energy that its manifest says: run `ledger verify`")


def _source(one: Manifest) -> Source:
    return Source(one.segment.writer, one.segment.host, one.segment.energy_uj, one.sha256)


def _checked(root: str | Path, name: str, digest: str, copy: Path) -> Path:
    """The file's place here; of an object store, of its copy.  LedgerError where it is not what its manifest says."""
    if lake.is_url(root):
        path, found = copy, lake.fetch(root, name, copy)
    else:
        path, found = Path(lake.address(root, name)), lake.sha256(root, name)
    if found != digest:
        raise LedgerError(f"{lake.shown(root)}/{name}: changed since it was written: `wattledger ledger verify` says where")
    return path


def _place(root: str | Path, done: Compaction, made: Path) -> None:
    """First the file and then its manifest; where it takes another's place, ``.next`` says what is to come (``compactions``)."""
    following = done.written.removesuffix(".json") + ".next"
    if lake.size(root, done.written) is not None:
        lake.put(root, following, done.text().encode())
    lake.put(root, done.file, made)
    lake.put(root, done.written, done.text().encode())
    lake.remove(root, following)


def _finish(found: _Day) -> None:
    """End a replacement that was stopped half way: what stands gets its own manifest, and ``.next`` goes."""
    folder = f"{COMPACT}/day={found.day}"
    for name in [name for name in lake.names(found.root, folder) if name.endswith(".next")]:
        stands = found.stands
        if stands is not None and name == stands.written.removesuffix(".json") + ".next":
            lake.put(found.root, stands.written, stands.text().encode())
        lake.remove(found.root, name)


def _drop(found: _Day, made: Compaction, say: Callable[[str], None]) -> None:
    """Delete what the compacted file holds, once it has been read as it lies there."""
    written = parse(lake.get(found.root, made.written), made.written)
    if written != made or lake.sha256(found.root, made.file) != made.sha256:
        raise LedgerError(f"{lake.shown(found.root)}/{made.file}: is not what was written; nothing was dropped")
    gone = [one for one in found.here if one.segment.digest() in made.sources]
    for other in compactions(found.root, f"day={made.day}"):
        if other.level != made.level and set(other.sources) <= set(made.sources):
            lake.remove(found.root, other.written)  # first what makes it stand
            lake.remove(found.root, other.file)
    for one in gone:
        lake.remove(found.root, _name(one))
    if gone:
        say(f"{made.day}: {len(gone)} segments' files dropped, their manifests kept")
