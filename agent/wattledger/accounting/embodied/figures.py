"""How sure figures of embodied carbon are, and with what they share their error."""

from collections.abc import Iterable

from wattledger.accounting.assets.life import Life
from wattledger.accounting.embodied.made import Figure
from wattledger.core.facts import AssetFact, Known
from wattledger.factors.hardware.figure import Embodied

# By how a figure was got, where it brings no interval of its own (carbon.md 8.3).
G95 = {"pcf": 1.5, "published": 2.0, "declared": 2.0, "bottom-up": 2.0, "class": 3.0, "nearest": 3.0}
UNKNOWN_G95 = 3.0


def figure_of(life: Life) -> Figure:
    """Of a passport: all things of one model by one source are off alike."""
    passport = life.passport
    g95 = G95.get(passport.method, UNKNOWN_G95)
    low = passport.made_g / passport.low_g if passport.low_g and 0 < passport.low_g <= passport.made_g else g95
    high = passport.high_g / passport.made_g if passport.high_g and 0 < passport.made_g <= passport.high_g else g95
    named = [word for word in (passport.source, f"{passport.vendor} {passport.model}".strip()) if word]
    cause = "|".join(named) if passport.model else passport.asset
    return Figure(cause, "passport", passport.method, passport.boundary, low, high, not life.el_stated)


def figure_of_estimate(found: Embodied) -> Figure:
    """Of an estimate.  Its service life is always an assumption."""
    g95 = G95.get(found.method, UNKNOWN_G95)
    low = found.kg / found.low_kg if 0 < found.low_kg <= found.kg else g95
    high = found.high_kg / found.kg if 0 < found.kg <= found.high_kg else g95
    return Figure(f"{found.source}|{found.item}", "estimate", found.method, found.boundary, low, high, True)


def words_of(holding: Iterable[Known]) -> dict[str, dict[str, str]]:
    """asset → the words that its events say (``el_h``, ``scheme``, ``spread_over``, …); of one said twice, the later."""
    facts = [one.fact for one in holding if isinstance(one.fact, AssetFact)]
    found: dict[str, dict[str, str]] = {}
    for fact in sorted(facts, key=lambda fact: fact.at_s):
        found.setdefault(fact.asset, {}).update(fact.details)
    return found
