"""A real ``wattledger agent`` in a process of its own, on the rig or on the machine as it is."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.rig.rig import Rig

Row = tuple[str, dict[str, str], Decimal]


class Agent:
    """A running agent: where it answers, what it has said, what it costs."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self._folder = process, folder
        self.socket = folder / "agent.sock"
        self.url = ""

    @property
    def log(self) -> str:
        return (self._folder / "agent.log").read_text()

    def wait(self, patience_s: float = 20) -> None:
        """Until it says where it answers, and is ready."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the agent ended with {self.process.returncode}:\n{self.log}")
            if " http://" in self.log and not self.url:
                self.url = "http://" + self.log.split(" http://", 1)[1].split("/metrics", 1)[0]
            with contextlib.suppress(OSError):
                if self.url and self.get("/readyz"):
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the agent is not ready after {patience_s:g} s:\n{self.log}")

    def get(self, path: str, accept: str = "text/plain") -> str:
        request = urllib.request.Request(self.url + path, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return str(reply.read().decode())

    def scrape(self) -> list[Row]:
        """Every sample, exact."""
        text = self.get("/metrics")
        exact = {line.rsplit(" ", 1)[0]: Decimal(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and line[0] != "#"}
        rows = []
        for line, (sample) in zip(exact, (s for f in text_string_to_metric_families(text) for s in f.samples), strict=True):
            rows.append((sample.name, dict(sample.labels), exact[line]))
        return rows

    def cpu_s(self) -> float:
        """Of all its threads that live, to the nanosecond (``stat`` counts in steps of 10 ms)."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def rss_mb(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=20)


def total(rows: list[Row], name: str, **labels: str) -> Decimal:
    """The sum of a metric over the rows with these labels."""
    return sum((v for n, found, v in rows if n == name and labels.items() <= found.items()), Decimal(0))


@contextlib.contextmanager
def agent(folder: Path, *, rig: Rig | None = None, config: str = "", env: Mapping[str, str] | None = None) -> Iterator[Agent]:
    """Start one with its socket, state and log under ``folder``, on a port of its own; it is stopped, or killed, at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "agent.toml").write_text(config)
    own = {"WATTLEDGER_AGENT_SOCKET": str(folder / "agent.sock"), "WATTLEDGER_AGENT_STATE": str(folder / "state")}
    own |= _with_groups(rig).env() if rig is not None else {}
    with started_as(folder, "--config", str(folder / "agent.toml"), env={**own, **(env or {})}) as started:
        yield started


@contextlib.contextmanager
def started_as(folder: Path, *words: str, env: Mapping[str, str]) -> Iterator[Agent]:
    """``wattledger agent`` with these words on a free port, in our environment without its settings, but with ``env``; it runs in
    ``folder``, where its log is."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("WATTLEDGER_", "OTEL_"))}
    environ |= {"WATTLEDGER_AGENT_LISTEN": "127.0.0.1:0", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **env}
    with (folder / "agent.log").open("wb") as log:
        command = [sys.executable, "-c", "from wattledger.cli import main; main()", "agent", *words]
        process = subprocess.Popen(command, env=environ, cwd=folder, stderr=log, stdout=log)
        started = Agent(process, folder)
        try:
            started.wait()
            yield started
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.stop()
            process.kill()
            process.wait()


def _with_groups(rig: Rig) -> Rig:
    """The rig's sysfs has the sensors; the control groups are the machine's own."""
    link = rig.sysfs / "fs" / "cgroup"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to("/sys/fs/cgroup")
    return rig


def prometheus_value(url: str, query: str) -> list[tuple[dict[str, str], float]]:
    """What a Prometheus answers to a PromQL query: labels and value of each series."""
    from urllib.parse import quote

    with urllib.request.urlopen(f"{url}/api/v1/query?query={quote(query)}", timeout=10) as reply:
        found = json.load(reply)["data"]["result"]
    return [(row["metric"], float(row["value"][1])) for row in found]
