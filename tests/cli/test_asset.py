"""`wattledger asset add|list|show|import`: passports and inventories become facts once, and every kilogram is shown where it is."""

import json
from pathlib import Path

import pytest
from tests.cli.asset_place import JAN_S, YEAR_S, books, rows, said, server
from tests.cli.front import Front, is_one_line, own_place

from wattledger.accounting.assets.words import fact

HERE = ".local/state/wattledger/ledger"
PASSPORT = """\
schema = "wattledger.passport/1"
[asset]
id = "dgx-9"
kind = "server"
serial = "1660224000123"
host = "gpu-9"
made = 2024-12-01
purchased = 2025-01-10
commissioned = 2025-02-01
life_years = 5
[asset.footprint]
kg = 1500
source = "the vendor's product footprint"
[[component]]
kind = "gpu"
model = "NVIDIA H100 80GB HBM3"
count = 8
life_years = 4
[component.footprint]
kg = 164
method = "pcf"
source = "NVIDIA"
"""


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    Path("dgx-9.toml").write_text(PASSPORT)
    return Front(capsys)


def test_a_passport_is_added_once(front: Front) -> None:
    first = front("asset", "add", "dgx-9.toml")
    assert (first.status, first.err) == (0, "")
    assert first.out.splitlines()[-1] == "9 assets, 2812.000 kg CO2e to make them; 0 of them by an estimate"
    before = rows(Path(HERE))
    again = front("asset", "add", "dgx-9.toml")
    assert again.out == "11 of 11 facts were in the books already: not written again\n"
    assert rows(Path(HERE)) == before
    assert len(before) == 11


def test_no_serial_enters_the_books(front: Front) -> None:
    said(front, "asset", "add", "dgx-9.toml")
    assert "1660224000123" not in "".join(body for _, body, _ in rows(Path(HERE)))
    assert said(front, "asset", "show", "dgx-9")["serial_hash"].startswith("sha256:")


def test_a_passport_that_was_changed_is_no_second_machine(front: Front) -> None:
    said(front, "asset", "add", "dgx-9.toml")
    before = rows(Path(HERE))
    Path("dgx-9.toml").write_text(PASSPORT.replace("kg = 1500", "kg = 1400"))
    changed = front("asset", "add", "dgx-9.toml")
    assert changed.status == 2
    assert is_one_line(changed.err)
    assert "dgx-9" in changed.err
    assert rows(Path(HERE)) == before


def test_every_mistake_of_a_passport_is_a_line_and_nothing_is_written(front: Front) -> None:
    Path("dgx-9.toml").write_text(PASSPORT.replace("count = 8", "cuont = 8").replace("kg = 1500", "kg = -1500"))
    wrong = front("asset", "add", "dgx-9.toml")
    assert (wrong.status, wrong.out) == (2, "")
    lines = wrong.err.splitlines()
    assert all(line.startswith("wattledger: asset add: dgx-9.toml:") for line in lines)
    assert any("did you mean 'count'?" in line for line in lines)
    assert any("negative" in line for line in lines)
    assert not Path(HERE).exists()


def test_a_file_that_is_no_passport_is_one_line(front: Front) -> None:
    Path("a.txt").write_text("x")
    Path("b.toml").write_bytes(b"\xff\xfe")
    for name in ("nothing.toml", "a.txt", "b.toml"):
        wrong = front("asset", "add", name)
        assert wrong.status == 2
        assert is_one_line(wrong.err)
        assert name in wrong.err


def test_the_list_adds_up_as_it_is_printed(front: Front) -> None:
    books(Path(HERE), *server(gpus=11))
    listed = front("asset", "list").out.splitlines()
    assert [line.split()[0] for line in listed[1:-1]] == ["dgx-1", *(f"dgx-1/gpu-{n}" for n in range(11))]
    carried_g = [round(float(line.split()[5]) * 1000) for line in listed[1:-1]]
    assert listed[-1].split()[0] == "12"
    assert round(float(listed[-1].split()[-1]) * 1000) == sum(carried_g)


