"""Reading what grid providers answer: strict about times, numbers and zones, so that each provider is only its own form.

A row that cannot be read is dropped and counted; an answer of which nothing can be read is SourceFailed.  Nothing is made up:
what is not said stays absent.  No message repeats a query, a header or more than a word of a reply.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import urlencode

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import BadStatus, Fetch, GridPlace, Request, SourceFailed, SourceGone

Row = Mapping[str, object]

MOST_G_PER_KWH = 5_000  # nothing that burns anything gives more; beyond it a unit is wrong
UG_PER_G = 1_000_000
TIMEOUT_S = 20.0  # of one answer; they come from far away, and the refresher has a thread of its own
DAY_S = 86_400
LONGEST = 200  # characters of a version
DENIED = (401, 403)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?")


class Unreadable(ValueError):
    """One row is not as documented; the others may be."""


class Series(NamedTuple):
    """What the slots of an answer are of; ``provider`` is the name that the facts carry."""

    provider: str
    zone: str
    step_s: int
    signal: Signal = "average"
    boundary: str = "direct"


class Slot(NamedTuple):
    """One value as a provider says it; ``updated_s`` decides between two of the same slot (0: not said)."""

    start_s: int
    ug_per_kwh: int
    version: str = ""
    estimated: bool = False
    forecast: bool = False
    updated_s: int = 0


class Found(NamedTuple):
    """The slots of an answer, in its own order, and how many of its rows could not be read."""

    slots: list[Slot]
    dropped: int


def epoch_s(said: object, *, naive_is_utc: bool = False) -> int:
    """An ISO time as whole seconds since the epoch, fractions cut off.

    Unreadable unless it names its offset or (``naive_is_utc``) is documented as UTC.
    """
    if not isinstance(said, str) or not _TIME.fullmatch(said):
        raise Unreadable("not a time")
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise Unreadable("not a time") from None
    if at.tzinfo is None and not naive_is_utc:
        raise Unreadable("a time without offset")
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return int((at.replace(microsecond=0) - EPOCH).total_seconds())


def slot_start_s(said: object, step_s: int, *, naive_is_utc: bool = False) -> int:
    """The time of a slot's start; Unreadable where that is not on the grid of slots."""
    start_s = epoch_s(said, naive_is_utc=naive_is_utc)
    if start_s % step_s:
        raise Unreadable("not the start of a slot")
    return start_s


