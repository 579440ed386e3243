"""How assets are written for people: sums add up as they are printed, and lives are in the words that are typed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.asset_place import JAN_S, YEAR_S, books, server
from tests.cli.front import Front, own_place

from wattledger.accounting.assets.life import Balance
from wattledger.accounting.assets.words import fact
from wattledger.cli.asset.words import lasting, sums, told, typed

AMOUNTS = st.integers(0, 10**10)


@given(made=AMOUNTS, added=AMOUNTS, booked=AMOUNTS, written=AMOUNTS, out=AMOUNTS)
def test_a_balance_adds_up_as_it_is_printed_and_nothing_is_below_nothing(
    made: int, added: int, booked: int, written: int, out: int
) -> None:
    whole = made + added
    booked = min(booked, whole)
    written = min(written, whole - booked)
    out = min(out, whole - booked - written)
    balance = Balance(made, added, 0, booked, whole - booked - written - out, written, out)
    assert balance.residual_ug == 0
    line = sums(balance)
    assert "-" not in line
    left, right = ([round(float(term.split()[0]) * 1000) for term in side.split("+")] for side in line.split("="))
    assert sum(left) == sum(right) == round(whole / 10**6)
    if not balance.carried_ug:
        assert "0.000 carried" in line


def test_what_is_sold_whole_carries_nothing() -> None:
    third = 164 * 10**9 // 3
    balance = Balance(made_ug=164 * 10**9, booked_ug=third, written_off_ug=third, transferred_out_ug=164 * 10**9 - 2 * third)
    assert sums(balance) == ("164.000 made = 54.667 booked + 54.666 written off + 54.667 transferred out + 0.000 carried kg CO2e")


@pytest.mark.parametrize(
    ("kept", "written"),
    [
        (("el_h", "43800"), ("life_years", "5")), (("el_h", "1000"), ("life_h", "1000")), (("el_work", "9"), ("life_work", "9")),
        (("mass_g", "1690"), ("mass_kg", "1.69")), (("km", "600"), ("km", "600")), (("el_h", "five"), ("life_h", "five")),
    ],
)  # fmt: skip
def test_details_are_written_as_they_are_typed(kept: tuple[str, str], written: tuple[str, str]) -> None:
    assert list(typed([kept])) == [written]


def test_a_life_is_years_where_it_is_and_else_hours() -> None:
    assert [lasting(hours * 3600) for hours in (8760, 43_800, 1000)] == ["1 year", "5 years", "1000 h"]
    assert told(fact("a", "estimate", at_s=0, el_h=35_040), "a") == "1970-01-01  estimate  life_years=4"


def test_a_history_speaks_the_words_of_its_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own_place(monkeypatch, tmp_path)
    longer = fact("dgx-1", "estimate", at_s=JAN_S + YEAR_S, el_h=6 * 8760)
    books(Path(".local/state/wattledger/ledger"), *server(), longer)
    shown = Front(capsys)("asset", "show", "dgx-1").out
    assert "el_h" not in shown
    assert "life_years=6" in shown
    assert "  life       6 years planned;" in shown
