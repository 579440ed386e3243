"""What a kWh costs in money: flat, by the hour of a place's own day, or by the rows of a file.

Prices are ints, millionths of the currency per kWh; they may be negative, as on a power exchange.  A parse error is a ValueError of
one line.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wattledger.accounting.price import Rate
from wattledger.accounting.sums import UJ_PER_KWH, overlaps

DAY_MIN = 24 * 60
_BAND = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?\s*:\s*([-+]?[\d.]+)")
_CURRENCY = re.compile(r"[A-Z]{3}")
ROWS_HEAD = ["start", "end", "price_per_kwh"]


class Band(NamedTuple):
    """Minutes of the local day, ``[from_min, to_min)``, and their price; none goes over midnight."""

    from_min: int
    to_min: int
    micro_per_kwh: int


class Tariff(NamedTuple):
    """``rows`` go before ``bands``, these before ``flat_micro_per_kwh`` (``None``: not known)."""

    currency: str
    flat_micro_per_kwh: int | None
    bands: tuple[Band, ...] = ()
    timezone: str = "UTC"
    rows: tuple[Rate, ...] = ()


class Cost(NamedTuple):
    """Millionths of the currency, and how much of the energy they pay for; the rest has no known price."""

    cost_micro: int
    priced_uj: int


def tariff(per_kwh: float | str, hours: str = "", *, timezone: str = "UTC", currency: str = "EUR", rows: str = "") -> Tariff | None:
    """A tariff from the settings of ``[tariff]``; ``rows`` is the file's *text*.  ``None`` where no price is known.

    ``hours``: ``22-6:0.21,6-22:0.34`` or ``22:30-6:0.21``; ``rows``: CSV, ``start,end,price_per_kwh``, ISO times with a zone.
    """
    if not _CURRENCY.fullmatch(currency):
        raise ValueError(f"tariff.currency: {currency!r} is not an ISO 4217 code, e.g. EUR")
    _zone(timezone)
    flat = _micro(str(per_kwh), "tariff.per_kwh") or None
    bands, timed = tuple(_bands(hours)), tuple(_rows(rows, currency))
    if flat is None and not bands and not timed:
        return None
    return Tariff(currency, flat, bands, timezone, timed)


def rates(tariff: Tariff, start_s: int, end_s: int) -> list[Rate]:
    """The rates in ``[start_s, end_s)``, sorted and disjoint, equal neighbours joined; what is not known is absent.

    Local days of 23 and 25 hours come out right: a band is looked up by the wall clock of each instant.
    """
    found: list[Rate] = []
    at_s = start_s
    for row, begin_s, stop_s in overlaps(tariff.rows, start_s, end_s - start_s):
        found += _by_clock(tariff, at_s, begin_s)
        found.append(row._replace(start_s=begin_s, length_s=stop_s - begin_s))
        at_s = stop_s
    return _joined([*found, *_by_clock(tariff, at_s, end_s)])


def cost(known: Sequence[Rate], start_s: int, length_s: int, energy_uj: int) -> Cost:
    """What energy that is even over a window cost at these rates, rounded half to even once."""
    product, priced_s, length_s = 0, 0, max(1, length_s)
    for rate, begin_s, stop_s in overlaps(known, start_s, length_s):
        product += rate.micro_per_kwh * (stop_s - begin_s) * energy_uj
        priced_s += stop_s - begin_s
    return Cost(round(Fraction(product, length_s * UJ_PER_KWH)), energy_uj * priced_s // length_s)


def _by_clock(tariff: Tariff, start_s: int, end_s: int) -> Iterator[Rate]:
    """The bands and the flat price, by the wall clock."""
    zone = _zone(tariff.timezone)
    cuts = _changes(tariff.bands, zone, start_s, end_s) if tariff.bands else [start_s, end_s]
    for begin_s, stop_s in pairwise(cuts):
        at = datetime.fromtimestamp(begin_s, zone)
        minute = at.hour * 60 + at.minute
        band = next((band for band in tariff.bands if band.from_min <= minute < band.to_min), None)
        micro = band.micro_per_kwh if band else tariff.flat_micro_per_kwh
        if micro is not None and stop_s > begin_s:
            yield Rate(begin_s, stop_s - begin_s, micro, tariff.currency)


def _changes(bands: Sequence[Band], zone: ZoneInfo, start_s: int, end_s: int) -> list[int]:
    """Every instant at which the price may change: the bands' edges on each local day, and the jumps of the clock itself."""
    if start_s >= end_s:
        return []
    cuts = {start_s, end_s}
    edges = {edge for band in bands for edge in (band.from_min, band.to_min)}
    day = datetime.fromtimestamp(start_s, zone).date()
    last = datetime.fromtimestamp(end_s, zone).date()
    while day <= last:
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        day += timedelta(days=1)
        for edge in edges:
            wall = midnight + timedelta(minutes=edge)  # wall-clock arithmetic: it may fall twice, or into a gap
            cuts |= {int(wall.replace(fold=fold).timestamp()) for fold in (0, 1)}
        cuts |= _jump(zone, int(midnight.timestamp()), int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()))
    return sorted(cut for cut in cuts if start_s <= cut <= end_s)


