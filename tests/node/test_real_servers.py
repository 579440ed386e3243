"""The walk of a new user, with real servers: loads in groups, another user's program, Prometheus, OTLP, and a job on two nodes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.node.agents import Agent, agent, prometheus_value, total
from tests.node.checks import machine, real_groups
from tests.node.groups import Groups
from tests.rig.rig import Gpu, load_constant
from tests.servers.otlp_receiver import Receiver, receiver
from tests.servers.programs import free_port, path_of, running, until

pytestmark = [pytest.mark.slow, pytest.mark.soak]
LOADS = {"load-a": 0.6, "load-b": 0.3, "load-c": 0.15}
RUN = "run-7f3a"
# Retired joules are absent until somebody has been retired.
SHARED, RETIRED = (f"sum by (device) (wattledger_{name}energy_joules_total)" for name in ("", "retired_"))
BOTH = f"({SHARED} + on (device) ({RETIRED} or 0 * {SHARED}))"
TRACKED = """
import sys, time
from wattledger import track
with track(job="everywhere", model="m-1"):
    end = time.perf_counter() + float(sys.argv[1])
    while time.perf_counter() < end:
        sum(range(1000))
"""


@pytest.fixture
def made() -> Iterator[Groups]:
    with real_groups() as found:
        yield found


def tracked(node: Agent, for_s: float) -> "subprocess.Popen[str]":
    """A program of the run, on this node."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "WATTLEDGER_RUN_ID": RUN,
           "WATTLEDGER_AGENT_SOCKET": str(node.socket)}  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", TRACKED, str(for_s)], env=env, stderr=subprocess.PIPE, text=True)


def scraper(folder: Path, nodes: dict[str, Agent], port: int) -> list[str]:
    """The command line of a Prometheus that scrapes these nodes once a second."""
    one = '      - targets: ["{}"]\n        labels: {{node: "{}"}}\n'
    targets = "".join(one.format(node.url.removeprefix("http://"), name) for name, node in nodes.items())
    (folder / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: wattledger\n    static_configs:\n{targets}"
    )
    return [path_of("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip


def test_three_loads_and_a_program_as_prometheus_and_opentelemetry_see_them(tmp_path: Path, made: Groups) -> None:
    path_of("prometheus")
    with receiver("grpc") as collector:
        otlp = {"PROTOCOL": "grpc", "ENDPOINT": collector.endpoint, "INSECURE": "true"}
        env = {f"OTEL_EXPORTER_OTLP_{key}": value for key, value in otlp.items()}
        env |= {"WATTLEDGER_EXPORTERS_OTLP_ENABLED": "true", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
        port = free_port()
        url, log = f"http://127.0.0.1:{port}", tmp_path / "prometheus.log"
        with agent(tmp_path / "agent", rig=machine(tmp_path / "rig", Gpu(load_constant(250))), env=env) as node, \
                running(*scraper(tmp_path, {"a": node}, port), log=log):  # fmt: skip
            for name, part in LOADS.items():
                made.start(f"/{name}", part)
            until(lambda: _asked(url, 'count(wattledger_energy_joules_total{job_name="/load-c"})'), "the loads", log)
            begun = {name: made.cpu_ns(f"/{name}") for name in LOADS}
            program = tracked(node, 4)
            time.sleep(12)
            used = {name: made.cpu_ns(f"/{name}") - begun[name] for name in LOADS}
            query = 'sum by (job_name) (increase(wattledger_energy_joules_total{component="cpu",use="active"}[10s]))'
            joules = {labels["job_name"]: value for labels, value in prometheus_value(url, query)}
            whole = sum(joules[f"/{name}"] for name in LOADS)
            for name in LOADS:
                assert joules[f"/{name}"] / whole == pytest.approx(used[name] / sum(used.values()), abs=0.05)
            assert joules["everywhere"] > 0
            _, err = program.communicate(timeout=20)
            assert err == ""
            # Every scrape closes, whatever moment Prometheus took it at.
            off = f"{BOTH} - sum by (device) (wattledger_device_energy_joules_total)"
            left = prometheus_value(url, f"max_over_time(abs({off})[10s:1s])")
            assert left
            assert all(abs(value) < 1e-6 for _, value in left)  # Prometheus adds floats
            node.stop()
            _same_totals(collector, tmp_path)


def _asked(url: str, query: str) -> bool:
    try:
        return bool(prometheus_value(url, query))
    except OSError:
        return False


def _same_totals(collector: Receiver, folder: Path) -> None:
    """What arrived last by OTLP closes by itself: energy by workload sums to energy by device."""
    last = collector.points(since=len(collector.requests) - 1)
    devices = {p.attributes["hw.id"]: p.value for p in last if p.metric == "hw.energy" and "hw.parent" not in p.attributes}
    assert devices
    for device, value in devices.items():
        shares = sum(p.value for p in last if p.metric == "wattledger.energy" and p.attributes["hw.id"] == device)
        assert shares == pytest.approx(value, abs=1e-6)
    jobs = {p.attributes["wattledger.job.name"] for p in last if p.metric == "wattledger.energy"}
    assert {"/load-a", "/load-b", "/load-c", "everywhere"} <= jobs


def test_a_run_on_two_nodes_is_one_sum_by_its_label(tmp_path: Path) -> None:
    path_of("prometheus")
    port, log = free_port(), tmp_path / "prometheus.log"
    url, config = f"http://127.0.0.1:{port}", '[agent]\nlabels = "run_id"\n'
    with agent(tmp_path / "a", rig=machine(tmp_path / "rig-a"), config=config, env={"NODE_NAME": "a"}) as a, \
            agent(tmp_path / "b", rig=machine(tmp_path / "rig-b"), config=config, env={"NODE_NAME": "b"}) as b, \
            running(*scraper(tmp_path, {"a": a, "b": b}, port), log=log):  # fmt: skip
        programs = [tracked(a, 3), tracked(b, 3)]
        for program in programs:
            _, err = program.communicate(timeout=30)
            assert err == ""
        query = f'count(wattledger_energy_joules_total{{run_id="{RUN}",component="cpu",use="active"}} > 0)'
        until(lambda: _asked(url, query), "the run", log)
        time.sleep(4)
        want = sum((total(node.scrape(), "wattledger_energy_joules_total", run_id=RUN) for node in (a, b)), Decimal(0))
        [(labels, value)] = prometheus_value(url, f'sum by (run_id) (wattledger_energy_joules_total{{run_id="{RUN}"}})')
        assert labels == {"run_id": RUN}
        assert value == pytest.approx(float(want), rel=1e-9)
        query = f'sum by (node) (wattledger_energy_joules_total{{run_id="{RUN}"}})'
        by_node = {row["node"]: v for row, v in prometheus_value(url, query)}
        assert set(by_node) == {"a", "b"}
        assert min(by_node.values()) > 0
