"""What an agent shows of carbon that made the machine, and of water, is what its books come to: job by job, and in all."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.node.agents import Agent, Row, agent, total
from tests.node.checks import machine, until
from tests.rig.rig import Gpu, Rig, load_constant, sockets
from tests.runtime.programs import environ, wattledger

pytestmark = pytest.mark.slow
MADE, WATER = "wattledger_embodied_emissions_grams_total", "wattledger_water_litres_total"
GPU_W, HOURS_PER_YEAR = 200, 8760
PROGRAM = """
import sys, time
from wattledger import track
with track(job=sys.argv[1]):
    began = time.monotonic()
    while time.monotonic() - began < float(sys.argv[2]):
        pass
"""
PASSPORT = """
schema = "wattledger.passport/1"
[asset]
id = "box"
kind = "server"
host = "gpu-1"
commissioned = 2026-06-01
life_years = 5
[asset.footprint]
kg = 2500
source = "the supplier"
[[component]]
id = "card"
kind = "gpu"
device = "GPU-1"
life_years = 4
footprint = { kg = 164 }
[[component]]
id = "cpu"
kind = "cpu"
life_years = 5
footprint = { kg = 30 }
[[component]]
id = "ram"
kind = "dram"
life_years = 5
footprint = { kg = 50 }
"""
RATES = {"box": 2500 / 5, "card": 164 / 4, "cpu": 30 / 5, "ram": 50 / 5}  # kilograms a year


class Place:
    """A host with one card, its books, and how the programs on it find them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        zones = sockets(1, package=load_constant(60), dram=load_constant(8))
        self.rig: Rig = machine(folder / "machine", Gpu(load_constant(GPU_W), uuid="GPU-1"), zones=zones)
        said = {"NODE_NAME": "gpu-1", "WATTLEDGER_LEDGER_PATH": str(folder / "books"), "WATTLEDGER_FACILITY_WUE": "0.5"}
        self.env = environ(folder, **{"WATTLEDGER_GRID_ZONE": "DE", "WATTLEDGER_FACILITY_REST": "off", **said})

    def config(self, **facility: float) -> str:
        more = "".join(f"{name} = {value}\n" for name, value in {"wue": 0.5, **facility}.items())
        books = f'[ledger]\npath = "{self.folder / "books"}"\ncommit_interval_s = 1\n'
        return f'{books}[grid]\nzone = "DE"\n[embodied]\nhost_kg = 1000\n[facility]\nrest = "off"\n{more}'

    def told(self, *words: str) -> Any:
        done = wattledger(self.env, *words, "--json")
        assert done.status == 0, done.err
        return json.loads(done.out)


def jobs_of(rows: list[Row], name: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for found, labels, value in rows:
        if found == name:
            sums[labels["job_name"]] = sums.get(labels["job_name"], 0.0) + float(value)
    return sums


def cells_later(running: Agent) -> bool:
    """Until cells that began after now are closed: the card has drawn what it draws in two and a half seconds."""
    name, began = "wattledger_device_energy_joules_total", running.scrape()
    enough = total(began, name, device="GPU-1") + round(2.5 * GPU_W)
    return until(lambda: total(running.scrape(), name, device="GPU-1") > enough)


def test_what_is_shown_is_what_the_books_come_to(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "box.toml").write_text(PASSPORT)
    assert wattledger(place.env, "asset", "add", str(tmp_path / "box.toml")).status == 0
    with agent(tmp_path / "agent", rig=place.rig, config=place.config(), env={"NODE_NAME": "gpu-1"}) as running:
        env = place.env | {"WATTLEDGER_AGENT_SOCKET": str(running.socket)}
        both = [subprocess.Popen([sys.executable, "-c", PROGRAM, *words], env=env) for words in (("one", "9"), ("two", "6"))]
        assert [program.wait() for program in both] == [0, 0]
        assert cells_later(running)
        rows = running.scrape()
        assert running.stop() == 0

    live, water = jobs_of(rows, MADE), jobs_of(rows, WATER)
    metered_h = float(total(rows, "wattledger_device_energy_joules_total", device="GPU-1")) / GPU_W / 3600
    assert sum(live.values()) == pytest.approx(sum(RATES.values()) * 1000 / HOURS_PER_YEAR * metered_h, rel=0.02)
    assert live["(idle)"] > 0
    report = {row["job"]: row for row in place.told("report", "job")["rows"]}
    shown = {row["job"]: row["embodied_g"]["value"] for row in place.told("report", "embodied")["jobs"]}
    for job in ("one", "two"):
        assert live[job] == pytest.approx(report[job]["emissions_g"]["embodied"]["value"], rel=0.01, abs=2e-6)
        assert shown[job] == report[job]["emissions_g"]["embodied"]["value"]
        assert water[job] == pytest.approx(sum(part["value"] for part in report[job]["water_l"].values()), rel=1e-6)
    # What came after the scrape, a tick and the agent's end, is in the books alone.
    books = sum(value for job, value in shown.items() if not job.startswith("(un"))
    assert sum(live.values()) <= books * 1.001


def test_a_passport_written_meanwhile_is_in_force_after_a_hang_up(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with agent(tmp_path / "agent", rig=place.rig, config=place.config(), env={"NODE_NAME": "gpu-1"}) as running:
        def per_h() -> float:
            before = running.scrape()
            assert cells_later(running)
            after = running.scrape()
            grown = sum(jobs_of(after, MADE).values()) - sum(jobs_of(before, MADE).values())
            energy = [float(total(rows, "wattledger_device_energy_joules_total", device="GPU-1")) for rows in (before, after)]
            return grown / ((energy[1] - energy[0]) / GPU_W / 3600)

        guessed = 1_000_000 / (5 * HOURS_PER_YEAR) + 164_000 / (4 * HOURS_PER_YEAR)
        assert until(lambda: sum(jobs_of(running.scrape(), MADE).values()))
        assert per_h() == pytest.approx(guessed, rel=0.01)
        (tmp_path / "box.toml").write_text(PASSPORT)
        assert wattledger(place.env, "asset", "add", str(tmp_path / "box.toml")).status == 0
        running.hang_up()
        assert until(lambda: "reload: " in running.log)
        assert cells_later(running)
        assert per_h() == pytest.approx(sum(RATES.values()) * 1000 / HOURS_PER_YEAR, rel=0.01)


def test_switched_off_at_a_reload_nothing_more_is_counted(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with agent(tmp_path / "agent", rig=place.rig, config=place.config(), env={"NODE_NAME": "gpu-1"}) as running:
        assert until(lambda: sum(jobs_of(running.scrape(), MADE).values()))
        (tmp_path / "agent/agent.toml").write_text(place.config().replace("host_kg = 1000", "enabled = false"))
        running.hang_up()
        assert until(lambda: "reload: " in running.log)
        assert cells_later(running)
        first = sum(jobs_of(running.scrape(), MADE).values())
        assert cells_later(running)
        assert sum(jobs_of(running.scrape(), MADE).values()) == first
