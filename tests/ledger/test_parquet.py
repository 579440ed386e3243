"""Segments as Parquet: the columns are what the bodies say, and a file that lies is not believed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledger.forged import books, rewrite
from tests.ledger.made import DAY_S, NOON_S, asked, bodies, divided, energy, key, work

from wattledger.core.facts import AllocationFact, EnergyFact, Fact, Key, RunFact, WorkFact
from wattledger.ledger.body import BadBody
from wattledger.ledger.columns import COLUMNS, Rows
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import manifests
from wattledger.ledger.parquet import Sealed, Stage, Where, write_rows
from wattledger.ledger.plain import ENERGY
from wattledger.ledger.segment_check import first_problem
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
counts = st.integers(0, 10**15)
keys = st.builds(Key, meter=texts, host=texts, pue_milli=st.integers(0, 3000), device=texts, job=texts,
                 labels=st.lists(st.tuples(texts, texts), max_size=2, unique_by=lambda pair: pair[0]).map(tuple))  # fmt: skip
facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(EnergyFact, keys, counts, counts, counts, counts, counts),
    st.builds(WorkFact, keys, counts, counts, counts, counts, counts, counts, counts),
    st.builds(AllocationFact, keys, *[counts] * 7, st.booleans(), texts, texts, counts, counts, counts),
    st.builds(
        RunFact, st.just("began"), texts, texts, counts, run=texts, job=texts, clock_offset_ms=st.none() | counts,
        energy_uj=st.none() | counts, reserved=st.lists(st.tuples(texts, counts), max_size=2).map(tuple),
    ),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(facts, min_size=1, max_size=8))
def test_columns_read_back_as_rows_derives_them(tmp_path_factory: pytest.TempPathFactory, said: list[Fact]) -> None:
    folder = tmp_path_factory.mktemp("books")
    store = Store.open(folder)
    store.append(said, NOON_S)
    rows = Rows(store.writer)
    expected = [rows.row(row.seq, row.body) for row in store.rows()]
    store.close()
    [manifest] = seal(folder, NOON_S + DAY_S)
    assert first_problem(manifest) is None
    sealed = Sealed(manifest.path)
    assert [sealed.row(seq) for seq in range(1, len(expected) + 1)] == expected
    assert [body.decode() for batch in sealed.batches() for body in batch] == [row[-1] for row in expected]
    sealed.close()


def test_columns_of_allocations_are_held_against_their_bodies(tmp_path: Path) -> None:
    """By the engine where their texts are plain, and through JSON where they are not."""
    store = Store.open(tmp_path)
    said: list[Fact] = [divided(5, 7), asked("r-1", 3, tenant="acme"), asked('a"b\\', 3), work()._replace(steps=4)]
    store.append(said, NOON_S)
    store.close()
    [manifest] = seal(tmp_path, NOON_S + DAY_S)
    for column, value in (
        ("prompt_uj", "CASE WHEN request IS NOT NULL THEN 4 ELSE prompt_uj END"), ("weak", "CASE WHEN weak = 0 THEN 1 END"),
        ("tenant", "CASE WHEN tenant IS NOT NULL THEN 'other' END"), ("request", "REPLACE(request, 'b', 'c')"),
        ("request", "CASE WHEN fact = 'energy' OR fact = 'work' THEN 'x' ELSE request END"),
        ("steps", "CASE WHEN fact = 'work' THEN 5 END"), ("energy_uj", "CASE WHEN fact = 'allocation' THEN 5 END"),
        ("tenant", """CASE WHEN tenant IS NOT NULL THEN 'acme","x":"y' END"""),
    ):  # fmt: skip
        whole = manifest.path.read_bytes()
        rewrite(manifest, ", ".join(f"CAST({value} AS {COLUMNS[name]}) AS {name}" if name == column else name for name in COLUMNS))
        sealed = Sealed(manifest.path)
        found = sealed.first_differing(manifest.segment.writer)
        assert (found or ("", ""))[1] == f"its column {column} is not what its body says", (column, value)
        sealed.close()
        manifest.path.write_bytes(whole)
        manifest.written.write_text(manifest.text(), encoding="utf-8")


def staged(folder: Path, *lines: str) -> Stage:
    stage = Stage("0123456789abcdef", folder / "lines")
    try:
        for seq, body in enumerate(lines, 1):
            stage.add(seq, body, ENERGY.fullmatch(body))
    finally:
        stage.close()
    return stage


ENERGY_BODY = '{"energy_uj":1,"fact":"energy","key":1,"length_s":60,"recorded_s":1790000000,"seen_ms":1,"start_s":1}'


@pytest.mark.parametrize(
    "body", [ENERGY_BODY, ENERGY_BODY.replace(":60,", ": 60,"), '{"fact":"gap"}', '{"fact":"run",\n"recorded_s":1}', "[]", "{", "1"]
)
def test_what_is_no_fact_is_not_staged(tmp_path: Path, body: str) -> None:
    with pytest.raises((BadBody, ValueError)):
        staged(tmp_path, body)


def test_a_day_explains_its_own_keys(tmp_path: Path) -> None:
    rows = list(bodies("0123456789abcdef", [energy(0), energy(1), energy(0)], NOON_S))
    staged(tmp_path, *[body for _, body, _ in rows]).write(tmp_path / "made.parquet")
    sealed = Sealed(tmp_path / "made.parquet")
    assert sealed.kinds() == {"key": 2, "energy": 3}
    assert sealed.sums() == (5, 3_000_000, NOON_S, NOON_S)
    assert sealed.first_differing("0123456789abcdef") is None
    assert sealed.first_differing("another") == (1, "its column writer is not what its body says")
    assert (sealed.first_misplaced(1), sealed.first_misplaced(2)) == (None, (2, "a fact is missing here, or stands out of order"))
    found = sealed.row(2)
    assert found is not None
    assert dict(zip(COLUMNS, found, strict=True))["device"] == key(0).device
    sealed.close()


@pytest.mark.parametrize("damage", ["empty", "half", "text"])
def test_a_file_that_is_no_segment_is_told_in_one_line(tmp_path: Path, damage: str) -> None:
    path = manifests(books(tmp_path / "books"))[0].path
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "text": b"dear diary" * 99}[damage])
    with pytest.raises(LedgerError) as caught:
        Sealed(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_no_files_give_a_table_without_rows(tmp_path: Path) -> None:
    for form in ("csv", "jsonl", "parquet"):
        assert write_rows([], Where(), tmp_path / f"out.{form}", form) == 0
    assert (tmp_path / "out.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert (tmp_path / "out.jsonl").read_bytes() == b""