def iso(at_s: int, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """UTC, as a query wants it."""
    return datetime.fromtimestamp(at_s, UTC).strftime(form)


def number(said: object) -> Decimal:
    """A finite number, or a string that is one; Unreadable else (a bool is none, nor is what JSON calls NaN)."""
    if isinstance(said, str):
        said = said.strip()
    if not isinstance(said, (int, float, Decimal, str)):
        raise Unreadable("not a number")
    text = str(said)  # of a bool, no digits
    if not _NUMBER.fullmatch(text):
        raise Unreadable("not a number")
    return Decimal(text)


def ug_per_kwh(said: object, times: Decimal = Decimal(1)) -> int:
    """g/kWh (or what ``times`` makes g/kWh of) as whole micrograms; Unreadable unless within 0 to 5,000 g."""
    grams = number(said) * times
    if not 0 <= grams <= MOST_G_PER_KWH:
        raise Unreadable("not plausible")
    return int((grams * UG_PER_G).to_integral_value())


def answer(fetch: Fetch, provider: str, request: Request, denied: str = "") -> object:
    """A JSON reply.  ``denied``: what to say, as SourceGone, of a status of 401 or 403; other statuses stay BadStatus."""
    return parsed(provider, fetched(fetch, request, denied))


def fetched(fetch: Fetch, request: Request, denied: str = "") -> bytes:
    """A reply's bytes; statuses as in ``answer``."""
    try:
        return fetch(request)
    except BadStatus as refusal:
        if denied and refusal.status in DENIED:
            raise SourceGone(denied) from None
        raise


def parsed(provider: str, body: bytes) -> object:
    """JSON, where NaN and Infinity stay what they are and drop their row later."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        what = "a web page" if body.lstrip()[:1] == b"<" else "not JSON"
        raise SourceFailed(f"{provider}: the answer is {what}: a proxy or a log-in page may stand between") from None


def member(provider: str, reply: object, *path: str) -> object:
    """What stands at this path of names; SourceFailed where the answer has no such place."""
    for name in path:
        if not isinstance(reply, Mapping) or name not in reply:
            raise SourceFailed(f"{provider}: the answer has no {'.'.join(path)}: its form has changed")
        reply = reply[name]
    return reply


def rows(provider: str, reply: object, *path: str) -> list[object]:
    """The list that stands at this path; SourceFailed where there is none."""
    found = member(provider, reply, *path)
    if not isinstance(found, list):
        raise SourceFailed(f"{provider}: {'.'.join(path) or 'the answer'} is no list: its form has changed")
    return found


def same(provider: str, what: str, said: object, wanted: str) -> None:
    """SourceFailed where the answer is about another zone (or unit, …) than was asked for."""
    if said != wanted:
        shown = repr(said)[:40] if isinstance(said, str) else "none"
        raise SourceFailed(f"{provider}: asked for {what} {wanted!r} and got {shown}: not used")


def read_rows(provider: str, said: Iterable[object], read: Callable[[Row], Slot | None]) -> Found:
    """Each row by ``read``: Unreadable or KeyError say that it is not as documented, None that it has no value.

    SourceFailed where rows were dropped and nothing is left: then it is the form that has changed, not one value.
    """
    slots: list[Slot] = []
    dropped, last = 0, ""
    for row in said:
        try:
            if not isinstance(row, Mapping):
                raise Unreadable("not an object")
            slot = read(row)
        except (Unreadable, KeyError) as error:
            dropped, last = dropped + 1, f"{error} is missing" if isinstance(error, KeyError) else str(error)
            continue
        if slot is not None:
            slots.append(slot)
    if dropped and not slots:
        raise SourceFailed(f"{provider}: none of the {dropped} values in the answer can be used ({last})")
    return Found(slots, dropped)


def facts(series: Series, slots: Iterable[Slot], start_s: int, end_s: int) -> list[IntensityFact]:
    """The slots that have a part in ``[start_s, end_s)``, whole, each once, sorted.

    Of two of the same slot the one updated later holds; of two as old, what was measured before what was estimated and that before
    what was forecast, then the later in the answer.
    """
    held: dict[int, Slot] = {}
    for slot in slots:
        before = held.get(slot.start_s)
        if before is None or _weight(slot) >= _weight(before):
            held[slot.start_s] = slot
    kept = (held[at_s] for at_s in sorted(held) if at_s < end_s and at_s + series.step_s > start_s)
    return [_fact(series, slot) for slot in kept]


def _weight(slot: Slot) -> tuple[int, bool, bool]:
    return slot.updated_s, not slot.forecast, not slot.estimated


def _fact(series: Series, slot: Slot) -> IntensityFact:
    return IntensityFact(
        series.zone,
        slot.start_s,
        series.step_s,
        slot.ug_per_kwh,
        series.provider,
        series.signal,
        series.boundary,
        plain(slot.version),
        slot.estimated,
        slot.forecast,
    )


def plain(said: str) -> str:
    """Text on one line, and not endless."""
    return "".join(c for c in said if c.isprintable())[:LONGEST]


def whole(start_s: int, end_s: int, step_s: int) -> tuple[int, int]:
    """The range widened to whole slots."""
    return start_s // step_s * step_s, -(-end_s // step_s) * step_s


def pieces(start_s: int, end_s: int, longest_s: int) -> Iterator[tuple[int, int]]:
    """The range in parts that a provider answers at once."""
    for at_s in range(start_s, end_s, longest_s):
        yield at_s, min(at_s + longest_s, end_s)


def address(base: str, path: str, words: Mapping[str, object] | Sequence[tuple[str, object]]) -> str:
    """A URL with its query, quoted."""
    return f"{base}{path}?{urlencode(words)}"


def base_url(place: GridPlace, provider: str, usual: str) -> str:
    """Where the service is: ``[grid.NAME] url`` or the usual place; SourceGone where that is no URL or holds a password."""
    url = str(place.options.get("url") or usual).rstrip("/")
    if not url.startswith(("https://", "http://")):
        raise SourceGone(f"{provider}: its url is none; let [grid.{provider}] url begin with https:// or http://")
    if "@" in url or "?" in url:
        raise SourceGone(f"{provider}: its url holds more than an address; keys have settings of their own")
    return url


def secret(place: GridPlace, provider: str, name: str, variable: str) -> str:
    """A key; SourceGone, with both places where it may be put, where there is none."""
    found = (place.secret(name) or "").strip()
    if not found:
        raise SourceGone(f"{provider}: no {name}; set {variable}, or [grid.{provider}] {name}_file to a file that holds it")
    return found
