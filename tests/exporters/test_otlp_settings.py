"""What the environment may ask of OTLP, who speaks, what is never said, and whose child is silent."""

import logging
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.otlp_receiver import Protocol, Receiver, receiver

from wattledger.core.model import Instant
from wattledger.core.totals import State, Totals
from wattledger.core.version import __version__
from wattledger_exporters.otlp import Otlp
from wattledger_exporters.otlp_sdk import resource, setting
from wattledger_exporters.otlp_told import told

ROOT = Path(__file__).parents[2]
PROTOCOLS = ("grpc", "http/protobuf")
STARTED = Instant(1, 1_795_341_600_000_000_000)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_") or name == "NODE_NAME":
            monkeypatch.delenv(name)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiver("http/protobuf") as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        yield found


def send_one(host: str = "gpu-7") -> Otlp:
    otlp = Otlp({"host": host, "at_exit_s": 5.0}, now=lambda: STARTED, started=STARTED)
    otlp.push(Totals().snapshot(State(late_s=0.5)))
    otlp.close(5.0)
    return otlp


# --- how and where ----------------------------------------------------------------------------------------------------------


def test_without_a_word_it_is_http_each_minute_and_cumulative() -> None:
    assert setting() == ("http/protobuf", 60.0, False)


def test_the_variable_for_metrics_goes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert setting().protocol == "grpc"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf")
    assert setting().protocol == "http/protobuf"