def test_the_list_can_be_of_a_host_or_a_kind(front: Front) -> None:
    books(Path(HERE), *server(), *server("dgx-2", "gpu-9", gpus=1))
    on_host = said(front, "asset", "list", "--host", "gpu-9")["assets"]
    assert [one["asset"] for one in on_host] == ["dgx-2", "dgx-2/gpu-0"]
    gpus = said(front, "asset", "list", "--kind", "gpu")["assets"]
    assert {one["asset"] for one in gpus} == {"dgx-1/gpu-0", "dgx-1/gpu-1", "dgx-2/gpu-0"}
    assert front("asset", "list", "--kind", "gpus").err.count("did you mean 'gpu'?") == 1
    assert front("asset", "list", "--host", "gpu-8").status == 1


def test_no_books_are_no_assets(front: Front) -> None:
    assert said(front, "asset", "list")["assets"] == []
    assert "asset discover" in front("asset", "list").out
    assert front("asset", "show", "dgx-1").status == 2
    assert front("asset", "list", "--ledger", "nowhere").status == 2


def test_a_balance_adds_up_to_the_microgram_and_as_it_is_printed(front: Front) -> None:
    repaired = fact("dgx-1", "repair", at_s=JAN_S + YEAR_S // 3, emitted_g=12_345)
    books(Path(HERE), *server(), repaired, fact("dgx-1", "scrap", at_s=JAN_S + YEAR_S, emitted_g=18_001, route="recycle"))
    for name in ("dgx-1", "dgx-1/gpu-0"):
        balance = said(front, "asset", "show", name)["balance_ug"]
        came = balance["made_ug"] + balance["added_ug"] + balance["transferred_in_ug"]
        assert came == balance["booked_ug"] + balance["carried_ug"] + balance["written_off_ug"] + balance["transferred_out_ug"]
        [line] = [line for line in front("asset", "show", name).out.splitlines() if line.startswith("  balance")]
        left, right = line.removeprefix("  balance").removesuffix("kg CO2e").split("=")
        grams = [sum(round(float(term.split()[0]) * 1000) for term in side.split("+")) for side in (left, right)]
        assert grams[0] == grams[1]


def test_a_history_names_its_facts(front: Front) -> None:
    books(Path(HERE), *server())
    shown = said(front, "asset", "show", "dgx-1")
    ids = [event["id"] for event in shown["events"]]
    text = front("asset", "show", "dgx-1").out
    assert [event["event"] for event in shown["events"]] == ["make", "commission"]
    assert all(f"[{name}]" in text for name in ids)
    assert said(front, "ledger", "show", ids[0])["body"]["asset"] == "dgx-1"


def test_a_correction_is_shown_with_its_reason(front: Front) -> None:
    books(Path(HERE), *server(gpus=0))
    made = said(front, "asset", "show", "dgx-1")["events"][0]["id"]
    words = ("--set", "emitted_g=1400000", "--reason", "the supplier's own figure")
    assert front("ledger", "restate", made, *words).status == 0
    assert said(front, "asset", "show", "dgx-1")["balance_ug"]["made_ug"] == 1_400_000 * 10**6
    assert f"corrects {made}: the supplier's own figure" in front("asset", "show", "dgx-1").out


def test_an_event_that_cannot_have_been_is_left_out_and_said(front: Front) -> None:
    books(Path(HERE), *server(gpus=0), fact("dgx-1", "remove", at_s=JAN_S, inside=""))
    books(Path(HERE), fact("dgx-7", "repair", at_s=JAN_S, emitted_g=5))
    listed = front("asset", "list")
    assert listed.status == 0
    assert listed.out.splitlines()[-1].startswith("1 asset")
    assert "left out of all sums" in listed.err
    assert "dgx-7" in listed.err


@pytest.mark.parametrize(("form", "sign"), [("tree", "└─ dgx-1/gpu-1"), ("dot", "digraph"), ("mermaid", "flowchart")])
def test_a_lineage_has_three_forms(front: Front, form: str, sign: str) -> None:
    swapped = fact("dgx-1", "swap", at_s=JAN_S + YEAR_S // 2, out="dgx-1/gpu-0")
    books(Path(HERE), *server(), swapped)
    drawn = front("asset", "show", "dgx-1", f"--lineage={form}")
    assert drawn.status == 0
    assert sign in drawn.out
    assert "2025-07-02" in drawn.out


def test_a_lineage_of_no_form_is_one_line(front: Front) -> None:
    books(Path(HERE), *server())
    assert front("asset", "show", "dgx-1", "--lineage").out == front("asset", "show", "dgx-1", "--lineage=tree").out
    wrong = front("asset", "show", "dgx-1", "--lineage=dott")
    assert is_one_line(wrong.err)
    assert "did you mean 'dot'?" in wrong.err


def test_a_name_that_is_not_there_gets_the_nearest(front: Front) -> None:
    books(Path(HERE), *server())
    assert "did you mean 'dgx-1'?" in front("asset", "show", "dgx1").err


def test_a_table_is_imported_by_its_map(front: Front) -> None:
    Path("rooms.csv").write_text("Asset tag;Type;In service\nn-1;GPU node;01.02.2025\nn-2;GPU node;01.03.2025\np-1;Patch panel;-\n")
    Path("rooms.toml").write_text("""\
schema = "wattledger.mapping/1"
[columns]
"Asset tag" = "id"
"Type" = "kind"
"In service" = "commissioned"
[constants]
life_years = 5
[format]
date = "%d.%m.%Y"
host = "id"
[kinds]
"GPU node" = "server"
"Patch panel" = "skip"
[footprints]
"*" = { kg = 1313, method = "published", source = "own" }
""")
    dry = front("asset", "import", "rooms.csv", "--map", "rooms.toml", "--dry-run")
    assert dry.out.count("would be added") == 4, dry.err
    assert not Path(HERE).exists()
    assert len(said(front, "asset", "import", "rooms.csv", "--map", "rooms.toml")["added"]) == 4
    assert said(front, "asset", "import", "rooms.csv", "--map", "rooms.toml")["there_already"] == 4
    listed = said(front, "asset", "list")["assets"]
    assert [(one["asset"], one["host"]) for one in listed] == [("n-1", "n-1"), ("n-2", "n-2")]


def test_an_inventory_with_one_wrong_row_is_not_written(front: Front) -> None:
    Path("rooms.csv").write_text("id,kind,commissioned,kg\nn-1,server,2025-02-01,1000\nn-2,sevrer,2025-02-01,1000\n")
    wrong = front("asset", "import", "rooms.csv")
    assert wrong.status == 2
    assert "rooms.csv:3" in wrong.err
    assert not Path(HERE).exists()


def test_words_of_an_import_that_are_wrong_are_one_line(front: Front) -> None:
    Path("x.json").write_text("{}")
    Path("empty").mkdir()
    for words, hint in (
        (("x.json",), "--format"), (("x.json", "--format", "netbx"), "did you mean 'netbox'?"), (("empty",), "no .json file"),
        (("x.json", "--format", "netbox"), "no devices"), (("nothing.csv",), "nothing.csv"),
        (("nothing.csv", "--map", "no.toml"), "no.toml"),
    ):  # fmt: skip
        wrong = front("asset", "import", *words)
        assert wrong.status == 2, words
        assert is_one_line(wrong.err), wrong.err
        assert hint in wrong.err


def test_every_command_of_the_group_has_help_with_an_example(front: Front) -> None:
    for name in ("discover", "add", "import", "list", "show", "event", "compare"):
        told = front("asset", name, "--help")
        assert told.status == 0
        assert "wattledger asset" in told.out or "schema" in told.out


def test_the_list_is_json_on_one_line(front: Front) -> None:
    books(Path(HERE), *server(gpus=0))
    [line] = front("asset", "list", "--json").out.splitlines()
    assert json.loads(line)["schema"] == "wattledger.assets/1"
