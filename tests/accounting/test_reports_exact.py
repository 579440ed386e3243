"""Reports are exact: equal to a sum over every second, and the same bytes for the same facts, however they are kept."""

import random
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_reports import DAY_S, KWH, H, add, asked, books, grams, said, used, written
from tests.accounting.test_brute_force import local_day
from tests.ledger.made import NOON_S, began, key, work

from wattledger.accounting.price import Price
from wattledger.accounting.prices import operational
from wattledger.accounting.report_ask import Ask
from wattledger.core.facts import EnergyFact, Fact, IntensityFact, RunFact
from wattledger.ledger import lake
from wattledger.ledger.books import Books
from wattledger.ledger.compact import Plan, compact
from wattledger.ledger.segments import seal

DE_G = 329.0  # the annual table's direct average of DE


def by_second(facts: list[EnergyFact], prices: dict[int, int]) -> Fraction:
    """Micrograms of DE: the hour's price; else the last hour's for six hours; else the year's average."""
    products: Counter[int] = Counter()
    for fact in facts:
        of_hour: Counter[int] = Counter(second // H for second in range(fact.start_s, fact.start_s + fact.length_s))
        for hour, seconds in of_hour.items():
            price = next((prices[hour - back] for back in range(7) if hour - back in prices), round(DE_G * 1e6))
            products[fact.length_s] += fact.energy_uj * fact.key.pue_milli * price * seconds
    return sum((Fraction(product, length_s * 1000 * KWH) for length_s, product in products.items()), Fraction(0))


def a_day(day: str, seed: int) -> tuple[list[EnergyFact], dict[int, int], int]:
    """Facts, prices by hour with holes, and the day's end."""
    dice = random.Random(f"{day} {seed}")
    start_s, end_s = local_day(day)
    prices = {h: dice.randrange(900_000_000) for h in range(start_s // H, end_s // H) if dice.random() < 0.5}
    facts, at_s = [], start_s
    while at_s < end_s:
        length_s = dice.choice([60, 60, 300, H, 5 * H])
        job, pue = dice.choice(["train", "(idle)", "serve"]), dice.choice([1000, 1123])
        facts.append(EnergyFact(key(pue_milli=pue, job=job), at_s, length_s, 0, dice.randrange(10**13)))
        at_s += length_s * dice.choice([1, 1, 2, 30])
    return facts, prices, end_s


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_local_day_with_holes_is_the_sum_of_its_seconds(tmp_path: Path, day: str, seed: int) -> None:
    facts, prices, end_s = a_day(day, seed)
    place = books(tmp_path, [*facts, *(IntensityFact("DE", h * H, H, ug, "p") for h, ug in prices.items())], end_s + 30 * DAY_S)
    found = asked(place, Ask("job"))
    assert grams(found) == pytest.approx(float(by_second(facts, prices) / 10**6), rel=1e-9)
    for row in found["rows"]:
        mine = [fact for fact in facts if fact.key.job == row["job"]]
        assert row["energy_uj"] == sum(fact.energy_uj for fact in mine)
        emitted_g = row["emissions_g"]["location_based"]["value"]
        assert emitted_g == pytest.approx(float(by_second(mine, prices) / 10**6), rel=1e-9)
    by_hour = asked(place, Ask("job", by="hour"))
    pieces = [piece for row in by_hour["rows"] for piece in row["by"]]
    assert sum(piece["emissions_g"]["location_based"]["value"] for piece in pieces) == pytest.approx(grams(found), rel=1e-9)
    assert sum(piece["energy_j"]["value"] for piece in pieces) == pytest.approx(sum(f.energy_uj for f in facts) / 1e6, rel=1e-9)
    assert by_hour["total"] == found["total"]


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 86_399), max_size=3, unique=True))
def test_reports_of_the_parts_of_a_time_add_up_to_the_whole(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    facts, prices, end_s = a_day("2026-07-01", 1)
    hours = [IntensityFact("DE", h * H, H, ug, "p") for h, ug in prices.items()]
    place = books(tmp_path_factory.mktemp("cut"), [*facts, *hours], end_s + 30 * DAY_S)
    start_s = end_s - DAY_S
    edges = [start_s, *(start_s + cut for cut in sorted(cuts)), end_s + 10 * H]
    parts = [asked(place, Ask("job", from_s=a, to_s=b)) for a, b in pairwise(edges)]
    whole = sum(grams(part) for part in parts if part["rows"])
    assert whole == pytest.approx(float(by_second(facts, prices) / 10**6), rel=1e-9)


# --- the same facts, the same bytes -----------------------------------------------------------------------------------------


def some_facts() -> list[Fact]:
    """Three jobs on two GPUs for some hours, none of them whole, tokens, prices with holes, a meter's life."""
    facts: list[Fact] = [began(NOON_S - 90), began(NOON_S + 4 * H, what="ended")]
    for minute in range(7, 193):
        at_s = NOON_S + 60 * minute
        for n, job in enumerate(["train", "serve", "(idle)"]):
            of = key(n % 2, job=job, run=f"run-{n}", method="counter" if n else "integrated", pue_milli=1200)
            of = of._replace(device_model="NVIDIA A100 80GB", zone="FR" if n == 2 else "DE")
            facts.append(EnergyFact(of, at_s, 60, 60_000, 1_000_003 * (minute + 1) + n, 17))
        facts.append(work(start_s=at_s, generated=minute)._replace(key=key(device="", component="", job="serve")))
    return [*facts, said(0, 123.456789), said(1, 88.8), said(1, 99.9, boundary="lifecycle")]


ASKS = [Ask("job"), Ask("job", "train"), Ask("job", by="hour"), Ask("device"), Ask("host"), Ask("day"), Ask("model", marginal=True)]


def the_same(places: list[Path | list[Path]], asks: list[Ask] = ASKS) -> None:
    for ask in asks:
        assert len({written(place, ask) for place in places}) == 1, ask


def test_the_order_of_the_facts_and_who_wrote_them_change_no_byte(tmp_path: Path) -> None:
    facts = some_facts()
    shuffled = random.Random(7).sample(facts, len(facts))
    halves = [books(tmp_path, facts[0::2]), books(tmp_path, facts[1::2])]
    the_same([books(tmp_path, facts), books(tmp_path, shuffled), halves, halves[::-1]])


def test_open_sealed_shared_and_rolled_up_books_give_the_same_bytes(tmp_path: Path) -> None:
    at_s = NOON_S + 5 * H
    opened, sealed, shared, rolled = (books(tmp_path, some_facts(), at_s) for _ in range(4))
    for place in (sealed, shared, rolled):
        seal(place, at_s + 100 * DAY_S)
    url = tmp_path / "lake"
    lake.share(shared, url, lambda _: None)
    compact(rolled, "2026-09-21", Plan("slots", drop=True), now_s=at_s + 100 * DAY_S)
    # In both places, one segment is read once.
    the_same([opened, sealed, url, [url, shared], [shared, url], rolled], ASKS)


def test_a_day_that_was_rolled_up_keeps_its_joules_and_its_grams_and_is_no_surer(tmp_path: Path) -> None:
    at_s = NOON_S + 5 * H
    minutes, rolled = (books(tmp_path, some_facts(), at_s) for _ in range(2))
    for place in (minutes, rolled):
        seal(place, at_s + 100 * DAY_S)
    compact(rolled, "2026-09-21", Plan("days", settled_prices(rolled), drop=True), now_s=at_s + 1000 * DAY_S)
    one, other = (asked(place, Ask("job"))["total"] for place in (minutes, rolled))
    assert other["energy_uj"] == one["energy_uj"]
    for basis in ("location_based", "location_based_inventory"):
        before, after = one["emissions_g"][basis], other["emissions_g"][basis]
        assert after["value"] == pytest.approx(before["value"], rel=1e-12)
        assert after["low"] <= before["low"] * (1 + 1e-9)
        assert after["high"] >= before["high"] * (1 - 1e-9)


def settled_prices(place: Path) -> list[Price]:
    """Those of the day, as ``ledger compact`` gets them."""
    with Books([place]) as opened:
        known, day_s = opened.holding, NOON_S // DAY_S * DAY_S
    of = {"as_of_s": NOON_S + 90 * DAY_S, "settle_s": 0}
    return [price for zone in ("DE", "FR") for price in operational(zone, day_s, day_s + DAY_S, known, **of)]  # type: ignore[arg-type]


def test_sums_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    big_uj = 2**62
    facts = [EnergyFact(key(n, job="big", pue_milli=1000), NOON_S + 60 * m, 60, 60_000, big_uj) for n in range(3) for m in range(3)]
    found = asked(books(tmp_path, [*facts, said(0, 1000.000001)]), Ask("job"))
    assert found["total"]["energy_uj"] == 9 * big_uj
    assert grams(found) == float(Fraction(9 * big_uj * 1_000_000_001, KWH * 10**6))


# --- intervals --------------------------------------------------------------------------------------------------------------


def g95(quantity: dict[str, float]) -> tuple[float, float]:
    return quantity["value"] / quantity["low"], quantity["high"] / quantity["value"]


def test_a_thousand_equal_rows_are_as_sure_as_one(tmp_path: Path) -> None:
    """1,000 rows of 1 kWh at 342 g known to 10 % are 342 kg known to 10 %, not to 0.3 %."""
    one = asked(books(tmp_path, [used(1), said(0, 342)]), Ask("job"))["total"]
    many_facts = [used(1, hour=n % 60 / 60, run=f"r{n}") for n in range(1000)]
    many = asked(books(tmp_path, [*many_facts, said(0, 342)]), Ask("job"))["total"]
    assert many["emissions_g"]["location_based"]["value"] == pytest.approx(342_000, rel=1e-12)
    for quantity in ("location_based", "location_based_inventory"):
        assert g95(many["emissions_g"][quantity]) == pytest.approx(g95(one["emissions_g"][quantity]), rel=1e-9)
    assert g95(many["energy_j"]) == pytest.approx(g95(one["energy_j"]), rel=1e-9)
    # The sensor's 10 % and the price's 10 % are independent of each other.
    down, up = g95(one["emissions_g"]["location_based"])
    assert down == pytest.approx(up) == pytest.approx(1.1 ** (2**0.5), rel=0.02)


def test_what_may_be_anothers_adds_up_and_is_no_doubt_of_the_device(tmp_path: Path) -> None:
    facts = [used(1, hour=m / 60)._replace(spread_uj=KWH // 2) for m in range(4)]
    place = books(tmp_path, [*facts, said(0, 100)])
    job, device = (asked(place, Ask(kind))["rows"][0]["energy_j"] for kind in ("job", "device"))
    assert job["high"] - job["value"] >= 2 * 3.6e6
    assert g95(device) == pytest.approx((1.1, 1.1), rel=1e-9)
    assert job["low"] >= 0


def test_an_interval_is_no_narrower_for_the_pieces_than_for_the_whole(tmp_path: Path) -> None:
    facts = [used(1, hour=h, method="integrated", device_model="NVIDIA A100 80GB") for h in range(24)]
    found = asked(books(tmp_path, facts), Ask("job", by="hour"))
    for quantity in ("energy_j",):
        whole = g95(found["total"][quantity])
        assert all(g95(piece[quantity])[1] >= whole[1] for piece in found["rows"][0]["by"])


# --- as of ------------------------------------------------------------------------------------------------------------------


def test_a_meter_that_began_later_changes_no_earlier_answer(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), said(0, 100)], NOON_S + H)
    before = written(place, Ask("job", as_of_s=NOON_S + H))
    add(place, [RunFact("began", "run:x", "gpu-7", NOON_S * 1000, parent="agent:gpu-7"), used(9, meter="run:x")], NOON_S + 2 * H)
    assert written(place, Ask("job", as_of_s=NOON_S + H)) == before
