"""`wattledger ledger compact`: by the settings, or as told; and never too early."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.ledger_place import some_books
from tests.ledger.made import DAY_S, NOON_S

from wattledger.ledger import lake
from wattledger.ledger.body import day_of
from wattledger.ledger.books import Books
from wattledger.ledger.compaction import verify_compacted
from wattledger.ledger.manifest import manifests
from wattledger.ledger.store import Store
from wattledger.runtime.clock import now

FIRST = day_of(NOON_S - 100 * DAY_S)


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    some_books(tmp_path / "books")
    return Front(capsys)


def energy_uj(place: str) -> int:
    with Books([place]) as books:
        return int(books.connection.execute("SELECT SUM(energy_uj) FROM energy").fetchall()[0][0])


def test_old_days_are_rolled_up_as_the_settings_say(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_LEDGER_KEEP_MINUTES_DAYS", "5")
    rows = json.loads(front("ledger", "compact", "--ledger", "books", "--json").out)
    assert [(row["day"], row["level"]) for row in rows] == [(FIRST, "slots"), (day_of(NOON_S - 99 * DAY_S), "slots")]
    assert energy_uj("books") == 4002
    monkeypatch.setenv("WATTLEDGER_LEDGER_KEEP_SLOTS_DAYS", "6")
    rows = json.loads(front("ledger", "compact", "--ledger", "books", "--json", "--drop").out)
    assert [row["level"] for row in rows] == ["days", "days"]
    assert energy_uj("books") == 4002
    assert verify_compacted("books") == []
    assert not any(one.path.exists() for one in manifests(Path("books")))


def test_a_single_hosts_young_days_are_left_alone(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_LEDGER_KEEP_MINUTES_DAYS", "100000")
    assert front("ledger", "compact", "--ledger", "books").out.startswith("nothing to compact: no sealed day is old enough")


def test_the_day_that_goes_on_is_never_compacted(front: Front) -> None:
    store = Store.open(Path("books"))
    store.close()
    today = day_of(now().wall_ns // 10**9)
    said = front("ledger", "compact", "--ledger", "books", "--day", today, "--level", "minutes")
    assert said.status == 2
    assert is_one_line(said.err)


def test_what_is_dropped_was_shared_before(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_LEDGER_LAKE", "fleet")
    said = front("ledger", "compact", "--ledger", "books", "--level", "slots", "--drop")
    assert (said.status, said.err) == (0, "")
    assert len(lake.fetch_manifests("fleet")) == 2
    assert energy_uj("fleet") == energy_uj("books") == 4002


def test_a_lake_is_compacted_by_its_url(front: Front) -> None:
    url = "memory://cli-compact"
    lake.share(Path("books"), url, lambda _: None)
    assert front("ledger", "compact", "--ledger", url, "--day", FIRST, "--level", "slots").status == 0
    assert lake.names(url, "compact") == [f"compact/day={FIRST}/slots.json", f"compact/day={FIRST}/slots.parquet"]
    assert energy_uj(url) == 4002


WRONG = {
    ("--day", "yesterday"): "expected a day such as",
    ("--day", "2020-01-01"): "no segment of 2020-01-01",
    ("--day", FIRST, "--level", "days"): "too early to compact to days",
    ("--level", "hours"): "'hours' is not one of",
    ("--ledger", "nowhere"): "no books are kept here",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words_are_one_line(front: Front, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setenv("WATTLEDGER_LEDGER_KEEP_SLOTS_DAYS", "36500")
    said = front("ledger", "compact", "--ledger", "books", *words)
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
    assert WRONG[words] in said.err