@pytest.mark.parametrize(("said", "delta"), [("delta", True), ("DELTA", True), ("cumulative", False), ("lowmemory", False)])
def test_only_delta_means_deltas(said: str, delta: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", said)
    assert setting().delta is delta


@pytest.mark.parametrize("text", ["soon", "0", "-5", "nan", "inf"])
def test_an_interval_that_is_none_is_one_warning_and_the_default(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", text)
    assert setting().interval_s == 60.0
    assert [record.getMessage() for record in caplog.records] == [
        f"wattledger: OTEL_METRIC_EXPORT_INTERVAL={text!r}: expected milliseconds; using 60000"
    ]


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("OTEL_SDK_DISABLED", "true", "OTEL_SDK_DISABLED=true in the environment: nothing is sent by OTLP"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL='http/json': expected grpc or http/protobuf"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(variable: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable) as caught:
        send_one()
    assert str(caught.value) == line


def test_a_variable_that_the_exporter_cannot_read_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "lzma")
    with pytest.raises(ValueError, match=r"^the OTLP exporter does not take its OTEL_\* variables: .*lzma"):
        Otlp({}, now=lambda: STARTED, started=STARTED)
    sent = send_one().sent()
    assert sent.failed == 1
    assert "lzma" in sent.last_error


def test_headers_and_compression_are_the_exporters_own_business(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-tenant=search")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    assert send_one().sent() == (1, 0, "")
    assert (there.headers["x-tenant"], there.headers["content-encoding"]) == ("search", "gzip")


# --- who speaks -------------------------------------------------------------------------------------------------------------


def test_the_service_is_wattledger_on_this_host(there: Receiver) -> None:
    send_one("gpu-7")
    said = there.resource()
    assert (said["service.name"], said["service.version"], said["host.name"]) == ("wattledger", __version__, "gpu-7")
    assert said["telemetry.sdk.language"] == "python"
    assert "k8s.node.name" not in said
    assert "process.command_line" not in said


def test_each_process_has_an_instance_id_of_its_own() -> None:
    first, second = (str(resource("h").attributes["service.instance.id"]) for _ in range(2))
    assert uuid.UUID(first) != uuid.UUID(second)


def test_a_node_of_kubernetes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_NAME", "node-3")
    assert resource("node-3").attributes["k8s.node.name"] == "node-3"


def test_what_the_operator_says_of_the_resource_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=theirs,deployment.environment.name=prod,service.instance.id=7")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "power")
    said = resource("gpu-7").attributes
    names = ("host.name", "deployment.environment.name", "service.instance.id", "service.name")
    assert [said[name] for name in names] == ["theirs", "prod", "7", "power"]


def test_detectors_that_are_asked_for_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "os,otel")
    assert resource("gpu-7").attributes["os.type"] == sys.platform
    assert resource("gpu-7").attributes["service.name"] == "wattledger"


def test_a_detector_that_is_not_there_is_one_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "nonesuch")
    assert resource("gpu-7").attributes["service.name"] == "wattledger"
    assert [r.getMessage() for r in caplog.records] == ["wattledger: the resource detector 'nonesuch' was not heard: there is none"]


# --- secrets ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Failed to reach https://user:a/s3cret@collector.example:4318/v1/metrics, retrying",
        "HTTPConnectionPool(host='c', port=80): Max retries exceeded with url: /v1/metrics?api-key=s3cret (Caused by X)",
        "cannot open 'https://collector.example/s3cret/v1/metrics'",
        "several\nlines https://collector.example/?key=s3cret\n",
    ],
)
def test_a_failure_names_the_host_but_no_key(text: str) -> None:
    line = told(text)
    assert "s3cret" not in line
    assert "\n" not in line
    assert "collector.example" in line or "host='c'" in line


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_key_in_the_endpoint_is_not_in_the_failure(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://me:s3cret@127.0.0.1:1/v1/metrics?key=s3cret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    sent = send_one().sent()
    assert sent.failed == 1
    assert "s3cret" not in sent.last_error + caplog.text
    assert sent.last_error.startswith("http://127.0.0.1:1: ")


# --- threads and forks -------------------------------------------------------------------------------------------------------


def test_a_programs_own_exporters_go_on_talking(there: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Only what the SDK says on our thread is kept from the log."""
    there.mood = "hang"
    sending = threading.Thread(target=send_one)
    sending.start()
    there.wait_for(0, asked=1)
    logging.getLogger("opentelemetry.exporter.otlp.proto.http.metric_exporter").error("theirs")
    there.release()
    sending.join()
    assert "theirs" in [record.getMessage() for record in caplog.records]


AT_EXIT = """
import atexit
from wattledger.core.model import Instant
from wattledger.core.totals import State, Totals
from wattledger_exporters.otlp import Otlp

otlp = Otlp({"at_exit_s": 5.0}, now=lambda: Instant(1, 1), started=Instant(0, 0))

def end():
    otlp.push(Totals().snapshot(State(late_s=1.0)))
    otlp.close(5.0)
    assert otlp.sent() == (1, 0, ""), otlp.sent()

atexit.register(end)
"""


def leads_to(found: Receiver) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "agent"), str(ROOT / "exporters")]),
        "OTEL_EXPORTER_OTLP_ENDPOINT": found.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": found.protocol,
        "OTEL_METRIC_EXPORT_INTERVAL": "20",
    }


def run(code: str, env: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_sends_as_the_interpreter_ends_when_no_thread_can_be_started(protocol: Protocol) -> None:
    with receiver(protocol) as found:
        run(AT_EXIT, leads_to(found))
    assert [point.value for point in found.points()] == [1.0]


FORKING = """
import itertools, os, time, warnings
from wattledger.core.model import Instant
from wattledger.core.totals import State, Totals
from wattledger_exporters.otlp import Otlp

start = Instant(0, 10**18)
clock = (Instant(s, 10**18 + s) for s in itertools.count(1))
otlp = Otlp({}, now=clock.__next__, started=start)
otlp.push(Totals().snapshot(State(late_s=1.0)))
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 says that forking with threads is perilous: it is
child = os.fork()
if not child:
    # Longer than ten intervals with something to say, and then an orderly end.
    otlp.push(Totals().snapshot(State(late_s=2.0)))
    time.sleep(0.3)
    otlp.close(1.0)
    os._exit(0)
os.waitpid(child, 0)
otlp.push(Totals().snapshot(State(late_s=3.0)))
otlp.close(5.0)
assert otlp.sent().failed == 0, otlp.sent()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_forked_child_sends_nothing(protocol: Protocol) -> None:
    with receiver(protocol) as found:
        run(FORKING, leads_to(found))
    late = [point.value for point in found.points() if point.metric == "wattledger.tick_late"]
    assert late in ([1.0, 3.0], [3.0])
