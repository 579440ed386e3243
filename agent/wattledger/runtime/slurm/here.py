"""This node's agent, asked for a job by its control socket: it knows by the kernel's word who asks, and so needs no open page."""

import contextlib
import json
import socket
from collections.abc import Mapping
from math import isfinite, log
from typing import Any

from wattledger.core.sharing import SHARE_G95
from wattledger.runtime import clock
from wattledger.runtime.remote.lines import hello_line
from wattledger.runtime.remote.link import GREET_S, LONGEST_REPLY, Refused, connect
from wattledger.runtime.slurm.live import DIVIDED_BY, Seen, Sensor

ID = 1


def ask_here(path: str, job_id: str, *, gpus_shared: bool = False) -> Seen | str:
    """What the agent at ``path`` says, or why it says nothing: there is none, it is older than the question, or it refuses."""
    try:
        connection, _, rest = connect(path, hello_line(clock.now(), None))
    except Refused as why:
        return str(why)
    with contextlib.closing(connection):
        try:
            connection.settimeout(GREET_S)
            connection.sendall(json.dumps({"op": "slurm", "id": ID, "job": job_id}).encode() + b"\n")
            said = _answer(connection, rest)
            return str(said["error"]) if "error" in said else _seen(said, gpus_shared=gpus_shared)
        except OSError as failure:
            return failure.strerror or "no answer"
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            return "its answer cannot be read"


def _answer(connection: socket.socket, data: bytes) -> Mapping[str, Any]:
    """The first message that answers us; an agent that does not know the question says so without our number."""
    until_ns = clock.elapsed_ns() + round(GREET_S * 1e9)
    while True:
        line, end, rest = data.partition(b"\n")
        if end:
            said, data = json.loads(line), rest
            if said.get("id") == ID or "error" in said:
                return said  # type: ignore[no-any-return]
            continue
        more = connection.recv(65536)
        data += more
        if not more:
            return {"error": "it hung up"}
        if len(data) > LONGEST_REPLY or clock.elapsed_ns() > until_ns:
            return {"error": "its answer has no end"}


def _seen(said: Mapping[str, Any], *, gpus_shared: bool) -> Seen:
    job_j: dict[Sensor, float] = {}
    for component, model, method, _, uj in said["energy"]:
        sensor = Sensor(str(component), str(model), str(method))
        job_j[sensor] = job_j.get(sensor, 0.0) + _number(uj) / 1e6
    shared = set(DIVIDED_BY) - (set() if gpus_shared else {"gpu"})
    spread_j = sum(_number(uj) / 1e6 * log(SHARE_G95[DIVIDED_BY[part]]) for part, uj in said["beside"].items() if part in shared)
    grams = _number(said["grams"]) if "grams" in said else None
    return Seen(job_j, spread_j, grams, _number(said["at"][0]), bool(said["known"]))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError("no number of joules or grams")
    return float(value)
