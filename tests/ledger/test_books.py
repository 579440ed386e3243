"""Books as one set of tables: every fact once, wherever it lies; corrections applied; and as they stood at a time."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger import fleet
from tests.ledger.fleet import LATER_S, host, joules, memory, shared
from tests.ledger.made import DAY_S, NOON_S, began, energy, gap, intensity, key, store_of, work

from wattledger.core.facts import Correction, Fact, IntensityFact
from wattledger.ledger import lake
from wattledger.ledger.body import day_of
from wattledger.ledger.books import Books, Span
from wattledger.ledger.compact import Plan, compact
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.query_standing import Link, standing
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store

DAY = day_of(NOON_S)


def wrote(place: Path, facts: list[Fact | Correction], at_s: int = NOON_S + 60) -> list[str]:
    """The facts' ids."""
    store = Store.open(place)
    try:
        return store.append(facts, at_s)
    finally:
        store.close()


def uj(place: Path, **span: int) -> list[int]:
    with Books([place], Span(**span)) as books:
        return [int(row[0]) for row in books.connection.execute("SELECT energy_uj FROM energy ORDER BY 1").fetchall()]


# --- wherever it lies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until_day", range(4))
def test_a_sealed_day_and_an_open_one_are_read_alike(tmp_path: Path, until_day: int) -> None:
    store_of(tmp_path / "books", days=3).close()
    before = joules(tmp_path / "books")
    seal(tmp_path / "books", NOON_S + until_day * DAY_S)
    assert joules(tmp_path / "books") == before


