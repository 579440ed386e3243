"""Proofs prove what is in the books and nothing else, whatever was sealed, appended or forged in between."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.histories import Event, events, facts_of, lived, writer_of
from tests.ledger.made import DAY_S, NOON_S, energy, store_of

from wattledger.core.facts import Correction, EnergyFact
from wattledger.ledger import heads, segments
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.log import look
from wattledger.ledger.proofs import Unproven, check, prove_consistency, prove_fact
from wattledger.ledger.store import Store

LATER_S = NOON_S + 30 * DAY_S


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Three days, the first one sealed."""
    store = store_of(tmp_path / "books", days=3)
    store.close()
    segments.seal(tmp_path / "books", NOON_S + DAY_S)
    return tmp_path / "books"


def head_of(folder: Path) -> dict[str, Any]:
    return heads.to_dict(look(folder).head(LATER_S))


def test_every_fact_of_a_sealed_a_closed_and_an_open_day_is_proven(books: Path) -> None:
    head, facts = head_of(books), facts_of(books)
    assert len(facts) == 36
    for fact_id in facts:
        proof = json.loads(json.dumps(prove_fact(books, fact_id, now_s=LATER_S)))
        verdict = check(proof, head=head)
        assert verdict.proven
        assert verdict.fact is not None
        assert verdict.fact.id == fact_id
        assert fact_id in verdict.words[0]


def test_a_row_that_explains_a_key_is_no_fact(books: Path) -> None:
    with pytest.raises(Unproven, match="explains a key"):
        prove_fact(books, f"{writer_of(books)}:1", now_s=LATER_S)


def test_a_proof_says_the_fact_its_day_and_the_head_in_words(books: Path) -> None:
    fact_id = facts_of(books)[0]
    verdict = check(prove_fact(books, fact_id, now_s=LATER_S))
    assert verdict.fact is not None
    assert isinstance(verdict.fact.fact, EnergyFact)
    assert verdict.fact.fact.key.job == "job-0"
    assert "1.000000 J for job job-0 and model m, GPU-00000000 (gpu, counter, active) on gpu-7" in verdict.words[0]
    assert "of 2026-09-21" in verdict.words[1]
    assert "2 closed days and 18 rows of 2026-09-23" in verdict.words[2]
    assert "nobody vouches" in verdict.words[3]


def test_sealing_changes_no_head_and_an_old_proof_still_stands(books: Path) -> None:
    head, fact_id = head_of(books), facts_of(books)[13]
    proof = prove_fact(books, fact_id, now_s=LATER_S)
    segments.seal(books, LATER_S)
    assert head_of(books) == head
    assert prove_fact(books, fact_id, now_s=LATER_S) == proof


def test_a_fact_can_be_proven_under_the_head_that_an_auditor_holds(books: Path) -> None:
    head, ids = head_of(books), facts_of(books)
    store = Store.open(books)
    [newer] = store.append([energy(3, start_s=NOON_S + 4 * DAY_S)], NOON_S + 4 * DAY_S)[-1:]
    store.close()
    segments.seal(books, NOON_S + 4 * DAY_S)
    for fact_id in ids:
        assert check(prove_fact(books, fact_id, now_s=LATER_S, under=head), head=head).proven
        assert not check(prove_fact(books, fact_id, now_s=LATER_S), head=head).proven
    with pytest.raises(Unproven, match="newer"):
        prove_fact(books, newer, now_s=LATER_S, under=head)


def test_a_withdrawal_and_a_correction_are_proven_as_what_they_are(books: Path) -> None:
    fact_id = facts_of(books)[0]
    store = Store.open(books)
    now_s = NOON_S + 3 * DAY_S
    withdrawn = store.append([Correction(fact_id, "metered twice")], now_s)[-1]
    corrected = store.append([Correction(fact_id, "wrong gain", energy(7, uj=5))], now_s)[-1]
    store.close()
    verdict = check(prove_fact(books, withdrawn, now_s=LATER_S))
    assert (verdict.proven, verdict.fact) == (True, None)
    assert "metered twice" in verdict.words[0]
    known = check(prove_fact(books, corrected, now_s=LATER_S)).fact
    assert known is not None
    assert (known.corrects, known.reason) == (fact_id, "wrong gain")


@pytest.mark.parametrize(
    ("fact_id", "error"), [("x", LedgerError), ("", LedgerError), (":3", LedgerError), ("0" * 16 + ":1", Unproven)]
)
def test_what_is_not_in_the_books_is_one_line(books: Path, fact_id: str, error: type[Exception]) -> None:
    for wrong in (fact_id, f"{writer_of(books)}:999"):
        with pytest.raises(error if wrong == fact_id else Unproven) as told:
            prove_fact(books, wrong, now_s=LATER_S)
        assert "\n" not in str(told.value)


def test_a_damaged_segment_gives_no_proof(books: Path) -> None:
    first, *_, last = facts_of(books)
    [file] = books.glob("segments/day=*/host=*/*.parquet")
    file.unlink()
    with pytest.raises(LedgerError, match="only their digest is left"):
        prove_fact(books, first, now_s=LATER_S)
    assert check(prove_fact(books, last, now_s=LATER_S)).proven


def test_a_day_that_is_gone_is_said(books: Path) -> None:
    last = facts_of(books)[-1]
    for file in books.glob("segments/day=*/host=*/*"):
        file.unlink()
    with pytest.raises(LedgerError, match="missing"):
        prove_fact(books, last, now_s=LATER_S)


@settings(max_examples=20)
@given(history=events, data=st.data())
def test_any_honest_history_extends_all_its_heads_and_no_forged_one_does(
    history: list[Event], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("books")
    anchors = lived(folder / "true", [*history, ("anchor", 0)])
    for anchor in anchors:
        proof = prove_consistency(folder / "true", anchor["head"], now_s=LATER_S)
        assert check(proof, head=anchor["head"]).proven
    facts = anchors[-1]["facts"]
    if not facts:
        return
    victim = data.draw(st.integers(0, facts - 1), label="victim")
    how = data.draw(st.sampled_from(["changed", "left out", "cut short"]), label="how")

    def change(number: int, uj: int) -> int | None:
        if how == "cut short":
            return uj if number < victim else None
        return uj if number != victim else uj + 1 if how == "changed" else None

    lived(folder / "forged", history, writer=writer_of(folder / "true"), change=change)
    for anchor in anchors:
        if anchor["facts"] <= victim:
            assert check(prove_consistency(folder / "forged", anchor["head"], now_s=LATER_S), head=anchor["head"]).proven
        else:
            with pytest.raises(Unproven):
                prove_consistency(folder / "forged", anchor["head"], now_s=LATER_S)


@pytest.mark.parametrize("size", [1_000, 20_000])
def test_a_proof_grows_with_the_logarithm_of_its_day(tmp_path: Path, size: int) -> None:
    store = Store.open(tmp_path / "books")
    store.append([energy(i % 100, start_s=NOON_S + 60 * (i // 100)) for i in range(size)], NOON_S)
    last = store.append([energy(5, start_s=NOON_S + DAY_S // 2)], NOON_S + 60)[-1]
    store.close()
    proof = prove_fact(tmp_path / "books", last, now_s=LATER_S)
    assert len(proof["fact"]["path"]) <= (size + 100).bit_length()
    assert len(json.dumps(proof)) < 1_500 + 2 * 70 * (size + 100).bit_length()
