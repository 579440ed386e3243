"""Why a request did not arrive: the innermost cause in plain words, and where, without a key."""

import socket

import pytest

from wattledger.core.model import Instant
from wattledger.core.totals import State, Totals
from wattledger_exporters.otlp import Otlp
from wattledger_exporters.otlp_told import cause, place, why

STARTED = Instant(1, 1_795_341_600_000_000_000)
POOL = (
    "Transient error HTTPConnectionPool(host='c', port=4318): Max retries exceeded with url: /v1/metrics (Caused by {}) "
    "encountered while exporting metrics batch, retrying in 1.09s."
)
GRPC = "Transient error StatusCode.UNAVAILABLE encountered while exporting metrics to c:4317, retrying in 0.95s. Error details: {}"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_dead_collector_is_said_in_plain_words(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    otlp = Otlp({"at_exit_s": 2.0}, now=lambda: STARTED, started=STARTED)
    otlp.push(Totals().snapshot(State(late_s=0.5)))
    otlp.close(2.0)
    assert otlp.sent() == (0, 1, f"{endpoint}: connection refused")
    assert [r.getMessage() for r in caplog.records] == [f"wattledger: otlp: {endpoint}: connection refused"]


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        (POOL.format('NewConnectionError("HTTPConnection(host=\'c\'): [Errno 111] Connection refused")'), "connection refused"),
        (POOL.format("NameResolutionError(\"Failed to resolve 'c' ([Errno -2] Name or service not known)\")"), "no such host"),
        (POOL.format("ProxyError('Unable to connect', OSError('Connection refused'))"), "its proxy: connection refused"),
        (POOL.format("SSLError(SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number'))"), "it does not answer by TLS"),
        (
            POOL.format("SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed one (_ssl.c:1)')"),
            "its certificate is not trusted: self-signed one",
        ),
        ("HTTPConnectionPool(host='c', port=4318): Read timed out. (read timeout=2)", "no answer in time"),
        ("Failed to export metrics batch code: 400, reason: bad: Connection refused", "HTTP 400 bad: Connection refused"),
        ("Transient error Service Unavailable encountered while exporting metrics batch, retrying in 1s.", "Service Unavailable"),
        (GRPC.format("last error: UNKNOWN: ipv4:127.0.0.1:4317: Connection refused"), "connection refused"),
        (GRPC.format("errors resolving c:4317: Domain name not found"), "no such host"),
        (GRPC.format("the queue is full"), "UNAVAILABLE: the queue is full"),
        ("Transient error StatusCode.UNAVAILABLE encountered while exporting metrics to c:1, retrying in 1s.", "UNAVAILABLE"),
        (
            "Failed to export metrics to c:4317, error code: StatusCode.INVALID_ARGUMENT, error details: no such unit",
            "INVALID_ARGUMENT: no such unit",
        ),
        ("something new", "something new"),
    ],
)
def test_the_innermost_cause_is_what_is_said(said: str, plain: str) -> None:
    assert cause(said) == plain


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
        ("https://me:s3cret@collector.example/v1/metrics?key=s3cret#s3cret", "https://collector.example"),
        ("collector.example:4317", "collector.example:4317"),
        ("me:s3cret@collector.example:4317", "collector.example:4317"),
        ("http://[::1]:4318/s3cret", "http://[::1]:4318"),
        ("https://me:a/s3cret@collector.example", "the endpoint"),
        ("https://me:12/s3cret@collector.example", "the endpoint"),
        ("http://[s3cret", "the endpoint"),
    ],
)
def test_an_endpoint_is_shown_without_what_may_be_a_key(endpoint: str, shown: str) -> None:
    assert place(endpoint) == shown


def test_what_grpc_repeats_of_the_endpoint_holds_no_key() -> None:
    line = why("it went wrong at me:s3cret@collector.example:4317, said me:s3cret@collector.example", "collector.example:4317")
    assert line == "collector.example:4317: it went wrong at collector.example:4317, said collector.example"


def test_a_long_story_is_cut() -> None:
    assert len(cause("Failed to export metrics batch code: 500, reason: " + "x" * 5000)) == 300
