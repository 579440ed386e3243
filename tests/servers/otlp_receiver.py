"""A real OTLP receiver for tests: the published protobuf services, over gRPC and HTTP, on a free port of the loopback.

It takes, refuses or ignores (``hang``) what it is sent, and keeps what it took.
"""

import contextlib
import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple

Protocol = Literal["grpc", "http/protobuf"]
Mood = Literal["take", "refuse", "hang"]


class Got(NamedTuple):
    """One data point as it was sent."""

    metric: str
    unit: str
    kind: Literal["counter", "gauge"]
    delta: bool
    attributes: dict[str, Any]
    value: int | float
    start_ns: int
    at_ns: int


class Receiver:
    """State: its ``mood`` (set it at any time), the requests it took, how many it was asked, and the headers of the last."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.mood: Mood = "take"
        self.asked = 0
        self.requests: list[Any] = []
        self.headers: dict[str, str] = {}
        self.endpoint = ""
        self._changed = threading.Condition()
        self._released = threading.Event()

    def take(self, request: Any, headers: dict[str, str]) -> bool:
        """For the servers: whether the request is taken."""
        with self._changed:
            self.asked += 1
            self.headers = headers
            self._changed.notify_all()
        if self.mood == "hang":
            self._released.wait(30)
            return False
        if self.mood == "take":
            with self._changed:
                self.requests.append(request)
                self._changed.notify_all()
        return self.mood == "take"

    def release(self) -> None:
        """Let go of whoever hangs."""
        self._released.set()

    def wait_for(self, requests: int, *, asked: int = 0, timeout_s: float = 10.0) -> None:
        """Until so many were taken and so many were tried; fails the test if they are not."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.requests) >= requests and self.asked >= asked, timeout_s)
        assert enough, f"{len(self.requests)} requests taken of {self.asked}"

    def points(self, *, since: int = 0) -> list[Got]:
        """Every point of the requests taken, in the order they came; ``since`` leaves out the first requests."""
        return [point for request in self.requests[since:] for point in _points(request)]

    def resource(self) -> dict[str, Any]:
        """The attributes of who sent the last request."""
        return _plain(self.requests[-1].resource_metrics[0].resource.attributes)


def _points(request: Any) -> Iterator[Got]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind: Literal["counter", "gauge"] = "counter" if metric.HasField("sum") else "gauge"
                data = metric.sum if kind == "counter" else metric.gauge
                assert kind == "gauge" or data.is_monotonic
                delta = kind == "counter" and data.aggregation_temporality == 1
                for point in data.data_points:
                    value = point.as_int if point.HasField("as_int") else point.as_double
                    times = point.start_time_unix_nano, point.time_unix_nano
                    yield Got(metric.name, metric.unit, kind, delta, _plain(point.attributes), value, *times)


def _plain(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


@contextlib.contextmanager
def receiver(protocol: Protocol) -> Iterator[Receiver]:
    """A receiver that listens, and is gone after the block."""
    found = Receiver(protocol)
    with _grpc(found) if protocol == "grpc" else _http(found):
        try:
            yield found
        finally:
            found.release()


@contextlib.contextmanager
def _grpc(found: Receiver) -> Iterator[None]:
    import grpc
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as messages
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as services

    class Service(services.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # the service's own name
            if not found.take(request, dict(context.invocation_metadata())):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "refused")
            return messages.ExportMetricsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(4))
    services.add_MetricsServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]
    found.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield
    finally:
        found.release()
        server.stop(None).wait()


@contextlib.contextmanager
def _http(found: Receiver) -> Iterator[None]:
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as messages

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = messages.ExportMetricsServiceRequest.FromString(body)
            taken = self.path == "/v1/metrics" and found.take(request, {k.lower(): v for k, v in self.headers.items()})
            self.send_response(200 if taken else 400)
            self.send_header("Content-Length", "0")
            with contextlib.suppress(OSError):  # who hung up has heard enough
                self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        found.release()
        server.shutdown()
        thread.join()
        server.server_close()
