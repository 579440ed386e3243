"""How near the truth requests, prices and idle come on the replay simulator, and what the estimator costs.

``python tests/bench/tokens.py [--seeds 3] [--json FILE]``: trace x scrape interval, each the worst of several seeds' figures beside
the issue's; the recorded code trace where ``WATTLEDGER_RECORDINGS`` names the folder.  Printed and kept, never asserted.
"""

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.serving.engine_model import Engine, Played
from tests.serving.judge import Verdict, judge
from tests.serving.samples import Eyes, batches
from tests.serving.workloads import conversation, recorded_code

from wattledger.core.model import Batch, Request, Served
from wattledger.core.pipeline import Pipeline

INTERVALS_S = (1.0, 2.0, 5.0)
MEDIANS = {"conversation": 0.05, "conversation, quiet": 0.05, "code": 0.15}
QUIET_PER_S = (3.0, 0.2)
CODE_STARTS_S = (0.0, 600.0, 1800.0)
HEAD = (
    "trace", "scrape s", "requests", "median %", "p95 %", "coverage %", "idle %", "prompt price %", "lost uJ", "weak %", "missed"
)  # fmt: skip


class Run(NamedTuple):
    """One trace seen at one scrape interval, with one seed."""

    trace: str
    interval_s: float
    requests: int
    verdict: Verdict


def traces(seeds: int, length_s: float) -> Iterator[tuple[str, int, Played]]:
    """(trace, seed, what the engine made of it)."""
    for seed in range(1, seeds + 1):
        yield "conversation", seed, Engine().play(conversation(seed, length_s))
        yield "conversation, quiet", seed, Engine().play(conversation(seed, length_s, per_s=QUIET_PER_S))
    folder = os.environ.get("WATTLEDGER_RECORDINGS")
    if not folder:
        print("WATTLEDGER_RECORDINGS names no folder of recordings: without the code trace", file=sys.stderr)
        return
    file = Path(folder, "llm_traces", "AzureLLMInferenceTrace_code.csv")
    for seed in range(1, seeds + 1):
        start_s = CODE_STARTS_S[(seed - 1) % len(CODE_STARTS_S)]
        yield "code", seed, Engine().play(recorded_code(file, start_s, 1500.0))


def measure(seeds: int, length_s: float) -> list[Run]:
    """Every trace at every interval."""
    runs = []
    for trace, seed, played in traces(seeds, length_s):
        for interval_s in INTERVALS_S:
            print(f"{trace}, seed {seed}, {interval_s:g} s", file=sys.stderr)
            runs.append(Run(trace, interval_s, len(played.done), judge(played, Eyes(interval_s, seed))))
    return sorted(runs, key=lambda run: (run.trace, run.interval_s))


def missed(run: Run) -> list[str]:
    """Which of the issue's figures."""
    verdict = run.verdict
    met = {
        "median": verdict.median <= MEDIANS[run.trace],
        "coverage": verdict.coverage >= 0.90,
        "idle": abs(verdict.idle) <= 0.05,
        "prompt price": abs(verdict.prompt_price) <= 0.05,
        "conservation": verdict.lost_uj == (0, 0, 0),
        "all told": verdict.told == 1.0,
    }
    return [name for name, good in met.items() if not good]


def row(run: Run) -> Sequence[str]:
    v = run.verdict
    errors = [f"{100 * part:.1f}" for part in (v.median, v.p95, v.coverage)] + [f"{100 * p:+.1f}" for p in (v.idle, v.prompt_price)]
    lost = "0" if v.lost_uj == (0, 0, 0) else str(v.lost_uj)
    return run.trace, f"{run.interval_s:g}", str(run.requests), *errors, lost, f"{100 * v.weak:.0f}", ", ".join(missed(run))


def cost_ms(played: Played, interval_s: float) -> tuple[float, float]:
    """(median, longest) milliseconds that engines and requests add to a tick: the same ticks with and without them."""
    every = list(batches(played, Eyes(interval_s)))
    bare = [b._replace(samples=tuple(s for s in b.samples if not isinstance(s, Served | Request))) for b in every]
    added = [1e3 * (one - other) for one, other in zip(_took_s(every), _took_s(bare), strict=True)]
    return statistics.median(added), max(added)


def _took_s(every: Sequence[Batch]) -> list[float]:
    pipeline, took_s = Pipeline(), []
    # The collector counts what the pipeline keeps, not the hundreds of thousands of objects of this simulation.
    gc.collect()
    gc.freeze()
    for batch in every:
        begun_s = time.perf_counter()
        pipeline.step(batch)
        took_s.append(time.perf_counter() - begun_s)
    return took_s


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    runs = measure(asked.seeds, asked.seconds)
    for cells in (HEAD, ["---"] * len(HEAD), *map(row, runs)):
        print("| " + " | ".join(cells) + " |")
    played = Engine().play(conversation(1, asked.seconds))
    for interval_s in INTERVALS_S:
        middle_ms, longest_ms = cost_ms(played, interval_s)
        print(f"engines and requests add {middle_ms:.2f} ms to a tick of {interval_s:g} s, {longest_ms:.1f} at most (target: 1 ms)")
    if asked.json:
        asked.json.write_text(json.dumps([{**run._asdict(), "verdict": run.verdict._asdict()} for run in runs], indent=1) + "\n")


if __name__ == "__main__":
    main()
