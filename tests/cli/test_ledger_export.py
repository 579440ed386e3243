"""`wattledger ledger export`: to a file or to standard output, in three forms."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.ledger_place import some_books
from tests.ledger.made import DAY_S, NOON_S

from wattledger.ledger.body import day_of


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    some_books(tmp_path / "books")
    return Front(capsys)


def test_standard_output_and_a_file_get_the_same_bytes(front: Front) -> None:
    for form in ("csv", "jsonl"):
        said = front("ledger", "export", "--ledger", "books", "--format", form)
        assert front("ledger", "export", "--ledger", "books", "-o", f"out.{form}") == (0, "", "")
        assert (said.status, said.out.encode()) == (0, Path(f"out.{form}").read_bytes())
        assert len(said.out.splitlines()) == {"csv": 5, "jsonl": 6}[form]
    assert front("ledger", "export", "--ledger", "books", "-o", "out.parquet").status == 0
    assert Path("out.parquet").read_bytes()[:4] == b"PAR1"


def test_kinds_and_times_choose(front: Front) -> None:
    second = day_of(NOON_S - 99 * DAY_S)
    said = front("ledger", "export", "--ledger", "books", "--format", "jsonl", "--kind", "energy", "--from", second)
    found = [json.loads(line)["body"] for line in said.out.splitlines()]
    assert [body["fact"] for body in found] == ["key", "energy", "energy"]
    said = front("ledger", "export", "--ledger", "books", "--to", f"{second}T00:00:00Z")
    assert len(said.out.splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--kind", "enregy"), "no facts are called so"),
        (("--from", "yesterday"), "expected a time such as"),
        (("-o", "no/such/folder/out.csv"), "cannot be written"),
        (("--ledger", "s3://bucket/lake"), "only a folder can be"),
    ],
)
def test_what_cannot_be_done_is_one_line(front: Front, words: tuple[str, ...], why: str) -> None:
    said = front("ledger", "export", "--ledger", "books", *words)
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
    assert why in said.err
