"""Verification: every fact against its chain, every segment against its digests, and all of it against what follows and precedes.

A store's folder and a lake are verified alike.  What an attacker who holds the whole folder could do (write a shorter or another
chain, whole in itself) only anchors and signatures show.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import TimeoutError as TooLong
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.ledger import compaction, signing
from wattledger.ledger.chain import genesis
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import BadManifest, Manifest, excused, home, manifest_files, read, segments_of
from wattledger.ledger.segment_check import first_differing, first_problem
from wattledger.ledger.store import OPEN
from wattledger.ledger.store_check import Checked, check
from wattledger.ledger.verify_runs import executor
from wattledger.ledger.verify_sums import overdrawn


class Problem(NamedTuple):
    """``where``: a file; ``seq``: the fact's number, where it is known; ``good``: what still is."""

    where: str
    seq: int | None
    what: str
    good: str = ""

    def line(self) -> str:
        """As people read it."""
        at = f" fact {self.seq}:" if self.seq is not None else ""
        return f"{self.where}:{at} {self.what}" + (f" ({self.good})" if self.good else "")


class Report(NamedTuple):
    """What was checked.  ``facts``: all that hold, ``open_facts`` of them not sealed; ``heads``: writer → (seq, hash)."""

    folder: str
    facts: int
    open_facts: int
    segments: int
    rolled_up: int
    signed_by: dict[str, int]
    heads: dict[str, tuple[int, str]]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """JSON."""
        heads = {writer: {"seq": seq, "hash": digest} for writer, (seq, digest) in self.heads.items()}
        return {**self._asdict(), "heads": heads, "clean": self.clean, "problems": [p._asdict() for p in self.problems]}


def verify(folder: Path, *, key: str = "", processes: int = 1) -> Report:
    """Check all that is in a folder.  ``key``: the public key that signatures must be of; ``processes``: how many share the work.

    Raises LedgerError only where there is nothing to check.
    """
    segments, with_store = segments_of(folder), (folder / OPEN).exists()
    found = _Found(folder, segments)
    found.collect()
    if not with_store and not found.manifests and not found.problems:
        raise LedgerError(f"{folder}: no books are kept here")
    with executor(processes) as run:
        there = [manifest for manifest in found.manifests if manifest.path.exists()]
        asked = [(manifest, run(first_problem, manifest)) for manifest in there]
        opened = run(check, folder) if with_store else None
        found.segments_bad({manifest.path: wrong for manifest, answer in asked if (wrong := answer()) is not None})
        if opened is not None:
            found.open_part(opened)
    found.logs(key)
    found.sums()
    return found.report()


