"""`wattledger ledger restate`: a correction names what it corrects, and says before and after."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.ledger_place import some_books, writer_of

from wattledger.ledger.books import Books


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    some_books(tmp_path / "books")
    return Front(capsys)


def jobs() -> dict[str, int]:
    with Books(["books"]) as books:
        rows = books.connection.execute("SELECT job, SUM(energy_uj) FROM energy GROUP BY 1").fetchall()
    return {job: int(uj) for job, uj in rows}


def restate(front: Front, number: int, *words: str) -> tuple[int, str, str]:
    return front("ledger", "restate", f"{writer_of(Path('books'))}:{number}", "--ledger", "books", *words)


def test_a_sealed_fact_is_corrected_and_before_and_after_are_said(front: Front) -> None:
    assert jobs() == {"job-0": 4002}
    status, out, err = restate(front, 2, "--set", "energy_uj=5000", "--set", "job=mine", "--reason", "meter read twice")
    assert (status, err) == (0, "")
    assert "  energy_uj  1000 → 5000\n" in out
    assert "  job  job-0 → mine\n" in out
    assert "corrected by" in out.splitlines()[-1]
    assert jobs() == {"job-0": 3002, "mine": 5000}


def test_a_fact_is_withdrawn(front: Front) -> None:
    said = json.loads(restate(front, 2, "--withdraw", "--reason", "a test run", "--json")[1])
    assert said["withdrawn"] is True
    assert said["fields"]["energy_uj"] == {"before": 1000}
    assert jobs() == {"job-0": 3002}


def test_a_dry_run_writes_nothing(front: Front) -> None:
    _, out, _ = restate(front, 2, "--set", "energy_uj=5", "--reason", "x", "--dry-run")
    assert out.endswith("would be corrected: nothing was written\n")
    assert jobs() == {"job-0": 4002}


def test_a_fact_in_a_compacted_day_is_taken_out_of_it(front: Front) -> None:
    assert front("ledger", "compact", "--ledger", "books", "--level", "slots").status == 0
    assert restate(front, 2, "--set", "energy_uj=5000", "--reason", "x")[0] == 0
    assert jobs() == {"job-0": 8002}
    assert front("ledger", "compact", "--ledger", "books", "--level", "slots", "--drop").status == 0
    assert jobs() == {"job-0": 8002}
    status, _, err = restate(front, 4, "--set", "energy_uj=1", "--reason", "x")
    assert status == 2
    assert is_one_line(err)
    assert "corrected no more" in err


WRONG = {
    ("--set", "energy=5", "--reason", "x"): "did you mean 'energy_uj'?",
    ("--set", "energy_uj=much", "--reason", "x"): "expected a whole number",
    ("--set", "energy_uj=1000", "--reason", "x"): "says that already",
    ("--set", "energy_uj", "--reason", "x"): "expected FIELD=VALUE",
    ("--set", "energy_uj=5", "--reason", " "): "--reason is empty",
    ("--reason", "x"): "either --set",
    ("--withdraw", "--set", "energy_uj=5", "--reason", "x"): "either --set",
    ("--withdraw",): "Missing option '--reason'",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words_are_one_line(front: Front, words: tuple[str, ...]) -> None:
    status, out, err = restate(front, 2, *words)
    assert (status, out) == (2, "")
    assert is_one_line(err)
    assert WRONG[words] in err
    assert jobs() == {"job-0": 4002}


def test_only_a_fact_that_is_there_can_be_corrected_and_only_once(front: Front) -> None:
    for number, why in ((999, "no fact"), (1, "explains a key")):
        status, _, err = restate(front, number, "--withdraw", "--reason", "x")
        assert (status, is_one_line(err)) == (2, True)
        assert why in err
    said = json.loads(restate(front, 2, "--set", "energy_uj=5", "--reason", "x", "--json")[1])
    _, _, err = restate(front, 2, "--set", "energy_uj=6", "--reason", "x")
    assert f"was corrected by {said['id']} already" in err
    assert front("ledger", "restate", said["id"], "--set", "energy_uj=6", "--reason", "x", "--ledger", "books").status == 0
    assert jobs() == {"job-0": 3008}
    assert is_one_line(front("ledger", "restate", "nonsense", "--withdraw", "--reason", "x", "--ledger", "books").err)
