"""An event in the life of an asset, as its fact says it and as the fold reads it.

A fact's details are text; here they become numbers, grams become micrograms and hours seconds.  Words that nobody knows are kept.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple, get_args

from wattledger.accounting.assets.life import HOUR_S, UG_PER_G, Kind, Passport, What
from wattledger.core.facts import AssetFact

EVENTS: Final = frozenset(get_args(What))
KINDS: Final = frozenset(get_args(Kind))
LONGEST_NAME = 128
PPM = 1_000_000

# Words whose text is a number; each is at least 0.
NUMBERS: Final = frozenset((
    "el_h", "el_work", "capacity", "price_ratio", "years_1", "years_2", "mass_ratio", "mass_g", "low_g", "high_g", "whole_g",
    "eol_g", "energy_kwh", "g_per_kwh", "km", "price",
))  # fmt: skip
# A number of people's size: an exponent of millions would be computed digit by digit.
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?")

# When a fact was learnt: second, writer, and number in the writer's chain.
Learnt = tuple[int, str, int]


class Event(NamedTuple):
    """What happened to an asset.  ``words``: all details; ``numbers``: those of ``NUMBERS``, exactly; ``unread``: those of them
    that are no number.

    ``emitted_ug``, ``el_s`` (the service life it says, in seconds) and ``capacity_ppm`` (what is left of its resources) of
    ``None``: not said.  ``learnt`` is that of the place the fact stands in (a correction takes an older one's).
    """

    asset: str
    what: str
    at_s: int
    id: str = ""
    learnt: Learnt = (0, "", 0)
    emitted_ug: int | None = None
    el_s: int | None = None
    capacity_ppm: int | None = None
    inside: str = ""
    evidence: str = ""
    words: Mapping[str, str] = {}
    numbers: Mapping[str, Decimal] = {}
    unread: tuple[str, ...] = ()


def event_of(fact: AssetFact, fact_id: str = "", learnt: Learnt = (0, "", 0)) -> Event:
    """The fact as the fold reads it; never raises: whether it can have happened is for the rules to say."""
    words = dict(fact.details)
    numbers: dict[str, Decimal] = {}
    unread: tuple[str, ...] = ()
    for name in words.keys() & NUMBERS:
        if _NUMBER.fullmatch(words[name]):
            numbers[name] = Decimal(words[name])
        else:
            unread = tuple(sorted((*unread, name)))
    emitted_ug = None if fact.emitted_g is None else fact.emitted_g * UG_PER_G
    el_s = round(numbers["el_h"] * HOUR_S) if "el_h" in numbers else None
    capacity_ppm = round(numbers["capacity"] * PPM) if "capacity" in numbers else None
    return Event(
        fact.asset, fact.event, fact.at_s, fact_id, learnt, emitted_ug, el_s, capacity_ppm, fact.inside, fact.evidence, words,
        numbers, unread,
    )  # fmt: skip


def fact(asset: str, what: What, *, at_s: int, emitted_g: int | None = None, **words: str | int | float) -> AssetFact:
    """A fact of this event.  ``inside`` and ``evidence`` among the words are the fact's own; ``in_`` is the detail ``in``."""
    inside, evidence = str(words.pop("inside", "")), str(words.pop("evidence", ""))
    details = tuple(sorted((name.removesuffix("_"), str(value)) for name, value in words.items()))
    return AssetFact(asset, what, at_s, emitted_g, inside, evidence, details)


def passport_of(event: Event) -> Passport:
    """What the making of an asset says of it for good."""
    said = event.words.get
    return Passport(
        event.asset, _kind(said("kind", "other")), said("vendor", ""), said("model", ""), said("device", ""),
        said("serial_hash", ""), _grams(event, "mass_g"), event.at_s, (event.emitted_ug or 0) // UG_PER_G,
        _grams(event, "low_g"), _grams(event, "high_g"),
        said("boundary", ""), said("method", ""), said("source", ""), said("year", ""), event.words,
        _grams(event, "eol_g"), event.emitted_ug is not None,
    )  # fmt: skip


def _kind(text: str) -> Kind:
    for kind in get_args(Kind):
        if kind == text:
            found: Kind = kind
            return found
    return "other"


def _grams(event: Event, name: str) -> int | None:
    number = event.numbers.get(name)
    return None if number is None else round(number)