def _jump(zone: ZoneInfo, low_s: int, high_s: int) -> set[int]:
    """The second at which the clock jumps between two times, if it does."""

    def offset(at_s: int) -> timedelta | None:
        return datetime.fromtimestamp(at_s, zone).utcoffset()

    before = offset(low_s)
    if offset(high_s) == before:
        return set()
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        low_s, high_s = (middle_s, high_s) if offset(middle_s) == before else (low_s, middle_s)
    return {high_s}


def _joined(found: Sequence[Rate]) -> list[Rate]:
    joined: list[Rate] = []
    for rate in found:
        last = joined[-1] if joined else None
        if last and last.start_s + last.length_s == rate.start_s and last[2:] == rate[2:]:
            joined[-1] = last._replace(length_s=last.length_s + rate.length_s)
        else:
            joined.append(rate)
    return joined


def _bands(hours: str) -> Iterator[Band]:
    taken = [""] * DAY_MIN
    for word in (word.strip() for word in hours.split(",") if word.strip()):
        parts = _BAND.fullmatch(word)
        if not parts:
            raise ValueError(f"tariff.hours: {word!r} is not FROM-TO:PRICE, e.g. 22-6:0.21 or 6:30-22:0.34")
        from_min, to_min = _minute(parts[1], parts[2], word), _minute(parts[3], parts[4], word)
        micro = _micro(parts[5], f"tariff.hours: {word}")
        if from_min in (to_min, DAY_MIN):
            raise ValueError(f"tariff.hours: {word!r} begins where it ends; the whole day is 0-24")
        for begin, stop in [(from_min, to_min)] if from_min < to_min else [(from_min, DAY_MIN), (0, to_min)]:
            twice = next((other for other in taken[begin:stop] if other), "")
            if twice:
                raise ValueError(f"tariff.hours: {word!r} overlaps {twice!r}")
            taken[begin:stop] = [word] * (stop - begin)
            if begin < stop:
                yield Band(begin, stop, micro)


def _minute(hour: str, minute: str | None, word: str) -> int:
    found = int(hour) * 60 + int(minute or 0)
    if found > DAY_MIN or int(minute or 0) > 59:
        raise ValueError(f"tariff.hours: {word!r}: there is no such time of day")
    return found


def _rows(text: str, currency: str) -> Iterator[Rate]:
    try:
        lines = [(number, row) for number, row in enumerate(csv.reader(text.lstrip("\ufeff").splitlines()), 1) if row]
    except csv.Error as wrong:
        raise ValueError(f"tariff.file: not CSV: {wrong}") from None
    if not lines:
        return
    if [name.strip().lower() for name in lines[0][1]] != ROWS_HEAD:
        raise ValueError(f"tariff.file: line {lines[0][0]}: the first line must be {','.join(ROWS_HEAD)}")
    found = sorted((_row(row, f"tariff.file: line {number}", currency), number) for number, row in lines[1:])
    for (one, line), (other, next_line) in pairwise(found):
        if one.start_s + one.length_s > other.start_s:
            raise ValueError(f"tariff.file: lines {line} and {next_line} overlap")
    yield from (row for row, _ in found)


def _row(row: Sequence[str], where: str, currency: str) -> Rate:
    if len(row) != len(ROWS_HEAD):
        raise ValueError(f"{where}: {len(row)} fields where {len(ROWS_HEAD)} belong")
    start_s, end_s = _time(row[0].strip(), where), _time(row[1].strip(), where)
    if end_s <= start_s:
        raise ValueError(f"{where}: it ends before it begins")
    return Rate(start_s, end_s - start_s, _micro(row[2].strip(), where), currency)


def _time(text: str, where: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{where}: {text!r} is not an ISO time, e.g. 2026-11-22T10:00+01:00")
    if at.tzinfo is None:
        raise ValueError(f"{where}: {text!r} has no zone, e.g. Z or +01:00")
    if at.microsecond:
        raise ValueError(f"{where}: {text!r} is not a whole second")
    try:
        return int(at.astimezone(UTC).timestamp())
    except OverflowError:
        raise ValueError(f"{where}: {text!r} is out of any calendar") from None


def _micro(text: str, where: str) -> int:
    """A price in millionths; finer ones are rounded half to even."""
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{where}: {text!r} is not a price")
    if not price.is_finite() or abs(price) > 1_000_000:
        raise ValueError(f"{where}: {text!r} is no price of a kWh")
    return round(price * 1_000_000)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"tariff.timezone: {name!r} is not a time zone known here, e.g. Europe/Berlin")
