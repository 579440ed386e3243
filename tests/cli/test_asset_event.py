"""`wattledger asset event`: what happened is written once, and what cannot have been is refused with the books as they were."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.cli.asset_place import books, rows, said, server
from tests.cli.front import Front, is_one_line, own_place

HERE = ".local/state/wattledger/ledger"


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    books(Path(HERE), *server())
    return Front(capsys)


def test_a_repair_is_written_once(front: Front) -> None:
    words = ("asset", "event", "dgx-1", "repair", "--kg", "12.5", "--at", "2025-06-01")
    first = said(front, *words)
    assert first["fact"] == {"asset": "dgx-1", "event": "repair", "at_s": 1_748_736_000, "emitted_g": 12_500}
    assert first["id"].endswith(":5")
    again = said(front, *words)
    assert (again["id"], again["there_already"]) == (None, True)
    assert len(rows(Path(HERE))) == 5


def test_a_move_takes_its_carbon_along(front: Front) -> None:
    before = said(front, "asset", "show", "dgx-1/gpu-0")
    said(front, "asset", "event", "dgx-1", "move", "--host", "gpu-9", "--at", "2025-06-01")
    after = said(front, "asset", "show", "dgx-1/gpu-0")
    assert (before["host"], after["host"]) == ("gpu-7", "gpu-9")
    assert after["balance_ug"]["made_ug"] == before["balance_ug"]["made_ug"] == 164_000_000_000


def test_a_way_by_mode_and_distance_needs_only_the_mass_of_the_passport(front: Front) -> None:
    words = ("--at", "2025-06-01", "--detail", "mode=air", "--detail", "km=6000", "--detail", "site=Lyon")
    moved = said(front, "asset", "event", "dgx-1/gpu-0", "move", *words)
    assert moved["fact"]["emitted_g"] == round(2.11e-3 * 1.69 * 6000 * 1000)
    assert ["site", "Lyon"] in moved["fact"]["details"]
    refused = front("asset", "event", "dgx-1", "move", *words)
    assert refused.status == 2
    assert "mass_kg" in refused.err


def test_a_file_given_as_evidence_is_kept_by_its_digest(front: Front) -> None:
    Path("invoice.pdf").write_bytes(b"%PDF-1.7 twelve kilograms")
    digest = hashlib.sha256(b"%PDF-1.7 twelve kilograms").hexdigest()
    words = ("asset", "event", "dgx-1", "repair", "--kg", "1", "--at", "2025-06-01", "--evidence")
    assert said(front, *words, "invoice.pdf")["fact"]["evidence"] == f"sha256:{digest} invoice.pdf"
    assert said(front, *words, "PO-2025-771")["fact"]["evidence"] == "PO-2025-771"
    missing = front(*words, "invoice-2.pdf", "--dry-run")
    assert missing.status == 0
    assert missing.err == "wattledger: asset event: there is no file invoice-2.pdf: it is kept as a reference\n"


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("dgx-1", "repair", "--kg", "-3", "--at", "2025-06-01"), "negative"),
        (("dgx-1", "repair", "--kg", "3", "--at", "2020-06-01"), "before"),
        (("dgx-1", "swap", "--detail", "out=dgx-1/gpu-7", "--at", "2025-06-01"), "gpu-7"),
        (("dgx-2", "repair", "--kg", "3", "--at", "2025-06-01"), "dgx-2"),
        (("dgx-1", "degrade", "--detail", "capacity=1.2", "--at", "2025-06-01"), "capacity"),
        (("dgx-1", "estimate", "--detail", "life_h=0", "--at", "2025-06-01"), "life_h"),
        (("dgx-1", "move", "--inside", "dgx-1/gpu-0", "--at", "2025-06-01"), "inside"),
        (("dgx-1", "repair", "--kg", "3", "--at", "yesterday"), "at"),
        (("dgx-1", "repair", "--kg", "much", "--at", "2025-06-01"), "kg"),
        (("dgx-1", "repair", "--kg", "3", "--detail", "colour=red"), "colour"),
        (("dgx-1", "repair", "--kg", "3", "--detail", "kg=4"), "--kg"),
        (("dgx-1", "move", "--detail", "km"), "WORD=VALUE"),
        (("dgx-1", "repiar", "--kg", "3"), "did you mean 'repair'?"),
        (("dgx-1", "make", "--kg", "3"), "asset add"),
    ],
)
def test_what_cannot_have_been_is_one_line_and_the_books_stay(front: Front, words: tuple[str, ...], rule: str) -> None:
    before = rows(Path(HERE))
    refused = front("asset", "event", *words)
    assert (refused.status, refused.out) == (2, "")
    assert is_one_line(refused.err), refused.err
    assert rule in refused.err
    assert rows(Path(HERE)) == before
    assert len(before) == 4


def test_a_part_cannot_be_in_two_machines(front: Front) -> None:
    Path("more").mkdir()
    books(Path(HERE), *server("dgx-2", "gpu-9", gpus=0))
    before = rows(Path(HERE))
    twice = front("asset", "event", "dgx-1/gpu-0", "install", "--inside", "dgx-2", "--at", "2025-06-01")
    assert twice.status == 2
    assert "dgx-1" in twice.err
    assert rows(Path(HERE)) == before
    said(front, "asset", "event", "dgx-1/gpu-0", "remove", "--at", "2025-06-01")
    said(front, "asset", "event", "dgx-1/gpu-0", "install", "--inside", "dgx-2", "--at", "2025-06-02")
    assert said(front, "asset", "show", "dgx-1/gpu-0")["host"] == "gpu-9"


def test_rules_look_into_all_books_that_reports_read(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_AGENT_STATE", str(Path("agent").resolve()))
    books(Path("agent/ledger"), *server("dgx-2", "gpu-9"))
    added = said(front, "asset", "event", "dgx-2", "repair", "--kg", "3", "--at", "2025-06-01")
    assert added["id"]
    assert len(rows(Path(HERE))) == 5
    alone = front("asset", "event", "dgx-2", "repair", "--kg", "4", "--at", "2025-06-01", "--ledger", "elsewhere")
    assert alone.status == 2
    assert not Path("elsewhere").exists()


def test_a_dry_run_checks_and_writes_nothing(front: Front) -> None:
    before = rows(Path(HERE))
    dry = front("asset", "event", "dgx-1", "repair", "--kg", "12", "--at", "2025-06-01", "--dry-run")
    assert dry.status == 0
    assert dry.out.startswith("would be added  2025-06-01  repair  dgx-1  12 kg")
    assert rows(Path(HERE)) == before


def test_grams_typed_as_kilograms_are_doubted(front: Front) -> None:
    doubted = front("asset", "event", "dgx-1/gpu-0", "repair", "--kg", "164000", "--at", "2025-06-01", "--dry-run")
    assert doubted.status == 0
    assert "grams" in doubted.err


def test_the_event_just_now_is_at_the_clock(front: Front) -> None:
    found = front("asset", "event", "dgx-1", "repair", "--kg", "1", "--json", "--dry-run")
    assert json.loads(found.out)["fact"]["at_s"] > 1_735_689_600


WORKSHOP = ("asset", "event", "dgx-1/gpu-0", "refurbish", "--at", "2025-06-01", "--detail", "energy_kwh=12")


def test_a_refurbishments_energy_is_what_its_grid_emits(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_GRID_ZONE", "DE")
    fact = said(front, *WORKSHOP)["fact"]
    details = dict(fact["details"])
    assert fact["emitted_g"] == round(12 * float(details["g_per_kwh"]))
    assert 200 < float(details["g_per_kwh"]) < 600
    assert details["source"].startswith("grid DE: ")
    assert details["source"].endswith(", direct")
    assert said(front, "asset", "show", "dgx-1/gpu-0")["balance_ug"]["added_ug"] == fact["emitted_g"] * 10**6
    assert said(front, *WORKSHOP)["there_already"] is True


def test_an_energy_without_a_grid_is_one_line_and_with_kilograms_they_hold(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATTLEDGER_GRID_ZONE", raising=False)
    before = rows(Path(HERE))
    refused = front(*WORKSHOP)
    assert (refused.status, is_one_line(refused.err)) == (2, True)
    assert "energy_kwh needs a grid: set [grid] zone, or say its 'kg'" in refused.err
    assert rows(Path(HERE)) == before
    held = front(*WORKSHOP, "--kg", "3", "--json")
    assert (held.status, json.loads(held.out)["fact"]["emitted_g"]) == (0, 3_000)
    assert "kg holds" in json.loads(held.out)["warnings"][0]


def test_a_figure_of_its_own_needs_no_grid(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATTLEDGER_GRID_ZONE", raising=False)
    assert said(front, *WORKSHOP, "--detail", "g_per_kwh=30")["fact"]["emitted_g"] == 360


def test_a_passports_events_have_their_energy_too(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_GRID_ZONE", "FR")
    Path("one.toml").write_text("""\
schema = "wattledger.passport/1"
[asset]
id = "one"
made = 2025-01-01
life_years = 5
footprint = { kg = 1000, source = "x" }
[[event]]
event = "repair"
at = 2025-02-01
energy_kwh = 100
""")
    added = said(front, "asset", "add", "one.toml")["added"]
    assert len(added) == 2
    repaired = said(front, "asset", "show", "one")["events"][1]
    assert repaired["emitted_kg"] == pytest.approx(float(repaired["details"]["g_per_kwh"]) / 10, abs=1e-3)


def test_what_leaves_goes_to_somebody(front: Front) -> None:
    refused = front("asset", "event", "dgx-1", "transfer", "--at", "2025-06-01")
    assert refused.err == "wattledger: asset event: transfer: to whom? say 'to'\n"
    assert said(front, "asset", "event", "dgx-1", "transfer", "--at", "2025-06-01", "--detail", "to=a school")["id"]


def test_a_card_does_not_go_into_a_card(front: Front) -> None:
    refused = front("asset", "event", "dgx-1/gpu-0", "move", "--inside", "dgx-1/gpu-1", "--at", "2025-06-01")
    assert refused.status == 2
    assert "part inside a part: dgx-1/gpu-0" in refused.err
