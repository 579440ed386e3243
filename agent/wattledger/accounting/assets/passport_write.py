"""Facts → a passport's text, which reads back to equal facts; and a template that says what may stand in one."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from wattledger.accounting.assets.passport_facts import BOUGHT, PLACED
from wattledger.accounting.assets.passport_fields import G_PER_KG
from wattledger.accounting.assets.passport_words import ASSET, CALLED, COMPONENT, FOOTPRINT, IN_GRAMS, RENTED, SCHEMA, years
from wattledger.core.facts import AssetFact

DAY_S = 86_400
LEFT_OUT = "\0"  # no key of a passport: the words that are left out stand there, and become comments
_WRITTEN = {kept: written for written, kept in CALLED.items()}
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NUMBERS = frozenset(("life_years", "life_h", "life_work", "cores", "capacity_gb", "memory_gb", "price", "km", "energy_kwh",
                      "g_per_kwh", "capacity", "price_ratio", "years_1", "years_2", "mass_ratio"))  # fmt: skip


def write(facts: Sequence[AssetFact]) -> str:
    """The passport of the asset that is made first among them; the others are its parts.  ValueError where nothing is made.

    What a passport has no word for is left out, with a comment that says so.
    """
    makes = [fact for fact in facts if fact.event == "make"]
    if not makes:
        raise ValueError("no asset is made by these facts")
    return toml(document(makes, [fact for fact in facts if fact.event != "make"]))


def document(makes: Sequence[AssetFact], later: Iterable[AssetFact]) -> dict[str, Any]:
    """The passport as a tree: what ``toml`` writes, and JSON may."""
    root, events = makes[0], list(later)
    asset = {"id": root.asset, **_thing(root, ASSET)}
    for word, head in (("acquire", _purchase), ("commission", _service)):
        # Only what happened first: of two events of one second, the order in which they are written is that of the books.
        said = head(events[0], asset) if events and (events[0].event, events[0].asset) == (word, root.asset) else None
        if said is not None:
            asset |= said
            del events[0]
    parts = [_component(fact, root.asset) for fact in makes[1:]]
    happened = [_event(fact, root.asset) for fact in events]
    return {"schema": SCHEMA, "asset": asset, "component": parts, "event": happened}


def toml(tree: Mapping[str, Any]) -> str:
    """A tree of texts, numbers, dates, lists of such, tables, and lists of tables as TOML; what is empty is left out."""
    return "\n".join(_lines(tree, "")).lstrip("\n") + "\n"


def _thing(make: AssetFact, fields: Mapping[str, object]) -> dict[str, Any]:
    """What a ``make`` fact says, in a passport's words."""
    said = {_WRITTEN.get(key, key): value for key, value in make.details}
    found: dict[str, Any] = {"made": _day(make.at_s), "evidence": make.evidence}
    found |= {key: _value(key, value) for key, value in said.items() if key in fields and key not in FOOTPRINT}
    if "life_h" in found:
        in_years = years(Decimal(said["life_h"]))
        if in_years is not None:
            del found["life_h"]
            found["life_years"] = in_years
    rest = {key: _value(key, value) for key, value in said.items() if key in FOOTPRINT}
    if make.emitted_g is not None:
        found["footprint"] = {"kg": Decimal(make.emitted_g) / G_PER_KG, **rest}
    elif "note" in rest:
        found["note"] = rest["note"]
    found[LEFT_OUT] = [key for key in said if key not in fields and key not in FOOTPRINT]
    return found


def _component(make: AssetFact, root: str) -> dict[str, Any]:
    own = make.asset.removeprefix(f"{root}/")
    named = {"id": own} if own != make.asset else {"name": make.asset}
    inside = {"spare": True} if not make.inside else {} if make.inside == root else {"inside": make.inside}
    return {**named, **_thing(make, COMPONENT), **inside}


def _purchase(fact: AssetFact, asset: Mapping[str, Any]) -> dict[str, Any] | None:
    """A purchase in the words of the asset's own table; ``None`` where they do not hold it."""
    said = dict(fact.details)
    if said.keys() - {*BOUGHT, "owner"} or "owner" in asset or not _sound(asset, fact):
        return None
    # What was rented from the start, and nothing else, is said of its making too.
    if asset.get("condition", "") != (RENTED if said.get("condition") == RENTED else ""):
        return None
    words: dict[str, Any] = {key: _value(key, value) for key, value in said.items()}
    return {"purchased": _day(fact.at_s), **words, "invoice": fact.evidence, **_kg("freight_kg", fact)}


def _service(fact: AssetFact, asset: Mapping[str, Any]) -> dict[str, Any] | None:
    """Its going into service, likewise."""
    said = dict(fact.details)
    allowed = {*PLACED, *(() if "purchased" in asset else ("owner",))}
    taken = {*PLACED, *(() if "purchased" in asset else ("owner",))} & asset.keys()
    if said.keys() - allowed or taken or fact.evidence or not _sound(asset, fact):
        return None
    return {"commissioned": _day(fact.at_s), **said, **_kg("transport_kg", fact)}


