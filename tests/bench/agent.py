"""What the agent costs: CPU and memory on a rig node with many containers and processes, and how that grows.

``python tests/bench/agent.py [node|curve|churn|scrape]``; figures are printed, never asserted.
"""

import argparse
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.node.agents import agent
from tests.node.groups import Groups, groups
from tests.rig.rig import Gpu, Process, Rig, load_square, sockets

WARM_S = 12
SAMPLE_S = 5


def pod_path() -> str:
    """As the kubelet names them with the cgroupfs driver."""
    return f"/kubepods/burstable/pod{uuid.uuid4()}/{uuid.uuid4().hex}{uuid.uuid4().hex}"


def populated(made: Groups, containers: int, processes: int) -> list[int]:
    """Containers with so many processes among them; a tenth of the containers works a little."""
    pids: list[int] = []
    for n in range(containers):
        path = pod_path()
        pids += made.forked(path, processes // containers)
        if n % 10 == 0:
            made.start(path, 0.01)
    return pids


def rig_of(folder: Path, gpus: int, pids: list[int]) -> Rig:
    """Each GPU with four of the processes computing on it."""
    boards = []
    for n in range(gpus):
        here = tuple(Process(pid, 20) for pid in pids[4 * n : 4 * n + 4])
        boards.append(Gpu(load_square(0.7, 120, 600), processes=here))
    return Rig(tuple(boards), sockets(2, package=load_square(0.3, 60, 180))).write(folder)


def node(gpus: int, containers: int, processes: int, *, length_s: int = 60) -> tuple[float, float]:
    """(median % of a core, MB resident) of an agent with default settings."""
    with tempfile.TemporaryDirectory() as folder, groups() as made:
        pids = populated(made, containers, processes)
        with agent(Path(folder) / "agent", rig=rig_of(Path(folder) / "rig", gpus, pids)) as running:
            time.sleep(WARM_S)
            parts = []
            for _ in range(length_s // SAMPLE_S):
                before, begun = running.cpu_s(), time.monotonic()
                time.sleep(SAMPLE_S)
                parts.append(100 * (running.cpu_s() - before) / (time.monotonic() - begun))
            return statistics.median(parts), running.rss_mb()


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="?", choices=["node", "curve"], default="node")
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    cases = [(8, 100, 500), (8, 30, 150)]
    if asked.bench == "curve":
        cases = [(g, c, p) for g in (1, 4, 16) for c, p in ((50, 500), (200, 2000), (500, 5000))]
    print("| GPUs | containers | processes | % of a core | MB |\n|---|---|---|---|---|")
    for gpus, containers, processes in cases:
        percent, mb = node(gpus, containers, processes, length_s=asked.seconds)
        print(f"| {gpus} | {containers} | {processes} | {percent:.2f} | {mb:.0f} |", flush=True)


if __name__ == "__main__":
    main()
