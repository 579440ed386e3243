"""Prometheus text 0.0.4 and OpenMetrics 1.0, rendered afresh from each snapshot: nothing is kept between two scrapes.

prometheus_client makes the families (and checks their names); the numbers are written here, because a float holds a microjoule only
up to 2^33 J, which a GPU passes in five months, and from then on the sums of the text would not close.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wattledger.core.catalog import CATALOG, number_text
from wattledger.core.totals import Snapshot

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


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
        family = make(metric.name, metric.help, labels=metric.labels)
        family.unit = metric.unit
        for labels, value in metric.rows(snapshot):
            family.add_metric(labels, value)  # type: ignore[arg-type]  # a Decimal is as good as a float to it
        if family.samples:
            yield family


class Prometheus:
    """A ``Renderer``; stateless, so any thread may ask it at any time."""

    def render(self, snapshot: Snapshot, accept: str = "") -> bytes:
        """The whole scrape as UTF-8, in the form that ``content_type(accept)`` names."""
        openmetrics = content_type(accept) == OPENMETRICS
        lines = [line for family in families(snapshot) for line in _family(family, openmetrics)]
        return "\n".join([*lines, "# EOF", ""] if openmetrics else [*lines, ""]).encode("utf-8", "replace")


def _family(family: "Family", openmetrics: bool) -> Iterator[str]:
    name = family.name if openmetrics or family.type != "counter" else f"{family.name}_total"
    described = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} " + (described.replace('"', r"\"") if openmetrics else described)
    yield f"# TYPE {name} {family.type}"
    if openmetrics and family.unit:
        yield f"# UNIT {name} {family.unit}"
    for sample in family.samples:
        labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in sample.labels.items() if value)
        yield f"{sample.name}{{{labels}}} {number_text(sample.value)}" if labels else f"{sample.name} {number_text(sample.value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
