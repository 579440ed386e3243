"""One model on two GPUs: its workers compute, its front tells the tokens, and both boards' joules are the model's."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.agents import Row, agent, total
from tests.node.checks import closes, machine
from tests.rig.rig import Gpu, Process, load_constant
from tests.servers import stub_engine
from tests.servers.programs import free_port, until

BEGUN, MODEL = "workers", "tensor-parallel"
# An engine whose workers are its children, as vLLM's are.
FRONT = """\
import runpy, subprocess, sys
workers = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2)]
open(sys.argv[1], "w").write(" ".join(str(worker.pid) for worker in workers) + "\\n")
sys.argv = sys.argv[2:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    for worker in workers:
        worker.kill()
"""


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[tuple[stub_engine.Stub, list[int]]]:
    """It, and its workers' process ids."""
    stub = stub_engine.Stub(folder, MODEL, free_port())
    words = [sys.executable, "-c", FRONT, str(folder / BEGUN), stub_engine.__file__, MODEL, str(stub.port), "{}"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True) as front:
        try:
            told = until(lambda: (folder / BEGUN).exists() and (folder / BEGUN).read_text().endswith("\n"), "workers are there")
            assert told
            until(lambda: _answers(stub), "the engine answers")
            yield stub, [int(pid) for pid in (folder / BEGUN).read_text().split()]
        finally:
            front.terminate()
            front.wait(20)
            for pid in (folder / BEGUN).read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    subprocess.run(["kill", "-9", pid], check=False, stderr=subprocess.DEVNULL)


def _answers(stub: stub_engine.Stub) -> bool:
    with contextlib.suppress(OSError):
        return bool(stub.counts())
    return False


def _divided(rows: list[Row]) -> list[Row]:
    """The same, once there is enough to look at: energy is divided a moment after its tokens are counted."""
    enough = both(rows, "wattledger_tokens_total", kind="generated") > 800
    return rows if enough and both(rows, "wattledger_token_energy_joules_total", component="gpu") > 0 else []


def both(rows: list[Row], metric: str, **labels: str) -> float:
    return float(total(rows, metric, model_name=MODEL, **labels))


@pytest.mark.slow
def test_a_model_on_two_gpus_gets_both_boards_and_its_tokens_once(tmp_path: Path) -> None:
    with engine(tmp_path) as (stub, workers):
        boards = [Gpu(load_constant(300), refresh_ms=20, processes=(Process(pid, 80),)) for pid in workers]
        config = f'[sources.engines]\nurls = "{stub.url}"\n'
        with agent(tmp_path / "agent", rig=machine(tmp_path / "rig", *boards), config=config) as node:
            stub.tell(rate=200, prompt_rate=800, running=4)
            rows = until(lambda: _divided(node.scrape()), "tokens are counted, and some of their joules divided")
            closes(rows)
        devices = {labels["device"] for name, labels, _ in rows if name == "wattledger_energy_joules_total"
                   and labels.get("model_name") == MODEL and labels["component"] == "gpu"}  # fmt: skip
        assert len(devices) == len(boards)
        gpu_j = both(rows, "wattledger_energy_joules_total", component="gpu")
        kinds_j = both(rows, "wattledger_token_energy_joules_total", component="gpu")
        assert 0 < kinds_j <= gpu_j
        all_j = both(rows, "wattledger_token_energy_joules_total") + both(rows, "wattledger_token_energy_pending_joules")
        assert all_j == pytest.approx(both(rows, "wattledger_energy_joules_total"), abs=1e-9)
        assert both(rows, "wattledger_tokens_total", kind="generated") <= stub.counts()["generated"]
