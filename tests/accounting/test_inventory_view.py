"""The corporate inventory of machines: what is bought counts once, and what is rented is its owner's capital goods."""

from datetime import UTC, datetime

from tests.accounting.made_passports import details

from wattledger.accounting.assets import passport, passport_write
from wattledger.accounting.assets.books import fleet_of
from wattledger.accounting.assets.words import fact
from wattledger.accounting.embodied.inventory_view import CAPITAL, SERVICES, Bought, inventory
from wattledger.accounting.embodied.shares import Span
from wattledger.core.facts import AssetFact, Known

T = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
DAY_S = 86_400
RENTED = """\
schema = "wattledger.passport/1"
[asset]
id = "vm"
kind = "other"
condition = "rented"
commissioned = 2026-01-01
life_years = 5
footprint = { kg = 500, source = "x" }
[[component]]
kind = "gpu"
footprint = { kg = 164, source = "x" }
[[component]]
kind = "ssd"
condition = "used"
footprint = { kg = 20, source = "x" }
"""


def counted(*facts: AssetFact) -> list[Bought]:
    known = [Known(f"w:{number}", T, one) for number, one in enumerate(facts, 1)]
    return inventory(fleet_of(known).lives.values(), known, Span(0, T + 1000 * DAY_S))


def capital(*facts: AssetFact) -> dict[str, tuple[int, int]]:
    return {one.asset: (one.at_s, one.ug // 10**9) for one in counted(*facts) if one.category == CAPITAL}


def make(name: str, **words: str) -> AssetFact:
    return fact(name, "make", at_s=T, emitted_g=500_000, **{"kind": "server", "el_h": "43800", **words})


def test_what_is_rented_is_no_capital_goods_and_its_parts_neither() -> None:
    found = passport.read(RENTED, "toml", "vm.toml").facts
    said = {one.asset: details(one).get("condition") for one in found if one.event == "make"}
    assert said == {"vm": "rented", "vm/gpu": "rented", "vm/ssd": "used"}
    assert capital(*found) == {"vm/ssd": (T, 20)}


def test_a_rented_machines_passport_is_written_and_reads_back() -> None:
    for text in (RENTED, RENTED.replace("commissioned", "purchased = 2026-01-01\ncommissioned")):
        found = passport.read(text, "toml", "vm.toml").facts
        assert passport.read(passport_write.write(found), "toml", "again.toml").facts == found


def test_a_purchase_of_another_condition_stays_an_event_of_its_own() -> None:
    for first, second in (("rented", "used"), ("used", "new"), ("", "rented"), ("new", "")):
        text = RENTED.replace('condition = "rented"', f'condition = "{first}"').replace("commissioned", "made")
        bought = f'[[event]]\nevent = "acquire"\nat = 2026-02-01\ncondition = "{second}"\n'
        found = passport.read(text + bought, "toml", "vm.toml").facts
        assert passport.read(passport_write.write(found), "toml", "again.toml").facts == found


def test_repairs_of_what_is_rented_are_ours_all_the_same() -> None:
    found = counted(make("vm", condition="rented"), fact("vm", "repair", at_s=T + 5, emitted_g=3_000))
    assert [(one.category, one.ug) for one in found] == [(SERVICES, 3_000 * 10**6)]


def test_what_was_rented_and_is_bought_counts_from_then_on() -> None:
    rented = make("m", condition="rented"), fact("m", "acquire", at_s=T, condition="rented")
    assert capital(*rented) == {}
    bought = fact("m", "acquire", at_s=T + 400 * DAY_S, condition="used")
    assert capital(*rented, bought) == {"m": (T + 400 * DAY_S, 500)}
    assert capital(make("m"), bought) == {"m": (T + 400 * DAY_S, 500)}
