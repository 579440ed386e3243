"""A capture: gzip JSON lines of exactly the batches a pipeline stepped, so that a bug report and a fixture are the same file.

Line 1: ``{"schema": "wattledger.capture/1", ...}`` with the identity of the run and the notes.  Then one line a batch: ``{"at":
[mono, wall], "full": bool, "s": [[type, ...fields]]}``; a device is written out where it first appears (``["Device", ...]``) and
by its id after that.
"""

import contextlib
import errno
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from wattledger.core.model import Batch, Device, Instant, Sample, Workload

SCHEMA = "wattledger.capture/1"
TYPES: dict[str, Any] = {kind.__name__: kind for kind in get_args(Sample)}
MOST_BYTES = 1 << 30  # unpacked; an hour of a busy node is a twentieth of it
LONGEST_LINE = 64 << 20
SHOWN = 200  # characters of what is wrong
T = TypeVar("T", bound=NamedTuple)
INSTANTS = ("at", "learnt_at", "scheduled", "first_token", "end")


class CaptureError(ValueError):
    """The file is not a capture we can read; one line: what, where."""


class Capture(NamedTuple):
    """A capture in memory: its header and its batches in order."""

    header: Mapping[str, Any]
    batches: list[Batch]


class Recorder:
    """Writes batches as they are stepped; the file takes its name only when it is whole."""

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._known: dict[str, Device] = {}
        self._file = gzip.open(self._part, "wt", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def begin(self, header: Mapping[str, Any]) -> None:
        """The first line: whose capture this is."""
        self._write({"schema": SCHEMA, **header})

    def add(self, batches: Iterable[Batch]) -> None:
        """Append; raises OSError when the disk is full."""
        for batch in batches:
            samples = [row for sample in batch.samples for row in self._rows(sample)]
            self._write({"at": batch.at, "full": batch.full, "s": samples})

    def _rows(self, sample: Sample) -> Iterator[list[Any]]:
        fields = list(sample)
        for i, field in enumerate(fields):
            if isinstance(field, Device):
                if self._known.get(field.id) != field:  # new, or changed: an operator may move a card's limit
                    self._known[field.id] = field
                    yield ["Device", *field]
                fields[i] = field.id
        yield [type(sample).__name__, *fields]

    def _write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row, separators=(",", ":")) + "\n")

    def close(self) -> None:
        """Finish: only now does the capture bear its name."""
        self._file.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Give up: leave nothing half written."""
        with contextlib.suppress(OSError):  # the disk that could not take the rows cannot take the trailer either
            self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()


def load(path: Path) -> Capture:
    """Read a capture.  Raises CaptureError with one line for anything that is not one."""
    try:
        with gzip.open(path, "rb") as file:
            lines = _lines(path, file)
            first = next(lines, None)
            if first is None:
                raise CaptureError(f"{path} is empty")
            header = json.loads(first)
            if header.get("schema") != SCHEMA:
                raise CaptureError(f"{path}: not a {SCHEMA} file (its first line says {repr(header.get('schema'))[:SHOWN]})")
            devices: dict[str, Device] = {}
            return Capture(header, [_batch(json.loads(line), devices) for line in lines])
    except FileNotFoundError:
        raise CaptureError(f"no capture at {path}") from None
    except gzip.BadGzipFile:
        raise CaptureError(f"{path} is not a wattledger capture (`wattledger run --record FILE` makes one)") from None
    except (OSError, EOFError, zlib.error) as failure:
        raise CaptureError(f"cannot read the capture {path}: {str(failure)[:SHOWN]}") from failure
    except CaptureError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as failure:
        raise CaptureError(f"{path}: damaged or not a capture ({ascii(str(failure))[1:-1][:SHOWN]})") from failure


def _lines(path: Path, file: gzip.GzipFile) -> Iterator[bytes]:
    """A file of a few kilobytes may unpack to gigabytes: bounded line by line, and in all."""
    left = MOST_BYTES
    while line := file.readline(LONGEST_LINE):
        left -= len(line)
        if len(line) == LONGEST_LINE or left < 0:
            raise CaptureError(f"{path}: not read: over {MOST_BYTES >> 20} MiB unpacked, or a line of {LONGEST_LINE >> 20} MiB")
        yield line


def _batch(row: Mapping[str, Any], devices: dict[str, Device]) -> Batch:
    samples = []
    for name, *fields in row["s"]:
        if name == "Device":
            devices[fields[0]] = _checked(Device(*fields))
        else:
            samples.append(_sample(name, fields, devices))
    return _checked(Batch(_checked(Instant(*row["at"])), row["full"], tuple(samples)))


def _sample(name: str, fields: list[Any], devices: Mapping[str, Device]) -> Sample:
    kind = TYPES[name]
    # A capture made before a field with a default was added has fewer.
    named = dict(zip(kind._fields, fields, strict=False))
    if len(fields) > len(kind._fields):
        raise ValueError(f"{name} with {len(fields)} fields")
    for field, value in named.items():
        if field == "device":
            named[field] = devices[value]
        elif field in INSTANTS and value is not None:
            named[field] = _checked(Instant(*value))
        elif field in ("workload", "within") and value is not None:
            named[field] = _checked(Workload(value[0], value[1], tuple((str(k), str(v)) for k, v in value[2])))
    sample: Sample = _checked(kind(**named))
    return sample


def _checked(found: T) -> T:
    """Each field is of its own kind: who steps a pipeline with it must not fall over a word where a count should be."""
    for value, kinds in zip(found, _kinds_of(type(found)), strict=True):
        of = type(value)  # exactly: a bool is an int to isinstance
        if of not in kinds or (of is float and not isfinite(value)):
            raise ValueError(f"{type(found).__name__} holds a {type(value).__name__} or a number where none may be")
    return found


@cache
def _kinds_of(named: type) -> tuple[frozenset[type], ...]:
    """What each field of a noun may be."""
    return tuple(frozenset(_plain(hint)) for hint in get_type_hints(named).values())


def _plain(hint: Any) -> Iterator[type]:
    """``int | None`` → int, NoneType; a Literal → str; a float may be written without a point."""
    if get_origin(hint) is Literal:
        yield str
    elif get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _plain(part)
    else:
        yield get_origin(hint) or hint
        yield from [int] if hint is float else []
