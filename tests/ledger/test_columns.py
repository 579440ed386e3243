"""Columns: all of them derived from the bodies, and null where a kind of fact does not have them."""

from typing import Any

import pytest
from tests.ledger.made import DAY_S, NOON_S, asked, began, divided, energy, gap, intensity, key, work

from wattledger.core.facts import Correction
from wattledger.ledger.body import encode, encode_key
from wattledger.ledger.columns import COLUMNS, FIRST_COLUMNS, KINDS_UJ, LATER, Rows, labels_text, unescaped

LABELLED = key(2, labels=(("user", "user-1"), ("team", "é")))


def row(rows: Rows, body: str, seq: int = 1) -> dict[str, Any]:
    return dict(zip(COLUMNS, rows.row(seq, body), strict=True))


def test_an_energy_row_has_its_keys_columns_and_its_own() -> None:
    rows = Rows("w")
    said = row(rows, encode_key(1, LABELLED, NOON_S))
    assert {name for name, value in said.items() if value is not None} == {"writer", "seq", "recorded_s", "fact", "body"}
    body = encode(energy(of=LABELLED, uj=5), NOON_S, 1)
    assert row(rows, body, 2) == {
        "writer": "w", "seq": 2, "recorded_s": NOON_S, "fact": "energy", "corrects": None, **LABELLED._asdict(),
        "labels": '{"team":"é","user":"user-1"}', "start_s": NOON_S, "length_s": 60, "seen_ms": 60_000, "energy_uj": 5,
        "spread_uj": 0, "prompt_tokens": None, "cached_tokens": None, "generated_tokens": None, "requests": None, "body": body,
        **dict.fromkeys(LATER),
    }  # fmt: skip


def test_counts_at_zero_are_zero_in_work_and_null_elsewhere() -> None:
    rows = Rows("w")
    rows.row(1, encode_key(1, work().key, NOON_S))
    said = row(rows, encode(work(generated=0), NOON_S, 1))
    assert [said[name] for name in ("prompt_tokens", "cached_tokens", "generated_tokens", "requests")] == [812, 0, 0, 1]
    assert [said[name] for name in ("energy_uj", "seen_ms", "spread_uj")] == [None, None, None]


def test_an_allocation_has_its_kinds_of_energy_and_whose_request_it_was() -> None:
    rows = Rows("w")
    rows.row(1, encode_key(1, divided().key, NOON_S))
    said = row(rows, encode(divided(5, 7, weak=True), NOON_S, 1))
    assert [said[name] for name in (*KINDS_UJ, "spread_uj", "prompt_tokens", "weak")] == [5, 7, 0, 0, 0, 0, 1]
    assert [said[name] for name in ("energy_uj", "seen_ms", "requests", "steps", "request", "tenant")] == [None] * 6
    said = row(rows, encode(asked("r-1", 5, tenant="a\tb\"é"), NOON_S, 1))
    assert (said["request"], said["tenant"]) == ("r-1", 'a\\tb\\"é')  # one line, whatever was said
    assert unescaped(said["tenant"]) == "a\tb\"é"
    assert unescaped(None) == ""


def test_files_of_before_had_the_same_columns_but_these() -> None:
    """What lies in a lake is read by these names."""
    assert list(FIRST_COLUMNS)[-6:] == ["spread_uj", "prompt_tokens", "cached_tokens", "generated_tokens", "requests", "body"]
    assert len(FIRST_COLUMNS) == 28
    assert sorted(LATER) == sorted(set(COLUMNS) - set(FIRST_COLUMNS))


def test_other_kinds_say_what_they_have_themselves() -> None:
    rows = Rows("w")
    said = [row(rows, encode(fact, NOON_S)) for fact in (intensity(), gap(), began(job="j", labels=(("a", "b"),)))]
    assert [(s["fact"], s["zone"], s["device"], s["job"], s["labels"], s["start_s"]) for s in said] == [
        ("intensity", "DE", None, None, None, NOON_S),
        ("gap", None, "GPU-0", None, None, None),
        ("run", None, None, "j", None, None),
    ]


def test_a_correction_names_what_it_corrects() -> None:
    rows = Rows("w")
    rows.row(1, encode_key(1, key(), NOON_S))
    assert row(rows, encode(Correction("w:2", "gain", energy()), NOON_S, 1))["corrects"] == "w:2"
    withdrawn = row(rows, encode(Correction("w:2", "double"), NOON_S))
    assert (withdrawn["fact"], withdrawn["corrects"]) == ("withdrawal", "w:2")


def test_a_number_means_nothing_on_the_next_day() -> None:
    rows = Rows("w")
    rows.row(1, encode_key(1, key(), NOON_S))
    with pytest.raises(KeyError):
        rows.row(2, encode(energy(), NOON_S + DAY_S, 1))


def test_no_labels_are_empty_text() -> None:
    assert labels_text(()) == ""
