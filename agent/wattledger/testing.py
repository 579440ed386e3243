"""Fakes for tests of your own: a clock you turn by hand, a source that plays what you wrote, and recorded captures.

    clock = FakeClock()
    gpu = Device("GPU-0", "gpu", "my card")
    source = ScriptedSource("mine", [[EnergyCounter(gpu, clock(), 0, None)], [EnergyCounter(gpu, clock(), 5_000_000, None)]])
    sampler = Sampler([Runner(source, clock)], Pipeline(), interval_ns=10**9, now=clock)
    sampler.tick(); clock.advance_s(1); sampler.tick()          # 5 J in one second

    [footprint] = replay("bug-report.cap")                       # what `wattledger run --record` wrote
"""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Footprint, Identity
from wattledger.core.model import Device, Instant, Sample
from wattledger.core.pipeline import Pipeline
from wattledger.core.ports import Now
from wattledger.runtime.capture import Capture, CaptureError, load
from wattledger.runtime.wrapped import footprint_of

__all__ = ["Capture", "CaptureError", "FakeClock", "Replay", "ScriptedSource", "load_capture", "replay", "replay_all"]

SECOND_NS = 1_000_000_000


class FakeClock:
    """A callable that gives instants and stands still until it is told to move; hand it in wherever ``now`` is wanted.

    ``wall_ns`` is UTC in nanoseconds since 1970, by default 2026-01-01T00:00:00Z; ``mono_ns`` starts at one second.
    """

    def __init__(self, *, mono_ns: int = SECOND_NS, wall_ns: int = 1_767_225_600 * SECOND_NS) -> None:
        self._at = Instant(mono_ns, wall_ns)

    def __call__(self) -> Instant:
        return self._at

    def advance_s(self, duration_s: float) -> Instant:
        """Move both clocks on, and return the new instant.  Time does not run backwards: a negative step is a ValueError."""
        step_ns = round(duration_s * SECOND_NS)
        if step_ns < 0:
            raise ValueError(f"advance_s({duration_s!r}): a clock goes forward; step_wall_s moves the wall clock alone")
        self._at = Instant(self._at.mono_ns + step_ns, self._at.wall_ns + step_ns)
        return self._at

    def step_wall_s(self, step_s: float) -> Instant:
        """Set the wall clock on or back, as an operator or NTP does; durations do not see it."""
        self._at = self._at._replace(wall_ns=self._at.wall_ns + round(step_s * SECOND_NS))
        return self._at


class ScriptedSource:
    """A ``Source`` that plays a list: each read gives the next element, and after the last one nothing.

    An element is the samples of one read, or an exception to raise (``SourceFailed``, ``SourceGone``).  Samples are stamped with
    the time of the read, as a real source does; ``restamp=False`` plays them as they are.  ``edge``: read at span boundaries too.
    ``reads`` counts the reads so far.
    """

    def __init__(
        self,
        name: str,
        readings: Iterable[Sequence[Sample] | Exception],
        *,
        edge: bool = True,
        period_ns: int | None = None,
        restamp: bool = True,
    ) -> None:
        self.name, self.edge, self.period_ns = name, edge, period_ns
        self.reads = 0
        self.closed = False
        self._script = list(readings)
        self._restamp = restamp

    def devices(self) -> Sequence[Device]:
        """Every device that the script mentions, in order."""
        samples = (sample for element in self._script if not isinstance(element, Exception) for sample in element)
        return list(dict.fromkeys(device for sample in samples if isinstance(device := getattr(sample, "device", None), Device)))

    def read(self, now: Now, full: bool) -> list[Sample]:
        """The next element of the list."""
        self.reads += 1
        if self.reads > len(self._script):
            return []
        element = self._script[self.reads - 1]
        if isinstance(element, Exception):
            raise element
        return [_stamped(sample, now()) if self._restamp else sample for sample in element]

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def _stamped(sample: Sample, at: Instant) -> Sample:
    return sample._replace(at=at) if "at" in sample._fields else sample  # type: ignore[call-arg]


