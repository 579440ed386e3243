"""`wattledger asset discover`: a passport that can be added as it is, from this machine and from trees of others."""

import json
import os
import tomllib
from pathlib import Path

import pytest
from tests.cli.asset_place import rows, said
from tests.cli.front import Front, is_one_line, own_place
from tests.rig.rig import Gpu, Rig, load_constant
from tests.runtime import trees
from tests.runtime.programs import compiler, environ, wattledger
from tests.runtime.trees import Tree

HERE = ".local/state/wattledger/ledger"


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def stand_on(monkeypatch: pytest.MonkeyPatch, tree: Tree) -> None:
    monkeypatch.setenv("WATTLEDGER_PATHS_SYSFS", str(tree.sysfs))
    monkeypatch.setenv("WATTLEDGER_PATHS_PROCFS", str(tree.procfs))
    monkeypatch.setenv("NODE_NAME", "gpu-7")


def test_this_machine_is_discovered_and_can_be_added(front: Front) -> None:
    found = said(front, "asset", "discover", "--write", "here.toml")
    assert tomllib.loads(Path("here.toml").read_text()) == tomllib.loads(found["passport"])
    added = front("asset", "add", "here.toml", "--dry-run")
    assert added.status == 0, added.err
    assert rows(Path(HERE)) == []


def test_a_server_becomes_an_asset_with_its_parts(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_on(monkeypatch, trees.dgx(Path("tree").resolve()))
    front("asset", "discover", "--write", "gpu-7.toml")
    passport = tomllib.loads(Path("gpu-7.toml").read_text())
    assert (passport["asset"]["host"], passport["asset"]["vendor"], passport["asset"]["model"]) == ("gpu-7", "NVIDIA", "DGXH100")
    kinds = [part["kind"] for part in passport["component"] for _ in range(part.get("count", 1))]
    assert {kind: kinds.count(kind) for kind in ("cpu", "dram", "ssd")} == {"cpu": 2, "dram": 32, "ssd": 10}
    assert all(part["footprint"]["source"] and part["footprint"]["kg"] > 0 for part in passport["component"])
    assert len(said(front, "asset", "add", "gpu-7.toml")["added"]) == len(kinds) + 2
    assert len(said(front, "asset", "list", "--host", "gpu-7")["assets"]) == len(kinds) + 1


def test_gpus_stand_in_the_passport_by_the_ids_of_the_meters(tmp_path: Path) -> None:
    """In a process of its own: a driver's library, once loaded, stays."""
    tree = trees.laptop(tmp_path / "tree")
    rig = Rig(gpus=(Gpu(load_constant(100), part="699-2G520-0200-000", serial="1652823054321"), Gpu(load_constant(100))))
    paths = {"WATTLEDGER_PATHS_SYSFS": str(tree.sysfs), "WATTLEDGER_PATHS_PROCFS": str(tree.procfs)}
    compiler()
    done = wattledger(environ(tmp_path, **{**rig.write(tmp_path / "rig").env(), **paths}), "asset", "discover", "--json")
    found = json.loads(done.out)
    parts = tomllib.loads(found["passport"])["component"]
    assert [part["device"] for part in parts] == [gpu.uuid for gpu in rig.gpus]
    assert parts[0]["note"] == "board part number 699-2G520-0200-000"
    assert "1652823054321" not in json.dumps(found)


def test_no_serial_is_in_what_is_said(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_on(monkeypatch, trees.dgx(Path("tree").resolve()))
    said_all = front("asset", "discover").out + front("asset", "discover", "--json").out
    for serial in ("1660224000123", "S64HNE0T3", "S0000007", "P3"):
        assert serial not in said_all.replace("DPS-3300", "")


def test_a_virtual_machine_has_no_parts_and_says_so(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_on(monkeypatch, trees.virtual(Path("tree").resolve()))
    found = said(front, "asset", "discover")
    assert (found["class"], found["virtual"]) == ("vm", True)
    assert "component" not in tomllib.loads(found["passport"])
    assert "virtual machine" in found["passport"]


def test_a_virtual_machine_is_rented_and_no_capital_goods(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_on(monkeypatch, trees.virtual(Path("tree").resolve()))
    assert front("asset", "discover", "--write", "vm.toml").status == 0
    name = tomllib.loads(Path("vm.toml").read_text())["asset"]["id"]
    assert front("asset", "add", "vm.toml").status == 0
    assert said(front, "asset", "show", name)["details"]["condition"] == "rented"
    inventory = said(front, "report", "embodied", "--view", "inventory")
    assert inventory["years"] == []
    assert "category 1" in inventory["note"]
    stand_on(monkeypatch, trees.dgx(Path("own").resolve()))
    assert "rented" not in front("asset", "discover").out


def test_a_container_that_sees_nothing_is_no_error(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_on(monkeypatch, trees.container(Path("tree").resolve()))
    assert front("asset", "discover", "--write", "c.toml").status == 0
    assert front("asset", "add", "c.toml").status == 0
    stand_on(monkeypatch, Tree(Path("nothing"), Path("nothing")))
    assert front("asset", "discover").status == 0


def test_a_file_that_is_there_is_not_written_over(front: Front) -> None:
    Path("mine.toml").write_text("what I put in")
    refused = front("asset", "discover", "--write", "mine.toml")
    assert refused.status == 2
    assert is_one_line(refused.err)
    assert Path("mine.toml").read_text() == "what I put in"
    assert front("asset", "discover", "--write", "mine.txt").status == 2
    assert front("asset", "discover", "--write", str(Path("no", "folder.toml"))).status == 2
    assert os.listdir() == ["mine.toml"]
