"""Debian's Prometheus scrapes us: what it stored is what was metered, over TLS too, and its own tools find no fault."""

import contextlib
import json
import math
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import bcrypt
import pytest
from tests.core.made import CPU, GPU, S, at, claim, counter, factor, gauge, used
from tests.runtime.web_clients import WAIT_S, Certificates, needs_openssl
from tests.servers.programs import free_port, path_of, running, until

from wattledger.core.catalog import CATALOG
from wattledger.core.model import Batch, Instant, Sample, Work, Workload
from wattledger.core.pipeline import Pipeline
from wattledger.core.series import Series
from wattledger.core.totals import Health, Snapshot, State
from wattledger.runtime.web import pages
from wattledger.runtime.web.access import load
from wattledger.runtime.web.server import Web
from wattledger.testing import ScriptedSource
from wattledger_exporters.prometheus import Prometheus

pytestmark = needs_openssl

RUN = "0123456789abcdef"
TRAIN = Workload("train", "llama-3.1-8b", (("k8s_pod_name", "train-0"), ("run_id", RUN)))
SERVE, GONE = Workload('serve "it"\n'), Workload("gone")
PASSWORD = "correct horse"
WEB_CONFIG = """\
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  min_version: TLS12
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
http_server_config:
  headers:
    X-Content-Type-Options: nosniff
basic_auth_users:
  prometheus: {hash}
"""


class Scraped(NamedTuple):
    """A Prometheus that scrapes our two servers, and what they serve."""

    url: str
    snapshot: Snapshot
    plain: Web
    log: Path

    def ask(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=WAIT_S) as reply:
            return json.loads(reply.read())["data"]

    def query(self, promql: str) -> dict[str, float]:
        """Value by device (or whatever the only label is)."""
        rows = self.ask("query", query=promql)["result"]
        return {",".join(row["metric"].values()): float(row["value"][1]) for row in rows}

    def up(self, job: str) -> bool:
        return self.query(f'max by (job) (up{{job="{job}"}})') == {job: 1.0}


def metered() -> Snapshot:
    """Three jobs share a GPU and a CPU; one ends and its series are retired.  Joules split in quarters: floats add them exactly."""
    shares = {"pid:1": 1, "pid:2": 1, "pid:3": 2}
    named = [claim(who, workload) for who, workload in zip(shares, (TRAIN, SERVE, GONE), strict=True)]
    script: list[list[Sample]] = []
    for second in range(6):
        uses = [(who, min(second, 1) if who == "pid:3" else second) for who in shares if who != "pid:3" or second < 2]
        script.append([
            *(named if second == 0 else []),
            counter(GPU, second, 300.0 * second), counter(CPU, second, 60.5 * second), gauge(GPU, second, 300.0),
            *(used(GPU.id, who, second, shares[who] * done) for who, done in uses),
            *(used("cpu", who, second, shares[who] * done, "cpu_ns") for who, done in uses),
            factor("grid", 329.0),
            *([claim("pid:3", None)] if second == 2 else []),
        ])  # fmt: skip
    source, pipeline = ScriptedSource("scripted", script), Pipeline(Series(100, 2 * S))
    for second in range(6):
        now = at(second)

        def clock(now: Instant = now) -> Instant:
            return now

        pipeline.step(Batch(now, True, tuple(source.read(clock, True))))
    pipeline.totals.add_work(Work(TRAIN, at(5), 812, 10, 64, 3))
    health = {"scripted": Health(True, 0.001, 0, coverage=1.0)}
    return pipeline.totals.snapshot(State(pipeline.factors["grid"], health, late_s=0.001))


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    program = path_of("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    certificates = Certificates(folder)
    for name in ("server", "client"):
        certificates.make(name)
    snapshot = metered()
    shown = {"/metrics": pages.metrics(lambda: snapshot, Prometheus())}
    with serving(Web("127.0.0.1:0", shown)) as plain, serving(Web("127.0.0.1:0", shown, web_config(folder))) as secured:
        port = free_port()
        config, log = folder / "prometheus.json", folder / "prometheus.log"
        config.write_text(json.dumps(scrape_config(plain.port, secured.port)))  # JSON is YAML
        words = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
                 "--enable-feature=exemplar-storage", "--log.level=warn")  # fmt: skip
        with running(program, *words, log=log):
            found = Scraped(f"http://127.0.0.1:{port}", snapshot, plain, log)
            until(lambda: answers(found) and found.up("plain"), "Prometheus has scraped us", log)
            yield found


@contextlib.contextmanager
def serving(web: Web) -> Iterator[Web]:
    web.start()
    try:
        yield web
    finally:
        web.stop()


def web_config(folder: Path) -> str:
    """Our sample file, beside certificates."""
    file = folder / "web.yml"
    file.write_text(WEB_CONFIG.format(hash=bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()))
    return str(file)


