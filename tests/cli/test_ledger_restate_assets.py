"""`ledger restate` of what people said of machines: the rules of their lives hold for a correction as for the first word."""

from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place

from wattledger.core.facts import AssetFact
from wattledger.ledger.books import Books
from wattledger.ledger.store import Store

MADE_S = 1_740_787_200  # 2025-03-01
DETAILS = (("el_h", "35040"), ("high_g", "575000"), ("kind", "gpu"), ("low_g", "109000"))
BOOKS = Path("books")


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    store = Store.open(BOOKS)
    store.append([AssetFact("card", "make", MADE_S, 164_000, details=DETAILS)], MADE_S + 60)
    store.close()
    return Front(capsys)


def made() -> list[AssetFact]:
    with Books([BOOKS]) as books:
        return [known.fact for known in books.other if isinstance(known.fact, AssetFact)]


def restate(front: Front, *words: str) -> tuple[int, str, str]:
    store = Store.open(BOOKS, readonly=True)
    writer = store.writer
    store.close()
    return front("ledger", "restate", f"{writer}:1", "--ledger", str(BOOKS), "--reason", "a typing error", *words)


@pytest.mark.parametrize(("words", "rule"), [
    (["emitted_g=-5"], "negative kilograms"), (["event=explode"], "explode"), (["details.el_h=0"], "lifetime"),
    (["inside=ghost"], "ghost"),
])  # fmt: skip
def test_a_correction_that_breaks_a_rule_is_refused_and_nothing_is_written(front: Front, words: list[str], rule: str) -> None:
    before = made()
    status, out, err = restate(front, *(part for word in words for part in ("--set", word)))
    assert (status, out) == (2, "")
    assert is_one_line(err)
    assert rule in err
    assert made() == before


def test_one_detail_is_corrected_and_the_others_stay(front: Front) -> None:
    assert restate(front, "--set", "emitted_g=150000", "--set", "details.low_g=100000")[0] == 0
    [fact] = [fact for fact in made() if fact.emitted_g == 150_000]
    assert dict(fact.details) == {**dict(DETAILS), "low_g": "100000"}
