"""`wattledger explain`: what a person and a program are told, and every wrong word in one line."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests.accounting.made_changes import rewrite
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.ledger_place import writer_of
from tests.ledger.made import DAY_S, NOON_S, asked, began, divided, energy, gap, intensity, key, work

from wattledger.core.facts import Fact
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store

H = 3600
HOURS = 40


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    store = Store.open(tmp_path / "books")
    hours = range(HOURS)
    facts = [energy(start_s=NOON_S + n * H, uj=3_600_000_000 + n) for n in hours]
    store.append([*facts, work(), *(intensity(NOON_S + n * H, g_per_kwh=300 + n) for n in hours)], NOON_S + HOURS * H)
    store.close()
    return Front(capsys)


def test_a_job_is_taken_apart_in_at_most_24_lines_and_adds_up(front: Front) -> None:
    status, out, err = front("explain", "job:job-0", "--ledger", "books")
    assert (status, err) == (0, "")
    slots = [line for line in out.splitlines() if "x 1.2" in line]
    assert len(slots) == 23
    assert f"{HOURS - 23} more slots" in out
    assert "3 600 000 000 uJ  (1 fact)  x 300 000 000  x 1.2" in out
    assert f"{writer_of(Path('books'))}:" in slots[0]
    assert "exactly equal" in out


def test_all_lists_every_slot(front: Front) -> None:
    out = front("explain", "job:job-0", "--ledger", "books", "--all").out
    assert len([line for line in out.splitlines() if "x 1.2" in line]) == HOURS
    assert "more slots" not in out


def test_json_has_what_the_report_says(front: Front) -> None:
    report = json.loads(front("report", "job", "job-0", "--ledger", "books", "--json").out)
    said = json.loads(front("explain", "job:job-0", "--ledger", "books", "--json").out)
    assert (said["schema"], said["of"], said["equal"]) == ("wattledger.explain/1", "report", True)
    assert said["sum"] == said["report"]
    assert said["sum"]["emitted_g"] == report["rows"][0]["emissions_g"]["location_based"]["value"]
    assert said["sum"]["energy_uj"] == report["rows"][0]["energy_uj"] == sum(slot["energy_uj"] for slot in said["slots"])


@pytest.mark.parametrize("basis", ["location_based_inventory", "upstream", "market_based", "marginal"])
def test_every_basis_adds_up(front: Front, basis: str) -> None:
    said = json.loads(front("explain", "model:m", "--ledger", "books", "--json", "--basis", basis).out)
    assert (said["basis"], said["equal"]) == (basis, True)


def test_without_any_price_the_grams_are_not_known_and_never_zero(front: Front) -> None:
    words = "explain", "job:job-0", "--ledger", "books", "--basis", "market_based"
    out = front(*words).out
    assert "none of it priced: its grams are not known" in out
    assert " ug" not in "".join(out.splitlines()[1:])
    assert "emitted_g" not in json.loads(front(*words, "--json").out)["sum"]


def test_a_day_is_that_day_and_from_and_to_cut_it(front: Front) -> None:
    whole = json.loads(front("explain", "day:2026-09-22", "--ledger", "books", "--json").out)
    assert len(whole["slots"]) == 24
    part = json.loads(front("explain", "day:2026-09-22", "--ledger", "books", "--json", "--to", "2026-09-22T03:00:00Z").out)
    assert len(part["slots"]) == 3


def test_hosts_and_devices_are_explained_by_name(front: Front) -> None:
    for what in ("host:gpu-7", "device:GPU-00000000"):
        assert "exactly equal" in front("explain", what, "--ledger", "books").out


def test_a_fact_is_explained_down_to_its_hash_and_its_price(front: Front) -> None:
    writer = writer_of(Path("books"))
    status, out, err = front("explain", f"{writer}:2", "--ledger", "books")
    assert (status, err) == (0, "")
    for words in ("3.6 kJ in 2026-09-21T12:00:00Z + 60 s", "job           job-0", "hash before", "open (not sealed yet)",
                  "3 600 000 000 uJ  (1 fact)  x 300 000 000  x 1.2  = 360 000 ug  live direct, provisional"):  # fmt: skip
        assert words in out
    said = json.loads(front("explain", f"{writer}:2", "--ledger", "books", "--json").out)
    assert said["sum"]["emitted_ug"] == 360_000
    assert said["chain"]["state"] == "open"
    assert said["counted"] is True


def test_a_revised_hour_shows_both_versions_and_as_of_the_first(front: Front) -> None:
    store = Store.open(Path("books"))
    [revised] = store.append([intensity(g_per_kwh=500, version="2")], NOON_S + 10 * DAY_S)
    store.close()
    now = front("explain", revised, "--ledger", "books").out
    assert [line.endswith("IN FORCE") for line in now.splitlines() if "g/kWh" in line] == [False, True]
    then = front("explain", revised, "--ledger", "books", "--as-of", "2026-09-25").out
    assert [line.endswith("IN FORCE") for line in then.splitlines() if "g/kWh" in line] == [True, False]
    assert "not known then" in then
    fact = json.loads(front("explain", f"{writer_of(Path('books'))}:2", "--ledger", "books", "--json").out)
    assert fact["slots"][0]["price_facts"] == [revised]
    assert fact["slots"][0]["state"] == "settled"


def test_a_key_and_work_are_explained(front: Front) -> None:
    writer = writer_of(Path("books"))
    assert "explains what a key's number stands for" in front("explain", f"{writer}:1", "--ledger", "books").out
    shown = json.loads(front("ledger", "show", "--ledger", "books", "--json").out)
    assert shown[0]["kinds"]["work"] == 1
    outs = [front("explain", f"{writer}:{HOURS + n}", "--ledger", "books").out for n in (2, 3)]
    assert any("64 generated tokens" in out for out in outs)


def test_other_facts_are_told_field_by_field(front: Front) -> None:
    store = Store.open(Path("books"))
    ids = store.append([began(), gap()], NOON_S + 10 * DAY_S)
    store.close()
    outs = [front("explain", fact_id, "--ledger", "books").out for fact_id in ids]
    assert "at_ms         1789992000000 (2026-09-21T12:00:00Z)" in outs[0]
    assert "reason        reset" in outs[1]


def test_a_sealed_row_that_was_changed_ends_with_status_1(front: Front) -> None:
    [sealed] = seal(Path("books"), NOON_S + 3 * DAY_S)[:1]
    rewrite(sealed.path, "REPLACE(REPLACE(body, '3600000000', '3600000009') AS body)")
    status, out, _ = front("explain", f"{writer_of(Path('books'))}:2", "--ledger", "books")
    assert status == 1
    assert "BROKEN" in out


def test_changed_open_books_are_refused_in_one_line(front: Front) -> None:
    db = sqlite3.connect("books/open.db")
    db.execute("UPDATE fact SET body = replace(body, '3600000000', '3600000009') WHERE seq = 2")
    db.commit()
    db.close()
    status, out, err = front("explain", f"{writer_of(Path('books'))}:2", "--ledger", "books")
    assert (status, out) == (2, "")
    assert is_one_line(err)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("job:jobb-0", "did you mean 'job-0'?"),
        ("jov:job-0", "did you mean 'job'?"),
        ("nothing", "is nothing to explain"),
        ("device:GPU-0000000", "did you mean 'GPU-00000000'?"),
        ("day:yesterday", "expected a date"),
        ("day:2020-01-01", "nothing is booked on 2020-01-01"),
        ("ffffffffffffffff:1", "no fact ffffffffffffffff:1"),
    ],
)
def test_what_is_unknown_is_one_line_and_names_the_nearest(front: Front, what: str, told: str) -> None:
    status, out, err = front("explain", what, "--ledger", "books")
    assert (status, out) == (2, "")
    assert told in err
    assert is_one_line(err)


def test_a_number_beyond_the_last_names_the_last(front: Front) -> None:
    writer = writer_of(Path("books"))
    _, _, err = front("explain", f"{writer}:99999", "--ledger", "books")
    assert f"did you mean '{writer}:" in err
    assert is_one_line(err)


def test_a_time_without_joules_is_not_known_and_never_zero_grams(front: Front) -> None:
    status, out, _ = front("explain", "job:job-0", "--ledger", "books", "--from", "2026-09-01", "--to", "2026-09-02")
    assert status == 0
    assert "not known" in out
    assert "CO2e" not in out.splitlines()[1]


# --- allocations --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(front: Front) -> list[str]:
    """A minute's energy on two devices, the tokens done in it, how it was divided, and two requests; their ids."""
    of = key(device="", component="", device_model="", method="", use="")
    facts: list[Fact] = [
        energy(0, uj=60, start_s=NOON_S + 60), energy(1, uj=40, start_s=NOON_S + 60), energy(2, uj=7, of=key(component="cpu")),
        work()._replace(key=of, steps=8, start_s=NOON_S + 60), divided(30, 40, 20, 10, start_s=NOON_S + 60, weak=True),
        asked("r-1", 3, 4, tenant="acme", start_s=NOON_S + 61, spread_uj=2), asked("r\n2", 30, start_s=NOON_S + 58),
    ]  # fmt: skip
    store = Store.open(Path("books"))
    ids = store.append(facts, NOON_S + HOURS * H)
    store.close()
    return ids


