"""Two real agents and a real Prometheus over them: a made-up node (``--demo``), and a node on the rig with books, a grid of its own
that is live, has a marginal signal and is forecast, a collector that it delivers to, and a program's run.  Both have a tariff."""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.node.agents import Agent, agent, total
from tests.node.checks import machine
from tests.rig.rig import Gpu, Process, load_constant
from tests.servers.otlp_receiver import receiver
from tests.servers.programs import PATIENCE_S, free_port, path_of, running, until

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "rules.yml"
ZONE, AVERAGE_G, MARGINAL_G = "DE", 300.0, 450.0  # the demo's zone as well, with figures of its own
PRICE, PUE, WUE = 0.30, 1.2, 0.5
RUN, WARM_S = "run-7f3a", 32
SETTLED = 'min by (tenant) (increase(wattledger_request_energy_joules_total{kind="generated",tenant!~"[(].*"}[10s])) > 0'
PRICED = f'[tariff]\nper_kwh = {PRICE}\ncurrency = "EUR"\n[facility]\npue = {PUE}\nwue = {WUE}\n[agent]\nlabels = "team,run_id"\n'
# The rules' minutes and hours, at a test's pace.
PACE = {"interval: 1m": "interval: 1s", "interval: 1h": "interval: 3s", "[5m]": "[20s]", "[59m59s999ms]": "[2s999ms]"}
# Ends by itself when its input does; the first run is brief, so that the books have a closed fact.
PROGRAM = """
import sys, time
from wattledger import track
with track(job="brief", model="m-1", labels={"team": "search"}):
    time.sleep(1)
with track(job="long", model="m-1", labels={"team": "search"}):
    sys.stdin.read()
"""


class Site(NamedTuple):
    """The agents, and where Prometheus answers."""

    nodes: dict[str, Agent]
    url: str

    def ask(self, path: str, **words: str | float) -> Any:
        """``data`` of an answer of Prometheus; an error is in the exception's words."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(words)}", timeout=30) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error).get("error", "")) from None


def grid_file(path: Path) -> Path:
    """Hours around now, the average and the marginal: three behind, a day ahead."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = ["zone,start,end,g_per_kwh,boundary,signal,version,estimated"]
    for n in range(-3, 26):
        start, end = (hour + timedelta(hours=n + more) for more in (0, 1))
        for signal, value in (("average", AVERAGE_G), ("marginal", MARGINAL_G)):
            rows.append(f"{ZONE},{start.isoformat()},{end.isoformat()},{value + max(0, n)},direct,{signal},1,no")
    path.write_text("\n".join(rows) + "\n")
    return path


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[Agent]:
    """``wattledger agent --demo``, as anybody starts it."""
    folder.mkdir(parents=True)
    (folder / "agent.toml").write_text(PRICED)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("WATTLEDGER_", "OTEL_"))}
    environ |= {"WATTLEDGER_AGENT_LISTEN": "127.0.0.1:0", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    starts = "from wattledger.cli import main; main()"
    words = [sys.executable, "-c", starts, "agent", "--demo", "--config", str(folder / "agent.toml")]
    with (folder / "agent.log").open("wb") as log:
        started = Agent(subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log), folder)
    try:
        started.wait(PATIENCE_S)
        yield started
    finally:
        started.stop()


@contextlib.contextmanager
def program(node: Agent) -> Iterator["subprocess.Popen[str]"]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "WATTLEDGER_RUN_ID": RUN,
           "WATTLEDGER_AGENT_SOCKET": str(node.socket)}  # fmt: skip
    words = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, text=True) as made:
        yield made


@contextlib.contextmanager
def rig_node(folder: Path, collector: str) -> Iterator[Agent]:
    """A node with a program of a run on it, which delivers to a collector as well."""
    folder.mkdir(parents=True)
    grid = grid_file(folder / "grid.csv")
    config = f'{PRICED}[grid]\nzone = "{ZONE}"\nprovider = "file"\nperiod_s = 5\n[grid.file]\npath = "{grid}"\n'
    rig = machine(folder / "rig", Gpu(load_constant(250), processes=(Process(os.getpid(), 10),)))
    config += "[ledger]\ncommit_interval_s = 1\n"
    with agent(folder, rig=rig, config=config) as node:
        until(lambda: total(node.scrape(), "wattledger_emissions_grams_total"), "something to keep", folder / "agent.log")
    otlp = {"PROTOCOL": "grpc", "ENDPOINT": collector, "INSECURE": "true"}
    env = {f"OTEL_EXPORTER_OTLP_{key}": value for key, value in otlp.items()}
    env |= {"WATTLEDGER_EXPORTERS_OTLP_ENABLED": "true", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    # An agent looks at its books' days when their first fact comes, and then once a minute: this one finds the last one's facts.
    with agent(folder, rig=rig, config=config, env=env) as node, program(node):
        yield node


def prometheus(folder: Path, nodes: dict[str, Agent], port: int) -> list[str]:
    """The command line of one that scrapes these once a second, with the shipped rules at a test's pace."""
    rules = RULES.read_text(encoding="utf-8")
    for shipped, here in PACE.items():
        rules = rules.replace(shipped, here)
    (folder / "rules.yml").write_text(re.sub(r"\[30d\]", "[20s]", rules))
    one = '      - targets: ["{}"]\n        labels: {{cluster: "lab", node: "{}"}}\n'
    found = "".join(one.format(node.url.removeprefix("http://"), name) for name, node in nodes.items())
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nrule_files: [rules.yml]\nscrape_configs:\n"
        f"  - job_name: wattledger\n    static_configs:\n{found}"
    )
    return [path_of("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"]  # fmt: skip


@contextlib.contextmanager
def site(folder: Path) -> Iterator[Site]:
    """All of it, once Prometheus has seen it for ``WARM_S`` seconds and the books have shown a day."""
    path_of("prometheus")
    port, log = free_port(), folder / "prometheus.log"
    with receiver("grpc") as collector, demo(folder / "demo") as made_up, rig_node(folder / "node", collector.endpoint) as node:
        nodes = {"demo": made_up, "rig": node}
        with running(*prometheus(folder, nodes, port), log=log):
            found = Site(nodes, f"http://127.0.0.1:{port}")
            until(lambda: _seen(found, f"min(count_over_time(wattledger_build_info[1h])) >= {WARM_S}"), "scrapes", log)
            until(lambda: _seen(found, "wattledger_settled_emissions_grams"), "a day in the books", folder / "node" / "agent.log")
            until(lambda: _seen(found, SETTLED), "requests that are settled", folder / "demo" / "agent.log")
            yield found


def _seen(found: Site, query: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return bool(found.ask("query", query=query)["result"])
    return False
