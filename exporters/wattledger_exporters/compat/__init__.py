"""Other exporters' metric names, so that dashboards that people already have keep working: ``/metrics/compat``.

The same snapshot, the same division of energy, other words.  Each family is a file: ``dcgm``, ``kepler``, ``ceems``.  Only
energy, power, temperature and emissions have counterparts here; what those exporters say of clocks, memory or instructions is not
said.  Where their own rows count a joule twice (a device row for each pod on it), ours hold parts that add up.
"""

import os
from collections.abc import Callable, Iterator

from wattledger.core.catalog import Metric
from wattledger.core.totals import Snapshot
from wattledger_exporters.compat import ceems, dcgm, kepler
from wattledger_exporters.compat.place import Place
from wattledger_exporters.prometheus import TEXT, Prometheus

FAMILIES: dict[str, Callable[[Place], tuple[Metric, ...]]] = {
    "dcgm": dcgm.metrics,
    "kepler": kepler.metrics,
    "ceems": ceems.metrics,
}


class Compat:
    """A ``Renderer`` of other names.

    ``names``: which families, with commas; ``host``: what their node labels say; ``pue``: the factor in force.  Raises ValueError
    with one line for a family that there is not.
    """

    def __init__(self, names: str, host: str, pue: Callable[[], float]) -> None:
        wanted = [name.strip() for name in names.split(",") if name.strip()]
        for name in wanted:
            if name not in FAMILIES:
                raise ValueError(f"exporters.compat.names: no family {name!r}; there are {', '.join(FAMILIES)}")
        place = Place(host, pue, os.cpu_count() or 0)
        self.catalog = tuple(metric for name in dict.fromkeys(wanted) for metric in FAMILIES[name](place))
        self._text = Prometheus(self.catalog)

    def content_type(self, accept: str = "") -> str:
        """The MIME type of ``render``'s answer: always the plain text, as OpenMetrics has no counter without ``_total``."""
        return TEXT

    def render(self, snapshot: Snapshot, accept: str = "") -> bytes:
        """The whole scrape; power of each share is in it where the snapshot has it (``core.totals.powered``)."""
        return self._text.render(snapshot)

    def chunks(self, snapshot: Snapshot, accept: str = "") -> Iterator[bytes]:
        """The same in pieces, each rendered when it is asked for."""
        return self._text.chunks(snapshot)
