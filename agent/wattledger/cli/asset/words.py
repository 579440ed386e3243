"""Assets as people read them: kilograms, hours, days, and where a thing is."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

from wattledger.accounting.assets.life import HOUR_S, Balance, Kind, Life, Place
from wattledger.accounting.assets.passport_fields import G_PER_KG, plain
from wattledger.accounting.assets.passport_words import CALLED, IN_GRAMS, years
from wattledger.core.facts import AssetFact

UG_PER_KG = 10**9
UG_PER_G = 10**6
DAY_S = 86_400
IN_WORDS = {kept: typed for typed, kept in CALLED.items()}
NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def kinds() -> tuple[str, ...]:
    """The kinds of asset."""
    return get_args(Kind)


def kg(ug: int) -> str:
    """Micrograms as kilograms, to the gram where there are few."""
    grams = round(ug / UG_PER_G)
    return f"{grams / 1000:.3f}".rstrip("0").rstrip(".") if abs(grams) < 100_000 else f"{round(grams / 1000)}"


def iso(at_s: int) -> str:
    """A time as the contract writes it."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(at_s: int) -> str:
    """The day, or the minute where it is not midnight."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d" if at_s % DAY_S == 0 else "%Y-%m-%d %H:%M")


def life_used(life: Life) -> str:
    """How much of its service life is over."""
    return f"{100 * life.age_s / life.el_s:.1f} %" if life.el_s else ""


def where(place: Place) -> str:
    """``in dgx-1 on gpu-7, Frankfurt``, or that it is in stock."""
    words = [f"in {place.inside}"] if place.inside else []
    words += [f"on {place.host}"] if place.host else []
    text = " ".join(words) or "in stock"
    return f"{text}, {place.site}" if place.site else text


def told(fact: AssetFact, of: str = "") -> str:
    """An event on one line; ``of``: the asset whose history it stands in, which is then not named."""
    said = dict(fact.details)
    words = [day(fact.at_s), fact.event] if fact.asset == of else [day(fact.at_s), fact.event, fact.asset]
    words += [f"{fact.emitted_g / 1000:,.10g} kg"] if fact.emitted_g is not None else []
    words += [f"in {fact.inside}"] if fact.inside else []
    if fact.event == "make":
        # The rest of a making is the passport, which `asset show` has in full.
        words += [said[name] for name in ("model", "method") if name in said]
    else:
        words += [f"{name}={value}" for name, value in typed(fact.details)]
    return "  ".join(words)


def typed(details: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Details in the words that people type: years or hours of life, kilograms."""
    for name, value in details:
        number = Decimal(value) if name in IN_WORDS and NUMBER.fullmatch(value) else None
        in_years = years(number) if name == "el_h" and number is not None else None
        if in_years is not None:
            yield "life_years", plain(in_years)
        elif name in IN_GRAMS and number is not None:
            yield IN_WORDS[name], plain(number / G_PER_KG)
        else:
            yield IN_WORDS.get(name, name), value


def lasting(seconds: int) -> str:
    """A service life: ``5 years``, where these say it as exactly as hours do."""
    in_years = years(Decimal(seconds) / HOUR_S)
    return f"{seconds / HOUR_S:g} h" if in_years is None else f"{plain(in_years)} year{'' if in_years == 1 else 's'}"


def sums(balance: Balance) -> str:
    """``164.000 made + 3.000 added = 12.000 booked + 155.000 carried kg CO2e``.

    To the gram, each rounded up or down (largest remainder), so that the line adds up as it is printed; nothing stays nothing.
    """
    came = {"made": balance.made_ug, "added": balance.added_ug, "transferred in": balance.transferred_in_ug}
    went = {"booked": balance.booked_ug, "written off": balance.written_off_ug, "transferred out": balance.transferred_out_ug}
    went["carried"] = balance.carried_ug
    shown_in = [f"{_exact(grams)} {word}" for word, grams in _grams(came).items() if grams or word == "made"]
    shown_out = [f"{_exact(grams)} {word}" for word, grams in _grams(went).items() if grams or word == "carried"]
    return f"{' + '.join(shown_in)} = {' + '.join(shown_out)} kg CO2e"


def _grams(amounts: Mapping[str, int]) -> dict[str, int]:
    """Micrograms as grams that add up to the grams of their sum: those with the largest remainders are rounded up."""
    found = {word: ug // UG_PER_G for word, ug in amounts.items()}
    up = round(sum(amounts.values()) / UG_PER_G) - sum(found.values())
    for word in sorted(amounts, key=lambda word: amounts[word] % UG_PER_G, reverse=True)[:up]:
        found[word] += 1
    return found


def _exact(grams: int) -> str:
    return f"{grams / 1000:.3f}"


def row(life: Life, now_s: int) -> dict[str, Any]:
    """One asset as JSON: carbon in micrograms, exactly, and in kilograms; what is not known is absent."""
    passport, balance = life.passport, life.balance(now_s)
    low_kg, high_kg = (None if grams is None else grams / 1000 for grams in (passport.low_g, passport.high_g))
    found = {
        "asset": passport.asset, "kind": passport.kind, "vendor": passport.vendor, "model": passport.model,
        "device": passport.device, "serial_hash": passport.serial_hash, "status": life.status, "inside": life.place.inside,
        "host": life.place.host, "site": life.place.site, "owner": life.place.owner,
        "made": None if passport.made_s is None else iso(passport.made_s),
        "made_kg": balance.made_ug / UG_PER_KG, "low_kg": low_kg, "high_kg": high_kg, "boundary": passport.boundary,
        "method": passport.method, "source": passport.source, "carried_kg": balance.carried_ug / UG_PER_KG,
        "life_h": life.el_s / HOUR_S, "life_stated": life.el_stated, "age_h": life.age_s / HOUR_S,
        "life_used": life.age_s / life.el_s if life.el_s else None, "parts": list(life.parts), "balance_ug": balance._asdict(),
    }  # fmt: skip
    return {name: value for name, value in found.items() if value not in (None, "")}
