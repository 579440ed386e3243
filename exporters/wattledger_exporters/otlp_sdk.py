"""OpenTelemetry's SDK: the resource, the OTLP exporter that the ``OTEL_*`` variables ask for, and one request.

The exporters, the resource detectors and the data types are the SDK's; its instruments, reader and provider are not used.  An
observable instrument keeps 2 kB for every attribute set it ever saw (measured: 5,000 ended workloads, 10 MB, with 1.45.2) until the
process ends, past 2,000 of them it drops their names, and its deltas lose what a failed export carried.  A snapshot holds all that
is to be said, so each request is made from one afresh, as a scrape is.
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import NamedTuple

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk import version as sdk
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from wattledger.core.version import __version__
from wattledger_exporters.otlp_points import Point, Reading
from wattledger_exporters.otlp_told import told, why

log = logging.getLogger("wattledger.exporters.otlp")
SCOPE = InstrumentationScope("wattledger", __version__)
INTERVAL_MS = 60_000.0  # the specification's default


class Setting(NamedTuple):
    """What ``OTEL_*`` ask of who sends; the exporter reads where to, headers, TLS, compression and timeout by itself."""

    protocol: str
    interval_s: float
    delta: bool


def setting() -> Setting:
    """From the environment.  Raises ValueError with one line: what, where, what to do."""
    environ = os.environ
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        raise ValueError("OTEL_SDK_DISABLED=true in the environment: nothing is sent by OTLP")
    names = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((value for name in names if (value := environ.get(name, "").strip().lower())), "http/protobuf")
    if protocol not in ("grpc", "http/protobuf"):
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r}: expected grpc or http/protobuf")
    preference = environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    # `lowmemory` asks for deltas of synchronous counters only; ours are totals that are observed.
    return Setting(protocol, _interval_s(environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")), preference == "delta")


def _interval_s(text: str) -> float:
    try:
        interval_ms = float(text or INTERVAL_MS)
    except ValueError:
        interval_ms = 0.0
    if not 0 < interval_ms < 1e9:
        log.warning("wattledger: OTEL_METRIC_EXPORT_INTERVAL=%r: expected milliseconds; using %g", text, INTERVAL_MS)
        interval_ms = INTERVAL_MS
    return interval_ms / 1e3


class Wire:
    """One exporter of the SDK.  ``send`` blocks up to its timeout (``OTEL_EXPORTER_OTLP_TIMEOUT``, retries included; at most
    ``most_s`` where that is given), so it belongs on a thread of one's own.

    With ``most_s`` the connection is made by the first ``send``, and until then a fork is harmless; without, at once.  Raises
    ValueError or ImportError with one line where it cannot be made.
    """

    def __init__(self, setting: Setting, host: str, most_s: float | None = None) -> None:
        self.delta = setting.delta
        self._endpoint = _endpoint(setting.protocol)
        self.resource = resource(host)
        self._most_s = most_s
        self._overheard = Overheard()
        self._open: MetricExporter | None = None
        try:
            self._make = _exporter(setting.protocol)
        except ModuleNotFoundError as missing:
            raise ImportError("the OTLP exporter is not installed: pip install 'wattledger[otlp]'") from missing
        if most_s is None:
            try:
                self._exporter()
            except Exception as failure:  # whatever it makes of a variable it cannot read
                raise ValueError(f"the OTLP exporter does not take its OTEL_* variables: {told(failure)}") from failure

    def _exporter(self) -> MetricExporter:
        if self._open is None:
            self._open = self._make(timeout=_timeout_s(self._most_s))
        return self._open

    @property
    def host_id(self) -> str:
        """The host's, by its machine id or else its name."""
        attributes = self.resource.attributes
        return str(attributes.get("host.id") or attributes.get("host.name") or "host")

    def send(self, part: Sequence[tuple[Reading, list[Point]]], at_ns: int) -> str:
        """One request; ``""`` once the receiver has taken it, else why not, in one line without secrets."""
        temporality = AggregationTemporality.DELTA if self.delta else AggregationTemporality.CUMULATIVE
        metrics = [_metric(reading, points, at_ns, temporality) for reading, points in part]
        scope = ScopeMetrics(SCOPE, metrics, "")
        # A program that traces its HTTP or gRPC calls shall not find ours among them.
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            with self._overheard as heard:
                result = self._exporter().export(MetricsData([ResourceMetrics(self.resource, [scope], "")]))
        except Exception as failure:
            return why(failure, self._endpoint)
        finally:
            detach(token)
        return "" if result is MetricExportResult.SUCCESS else why(heard.said or "the exporter gave no reason", self._endpoint)

    def shutdown(self) -> None:
        """Let the connection go; a request under way ends, its retries too."""
        if self._open is not None:
            with Overheard():  # not the one that may be listening to a request on its thread
                self._open.shutdown()


