"""The words of a passport: which there are in which table, how each is read, and what it is called in a fact's details."""

from decimal import Decimal
from typing import Any, get_args

from wattledger.accounting.assets.life import Amortisation, Kind, Reuse, What
from wattledger.accounting.assets.passport_fields import (
    HOURS_PER_YEAR,
    Field,
    Fields,
    Mistake,
    count,
    currency,
    digest,
    flag,
    grams,
    name,
    number,
    one_of,
    part,
    positive,
    serial,
    several,
    table,
    text,
    when,
)

SCHEMA = "wattledger.passport/1"
KINDS: tuple[str, ...] = get_args(Kind)
METHODS = ("pcf", "published", "bottom-up", "class", "nearest", "declared", "boavizta")
# What may be spread over machines that are metered: nobody's job runs on it alone.
OVERHEAD = ("network", "storage", "building", "rack", "chassis", "psu", "other")
MODES = ("sea", "road", "air", "rail")
# What a footprint of a whole machine may say that it includes, where these are no parts with footprints of their own.
ACCELERATORS = "accelerators"
# Of what is rented, making it is the owner's: it is no capital goods of ours.
RENTED = "rented"
CONDITIONS = ("new", "used", RENTED)
LONGEST_LIFE_H = 100 * HOURS_PER_YEAR


def _one_host(value: Any) -> str:
    said = text(value)
    if "," in said:
        raise Mistake("a name here holds no comma")
    return said


_TEXT, _NAME, _WHEN, _G = Field(text), Field(name), Field(when), Field(grams)
_POSITIVE, _PART = Field(positive), Field(part)
_KIND = Field(one_of(KINDS))
_HOSTS = Field(several(_one_host))

LIFE: Fields = {"life_years": _POSITIVE, "life_h": _POSITIVE, "life_work": _POSITIVE, "work_unit": _TEXT,
                "scheme": Field(one_of(get_args(Amortisation)))}  # fmt: skip
# What is known of any thing, container or part.
_THING: Fields = {
    "vendor": _TEXT, "model": _TEXT, "serial": Field(serial), "serial_hash": Field(digest), "made": _WHEN, "mass_kg": _G,
    "end_of_life_kg": _G, "device": _TEXT, "cores": _POSITIVE, "capacity_gb": _POSITIVE, "evidence": _TEXT, "note": _TEXT,
    "condition": Field(one_of(CONDITIONS)), "spread_over": _HOSTS, "spread_by": Field(one_of(("energy", "hosts", "hours"))),
    "footprint": Field(table), **LIFE,
}  # fmt: skip
ASSET: Fields = {
    "id": _NAME._replace(required=True), "kind": _KIND, **_THING, "purchased": _WHEN, "price": Field(number),
    "currency": Field(currency), "owner": _TEXT, "supplier": _TEXT, "invoice": _TEXT,
    "freight_kg": _G, "host": _TEXT, "site": _TEXT, "commissioned": _WHEN, "transport_kg": _G, "memory_gb": _POSITIVE,
}  # fmt: skip
COMPONENT: Fields = {
    "id": _NAME, "name": _NAME, "kind": _KIND._replace(required=True), **_THING, "count": Field(count),
    "devices": Field(several(text)), "serials": Field(several(serial)), "inside": _NAME, "spare": Field(flag),
}  # fmt: skip
FOOTPRINT: Fields = {
    "kg": _G, "low_kg": _G, "high_kg": _G, "whole_kg": _G, "boundary": _TEXT, "method": Field(one_of(METHODS)), "source": _TEXT,
    "year": Field(lambda value: text(str(value))), "licence": _TEXT, "note": _TEXT,
    "interval": Field(one_of(("stated", "by-method"))), "includes_parts": Field(flag), "includes": Field(one_of((ACCELERATORS,))),
    "pact": Field(lambda value: value), "estimate": Field(one_of(("boavizta",))), "inputs": Field(table),
}  # fmt: skip

# --- events: what each may say, beside asset, event, at and evidence ---------------------------------------------------------

