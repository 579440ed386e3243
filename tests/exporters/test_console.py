"""The console tables: readable, and honest about what is modelled and what is counted elsewhere."""

from tests.golden.scenario import snapshot

from wattledger.core.model import Device, Workload
from wattledger.core.totals import State, Totals
from wattledger_exporters.console import ConsoleTables


def test_every_device_job_and_source_is_named() -> None:
    found = snapshot()
    text = ConsoleTables(width=120).render(found).decode()
    wanted = {*found.devices, *found.health, *(w.job for w in [key[0] for key in found.energy_uj])}
    assert not {name for name in wanted if name not in text}
    assert "estimated" in text
    assert "inside rapl:package-0" in text


def test_a_narrow_terminal_gets_no_wider_lines() -> None:
    lines = ConsoleTables(width=80).render(snapshot()).decode().splitlines()
    assert max(len(line) for line in lines) <= 80


def test_a_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "[bold]card[/bold]")
    found.device_energy_uj["gpu", "counter"] = 1
    found.add((Workload("[red]job"), "gpu", "counter", "active"), 1)
    text = ConsoleTables(width=120).render(found.snapshot(State())).decode()
    assert "[red]job" in text
    assert "[bold]card[/bold]" in text


def test_what_ended_jobs_used_is_shown_in_one_line() -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    found.device_energy_uj["gpu", "counter"] = 7_000_000
    found.add((Workload("old"), "gpu", "counter", "active"), 3_000_000)
    found.add((Workload("older"), "gpu", "counter", "held"), 4_000_000)
    found.retire({Workload("old"), Workload("older")})
    lines = ConsoleTables(width=120).render(found.snapshot(State())).decode().splitlines()
    assert [line.split() for line in lines if "(retired)" in line] == [["(retired)", "7", "J"]]


def test_an_empty_snapshot_says_nothing() -> None:
    assert ConsoleTables(width=80).render(Totals().snapshot(State())).strip() == b""


def test_two_renders_without_a_tick_are_identical() -> None:
    found = snapshot()
    assert ConsoleTables(width=80).render(found) == ConsoleTables(width=80).render(found)