def _exporter(protocol: str) -> Callable[..., MetricExporter]:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as Grpc

        return Grpc
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as Http

    return Http


def _endpoint(protocol: str) -> str:
    """Where the exporter sends; for messages."""
    names = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    default = f"http://localhost:{4317 if protocol == 'grpc' else 4318}"
    return next((value for name in names if (value := os.environ.get(name))), default)


def _timeout_s(most_s: float | None) -> float | None:
    """``None``: the exporter's own."""
    names = ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    asked = next((value for name in names if (value := os.environ.get(name))), None)
    return most_s if most_s is None or asked is None else min(most_s, float(asked))


def _metric(reading: Reading, points: list[Point], at_ns: int, temporality: AggregationTemporality) -> Metric:
    found = [NumberDataPoint(point.attributes, point.start_ns, at_ns, point.value) for point in points]
    data = Gauge(found) if reading.kind == "gauge" else Sum(found, temporality, is_monotonic=True)
    return Metric(reading.name, reading.help, reading.unit, data)


# --- the resource -----------------------------------------------------------------------------------------------------------


def resource(host: str) -> Resource:
    """Who speaks.  The later wins: the SDK's host detector, what we know, the detectors that
    ``OTEL_EXPERIMENTAL_RESOURCE_DETECTORS`` names, ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME``.

    ``host`` is the node's name (``NODE_NAME`` where an operator set it).  Each process has a ``service.instance.id`` of its own, so
    that totals which begin again at 0 are another's.
    """
    ours = {
        "service.name": "wattledger",
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk.__version__,
    }
    if host:
        ours["host.name"] = host
    if os.environ.get("NODE_NAME"):
        ours["k8s.node.name"] = os.environ["NODE_NAME"]
    asked = [name for part in os.environ.get("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "").split(",") if (name := part.strip())]
    found = _detected("host").merge(Resource(ours))
    for name in (*(name for name in dict.fromkeys(asked) if name not in ("otel", "host", "service_instance", "*")), "otel"):
        found = found.merge(_detected(name))
    return found


def _detected(name: str) -> Resource:
    """Here and not by ``Resource.create``, which asks them on threads: at the end of a program there are no new ones."""
    try:
        detector = next(iter(entry_points(group="opentelemetry_resource_detector", name=name)))
        found = detector.load()().detect()
        return found if isinstance(found, Resource) else Resource.get_empty()
    except Exception as failure:  # whatever a detector from outside may raise
        why = repr(failure) if str(failure) else "there is none"
        log.warning("wattledger: the resource detector %r was not heard: %s", name, why)
        return Resource.get_empty()


# --- what the exporter says -------------------------------------------------------------------------------------------------


class Overheard(logging.Filter):
    """While it is entered: what the SDK logs on this thread is kept for ``said`` and not printed, because each try of each request
    would be a line; a program's own exporters go on talking on theirs.

    State: the thread listened to, and the first thing it said.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = 0
        self.said = ""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        self.said = self.said or record.getMessage()
        return False

    def __enter__(self) -> "Overheard":
        self._thread, self.said = threading.get_ident(), ""
        for logger in _loggers():
            logger.filters.insert(0, self)  # before the SDK's own, which keeps from us what it wrote within the last minute
        return self

    def __exit__(self, *_: object) -> None:
        self._thread = 0
        for logger in _loggers():
            logger.removeFilter(self)


def _loggers() -> list[logging.Logger]:
    """A filter holds for the records of its own logger only, so each of the SDK's is asked."""
    names = [name for name in list(logging.root.manager.loggerDict) if name.startswith("opentelemetry.")]
    return [logging.getLogger(name) for name in names]
