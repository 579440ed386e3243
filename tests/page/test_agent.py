"""The page of a real agent says what its metrics say."""

import re
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.page.boards import tree
from tests.page.browser import demo

pytestmark = pytest.mark.slow
RESERVED = re.compile(r"\(.*\)")


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as reply:
        return bytes(reply.read())


def wait_for_jobs(url: str, patience_s: float = 30) -> None:
    """Until the first cells were divided."""
    deadline = time.monotonic() + patience_s
    while not list(tree(get(f"{url}/")).one("tbody", id="jobs").all("a")):
        assert time.monotonic() < deadline, "no job was seen"
        time.sleep(0.2)


def test_the_page_of_a_real_agent_has_the_jobs_and_devices_of_its_metrics(tmp_path: Path) -> None:
    with demo(tmp_path) as url:
        wait_for_jobs(url)
        samples = [s for f in text_string_to_metric_families(get(f"{url}/metrics").decode()) for s in f.samples]
        page = tree(get(f"{url}/"))
        jobs = {s.labels["job_name"] for s in samples if s.name == "wattledger_energy_joules_total"}
        devices = {s.labels["device"] for s in samples if s.name == "wattledger_device_energy_joules_total"}
        shown = {link.text for link in page.one("tbody", id="jobs").all("a")}
        assert shown >= {job for job in jobs if not RESERVED.fullmatch(job)}  # one may have come meanwhile
        assert {cell.text for cell in page.one("tbody", id="devices").all("span", class_="name")} == devices
        link = next(page.one("tbody", id="jobs").all("a"))
        run = tree(get(url + link.attributes["href"]))
        assert run.one("h1").text == link.text
        assert list(run.one("section", aria_labelledby="h-devices").all("tbody"))
        assert [path.text for path in page.one("nav").all("a")][:2] == ["/metrics", "/metrics.jsonl"]
