"""``report embodied`` as plain data (schema ``wattledger.embodied/1``): the trial balance of machines and what jobs were charged,
or the inventory's view of the same machines.

Ints of micrograms, which add up exactly, beside quantities in grams.  What is not known is absent, never zero.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from wattledger.accounting import made_up
from wattledger.accounting.embodied import trial
from wattledger.accounting.embodied.booking import Embodieds, Ready
from wattledger.accounting.embodied.inventory_view import CATEGORIES, NOTE, Bought, inventory
from wattledger.accounting.embodied.made import UG_PER_G
from wattledger.accounting.embodied.methods import METHODS, SAID, Method, method_of
from wattledger.accounting.embodied.shares import Span
from wattledger.accounting.embodied.trial import TrialRow
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.core.facts import AssetFact
from wattledger.ledger.books import Books
from wattledger.ledger.query_embodied import metered

SCHEMA = "wattledger.embodied/1"
ALL = "all"
NO_PRICES = "by price: left out, nobody said what jobs pay (--prices FILE)"


class UnknownAsset(ValueError):
    """Nothing of that name is in the books; ``names``: what is."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = names


def amortised(books: Books, ask: Ask, rules: Rules, method: str) -> dict[str, Any]:
    """The trial balance of all assets, or of the one that ``ask`` names; ``method``: one of four, or ``all``.

    Raises UnknownAsset, ValueError and LedgerError."""
    prices = dict(rules.prices) or None
    chosen = [each for each in METHODS if each != "economic" or prices] if method == ALL else [method_of(method)]
    if chosen == ["economic"] and prices is None:
        raise ValueError("to allocate by price needs prices: --prices FILE, rows of JOB,PRICE (per hour)")
    ready = Ready(books, _whole(books, ask)._replace(kind="job", name=None, by=None), rules)
    found = {each: _named(ready.by(each, prices), ask.name) for each in chosen}
    first = found[chosen[0]]
    if ask.name is not None and ask.name not in first.fleet.lives:
        raise UnknownAsset(f"no asset {ask.name!r} in the books", sorted(first.fleet.lives))
    balance = {name: row for name, row in trial.rows(first).items() if ask.name in (None, name)}
    said = _head(first.span, "amortised") | {"method": method}
    said["means"] = {each: SAID[each] for each in chosen}
    said["assets"] = [_asset(first, name, row) for name, row in balance.items()]
    said["total"] = _amounts(trial.total(balance.values()))
    said["in_stock_ug"] = sum(row.closing_ug for name, row in balance.items() if first.fleet.lives[name].status == "stock")
    said["jobs"], said["charged_ug"] = _jobs(found), {each: sum(b.ug for b in one.booked) for each, one in found.items()}
    said["estimates"] = [] if ask.name is not None else _estimates(ready)
    left_out = [NO_PRICES] if method == ALL and prices is None else []
    return said | {"notes": [*made_up.notes(made_up.hosts(books.holding)), *first.notes, *left_out]}


def inventoried(books: Books, ask: Ask) -> dict[str, Any]:
    """Capital goods by the year in which they were bought.  Raises UnknownAsset and LedgerError."""
    from wattledger.accounting.assets.books import fleet_of

    whole = _whole(books, ask)
    span = Span(whole.from_s or 0, whole.to_s or 0)
    lives = fleet_of(books.other, until_s=span.to_s).lives
    if ask.name is not None and ask.name not in lives:
        raise UnknownAsset(f"no asset {ask.name!r} in the books", sorted(lives))
    found = [one for one in inventory(lives.values(), books.holding, span) if ask.name in (None, one.asset)]
    years: dict[str, list[Bought]] = {}
    for one in found:
        years.setdefault(datetime.fromtimestamp(one.at_s, UTC).strftime("%Y"), []).append(one)
    said = _head(span, "inventory") | {"note": NOTE}
    said["years"] = [_year(year, bought) for year, bought in years.items()]
    said["total_ug"] = sum(one.ug for one in found)
    return said | {"total_g": said["total_ug"] / UG_PER_G, "notes": []}


def _whole(books: Books, ask: Ask) -> Ask:
    """From the first thing that is known of machines, or was metered, to now: when the newest fact was recorded or window ended."""
    begun = [one.fact.at_s for one in books.holding if isinstance(one.fact, AssetFact)]
    devices = metered(books.connection, None, None) if ask.from_s is None or ask.to_s is None else []
    # A window may end later than its fact was written down, and begin before the first passport.
    ends = [(books.last_s or 0) + 1, *(device.last_s for device in devices)]
    begun += [device.first_s for device in devices]
    to_s = max(ends) if ask.to_s is None else ask.to_s
    if ask.from_s is not None and ask.from_s >= to_s:
        raise ValueError("the report would end before it begins: --from must be before --to, and before now")
    from_s = min((*begun, to_s)) if begun and ask.from_s is None else ask.from_s
    return ask._replace(from_s=from_s, to_s=to_s)


def _named(found: Embodieds, asset: str | None) -> Embodieds:
    return found if asset is None else found._replace(booked=tuple(one for one in found.booked if one.asset == asset))


def _head(span: Span, view: str) -> dict[str, Any]:
    begin, end = (datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at_s in (span.from_s, span.to_s))
    return {"schema": SCHEMA, "kind": "embodied", "view": view, "from": begin, "to": end}


def _asset(found: Embodieds, name: str, row: TrialRow) -> dict[str, Any]:
    life = found.fleet.lives[name]
    passport = life.passport
    words = {"kind": passport.kind, "model": passport.model, "host": life.place.host, "inside": life.place.inside}
    said = {"asset": name, **{word: text for word, text in words.items() if text}, "status": life.status}
    # What nobody knows stands at nothing in sums, and is not shown as if that were known.
    said |= {"made": "not known"} if not passport.made_known else {}
    return said | _amounts(row)


def _amounts(row: TrialRow) -> dict[str, int]:
    return {**row._asdict(), "residual_ug": row.residual_ug}


def _jobs(found: Mapping[Method, Embodieds]) -> list[dict[str, Any]]:
    by_method = {method: trial.by_job(one) for method, one in found.items()}
    said = []
    for job in sorted({job for jobs in by_method.values() for job in jobs}):
        mine = {method: jobs[job] for method, jobs in by_method.items() if job in jobs}
        if len(found) > 1:
            said.append({"job": job, "embodied_ug": {method: mine[method].made.ug if method in mine else 0 for method in found}})
            continue
        [one] = mine.values()
        row: dict[str, Any] = {"job": job, "embodied_g": one.made.grams().to_dict(), "embodied_ug": one.made.ug}
        said.append(row | {"passport_ug": one.passport_ug, "estimate_ug": one.made.ug - one.passport_ug})
    return said


def _estimates(ready: Ready) -> list[dict[str, Any]]:
    """What stands in for passports."""
    named = ("item", "kg", "low_kg", "high_kg", "method", "source", "year", "life_h")
    return [{"for": one.asset, **{word: getattr(one.embodied, word) for word in named}} for one in ready.guessed]


def _year(year: str, bought: Sequence[Bought]) -> dict[str, Any]:
    sums: dict[int, int] = {}
    for one in bought:
        sums[one.category] = sums.get(one.category, 0) + one.ug
    categories = [
        {"scope3_category": category, "name": CATEGORIES[category], "emitted_ug": ug, "emitted_g": ug / UG_PER_G}
        for category, ug in sorted(sums.items())
    ]
    assets = [{"asset": one.asset, "scope3_category": one.category, "by": one.by, "emitted_ug": one.ug} for one in bought]
    return {"year": year, "categories": categories, "assets": assets}
