"""A demo agent that a Prometheus scrapes each second."""

from contextlib import AbstractContextManager
from pathlib import Path

from tests.node.agents import Agent, started_as


def demo(folder: Path, **env: str) -> AbstractContextManager[Agent]:
    """``wattledger agent --demo`` on a free port, with these settings."""
    return started_as(folder, "--demo", env=env)


def scrape_config(folder: Path, url: str, *paths: str) -> Path:
    """A Prometheus configuration that scrapes these pages once a second, labels as the pages have them."""
    target = url.removeprefix("http://")
    one = "  - job_name: {}\n    honor_labels: true\n    metrics_path: {}\n    static_configs: [{{targets: [\"{}\"]}}]\n"
    names = ("wattledger" if path != "/metrics" or len(paths) == 1 else "own" for path in paths)
    jobs = "".join(one.format(name, path, target) for name, path in zip(names, paths, strict=True))
    config = folder / "prometheus.yml"
    config.write_text(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}")
    return config