def test_an_allocation_names_the_energy_facts_that_it_divides(front: Front, served: list[str]) -> None:
    out = front("explain", served[4], "--ledger", "books").out
    assert f"{served[4]}: 30 uJ prompt, 40 uJ generated, 20 uJ standby, 10 uJ overhead in" in out
    assert f"divides       100 uJ of energy in its window: {served[0]}, {served[1]}\n" in out
    assert f"among         812 prompt, 64 generated tokens in 8 engine steps: {served[3]}\n" in out
    assert "weak: the prices stood on a prior" in out
    assert "in reports    counted" in out
    found = json.loads(front("explain", served[4], "--ledger", "books", "--json").out)
    assert found["divides"] == {"energy_facts": served[:2], "energy_uj": 100}
    assert (found["weak"], found["work"]["facts"], found["work"]["steps"]) == (True, [served[3]], 8)


def test_a_request_says_what_part_of_the_windows_it_got(front: Front, served: list[str]) -> None:
    out = front("explain", served[5], "--ledger", "books").out
    assert "3 uJ prompt, 4 uJ generated to request r-1 in" in out
    assert "tenant        acme" in out
    assert "tokens        10 prompt, 20 generated tokens" in out
    assert "part          0.1 of the 70 uJ that went into tokens in the windows" in out
    assert out.count(served[4]) == 1
    found = json.loads(front("explain", served[5], "--ledger", "books", "--json").out)
    assert (found["part_of"]["facts"], found["part_of"]["energy_uj"], found["part_of"]["fraction"]) == ([served[4]], 70, 0.1)
    assert "divides" not in found