def test_the_open_days_facts_are_there_beside_the_sealed_ones(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    before = joules(books)
    wrote(books, [energy(of=key(job="new", host="gpu-0"), uj=7)], LATER_S + DAY_S)
    assert joules(books) == {**before, ("gpu-0", "new"): 7}


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_a_segment_in_several_places_counts_once(tmp_path: Path, where: str) -> None:
    url = tmp_path / "lake" if where == "folder" else memory()
    books = host(tmp_path, "gpu-0", minutes=2)
    lake.share(books, url, fleet.silent)
    assert joules(books) == joules(url) == joules(books, url) == joules(url, books) == joules(books, books)


def test_a_compacted_lake_beside_its_hosts_own_books_counts_once(tmp_path: Path) -> None:
    url = shared(tmp_path, tmp_path / "lake")
    before = joules(url)
    compact(url, DAY, Plan("slots", drop=True), now_s=LATER_S)
    assert joules(url, tmp_path / "gpu-0", tmp_path / "gpu-1") == before


def test_two_compactions_that_share_a_segment_are_one_line(tmp_path: Path) -> None:
    one, other = shared(tmp_path, tmp_path / "one"), tmp_path / "other"
    late = host(tmp_path, "gpu-late", minutes=2)
    for books in (tmp_path / "gpu-0", late):
        lake.share(books, other, fleet.silent)
    for place in (one, other):
        compact(place, DAY, Plan("slots"), now_s=LATER_S)
    with pytest.raises(LedgerError, match="leave one of the two out"):
        joules(one, other)


def test_a_store_that_is_compacted_beside_a_lake_that_is_too_counts_once(tmp_path: Path) -> None:
    url = shared(tmp_path, tmp_path / "lake")
    before = joules(url)
    for place in (url, tmp_path / "gpu-0"):
        compact(place, DAY, Plan("slots"), now_s=LATER_S)
    assert joules(url, tmp_path / "gpu-0") == joules(tmp_path / "gpu-0", url) == before


def test_a_file_that_is_still_on_its_way_is_not_read(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    before = joules(books)
    [data] = (books / "segments").glob("day=*/host=*/*.parquet")
    data.with_name("0123456789abcdef.parquet").write_bytes(b"half a file")
    assert joules(books) == before


def test_what_is_no_parquet_is_one_line_that_names_it(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    [data] = (books / "segments").glob("day=*/host=*/*.parquet")
    data.write_bytes(b"somebody's own file")
    with pytest.raises(LedgerError) as wrong:
        joules(books)
    assert data.name in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_books_that_were_changed_are_not_reported_of(tmp_path: Path) -> None:
    store_of(tmp_path / "books", days=1).close()
    with closing(sqlite3.connect(tmp_path / "books" / "open.db")) as db:
        seq, body = db.execute("SELECT seq, body FROM fact WHERE body LIKE '%energy_uj%' ORDER BY seq LIMIT 1").fetchone()
        at = body.index('"energy_uj":') + len('"energy_uj":')
        db.execute("UPDATE fact SET body = ? WHERE seq = ?", (body[:at] + "9" + body[at:], seq))
        db.commit()
    with pytest.raises(LedgerError, match=f"row {seq} does not fit its chain"):
        Books([tmp_path / "books"], Span()).close()


def test_no_books_are_empty_books(tmp_path: Path) -> None:
    with Books([tmp_path]) as books:
        assert (books.other, books.last_s, books.doubled, books.unfound, books.blurred) == ((), None, 0, 0, 0)
        for table in ("energy", "work"):
            assert books.connection.execute(f"SELECT * FROM {table}").fetchall() == []


def test_reading_changes_no_file(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    wrote(books, [energy(uj=7)], LATER_S)
    before = {path: path.stat().st_mtime_ns for path in books.rglob("*") if path.name.endswith((".parquet", ".json", ".db"))}
    joules(books)
    assert {path: path.stat().st_mtime_ns for path in before} == before


# --- which hold -------------------------------------------------------------------------------------------------------------


SEALED: list[Callable[[Path], object]] = [lambda _: None, lambda place: seal(place, LATER_S)]


@pytest.mark.parametrize("then", SEALED)
def test_of_a_fact_its_corrections_and_its_withdrawal_the_last_holds(tmp_path: Path, then: Callable[[Path], object]) -> None:
    first, other = wrote(tmp_path, [energy(uj=1), energy(1, uj=50)])
    [second] = wrote(tmp_path, [Correction(first, "typo", energy(uj=2))], NOON_S + 100)
    wrote(tmp_path, [Correction(second, "again", energy(uj=3))], NOON_S + 200)
    wrote(tmp_path, [Correction(other, "never was")], NOON_S + 300)
    then(tmp_path)
    assert uj(tmp_path) == [3]
    assert [uj(tmp_path, as_of_s=NOON_S + at_s) for at_s in (60, 100, 200)] == [[1, 50], [2, 50], [3, 50]]


def test_other_facts_come_with_what_corrects_them_and_withdrawn_ones_do_not(tmp_path: Path) -> None:
    gap_id, birth_id = wrote(tmp_path, [gap(), began()])
    wrote(tmp_path, [Correction(birth_id, "clock", began(NOON_S + 5)), Correction(gap_id, "no gap")], NOON_S + 100)
    with Books([tmp_path]) as books:
        assert [one.fact for one in books.other] == [began(), began(NOON_S + 5)]
        assert [one.fact for one in books.holding] == [began(NOON_S + 5)]
        assert books.last_s == NOON_S + 100
    with Books([tmp_path], Span(as_of_s=NOON_S + 99)) as books:
        assert [one.fact for one in books.holding] == [gap(), began()]
        assert books.last_s == NOON_S + 60


def test_an_intensity_that_many_wrote_down_alike_is_there_once_as_learnt_last(tmp_path: Path) -> None:
    for n in range(3):
        wrote(tmp_path / str(n), [intensity(), intensity(g_per_kwh=400 + n)], NOON_S + 60 + n)
    with Books([tmp_path / str(n) for n in range(3)]) as books:
        facts = [(one.fact.ug_per_kwh, one.recorded_s) for one in books.other if isinstance(one.fact, IntensityFact)]
    assert sorted(facts) == [(n * 1_000_000, NOON_S + at) for n, at in ((329, 62), (400, 60), (401, 61), (402, 62))]


def test_a_correction_of_a_fact_in_other_books_is_counted_as_not_found(tmp_path: Path) -> None:
    wrote(tmp_path, [energy(uj=5), Correction("00000000000000ff:1", "of another chain", energy(1, uj=6))])
    with Books([tmp_path]) as books:
        assert books.unfound == 1
    assert uj(tmp_path) == [5, 6]


IDS = st.integers(0, 9).map(lambda n: f"00000000000000aa:{n}")


@given(st.lists(st.builds(Link, IDS, IDS, st.integers(0, 5), st.booleans()), max_size=12), st.randoms())
def test_which_hold_does_not_depend_on_the_order_and_at_most_one_does_of_a_fact(links: list[Link], dice: st.randoms) -> None:  # type: ignore[valid-type]
    unique = list({link.id: link for link in links}.values())
    found = standing(unique)
    mixed = list(unique)
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    assert standing(mixed) == found
    assert found.gone <= found.replaced | {link.id for link in unique if link.withdraws}
    holding = [link for link in unique if link.id not in found.replaced]
    assert len({_root(link.id, unique) for link in holding}) == len(holding)


def _root(at: str, links: list[Link]) -> str:
    of = {link.id: link.corrects for link in links}
    while at in of:
        at = of[at]
    return at


# --- a time of it -----------------------------------------------------------------------------------------------------------


def test_days_before_the_span_are_not_read_unless_a_contract_is_shared_with_them(tmp_path: Path) -> None:
    from tests.accounting.made_prices import contract

    store_of(tmp_path, days=3, per_day=1, minutes=1).close()
    seal(tmp_path, LATER_S)
    assert len(uj(tmp_path, from_s=NOON_S + 2 * DAY_S)) == 1
    wrote(tmp_path, [contract("wind", 1000)], LATER_S)
    assert len(uj(tmp_path, from_s=NOON_S + 2 * DAY_S)) == 3


def test_intensities_far_from_the_span_are_left_out(tmp_path: Path) -> None:
    wrote(tmp_path, [intensity(NOON_S + hour * 3600, g_per_kwh=hour + 20) for hour in range(-12, 12)])
    with Books([tmp_path], Span(NOON_S, NOON_S + 3600)) as books:
        hours = [one.fact.ug_per_kwh // 10**6 - 20 for one in books.other if isinstance(one.fact, IntensityFact)]
    assert sorted(hours) == [-6, -5, -4, -3, -2, -1, 0]  # held for six hours after their end


def test_a_table_is_filled_in_batches_and_anew(tmp_path: Path) -> None:
    with Books([tmp_path]) as books:
        for count in (120_000, 3):
            books.fill("mine", {"n": "BIGINT", "word": "VARCHAR"}, ((n, f"it's {n}") for n in range(count)))
            found = books.connection.execute("SELECT COUNT(*), SUM(n), MAX(word) FROM mine").fetchall()
            assert found == [(count, count * (count - 1) // 2, max(f"it's {n}" for n in range(count)))]


def test_tokens_are_corrected_too(tmp_path: Path) -> None:
    [first] = wrote(tmp_path, [work(generated=5)])
    wrote(tmp_path, [Correction(first, "typo", work(generated=8))], NOON_S + 100)
    with Books([tmp_path]) as books:
        assert books.connection.execute("SELECT generated_tokens FROM work").fetchall() == [(8,)]
