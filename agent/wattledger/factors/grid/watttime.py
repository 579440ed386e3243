"""WattTime, API v3: every five minutes, of a region; marginal (MOER) or average (AOER), by an account of one's own.

Marginal figures weigh a decision to shift; they are never part of an inventory, and their facts say ``marginal``.  The account's
name and password buy a token that holds for half an hour; it is kept in memory only.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import BadStatus, GridPlace, GridProvider, Request, SourceFailed, SourceGone
from wattledger.factors.grid import _reading as reading
from wattledger.factors.grid._reading import DAY_S, Row, Series, Slot

NAME = "watttime"
VARIABLE = "WATTTIME_PASSWORD"
URL = "https://api.watttime.org"
STEP_S = 300
LONGEST_S = 31 * DAY_S  # 32 days are the most of one call, and its end is part of the answer
TOKEN_S = 25 * 60  # of the 30 minutes
AHEAD_H = 72
UNITS = "lbs_co2_per_mwh"
G_PER_KWH_OF_LB_PER_MWH = Decimal("0.45359237")
# The region at the heart of a zone of ours; others are configured.  The second from memory [M].
REGIONS = {"US-CAMX": "CAISO_NORTH", "US-NYCW": "NYISO_NYC"}


class WattTime:
    """State: the token and since when it is held, how many values could not be read."""

    name = NAME
    boundary = "direct"
    step_s = STEP_S
    licence = "WattTime, by the terms of the account: not to be passed on"

    def __init__(self, place: GridPlace) -> None:
        self._place = place
        self._url = reading.base_url(place, NAME, URL)
        self._user = str(place.options.get("user", ""))
        self._region = str(place.options.get("region", ""))
        self._kind = str(place.options.get("signal", "co2_moer"))
        self.signal: Signal = "average" if self._kind == "co2_aoer" else "marginal"
        self.dropped = 0
        self._token: tuple[str, int] | None = None

    def covers(self, zone: str) -> bool:
        return bool(self._region) or zone in REGIONS

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        region = self._known(zone)
        slots: list[Slot] = []
        for first_s, last_s in reading.pieces(*reading.whole(start_s, min(end_s, now_s), STEP_S), LONGEST_S):
            times = {"start": reading.iso(first_s), "end": reading.iso(last_s), "include_imputed_marker": "true"}
            slots += self._slots(region, self._ask(region, "historical", times, now_s))
        return reading.facts(self._series(zone), slots, start_s, min(end_s, now_s))

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        region = self._known(zone)
        try:
            reply = self._ask(region, "forecast", {"horizon_hours": str(AHEAD_H)}, now_s)
        except Denied:
            return []  # the plan has no forecast of this region
        slots = (slot._replace(estimated=True, forecast=True) for slot in self._slots(region, reply))
        return reading.facts(self._series(zone), slots, now_s, now_s + AHEAD_H * 3_600)

    def _known(self, zone: str) -> str:
        region = self._region or REGIONS.get(zone)
        if region is None:
            raise SourceGone(f"{NAME}: which of its regions is {zone}? set [grid.{NAME}] region, e.g. CAISO_NORTH")
        return region

    def _series(self, zone: str) -> Series:
        return Series(NAME, zone, STEP_S, self.signal, self.boundary)

    def _ask(self, region: str, what: str, more: Mapping[str, str], now_s: int) -> object:
        """A reply; a token that is refused is renewed once."""
        url = reading.address(self._url, f"/v3/{what}", {"region": region, "signal_type": self._kind, **more})
        for fresh in (False, True):
            headers = {"Authorization": f"Bearer {self._login(now_s, fresh)}"}
            try:
                return reading.answer(self._place.fetch, NAME, Request(url, headers, timeout_s=reading.TIMEOUT_S))
            except BadStatus as refusal:
                if refusal.status not in reading.DENIED:
                    raise
                if refusal.status == 403:
                    break
        self._token = None
        raise Denied(f"{NAME}: the account's plan does not have {self._kind} of {region} ({what})")

    def _login(self, now_s: int, fresh: bool) -> str:
        """A token, bought anew where there is none, it is old, or it was refused (``fresh``)."""
        if self._token is not None and not fresh and 0 <= now_s - self._token[1] < TOKEN_S:
            return self._token[0]
        self._token = None
        password = reading.secret(self._place, NAME, "password", VARIABLE)
        request = Request(f"{self._url}/login", auth=(self._user, password), timeout_s=reading.TIMEOUT_S)
        denied = f"{NAME}: the user or the password is refused; see [grid.{NAME}] user and {VARIABLE}"
        token = reading.member(NAME, reading.answer(self._place.fetch, NAME, request, denied), "token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise SourceFailed(f"{NAME}: the answer to the login holds no token: its form has changed")
        self._token = (token, now_s)
        return token

    def _slots(self, region: str, reply: object) -> list[Slot]:
        """The points of a reply that is about what was asked for."""
        wanted = (("region", region), ("signal_type", self._kind), ("units", UNITS))
        for what, name in wanted:
            reading.same(NAME, what, reading.member(NAME, reply, "meta", what), name)
        if reading.member(NAME, reply, "meta", "data_point_period_seconds") != STEP_S:
            raise SourceFailed(f"{NAME}: the answer is not by five minutes: not used")
        meta = reading.member(NAME, reply, "meta")
        model = meta.get("model") if isinstance(meta, Mapping) else None
        version = str(model.get("date", ""))[:40] if isinstance(model, Mapping) else ""
        found = reading.read_rows(NAME, reading.rows(NAME, reply, "data"), lambda row: _slot(row, version))
        self.dropped += found.dropped
        return found.slots


class Denied(SourceGone):
    """The account is known, and may not ask this."""


def _slot(row: Row, version: str) -> Slot | None:
    start_s = reading.slot_start_s(row["point_time"], STEP_S)
    if row["value"] is None:
        return None
    imputed = row.get("imputed_data_used") is True  # the marker's name from memory [M]
    return Slot(start_s, reading.ug_per_kwh(row["value"], G_PER_KWH_OF_LB_PER_MWH), version, imputed)


def open(place: GridPlace) -> GridProvider:
    """A provider that will ask; SourceGone where there is no account."""
    if not place.options.get("user"):
        raise SourceGone(f"{NAME}: no user; set [grid.{NAME}] user and {VARIABLE} (or password_file)")
    reading.secret(place, NAME, "password", VARIABLE)
    return WattTime(place)