def _sound(asset: Mapping[str, Any], fact: AssetFact) -> bool:
    return not fact.inside and _seconds(asset["made"]) <= fact.at_s


def _event(fact: AssetFact, root: str) -> dict[str, Any]:
    said = {_WRITTEN.get(key, key): value for key, value in fact.details}
    where = {} if fact.asset == root else {"asset": fact.asset}
    found = {**where, "event": fact.event, "at": _day(fact.at_s), **_kg("kg", fact), "inside": fact.inside}
    return {**found, **{key: _value(key, value) for key, value in said.items()}, "evidence": fact.evidence}


def _kg(word: str, fact: AssetFact) -> dict[str, Any]:
    return {} if fact.emitted_g is None else {word: Decimal(fact.emitted_g) / G_PER_KG}


def _value(key: str, kept: str) -> Any:
    """A detail's text as a passport writes it."""
    if CALLED.get(key, key) in IN_GRAMS:
        return Decimal(kept) / G_PER_KG
    if key == "spread_over":
        return kept.split(",")
    return Decimal(kept) if key in _NUMBERS else kept


def _day(at_s: int) -> date | datetime:
    at = datetime.fromtimestamp(at_s, UTC)
    return at.date() if at_s % DAY_S == 0 else at


def _seconds(day: date | datetime) -> int:
    return int((day if isinstance(day, datetime) else datetime(day.year, day.month, day.day, tzinfo=UTC)).timestamp())


# --- TOML -----------------------------------------------------------------------------------------------------------------


def _lines(tree: Mapping[str, Any], path: str) -> Iterator[str]:
    tables = {key: value for key, value in tree.items() if isinstance(value, Mapping) and value}
    lists = {key: value for key, value in tree.items() if _are_tables(value)}
    for key, value in tree.items():
        if key == LEFT_OUT:
            yield from (f"# {_text(word)} is left out: a passport has no word for it" for word in value)
        elif key not in tables and key not in lists and value not in (None, "", [], {}):
            yield f"{_key(key)} = {_scalar(value)}"
    for key, table in tables.items():
        here = f"{path}.{_key(key)}" if path else _key(key)
        yield from ("", f"[{here}]", *_lines(table, here))
    for key, several in lists.items():
        here = f"{path}.{_key(key)}" if path else _key(key)
        for table in several:
            yield from ("", f"[[{here}]]", *_lines(table, here))


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_scalar(each) for each in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_scalar(each)}' for key, each in value.items())}}}"
    if isinstance(value, (int, float, Decimal)):
        return format(Decimal(str(value)).normalize(), "f")
    return _text(str(value))


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for the one control character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


TEMPLATE = f'''\
schema = "{SCHEMA}"

[asset]
id = "dgx-1"                      # your name for it, at most 128 characters, no ":"
kind = "server"                   # {", ".join(("server", "storage", "network", "rack", "building"))}, …
vendor = "ACME"
model = "8U GPU server"
# serial = "ABC123"               # only its hash is kept
made = 2025-03-01
purchased = 2025-05-02
price = 250000
currency = "EUR"
owner = "research"
host = "gpu-7"                    # as the meter names it
site = "Frankfurt"
commissioned = 2025-06-01
life_years = 5                    # planned service life
# mass_kg = 130
# end_of_life_kg = 40             # what its treatment at the end will emit
# condition = "rented"           # its making is its owner's: no capital goods in the inventory (new, used, rented)
# spread_over = ["*"]             # for storage, network, rack, building: the hosts that use it …
# spread_by = "energy"            # … and by what: energy, hosts or hours

[asset.footprint]                 # leave it out, and it is estimated and marked so
kg = 2500
low_kg = 1250                     # 95 % interval; without it, by the method
high_kg = 5000
boundary = "cradle-to-gate"
method = "published"              # pcf, published, bottom-up, class, nearest, declared
source = "the vendor's product carbon footprint"
year = "2024"
# includes_parts = true           # the parts below are in it: it gets what they leave over
# includes = "accelerators"       # it counts cards that are no parts below: no estimate of them is added
# pact = "footprint.json"         # or a PACT v3 product footprint, or estimate = "boavizta"

[[component]]
id = "gpu"                        # gpu-0 … gpu-7, as there are 8
kind = "gpu"
model = "NVIDIA H100 80GB HBM3"
count = 8
# devices = ["GPU-…", "GPU-…"]    # their UUIDs, so that each pays for itself (one: device = "GPU-…")
life_years = 4

[[event]]
asset = "gpu-3"                   # left out: the machine itself
event = "repair"
at = 2026-02-11
kg = 12.5
evidence = "ticket 4711"
'''


def template() -> str:
    """A passport to fill in; it reads without a mistake."""
    return TEMPLATE
