"""Roll-up: what may be rolled up when, and that nothing is gained or lost by it."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.made import DAY_S, NOON_S, intensity, key

from wattledger.core.facts import Correction, EnergyFact, Key, WorkFact
from wattledger.ledger.body import day_of, encode, encode_key
from wattledger.ledger.columns import Rows
from wattledger.ledger.engine import connect
from wattledger.ledger.rollup import ALL_COLUMNS, Keep, Level, due, due_s, midnight_s, rolled, setup, slot_lengths

WRITER = "0123456789abcdef"
MIDNIGHT_S = NOON_S - DAY_S // 2


class Price(NamedTuple):
    zone: str
    start_s: int
    length_s: int
    ug_per_kwh: int
    cause: str = "c"
    settled: bool = True


class Table:
    """Rows of the books in an engine, and what becomes of them."""

    def __init__(self, facts: Sequence[EnergyFact | WorkFact | Correction | Any], *, slots: dict[str, int] | None = None) -> None:
        self.engine = connect(memory_mb=200, threads=1)
        for statement in setup(slots or {}):
            self.engine.execute(statement)
        self.engine.execute(f"CREATE TABLE given ({', '.join(f'{name} {kind}' for name, kind in ALL_COLUMNS.items())})")
        rows = list(self._rows(facts))
        if rows:
            self.engine.executemany(f"INSERT INTO given VALUES ({', '.join('?' * len(ALL_COLUMNS))})", rows)

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()

    @staticmethod
    def _rows(facts: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        made, numbers, seq, at_s = Rows(WRITER), dict[Key, int](), 0, NOON_S
        for fact in facts:
            inner = fact.fact if isinstance(fact, Correction) else fact
            of = getattr(inner, "key", None)
            if of is not None and of not in numbers:
                numbers[of] = len(numbers)
                seq += 1
                yield (*made.row(seq, encode_key(numbers[of], of, at_s)), None, None)
            seq += 1
            yield (*made.row(seq, encode(fact, at_s, numbers[of] if of is not None else None)), None, None)

    def price(self, *prices: Price) -> None:
        for p in prices:
            self.engine.execute(
                "INSERT INTO prices VALUES (?, ?, ?, ?, ?)", [p.zone, p.start_s, p.start_s + p.length_s, p.ug_per_kwh, p.cause]
            )

    def rolled(self, level: Level, source: str = "given") -> list[dict[str, Any]]:
        cursor = self.engine.execute(rolled(source, level))
        return [dict(zip(ALL_COLUMNS, row, strict=True)) for row in cursor.fetchall()]

    def keep(self, level: Level, name: str, source: str = "given") -> None:
        self.engine.execute(f"CREATE TABLE {name} AS {rolled(source, level)}")


def of(rows: Sequence[dict[str, Any]], kind: str = "energy") -> list[dict[str, Any]]:
    return [row for row in rows if row["fact"] == kind]


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in Key._fields)


# --- what may be rolled up when ---------------------------------------------------------------------------------------------


def test_nothing_is_coarser_than_the_slot_while_it_may_be_re_priced() -> None:
    day = day_of(NOON_S)
    end_s = midnight_s(day) + DAY_S
    for keep in (Keep(), Keep(4, 4, 24.0 * 30), Keep(0, 1, 72.0)):
        assert due_s(day, "days", keep) >= end_s + keep.settle_h * 3600
        assert due_s(day, "minutes", keep) <= due_s(day, "slots", keep) <= due_s(day, "days", keep)
    assert due_s(day, "days", Keep(slots_days=0)) == math.inf


def test_the_level_that_is_due_grows_with_age() -> None:
    day, keep = day_of(NOON_S), Keep(30, 800, 72.0)
    ages = {0.5: None, 1: "minutes", 30.9: "minutes", 31: "slots", 800: "slots", 801: "days"}
    assert {age: due(day, int(midnight_s(day) + age * DAY_S), keep) for age in ages} == ages


def test_a_slot_is_one_that_no_shorter_window_straddles() -> None:
    said = [("DE", 900), ("DE", 3600), ("GB", 1800), ("GB", 1200), ("FR", 3600), ("US", 31_536_000), ("DK", 300), ("XX", 7)]
    assert slot_lengths(said) == {"DE": 900, "GB": 600, "DK": 300}
    assert slot_lengths(reversed(said)) == slot_lengths(said)


# --- sums -------------------------------------------------------------------------------------------------------------------

NO_DEVICE = dict.fromkeys(("device", "component", "device_model", "method", "use"), "")
MINUTES = st.builds(
    lambda i, minute, uj, spread, seen: EnergyFact(key(i), MIDNIGHT_S + 60 * minute, 60, seen, uj, spread),
    st.integers(0, 3), st.integers(0, 1439), st.integers(0, 10**13), st.integers(0, 10**12), st.just(60_000),
)  # fmt: skip
WORKED = st.builds(
    lambda i, minute, n: WorkFact(key(i, **NO_DEVICE), MIDNIGHT_S + 60 * minute, 60, n, 2, 3, 1),
    st.integers(0, 1), st.integers(0, 1439), st.integers(0, 10**9),
)  # fmt: skip


@settings(max_examples=25)
@given(st.lists(st.one_of(MINUTES, WORKED), max_size=40), st.sampled_from([900, 1800, 3600]))
def test_rolling_up_conserves_every_joule_and_token_of_every_key_and_slot(facts: list[Any], slot_s: int) -> None:
    expected: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    for fact in facts:
        amounts = (fact.energy_uj, fact.spread_uj, 0) if isinstance(fact, EnergyFact) else (0, 0, fact.prompt_tokens)
        kind = "energy" if isinstance(fact, EnergyFact) else "work"
        sums = expected[kind, fact.key.device, fact.key.job, fact.start_s // slot_s * slot_s]
        sums[:] = [a + b for a, b in zip(sums, amounts, strict=True)]
    with Table(facts, slots={"DE": slot_s} if slot_s < 3600 else {}) as table:
        rows = table.rolled("slots")
        table.keep("slots", "slot_rows")
        table.price(*[Price("DE", MIDNIGHT_S + n * 3600, 3600, 100 + n) for n in range(24)])
        days = table.rolled("days", "slot_rows")
    found = {
        (r["fact"], r["device"], r["job"], r["start_s"]): [r["energy_uj"] or 0, r["spread_uj"] or 0, r["prompt_tokens"] or 0]
        for r in rows
    }
    assert found == expected
    assert all(row["writer"] is None and row["body"] is None and row["length_s"] == slot_s for row in rows)
    assert sum(r["energy_uj"] for r in of(days)) == sum(f.energy_uj for f in facts if isinstance(f, EnergyFact))
    assert all(row["length_s"] == DAY_S for row in days)
    priced = sum(f.energy_uj * (100 + (f.start_s - MIDNIGHT_S) // 3600) for f in facts if isinstance(f, EnergyFact))
    assert sum(int(row["priced"]) for row in of(days)) == priced


def test_rolling_up_twice_is_rolling_up_once() -> None:
    facts = [EnergyFact(key(i), MIDNIGHT_S + 60 * m, 60, 60_000, 1000 + m, 1) for i in range(3) for m in range(130)]
    with Table(facts) as table:
        table.keep("slots", "once")
        again = sorted(map(repr, table.rolled("slots", "once")))
        assert again == sorted(map(repr, table.rolled("slots")))
        assert len(again) == 9


def test_all_keys_of_a_device_say_for_how_long_it_was_seen() -> None:
    first, second = key(0), key(0, job="other")
    facts = [EnergyFact(first, MIDNIGHT_S + 60 * m, 60, 60_000, 5) for m in range(30)]
    facts += [EnergyFact(second, MIDNIGHT_S + 60 * m, 60, 60_000, 5) for m in range(20, 40)]
    with Table(facts) as table:
        rows = of(table.rolled("slots"))
    assert {row["job"]: row["seen_ms"] for row in rows} == {first.job: 40 * 60_000, "other": 40 * 60_000}


def test_energy_of_a_day_that_overflows_64_bits_in_its_product_is_priced_exactly() -> None:
    huge = 9 * 10**18
    with Table([EnergyFact(key(), MIDNIGHT_S, 60, 60_000, huge)]) as table:
        table.price(Price("DE", MIDNIGHT_S, DAY_S, 800_000_000))
        [row] = of(table.rolled("days"))
    assert int(row["priced"]) == huge * 800_000_000


# --- what stays as it is ----------------------------------------------------------------------------------------------------


def test_a_correction_and_what_it_corrects_stay_facts_of_their_own() -> None:
    facts = [EnergyFact(key(), MIDNIGHT_S + 60 * m, 60, 60_000, 100 + m) for m in range(4)]
    with Table([*facts, Correction(f"{WRITER}:3", "typo", facts[1]._replace(energy_uj=7))]) as table:
        table.engine.execute(f"INSERT INTO corrected VALUES ('{WRITER}', 3)")
        rows = table.rolled("slots")
    kept = {row["seq"]: row for row in of(rows) if row["seq"] is not None}
    assert (kept[3]["energy_uj"], kept[3]["length_s"]) == (101, 60)
    assert (kept[6]["energy_uj"], kept[6]["corrects"]) == (7, f"{WRITER}:3")
    assert all(json.loads(row["body"]) for row in kept.values())
    assert len(of(rows, "key")) == 1  # what explains the bodies' keys
    [summed] = [row for row in of(rows) if row["seq"] is None]
    assert summed["energy_uj"] == 100 + 102 + 103


def test_what_an_agent_and_a_tracker_both_metered_stays_minutes() -> None:
    agent = [EnergyFact(key(), MIDNIGHT_S + 60 * m, 60, 60_000, 10) for m in range(120)]
    tracker = [EnergyFact(key(meter="track:1", job="mine"), MIDNIGHT_S + 60 * m, 60, 60_000, 10) for m in range(5)]
    with Table([*agent, *tracker]) as table:
        rows = of(table.rolled("slots"))
        table.keep("slots", "slot_rows")
        table.price(Price("DE", MIDNIGHT_S, DAY_S, 5))
        days = of(table.rolled("days", "slot_rows"))
    assert sorted((row["start_s"] - MIDNIGHT_S, row["length_s"]) for row in rows if row["length_s"] == 3600) == [(3600, 3600)]
    assert sum(row["length_s"] == 60 for row in rows) == 65
    assert max(row["length_s"] for row in days) == 3600  # in that day a report must still choose
    assert sum(row["energy_uj"] for row in days) == 1250


def test_two_meters_of_one_sort_are_rolled_up_each() -> None:
    keys = [key(meter=f"track:{n}", run=f"run-{n}") for n in range(2)]
    facts = [EnergyFact(of, MIDNIGHT_S + 60 * m, 60, 60_000, 10) for of in keys for m in range(3)]
    with Table(facts) as table:
        rows = of(table.rolled("slots"))
    assert sorted((row["meter"], row["energy_uj"]) for row in rows) == [("track:0", 30), ("track:1", 30)]


@pytest.mark.parametrize("meters", [("run:a", "track:b"), ("track:a", "track:b")])
def test_what_meters_of_one_run_may_have_metered_twice_stays_minutes(meters: tuple[str, str]) -> None:
    facts = [EnergyFact(key(meter=meter, zone=zone), MIDNIGHT_S + 60 * m, 60, 60_000, 10) for m in range(3)
             for meter, zone in zip(meters, ("DE", "FR"), strict=True)]  # fmt: skip
    with Table(facts, slots={"FR": 900}) as table:
        rows = of(table.rolled("slots"))
    assert [row["length_s"] for row in rows] == [60] * 6


def test_an_estimate_beside_an_agent_that_measures_stays_minutes() -> None:
    estimated = key(meter="track:1", device="est", method="estimated")
    facts = [EnergyFact(key(), MIDNIGHT_S, 60, 60_000, 10), EnergyFact(estimated, MIDNIGHT_S + 60, 60, 60_000, 10)]
    with Table(facts) as table:
        assert [row["length_s"] for row in of(table.rolled("slots"))] == [60, 60]


def test_a_window_across_a_slots_edge_stays() -> None:
    facts = [EnergyFact(key(), MIDNIGHT_S + start_s, 60, 60_000, 10) for start_s in (0, 3570, 3600)]
    with Table(facts) as table:
        found = sorted((row["start_s"] - MIDNIGHT_S, row["length_s"]) for row in of(table.rolled("slots")))
    assert found == [(0, 3600), (3570, 60), (3600, 3600)]


def test_hours_without_a_settled_price_stay_slots_and_each_cause_has_its_row() -> None:
    facts = [EnergyFact(key(), MIDNIGHT_S + 3600 * h, 3600, 60_000, 10) for h in range(4)]
    with Table(facts) as table:
        table.price(Price("DE", MIDNIGHT_S, 3600, 5, "a"), Price("DE", MIDNIGHT_S + 3600, 7200, 9, "b"))
        table.price(Price("FR", MIDNIGHT_S, DAY_S, 1))
        rows = of(table.rolled("days"))
    assert sorted((row["length_s"], row["energy_uj"], row["priced"], row["priced_by"] or "") for row in rows) == [
        (3600, 10, None, ""), (DAY_S, 10, 50, "a"), (DAY_S, 20, 180, "b"),
    ]  # fmt: skip


@pytest.mark.parametrize("level", ["minutes", "slots", "days"])
def test_other_facts_stay_word_for_word(level: Level) -> None:
    facts = [intensity(MIDNIGHT_S), intensity(MIDNIGHT_S + 3600)]
    with Table(facts) as table:
        rows = of(table.rolled(level), "intensity")
    assert [row["body"] for row in sorted(rows, key=lambda r: r["seq"])] == [encode(fact, NOON_S) for fact in facts]
    assert [identity(row)[2] for row in rows] == ["DE", "DE"]
