"""Assets as people read them: kilograms, hours, days, and where a thing is."""

from datetime import UTC, datetime
from typing import Any, get_args

from wattledger.accounting.assets.life import HOUR_S, Balance, Kind, Life, Place
from wattledger.core.facts import AssetFact

UG_PER_KG = 10**9
UG_PER_G = 10**6
DAY_S = 86_400


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
        words += [f"{name}={value}" for name, value in fact.details]
    return "  ".join(words)


def sums(balance: Balance) -> str:
    """``164.000 made + 3.000 added = 12.000 booked + 155.000 carried kg CO2e``.

    To the gram, and what is carried is the difference of the others, so that the line adds up as it is printed.
    """
    came = {"made": balance.made_ug, "added": balance.added_ug, "transferred in": balance.transferred_in_ug}
    went = {"booked": balance.booked_ug, "written off": balance.written_off_ug, "transferred out": balance.transferred_out_ug}
    grams_in = {word: round(ug / UG_PER_G) for word, ug in came.items()}
    grams_out = {word: round(ug / UG_PER_G) for word, ug in went.items()}
    left = sum(grams_in.values()) - sum(grams_out.values())
    shown_in = [f"{_exact(grams)} {word}" for word, grams in grams_in.items() if grams or word == "made"]
    shown_out = [f"{_exact(grams)} {word}" for word, grams in (*grams_out.items(), ("carried", left)) if grams or word == "carried"]
    return f"{' + '.join(shown_in)} = {' + '.join(shown_out)} kg CO2e"


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
