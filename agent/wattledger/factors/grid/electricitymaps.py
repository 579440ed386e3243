"""Electricity Maps, API v3: hourly, flow-traced (what is consumed in a zone), of nearly every zone; by a key of one's own.

``shouldUseFallbackCallerLookup=false`` always: without it the service answers for wherever the caller's address seems to be.
A row may be created and updated before its hour: whoever reads it then reads a forecast, and it says so.
"""

from collections.abc import Mapping, Sequence

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import BadStatus, GridPlace, GridProvider, Request, SourceFailed, SourceGone
from wattledger.factors.grid import _reading as reading
from wattledger.factors.grid._reading import DAY_S, Found, Row, Series, Slot, Unreadable

NAME = "electricitymaps"
VARIABLE = "ELECTRICITYMAPS_API_KEY"
URL = "https://api.electricitymaps.com/v3"
STEP_S = 3_600
PAST_S = 10 * DAY_S  # the longest hourly range of one call
REFUSED = (400, 402, 404)  # with 401 and 403: what a plan without past or forecast may answer
# States that bear the same name here and there; countries do, eGRID's subregions do not.
STATES = frozenset(["AU-NSW", "AU-NT", "AU-QLD", "AU-SA", "AU-TAS", "AU-VIC", "AU-WA", "CA-AB", "CA-BC", "CA-ON", "CA-QC"])
GROUPS = frozenset(("EU",))  # two letters, and yet no country


