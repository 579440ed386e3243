"""The agent with the chart's words in a place like its pod: no capability, process numbers of its own, read-only folders."""

import os
import re
import shlex
import shutil
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from tests.deploy.helm_render import PLAIN, ROOT
from tests.servers.programs import PATIENCE_S, running, until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make mounts")
needs_programs = pytest.mark.skipif(
    not all(map(shutil.which, ("unshare", "setpriv", "mount"))), reason="unshare, setpriv or mount is not installed"
)

RESIDUAL = "wattledger_attribution_residual_joules{"

# What the container runtime would do; the second mount of the control groups as in the chart.
POD = """
set -e
mount --make-rprivate /
mkdir -p {host}/proc {host}/sys {host}/log/pods {host}/log/containers {host}/pod-resources
mount --rbind /proc {host}/proc
mount --rbind /sys {host}/sys
mount -o remount,bind,ro {host}/proc
mount -o remount,bind,ro {host}/sys
mount --rbind /sys/fs/cgroup {host}/sys/fs/cgroup
mount -o remount,bind,ro {host}/sys/fs/cgroup
exec unshare --pid --fork --kill-child --mount-proc setpriv --no-new-privs --bounding-set=-all --inh-caps=-all {agent}
"""


class Pod(NamedTuple):
    """``said``: its log until it was ready."""

    url: str
    said: str
    status: dict[str, str]

    def page(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("pod")
    host, log = folder / "host", folder / "log"
    objects = yaml.safe_load_all(PLAIN.read_text(encoding="utf-8"))
    words = next(one["data"]["wattledger.toml"] for one in objects if one["kind"] == "ConfigMap")
    words = words.replace('"/host/', f'"{host}/').replace("/var/lib/wattledger", str(folder / "state"))
    (folder / "wattledger.toml").write_text(words, encoding="utf-8")
    run = "import sys; from wattledger.cli import main; sys.exit(main())"
    agent = shlex.join([sys.executable, "-c", run, "agent", "--config", str(folder / "wattledger.toml"), "--listen", "127.0.0.1:0"])
    path = os.pathsep.join(str(ROOT / name) for name in ("agent", "exporters"))
    script = f"export PYTHONPATH={shlex.quote(path)} NODE_NAME=node-1\n" + POD.format(host=host, agent=agent)
    with running("unshare", "--mount", "sh", "-c", script, log=log) as process:
        found = until(lambda: re.search(r"(http://[^/]+)/metrics", log.read_text(errors="replace")), "the agent's address", log)
        url = found[1]
        until(lambda: _answers(f"{url}/readyz"), "the agent is ready", log)
        agent_pid = _agent_of(process.pid)
        status = Path(f"/proc/{agent_pid}/status").read_text(encoding="utf-8")
        yield Pod(url, log.read_text(), dict(re.findall(r"^(Cap\w+|NoNewPrivs):\s*(\w+)$", status, re.MULTILINE)))
        os.kill(agent_pid, signal.SIGTERM)  # unshare itself passes nothing on
        process.wait(PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _agent_of(pid: int) -> int:
    """The last of the processes that one another started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return _agent_of(int(children[0])) if children else pid


@needs_root
@needs_programs
def test_the_agent_meters_the_node_without_a_capability(pod: Pod) -> None:
    assert {name: int(value, 16) for name, value in pod.status.items()} == {
        "CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapBnd": 0, "CapAmb": 0, "NoNewPrivs": 1
    }  # fmt: skip
    metrics = until(lambda: found if RESIDUAL in (found := pod.page("/metrics")) else None, "a device has yielded energy")
    assert re.search(r'^wattledger_source_up\{source="cgroup"\} 1', metrics, re.MULTILINE), pod.said
    assert re.search(r'^wattledger_source_up\{source="kubernetes"\} ', metrics, re.MULTILINE), pod.said
    assert set(re.findall(rf"^{RESIDUAL}[^}}]*\}} (\S+)", metrics, re.MULTILINE)) == {"0"}


@needs_root
@needs_programs
def test_it_says_what_it_cannot_do_and_no_more(pod: Pod) -> None:
    assert "Traceback" not in pod.said
    assert "socket none" in pod.said
    assert "on node-1" in pod.said
