"""An intensity that a Prometheus server has already: one series in g/kWh, by a range query.

What it says of a moment holds for the slot that begins then.  Its lookback fills holes of up to five minutes, as everywhere in
Prometheus.
"""

from collections.abc import Mapping, Sequence

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import GridPlace, GridProvider, Request, SourceFailed, SourceGone
from wattledger.factors.grid import _reading as reading

NAME = "promquery"
MOST_POINTS = 10_000  # a server refuses more than 11,000 at once


class Promquery:
    """State: none."""

    name = NAME
    signal: Signal = "average"
    licence = "the user's own"

    def __init__(self, place: GridPlace) -> None:
        self._place = place
        self._url = reading.base_url(place, NAME, "")
        self._query = str(place.options["query"])
        self._zone = str(place.options["zone"]).strip().upper()
        self.boundary = str(place.options.get("boundary", "direct"))
        self.step_s = max(1, round(float(str(place.options.get("step_s", 300.0)))))

    def covers(self, zone: str) -> bool:
        return zone == self._zone

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        """Nothing of the time to come: a range query would repeat the last value."""
        from_s, until_s = reading.whole(start_s, min(end_s, now_s + 1), self.step_s)
        slots = []
        for piece in reading.pieces(from_s, until_s, MOST_POINTS * self.step_s):
            slots += self._slots(*piece)
        return reading.facts(reading.Series(NAME, zone, self.step_s, "average", self.boundary), slots, start_s, end_s)

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        """A Prometheus server knows no future."""
        return []

    def _slots(self, from_s: int, until_s: int) -> list[reading.Slot]:
        words = {"query": self._query, "start": from_s, "end": until_s - self.step_s, "step": self.step_s}
        request = Request(reading.address(self._url, "/api/v1/query_range", words), timeout_s=reading.TIMEOUT_S)
        reply = reading.answer(self._place.fetch, NAME, request, f"{NAME}: {self._url} wants a login, which is not supported here")
        reading.same(NAME, "result", reading.member(NAME, reply, "data", "resultType"), "matrix")
        result = reading.rows(NAME, reply, "data", "result")
        if len(result) > 1:
            raise SourceFailed(f"{NAME}: the query gives {len(result)} series, not one: narrow it to {self._zone}, or avg() it")
        if not result:
            return []
        pairs = reading.rows(NAME, result[0], "values")
        rows = [{"pair": pair} for pair in pairs]
        return reading.read_rows(NAME, rows, self._slot).slots

    def _slot(self, row: Mapping[str, object]) -> reading.Slot:
        pair = row["pair"]
        if not isinstance(pair, list) or len(pair) != 2:
            raise reading.Unreadable("not a pair of time and value")
        at_s = round(reading.number(pair[0]))
        if at_s % self.step_s:
            raise reading.Unreadable("not the start of a slot")
        return reading.Slot(at_s, reading.ug_per_kwh(pair[1]))


def open(place: GridPlace) -> GridProvider:
    """A provider that will ask the configured server; SourceGone where it is not configured."""
    for key in ("url", "query", "zone"):
        if not place.options.get(key):
            raise SourceGone(f"{NAME}: no {key} is configured: set [grid.{NAME}] url, query and zone")
    return Promquery(place)