class ElectricityMaps:
    """State: how many values could not be read, and when the plan refused a past range (asked again after a day)."""

    name = NAME
    signal: Signal = "average"
    step_s = STEP_S
    licence = "Electricity Maps, by the terms of the key's plan (the free one: not for commercial use)"

    def __init__(self, place: GridPlace) -> None:
        self._place = place
        self._url = reading.base_url(place, NAME, URL)
        self._zone = str(place.options.get("zone", ""))
        self.boundary = str(place.options.get("factors", "direct"))
        self._estimations = bool(place.options.get("estimations", True))
        self.dropped = 0
        self._refused_s: int | None = None

    def covers(self, zone: str) -> bool:
        return self._theirs(zone) is not None

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        """The last 24 hours and the present one; what is older where the plan has it, else nothing of it."""
        theirs = self._known(zone)
        first_s, end_s = reading.whole(start_s, min(end_s, now_s), STEP_S)
        if first_s >= end_s:
            return []
        older = first_s < now_s - DAY_S and (self._refused_s is None or now_s - self._refused_s >= DAY_S)
        said = self._past(theirs, first_s, end_s) if older else None
        if said is None:
            said = self._rows(theirs, "history", self._get(theirs, "history")) if end_s > now_s - DAY_S - STEP_S else []
            # Only now: a key that is wrong is refused everything, and says nothing of the plan.
            self._refused_s = now_s if older else self._refused_s
        found = self._found(said, theirs, now_s)
        if end_s > now_s - DAY_S and all(slot.start_s != end_s - STEP_S for slot in found.slots):
            found = self._found([*said, *self._rows(theirs, "", self._get(theirs, "latest"))], theirs, now_s)
        self.dropped += found.dropped
        return reading.facts(self._series(zone), found.slots, start_s, end_s)

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        theirs = self._known(zone)
        try:
            reply = self._get(theirs, "forecast")
        except SourceGone:
            return []  # no contract for forecasts; a wrong key is said by ``read``
        except BadStatus as refusal:
            if refusal.status in REFUSED:
                return []
            raise
        found = self._found(self._rows(theirs, "forecast", reply), theirs, now_s)
        self.dropped += found.dropped
        slots = (slot._replace(estimated=True, forecast=True) for slot in found.slots)
        return reading.facts(self._series(zone), slots, now_s, now_s + PAST_S)

    def _theirs(self, zone: str) -> str | None:
        """Their name of our zone.  A configured one stands for the zones of its own country only."""
        if self._zone and self._zone[:2] == zone[:2]:
            return self._zone
        plain = len(zone) == 2 and zone.isalpha() and zone.isupper() and zone not in GROUPS
        return zone if plain or zone in STATES else None

    def _known(self, zone: str) -> str:
        theirs = self._theirs(zone)
        if theirs is None:
            raise SourceGone(f"{NAME}: has no zone {zone}; set [grid.{NAME}] zone to its own name of the place")
        return theirs

    def _series(self, zone: str) -> Series:
        return Series(NAME, zone, STEP_S, self.signal, self.boundary)

    def _past(self, theirs: str, start_s: int, end_s: int) -> list[object] | None:
        """Older hours, in ranges as long as may be; ``None`` where the plan has none."""
        said: list[object] = []
        try:
            for first_s, last_s in reading.pieces(start_s, end_s, PAST_S):
                reply = self._get(theirs, "past-range", {"start": reading.iso(first_s), "end": reading.iso(last_s)})
                said += self._rows(theirs, "data", reply)
        except SourceGone:
            return None
        except BadStatus as refusal:
            if refusal.status not in REFUSED:
                raise
            return None
        return said

    def _get(self, theirs: str, what: str, more: Mapping[str, str] | None = None) -> object:
        key = reading.secret(self._place, NAME, "key", VARIABLE)
        words = {"zone": theirs, "emissionFactorType": self.boundary, "temporalGranularity": "hourly", **(more or {})}
        words |= {"shouldUseFallbackCallerLookup": "false"} | ({} if self._estimations else {"disableEstimations": "true"})
        url = reading.address(self._url, f"/carbon-intensity/{what}", words)
        denied = f"{NAME}: the key is refused for zone {theirs} ({what}): it is wrong, or its plan does not have that"
        return reading.answer(self._place.fetch, NAME, Request(url, {"auth-token": key}, timeout_s=reading.TIMEOUT_S), denied)

    def _rows(self, theirs: str, member: str, reply: object) -> list[object]:
        """The rows of a reply, or (``member`` empty) the reply that is itself a row."""
        reading.same(NAME, "zone", reading.member(NAME, reply, "zone"), theirs)
        common = reply if isinstance(reply, Mapping) else {}
        if common.get("temporalGranularity", "hourly") != "hourly":
            raise SourceFailed(f"{NAME}: the answer is not by the hour: not used")
        # What a forecast says once for all its rows holds for each.
        shared = {name: common[name] for name in ("updatedAt", "emissionFactorType") if name in common}
        said = reading.rows(NAME, reply, member) if member else [reply]
        return [{**shared, **row} if isinstance(row, Mapping) else row for row in said]

    def _found(self, said: Sequence[object], theirs: str, now_s: int) -> Found:
        return reading.read_rows(NAME, said, lambda row: self._slot(row, theirs, now_s))

    def _slot(self, row: Row, theirs: str, now_s: int) -> Slot | None:
        if row.get("zone", theirs) != theirs:
            raise Unreadable("of another zone")
        if row.get("emissionFactorType", self.boundary) != self.boundary:
            raise Unreadable(f"not of {self.boundary} factors")
        start_s = reading.slot_start_s(row["datetime"], STEP_S)
        if row["carbonIntensity"] is None:
            return None
        updated_s = reading.epoch_s(row["updatedAt"]) if row.get("updatedAt") else 0
        early = min(updated_s or now_s, now_s) < start_s + STEP_S
        estimated = bool(row.get("isEstimated"))
        if estimated and not self._estimations:
            return None
        version = " ".join(str(row[name])[:40] for name in ("updatedAt", "estimationMethod") if row.get(name))
        return Slot(start_s, reading.ug_per_kwh(row["carbonIntensity"]), version, estimated or early, early, updated_s)


def open(place: GridPlace) -> GridProvider:
    """A provider that will ask; SourceGone where there is no key."""
    reading.secret(place, NAME, "key", VARIABLE)
    return ElectricityMaps(place)
