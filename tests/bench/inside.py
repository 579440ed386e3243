"""Runs in a tool's own Python, on the rig: one tool, one question, one line of JSON."""

import contextlib
import io
import json
import multiprocessing
import os
import resource
import sys
import time
from typing import Any

from tests.bench.meters import METERS, MODULES, Energy, Meter


def bodies(meter: Meter, lengths_s: str, settle_s: str = "0.3") -> list[list[Energy]]:
    """Measure bodies of these lengths, one after another; a result is asked for ``settle_s`` after its end."""
    found = []
    for length_s in json.loads(lengths_s):
        meter.begin()
        time.sleep(length_s)
        meter.end()
        time.sleep(float(settle_s))
        found.append(meter.energies())
    return found


def region(meter: Meter, n: str) -> list[int]:
    """What entering plus leaving takes, in nanoseconds, each beside the bare reads of a plain reader in the same moment."""
    return [_region_ns(meter) for _ in range(int(n))]


def _region_ns(meter: Meter) -> int:
    before = time.perf_counter_ns()
    meter.begin()
    meter.end()
    return time.perf_counter_ns() - before


def apart(meter: Meter, n: str) -> list[int]:
    """Entering plus leaving with 12 ms in and between spans, so that every register is read again at both ends."""
    found = []
    for _ in range(int(n)):
        time.sleep(0.012)
        before = time.perf_counter_ns()
        meter.begin()
        entered = time.perf_counter_ns()
        time.sleep(0.012)
        leaving = time.perf_counter_ns()
        meter.end()
        found.append(entered - before + time.perf_counter_ns() - leaving)
    return found


def nested(meter: Meter, n: str) -> list[int]:
    """The same inside an open span (ours alone knows spans in spans of one name)."""
    meter.begin()
    inner = type(meter)()
    found = [_region_ns(inner) for _ in range(int(n))]
    meter.end()
    return found


def growth(meter: Meter, n: str) -> list[float]:
    """Resident megabytes before, after a tenth, and after all of ``n`` spans."""
    sizes = [rss_mb()]
    for part in (int(n) // 10, int(n) - int(n) // 10):
        for _ in range(part):
            meter.begin()
            meter.end()
        sizes.append(rss_mb())
    return sizes


def idle(meter: Meter, seconds: str) -> dict[str, float]:
    """CPU time that an open, sleeping measurement takes, helpers of its own included, in per cent of one core."""
    meter.begin()
    time.sleep(2)
    wakes, own, helpers, at = _wakes(), time.process_time(), _children_s(), time.monotonic()
    time.sleep(float(seconds))
    length = time.monotonic() - at
    used, helped = time.process_time() - own, _children_s() - helpers
    found = {"own_pct": 100 * used / length, "helpers_pct": 100 * helped / length, "wakes_per_s": (_wakes() - wakes) / length}
    meter.end()
    return found


def _wakes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def _children_s() -> float:
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
            if parent == os.getpid():
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/schedstat") as sched:
                        total += int(sched.read().split()[0])
    return total / 1e9


def rss_mb() -> float:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


def loop(meter: Meter, rounds: str) -> list[list[tuple[float, float]]]:
    """Turns of a NumPy loop, without, with, without and without the meter: seconds by the wall and of this process's CPU."""
    import numpy

    square = numpy.random.default_rng(1).random((160, 160))
    passes, turn_s = 500, 1.2
    passes = int(passes * turn_s / _turn(square, passes)[0])
    found = []
    for _ in range(int(rounds)):
        first = _turn(square, passes)
        meter.begin()
        measured = _turn(square, passes)
        meter.end()
        found.append([first, measured, _turn(square, passes), _turn(square, passes)])
    return found


def _turn(square: Any, passes: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(passes):
        square = square @ square
        square /= square.max()
    return time.perf_counter() - wall, time.process_time() - cpu


QUESTIONS = {f.__name__: f for f in (bodies, region, apart, nested, growth, idle, loop)}


def main() -> None:
    """``inside.py TOOL QUESTION ARG...``: what the tool prints itself is kept off the answer."""
    tool, question, *args = sys.argv[1:]
    answer = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()):
        __import__(MODULES[tool])
        at = time.perf_counter()
        options = {"watch": question == "bodies"} if tool in ("codecarbon", "zeus") else {}
        meter = METERS[tool](**options)
        if question == "ready":
            meter.begin()
            found: Any = (time.perf_counter() - at) * 1e3
        else:
            found = QUESTIONS[question](meter, *args)
    print(json.dumps(found), file=answer)
    answer.flush()
    for helper in multiprocessing.active_children():  # Zeus has one for each RAPL register
        helper.kill()
    os._exit(0)


if __name__ == "__main__":
    main()
