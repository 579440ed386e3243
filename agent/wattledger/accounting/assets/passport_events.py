"""An event as people write it → its fact: kilograms become grams, years hours, and a way by mode and distance what it emitted."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, get_args

from wattledger.accounting.assets.life import What
from wattledger.accounting.assets.passport_fields import G_PER_KG, BadPassport, Fields, Mistake, Problem, nearest, pairs, values
from wattledger.accounting.assets.passport_words import EVENT, EVENTS, NEEDED, details, life
from wattledger.accounting.assets.transport import BadTransport, transport
from wattledger.core.facts import AssetFact

# In the fact itself, not among its details.
_OWN = ("asset", "event", "at", "kg", "inside", "evidence")
_NAMES = ("inside", "out", "in", "part")

MassOf = Callable[[str], int | None]


def event(table: Mapping[str, Any], mass_of: MassOf = lambda _: None) -> AssetFact:
    """One event by itself: ``asset``, ``event``, ``at``, ``kg``, ``evidence`` and the words that its kind has (``EVENTS``).

    ``mass_of``: grams of an asset, for a way that says ``mode`` and ``km`` and no ``kg``.  Raises BadPassport.
    """
    problems: list[Problem] = []
    found = fact(table, "", problems, lambda name: name, mass_of)
    if found is None or not found.asset:
        problems += [] if problems else [Problem("", "'asset' is missing")]
        raise BadPassport([problem.what for problem in problems])
    return found


def fact(table: Any, path: str, problems: list[Problem], named: Callable[[str], str], mass_of: MassOf) -> AssetFact | None:
    """The fact of a table, or ``None`` and what is wrong with it.  ``named``: an asset's full name by the one that is written."""
    before = len(problems)
    found = values(_fields(table), table, path, problems)
    if len(problems) > before:
        return None
    for word in _NAMES:
        if word in found:
            found[word] = named(found[word])
    asset, what = named(found.get("asset", "")), found["event"]
    try:
        emitted_g = _completed(found, what, mass_of(asset))
    except (Mistake, BadTransport) as mistake:
        problems.append(Problem(path, f"{what}: {mistake}"))
        return None
    said = details({word: value for word, value in found.items() if word not in _OWN})
    return AssetFact(asset, what, found["at"], emitted_g, found.get("inside", ""), found.get("evidence", ""), pairs(said))


def _fields(table: Any) -> Fields:
    """The fields of this kind of event; of any, where the kind is not said right."""
    what = table.get("event") if isinstance(table, Mapping) else None
    for known in get_args(What):
        if known == what and known in EVENTS:
            return {**EVENT, **EVENTS[known]}
    every: dict[str, Any] = {}
    for fields in EVENTS.values():
        every |= fields
    return {**{word: field._replace(required=False) for word, field in every.items()}, **EVENT}


def _completed(found: dict[str, Any], what: What, mass_g: int | None) -> int | None:
    """Checks what must go together, turns years into hours, and gives what was emitted, if that is known."""
    life(found)
    needed = NEEDED.get(what, ())
    if needed and not any(word in found for word in needed):
        raise Mistake(f"it must say {' or '.join(repr(word) for word in needed)}")
    if ("price" in found) != ("currency" in found):
        raise Mistake("a 'price' needs its 'currency', and a 'currency' its 'price'")
    if what == "transfer" and "to" not in found:
        raise Mistake("to whom? say 'to'")
    if "out" in found and found["out"] == found.get("in"):
        raise Mistake("what goes out cannot be what comes in")
    if "km" not in found or "kg" in found:
        return found.get("kg")
    if "mode" not in found:
        raise Mistake("a way needs its 'mode': sea, road or air; or say its 'kg'")
    if not mass_g:
        raise Mistake("a way needs the thing's mass_kg in its passport; or say its 'kg'")
    carried = transport(found["mode"], Decimal(mass_g) / G_PER_KG, found["km"])
    found.setdefault("source", carried.source)
    return round(carried.kg * G_PER_KG)


def unknown(asset: str, names: list[str]) -> str:
    """What to say of a name that is none of them."""
    return f"there is no asset {asset!r} here{nearest(asset, names, given=False)}"
