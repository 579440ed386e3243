"""RTE's éCO2mix: France by the quarter-hour, without a key, as published by ODRÉ (Licence Ouverte).

Dataset ``eco2mix-national-tr``, Explore API v2.1; its field ``taux_co2`` is g/kWh of generation, direct emissions.  Dataset, fields
and query words are from memory [M].  Times bear their offset, so Paris' changes of clock need no care; ``nature`` says how final a
row is.  Rows of the rest of the day stand there already, without a value.
"""

from collections.abc import Sequence

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import GridPlace, GridProvider, Request, SourceFailed, SourceGone
from wattledger.factors.grid import _reading as reading
from wattledger.factors.grid._reading import DAY_S, Row, Series, Slot

NAME = "eco2mix"
ZONE = "FR"
URL = "https://odre.opendatasoft.com"
PATH = "/api/explore/v2.1/catalog/datasets/eco2mix-national-tr/records"
PERIMETER = "France"
STEP_S = 900
PAGE = 100  # rows of one answer at most: a day has 96
PAGES = 10


class Eco2mix:
    """State: how many values could not be read."""

    name = NAME
    signal: Signal = "average"
    boundary = "direct"
    step_s = STEP_S
    licence = "Licence Ouverte 2.0, RTE éCO2mix"

    def __init__(self, place: GridPlace) -> None:
        self._place = place
        self._url = reading.base_url(place, NAME, URL)
        self.dropped = 0

    def covers(self, zone: str) -> bool:
        return zone == ZONE

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        _check(zone)
        slots: list[Slot] = []
        for first_s, last_s in reading.pieces(*reading.whole(start_s, min(end_s, now_s), STEP_S), DAY_S):
            said = self._day(first_s, last_s)
            for row in said:
                if isinstance(row, dict) and "perimetre" in row:
                    reading.same(NAME, "perimetre", row["perimetre"], PERIMETER)
            found = reading.read_rows(NAME, said, _slot)
            self.dropped += found.dropped
            slots += found.slots
        series = Series(NAME, ZONE, STEP_S, self.signal, self.boundary)
        return reading.facts(series, slots, start_s, min(end_s, now_s))

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        _check(zone)
        return []  # RTE forecasts consumption, not carbon

    def _day(self, first_s: int, last_s: int) -> list[object]:
        """The rows of at most a day; more than one page only where rows stand there twice."""
        said: list[object] = []
        words = {
            "select": "perimetre,nature,date_heure,taux_co2",
            "where": f"date_heure >= date'{reading.iso(first_s)}' and date_heure < date'{reading.iso(last_s)}'",
            "order_by": "date_heure",
            "timezone": "UTC",
            "limit": str(PAGE),
        }
        for _ in range(PAGES):
            url = reading.address(self._url, PATH, {**words, "offset": str(len(said))})
            reply = reading.answer(self._place.fetch, NAME, Request(url, timeout_s=reading.TIMEOUT_S))
            total = reading.member(NAME, reply, "total_count")
            page = reading.rows(NAME, reply, "results")
            said += page
            if not isinstance(total, int) or len(said) >= total:
                return said
            if not page:
                raise SourceFailed(f"{NAME}: the answer breaks off after {len(said)} of {total} rows: not used")
        raise SourceFailed(f"{NAME}: more than {PAGES * PAGE} rows for one day: not used")


def _check(zone: str) -> None:
    if zone != ZONE:
        raise SourceGone(f"{NAME}: knows {ZONE} and not {zone}")


def _slot(row: Row) -> Slot | None:
    start_s = reading.slot_start_s(row["date_heure"], STEP_S)
    if row["taux_co2"] is None:
        return None
    nature = row.get("nature")
    return Slot(start_s, reading.ug_per_kwh(row["taux_co2"]), nature[:40] if isinstance(nature, str) else "")


def open(place: GridPlace) -> GridProvider:
    """A provider that will ask; it needs no key."""
    return Eco2mix(place)
