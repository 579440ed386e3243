"""What an owner may write wrong of machines: one line, exit status 2, and books that are as they were."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.asset_place import books, rows, said, server
from tests.cli.front import Front, is_one_line, own_place

HERE = Path(".local/state/wattledger/ledger")
ASSET = '[asset]\nid = "new"\nkind = "server"\nmade = 2025-03-01\n'
KG = '[asset.footprint]\nkg = 1500\nsource = "x"\n'
WRONG_EVENTS = {
    "an asset that is none": (("dgx1", "repair", "--kg", "1"), "did you mean 'dgx-1'?"),
    "a part by its short name": (("gpu-1", "repair", "--kg", "1"), "did you mean 'dgx-1/gpu-1'?"),
    "a time to come": (("dgx-1", "repair", "--kg", "1", "--at", "2150-01-01"), "event to come: dgx-1, 2150-01-01T00:00:00Z"),
    "a life of ages": (("dgx-1", "estimate", "--detail", "life_h=1e11"), "more than 100 years (876000 hours)"),
    "kilograms that come back": (("dgx-1", "repair", "--kg", "-1"), "asset event: kg = '-1': must not be negative"),
    "no number": (("dgx-1", "repair", "--kg", "nan"), "asset event: kg = 'nan': not a finite number"),
    "a time without a zone": (("dgx-1", "repair", "--kg", "1", "--at", "2025-06-01T12:00:00"), "needs its zone"),
    "a name that commands a terminal": (("dgx-1", "move", "--host", "g\x1b[31m"), "expected one line of readable text"),
}
WRONG_PASSPORTS = {
    "a member said twice": (".json", '{"asset": {"id": "a", "id": "b"}}', "'id' is said twice in one object"),
    "made in time to come": (".toml", ASSET.replace("2025", "2150") + KG, "event to come: new, 2150-03-01T00:00:00Z: make"),
    "a life of ages": (".toml", ASSET + "life_h = 1e9\n" + KG, "more than 100 years (876000 hours)"),
    "a card that includes itself": (
        ".toml", ASSET + KG + '[[component]]\nkind = "gpu"\nfootprint = { kg = 164, includes = "accelerators" }\n',
        "is itself what",
    ),
    "what there is not to include": (".toml", ASSET + KG + 'includes = "gpus"\n', "includes = 'gpus'"),
}  # fmt: skip


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    books(HERE, *server())
    return Front(capsys)


@pytest.mark.parametrize("case", WRONG_EVENTS)
def test_a_wrong_event_is_one_line_and_changes_nothing(front: Front, case: str) -> None:
    words, wanted = WRONG_EVENTS[case]
    before = rows(HERE)
    got = front("asset", "event", *words)
    assert (got.status, got.out) == (2, "")
    assert is_one_line(got.err)
    assert wanted in got.err
    assert rows(HERE) == before


@pytest.mark.parametrize("case", WRONG_PASSPORTS)
def test_a_wrong_passport_is_one_line_and_changes_nothing(front: Front, tmp_path: Path, case: str) -> None:
    ending, text, wanted = WRONG_PASSPORTS[case]
    file = tmp_path / f"passport{ending}"
    file.write_text(text if ending == ".json" else f'schema = "wattledger.passport/1"\n{text}')
    before = rows(HERE)
    got = front("asset", "add", str(file))
    assert got.status == 2
    assert is_one_line(got.err)
    assert wanted in got.err
    assert rows(HERE) == before


def test_the_day_that_has_begun_in_the_east_may_be_written(front: Front) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=13)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert said(front, "asset", "event", "dgx-1", "repair", "--kg", "1", "--at", ahead)["id"]


FOOTPRINTS = {
    "cards are among its parts": ('[[component]]\nkind = "gpu"\nmodel = "NVIDIA H100"\n', False),
    "only its memory is named": ('[[component]]\nkind = "dram"\ncapacity_gb = 64\n', True),
    "no part is named": ("", True),
}


@pytest.mark.parametrize("case", FOOTPRINTS)
def test_a_whole_machines_footprint_includes_cards_that_are_no_parts(front: Front, tmp_path: Path, case: str) -> None:
    parts, includes = FOOTPRINTS[case]
    file = tmp_path / "whole.toml"
    file.write_text(f'schema = "wattledger.passport/1"\n{ASSET}{KG}includes_parts = true\n{parts}')
    assert said(front, "asset", "add", str(file))["added"]
    details = said(front, "asset", "show", "new")["details"]
    assert (details.get("includes") == "accelerators") is includes