_REUSE = {"method": Field(one_of(get_args(Reuse))), "price_ratio": _PART, "years_1": _POSITIVE, "years_2": _POSITIVE,
          "mass_ratio": _PART}  # fmt: skip
_MOVED = {"mode": Field(one_of(MODES)), "km": _POSITIVE}
_PLACE = {"host": _TEXT, "site": _TEXT}
_SWAP = {"out": _NAME, "in": _NAME}
_ANEW = {"life_years": _POSITIVE, "life_h": _POSITIVE}
_KG = {"kg": _G}
_ENERGY = {"energy_kwh": _POSITIVE, "g_per_kwh": _POSITIVE}
EVENTS: dict[What, Fields] = {
    "acquire": {**_KG, "owner": _TEXT, "price": Field(number), "currency": Field(currency), "condition": ASSET["condition"],
                "supplier": _TEXT, **_MOVED},
    "commission": {**_KG, **_PLACE, "owner": _TEXT, **LIFE, **_MOVED},
    "move": {**_KG, **_PLACE, "inside": _NAME, **_MOVED},
    "install": {"inside": _NAME._replace(required=True)},
    "remove": {},
    "swap": dict(_SWAP),
    "upgrade": {**_KG, **_SWAP, **_ANEW},
    "repair": {**_KG, **_ENERGY, "part": _NAME, **_ANEW},
    "refurbish": {**_KG, **_ENERGY, **_ANEW},
    "degrade": {"capacity": _PART._replace(required=True)},
    "estimate": dict(_ANEW),
    "transfer": {**_KG, "to": _TEXT, **_REUSE, **_MOVED},
    "second-life": {**_KG, **_PLACE, "owner": _TEXT, **_REUSE, **_ANEW},
    "scrap": {**_KG, "route": Field(one_of(("recycle", "landfill", "incinerate", "return", "harvest")))},
}  # fmt: skip
# At least one of these must be said.
NEEDED: dict[What, tuple[str, ...]] = {
    "repair": ("kg", "energy_kwh"), "move": ("host", "site", "inside"), "swap": ("out", "in"), "upgrade": ("out", "in"),
    "estimate": ("life_years", "life_h"),
}  # fmt: skip
EVENT: Fields = {"asset": _NAME, "event": Field(one_of(tuple(EVENTS)), required=True), "at": _WHEN._replace(required=True),
                 "evidence": _TEXT, "note": _TEXT, "source": _TEXT}  # fmt: skip

# --- words that a fact's details call otherwise, with their units ------------------------------------------------------------

CALLED = {"mass_kg": "mass_g", "end_of_life_kg": "eol_g", "life_h": "el_h", "life_work": "el_work", "low_kg": "low_g",
          "high_kg": "high_g", "whole_kg": "whole_g"}  # fmt: skip
IN_GRAMS = frozenset(("mass_g", "eol_g", "low_g", "high_g", "whole_g"))


def life(found: dict[str, Any]) -> None:
    """A life in years becomes one in hours, in place; Mistake where both are said."""
    if "life_years" in found:
        if "life_h" in found:
            raise Mistake("a life is in 'life_years' or in 'life_h', not in both")
        found["life_h"] = round(found.pop("life_years") * HOURS_PER_YEAR, 6)
        if found["life_h"] > LONGEST_LIFE_H:
            raise Mistake("a life of more than 100 years is not likely: hours belong in 'life_h'")
    if found.get("life_h", 0) > LONGEST_LIFE_H:
        raise Mistake(f"a life of more than 100 years ({LONGEST_LIFE_H} hours) is not likely")
    if ("life_work" in found) != ("work_unit" in found) and found.get("scheme") == "work":
        raise Mistake("a life by work needs 'life_work' and its 'work_unit'")


def details(found: dict[str, Any]) -> dict[str, Any]:
    """Values by the names that details give them."""
    return {CALLED.get(key, key): value for key, value in found.items()}


def years(hours: Decimal) -> Decimal | None:
    """Hours as years, where these say it as exactly."""
    said = round(hours / HOURS_PER_YEAR, 6)
    return said if said * HOURS_PER_YEAR == hours else None
