"""A real Prometheus that scrapes a meter: its answers are power, and what it saw too long ago is none."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from tests.runtime.answers import serving, told
from tests.servers.programs import free_port, path_of, running, until

from wattledger.core.model import PowerGauge
from wattledger.core.ports import Fetch, Host, Request, SourceFailed
from wattledger.runtime import clock
from wattledger.runtime.fetch import make_fetch
from wattledger.sources import promquery

SCRAPES = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: meters
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Scraping(NamedTuple):
    """A Prometheus that knows a supply with two feeds, and a meter whose last value is 60 s old."""

    url: str
    fetch: Fetch

    def read_w(self, query: str, period_s: float = 10.0) -> float:
        host = Host("", "", {}, (), True, {"url": self.url, "query": query, "period_s": period_s}, self.fetch)
        source = promquery.open(host)
        (sample,) = source.read(clock.now, True)
        assert isinstance(sample, PowerGauge)
        return sample.power_uw / 1e6

    def seen(self) -> bool:
        try:
            return self.read_w("feed_watts{feed='a'}") > 0 and self.read_w("late_watts", 60) > 0
        except SourceFailed:
            return False


def exposition() -> bytes:
    late_ms = clock.now().wall_ns // 1_000_000 - 60_000
    body = f'feed_watts{{feed="a"}} 200.5\nfeed_watts{{feed="b"}} 121\nlate_watts 300 {late_ms}\n'
    return told(body.encode(), "Content-Type: text/plain; version=0.0.4")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraping]:
    program, home = path_of("prometheus"), tmp_path_factory.mktemp("prometheus")
    with serving(lambda peer, _: peer.sendall(exposition())) as meters:
        (home / "prometheus.yml").write_text(SCRAPES.format(port=meters.port))
        address, log = f"127.0.0.1:{free_port()}", home / "log"
        command = [program, f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data"]
        with running(*command, f"--web.listen-address={address}", log=log):
            found = Scraping(f"http://{address}", make_fetch())
            until(found.seen, "Prometheus has scraped the meters", log)
            yield found


def test_a_series_and_an_expression_are_power(prometheus: Scraping) -> None:
    assert prometheus.read_w('feed_watts{feed="a"}') == 200.5
    assert prometheus.read_w("sum(feed_watts)") == 321.5
    assert prometheus.read_w("scalar(sum(feed_watts))") == 321.5


def test_two_series_are_no_power(prometheus: Scraping) -> None:
    with pytest.raises(SourceFailed, match="2 series, not one"):
        prometheus.read_w("feed_watts")


def test_what_was_seen_too_long_ago_is_none_although_prometheus_would_tell_it(prometheus: Scraping) -> None:
    told_anyway = prometheus.fetch(Request(f"{prometheus.url}/api/v1/query?query=late_watts"))
    assert b'"300"' in told_anyway
    # A server of 2.42 tells it with its age, newer ones look back no further than they are asked to.
    with pytest.raises(SourceFailed, match=r"\d+ s old|nothing of the last 30 s"):
        prometheus.read_w("late_watts")
    assert prometheus.read_w("late_watts", 60) == 300


def test_what_is_no_promql_is_said_without_the_query(prometheus: Scraping) -> None:
    with pytest.raises(SourceFailed, match=r"/api/v1/query: HTTP 400 Bad Request$"):
        prometheus.read_w("sum(")


def test_the_doctor_tells_its_watts(prometheus: Scraping) -> None:
    options = {"url": prometheus.url, "query": "sum(feed_watts)", "period_s": 10.0}
    (finding,) = promquery.examine(Host("", "", {}, (), True, options, prometheus.fetch))
    assert (finding.state, finding.why) == ("usable", "321.5 W now, integrated")
