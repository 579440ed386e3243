"""`wattledger explain asset:NAME` and `--basis embodied|water…`: what a person and a program are told, and every wrong word."""

import json
from pathlib import Path

import pytest
from tests.accounting.made_explained import KG, LIFE_H, machine, ran
from tests.accounting.made_reports import DAY_S, H, add, books, said, used
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.made import NOON_S, work

from wattledger.accounting.assets.words import fact
from wattledger.core.facts import Correction
from wattledger.ledger.store import Store


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A machine that runs two jobs; its GPU is repaired once and taken out in the end."""
    later = [
        fact("g1", "repair", at_s=NOON_S + H, emitted_g=5 * KG, evidence="invoice 7"),
        fact("g1", "remove", at_s=NOON_S + DAY_S),
    ]
    return books(tmp_path, [*machine(low_g=110 * KG, high_g=575 * KG), *later, ran("a"), ran("b", hour=2)])


def ids_of(place: Path) -> list[str]:
    store = Store.open(place, readonly=True)
    try:
        return [one.id for one in store.known()]
    finally:
        store.close()


def test_a_part_is_told_event_by_event_and_balances(front: Front, place: Path) -> None:
    status, out, err = front("explain", "asset:g1", "--ledger", str(place))
    assert (status, err) == (0, "")
    ids = ids_of(place)
    for words in (
        "asset g1: gpu, device GPU-1", "made          164 kg CO2e (110 kg to 575 kg): pcf, PCF", "life          35040 h (stated)",
        f"+164 kg made; it carries 164 kg then, inside s1: {ids[1]}",
        f"commission of s1 no carbon moves; it carries 164 kg then, inside s1, on h1: {ids[2]}",
        f"+5 kg added; it carries 158 kg then, inside s1, on h1: {ids[3]}", "evidence=invoice 7", "164 kg / 35040 h = 4.68 g/h",
        "164 000 000 000 made + 5 000 000 000 added + 0 transferred in", "exactly",
    ):  # fmt: skip
        assert words in out, words


def test_json_of_a_part_has_the_same(front: Front, place: Path) -> None:
    said = json.loads(front("explain", "asset:g1", "--ledger", str(place), "--json").out)
    assert (said["schema"], said["of"], said["asset"], said["equal"]) == ("wattledger.explain/1", "asset", "g1", True)
    assert said["balance"]["residual_ug"] == 0
    assert [event["event"] for event in said["events"]] == ["make", "commission", "repair", "remove"]
    assert said["periods"][0]["rate_g_per_h"] == pytest.approx(164 * KG / LIFE_H)


def test_as_of_then_a_later_word_was_not_known(front: Front, place: Path) -> None:
    repair = ids_of(place)[3]
    add(place, [Correction(repair, "it was 9", fact("g1", "repair", at_s=NOON_S + H, emitted_g=9 * KG))], NOON_S + 60 * DAY_S)
    added = []
    for more in ((), ("--as-of", "2026-11-01")):
        said = json.loads(front("explain", "asset:g1", "--ledger", str(place), "--json", *more).out)
        added.append(said["balance"]["added_ug"])
    assert added == [9 * KG * 1_000_000, 5 * KG * 1_000_000]
    assert "in place of" in front("explain", "asset:g1", "--ledger", str(place)).out


def test_an_event_says_what_it_moves(front: Front, place: Path) -> None:
    repair, words = ids_of(place)[3], ("--ledger", str(place), "--to", "2026-10-01")
    out = front("explain", repair, *words).out
    assert f"{repair}: repair of asset g1, 2026-09-21T13:00:00Z" in out
    assert "moves         g1 on h1:" in out
    found = json.loads(front("explain", repair, *words, "--json").out)
    [moved] = found["effect"]["moves_reports"]
    assert (moved["asset"], moved["host"], moved["from"]) == ("g1", "h1", "2026-09-21T13:00:00Z")
    assert moved["difference_ug"] > 0
    assert found["body"]["event"] == "repair"


def test_a_jobs_embodied_grams_are_taken_apart_to_the_microgram(front: Front, place: Path) -> None:
    status, out, err = front("explain", "job:a", "--basis", "embodied", "--ledger", str(place))
    assert (status, err) == (0, "")
    assert "by reserved time" in out
    assert "4.68 g/h: booked" in out
    assert "exactly equal" in out
    said = json.loads(front("explain", "job:a", "--basis", "embodied", "--ledger", str(place), "--json").out)
    report = json.loads(front("report", "job", "a", "--ledger", str(place), "--json").out)
    assert said["sum"]["emitted_g"] == report["rows"][0]["emissions_g"]["embodied"]["value"]
    assert said["method"] == "reserved"
    assert sum(part["ug"] for asset in said["assets"] for part in asset["parts"]) == said["sum"]["emitted_ug"]


def test_another_method_is_named_and_adds_up(front: Front, place: Path) -> None:
    words = ("--ledger", str(place), "--method", "time")
    said = json.loads(front("explain", "host:h1", "--basis", "embodied", *words, "--json").out)
    assert (said["method"], said["equal"]) == ("time", True)
    assert "share it equally" in front("explain", "device:GPU-1", "--basis", "embodied", *words).out


@pytest.mark.parametrize(("where", "value"), [("onsite", 2 * 1.8), ("offsite", 2 * 1.2)])
def test_litres_are_taken_apart_and_are_the_reports(front: Front, tmp_path: Path, where: str, value: float) -> None:
    (tmp_path / "w.toml").write_text("[facility]\nwue = 1.8\n")
    place = books(tmp_path, [used(2, pue_milli=1200)])
    words = ("--ledger", str(place), "--config", str(tmp_path / "w.toml"))
    said = json.loads(front("explain", "job:job-0", "--basis", f"water_{where}", *words, "--json").out)
    report = json.loads(front("report", "job", "job-0", *words, "--json").out)
    [slot] = said["slots"]
    per_kwh = slot["ul_per_kwh"] / 1e6 if where == "offsite" else 1.0
    assert said["sum"]["water_l"] == report["rows"][0]["water_l"][where]["value"] == pytest.approx(value * per_kwh)
    assert ("pue" in slot) == (where == "offsite")
    assert said["equal"]
    assert "exactly equal" in front("explain", "job:job-0", "--basis", f"water_{where}", *words).out


def test_litres_that_are_not_known_are_no_zero(front: Front, tmp_path: Path) -> None:
    words = ("explain", "job:job-0", "--basis", "water_onsite", "--ledger", str(books(tmp_path, [used(2)])))
    assert "its litres are not known" in front(*words).out
    assert "water_ul" not in json.loads(front(*words, "--json").out)["sum"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (("asset:g2",), "no asset 'g2' in the books; did you mean 'g1'?"),
        (("aset:g1",), "did you mean 'asset'?"),
        (("job:a", "--basis", "embodied", "--method", "tme"), "is no way to allocate"),
        (("job:a", "--basis", "embodied", "--method", "economic"), "prices"),
        (("job:a", "--basis", "embodied", "--prices", "none.csv"), "none.csv"),
        (("asset:g1", "--to", "soon"), "expected a date"),
    ],
)
def test_wrong_words_are_one_line(front: Front, place: Path, what: tuple[str, ...], told: str) -> None:
    status, out, err = front("explain", *what, "--ledger", str(place))
    assert (status, out) == (2, "")
    assert told in err
    assert is_one_line(err)


def test_a_name_commands_no_terminal(front: Front, tmp_path: Path) -> None:
    name = "\x1b[2Jgone"
    place = books(tmp_path, [fact(name, "make", at_s=NOON_S, emitted_g=1, kind="ssd", source="\x07x")])
    for what in (f"asset:{name}", ids_of(place)[0]):
        out = front("explain", what, "--ledger", str(place)).out
        assert all(sign.isprintable() or sign == "\n" for sign in out)


# --- scores ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A job that used a kWh on a machine that is known, at 100 g/kWh, for 876 tokens in one request."""
    done = work()
    done = done._replace(key=done.key._replace(job="a", host="h1"))
    return books(tmp_path, [*machine(), ran("a"), said(0, 100), done])


