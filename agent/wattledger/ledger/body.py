"""A fact ↔ its body: the canonical JSON text that is hashed, and from which everything else is derived.

Canonical: keys sorted, no spaces, UTF-8 as it is, fields at their default left out.  Each body has ``fact`` (its kind) and
``recorded_s`` (when it was learnt; it never decreases along a chain).  A ``KEYED`` fact says its key by a number, which a
``key`` body of the same chain and the same recorded day has explained before it.  A correction adds ``corrects`` (the old fact's
id) and ``because``.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_type_hints

from wattledger.core.facts import (
    AllocationFact,
    AssetFact,
    ContractFact,
    Correction,
    EnergyFact,
    Fact,
    GapFact,
    IntensityFact,
    Key,
    Known,
    PurchaseFact,
    RunFact,
    WorkFact,
)

KINDS: dict[str, Any] = {
    "energy": EnergyFact,
    "work": WorkFact,
    "allocation": AllocationFact,
    "gap": GapFact,
    "intensity": IntensityFact,
    "contract": ContractFact,
    "asset": AssetFact,
    "purchase": PurchaseFact,
    "run": RunFact,
}
KEYED = ("energy", "work", "allocation")
Keyed = EnergyFact | WorkFact | AllocationFact
NAMES = {kind: name for name, kind in KINDS.items()}
REQUIRED = {"key": ("meter", "host"), **{n: tuple(f for f in k._fields if f not in k._field_defaults) for n, k in KINDS.items()}}


# What taking a text apart may raise where it is no fact: infinities, depth and lists where names should be among it.
NONSENSE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


class BadBody(ValueError):
    """The text is not a fact.  The message is one line: what is wrong with it."""


class KeyBody(NamedTuple):
    """``number`` stands for ``key`` until the recorded day ends."""

    number: int
    key: Key
    recorded_s: int


def encode(fact: Fact | Correction, recorded_s: int, number: int | None = None) -> str:
    """The body of a fact; ``number`` stands for its key, if it has one."""
    if type(fact) is EnergyFact:
        # By hand: at 1,600 facts a minute a JSON encoder would be most of what the books cost.
        spread = f',"spread_uj":{fact.spread_uj}' if fact.spread_uj else ""
        return (
            f'{{"energy_uj":{fact.energy_uj},"fact":"energy","key":{number},"length_s":{fact.length_s},"recorded_s":{recorded_s},'
            f'"seen_ms":{fact.seen_ms}{spread},"start_s":{fact.start_s}}}'
        )
    extra: dict[str, object] = {"recorded_s": recorded_s}
    if isinstance(fact, Correction):
        extra |= {"corrects": fact.corrects, "because": fact.reason}
        if fact.fact is None:
            return canonical({"fact": "withdrawal", **extra})
        fact = fact.fact
    if isinstance(fact, Keyed):
        extra["key"] = number
    return canonical({**_fields(fact), "fact": NAMES[type(fact)], **extra})


def encode_key(number: int, key: Key, recorded_s: int) -> str:
    """The body that explains a key's number."""
    return canonical({**_fields(key), "fact": "key", "number": number, "recorded_s": recorded_s})


def canonical(value: Mapping[str, object]) -> str:
    """JSON in the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def day_of(recorded_s: int) -> str:
    """The day, UTC, as ISO text: what segments are cut by."""
    return datetime.fromtimestamp(recorded_s, UTC).strftime("%Y-%m-%d")


def decode_key(found: Mapping[str, Any]) -> KeyBody:
    """A parsed ``key`` body.  Raises BadBody."""
    try:
        return KeyBody(int(found["number"]), _made(Key, found, "key"), int(found["recorded_s"]))
    except NONSENSE as wrong:
        raise BadBody(f"not a key: {wrong!r}") from None


def decode(found: Mapping[str, Any], fact_id: str, keys: Mapping[int, Key]) -> Known | None:
    """A parsed body as the fact it is; ``None`` for a withdrawal.  ``keys``: those explained so far that day.  Raises BadBody."""
    name = found.get("fact")
    if name == "withdrawal":
        return None
    if not isinstance(name, str) or name not in KINDS:
        raise BadBody(f"no fact is called {repr(name)[:60]}")
    try:
        given = dict(found)
        if name in KEYED:
            given["key"] = keys[int(found["key"])]
        fact = _made(KINDS[name], given, str(name))
        return Known(fact_id, int(found["recorded_s"]), fact, str(found.get("corrects", "")), str(found.get("because", "")))
    except NONSENSE as wrong:
        raise BadBody(f"not a fact of kind {name}: {wrong!r}") from None


def _fields(fact: Any) -> dict[str, object]:
    defaults = fact._field_defaults
    pairs = zip(fact._fields, fact, strict=True)
    return {
        name: _plain(value) for name, value in pairs if name != "key" and (name not in defaults or value != defaults[name])
    }


def _plain(value: object) -> object:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _made(kind: Any, found: Mapping[str, Any], name: str) -> Any:
    missing = [field for field in REQUIRED[name] if field not in found]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    return kind(**{field: _frozen(found[field]) for field in kind._fields if field in found})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value


def hints(kind: Any) -> dict[str, Any]:
    """The types of a fact's fields, for who reads facts that people wrote."""
    return get_type_hints(kind)
