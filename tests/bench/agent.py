"""What the agent costs: CPU and memory on a rig node with many containers and processes, how that grows, scrapes and spans.

``python tests/bench/agent.py [node|curve|otlp|scrape|span] [--seconds 60]``; figures are printed, never asserted.  The machine's
load average stands beside them: on a busy one they are too high.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.node.agents import Agent, agent
from tests.node.groups import MOUNT, Groups, groups
from tests.rig.rig import Gpu, Process, Rig, load_constant, load_square, sockets

WARM_S = 12
SAMPLE_S = 5
SERIES = 10_000

# A program of a thousand spans a second; says what its own side of them cost.
SPANS = """
import sys, time
from wattledger import track
with track(job="outer"):
    with track(job="inner"):
        time.sleep(1)
    n, due, used = 0, time.monotonic(), time.process_time()
    end = due + float(sys.argv[1])
    while due < end:
        with track(job="inner"):
            pass
        n, due = n + 1, due + 0.001
        time.sleep(max(0, due - time.monotonic()))
    print(n, 1e6 * (time.process_time() - used) / n, max(0, time.monotonic() - end))
"""


def pod_path() -> str:
    """As the kubelet names them with the cgroupfs driver."""
    return f"/kubepods/burstable/pod{uuid.uuid4()}/{uuid.uuid4().hex}{uuid.uuid4().hex}"


def populated(made: Groups, containers: int, processes: int) -> list[int]:
    """Containers with so many processes among them; a tenth of the containers works a little."""
    pids: list[int] = []
    for n in range(containers):
        path = pod_path()
        pids += made.forked(path, processes // containers)
        if n % 10 == 0 and n < 100:  # a machine of two cores cannot keep more of them busy
            made.start(path, 0.01)
    return pids


def rig_of(folder: Path, gpus: int, pids: list[int]) -> Rig:
    """Each GPU with four of the processes computing on it."""
    boards = []
    for n in range(gpus):
        here = tuple(Process(pid, 20) for pid in pids[4 * n : 4 * n + 4])
        boards.append(Gpu(load_square(0.7, 120, 600), processes=here))
    return Rig(tuple(boards), sockets(2, package=load_square(0.3, 60, 180))).write(folder)


def used_s(running: Agent) -> float:
    """CPU time of all its threads, those that have ended included, in steps of 10 ms."""
    stat = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def settled(running: Agent, length_s: int) -> tuple[float, float]:
    """(median % of a core, MB resident), once it has found everything."""
    time.sleep(WARM_S)
    parts = []
    for _ in range(max(1, length_s // SAMPLE_S)):
        before, begun = running.cpu_s(), time.monotonic()
        time.sleep(SAMPLE_S)
        parts.append(100 * (running.cpu_s() - before) / (time.monotonic() - begun))
    return statistics.median(parts), running.rss_mb()


def node(
    gpus: int, containers: int, processes: int, *, length_s: int = 60, env: Mapping[str, str] | None = None
) -> tuple[float, float]:
    """(median % of a core, MB resident) of an agent with default settings."""
    with tempfile.TemporaryDirectory() as folder, groups() as made:
        pids = populated(made, containers, processes)
        rig = rig_of(Path(folder) / "rig", gpus, pids)
        with agent(Path(folder) / "agent", rig=rig, env=env) as running:
            return settled(running, length_s)


def table(cases: list[tuple[int, int, int]], length_s: int, env: Mapping[str, str] | None = None) -> None:
    print("| GPUs | containers | processes | % of a core | MB | load |\n|---|---|---|---|---|---|")
    for gpus, containers, processes in cases:
        percent, mb = node(gpus, containers, processes, length_s=length_s, env=env)
        print(f"| {gpus} | {containers} | {processes} | {percent:.2f} | {mb:.0f} | {os.getloadavg()[0]:.1f} |", flush=True)


def otlp(length_s: int) -> None:
    """The same with an OTLP exporter over gRPC that sends every 5 s."""
    from tests.servers.otlp_receiver import receiver

    with receiver("grpc") as got:
        env = {
            "WATTLEDGER_EXPORTERS_OTLP_ENABLED": "true",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": got.endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        }
        table([(8, 100, 500), (8, 30, 150)], length_s, env)
        print(f"{len(got.requests)} requests of about {len(got.points(since=len(got.requests) - 1))} points arrived")


# --- scrapes ------------------------------------------------------------------------------------------------------------


class Files:
    """Control groups that are plain files, laid out as this machine mounts its own, because nobody has two thousand containers at
    hand.  State: how long each of them has worked."""

    def __init__(self, top: Path, n: int) -> None:
        v2 = (MOUNT / "cgroup.controllers").exists()
        cpu, memory = (top, top) if v2 else (top / "cpuacct", top / "memory")
        self._name, self._text = ("cpu.stat", "usage_usec {}\n") if v2 else ("cpuacct.usage", "{}000\n")
        self._used_us = 1000
        self._groups = []
        for path in [pod_path()[1:] for _ in range(n)]:
            self._groups.append(cpu / path)
            (cpu / path).mkdir(parents=True)
            (memory / path).mkdir(parents=True, exist_ok=True)
            (memory / path / ("memory.current" if v2 else "memory.usage_in_bytes")).write_text("1000000\n")
        for folder, _, _ in os.walk(top):
            Path(folder, "cgroup.procs").touch()
            Path(folder, self._name).write_text(self._text.format(self._used_us))
        if v2:
            (top / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")

    def work(self) -> None:
        """Everybody has worked half a millisecond."""
        self._used_us += 500
        for group in self._groups:
            (group / self._name).write_text(self._text.format(self._used_us))


def rested(running: Agent) -> Iterator[float]:
    """How late ticks are that no scrape is in the way of, milliseconds."""
    for _ in range(5):
        time.sleep(2.3)
        yield late_ms(running.get("/metrics"))


def late_ms(text: str) -> float:
    [line] = [line for line in text.splitlines() if line.startswith("wattledger_tick_late_seconds ")]
    return 1000 * float(line.split()[1])


def scrape(length_s: int) -> None:
    """One scrape after the other, of as many samples as a big node has."""
    workloads = SERIES // 5
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "rig"
        files = Files(home / "sys" / "fs" / "cgroup", workloads)
        rig = Rig(zones=sockets(2, package=load_square(0.3, 60, 180), dram=load_constant(12))).write(home)
        config = f"[agent]\nseries = {2 * workloads}\n"
        with agent(Path(folder) / "agent", rig=rig, config=config) as running:
            for _ in range(5):
                time.sleep(1)
                files.work()
            quiet_ms = list(rested(running))
            took_ms, lates_ms = [], []
            begun, used = time.monotonic(), used_s(running)
            while time.monotonic() < begun + length_s:
                before = time.perf_counter()
                text = running.get("/metrics")
                took_ms.append(1000 * (time.perf_counter() - before))
                lates_ms.append(late_ms(text))
            percent = 100 * (used_s(running) - used) / (time.monotonic() - begun)
            samples = sum(1 for line in text.splitlines() if not line.startswith("#"))
            mb = running.rss_mb()
    print(f"{samples} samples, {len(text) / 1e6:.1f} MB of text, {mb:.0f} MB resident, load {os.getloadavg()[0]:.1f}")
    print(f"{len(took_ms)} scrapes on end, {percent:.0f} % of a core: {spread(took_ms)}")
    print(f"ticks late: without scrapes {spread(quiet_ms)}; in between scrapes {spread(lates_ms)}")


def spread(values_ms: list[float]) -> str:
    ordered = sorted(values_ms)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.2f} ms, p95 {p95:.2f} ms, max {ordered[-1]:.2f} ms"


# --- spans --------------------------------------------------------------------------------------------------------------


def span(length_s: int) -> None:
    """The control socket: a boundary's way there and back, and a thousand spans a second."""
    with tempfile.TemporaryDirectory() as folder:
        rig = rig_of(Path(folder) / "rig", 8, [])
        with agent(Path(folder) / "agent", rig=rig) as running:
            time.sleep(WARM_S)
            print(f"enter, leave and an answer: {spread(round_trips(running, 1000))}; load {os.getloadavg()[0]:.1f}")
            resting, begun = used_s(running), time.monotonic()
            time.sleep(10)
            rest_percent = 100 * (used_s(running) - resting) / (time.monotonic() - begun)
            path = os.pathsep.join(p for p in sys.path if p)
            env = {**os.environ, "PYTHONPATH": path, "WATTLEDGER_AGENT_SOCKET": str(running.socket)}
            used, begun = used_s(running), time.monotonic()
            done = subprocess.run(
                [sys.executable, "-c", SPANS, str(length_s)], env=env, stdout=subprocess.PIPE, text=True, check=True
            )
            percent = 100 * (used_s(running) - used) / (time.monotonic() - begun)
            mb = running.rss_mb()
    n, own_us, behind_s = (float(word) for word in done.stdout.split())
    print(
        f"{n / length_s:.0f} spans a second for {length_s} s: agent {percent:.1f} % of a core (at rest {rest_percent:.1f} %), "
        f"{mb:.0f} MB; program {own_us:.0f} us a span, {behind_s:.2f} s behind; load {os.getloadavg()[0]:.1f}"
    )