class Replay(NamedTuple):
    """A capture put through the pipeline: the footprint of each span in the order they began, and the pipeline as it stood then."""

    footprints: tuple[Footprint, ...]
    pipeline: Pipeline


def load_capture(path: str | os.PathLike[str]) -> Capture:
    """Read a capture (``wattledger run --record``).  Raises CaptureError with one line: what, where."""
    try:
        return load(Path(path))
    except zlib.error as failure:
        raise CaptureError(f"{os.fspath(path)}: damaged ({failure})") from failure


def replay(capture: str | os.PathLike[str] | Capture) -> list[Footprint]:
    """The footprint of each span in a capture, as the run itself printed it.  Raises CaptureError for what is not a capture."""
    return list(replay_all(capture).footprints)


def replay_all(capture: str | os.PathLike[str] | Capture) -> Replay:
    """The same, with the pipeline: ``replay_all(c).pipeline.totals`` are the totals of the whole machine."""
    where = "the capture" if isinstance(capture, Capture) else os.fspath(capture)
    loaded = capture if isinstance(capture, Capture) else load_capture(capture)
    pipeline = Pipeline()
    ended: list[tuple[SpanAccount, tuple[str, ...]]] = []
    try:
        who = _identity(loaded)
        for batch in loaded.batches:
            ended += [(account, ()) for account in pipeline.step(batch).settled]
        if loaded.batches and not loaded.batches[-1].full:
            # Recorded up to the middle of a cell: shown as a live footprint would have been.
            pipeline = pipeline.peek(loaded.batches[-1].at)
        if loaded.batches:
            ended += _unsettled(pipeline, loaded.batches[-1].at)
        notes = tuple(dict.fromkeys(_notes(loaded, pipeline)))
        ended.sort(key=lambda pair: (pair[0].entered.mono_ns, pair[0].span))
        single = len(ended) == 1
        found = [
            footprint_of(who if single else _of_span(who, account), account, pipeline, (*own, *notes)) for account, own in ended
        ]
    except (TypeError, ValueError, KeyError, AttributeError, AssertionError) as wrong:
        # Nothing that a session recorded does this: the file holds what no source says.
        raise CaptureError(f"{where}: cannot be replayed, its samples make no sense ({type(wrong).__name__}: {wrong})") from wrong
    return Replay(tuple(found), pipeline)


def _identity(capture: Capture) -> Identity:
    given = capture.header.get("identity")
    return Identity(**given) if given is not None else Identity("", None, "replay", None, {}, "", "process")


def _of_span(who: Identity, account: SpanAccount) -> Identity:
    """A capture of several spans: each is named by its own workload, and by its number within the run."""
    parent = f"{who.run_id}.{account.parent}" if account.parent is not None else who.run_id
    job, model, labels = account.workload
    return who._replace(run_id=f"{who.run_id}.{account.span}", parent_run_id=parent, job=job, model=model, labels=dict(labels))


def _unsettled(pipeline: Pipeline, last: Instant) -> Iterator[tuple[SpanAccount, tuple[str, ...]]]:
    """Spans that had not ended, or whose cell was not closed, when the capture did."""
    for account in pipeline.spans.open_accounts():
        if account.left is None:
            account.left = last
            yield account, ("the capture ends before this span does: the figures are up to there",)
        else:
            yield account, ("provisional: the capture ends before its last reading",)


def _notes(capture: Capture, pipeline: Pipeline) -> Iterator[str]:
    """What the run said beside its figures, in its order: the sensors' notes, what went wrong with them, the prices' notes."""
    yield from (str(note) for note in capture.header.get("sensor_notes", ()))
    for fault in pipeline.faults.values():
        yield f"{fault.source}{' ' + fault.device_id if fault.device_id else ''}: {fault.what}"
    for device in pipeline.still:
        yield f"{device}: its counter stands still, so its energy is unknown"
    yield from (str(note) for note in capture.header.get("notes", ()))
