"""``python tests/bench/embodied.py [--before TREE]``: what pricing machines and water adds to a tick, and to a program's start.

Run by hand; figures are printed as JSON, a line each, never asserted: they are this machine's.  A tick is that of a node with 100
workloads on 16 GPUs and 2 CPUs.  With ``--before``, a checkout from before there was any of it is measured in turns with this.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parents[2]
TICK = """
import statistics, sys, time
from wattledger.core.model import (Activity, Batch, Claim, Device, EnergyCounter, Factor, Holding, IdleFloor, Instant, Workload)
from wattledger.core.pipeline import Pipeline

S, UW = 10**9, 10**6
gpus = [Device(f"GPU-{i}", "gpu", "H100", None, 10**8, 700 * UW) for i in range(16)]
cpus = [Device(f"cpu-{i}", "cpu", "x", None, UW, 400 * UW) for i in range(2)]
jobs = [(f"pid:{i + 10}", Workload(f"job-{i}", "m", (("k8s_pod_uid", f"u{i}"),))) for i in range(100)]

def batch(t):
    at = Instant(t * S, t * S + 1_795_341_600 * S)
    said = []
    if t == 1:
        said.append(Factor("grid", "DE", 329, "g", "direct", "E", "23", "annual-average", 1.1))
        said += [Claim(who, at, workload, "environment") for who, workload in jobs]
        said += [IdleFloor(d.id, "empty", (70 if d in gpus else 50) * UW, None, 5) for d in (*gpus, *cpus)]
        if sys.argv[1] == "held":
            said += [Holding(d.id, who, at, 0.01) for d in gpus for who, _ in jobs]
        if sys.argv[2] == "priced":
            bindings = [*(d.id for d in (*gpus, *cpus)), "host"]
            said += [Factor("embodied", b, 5.0, "gCO2e/h", "c", "o", "v", "pcf", 1.5) for b in bindings]
            said += [Factor(kind, "DE", 2.0, "L/kWh", "c", "o", "v", "national", 1.5) for kind in ("water_onsite", "water_offsite")]
    said += [EnergyCounter(d, at, t * 400 * UW, None) for d in gpus] + [EnergyCounter(d, at, t * 150 * UW, None) for d in cpus]
    said += [Activity(d.id, who, at, t * (i + 1) * 10**6, "sm_ns") for d in gpus for i, (who, _) in enumerate(jobs)]
    said += [Activity("cpu", who, at, t * (i + 1) * 10**7, "cpu_ns") for i, (who, _) in enumerate(jobs)]
    return Batch(at, True, tuple(said))

pipeline = Pipeline()
pipeline.step(batch(1))
found = []
for t in range(2, 42):
    ready = batch(t)
    began = time.perf_counter()
    pipeline.step(ready)
    found.append(time.perf_counter() - began)
print(statistics.median(found) * 1e3)
"""
IMPORT = "import time\nat = time.perf_counter()\nimport wattledger\nprint((time.perf_counter() - at) * 1e3)"
FIRST = """
import time
from wattledger import track
at = time.perf_counter()
run = track(job="x")
run.__enter__()
print((time.perf_counter() - at) * 1e3)
run.__exit__(None, None, None)
"""
SPAN = """
import statistics, time
from wattledger import track
found = []
with track(job="outer"):
    for _ in range(4000):
        at = time.perf_counter_ns()
        with track(job="x"):
            pass
        found.append(time.perf_counter_ns() - at)
print(statistics.median(found) / 1e3)
"""
RUN = """
import subprocess, sys, time
at = time.perf_counter()
subprocess.run([sys.executable, "-c", "from wattledger.cli import main; main()", "run", "--", "true"], stderr=subprocess.DEVNULL)
print((time.perf_counter() - at) * 1e3)
"""
ASKED = {
    "a tick, nothing held, ms": (TICK, "free"), "a tick, all GPUs held, ms": (TICK, "held"), "import, ms": (IMPORT,),
    "first span ready, ms": (FIRST,), "entering and leaving a span, us": (SPAN,), "wattledger run -- true, ms": (RUN,),
}  # fmt: skip


def ask(tree: Path, home: Path, code: str, *words: str) -> float:
    """One figure, in a fresh process of that checkout."""
    kept = {name: word for name, word in os.environ.items() if not name.startswith("WATTLEDGER_")}
    homes = {"XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home), "WATTLEDGER_AGENT_SOCKET": str(home / "no-agent.sock")}
    path = os.pathsep.join([str(tree / "agent"), str(tree / "exporters")])
    env = {**kept, **homes, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code, *words], env=env, cwd=home, capture_output=True, text=True, check=True)
    return float(done.stdout)


def figures(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The least and the median of each, asked in turns: a shared machine is slow at times, and for all of them."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    least = {f"{name} (least)": round(min(each), 3) for name, each in found.items()}
    return {**least, **{f"{name} (median)": round(statistics.median(each), 3) for name, each in found.items()}}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, metavar="TREE", help="a checkout to compare with")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, (code, *words) in ASKED.items():
            said = [*words, "priced"] if words else []
            ways: dict[str, Callable[[], float]] = {"now": lambda c=code, w=said: ask(HERE, home, c, *w)}  # type: ignore[misc]
            if words:
                ways["unpriced"] = lambda c=code, w=words: ask(HERE, home, c, *w, "bare")  # type: ignore[misc]
            if asked.before:
                bare = [*words, "bare"] if words else []
                ways["before"] = lambda c=code, w=bare: ask(asked.before, home, c, *w)  # type: ignore[misc]
            print(json.dumps({"of": name, **figures(ways, asked.rounds)}), flush=True)


if __name__ == "__main__":
    main()
