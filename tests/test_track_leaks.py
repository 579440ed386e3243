"""A span costs what it costs, and leaves nothing behind."""

from pathlib import Path

import pytest
from tests.runtime.programs import blind, python, rigged


@pytest.mark.slow
def test_twenty_thousand_spans_leave_nothing(tmp_path: Path) -> None:
    grown, variables, threads = python("""
import contextvars, tracemalloc
@track(job="decorated")
def f(): pass
def spans(n):
    for _ in range(n):
        with track(job="a"):
            with track(job="b"):
                f()
spans(500)
time.sleep(0.5)  # the books are opened by their thread: what it loads is loaded
gc.collect()
tracemalloc.start()
before, seen = tracemalloc.get_traced_memory()[0], len(contextvars.copy_context())
spans(6_700)
time.sleep(0.2)
with track(job="last") as last: pass
last.footprint
gc.collect()
names = [t.name for t in threading.enumerate()]
out([tracemalloc.get_traced_memory()[0] - before, len(contextvars.copy_context()) - seen, names])
""", blind(tmp_path) | {"WATTLEDGER_LEDGER_COMMIT_INTERVAL_S": "0.1"}, timeout_s=100).value
    assert grown < 300_000
    assert variables <= 2
    assert len(set(threads)) == len(threads)


def test_a_run_that_nobody_keeps_is_let_go(tmp_path: Path) -> None:
    dead = python("""
import weakref
refs = []
for n in range(50):
    with track(job="a") as run:
        refs.append(weakref.ref(run))
del run
time.sleep(0.3)
with track(job="b") as last: pass
final(last)
gc.collect()
out([ref() is None for ref in refs])
""", rigged(tmp_path)).value
    assert all(dead)


def test_threads_that_start_together_share_one_sampler(tmp_path: Path) -> None:
    names = python("""
sys.setswitchinterval(1e-6)
gate = threading.Barrier(16)
def work():
    gate.wait()
    for _ in range(20):
        with track(job="t"): pass
threads = [threading.Thread(target=work) for _ in range(16)]
[t.start() for t in threads]
[t.join() for t in threads]
out([t.name for t in threading.enumerate()])
""", rigged(tmp_path)).value
    assert len(set(names)) == len(names)
    assert "wattledger-sampler" in names


@pytest.mark.slow
def test_a_generator_of_many_pieces_leaves_nothing(tmp_path: Path) -> None:
    grown, tokens = python("""
import tracemalloc
@track(job="loader")
def batches():
    while True:
        yield
walk = batches()
next(walk)
run = batches.last_run
def step(n):
    for _ in range(n):
        run.add_tokens(requests=1)
        next(walk)
step(500)
time.sleep(0.5), run.footprint
gc.collect()
tracemalloc.start()
before = tracemalloc.get_traced_memory()[0]
step(4_000)
time.sleep(0.3), run.footprint
gc.collect()
grown = tracemalloc.get_traced_memory()[0] - before
walk.close()
out([grown, final(run).work["requests"]])
""", blind(tmp_path, WATTLEDGER_AGENT_INTERVAL_S="0.1", WATTLEDGER_LEDGER_COMMIT_INTERVAL_S="0.1"), timeout_s=100).value
    assert grown < 300_000
    assert tokens == 4_500
