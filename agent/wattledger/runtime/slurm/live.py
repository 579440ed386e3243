"""What the agents of a job's nodes know of it now: what they say of it, added up (``here`` asks this node's by its socket).

An agent tells joules and grams since it began.  One that was started after the job knows its end only: of this host's agent the
control socket tells since when it runs, and of others nothing does.
"""

import re
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import log
from pathlib import Path
from typing import NamedTuple

from wattledger.core.ports import BadStatus, Fetch, Request, SourceFailed
from wattledger.core.sharing import SHARE_G95
from wattledger.core.uncertainty import Quantity, Term, total
from wattledger.factors import gains
from wattledger.runtime import clock

ENERGY, GRAMS = "wattledger_energy_joules_total", "wattledger_emissions_grams_total"
DEVICE = "wattledger_device_energy_joules_total"
LABEL = "slurm_job_id"
TOGETHER = 16  # agents asked at a time
LOOK_S = 0.5
MOST_J = 1e18  # a gigawatt for thirty years: beyond is no reading
# By what a device is divided among its users, where this is not told: the agent's metrics do not say it.
DIVIDED_BY = {"cpu": "cpu_ns", "dram": "byte_ns", "gpu": "sm_ns"}
SO_PEERCRED = 17
_SAMPLE = re.compile(r'([a-z_]+)\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\} ([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)')
_PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Pause = Callable[[float], object]


class Sensor(NamedTuple):
    """What a reading's error depends on."""

    component: str
    model: str
    method: str


class Seen(NamedTuple):
    """What one agent said once.

    ``job_j``: the job's joules by sensor; ``spread_j``: how many of them may be others' by the way devices are shared; ``grams``:
    ``None`` where the agent has no grid factor; ``tick``: a number that moves at each of its ticks.  ``known``: whether the agent
    has a series of this job at all.
    """

    job_j: Mapping[Sensor, float]
    spread_j: float
    grams: float | None
    tick: float
    known: bool


class Found(NamedTuple):
    """A job's energy by the agents that knew it: ``nodes`` answered of ``asked``; ``why``: a line about the first that did not."""

    energy_j: Quantity
    measured: float
    grams: float | None
    nodes: int
    asked: int
    why: str = ""


def seen(text: str, job_id: str, *, gpus_shared: bool = False) -> Seen:
    """One agent's /metrics.  ``gpus_shared``: Slurm gave parts of GPUs (shards, MPS), so that other jobs are on them, too.

    Of CPUs and memory, what the others used since the agent began bounds what they used beside this job.
    """
    models: dict[str, str] = {}
    mine: dict[tuple[str, str, str], float] = {}
    active: dict[tuple[str, str], tuple[float, float]] = {}
    grams: float | None = None
    all_j, known = 0.0, False
    for name, labels, value in _samples(text):
        device, component = labels.get("device", ""), labels.get("component", "")
        is_mine = labels.get(LABEL) == job_id
        known = known or is_mine
        if name == DEVICE:
            models[device], all_j = labels.get("device_model", ""), all_j + value
        elif name == GRAMS and is_mine:
            grams = (grams or 0.0) + value
        elif name == ENERGY:
            if is_mine:
                key = device, component, labels.get("method", "")
                mine[key] = mine.get(key, 0.0) + value
            if labels.get("use") == "active":
                of_job, of_others = active.get((device, component), (0.0, 0.0))
                active[device, component] = (of_job + value, of_others) if is_mine else (of_job, of_others + value)
    by_sensor: dict[Sensor, float] = {}
    for (device, component, method), joules in mine.items():
        sensor = Sensor(component, models.get(device, ""), method)
        by_sensor[sensor] = by_sensor.get(sensor, 0.0) + joules
    shared = set(DIVIDED_BY) - (set() if gpus_shared else {"gpu"})
    doubts = (min(two) * log(SHARE_G95[DIVIDED_BY[part]]) for (_, part), two in active.items() if part in shared)
    return Seen(by_sensor, sum(doubts), grams, all_j, known)


def _samples(text: str) -> Iterable[tuple[str, dict[str, str], float]]:
    for line in text.split("\n"):
        if line.startswith((ENERGY, GRAMS, DEVICE)) and (match := _SAMPLE.fullmatch(line)):
            labels = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _PAIR.findall(match[2])}
            value = float(match[3])
            if value < MOST_J:
                yield match[1], labels, value


