"""A meter that Prometheus scrapes: what its answers come to; the server here says what a test wants said."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.runtime.answers import serving, told

from wattledger.core.model import Device, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Source, SourceFailed, SourceGone
from wattledger.runtime.fetch import make_fetch
from wattledger.sources import promquery

S = 1_000_000_000
WALL_S = 1_795_341_600
QUERY = 'node_hwmon_power_watts{instance="gpu-7:9100"} > 0'


class Prometheus:
    """State: what it will answer, when it says that this was scraped, and the requests it got."""

    def __init__(self) -> None:
        self.answer: Any = vector("321.5")
        self.stamps: Any = vector(str(WALL_S))
        self.status = "200 OK"
        self.requests: list[str] = []
        self.url = ""

    def say(self, peer: socket.socket, request: bytes) -> None:
        self.requests.append(request.decode())
        answer = self.stamps if "query=timestamp%28" in self.requests[-1] else self.answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        peer.sendall(told(body, status=self.status))

    def host(self, **options: object) -> Host:
        return Host("", "", {}, (), True, {"url": self.url, "query": QUERY, "period_s": 10.0, **options}, make_fetch())


def vector(*values: str, at_s: float = WALL_S) -> dict[str, Any]:
    result = [{"metric": {"instance": str(i)}, "value": [at_s, value]} for i, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.fixture
def server() -> Iterator[Prometheus]:
    prometheus = Prometheus()
    with serving(prometheus.say) as listener:
        prometheus.url = listener.url("")
        yield prometheus


def read(source: Source, at_s: float = 0) -> list[Sample]:
    return list(source.read(lambda: Instant(round(at_s * S), round((WALL_S + at_s) * S)), True))


def test_one_series_is_the_nodes_power(server: Prometheus) -> None:
    """At the time at which it was scraped, 3 s ago."""
    source = promquery.open(server.host())
    device = Device("node/promquery", "node", "meter in Prometheus", "(parts)", 10 * S)
    assert source.devices() == [device]
    assert read(source, 3) == [PowerGauge(device, Instant(0, WALL_S * S), 321_500_000)]
    source.close()
    asked = [urlsplit(request.split(" ")[1]) for request in server.requests]
    assert {url.path for url in asked} == {"/api/v1/query"}
    assert [parse_qs(url.query) for url in asked] == [
        {"query": [query], "lookback_delta": ["30"]} for query in (QUERY, f"timestamp({QUERY})")
    ]


@pytest.mark.parametrize("stamps", [vector(), vector("1", "2")])
def test_of_what_has_no_time_of_its_own_the_questions_time_is_taken(server: Prometheus, stamps: object) -> None:
    server.stamps = stamps
    (sample,) = read(promquery.open(server.host()))
    assert isinstance(sample, PowerGauge)
    assert sample.at == Instant(0, WALL_S * S)


def test_a_server_whose_clock_is_ahead_does_not_tell_the_future(server: Prometheus) -> None:
    server.stamps = vector(str(WALL_S + 7))
    (sample,) = read(promquery.open(server.host()))
    assert isinstance(sample, PowerGauge)
    assert sample.at == Instant(0, WALL_S * S)


def test_a_scalar_will_do(server: Prometheus) -> None:
    server.answer = {"status": "success", "data": {"resultType": "scalar", "result": [WALL_S, "40"]}}
    assert [s.power_uw for s in read(promquery.open(server.host())) if isinstance(s, PowerGauge)] == [40_000_000]


def test_it_asks_once_a_period_and_at_no_boundary(server: Prometheus) -> None:
    source = promquery.open(server.host())
    assert not source.edge
    assert list(source.read(lambda: Instant(0, 0), False)) == []
    assert [len(read(source, s)) for s in (0, 1, 9.9, 10, 19, 20.5)] == [1, 0, 0, 1, 0, 1]
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (vector(), "nothing of the last 30 s"),
        (vector("1", "2"), r"2 series, not one: narrow it to this node, or sum\(\) it"),
        (vector("NaN"), "no number"),
        (vector("+Inf"), "no number"),
        (vector("0"), "0 W"),
        (vector("-3"), "-3 W"),
        (vector("much"), "not that of a Prometheus server"),
        (b"<html>", "not that of a Prometheus server"),
        (b"[]", "not that of a Prometheus server"),
        (b"{}", "not that of a Prometheus server"),
        (b"[" * 100_000, "not that of a Prometheus server"),
        ({"data": {"resultType": "vector", "result": 7}}, "not that of a Prometheus server"),
        ({"data": {"resultType": "matrix", "result": [{"values": []}]}}, "not that of a Prometheus server"),
        ({"data": {"resultType": "scalar", "result": [1]}}, "not that of a Prometheus server"),
    ],
)
def test_what_is_no_fresh_power_is_a_failure_in_one_line(server: Prometheus, answer: object, why: str) -> None:
    server.answer = answer
    with pytest.raises(SourceFailed, match=why) as failed:
        read(promquery.open(server.host()))
    assert "\n" not in str(failed.value)


def test_a_sample_of_three_periods_ago_is_the_oldest_that_is_taken(server: Prometheus) -> None:
    server.stamps = vector(str(WALL_S - 30))
    assert len(read(promquery.open(server.host()))) == 1
    server.stamps = vector(str(WALL_S - 31))
    with pytest.raises(SourceFailed, match="31 s old"):
        read(promquery.open(server.host()))


def test_an_error_of_the_server_shows_no_query(server: Prometheus) -> None:
    server.status = "400 Bad Request"
    with pytest.raises(SourceFailed) as failed:
        read(promquery.open(server.host()))
    assert str(failed.value) == f"{server.url}/api/v1/query: HTTP 400 Bad Request"


def test_a_token_and_a_password_come_from_files_that_are_read_each_time(server: Prometheus, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    secret.chmod(0o600)
    token = promquery.Promquery(server.host(token_file=str(secret)))
    read(token, 0)
    secret.write_text("second\n")
    read(token, 10)
    tokens = [request.split("Bearer ")[1].split("\r\n")[0] for request in server.requests]
    assert tokens == ["first", "first", "second", "second"]
    read(promquery.open(server.host(user="ann", password_file=str(secret))))
    assert "Authorization: Basic YW5uOnNlY29uZA==\r\n" in server.requests[-1]
    assert list(token.notes) == []
    secret.chmod(0o644)
    read(token, 20)
    assert list(token.notes) == [f"promquery: {secret} holds a secret and everybody may read it; chmod 0600 {secret}"]


def test_a_secret_that_cannot_be_read_is_named_by_its_file(server: Prometheus, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    for options, why in (
        ({"user": "ann"}, "password_file is not"),
        ({"token_file": str(tmp_path / "no")}, "No such file"),
        ({"token_file": str(tmp_path / "odd")}, "not text"),
    ):
        with pytest.raises(SourceFailed, match=why):
            read(promquery.open(server.host(**options)))
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({}, "absent"),
        ({"url": "http://127.0.0.1:9"}, "absent"),
        ({"url": "127.0.0.1:9090", "query": "x"}, "broken"),
        ({"url": "http://ann:s3cret@127.0.0.1:9", "query": "x"}, "broken"),
    ],
)
def test_what_is_not_configured_is_no_source(options: dict[str, object], state: str) -> None:
    host = Host("", "", {}, (), True, options)
    with pytest.raises(SourceGone) as gone:
        promquery.open(host)
    (finding,) = promquery.examine(host)
    assert finding.state == state
    assert finding.remedy
    assert "s3cret" not in f"{gone.value} {finding}"


def test_the_doctor_asks_once(server: Prometheus, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    usable, note = promquery.examine(server.host(token_file=str(secret)))
    assert (usable.state, usable.sensor, usable.why) == ("usable", "node/promquery", "321.5 W now, integrated")
    assert "chmod 0600" in note.why
    server.answer = vector()
    (finding,) = promquery.examine(server.host())
    assert (finding.state, "nothing of the last 30 s" in finding.why) == ("broken", True)