def round_trips(running: Agent, n: int) -> list[float]:
    """An enter, a leave and a ping are said at once; the answer to the last comes when all are taken."""
    from wattledger.core.model import Boundary, Workload
    from wattledger.runtime import clock
    from wattledger.runtime.remote.lines import enter_line, hello_line, leave_line
    from wattledger.runtime.remote.link import connect

    connection, _, _ = connect(str(running.socket), hello_line(clock.now(), ""))
    connection.settimeout(5)
    work, tree = Workload("bench"), Workload("pid")
    found = []
    with connection:
        for number in range(1, n + 1):
            before = time.perf_counter()
            at = clock.now()
            entered = enter_line(Boundary(number, at, "enter", work, tree), "")
            connection.sendall(entered + leave_line(Boundary(number, at, "leave", work, tree)) + b'{"op":"ping","id":0}\n')
            while b'"id": 0' not in (reply := connection.recv(65536)) and b'"id":0' not in reply:
                pass
            found.append(1000 * (time.perf_counter() - before))
            time.sleep(0.005)  # from who says more than that the agent gathers for 2 ms: stamps are the program's own
    return found


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="?", choices=["node", "curve", "otlp", "scrape", "span"], default="node")
    parser.add_argument("--seconds", type=int)
    asked = parser.parse_args()
    match asked.bench:
        case "node":
            table([(8, 100, 500), (8, 30, 150)], asked.seconds or 60)
        case "curve":
            sizes = [(g, c, p) for g in (1, 4, 16) for c, p in ((50, 500), (200, 2000), (500, 5000))]
            table(sizes, asked.seconds or 20)
        case "otlp":
            otlp(asked.seconds or 30)
        case "scrape":
            scrape(asked.seconds or 30)
        case "span":
            span(asked.seconds or 30)


if __name__ == "__main__":
    main()
