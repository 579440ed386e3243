"""Sealing: closed days leave the open store and become Parquet segments with manifests.

A day's rows are let go in the store last of all, when file and manifest are on the disk and were read back: stopped at any instant,
the next seal finds every fact, and does again what was not finished.  Only one seal works on a folder at a time.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from wattledger.ledger import signing
from wattledger.ledger.columns import DAY_S
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.growing import Growing, by_day, parse, rows_of
from wattledger.ledger.manifest import SEGMENTS, Manifest, Segment, home, manifests, read, segments_of
from wattledger.ledger.parquet import Sealed, Stage
from wattledger.ledger.segment_check import first_problem
from wattledger.ledger.store import Head, Row, Store

WORK = ".sealing"  # below the segments: what is not finished
BLOCK_BYTES = 1 << 20


class Cut(NamedTuple):
    """A recorded day of the open part, as the segment that it is or will be; the newest may still grow."""

    segment: Segment
    store: Store

    def rows(self) -> Iterator[Row]:
        """Its rows, read anew."""
        return self.store.rows(self.segment.first_seq - 1, self.segment.last_seq)


def cut(store: Store) -> Iterator[Cut]:
    """The open part by recorded day, oldest first.  Raises LedgerError at a row that does not fit its chain."""
    before, host = store.start(), _last_host(store)
    with closing(by_day(store, before.seq)) as days:
        for _, rows in days:
            growing = Growing(store, before, host)
            growing.take(rows, None)
            segment = growing.segment()
            before, host = growing.end(), segment.host
            yield Cut(segment, store)


def bodies(folder: Path, segment: Segment) -> Iterator[str]:
    """The bodies of a day, in order, from wherever they are now.  Raises LedgerError where they are nowhere."""
    if (folder / "open.db").exists():
        store = Store.open(folder, readonly=True)
        try:
            if store.writer == segment.writer and store.start().seq < segment.first_seq:
                with closing(rows_of(store, segment.first_seq - 1, segment.last_seq)) as rows:
                    for row in rows:
                        yield row.body
                return
        finally:
            store.close()
    sealed = Sealed(home(segments_of(folder), segment) / f"{segment.writer}.parquet")
    try:
        for batch in sealed.batches():
            yield from (body.decode() for body in batch)
    finally:
        sealed.close()


def stage(store: Store, work: Path) -> dict[int, Path]:
    """The open part as segments' files in a folder, by the number of each day's first fact: what is read beside what is sealed."""
    made = {}
    before = store.start()
    with closing(by_day(store, before.seq)) as days:
        for day, rows in days:
            growing, lines = Growing(store, before, ""), Stage(store.writer, work / f"{store.writer}-{day}.tsv")
            try:
                growing.take(rows, lines)
                made[before.seq + 1] = work / f"{store.writer}-{day}.parquet"
                lines.write(made[before.seq + 1])
            finally:
                lines.close()
            before = growing.end()
    return made


def seal(folder: Path, now_s: int, *, sign_key_file: str = "") -> list[Manifest]:
    """Seal the days that have ended (UTC), oldest first; what was sealed.  Raises LedgerError: what was sealed till then stays so.

    With a key, each segment's leaf is signed.
    """
    if not (folder / "open.db").exists():
        raise LedgerError(f"{folder}: no books are kept here")
    try:
        with _alone(folder):
            store = Store.open(folder)
            try:
                return list(_seal_days(store, now_s // DAY_S, sign_key_file))
            finally:
                store.close()
                shutil.rmtree(folder / SEGMENTS / WORK, ignore_errors=True)
    except OSError as wrong:
        raise LedgerError(f"{folder}: not sealed: {wrong.strerror or wrong}; the facts are where they were") from None


def _seal_days(store: Store, today: int, sign_key_file: str) -> Iterator[Manifest]:
    segments = store.folder / SEGMENTS
    (segments / WORK).mkdir(parents=True, exist_ok=True)
    refused = 0
    while True:
        before = _before(store, segments)
        with closing(rows_of(store, before.start.seq)) as rows:
            first = next(rows, None)
        if first is None or parse(first)[0] >= today:
            return
        made = _seal_day(store, before, sign_key_file)
        try:
            store.forget(made.segment.last_seq)
        except LedgerError:
            # A process that took its clock before midnight wrote after we had read: the day is longer now, and is sealed again.
            refused += 1
            if refused > 3 or store.head().seq == made.segment.last_seq:
                raise
            continue
        yield made


class _Before(NamedTuple):
    """Where the chain stood before the day to seal, and the last segment that is sealed for good."""

    start: Head
    place: int
    host: str


def _before(store: Store, segments: Path) -> _Before:
    start = store.start()
    mine = [m for m in manifests(store.folder) if m.segment.writer == store.writer and m.segment.last_seq <= start.seq]
    if not start.seq and not mine:
        return _Before(start, 0, "")
    last = mine[-1] if mine else None
    if last is None or last.segment.last_seq != start.seq or last.segment.head != start.hash.hex():
        raise LedgerError(
            f"{segments}: the facts up to {store.writer}:{start.seq} were sealed, and their manifest is not here:"
            " bring it back from the lake"
        )
    return _Before(start, last.index + 1, last.segment.host)


def _seal_day(store: Store, before: _Before, sign_key_file: str) -> Manifest:
    segments = store.folder / SEGMENTS
    work = segments / WORK
    lines = Stage(store.writer, work / f"{store.writer}.tsv")
    try:
        growing = Growing(store, before.start, before.host)
        with closing(by_day(store, before.start.seq)) as days:
            growing.take(next(days)[1], lines)
        segment = growing.segment()
        made = work / f"{store.writer}.parquet"
        if (done := _done(home(segments, segment) / f"{store.writer}.json", segment, before.place)) is not None:
            _keep_names(done.folder)  # the process that was stopped may not have come so far
            return done
        lines.write(made)
    finally:
        lines.close()
    manifest = Manifest(segment, made.name, digest_of(made), made.stat().st_size, before.place, folder=work)
    if sign_key_file:
        manifest = manifest._replace(key=signing.public_key(sign_key_file), signature=signing.sign(sign_key_file, segment.leaf()))
    wrong = first_problem(manifest)
    if wrong is not None:
        raise LedgerError(f"{made}: what was written does not read back as it is in the store ({wrong[1]}); nothing was sealed")
    return _put(manifest, home(segments, segment))


def _done(path: Path, segment: Segment, index: int) -> Manifest | None:
    """The manifest of a seal that was stopped right before its end, if it is this segment's and its file is whole."""
    if not path.exists():
        return None
    found = read(path)
    if found.segment == segment and found.index == index and found.path.exists() and digest_of(found.path) == found.sha256:
        return found
    if (found.segment.first_seq, found.segment.head_before) == (segment.first_seq, segment.head_before):
        return None  # the day has grown since, or the file is gone: it was never let go in the store, so it can be made again
    raise LedgerError(f"{path}: another segment of this day and writer is here already; nothing was overwritten: verify the books")


def _put(manifest: Manifest, place: Path) -> Manifest:
    """Both files to their place, each whole, the manifest last, and all of it on the disk."""
    made = manifest.path
    text = manifest.folder / f"{manifest.segment.writer}.json"
    text.write_text(manifest.text(), encoding="utf-8")
    place.mkdir(parents=True, exist_ok=True)
    for file, name in ((made, manifest.file), (text, text.name)):
        sync(file)
        os.replace(file, place / name)
        sync(place)
    _keep_names(place)
    return manifest._replace(folder=place)


def _keep_names(place: Path) -> None:
    """The names of a segment's files, and of the folders that it lies in, to the disk."""
    for folder in (place, *list(place.parents)[:3]):
        sync(folder)


def _last_host(store: Store) -> str:
    mine = [m for m in manifests(store.folder) if m.segment.writer == store.writer and m.segment.last_seq <= store.start().seq]
    return mine[-1].segment.host if mine else ""


def digest_of(path: Path) -> str:
    """A file's SHA-256 in hex."""
    digest = sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """A file's bytes, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One seal at a time in a folder; another waits.  The kernel lets go of the lock when its process ends, however it ends."""
    with open(folder / "seal.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
