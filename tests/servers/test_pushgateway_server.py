"""Debian's Pushgateway takes what we put there, and Prometheus would scrape from it what the snapshot says."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from tests.golden.scenario import snapshot as golden

from wattledger.core.catalog import CATALOG
from wattledger.core.model import Instant
from wattledger.core.totals import Sent, Snapshot
from wattledger_exporters.pushgateway import Pushgateway

PROGRAM = "prometheus-pushgateway"
AT = Instant(1, 1)
Rows = dict[tuple[str, frozenset[tuple[str, str]]], float]

pytestmark = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not installed (Debian has a package)")


@pytest.fixture
def url() -> Iterator[str]:
    """A Pushgateway that keeps everything in memory, on a port that it chose."""
    words = [PROGRAM, "--web.listen-address=127.0.0.1:0", "--persistence.file="]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        try:
            found = (re.search(r'msg="Listening on" address=(\S+)', line) for line in process.stderr)
            yield "http://" + next(match[1] for match in found if match)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()


def push(url: str, snapshot: Snapshot, job: str = "train", host: str = "gpu-7") -> None:
    pusher = Pushgateway({"url": url, "job": job, "host": host}, now=lambda: AT, started=AT)
    pusher.push(snapshot)
    pusher.close(5.0)
    assert pusher.sent() == Sent(1, 0)


def scraped(url: str) -> Rows:
    """What is there of ours, without what the gateway says of itself."""
    text = requests.get(f"{url}/metrics", timeout=5).text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {
        (s.name, frozenset((k, v) for k, v in s.labels.items() if v)): s.value
        for s in samples
        if s.labels.get("job") == "wattledger" and not s.name.startswith("push_")
    }


def expected(snapshot: Snapshot, job: str = "train", host: str = "gpu-7") -> Rows:
    group = {("job", "wattledger"), ("program", job), ("instance", host)}
    return {
        (m.name, frozenset({(k, v) for k, v in zip(m.label_names(snapshot), labels, strict=True) if v} | group)): float(value)
        for m in CATALOG
        for labels, value in m.rows(snapshot)
    }


def test_everything_in_the_snapshot_is_there_under_its_own_labels(url: str) -> None:
    push(url, golden())
    assert scraped(url) == expected(golden())


def test_the_next_run_of_the_program_replaces_what_this_one_left(url: str) -> None:
    later = golden()._replace(emissions_g={}, late_s=0.25)
    push(url, golden())
    push(url, later)
    assert scraped(url) == expected(later)


def test_ranks_of_one_job_on_two_hosts_stand_side_by_side(url: str) -> None:
    push(url, golden(), host="gpu-7")
    push(url, golden(), host="gpu-8")
    assert scraped(url) == expected(golden(), host="gpu-7") | expected(golden(), host="gpu-8")


def test_a_job_with_a_path_for_a_name_is_itself(url: str) -> None:
    push(url, golden(), job="jobs/größe 1")
    assert scraped(url) == expected(golden(), job="jobs/größe 1")
