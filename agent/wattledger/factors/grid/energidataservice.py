"""Energi Data Service: what Energinet says of Denmark's two price areas every five minutes, without a key.

Dataset CO2Emis (what is consumed, imports included; direct emissions), and CO2EmisProg for what is to come.  Datasets, fields and
query words are from memory [M].  ``Minutes5UTC`` is UTC without saying so; where a query's bounds were taken for Danish time, they
would end up to two hours early, so two hours more are asked for, and cut.
"""

import json
from collections.abc import Sequence

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import GridPlace, GridProvider, Request, SourceGone
from wattledger.factors.grid import _reading as reading
from wattledger.factors.grid._reading import DAY_S, Row, Series, Slot, Unreadable

NAME = "energidataservice"
URL = "https://api.energidataservice.dk"
AREAS = ("DK1", "DK2")
STEP_S = 300
LONGEST_S = 31 * DAY_S  # some 9,000 rows
AHEAD_S = 2 * DAY_S
MARGIN_S = 7_200
FORM = "%Y-%m-%dT%H:%M"


class EnergiDataService:
    """State: how many values could not be read."""

    name = NAME
    signal: Signal = "average"
    boundary = "direct"
    step_s = STEP_S
    licence = "Energinet, Energi Data Service, open data"

    def __init__(self, place: GridPlace) -> None:
        self._place = place
        self._url = reading.base_url(place, NAME, URL)
        self._area = str(place.options.get("area", ""))
        if self._area and self._area not in AREAS:
            raise SourceGone(f"{NAME}: area is {self._area!r}; set [grid.{NAME}] area to DK1 or DK2")
        self.dropped = 0

    def covers(self, zone: str) -> bool:
        return self._area_of(zone) is not None

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        area = self._known(zone)
        slots: list[Slot] = []
        for first_s, last_s in reading.pieces(*reading.whole(start_s, min(end_s, now_s), STEP_S), LONGEST_S):
            slots += self._slots("CO2Emis", area, first_s, last_s)
        # A measurement of a time to come is none.
        return reading.facts(self._series(zone), slots, start_s, min(end_s, now_s))

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        first_s, last_s = reading.whole(now_s, now_s + AHEAD_S, STEP_S)
        slots = self._slots("CO2EmisProg", self._known(zone), first_s, last_s)
        coming = (slot._replace(estimated=True, forecast=True) for slot in slots)
        return reading.facts(self._series(zone), coming, now_s, last_s)

    def _series(self, zone: str) -> Series:
        return Series(NAME, zone, STEP_S, self.signal, self.boundary)

    def _area_of(self, zone: str) -> str | None:
        country, _, area = zone.partition("-")
        if country != "DK":
            return None
        if area:
            return area if area in AREAS else None
        return self._area or None

    def _known(self, zone: str) -> str:
        area = self._area_of(zone)
        if area is None and zone == "DK":
            raise SourceGone(f"{NAME}: Denmark has two areas; set [grid.{NAME}] area to DK1 (west) or DK2 (east)")
        if area is None:
            raise SourceGone(f"{NAME}: knows DK, DK-DK1 and DK-DK2 and not {zone}")
        return area

    def _slots(self, dataset: str, area: str, first_s: int, last_s: int) -> list[Slot]:
        words = {"start": reading.iso(first_s, FORM), "end": reading.iso(last_s + MARGIN_S, FORM), "timezone": "UTC"}
        words |= {"filter": json.dumps({"PriceArea": [area]}), "sort": "Minutes5UTC ASC", "limit": "0"}
        request = Request(reading.address(self._url, f"/dataset/{dataset}", words), timeout_s=reading.TIMEOUT_S)
        said = reading.rows(NAME, reading.answer(self._place.fetch, NAME, request), "records")
        # One row of another area shows that the filter was not understood.
        for other in (row["PriceArea"] for row in said if isinstance(row, dict) and "PriceArea" in row):
            reading.same(NAME, "area", other, area)
        found = reading.read_rows(NAME, said, _slot)
        self.dropped += found.dropped
        return found.slots


def _slot(row: Row) -> Slot | None:
    start_s = reading.slot_start_s(row["Minutes5UTC"], STEP_S, naive_is_utc=True)
    if "PriceArea" not in row:
        raise Unreadable("it names no area")
    return None if row["CO2Emission"] is None else Slot(start_s, reading.ug_per_kwh(row["CO2Emission"]))


def open(place: GridPlace) -> GridProvider:
    """A provider that will ask; it needs no key."""
    return EnergiDataService(place)
