"""The node of the golden files: eighteen minutes of a made-up one as an agent meters them, with one job that ends and is retired.

    python -m tests.golden.node              # writes node.cap and everything rendered from it anew
"""

from pathlib import Path

from tests.golden.made_up import Demo

from wattledger import __version__
from wattledger.core.catalog import CATALOG
from wattledger.core.model import Batch, Factor
from wattledger.core.pipeline import Pipeline
from wattledger.core.series import Series
from wattledger.core.totals import Health, Sent, Snapshot, State
from wattledger.runtime.capture import Recorder
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Sampler
from wattledger.testing import FakeClock, load_capture
from wattledger_exporters.console import ConsoleTables
from wattledger_exporters.jsonl import Jsonl
from wattledger_exporters.prometheus import OPENMETRICS, Prometheus

HERE = Path(__file__).parent
CAPTURE = HERE / "node.cap"
TICKS, TICK_S, KEEP_S = 36, 30, 240
LABELS = ("team",)
GRID = Factor("grid", "FR", 41.0, "gCO2e/kWh", "direct", "European Environment Agency", "2023", "annual-average", 1.1)
STATE = State(GRID, {"demo": Health(True, 0.0004, 0, "", 1.0)}, {"otlp": Sent(17, 1, "refused")}, 0.0002, LABELS)


def series() -> Series:
    """Three named workloads at most, kept for four minutes."""
    exported = {label for metric in CATALOG for label in metric.labels} | set(LABELS)
    return Series(3, KEEP_S * 1_000_000_000, exported)


def batches() -> list[Batch]:
    """What the sampler hands over, tick by tick."""
    clock, found = FakeClock(), list[Batch]()
    source = Runner(Demo(), clock)
    interval_ns = TICK_S * 1_000_000_000
    sampler = Sampler(
        [source], Pipeline(series()), interval_ns=interval_ns, now=clock, asleep_ns=lambda: 0, on_batches=found.extend
    )
    sampler.put([GRID])
    for _ in range(TICKS):
        sampler.tick()
        clock.advance_s(TICK_S)
    return found


def snapshot() -> Snapshot:
    """The stored capture through a pipeline of its own."""
    pipeline = Pipeline(series())
    for batch in load_capture(CAPTURE).batches:
        pipeline.step(batch)
    return pipeline.totals.snapshot(STATE)


def renderings() -> dict[str, bytes]:
    """File name to contents."""
    found = snapshot()
    rendered = {
        "node.prom": Prometheus().render(found),
        "node.openmetrics": Prometheus().render(found, OPENMETRICS),
        "node.jsonl": Jsonl().render(found),
        "node.console.txt": ConsoleTables(width=120).render(found),
    }
    return {name: contents.replace(f'"{__version__}"'.encode(), b'"VERSION"') for name, contents in rendered.items()}


def write() -> None:
    """Make every golden file anew."""
    recorder = Recorder(CAPTURE)
    recorder.begin({"notes": ["a made-up node"]})
    recorder.add(batches())
    recorder.close()
    for name, contents in renderings().items():
        (HERE / name).write_bytes(contents)


if __name__ == "__main__":
    write()