def ask(fetch: Fetch, requests: Sequence[Request], job_id: str, *, gpus_shared: bool = False) -> list[Seen | str]:
    """Each agent's answer, or why there is none; one that does not know the job is an answer."""

    def one(request: Request) -> Seen | str:
        try:
            return seen(fetch(request).decode("utf-8", "replace"), job_id, gpus_shared=gpus_shared)
        except BadStatus as refused:
            return f"{refused}: {refused.said}" if refused.said else str(refused)
        except SourceFailed as failure:
            return str(failure)

    with ThreadPoolExecutor(min(TOGETHER, max(1, len(requests)))) as pool:
        return list(pool.map(one, requests))


def settled(
    look: Callable[[], list[Seen | str]], pause: Pause, patience_s: float, *, ended: bool = True
) -> list[Seen | str]:
    """The answers, once every agent that answers has ticked twice since the first look; as they are after ``patience_s``.

    Of a job that has ``ended``, its joules must have stood still over the last tick, too; of one that was never seen, a third tick
    is waited for: a new series shows 0 first.
    """
    until_ns = clock.elapsed_ns() + round(patience_s * 1e9)
    answers = look()
    ticks, still = [0] * len(answers), [False] * len(answers)
    while clock.elapsed_ns() < until_ns and not all(map(_is_done, answers, ticks, still)):
        pause(LOOK_S)
        before, answers = answers, look()
        for n, (was, now) in enumerate(zip(before, answers, strict=True)):
            if isinstance(was, Seen) and isinstance(now, Seen) and was.tick != now.tick:
                ticks[n] += 1
                still[n] = not ended or was.job_j == now.job_j
    return answers


def _is_done(answer: Seen | str, ticks: int, still: bool) -> bool:
    return isinstance(answer, str) or (still and ticks >= (2 if answer.known else 3))


def together(answers: Sequence[Seen | str], elapsed_s: float | None) -> Found | None:
    """The sum over agents; ``None`` where none knew the job.  Grams only where all that know it know them."""
    there = [one for one in answers if isinstance(one, Seen) and one.known]
    if not there:
        return None
    by_sensor: dict[Sensor, float] = {}
    for sensor, joules in (pair for one in there for pair in one.job_j.items()):
        by_sensor[sensor] = by_sensor.get(sensor, 0.0) + joules
    terms = [Term(joules, f"{sensor}", _g95(sensor, elapsed_s)) for sensor, joules in sorted(by_sensor.items())]
    # What one node's sharing may be off by is no other node's.
    energy_j = total([*terms, *(Term(0.0, "", 1.0, edge=one.spread_j) for one in there)])
    measured = sum(joules for sensor, joules in by_sensor.items() if sensor.method != "estimated")
    grams = [one.grams for one in there if one.grams is not None]
    why = next((one for one in answers if isinstance(one, str)), "")
    return Found(energy_j, measured / energy_j.value if energy_j.value else 0.0, sum(grams) if len(grams) == len(there) else None,
                 len(there), len(answers), why)  # fmt: skip


def _g95(sensor: Sensor, elapsed_s: float | None) -> float:
    return gains.gain(sensor.component, sensor.model, sensor.method, elapsed_s).g95  # type: ignore[arg-type]


def agent_began_s(path: str, procfs: Path = Path("/proc")) -> float | None:
    """When the process that listens on this host's control socket was started, seconds since the epoch; ``None``: not known."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours:
            ours.settimeout(1.0)
            ours.connect(path)
            pid = struct.unpack("iII", ours.getsockopt(socket.SOL_SOCKET, SO_PEERCRED, 12))[0]
        ticks = int((procfs / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19])
        booted = next(line for line in (procfs / "stat").read_text(encoding="ascii").splitlines() if line.startswith("btime "))
    except (OSError, ValueError, IndexError, StopIteration, struct.error):
        return None
    return int(booted.split()[1]) + ticks / _TICKS_PER_S


_TICKS_PER_S = 100  # USER_HZ, which the kernel shows everywhere (include/asm-generic/param.h); sysconf would say the same