def test_a_score_is_its_formula_in_numbers(front: Front, scored: Path) -> None:
    status, out, err = front("explain", "sci:job:a", "--per", "token", "--ledger", str(scored))
    assert (status, err) == (0, "")
    assert "(1 kWh x 100 g/kWh + " in out
    assert "/ 876 = " in out
    assert "wattledger explain job:a --basis embodied" in out
    found = json.loads(front("explain", "sci:job:a", "--per", "token", "--ledger", str(scored), "--json").out)
    report = json.loads(front("report", "sci", "job", "a", "--per", "token", "--ledger", str(scored), "--json").out)
    assert (found["schema"], found["of"], found["equal"]) == ("wattledger.explain/1", "score", True)
    assert found["score"] == report


def test_the_parts_that_a_score_names_come_to_its_inputs(front: Front, scored: Path) -> None:
    words = ("--ledger", str(scored), "--json")
    inputs = json.loads(front("explain", "sci:job:a", "--per", "request", *words).out)["score"]["rows"][0]["inputs"]
    operated = json.loads(front("explain", "job:a", *words).out)["sum"]["emitted_g"]
    made = json.loads(front("explain", "job:a", "--basis", "embodied", *words).out)["sum"]["emitted_g"]
    assert (inputs["operational_g"]["value"], inputs["embodied_g"]["value"]) == (operated, made)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sci:job:a",), "--per says the functional unit"),
        (("sci:job:a", "--per", "tokn"), "did you mean 'token'?"),
        (("sci:host:h1", "--per", "token"), "sci:job:NAME"),
        (("sci:a", "--per", "token"), "sci:job:NAME"),
        (("sci:job:aa", "--per", "token"), "did you mean 'a'?"),
        (("sci:job:a", "--per", "epoch"), "--count N"),
    ],
)
def test_a_score_of_nothing_is_one_line(front: Front, scored: Path, words: tuple[str, ...], told: str) -> None:
    status, out, err = front("explain", *words, "--ledger", str(scored))
    assert (status, out) == (2, "")
    assert told in err
    assert is_one_line(err)
