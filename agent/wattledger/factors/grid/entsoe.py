"""Europe, by ENTSO-E's Transparency Platform: generation by type (A75, realised A16), with a free token.

A country's or bidding zone's plants, not what flowed in and out of it.  Quarters are put together into hours, and an hour that
is not told in full is left out.  No more than 400 questions a minute, else ten minutes of silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import GridPlace, GridProvider, Request, SourceFailed, SourceGone
from wattledger.factors.grid import _reading as reading
from wattledger.factors.grid import mix

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "entsoe"
URL = "https://web-api.tp.entsoe.eu"
HOUR_S = 3_600
REFERENCE_S = 24 * HOUR_S  # what an hour's completeness is judged by
LONGEST_S = 365 * 24 * HOUR_S  # of one question
MOST_POINTS = 50 * LONGEST_S // 900  # of one answer: a few bytes of XML can stand for a year of quarters
RESOLUTIONS_S = {"PT15M": 900, "PT30M": 1800, "PT60M": HOUR_S, "PT1H": HOUR_S}

FUELS: Mapping[str, mix.Fuel] = {
    "B01": "biomass", "B02": "lignite", "B03": "coal", "B04": "gas", "B05": "coal", "B06": "oil", "B07": "lignite",
    "B08": "lignite", "B09": "geothermal", "B10": "storage", "B11": "hydro", "B12": "hydro", "B13": "marine",
    "B14": "nuclear", "B15": "biomass", "B16": "solar", "B17": "waste", "B18": "wind", "B19": "wind", "B20": "other",
    "B25": "storage",
}  # fmt: skip

# EIC codes of the areas; each ends with a check character, which a test computes.
DOMAINS = {
    "AT": "10YAT-APG------L", "BA": "10YBA-JPCC-----D", "BE": "10YBE----------2", "BG": "10YCA-BULGARIA-R",
    "CH": "10YCH-SWISSGRIDZ", "CY": "10YCY-1001A0003J", "CZ": "10YCZ-CEPS-----N", "DE": "10Y1001A1001A83F",
    "DK": "10Y1001A1001A65H", "DK-DK1": "10YDK-1--------W", "DK-DK2": "10YDK-2--------M", "EE": "10Y1001A1001A39I",
    "ES": "10YES-REE------0", "FI": "10YFI-1--------U", "FR": "10YFR-RTE------C", "GR": "10YGR-HTSO-----Y",
    "HR": "10YHR-HEP------M", "HU": "10YHU-MAVIR----U", "IE": "10YIE-1001A00010", "IT": "10YIT-GRTN-----B",
    "LT": "10YLT-1001A0008Q", "LU": "10YLU-CEGEDEL-NQ", "LV": "10YLV-1001A00074", "ME": "10YCS-CG-TSO---S",
    "MK": "10YMK-MEPSO----8", "NL": "10YNL----------L", "NO": "10YNO-0--------C", "NO-NO1": "10YNO-1--------2",
    "NO-NO2": "10YNO-2--------T", "NO-NO3": "10YNO-3--------J", "NO-NO4": "10YNO-4--------9", "NO-NO5": "10Y1001A1001A48H",
    "PL": "10YPL-AREA-----S", "PT": "10YPT-REN------W", "RO": "10YRO-TEL------P", "RS": "10YCS-SERBIATSOV",
    "SE": "10YSE-1--------K", "SE-SE1": "10Y1001A1001A44P", "SE-SE2": "10Y1001A1001A45N", "SE-SE3": "10Y1001A1001A46L",
    "SE-SE4": "10Y1001A1001A47J", "SI": "10YSI-ELES-----O", "SK": "10YSK-SEPS-----K",
}  # fmt: skip

Amounts = dict[tuple[int, str], Decimal]  # MW (or MWh of an hour) by time and type


class Entsoe:
    """State: none; the token is read anew for each question."""

    name = NAME
    signal: Signal = "average"
    boundary = "direct"
    step_s = HOUR_S
    licence = "ENTSO-E Transparency, free re-use with attribution"

    def __init__(self, place: GridPlace) -> None:
        self._place = place
        self._url = reading.base_url(place, NAME, URL)
        self._domain = str(place.options.get("domain", ""))
        self._key()

    def covers(self, zone: str) -> bool:
        return bool(self._domain) or zone in DOMAINS

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        """A day more than asked for is fetched, to tell which hours are not complete yet."""
        domain = self._domain or DOMAINS[zone]
        from_s, until_s = reading.whole(min(start_s, end_s - REFERENCE_S), end_s, HOUR_S)
        mixes: dict[int, dict[mix.Fuel, Decimal]] = {}
        for piece in reading.pieces(from_s, until_s, LONGEST_S):
            for (at_s, code), amount in self._hours(domain, *piece).items():
                fuel = FUELS.get(code, "other")
                hour = mixes.setdefault(at_s, {})
                hour[fuel] = hour.get(fuel, Decimal(0)) + amount
        version = f"generation mix of {domain}"
        whole = mix.complete(mixes).items()
        slots = [reading.Slot(at_s, ug, version) for at_s, hour in whole if (ug := mix.ug_per_kwh(hour)) is not None]
        return reading.facts(reading.Series(NAME, zone, HOUR_S), slots, start_s, end_s)

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        """It forecasts wind and sun, not the whole mix."""
        return []

    def _hours(self, domain: str, from_s: int, until_s: int) -> Amounts:
        words = {
            "securityToken": self._key(),
            "documentType": "A75",
            "processType": "A16",
            "in_Domain": domain,
            "periodStart": reading.iso(from_s, "%Y%m%d%H%M"),
            "periodEnd": reading.iso(until_s, "%Y%m%d%H%M"),
        }
        request = Request(reading.address(self._url, "/api", words), timeout_s=reading.TIMEOUT_S)
        denied = f"{NAME}: the token in ENTSOE_API_KEY or key_file is refused"
        return hours(reading.fetched(self._place.fetch, request, denied), domain)

    def _key(self) -> str:
        return reading.secret(self._place, NAME, "key", "ENTSOE_API_KEY")


def open(place: GridPlace) -> GridProvider:
    """A provider that will ask; SourceGone without a token, or where ``domain`` is no EIC code."""
    domain = str(place.options.get("domain", ""))
    if domain and not is_eic(domain):
        raise SourceGone(f"{NAME}: [grid.{NAME}] domain is no EIC code of an area, as 10Y1001A1001A83F is")
    return Entsoe(place)


def is_eic(code: str) -> bool:
    """Sixteen characters, the last of which checks the others (ENTSO-E's EIC manual: weights 16 to 2, modulo 37)."""
    signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
    if len(code) != 16 or any(sign not in signs for sign in code):
        return False
    total = sum((16 - place) * signs.index(sign) for place, sign in enumerate(code[:15]))
    return signs[36 - (total - 1) % 37] == code[15]


def hours(body: bytes, domain: str) -> Amounts:
    """MWh by hour and type, whole hours only; SourceFailed where the document is not a generation document of this area.

    Of an hour told twice, the later in the document holds.  An acknowledgement says that there is nothing.
    """
    root = _document(body)
    if _name(root) == "Acknowledgement_MarketDocument":
        return {}
    if _name(root) != "GL_MarketDocument":
        raise SourceFailed(f"{NAME}: the answer is no generation document: its form has changed")
    parts: dict[tuple[int, str], dict[int, Decimal]] = {}
    unread, left = 0, MOST_POINTS
    for series in _all(root, "TimeSeries"):
        if _text(series, "outBiddingZone_Domain.mRID"):
            continue  # water pumped up: use, not generation
        reading.same(NAME, "area", _text(series, "inBiddingZone_Domain.mRID"), domain)
        try:
            fuel, points = _type(series), list(islice(_points(series), left + 1))
        except reading.Unreadable:
            unread += 1
            continue
        left -= len(points)
        if left < 0:
            raise SourceFailed(f"{NAME}: the answer tells more values than a year has: not used")
        for at_s, length_s, amount in points:
            hour = parts.setdefault((at_s // HOUR_S * HOUR_S, fuel), {})
            hour[at_s] = amount * length_s / HOUR_S
            hour.setdefault(-length_s, Decimal(0))
    if unread and not parts:
        raise SourceFailed(f"{NAME}: none of the {unread} series of {domain} can be used: their form has changed")
    return {key: sum(told.values(), Decimal(0)) for key, told in parts.items() if _is_whole(told)}


def _is_whole(told: Mapping[int, Decimal]) -> bool:
    """Whether all parts of the hour are there (the lengths stand among them, negative)."""
    lengths_s = [-at_s for at_s in told if at_s < 0]
    return len(lengths_s) == 1 and (len(told) - 1) * lengths_s[0] == HOUR_S


def _points(series: "Element") -> Iterator[tuple[int, int, Decimal]]:
    """(start, length, MW) of each part of a series, those filled in that a curve of type A03 leaves out because they repeat."""
    repeats = _text(series, "curveType") == "A03"
    for period in _all(series, "Period"):
        length_s = RESOLUTIONS_S.get(_text(period, "resolution"), 0)
        interval = next(iter(_all(period, "timeInterval")), period)
        start_s, end_s = (reading.epoch_s(_text(interval, edge)) for edge in ("start", "end"))
        if not length_s or start_s % length_s or not 0 < end_s - start_s <= LONGEST_S:
            raise reading.Unreadable("not in quarters, halves or hours")
        told: dict[int, Decimal] = {}
        for point in _all(period, "Point"):
            told[int(reading.number(_text(point, "position")))] = reading.number(_text(point, "quantity"))
        amount = None
        for position in range(1, (end_s - start_s) // length_s + 1):
            amount = told.get(position, amount if repeats else None)
            if amount is not None:
                yield start_s + (position - 1) * length_s, length_s, amount


def _type(series: "Element") -> str:
    found = [_text(kind, "psrType") for kind in _all(series, "MktPSRType")]
    if len(found) != 1 or not found[0]:
        raise reading.Unreadable("no type")
    return found[0]


def _document(body: bytes) -> "Element":
    """XML in UTF-8 without a document type: with one, a few bytes could stand for gigabytes, or for a file of this machine."""
    from xml.etree import ElementTree  # 5 ms, and only where this provider is asked

    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceFailed(f"{NAME}: the answer is not text") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SourceFailed(f"{NAME}: the answer has a document type, which its form has not: not read")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        raise SourceFailed(f"{NAME}: the answer is not XML: a proxy or a log-in page may stand between") from None


def _name(element: "Element") -> str:
    """Without its namespace, whose year changes."""
    return str(element.tag).rpartition("}")[2]


def _all(element: "Element", name: str) -> "list[Element]":
    return [child for child in element if _name(child) == name]


def _text(element: "Element", name: str) -> str:
    found = _all(element, name)
    return (found[0].text or "").strip() if found else ""
