"""The US, by the Energy Information Administration's hourly generation by fuel (API v2, public domain), with a free key.

A balancing authority's plants, not what flowed in and out of it.  ``period`` is the hour's end, UTC; values are strings; no more
than 5,000 rows come at once.  About two hours late.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import GridPlace, GridProvider, Request, SourceFailed
from wattledger.factors.grid import _reading as reading
from wattledger.factors.grid import mix

NAME = "eia"
URL = "https://api.eia.gov"
PATH = "/v2/electricity/rto/fuel-type-data/data/"
PAGE_ROWS = 5_000
PAGES = 40  # of a server that never comes to an end
HOUR_S = 3_600
REFERENCE_S = 24 * HOUR_S  # what an hour's completeness is judged by

FUELS: Mapping[str, mix.Fuel] = {
    "COL": "coal", "NG": "gas", "OIL": "oil", "PET": "oil", "OTH": "other", "UNK": "other", "NUC": "nuclear", "SUN": "solar",
    "WAT": "hydro", "WND": "wind", "GEO": "geothermal", "BIO": "biomass", "BAT": "storage", "PS": "storage", "UES": "storage",
    "OES": "storage", "SNB": "solar", "WNB": "wind",
}  # fmt: skip

# The authority, or the EIA's region where several share an eGRID subregion, that has most of each of our zones.
RESPONDENTS = {
    "US": "US48", "US-AZNM": "SW", "US-CAMX": "CISO", "US-ERCT": "ERCO", "US-FRCC": "FLA", "US-MROE": "MISO", "US-MROW": "MISO",
    "US-NEWE": "ISNE", "US-NWPP": "NW", "US-NYCW": "NYIS", "US-NYLI": "NYIS", "US-NYUP": "NYIS", "US-RFCE": "PJM",
    "US-RFCM": "MISO", "US-RFCW": "PJM", "US-RMPA": "PSCO", "US-SPNO": "SWPP", "US-SPSO": "SWPP", "US-SRMV": "MISO",
    "US-SRMW": "MISO", "US-SRSO": "SOCO", "US-SRTV": "TVA", "US-SRVC": "CAR",
}  # fmt: skip


class Eia:
    """State: none; the key is read anew for each question."""

    name = NAME
    signal: Signal = "average"
    boundary = "direct"
    step_s = HOUR_S
    licence = "public domain"

    def __init__(self, place: GridPlace) -> None:
        self._place = place
        self._url = reading.base_url(place, NAME, URL)
        self._respondent = str(place.options.get("respondent", "")).upper()
        self._key()

    def covers(self, zone: str) -> bool:
        return zone in RESPONDENTS or (bool(self._respondent) and zone.partition("-")[0] == "US")

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        """A day more than asked for is fetched, to tell which hours are not complete yet."""
        respondent = self._respondent or RESPONDENTS[zone]
        from_s, until_s = reading.whole(min(start_s, end_s - REFERENCE_S), end_s, HOUR_S)
        mixes: dict[int, dict[mix.Fuel, Decimal]] = {}
        for row in self._rows(respondent, from_s, until_s):
            at_s, fuel, amount = row
            mixes.setdefault(at_s, {}).setdefault(fuel, Decimal(0))
            mixes[at_s][fuel] += amount
        version = f"generation mix of {respondent}"
        whole = mix.complete(mixes).items()
        slots = [reading.Slot(at_s, ug, version) for at_s, hour in whole if (ug := mix.ug_per_kwh(hour)) is not None]
        return reading.facts(reading.Series(NAME, zone, HOUR_S), slots, start_s, end_s)

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        """It forecasts demand, not fuels."""
        return []

    def _rows(self, respondent: str, from_s: int, until_s: int) -> list[tuple[int, mix.Fuel, Decimal]]:
        """(start of the hour, fuel, MWh), each code of a fuel once an hour: of two the later one."""
        told: dict[tuple[int, str], Decimal] = {}
        unread = offset = 0
        for _ in range(PAGES):
            rows, total = self._page(respondent, from_s, until_s, offset)
            for row in rows:
                try:
                    at_s, code, amount = _row(row, respondent)
                except (reading.Unreadable, KeyError):
                    unread += 1
                    continue
                told[at_s, code] = amount
            offset += len(rows)
            if not rows or offset >= total:
                break
        if unread and not told:
            raise SourceFailed(f"{NAME}: none of the {unread} rows of {respondent} can be used: their form has changed")
        return [(at_s, FUELS.get(code, "other"), amount) for (at_s, code), amount in told.items()]

    def _page(self, respondent: str, from_s: int, until_s: int, offset: int) -> tuple[list[object], int]:
        words = (
            ("api_key", self._key()),
            ("frequency", "hourly"),
            ("data[0]", "value"),
            ("facets[respondent][]", respondent),
            ("start", reading.iso(from_s + HOUR_S, "%Y-%m-%dT%H")),
            ("end", reading.iso(until_s, "%Y-%m-%dT%H")),
            ("sort[0][column]", "period"),
            ("sort[0][direction]", "asc"),
            ("offset", offset),
            ("length", PAGE_ROWS),
        )
        request = Request(reading.address(self._url, PATH, words), timeout_s=reading.TIMEOUT_S)
        reply = reading.answer(self._place.fetch, NAME, request, f"{NAME}: the key in EIA_API_KEY or key_file is refused")
        rows = reading.rows(NAME, reply, "response", "data")
        try:
            return rows, int(reading.number(reading.member(NAME, reply, "response", "total")))
        except reading.Unreadable:
            raise SourceFailed(f"{NAME}: response.total is no number: the answer's form has changed") from None

    def _key(self) -> str:
        return reading.secret(self._place, NAME, "key", "EIA_API_KEY")


def open(place: GridPlace) -> GridProvider:
    """A provider that will ask; SourceGone without a key."""
    return Eia(place)


def _row(row: object, respondent: str) -> tuple[int, str, Decimal]:
    """Unreadable where it is not as documented, or of somebody else."""
    if not isinstance(row, Mapping) or row["respondent"] != respondent:
        raise reading.Unreadable("not of the authority asked for")
    if str(row.get("value-units", "megawatthours")).lower() != "megawatthours":
        raise reading.Unreadable("not in megawatthours")
    end_s = reading.slot_start_s(row["period"], HOUR_S, naive_is_utc=True)
    return end_s - HOUR_S, str(row["fueltype"]).upper(), reading.number(row["value"])
