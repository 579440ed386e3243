"""An evidence pack is re-run by the command in it, and comes to the same hash; it is written whole or not at all."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from tests.accounting.made_evidence import packed
from tests.accounting.made_reports import LEARNT_S, H, add, books, said, used
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.made import NOON_S, work

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.cli.report_evidence import write
from wattledger.core.facts import AssetFact


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    facts = [used(2), used(1, hour=1, zone=""), used(0.5, job="(idle)"), said(0, 100, provider="q"), said(0, 300), work()]
    return books(tmp_path, facts)


ASKED = {
    "a job": (Ask("job", "job-0"), Rules()),
    "all jobs by hour, marginal too": (Ask("job", by="hour", marginal=True), Rules()),
    "a day": (Ask("day", "2026-09-21"), Rules()),
    "a part of the time": (Ask("device", None, NOON_S + 10, NOON_S + H), Rules()),
    "other rules": (Ask("host"), Rules(zone="FR", providers=("q", "p"), settle_s=24 * H)),
}


@pytest.mark.parametrize("asked", list(ASKED))
def test_the_command_in_the_pack_gives_the_same_hash(
    front: Front, place: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:  # fmt: skip
    found = packed(place, *ASKED[asked])
    # The books have grown since.
    add(place, [used(7), said(0, 900)], LEARNT_S + H)
    for name, value in found["question"].get("environment", {}).items():
        monkeypatch.setenv(name, value)
    got = front(*found["question"]["command"][1:], "--ledger", str(place))
    assert (got.status, got.err) == (0, "")
    assert sha256(got.out.encode()).hexdigest() == found["answer_sha256"]
    assert json.loads(got.out) == found["answer"]


def test_a_pack_is_written_whole_and_its_bytes_are_equal(place: Path, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write(tmp_path / name, packed(place, Ask("job")))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text())["schema"] == "wattledger.evidence/1"
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["a.json", "b.json"]
    assert [path.name for path in tmp_path.glob(".*.json*")] == []


def test_where_it_cannot_be_written_what_was_there_stays(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be written") as wrong:
        write(tmp_path / "no-such-folder" / "pack.json", packed(place, Ask("job")))
    assert "\n" not in str(wrong.value)
    (tmp_path / "pack.json").write_text("before")
    with pytest.raises(TypeError):
        write(tmp_path / "pack.json", {"not": object()})
    assert (tmp_path / "pack.json").read_text() == "before"


def test_a_report_writes_its_evidence_beside_its_answer(front: Front, place: Path, tmp_path: Path) -> None:
    file = tmp_path / "pack.json"
    words = ("report", "job", "job-0", "--ledger", str(place), "--method", "time", "--json")
    got = front(*words, "--evidence", str(file))
    assert (got.status, got.err) == (0, "")
    found = json.loads(file.read_text())
    assert sha256(got.out.encode()).hexdigest() == found["answer_sha256"]
    again = front(*found["question"]["command"][1:], "--ledger", str(place), "--evidence", str(tmp_path / "again.json"))
    assert again.out == got.out
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


def test_a_report_that_cannot_write_its_evidence_says_so_in_one_line(front: Front, place: Path, tmp_path: Path) -> None:
    got = front("report", "job", "--ledger", str(place), "--evidence", str(tmp_path / "none" / "pack.json"))
    assert (got.status, got.out) == (2, "")
    assert is_one_line(got.err)
    assert "cannot be written" in got.err


def test_an_unknown_name_writes_no_evidence(front: Front, place: Path, tmp_path: Path) -> None:
    got = front("report", "job", "nobody", "--ledger", str(place), "--evidence", str(tmp_path / "pack.json"))
    assert got.status == 2
    assert not (tmp_path / "pack.json").exists()


def machines() -> list[AssetFact]:
    """A server that was in service for a year when the meters began."""
    was_s = NOON_S - 365 * 86_400
    life = (("el_h", "35040"),)
    return [
        AssetFact("server", "make", was_s, 900_000, details=(("kind", "server"), ("method", "declared"))),
        AssetFact("server", "commission", was_s, details=(*life, ("host", "gpu-7"))),
    ]


OTHERS = {
    "embodied": ("embodied", "--method", "time"),
    "embodied, all methods": ("embodied", "--method", "all", "--to", "2026-09-22"),
    "embodied, one asset": ("embodied", "server"),
    "inventory": ("embodied", "--view", "inventory"),
    "a score": ("sci", "job", "job-0", "--per", "1000-token", "--count", "500", "--effective"),
    "scores without M": ("sci", "model", "--per", "hour", "--no-embodied", "--boundary", "provider"),
    "marginal scores": ("sci", "--per", "hour", "--intensity", "marginal", "--zone", "DE"),
}


@pytest.mark.parametrize("asked", list(OTHERS))
def test_machines_and_scores_have_packs_whose_command_gives_the_same_hash(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:  # fmt: skip
    facts = [used(2), used(0.5, job="(idle)"), said(0, 100), said(0, 70, signal="marginal"), *machines()]
    place, file = books(tmp_path, facts), tmp_path / "p.json"
    got = front("report", *OTHERS[asked], "--ledger", str(place), "--evidence", str(file), "--json")
    assert (got.status, got.err) == (0, "")
    found = json.loads(file.read_text())
    assert sha256(got.out.encode()).hexdigest() == found["answer_sha256"]
    add(place, [used(7), said(0, 900), AssetFact("late", "make", NOON_S, 5_000)], LEARNT_S + H)  # the books have grown since
    for name, value in found["question"].get("environment", {}).items():
        monkeypatch.setenv(name, value)
    again = front(*found["question"]["command"][1:], "--ledger", str(place), "--evidence", str(tmp_path / "again.json"))
    assert (again.status, again.out) == (0, got.out)
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


def test_a_pack_begins_with_a_summary_for_people(front: Front, tmp_path: Path) -> None:
    place, file = books(tmp_path, [used(2), used(1, hour=0.99), said(0, 100), *machines()]), tmp_path / "p.json"
    front("report", "embodied", "--ledger", str(place), "--evidence", str(file))
    found = json.loads(file.read_text())
    assert list(found)[:2] == ["schema", "summary"]
    first, configured, *rest = found["summary"]
    assert first.startswith("question: wattledger report embodied --view amortised")
    assert configured == "configuration: none: the defaults, and what the environment says"
    assert any(line.startswith("answer: charged ") for line in rest)
    assert any(line.startswith("stands on: embodied: ") and "server passport declared" in line for line in rest)
    assert not any(line.startswith("stands on: grid") for line in rest)  # an answer in machines' carbon has no grid in it
    front("report", "job", "--ledger", str(place), "--evidence", str(file))
    rest = json.loads(file.read_text())["summary"]
    assert any(line.startswith("answer: ") and "location based" in line for line in rest)
    assert any(line.startswith("left out: ") for line in rest)


def test_an_exact_ratio_has_a_float_beside_it(front: Front, tmp_path: Path) -> None:
    place, file = books(tmp_path, [used(1 / 7), said(0, 100)]), tmp_path / "p.json"
    front("report", "job", "--from", "2026-09-21T12:00:07Z", "--ledger", str(place), "--evidence", str(file))
    accounts = json.loads(file.read_text())["trial_balance"]["emitted_ug"]["location_based"]
    assert "/" in accounts["sum"]
    top, bottom = map(int, accounts["sum"].split("/"))
    assert accounts["sum_about"] == pytest.approx(top / bottom)


def test_the_configuration_is_named_as_it_was_typed_or_by_its_place_and_never_by_a_home(
    front: Front, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    file, home = tmp_path / "p.json", tmp_path / "people" / "ada"
    settings = home / ".config" / "wattledger" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[grid]\nzone = "FR"\n')
    words = ("report", "job", "--ledger", str(place), "--evidence", str(file))
    for name in ("XDG_CONFIG_HOME", "WATTLEDGER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    front(*words)
    found = json.loads(file.read_text())["question"]
    assert found["configuration"]["file"] == "~/.config/wattledger/config.toml"
    assert found["configuration"]["sha256"] == sha256(settings.read_bytes()).hexdigest()
    assert str(home) not in file.read_text()
    front(*words, "--config", str(settings))
    found = json.loads(file.read_text())["question"]
    assert found["configuration"]["file"] == str(settings)
    assert found["command"][found["command"].index("--config") + 1] == str(settings)
    monkeypatch.setenv("WATTLEDGER_CONFIG", str(settings))
    front(*words)
    assert json.loads(file.read_text())["question"]["configuration"]["file"] == "$WATTLEDGER_CONFIG"
