"""Machines in the corporate inventory (GHG Protocol, scope 3): all that making one emitted counts in the year it was bought.

Capital goods are category 2, repairs and upgrades category 1 (services and parts bought), transport category 4, treatment at the
end category 5.  What is rented (its passport's ``condition``, a cloud's virtual machine above all) is its owner's capital goods; it
reaches us in category 1, by the owner's own figures, and is left out here.  The amortised view spreads the same kilograms over
years of use: the two are never added.
"""

from collections.abc import Iterable
from typing import NamedTuple

from wattledger.accounting.assets.life import Life, What
from wattledger.accounting.assets.passport_words import RENTED
from wattledger.accounting.embodied.shares import Span
from wattledger.core.facts import AssetFact, Known

CAPITAL, SERVICES, TRANSPORT, WASTE = 2, 1, 4, 5
CATEGORIES = {
    SERVICES: "purchased goods and services", CAPITAL: "capital goods", TRANSPORT: "upstream transportation",
    WASTE: "waste generated in operations",
}  # fmt: skip
OF_EVENT: dict[What, int] = {"acquire": TRANSPORT, "commission": TRANSPORT, "move": TRANSPORT, "scrap": WASTE}
NOTE = (
    "whole kilograms in the year of purchase; never to be added to the amortised view, which spreads the same ones over use. "
    "What is rented is not bought and not in it: the making of that is category 1, by its owner's figures"
)
BOUGHT = ("acquire", "commission", "make")  # the first of these that there is says when


class Bought(NamedTuple):
    """Micrograms of an asset that count at a time in one category; ``by``: which event says when."""

    asset: str
    at_s: int
    category: int
    ug: int
    by: str


def inventory(lives: Iterable[Life], holding: Iterable[Known], span: Span) -> list[Bought]:
    """What counts in the span, by time and asset."""
    known = list(holding)
    when, rented = _when(known), _rented(known)
    found = []
    for life in lives:
        asset = life.passport.asset
        for moved in life.movements:
            if moved.cause in ("made", "transferred-in"):
                if asset in rented:
                    continue
                at_s, by = when.get(asset, (moved.at_s, moved.what)) if moved.cause == "made" else (moved.at_s, moved.what)
                found.append(Bought(asset, at_s, CAPITAL, moved.ug, by))
            elif moved.cause == "added":
                found.append(Bought(asset, moved.at_s, OF_EVENT.get(moved.what, SERVICES), moved.ug, moved.what))
    return sorted((one for one in found if span.from_s <= one.at_s < span.to_s and one.ug), key=lambda one: (one.at_s, one.asset))


def _rented(holding: Iterable[Known]) -> set[str]:
    """Assets whose condition, as it was said last, is that they are rented: what is bought in the end counts from then on."""
    said = [one.fact for one in holding if isinstance(one.fact, AssetFact) and _condition(one.fact)]
    last = {fact.asset: _condition(fact) for fact in sorted(said, key=lambda fact: (fact.at_s, fact.event != "make"))}
    return {asset for asset, condition in last.items() if condition == RENTED}


def _condition(fact: AssetFact) -> str:
    return dict(fact.details).get("condition", "") if fact.event in ("make", "acquire") else ""


def _when(holding: Iterable[Known]) -> dict[str, tuple[int, str]]:
    """asset → when it was bought, and which event says so."""
    first: dict[tuple[str, str], int] = {}
    for one in holding:
        fact = one.fact
        if isinstance(fact, AssetFact) and fact.event in BOUGHT and (fact.event != "acquire" or _condition(fact) != RENTED):
            key = fact.asset, fact.event
            first[key] = min(fact.at_s, first.get(key, fact.at_s))
    found: dict[str, tuple[int, str]] = {}
    for event in reversed(BOUGHT):
        found |= {asset: (at_s, event) for (asset, said), at_s in first.items() if said == event}
    return found
