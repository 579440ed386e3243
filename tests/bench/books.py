"""What the books cost: an agent's part of a core, and a program's extra milliseconds.

    python -m tests.bench.books [agent] [run] [span]

``agent``: 100 workloads on 16 devices, a tick each second, three minutes played as fast as they go; CPU time of this process,
with the disk's own.  ``run``: ``wattledger run -- true`` with the books and without.  ``span``: entering and leaving a span in a
loop.
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wattledger.core.model import Activity, Batch, Claim, Device, EnergyCounter, Instant, Sample, Workload
from wattledger.core.pipeline import Pipeline
from wattledger.runtime.books.keeper import Keeper, Plan
from wattledger.runtime.books.minutes import Meter
from wattledger.runtime.books.settled import Settled

S = 1_000_000_000
START_NS = 1_795_341_600 * S
WORKLOADS, DEVICES, SECONDS, INTERVAL_S = 100, 16, 190, 5
WARM_S = 70  # SQLite and the annual table are loaded, the keys explained

BOARDS = [Device(f"GPU-{n:02}", "gpu", "card", None, 100_000_000, 900_000_000) for n in range(DEVICES)]
LABELS = (("k8s_namespace_name", "team-a"), ("run_id", "r-1"), ("user", "ada"))


def at(second: int) -> Instant:
    return Instant((second + 1) * S, START_NS + second * S)


def batches() -> list[Batch]:
    """Every workload uses every device, each a little differently."""
    found = []
    for second in range(SECONDS + 1):
        now, samples = at(second), list[Sample]()
        if second == 0:
            samples += [Claim(f"pid:{n}", now, Workload(f"job-{n}", "llm", LABELS)) for n in range(WORKLOADS)]
        samples += [EnergyCounter(board, now, second * (300_000_000 + n), None) for n, board in enumerate(BOARDS)]
        for board in BOARDS:
            samples += [Activity(board.id, f"pid:{n}", now, second * (1 + n) * S // 20_000, "sm_ns") for n in range(WORKLOADS)]
        found.append(Batch(now, True, tuple(samples)))
    return found


def stepping_s(ticks: list[Batch], *, keeps: bool) -> float:
    """CPU time of the pipeline's steps; it keeps nothing for the books where only spans' parts are wanted, and there are none."""
    pipeline = Pipeline(own_only=not keeps)
    before = time.process_time()
    for batch in ticks:
        pipeline.step(batch)
    return time.process_time() - before


def agent() -> dict[str, float]:
    """Parts of a core, in percent."""
    ticks = batches()
    gc.freeze()  # an agent does not hold all that it will ever read
    steps = [(stepping_s(ticks, keeps=True), stepping_s(ticks, keeps=False)) for _ in range(3)]
    kept_s = min(a for a, _ in steps) - min(b for _, b in steps)
    with tempfile.TemporaryDirectory() as folder:
        clock = [at(0)]
        plan = Plan(Path(folder) / "ledger", Meter("agent:1", "node-1"), INTERVAL_S, hold=True)
        keeper, pipeline = Keeper(plan, print, Settled(72 * 3600, []), now=lambda: clock[0]), Pipeline()
        took_s = committed_s = 0.0
        for second, batch in enumerate(ticks):
            clock[0] = batch.at
            step = pipeline.step(batch)
            before = time.process_time()
            keeper.take(step, pipeline)
            took_s += time.process_time() - before
            if second % INTERVAL_S == 0 and second:
                before = time.process_time()
                keeper.commit()
                spent_s = time.process_time() - before
                committed_s += spent_s if second > WARM_S else 0.0
        size = sum(file.stat().st_size for file in (Path(folder) / "ledger").iterdir())
    played_s = SECONDS - WARM_S
    return {
        "step_percent": 100 * min(a for a, _ in steps) / SECONDS,
        "kept_in_the_step_percent": 100 * kept_s / SECONDS,
        "handed_over_percent": 100 * took_s / SECONDS,
        "committed_percent": 100 * committed_s / played_s,
        "all_percent": 100 * (kept_s / SECONDS + took_s / SECONDS + committed_s / played_s),
        "bytes_on_disk": size,
    }


def environ(folder: str, *, books: bool) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": folder, "WATTLEDGER_AGENT_SOCKET": f"{folder}/none",
            "WATTLEDGER_LEDGER_ENABLED": str(books).lower()}  # fmt: skip


def run(n: int = 15) -> dict[str, float]:
    """Milliseconds of ``wattledger run -- true``, medians, one beside the other."""
    found: dict[bool, list[float]] = {True: [], False: []}
    command = [sys.executable, "-c", "from wattledger.cli import main; main()", "run", "--", "true"]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(n):
            for books, times in found.items():
                before = time.perf_counter()
                subprocess.run(command, env=environ(folder, books=books), check=True, capture_output=True)
                times.append(1000 * (time.perf_counter() - before))
    with_ms, without_ms = (statistics.median(found[books]) for books in (True, False))
    return {"with_ms": with_ms, "without_ms": without_ms, "added_ms": with_ms - without_ms}


LOOP = """
import time
from wattledger import track
with track(job="warm"): pass
found = []
end = time.perf_counter() + 6
while time.perf_counter() < end:
    before = time.perf_counter_ns()
    with track(job="a"): pass
    found.append(time.perf_counter_ns() - before)
found.sort()
print(found[len(found) // 2] / 1000, found[len(found) * 99 // 100] / 1000)
"""


def span() -> dict[str, float]:
    """Microseconds of one ``with track()``, median and 99th percentile, over six seconds (a commit falls into them)."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for books in (True, False):
            command = [sys.executable, "-c", LOOP]
            env = environ(folder, books=books)
            done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            median_us, slow_us = map(float, done.stdout.split())
            name = "with" if books else "without"
            found |= {f"{name}_us": median_us, f"{name}_p99_us": slow_us}
    return found


if __name__ == "__main__":
    asked = sys.argv[1:] or ["agent", "run", "span"]
    for name, figures in ((name, {"agent": agent, "run": run, "span": span}[name]()) for name in asked):
        print(json.dumps({name: {key: round(value, 4) for key, value in figures.items()}}))