def test_what_was_known_a_minute_later_is_looked_for_there(front: Front, served: list[str]) -> None:
    """A request ended before the minute in which its engine's energy came to be known."""
    found = json.loads(front("explain", served[6], "--ledger", "books", "--json").out)
    assert (found["part_of"]["facts"], found["part_of"]["fraction"]) == ([served[4]], 30 / 70)
    out = front("explain", served[6], "--ledger", "books").out
    assert "to request r\N{REPLACEMENT CHARACTER}2 in" in out


def test_an_engine_of_several_models_divides_what_its_process_drew(front: Front, served: list[str]) -> None:
    store = Store.open(Path("books"))
    other = divided(1, start_s=NOON_S + 60)
    [fact_id] = store.append([other._replace(key=other.key._replace(model="m-2"))], NOON_S + HOURS * H)
    store.close()
    assert json.loads(front("explain", fact_id, "--ledger", "books", "--json").out)["divides"]["energy_facts"] == served[:2]


def test_an_allocation_can_be_restated_and_is_shown(front: Front, served: list[str]) -> None:
    status, out, err = front(
        "ledger", "restate", served[5], "--set", "prompt_uj=2", "--set", "weak=true", "--set", "tenant=other", "--reason", "x",
        "--ledger", "books",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "prompt_uj  3 → 2" in out
    new_id = out.split()[-1]
    shown = front("ledger", "show", new_id, "--ledger", "books").out
    assert shown.startswith(f"{new_id}: 2 uJ prompt, 4 uJ generated to request r-1 in 2026-09-21T12:01:01Z + 2 s\n")
    assert "tenant         other" in shown
    assert "not counted: corrected since" in front("explain", served[5], "--ledger", "books").out
    assert "allocation" in front("ledger", "show", "--ledger", "books").out
