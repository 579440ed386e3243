"""What a program says to the agent, as lines of ``wattledger.control/1`` (``control/protocol.py``); a span's are written by hand,
because thousands are said a second."""

import json
import os
from functools import lru_cache

from wattledger.core.model import Boundary, Instant, Work, Workload

VERSION = 1
NAME_CHARS = 256
LABELS = 32
LABEL_BYTES = 12_000  # a line has 16 KiB
MOST = 1 << 53


def hello_line(now: Instant, run_id: str | None) -> bytes:
    hello = {"op": "hello", "id": 0, "v": VERSION, "pid": os.getpid(), "run_id": _clean(run_id or ""), "now": now}
    return json.dumps(hello).encode() + b"\n"


def enter_line(b: Boundary, run_id: str | None) -> bytes:
    return (
        f'{{"op":"enter","span":{b.span},"parent":{_or_null(b.parent)},"thread":{_or_null(b.thread)},"at":{b.at.mono_ns},'
        f'"cpu_ns":{_or_null(b.cpu_ns)},"thread_cpu_ns":{_or_null(b.thread_cpu_ns)},{_names(b.workload, run_id)}}}\n'
    ).encode()


def leave_line(b: Boundary) -> bytes:
    return (
        f'{{"op":"leave","span":{b.span},"thread":{_or_null(b.thread)},"at":{b.at.mono_ns},'
        f'"cpu_ns":{_or_null(b.cpu_ns)},"thread_cpu_ns":{_or_null(b.thread_cpu_ns)}}}\n'
    ).encode()


def work_line(work: Work, run_id: str | None) -> bytes:
    # A bool is an int, and JSON has another word for it; a number that no counter holds is no count.
    prompt, cached, generated, requests = (min(int(n), MOST) for n in work[2:6])
    return (
        f'{{"op":"work","span":{_or_null(work.span)},"prompt":{prompt},"cached":{cached},'
        f'"generated":{generated},"requests":{requests},{_names(work.workload, run_id)}}}\n'
    ).encode()


def claim_line(workload: Workload, run_id: str | None, pid: int) -> bytes:
    return f'{{"op":"claim","pid":{pid},{_names(workload, run_id)}}}\n'.encode()


def footprint_line(span: int) -> bytes:
    return f'{{"op":"footprint","id":{span},"span":{span}}}\n'.encode()


def _or_null(number: int | None) -> int | str:
    return "null" if number is None else number


@lru_cache(maxsize=256)
def _names(workload: Workload, run_id: str | None) -> str:
    """Job, model and labels within the protocol's limits; ranks of one job say one run id, and so are one workload."""
    pairs = list(workload.labels)
    if run_id is not None and not any(key == "run_id" for key, _ in pairs):
        pairs.insert(0, ("run_id", run_id))
    labels: dict[str, str] = {}
    room = LABEL_BYTES
    for key, value in pairs[:LABELS]:
        pair = {_clean(key): _clean(value)}
        room -= len(_json(pair).encode())
        if room >= 0:
            labels |= pair
    model = None if workload.model is None else _clean(workload.model)
    return _json({"job": _clean(workload.job), "model": model, "labels": labels})[1:-1]


def ping_line() -> bytes:
    return b'{"op":"ping","id":0}\n'


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _clean(text: str) -> str:
    """Text that every reader of UTF-8 takes."""
    return text[:NAME_CHARS].encode("utf-8", "replace").decode()
