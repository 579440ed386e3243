"""NESO's Carbon Intensity API: Great Britain by the half-hour, measured and forecast, without a key (CC BY 4.0).

Generation and imports at operational factors, no life cycle.  ``actual`` is null until it is known; what was forecast stands in
for it, and says so.  No reply names a zone or a time of update.
"""

from collections.abc import Sequence

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import GridPlace, GridProvider, Request, SourceGone
from wattledger.factors.grid import _reading as reading
from wattledger.factors.grid._reading import DAY_S, Row, Series, Slot, Unreadable

NAME = "neso"
ZONE = "GB"
URL = "https://api.carbonintensity.org.uk"
STEP_S = 1_800
LONGEST_S = 14 * DAY_S  # of one call
AHEAD_S = 2 * DAY_S
FORM = "%Y-%m-%dT%H:%MZ"


class Neso:
    """State: how many values could not be read."""

    name = NAME
    signal: Signal = "average"
    boundary = "direct"
    step_s = STEP_S
    licence = "CC BY 4.0, NESO Carbon Intensity API"

    def __init__(self, place: GridPlace) -> None:
        self._place = place
        self._url = reading.base_url(place, NAME, URL)
        self.dropped = 0

    def covers(self, zone: str) -> bool:
        return zone == ZONE

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        _check(zone)
        slots: list[Slot] = []
        for first_s, last_s in reading.pieces(*reading.whole(start_s, min(end_s, now_s), STEP_S), LONGEST_S):
            slots += self._slots(f"{reading.iso(first_s, FORM)}/{reading.iso(last_s, FORM)}")
        return reading.facts(self._series(), slots, start_s, min(end_s, now_s))

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        _check(zone)
        now_slot_s, _ = reading.whole(now_s, now_s, STEP_S)
        slots = self._slots(f"{reading.iso(now_slot_s, FORM)}/fw48h")
        return reading.facts(self._series(), (slot for slot in slots if slot.forecast), now_s, now_s + AHEAD_S)

    def _series(self) -> Series:
        return Series(NAME, ZONE, STEP_S, self.signal, self.boundary)

    def _slots(self, span: str) -> list[Slot]:
        request = Request(f"{self._url}/intensity/{span}", timeout_s=reading.TIMEOUT_S)
        said = reading.rows(NAME, reading.answer(self._place.fetch, NAME, request), "data")
        found = reading.read_rows(NAME, said, _slot)
        self.dropped += found.dropped
        return found.slots


def _check(zone: str) -> None:
    if zone != ZONE:
        raise SourceGone(f"{NAME}: knows {ZONE} and not {zone}")


def _slot(row: Row) -> Slot | None:
    start_s = reading.slot_start_s(row["from"], STEP_S)
    if reading.epoch_s(row["to"]) != start_s + STEP_S:
        raise Unreadable("not a half-hour")
    intensity = row["intensity"]
    if not isinstance(intensity, dict):
        raise Unreadable("no intensity")
    actual, forecast = intensity["actual"], intensity["forecast"]
    if actual is not None:
        return Slot(start_s, reading.ug_per_kwh(actual), "actual")
    if forecast is None:
        return None
    return Slot(start_s, reading.ug_per_kwh(forecast), "forecast", estimated=True, forecast=True)


def open(place: GridPlace) -> GridProvider:
    """A provider that will ask; it needs no key."""
    return Neso(place)
