"""A machine's life as its owner writes it down: a server with eight H100, two jobs, a card that moves and is repaired, the first
host retired; and every report's kilograms are the passports'."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.node.agents import agent, total
from tests.node.checks import machine, until
from tests.rig.rig import Gpu, Rig, load_constant, sockets
from tests.runtime.programs import Done, environ, run, wattledger

from wattledger.accounting.assets.life import UG_PER_G

pytestmark = pytest.mark.slow
CARDS = [f"GPU-0000000{n}-0000-4000-8000-00000000000{n}" for n in range(8)]
MOVED = "dgx-1/h100-3"
MADE = "wattledger_embodied_emissions_grams_total"
PROGRAM = """
import sys, time
from wattledger import track
with track(job=sys.argv[1]):
    began = time.process_time()
    while time.process_time() - began < 1.5:
        pass
"""
MADE_KG = {"dgx-1": 2500, **{f"dgx-1/h100-{n}": 164 for n in range(8)}}
PASSPORT = """
schema = "wattledger.passport/1"
[asset]
id = "dgx-1"
kind = "server"
vendor = "NVIDIA"
model = "DGX H100"
made = 2025-03-01
purchased = 2025-05-02
owner = "research"
host = "gpu-1"
commissioned = 2025-06-01
life_years = 5
[asset.footprint]
kg = 2500
low_kg = 1250
high_kg = 5000
boundary = "cradle-to-gate"
source = "the supplier"
""" + "".join(
    f"""
[[component]]
id = "h100-{n}"
kind = "gpu"
vendor = "NVIDIA"
model = "NVIDIA H100 80GB HBM3"
device = "{card}"
life_years = 4
"""
    for n, card in enumerate(CARDS)
)


class Place:
    """Two hosts on one disk: their books are one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.books = folder / "books"

    def rig(self, host: str, cards: list[str]) -> Rig:
        gpus = tuple(Gpu(load_constant(200), uuid=card) for card in cards)
        return machine(self.folder / host, *gpus, zones=sockets(1, package=load_constant(60), dram=load_constant(8)))

    def env(self, host: str, rig: Rig | None = None) -> dict[str, str]:
        more = {} if rig is None else rig.env()
        named = {"NODE_NAME": host, "WATTLEDGER_LEDGER_PATH": str(self.books), "WATTLEDGER_GRID_ZONE": "DE"}
        return environ(self.folder, **{"WATTLEDGER_FACILITY_REST": "off", **named, **more})

    def run(self, *words: str, status: int = 0) -> Done:
        done = wattledger(self.env("desk"), *words)
        assert done.status == status, (words, done.out, done.err)
        return done

    def told(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").out)

    def work(self, host: str, rig: Rig, *jobs: str) -> None:
        """An agent meters the jobs on a host, each a second of CPU time; it ends when their energy is in its series."""
        config = f'[ledger]\npath = "{self.books}"\ncommit_interval_s = 1\n[grid]\nzone = "DE"\n[facility]\nrest = "off"\n'
        with agent(self.folder / f"agent-{host}", rig=rig, config=config, env={"NODE_NAME": host}) as running:
            env = self.env(host) | {"WATTLEDGER_AGENT_SOCKET": str(running.socket)}
            for job in jobs:
                assert run([sys.executable, "-c", PROGRAM, job], env).status == 0
                assert until(lambda job=job: total(running.scrape(), MADE, job_name=job))  # type: ignore[misc]
            assert running.stop() == 0


def adds_up(said: Any) -> dict[str, Any]:
    """The trial balance: each asset's micrograms, and all that jobs were booked, are the passports'."""
    rows = {row["asset"]: row for row in said["assets"]}
    for row in rows.values():
        came = row["opening_ug"] + row["made_ug"] + row["added_ug"] + row["transferred_in_ug"]
        used = sum(row[f"{name}_ug"] for name in ("jobs", "idle", "unattributed", "unmetered", "true_up"))
        assert came == used + row["written_off_ug"] + row["transferred_out_ug"] + row["closing_ug"]
        assert row["residual_ug"] == 0
    return rows


def test_every_kilogram_of_a_machine_is_somewhere(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first = place.rig("gpu-1", CARDS)
    found = wattledger(place.env("gpu-1", first), "asset", "discover")
    assert found.status == 0
    assert found.out.count('kind = "gpu"') == 8

    passport = tmp_path / "dgx-1.toml"
    passport.write_text(PASSPORT)
    place.run("asset", "add", str(passport))
    assert json.loads(place.run("asset", "add", str(passport), "--json").out)["added"] == []  # it is there already
    place.work("gpu-1", first, "train", "eval")

    before = adds_up(place.told("report", "embodied"))
    assert {name: row["made_ug"] for name, row in before.items()} == {n: kg * 1000 * UG_PER_G for n, kg in MADE_KG.items()}
    assert all(before["dgx-1"][f"{name}_ug"] > 0 for name in ("jobs", "idle", "unmetered"))

    refused = place.run("asset", "event", MOVED, "repair", "--kg", "-1", status=2)
    assert refused.err.count("\n") == 1
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    place.run("asset", "event", MOVED, "move", "--host", "gpu-2", "--at", now)
    place.run("asset", "event", MOVED, "repair", "--kg", "12", "--at", now)
    place.work("gpu-2", place.rig("gpu-2", [CARDS[3]]), "second")
    place.run("asset", "event", "dgx-1", "scrap", "--kg", "30", "--detail", "route=recycle")

    after = adds_up(place.told("report", "embodied"))
    assert sum(row["made_ug"] + row["added_ug"] for row in after.values()) == (sum(MADE_KG.values()) + 12 + 30) * 1000 * UG_PER_G
    assert after["dgx-1"]["closing_ug"] == 0
    assert after["dgx-1"]["written_off_ug"] > 0
    assert (after[MOVED]["written_off_ug"], after[MOVED]["host"]) == (0, "gpu-2")
    assert after[MOVED]["idle_ug"] > 0

    for method in ("reserved", "time", "physical"):
        adds_up(place.told("report", "embodied", "--method", method))
    job = next(row for row in place.told("report", "job")["rows"] if row["job"] == "train")
    assert job["emissions_g"]["embodied"]["low"] < job["emissions_g"]["embodied"]["value"] < job["emissions_g"]["embodied"]["high"]
    assert place.told("explain", "job:train", "--basis", "embodied")["equal"] is True
    told = place.told("explain", f"asset:{MOVED}")
    assert told["equal"] is True
    assert [event["event"] for event in told["events"]] == ["make", "acquire", "commission", "move", "repair"]
    assert "h100-3" in place.run("asset", "show", MOVED, "--lineage").out
    inventory = json.loads(place.run("report", "embodied", "--view", "inventory", "--json").out)
    assert inventory["view"] == "inventory"

    words = ("--replace", "NVIDIA B200,efficiency=2", "--joules-per-unit", "0.5", "--unit", "token", "--work-per-day", "1e8")
    answer = place.told("asset", "compare", MOVED, *words)["versus"][0]
    assert answer["break_even"]["low"]["date"] < answer["break_even"]["date"] < answer["break_even"]["high"]["date"]
    assert answer["difference_kg"]["high"] < 0
    assert place.run("ledger", "verify").status == 0
