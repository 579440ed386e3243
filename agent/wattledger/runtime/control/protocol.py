"""The control socket's protocol, ``wattledger.control/1``.

A Unix stream socket (``[agent] socket``); one JSON object a line in UTF-8, at most 16 KiB a line; any number of lines in one send.
Only ``hello``, ``footprint``, ``slurm`` and ``ping`` are answered, with the ``id`` they came with.  Fields not listed are ignored.
A line that asks for something unknown or says something malformed is answered ``{"error": "one line"}`` (with ``"limit": true``
where it only goes over a limit) and counted; one that is too long or no JSON object is answered so and the connection is closed.
Nanoseconds are ints; ``at`` is CLOCK_BOOTTIME.

A program says:

- ``{"op": "hello", "id", "v": 1, "pid", "run_id", "now": [mono_ns, wall_ns]}`` first.  Answer: ``{"id", "ok": true, "v", "host",
  "interval_s", "agent", "operator", "now"}``: ``agent`` is a random name that each start of the agent draws; ``operator``:
  whether this peer may see what others use.  Who the peer is, the kernel says, not this line.
- ``{"op": "enter", "span", "parent", "job", "model", "labels", "thread", "at", "cpu_ns", "thread_cpu_ns"}`` and ``{"op": "leave",
  "span", "at", "thread", "cpu_ns", "thread_cpu_ns"}``: a span's boundaries.  ``span`` is the program's own number for it, ``at``
  is believed within the last 5 s (else the time of receipt is taken).
- ``{"op": "work", "span", "prompt", "cached", "generated", "requests", "job", "model", "labels"}``: tokens, as an increment; the
  names are for a span that is not open.
- ``{"op": "claim", "job", "model", "labels", "pid"}``: from now on, until this connection ends, the process (and what it starts)
  works for this job; without ``pid``, the program itself.
- ``{"op": "footprint", "id", "span"}``: an open span's account as of the last closed cell, at once (``"account": null``: none has
  closed since it began); an ended one's settled account (``"final": true``), once its cell is closed.  Without ``span``: the
  totals of one's own unit (pod, Slurm job), or of ``pid``'s, after the next cell.
- ``{"op": "slurm", "id", "job"}``: what the Slurm job that the program is in has used, at once (``slurm.py``); of another ``job``
  only operators are told.
- ``{"op": "ping", "id"}``: ``{"id", "ok": true}``, after a look at the CPU time of the processes that this connection speaks for:
  one that is about to be reaped keeps its last moments.

The agent says, unasked: ``{"op": "terms", "factors", "notes", "price_notes"}`` before the first account and whenever they change,
and ``{"op": "account", "span", ...}`` of open spans every 5 s and when it stops, so that little is lost if it does not come back.
What an account looks like is in ``wire.py``.

Limits: 1024 connections, 4096 open spans and 20,000 messages a second for each, 32 labels, 256 characters for a name or a label,
64 KiB of answers not taken; who goes over them gets an error, or loses the connection.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from wattledger.core.model import Instant, Workload

VERSION = 1
LINE_BYTES = 16 * 1024
CONNECTIONS = 1024
OPEN_SPANS = 4096
MESSAGES_PER_S = 20_000
LABELS = 32
NAME_CHARS = 256
OUT_BYTES = 64 * 1024
MOST = 1 << 62  # no clock or count of ours comes near it, and sums of them stay ints of a machine word or two


class Wrong(ValueError):
    """The message says something that cannot be; one line for its sender."""


class TooMuch(Wrong):
    """Right, but over a limit: said with ``"limit": true``, and may be tried again."""


class Garbage(Wrong):
    """Not the protocol at all: the connection is closed."""


class Hello(NamedTuple):
    """The first line: ``v`` and the program's own clocks."""

    id: int | None
    v: int
    run_id: str
    now: Instant


class Enter(NamedTuple):
    """A span begins."""

    span: int
    parent: int | None
    workload: Workload
    thread: int | None
    at_ns: int | None
    cpu_ns: int | None
    thread_cpu_ns: int | None


class Leave(NamedTuple):
    """A span ends."""

    span: int
    thread: int | None
    at_ns: int | None
    cpu_ns: int | None
    thread_cpu_ns: int | None


class Done(NamedTuple):
    """Work done: prompt, cached, generated tokens and requests."""

    span: int | None
    workload: Workload
    counts: tuple[int, int, int, int]