class _Found:
    """What has been found so far, problems in the order of the books.  State: all of its attributes."""

    def __init__(self, folder: Path, segments: Path) -> None:
        self.folder, self._segments = folder, segments
        self.manifests: list[Manifest] = []
        self.problems: list[Problem] = []
        self._notes: list[str] = []
        self._strays: list[Path] = []
        self._gone: set[Path] = set()
        self._rolled_up = 0  # of those that are gone: how many may be
        self._bad: set[Path] = set()
        self._open: Checked | None = None
        self._signed: dict[str, int] = {}

    def _add(self, where: Path, seq: int | None, what: str, good: str = "") -> None:
        self.problems.append(Problem(str(where), seq, what.removeprefix(f"{where}: "), good))

    def collect(self) -> None:
        """The manifests, and files without one."""
        written = list(manifest_files(self._segments))
        for path in written:
            try:
                manifest = read(path)
            except BadManifest as wrong:
                self._add(path, None, str(wrong), "its file may still be whole")
                continue
            if path != home(self._segments, manifest.segment) / f"{manifest.segment.writer}.json":
                self._add(path, None, "lies where another segment belongs", "the segment may still be whole")
            self.manifests.append(manifest)
        self.manifests.sort(key=lambda m: (m.segment.writer, m.index, m.segment.first_seq))
        said = {path.with_suffix(".parquet") for path in written}
        self._strays = [path for path in sorted(self._segments.glob("day=*/host=*/*.parquet")) if path not in said]
        try:
            sources = compaction.rolled_up(self.folder)
        except LedgerError as wrong:
            sources = set()
            self._add(self._segments, None, str(wrong))
        for line in compaction.verify_compacted(self.folder):
            self._add(self._segments, None, line)
        for manifest in self.manifests:
            if not manifest.path.exists():
                self._gone.add(manifest.path)
                if excused(manifest, sources):
                    self._rolled_up += 1
                else:
                    what = f"the file is gone: facts {_span(manifest)} of {manifest.segment.day}"
                    self._add(manifest.path, manifest.segment.first_seq, what, "bring it back from the lake")

    def segments_bad(self, bad: dict[Path, tuple[int | None, str]]) -> None:
        """Segments that do not hold, each read again for its first bad row where only its digest told."""
        self._bad = set(bad)
        good = sum(m.segment.count for m in self.manifests if m.path not in self._bad | self._gone)
        for manifest in self.manifests:
            if manifest.path not in bad:
                continue
            seq, what = bad[manifest.path]
            if seq is None and manifest.path.exists():
                seq, more = _look_for_the_row(manifest)
                what += more
            still = f"{good} facts in {len(self.manifests) - len(bad) - len(self._gone)} other segments hold"
            if seq is not None and seq > manifest.segment.first_seq:
                still += f", and so may {manifest.segment.first_seq} to {seq - 1} here"
            self._add(manifest.path, seq, f"{what}; it held facts {_span(manifest)}", still)

    def open_part(self, check_it: Callable[[], Any]) -> None:
        """The open part; whether it follows what is sealed is seen later."""
        where = self.folder / OPEN
        try:
            checked: Checked = check_it()
        except LedgerError as wrong:
            self._add(where, None, str(wrong), "what is sealed is not touched by this")
            return
        self._open = checked
        start = checked.start.seq
        if checked.no_fact is not None:
            self._add(where, *checked.no_fact, _good(start, checked.no_fact[0] - 1))
        if checked.wrong:
            self._add(where, checked.seq, checked.wrong, _good(start, checked.head.seq))
        elif checked.file:
            self._add(where, None, checked.file, _good(start, checked.head.seq))

    def logs(self, key: str) -> None:
        """Each writer's segments follow one another, and the open part follows the last."""
        for writer, mine in groupby(self.manifests, key=lambda m: m.segment.writer):
            self._log(writer, list(mine))
        self._join()
        for path in self._strays:
            self._stray(path)
        unsigned = 0
        for manifest in self.manifests:
            unsigned += not manifest.signature
            if manifest.signature:
                self._signature(manifest, key)
        if key and unsigned:
            self._notes.append(f"{unsigned} of {len(self.manifests)} segments are not signed")

    def sums(self) -> None:
        """Allocations keep within what they divide; of books of which something else is wrong, that says nothing."""
        try:
            opened = self._open is not None and self._open.allocates
            for line in overdrawn(self.folder, in_open_part=opened) if not self.problems else ():
                self._add(self.folder, None, line, "each fact holds in itself")
        except LedgerError as wrong:
            self._notes.append(f"allocations were not held against energy: {wrong}")

    def _log(self, writer: str, mine: Sequence[Manifest]) -> None:
        index, seq, head, day, last_s = 0, 1, genesis(writer).hex(), "", 0
        for manifest in mine:
            segment = manifest.segment
            if manifest.index != index or segment.first_seq != seq:
                missing = f"segment {index} of the log, from fact {seq}, is missing before this one"
                what = missing if segment.first_seq >= seq else "holds facts that the segment before it holds"
                self._add(manifest.written, seq, what, "the segments behind it hold in themselves")
            elif segment.head_before != head:
                self._add(manifest.written, seq, "does not follow from the segment before it (chain)")
            elif segment.day <= day or segment.recorded_from_s < last_s:
                self._add(manifest.written, seq, "is of an earlier day than the segment before it")
            index, seq, head = manifest.index + 1, segment.last_seq + 1, segment.head
            day, last_s = segment.day, segment.recorded_to_s

    def _join(self) -> None:
        if self._open is None:
            return
        start, where = self._open.start, self.folder / OPEN
        mine = [m.segment for m in self.manifests if m.segment.writer == self._open.writer]
        others = sorted({m.segment.writer for m in self.manifests} - {self._open.writer})
        if others and segments_of(self.folder) != self.folder:
            self._add(where, None, f"the segments are of another writer: {', '.join(others)}")
        if mine and mine[-1].first_seq == start.seq + 1:
            self._notes.append(f"{mine[-1].day} is sealed and still in the open part: a seal was stopped, the next one ends it")
            mine = mine[:-1]
        end = (mine[-1].last_seq, mine[-1].head, mine[-1].recorded_to_s) if mine else (0, genesis(self._open.writer).hex(), 0)
        if end != (start.seq, start.hash.hex(), start.recorded_s):
            what = f"begins behind fact {start.seq}, and the segments end with fact {end[0]}"
            same = "begins behind the right fact with another hash or time than the last segment's end"
            self._add(where, None, what if end[0] != start.seq else same, "both hold in themselves")

    def _stray(self, path: Path) -> None:
        sealed = [m.segment.day for m in self.manifests if self._open is not None and m.segment.writer == self._open.writer]
        day = path.parent.parent.name.removeprefix("day=")
        if self._open is not None and path.stem == self._open.writer and day > max(sealed, default=""):
            self._notes.append(f"{path}: a seal was stopped here; the next one ends it")
        elif not any(problem.where == str(path.with_suffix(".json")) for problem in self.problems):
            self._add(path, None, "a file without a manifest: nothing says what it should hold")

    def _signature(self, manifest: Manifest, key: str) -> None:
        try:
            holds = signing.verify(manifest.key, manifest.segment.leaf(), manifest.signature)
        except LedgerError as wrong:
            if str(wrong) not in self._notes:
                self._notes.append(f"signatures were not checked: {wrong}")
            return
        if not holds:
            self._add(manifest.written, None, "its signature does not hold", "the segment holds in itself")
        elif key and manifest.key != key:
            self._add(manifest.written, None, f"is signed by another key: {manifest.key}")
        else:
            self._signed[manifest.key] = self._signed.get(manifest.key, 0) + 1

    def report(self) -> Report:
        """All of it."""
        held = [m for m in self.manifests if m.path not in self._bad | self._gone]
        heads = {m.segment.writer: (m.segment.last_seq, m.segment.head) for m in self.manifests}
        facts, opened = sum(m.segment.count for m in held), 0
        if self._open is not None:
            opened = self._open.head.seq - max(self._open.start.seq, heads.get(self._open.writer, (0, ""))[0])
            opened = max(0, opened)
            heads[self._open.writer] = (self._open.head.seq, self._open.head.hash.hex())
        return Report(str(self.folder), facts + opened, opened, len(held), self._rolled_up, self._signed, heads,
                      tuple(self.problems), tuple(self._notes))  # fmt: skip


def _span(manifest: Manifest) -> str:
    return f"{manifest.segment.first_seq} to {manifest.segment.last_seq}"


def _good(before: int, last: int) -> str:
    return f"facts {before + 1} to {last} here hold" if last > before else "none here holds"


def _look_for_the_row(manifest: Manifest) -> tuple[int | None, str]:
    """The first bad row of a damaged file.  In a process of its own: an engine may crash over a file that lies."""
    with executor(2) as run:
        try:
            seq, what = run(first_differing, manifest)() or (None, "yet all its facts read as they were sealed")
        except (BrokenProcessPool, TooLong, OSError):
            return None, "; it cannot be read at all"
    return seq, f"; {what.removeprefix(f'{manifest.path}: ')}"


def text(reports: Iterable[Report]) -> str:
    """Reports as JSON."""
    return json.dumps([report.to_dict() for report in reports], ensure_ascii=False)
