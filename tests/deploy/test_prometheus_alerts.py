"""An agent behind TLS and a password, a real Prometheus with our rules, and a real Alertmanager: who is killed is told of."""

import json
import shutil
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from tests.deploy.test_prometheus_rules import FOLDER
from tests.runtime.web_clients import Certificates, needs_openssl
from tests.servers.programs import free_port, path_of, running, until

pytestmark = [pytest.mark.slow, pytest.mark.soak, needs_openssl]
PASSWORD = "correct horse"
WEB_CONFIG = """\
tls_server_config: {{cert_file: agent.pem, key_file: agent.key, min_version: TLS12}}
basic_auth_users: {{prometheus: {hash}}}
"""


def agent_command(folder: Path, port: int) -> list[str]:
    """A demo agent on that port, with a certificate and a password of its own."""
    certificates = Certificates(folder)
    certificates.make("agent")
    (folder / "web.yml").write_text(WEB_CONFIG.format(hash=bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()))
    (folder / "agent.toml").write_text("")
    env = [f"PYTHONPATH={':'.join(p for p in sys.path if p)}", f"WATTLEDGER_AGENT_STATE={folder / 'state'}"]
    words = ["agent", "--demo", "--config", folder / "agent.toml", "--listen", f"127.0.0.1:{port}", "--socket", folder / "a.sock",
             "--web.config.file", folder / "web.yml"]  # fmt: skip
    return [path_of("env"), *env, sys.executable, "-c", "from wattledger.cli import main; main()", *map(str, words)]


def quickened(folder: Path, agent_port: int, alertmanager_port: int) -> Path:
    """The shipped files as they are, but a second is what a minute was: the remote job of the example scrapes this agent."""
    for name in ("rules.yml", "budgets.yml", "alerts.yml"):
        whole = yaml.safe_load((FOLDER / name).read_text())
        for group in whole["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "2s"
        (folder / name).write_text(yaml.safe_dump(whole))
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager_port}"]
    [local, _] = config["scrape_configs"]
    local["static_configs"] = []
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "secrets").mkdir()
    shutil.copy(folder / "ca.pem", folder / "secrets" / "ca.crt")
    (folder / "secrets" / "wattledger-password").write_text(PASSWORD)
    (folder / "nodes").mkdir()
    node = {"targets": [f"127.0.0.1:{agent_port}"], "labels": {"cluster": "lab"}}
    (folder / "nodes" / "remote-lab.yml").write_text(yaml.safe_dump([node]))
    return folder / "prometheus.yml"


def ask(url: str) -> Any:
    """JSON, or ``None`` while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)
    except urllib.error.URLError:
        return None


def value(url: str, query: str) -> float | None:
    """Of the one series that a query gives; ``None``: there is none, or not one."""
    said = ask(f"{url}/api/v1/query?query={urllib.parse.quote(query)}")
    rows = said["data"]["result"] if said else []
    return float(rows[0]["value"][1]) if len(rows) == 1 else None


def told(alerts_url: str) -> list[Any]:
    """Alerts on agents that are down, as Alertmanager has them."""
    return [alert for alert in ask(alerts_url) or () if alert["labels"]["alertname"] == "WattledgerAgentDown"]


def test_an_agent_that_is_killed_is_told_of_by_alertmanager(tmp_path: Path) -> None:
    agent_port, alertmanager_port, port = free_port(), free_port(), free_port()
    url, alerts_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{alertmanager_port}/api/v2/alerts"
    command, said = agent_command(tmp_path, agent_port), tmp_path / "agent.log"
    log = tmp_path / "prometheus.log"
    prometheus = [path_of("prometheus"), f"--config.file={quickened(tmp_path, agent_port, alertmanager_port)}",
                  f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    alertmanager = [path_of("prometheus-alertmanager"), f"--config.file={FOLDER / 'alertmanager.yml'}",
                    f"--storage.path={tmp_path / 'am'}", f"--web.listen-address=127.0.0.1:{alertmanager_port}",
                    "--cluster.listen-address="]  # fmt: skip
    with running(*command, log=said) as agent, running(*alertmanager, log=tmp_path / "am.log"), running(*prometheus, log=log):
        # What the rules record of a live agent is what its sensors say, and its workloads' watts are its devices'.
        drawn = "sum(fleet_component_method:wattledger_device_energy_joules:rate5m)"
        until(lambda: value(url, f"{drawn} > 0"), "power is recorded", said)
        off = f"abs({drawn} - sum(workload:wattledger_energy_joules:rate5m)) < 0.01 * {drawn}"
        until(lambda: value(url, off), "the workloads' watts are the devices'", log)
        assert value(url, 'count(ALERTS{alertname="WattledgerAgentDown"})') is None
        agent.send_signal(signal.SIGKILL)
        agent.wait()
        found = until(lambda: told(alerts_url), "the alert", log)
    [alert] = found
    assert alert["labels"]["cluster"] == "lab"
    assert alert["labels"]["instance"] == f"127.0.0.1:{agent_port}"
    assert alert["status"]["state"] == "active"
    assert alert["annotations"]["summary"] == f"The agent on 127.0.0.1:{agent_port} does not answer."
    assert PASSWORD not in log.read_text() + said.read_text()