class Says(NamedTuple):
    """Whom a process works for; ``pid`` as the speaker sees it, ``None``: himself."""

    workload: Workload
    pid: int | None


class Ask(NamedTuple):
    """For a span's account, or (``None``) for the totals of one's own unit."""

    id: int | None
    span: int | None
    pid: int | None


class AskJob(NamedTuple):
    """For what a Slurm job has used; ``None``: the speaker's own."""

    id: int | None
    job: str | None


class Ping(NamedTuple):
    """Is anybody there?"""

    id: int | None


Message = Hello | Enter | Leave | Done | Says | Ask | AskJob | Ping


def parse(line: bytes) -> Message:
    """One line as a message.  Raises Garbage or Wrong, and nothing else, whatever the bytes."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise Garbage("expected one JSON object a line") from None
    if type(found) is not dict:
        raise Garbage("expected one JSON object a line")
    match found.get("op"):
        case "enter":
            return Enter(_count(found, "span"), _number(found, "parent"), _workload(found), *_clocks(found))
        case "leave":
            return Leave(_count(found, "span"), *_clocks(found))
        case "work":
            counts = tuple(_number(found, kind) or 0 for kind in ("prompt", "cached", "generated", "requests"))
            return Done(_number(found, "span"), _workload(found), counts)  # type: ignore[arg-type]
        case "ping":
            return Ping(_number(found, "id"))
        case "footprint":
            return Ask(_number(found, "id"), _number(found, "span"), _number(found, "pid"))
        case "slurm":
            return AskJob(_number(found, "id"), _job_id(found))
        case "claim":
            return Says(_workload(found), _number(found, "pid"))
        case "hello":
            return Hello(_number(found, "id"), _count(found, "v"), _text(found, "run_id") or "", _instant(found))
    raise Wrong("unknown op: expected hello, enter, leave, work, claim, footprint, slurm or ping")


def _clocks(found: Mapping[str, Any]) -> tuple[int | None, int | None, int | None, int | None]:
    return _number(found, "thread"), _number(found, "at"), _number(found, "cpu_ns"), _number(found, "thread_cpu_ns")


def _number(found: Mapping[str, Any], key: str) -> int | None:
    value = found.get(key)
    if value is None:
        return None
    # A bool is an int to Python and nonsense here.
    if type(value) is not int or not 0 <= value < MOST:
        raise Wrong(f"{key}: expected a whole number of 0 or more")
    return value


def _count(found: Mapping[str, Any], key: str) -> int:
    value = _number(found, key)
    if value is None:
        raise Wrong(f"{key}: expected a whole number of 0 or more")
    return value


def _text(found: Mapping[str, Any], key: str) -> str | None:
    value = found.get(key)
    return None if value is None else _checked(value, key)


def _job_id(found: Mapping[str, Any]) -> str | None:
    job = _text(found, "job")
    if job is not None and not (job.isascii() and job.isdecimal()):
        raise Wrong("job: expected the digits of a SLURM_JOB_ID")
    return job


def _checked(value: object, key: str) -> str:
    if type(value) is not str or len(value) > NAME_CHARS:
        raise Wrong(f"{key}: expected text of at most {NAME_CHARS} characters")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Wrong(f"{key}: not text (half of a surrogate pair)") from None
    return value


def _workload(found: Mapping[str, Any]) -> Workload:
    labels = found.get("labels")
    pairs: tuple[tuple[str, str], ...] = ()
    if labels:
        if type(labels) is not dict or len(labels) > LABELS:
            raise Wrong(f"labels: expected an object of at most {LABELS} texts")
        pairs = tuple(sorted((_checked(key, "labels"), _checked(value, "labels")) for key, value in labels.items()))
    return Workload(_text(found, "job") or "", _text(found, "model"), pairs)


def _instant(found: Mapping[str, Any]) -> Instant:
    match found.get("now"):
        case [int(mono_ns), int(wall_ns)] if 0 <= mono_ns < MOST and 0 <= wall_ns < MOST:
            return Instant(mono_ns, wall_ns)
    raise Wrong("now: expected [mono_ns, wall_ns]")


def error_of(wrong: Wrong) -> dict[str, Any]:
    """What its sender is told."""
    return {"error": str(wrong), "limit": True} if isinstance(wrong, TooMuch) else {"error": str(wrong)}


def said(message: Mapping[str, Any]) -> bytes:
    """One message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
