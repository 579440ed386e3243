"""The questions to the books, one by one: which rows, exact sums, and no word that another engine would not know."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.made import NOON_S, energy, key, work

from wattledger.core.facts import EnergyFact
from wattledger.ledger import query
from wattledger.ledger.books import Books
from wattledger.ledger.query import Scope, Window
from wattledger.ledger.store import Store

PRICE = 329_000_000


@contextmanager
def opened(folder: Path, facts: Sequence[Any]) -> Iterator[Books]:
    """Books in which every window has one step of one price, on every basis."""
    store = Store.open(folder)
    store.append(facts, NOON_S + 9999)
    store.close()
    with Books([folder]) as books:
        slots(books, query.windows(books.connection, Scope("job")))
        yield books


def slots(books: Books, windows: list[Window], part: int = 1, den: int = 1) -> None:
    rows = [(*window, 0, den, part, *[PRICE * part] * len(query.BASES)) for window in windows]
    books.fill("slots", query.SLOTS, rows)


def at(minute: int, uj: int = 1, *, i: int = 0, length_s: int = 60, **more: Any) -> EnergyFact:
    return energy(of=key(i, **more), start_s=NOON_S + 60 * minute, uj=uj)._replace(length_s=length_s)


def test_windows_are_each_once_and_sorted(tmp_path: Path) -> None:
    facts = [at(2), at(0, zone="FR"), at(0), at(0, i=1), at(0, length_s=30)]
    expected = [("DE", 0, 30), ("DE", 0, 60), ("DE", 120, 60), ("FR", 0, 60)]
    with opened(tmp_path, facts) as books:
        assert query.windows(books.connection, Scope("job")) == [Window(z, NOON_S + s, n) for z, s, n in expected]


@pytest.mark.parametrize(("from_s", "to_s", "found"), [(0, 60, [0]), (59, 61, [0, 1]), (60, None, [1, 2]), (None, 120, [0, 1])])
def test_a_scope_has_the_windows_that_touch_it(tmp_path: Path, from_s: int | None, to_s: int | None, found: list[int]) -> None:
    ends = [None if s is None else NOON_S + s for s in (from_s, to_s)]
    with opened(tmp_path, [at(minute) for minute in range(3)]) as books:
        windows = query.windows(books.connection, Scope("job", None, *ends))
    assert [(window.start_s - NOON_S) // 60 for window in windows] == found


def test_sums_are_exact_far_beyond_64_bits(tmp_path: Path) -> None:
    facts = [at(m, 2**62 + n, i=n, job="big") for m in range(4) for n in range(4)]
    with opened(tmp_path, facts) as books:
        slots(books, query.windows(books.connection, Scope("job")), part=3, den=7)
        found = query.priced(books.connection, Scope("job"))
    energy_uj = sum(fact.energy_uj for fact in facts)
    assert sum(row.energy for row in found) == 3 * energy_uj
    assert all(row.den == 7 for row in found)
    for basis in range(len(query.BASES)):
        assert sum(row.bases[basis] for row in found) == 3 * energy_uj * PRICE


def test_rows_are_of_one_group_sensor_and_price_class(tmp_path: Path) -> None:
    facts = [at(0, 1), at(1, 2), at(0, 4, use="held"), at(0, 8, method="estimated"), at(0, 16, job="b"), at(0, 32, pue_milli=0)]
    with opened(tmp_path, facts) as books:
        found = query.priced(books.connection, Scope("job"))
        assert sorted((row.energy, row.rows) for row in found) == [(3, 2), (4, 1), (8, 1), (16, 1), (32, 1)]
        [row] = query.priced(books.connection, Scope("job", "b"))
        assert (row.group, row.first_s, row.last_s) == (("b",), NOON_S, NOON_S + 60)


@pytest.mark.parametrize("kind", query.GROUPS)
def test_every_kind_has_all_joules_and_what_another_has(tmp_path: Path, kind: str) -> None:
    facts = [at(m, 10**m, i=7 * m, host=f"h{m % 2}", model=f"m{m % 3}") for m in range(6)]
    with opened(tmp_path, facts) as books:
        found = query.priced(books.connection, Scope(kind))
    assert sum(row.energy for row in found) == 111_111
    assert len({row.group for row in found}) == {"job": 3, "model": 3, "device": 6, "host": 2, "day": 1}[kind]


def test_tokens_are_by_group_and_bucket_and_belong_to_the_window_they_began_in(tmp_path: Path) -> None:
    with opened(tmp_path, [at(0), *(work(1, start_s=NOON_S + 60 * m, generated=m) for m in range(90))]) as books:
        [whole] = query.work(books.connection, Scope("job"), None)
        assert (whole.group, whole.generated_tokens, whole.requests) == (("job-1",), 89 * 45, 90)
        by_hour = query.work(books.connection, Scope("job"), 3600)
        assert [row.bucket_s for row in by_hour] == [NOON_S, NOON_S + 3600]
        assert sum(row.generated_tokens for row in by_hour) == 89 * 45
        [cut] = query.work(books.connection, Scope("job", None, NOON_S + 30, NOON_S + 120), None)
        assert cut.requests == 1
        assert query.work(books.connection, Scope("device"), None) == []


def test_hosts_runs_zones_and_names_are_distinct_and_sorted(tmp_path: Path) -> None:
    facts = [at(0, host="b", run="r2"), at(0, host="a", run="r1"), at(1, host="a", run=""), at(0, i=16, zone=""), work(5)]
    with opened(tmp_path, facts) as books:
        assert query.hosts(books.connection, Scope("job", "job-0")) == [("job-0", "a"), ("job-0", "b")]
        assert query.runs(books.connection, Scope("job", "job-0")) == [("job-0", "r1"), ("job-0", "r2")]
        assert query.zones(books.connection, Scope("job")) == ["", "DE"]
        assert query.names(books.connection, "job") == ["job-0", "job-1", "job-5"]


def test_what_is_asked_by_name_is_never_sql(tmp_path: Path) -> None:
    evil = "'; DROP TABLE facts; --"
    with opened(tmp_path, [at(0, 7, job=evil), at(0, 1, i=1)]) as books:
        assert [row.energy for row in query.priced(books.connection, Scope("job", evil))] == [7]
        assert query.names(books.connection, "job") == [evil, "job-0"]


def test_consumption_is_everybodys_by_zone_window_and_pue(tmp_path: Path) -> None:
    facts = [at(0, 1), at(0, 2, i=16), at(0, 4, pue_milli=0), at(0, 8, zone="FR"), at(1, 16)]
    with opened(tmp_path, facts) as books:
        found = query.consumption(books.connection, None, NOON_S + 60)
    assert [(row.zone, row.energy_uj, row.pue_milli) for row in found] == [("DE", 4, 0), ("DE", 3, 1200), ("FR", 8, 1200)]


# What another engine's SQL may not know; DuckDB's own words belong in ledger/engine.py.
FOREIGN = r"\b(GREATEST|LEAST|LIST|STRUCT|QUALIFY|EXCLUDE|ASOF|UNNEST|ARRAY_AGG|REPLACE INTO|ILIKE|PIVOT|ANTI JOIN)\b|//"


@pytest.mark.parametrize("module", ["query.py", "query_meters.py"])
def test_the_questions_are_in_standard_sql(module: str) -> None:
    source = (Path(query.__file__).parent / module).read_text()
    strings = re.findall(r'"""[\s\S]*?"""|"[^"\n]*"', source)
    assert [text for text in strings if "SELECT" in text and re.search(FOREIGN, text)] == []
    assert any("SELECT" in text for text in strings)
