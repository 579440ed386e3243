"""Prometheus text 0.0.4 and OpenMetrics 1.0, rendered afresh from each snapshot: no total is kept between two scrapes.

The numbers are written here and not by prometheus_client, because a float holds a microjoule only up to 2^33 J, which a GPU passes
in five months, and from then on the sums of the text would not close.  ``families`` hands the same rows to a registry.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from wattledger.core.catalog import CATALOG, WHO, Metric, number_text
from wattledger.core.totals import Snapshot

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

CHUNK_ROWS = 256  # half a millisecond of rendering: whoever takes the chunks can let other threads run between two
SERIES = 16_384  # texts of series that are remembered, half a kilobyte each
EXEMPLAR_CHARS = 128  # OpenMetrics: names and values of an exemplar's labels together
RUN_ID = "run_id"
PLAIN = re.compile(r"[\w.:/@+-]+", re.ASCII)  # parsers differ on what is escaped in an exemplar, and one would end the scrape


def content_type(accept: str = "") -> str:
    """The MIME type that ``render`` answers an ``Accept`` header with: OpenMetrics for who names it, text 0.0.4 for all others."""
    offered = (part.split(";")[0].strip().lower() for part in accept.split(","))
    return OPENMETRICS if "application/openmetrics-text" in offered else TEXT


def families(snapshot: Snapshot) -> Iterator["Family"]:
    """prometheus_client's metric families of a snapshot, for a registry of one's own; values are exact decimals where they are
    energy.  A metric without rows is left out."""
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    for metric in CATALOG:
        make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = make(metric.name, metric.help, labels=metric.label_names(snapshot))
        family.unit = metric.unit
        for labels, value in metric.rows(snapshot):
            family.add_metric(labels, value)  # type: ignore[arg-type]  # a Decimal is as good as a float to it
        if family.samples:
            yield family


class Prometheus:
    """A ``Renderer``; stateless, so any thread may ask it at any time.  ``catalog``: the metrics it renders."""

    def __init__(self, catalog: Iterable[Metric] = CATALOG) -> None:
        self._catalog = tuple(catalog)

    def content_type(self, accept: str = "") -> str:
        """The MIME type of ``render``'s answer."""
        return content_type(accept)

    def render(self, snapshot: Snapshot, accept: str = "") -> bytes:
        """The whole scrape as UTF-8, in the form that ``content_type(accept)`` names."""
        return b"".join(self.chunks(snapshot, accept))

    def chunks(self, snapshot: Snapshot, accept: str = "") -> Iterator[bytes]:
        """The same in pieces of a few hundred lines, each rendered when it is asked for: ten thousand series in one go would keep
        the interpreter from the sampler's thread for longer than a tick may be late."""
        lines = _lines(self._catalog, snapshot, content_type(accept) == OPENMETRICS)
        while chunk := "".join(islice(lines, CHUNK_ROWS)):
            yield chunk.encode("utf-8", "replace")


def _lines(catalog: Iterable[Metric], snapshot: Snapshot, openmetrics: bool) -> Iterator[str]:
    exemplars = _exemplars(snapshot) if openmetrics else {}
    for metric in catalog:
        names, own = metric.label_names(snapshot), len(metric.labels)
        runs = exemplars if metric.kind == "counter" and names[: len(WHO)] == WHO else {}
        head: Iterable[str] = _head(metric, openmetrics)
        for values, number in metric.rows(snapshot):
            yield from head
            head = ()  # a metric without rows has none, and one with rows has one
            text = number_text(number)
            run = runs.get(values[: len(WHO)] + values[own:]) if runs else None
            yield f"{_series(metric.name, names, values)} {text}" + (f" # {run} {text}\n" if run else "\n")
    if openmetrics:
        yield "# EOF\n"


def _exemplars(snapshot: Snapshot) -> Mapping[tuple[str, ...], str]:
    """By the values of the labels that say who: the run of that workload, where it names one.  ``run_id`` is seldom exported, so
    that many runs share a series: its exemplar leads to one of them."""
    names = (*WHO, *snapshot.label_names)
    runs = {}
    for workload in sorted({key[0] for key in snapshot.energy_uj}, key=lambda w: w.labels):
        labels = dict(workload.labels)
        run_id = labels.get(RUN_ID, "")
        if PLAIN.fullmatch(run_id) and len(RUN_ID) + len(run_id) <= EXEMPLAR_CHARS:
            labels |= {"job_name": workload.job, "model_name": workload.model or ""}
            runs[tuple(labels.get(name, "") for name in names)] = f'{{{RUN_ID}="{run_id}"}}'
    return runs


def _head(metric: Metric, openmetrics: bool) -> Iterator[str]:
    name = metric.name.removesuffix("_total") if openmetrics and metric.kind == "counter" else metric.name
    described = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} " + (described.replace('"', r"\"") if openmetrics else described) + "\n"
    yield f"# TYPE {name} {metric.kind}\n"
    if openmetrics and metric.unit:
        yield f"# UNIT {name} {metric.unit}\n"


@lru_cache(SERIES)
def _series(name: str, names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """A pure function, so remembering its answers keeps no state: the same series come at each scrape."""
    labels = ",".join([f'{label}="{_escaped(value)}"' for label, value in zip(names, values, strict=True) if value])
    return f"{name}{{{labels}}}" if labels else name


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
