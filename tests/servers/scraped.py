"""A demo agent that a Prometheus scrapes each second."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.node.agents import Agent


@contextlib.contextmanager
def demo(folder: Path, **env: str) -> Iterator[Agent]:
    """``wattledger agent --demo`` on a free port, in an environment that says nothing but ``env``."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("WATTLEDGER_", "OTEL_"))}
    environ |= {"WATTLEDGER_AGENT_LISTEN": "127.0.0.1:0", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **env}
    command = [sys.executable, "-c", "from wattledger.cli import main; main()", "agent", "--demo"]
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stderr=log, stdout=log)
        node = Agent(process, folder)
        try:
            node.wait()
            yield node
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.stop()
            process.kill()
            process.wait()


def scrape_config(folder: Path, url: str, *paths: str) -> Path:
    """A Prometheus configuration that scrapes these pages once a second, labels as the pages have them."""
    target = url.removeprefix("http://")
    one = "  - job_name: {}\n    honor_labels: true\n    metrics_path: {}\n    static_configs: [{{targets: [\"{}\"]}}]\n"
    names = ("wattledger" if path != "/metrics" or len(paths) == 1 else "own" for path in paths)
    jobs = "".join(one.format(name, path, target) for name, path in zip(names, paths, strict=True))
    config = folder / "prometheus.yml"
    config.write_text(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}")
    return config