def scrape_config(plain: int, secured: int) -> dict[str, Any]:
    def job(name: str, port: int, **more: Any) -> dict[str, Any]:
        return {"job_name": name, "static_configs": [{"targets": [f"localhost:{port}"]}], **more}

    tls = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
    auth = {"username": "prometheus", "password": PASSWORD}
    jobs = [
        job("plain", plain),
        job("secured", secured, scheme="https", tls_config=tls, basic_auth=auth),
        job("wrong_password", secured, scheme="https", tls_config=tls, basic_auth={**auth, "password": "wrong"}),
        job("no_certificate", secured, scheme="https", tls_config={"ca_file": "ca.pem"}, basic_auth=auth),
    ]
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}


def answers(found: Scraped) -> bool:
    try:
        return bool(found.ask("query", query="1"))
    except OSError:
        return False  # not listening yet


def test_what_it_stored_sums_by_device_to_what_was_metered(scraped: Scraped) -> None:
    jobs = 'sum by (device) ({__name__=~"wattledger_(retired_)?energy_joules_total", job="plain"})'
    devices = scraped.query('sum by (device) (wattledger_device_energy_joules_total{job="plain"})')
    assert devices == {GPU.id: 1500.0, CPU.id: 302.5}
    assert scraped.query(jobs) == devices
    retired = scraped.query('sum by (device) (wattledger_retired_energy_joules_total{job="plain"})')
    assert retired == {GPU.id: 150.0, CPU.id: 30.25}
    assert scraped.query('count(wattledger_attribution_residual_joules{job="plain"} != 0)') == {}


def test_each_series_is_stored_under_its_own_name_with_its_value(scraped: Scraped) -> None:
    """Quotes and line ends in names too; none of our labels is renamed to exported_something."""
    rows = scraped.ask("query", query='{__name__=~"wattledger_.*", job="plain"}')["result"]
    stored = {}
    for row in rows:
        labels = {name: value for name, value in row["metric"].items() if name not in ("job", "instance")}
        assert not [name for name in labels if name.startswith("exported_")]
        stored[frozenset(labels.items())] = float(row["value"][1])
    expected = {}
    for metric in CATALOG:
        for values, value in metric.rows(scraped.snapshot):
            labels = dict(zip(metric.label_names(scraped.snapshot), values, strict=True), __name__=metric.name)
            expected[frozenset((name, text) for name, text in labels.items() if text)] = float(value)
    assert stored == expected


def test_an_exemplar_leads_from_a_series_to_its_run(scraped: Scraped) -> None:
    def found() -> list[Any]:
        query = 'wattledger_energy_joules_total{job="plain"}'
        return list(scraped.ask("query_exemplars", query=query, start="0", end="4102444800"))

    rows = until(found, "exemplars", scraped.log)
    assert {row["seriesLabels"]["job_name"] for row in rows} == {"train"}
    assert {exemplar["labels"]["run_id"] for row in rows for exemplar in row["exemplars"]} == {RUN}


def test_kinds_and_units_arrive(scraped: Scraped) -> None:
    stored = scraped.ask("targets/metadata", match_target='{job="plain"}')
    kinds = {row["metric"]: (row["type"], row["unit"]) for row in stored}
    assert kinds["wattledger_energy_joules"] == ("counter", "joules")
    assert kinds["wattledger_device_power_watts"] == ("gauge", "watts")


def test_it_scrapes_over_tls_with_a_password_and_without_either_it_does_not(scraped: Scraped) -> None:
    until(lambda: scraped.up("secured"), "the scrape over TLS", scraped.log)
    assert scraped.query('sum(wattledger_device_energy_joules_total{job="secured"})') == {"": 1802.5}
    errors = {target["labels"]["job"]: target["lastError"] for target in scraped.ask("targets", state="active")["activeTargets"]}
    assert errors["plain"] == errors["secured"] == ""
    until(lambda: scraped.query('up{job="wrong_password"}'), "the scrape with a wrong password", scraped.log)
    until(lambda: scraped.query('up{job="no_certificate"}'), "the scrape without a certificate", scraped.log)
    assert not scraped.up("wrong_password")
    assert not scraped.up("no_certificate")
    errors = {target["labels"]["job"]: target["lastError"] for target in scraped.ask("targets", state="active")["activeTargets"]}
    assert "401" in errors["wrong_password"]


def test_clients_that_never_end_their_question_do_not_keep_it_from_scraping(scraped: Scraped) -> None:
    count = 'sum(count_over_time(up{job="plain"}[10m]))'
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", scraped.plain.port), timeout=WAIT_S))
            slow.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        before = scraped.query(count)[""]
        until(lambda: scraped.query(count)[""] >= before + 2, "two more scrapes", scraped.log)
        assert scraped.query('min(min_over_time(up{job="plain"}[10m]))') == {"": 1.0}


def test_promtool_has_nothing_to_say_of_the_metrics() -> None:
    text = Prometheus().render(metered())
    done = subprocess.run([path_of("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_promtool_and_we_accept_the_same_web_configuration(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.make("server")
    file = web_config(tmp_path)
    done = subprocess.run([path_of("promtool"), "check", "web-config", file], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    access = load(Path(file))
    assert access.tls is not None
    assert list(access.users) == ["prometheus"]


def test_the_floats_of_this_suite_add_exactly() -> None:
    """Or the comparison above would hold by luck."""
    for uj in metered().energy_uj.values():
        assert math.ldexp(uj / 1e6, 10).is_integer()
