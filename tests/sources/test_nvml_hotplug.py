"""GPUs that come, go and come back, under an agent that outlives them all (the option ``steady``)."""

from pathlib import Path
from typing import Any

import pytest
from tests.rig.rig import Fault, Gpu, Process, Rig, load_constant
from tests.sources.nvml_rig import machine, of, python

STEADY = load_constant(200)

# Each full read is long after the last by the source's clock, and at once by the machine's.
STEPS = """
class Later:
    asleep_ns = 0
    def __call__(self):
        at = now()
        return Instant(at.mono_ns + self.asleep_ns, at.wall_ns + self.asleep_ns)

later, told, failed = Later(), [], []
def step(source):
    later.asleep_ns += 31 * 10**9
    try:
        told.append(said(source.read(later, True)))
    except SourceFailed as failure:
        failed.append(str(failure))
        told.append([])
    time.sleep(0.02)
def ids(source):
    return [d.id for d in source.devices()]
"""


def lost_and_found(rig: Rig, faulty: int) -> dict[str, Any]:
    """Reads until a GPU that was lost is back, and twice more."""
    code = """
source = begun_as(host(roots=(), steady=True))
at_first = ids(source)
while {faulty!r} in ids(source):
    step(source)
while {faulty!r} not in ids(source):
    step(source)
step(source), step(source)
out({{"told": told, "failed": failed, "at_first": at_first, "ids": ids(source), "notes": source.notes, "up_ns": now().mono_ns}})
"""
    found: dict[str, Any] = python(STEPS + code.format(faulty=rig.gpus[faulty].uuid), rig)
    return found


def test_a_gpu_that_is_plugged_in_is_found_and_its_first_reading_is_only_a_beginning(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    listing = proc / "driver/nvidia/gpus"
    (listing / "0000:10:00.0").mkdir(parents=True)
    code = f"""
source = begun_as(host(roots=(), steady=True, procfs={str(proc)!r}))
before = [ids(source), source.period_ns]
time.sleep(0.6)
for _ in range(3):
    step(source)
unchanged = ids(source)
os.mkdir({str(listing / "0000:11:00.0")!r})
for _ in range(2):
    step(source)
out([before, unchanged, ids(source), source.period_ns, told])
"""
    fresh = Gpu(STEADY, name="Tesla P100", arch=4, counter=False, plugged_s=0.5, processes=(Process(pid=41, sm_pct=50),))
    rig = machine(tmp_path, Gpu(STEADY), fresh)
    before, unchanged, after, period_ns, told = python(STEPS + code, rig)
    old, new = (gpu.uuid for gpu in rig.gpus)
    # A running NVML does not see it: the kernel module's list is what gives it away.
    assert (before, unchanged) == ([[old], None], [old])
    assert (after, period_ns) == ([old, new], 20_000_000)
    assert [len(of(tick, "EnergyCounter", old)) for tick in told] == [1] * 5
    first, second = (tick for tick in told if of(tick, "PowerGauge", new))
    assert [s["used"] for s in of(first, "Activity", new)] == [0]
    assert [s["part"] for s in of(first, "Holding", new)] == [1.0]
    assert not of(first + second, "Fault")


def test_a_lost_gpu_that_comes_back_is_read_again_and_is_one_fault(tmp_path: Path) -> None:
    faulty = Gpu(STEADY, faults=(Fault("lost", at_s=0.5, for_s=0.4),), processes=(Process(pid=41),))
    rig = machine(tmp_path, Gpu(STEADY), faulty)
    found = lost_and_found(rig, 1)
    well, lost = (gpu.uuid for gpu in rig.gpus)
    flat = [s for tick in found["told"] for s in tick]
    assert [(s["device_id"], s["gone"]) for s in of(flat, "Fault")] == [(lost, True)]
    assert all(len(of(tick, "EnergyCounter", well)) == 1 for tick in found["told"])
    assert len(of(found["told"][-1], "EnergyCounter", lost)) == 1
    assert [s["part"] for s in of(flat, "Holding", lost)] == [1.0, 0.0, 1.0]
    assert found["failed"] == []
    assert not [note for note in found["notes"] if "cannot be read" in note]


def test_while_every_gpu_is_lost_an_agent_goes_on_asking(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(STEADY, faults=(Fault("lost", at_s=0.5, for_s=0.4),)))
    found = lost_and_found(rig, 0)
    flat = [s for tick in found["told"] for s in tick]
    assert [s["gone"] for s in of(flat, "Fault")] == [True]
    assert {line.split(";")[0] for line in found["failed"]} == {"nvml: every GPU is lost"}
    assert found["ids"] == found["at_first"]
    assert len(of(found["told"][-1], "EnergyCounter")) == 1


def test_no_energy_is_invented_for_a_gpu_that_was_reset(tmp_path: Path) -> None:
    # Its register begins anew when it comes back; it stood at 1 MJ.
    faults = (Fault("lost", at_s=0.5, for_s=0.4), Fault("reset", at_s=0.7, value=0))
    rig = machine(tmp_path, Gpu(STEADY, start_mj=10**9, faults=faults, refresh_ms=1))
    code = """
from wattledger.core.meter import Measured, Meter
from wattledger.core.model import EnergyCounter
source, meter, energy_uj = begun_as(host(roots=(), steady=True)), Meter(), 0
began_ns = now().mono_ns
while now().mono_ns - began_ns < 1.7e9:
    later.asleep_ns += 31 * 10**9
    try:
        samples = source.read(later, True)
    except SourceFailed:
        samples = []
    for sample in samples:
        if isinstance(sample, EnergyCounter):
            taken = meter.take(sample)
            energy_uj += taken.interval.energy_uj if isinstance(taken, Measured) else 0
    time.sleep(0.02)
out([energy_uj, now().mono_ns - began_ns])
"""
    energy_uj, took_ns = python(STEPS + code, rig)
    assert 0 < energy_uj <= took_ns * 200_000_000 // 10**9 - 200_000_000 * 0.15


def test_a_gpu_that_is_dead_at_the_start_is_waited_for(tmp_path: Path) -> None:
    code = """
source = begun_as(host(roots=(), steady=True))
before = [ids(source), source.notes]
while len(ids(source)) < 2:
    step(source)
out([before, ids(source), source.notes])
"""
    dead = Gpu(STEADY, faults=(Fault("lost", for_s=0.8),))
    rig = machine(tmp_path, Gpu(STEADY), dead)
    before, after, notes = python(STEPS + code, rig)
    assert before == [[rig.gpus[0].uuid], ["GPU 1 cannot be read: GPU is lost"]]
    assert (after, notes) == ([gpu.uuid for gpu in rig.gpus], [])


@pytest.mark.parametrize("steady", [True, False])
def test_only_an_agent_looks_for_gpus_that_came_back(tmp_path: Path, steady: bool) -> None:
    code = f"""
source = begun_as(host(steady={steady}))
while len(ids(source)) == 2:
    step(source)
time.sleep(0.4)
for _ in range(3):
    step(source)
out(len(ids(source)))
"""
    faulty = Gpu(STEADY, faults=(Fault("lost", at_s=0.5, for_s=0.2),))
    assert python(STEPS + code, machine(tmp_path, Gpu(STEADY), faulty)) == (2 if steady else 1)


def test_a_driver_that_is_away_is_asked_at_every_full_read_and_an_agent_survives_it(tmp_path: Path) -> None:
    code = """
source = begun_as(host(roots=(), steady=True))
while not failed:
    step(source)
while failed and not told[-1]:
    step(source)
out([told[-1], failed])
"""
    rig = machine(tmp_path, Gpu(STEADY, faults=(Fault("error", at_s=0.5, for_s=0.4, value=1),)))
    last, failed = python(STEPS + code, rig)
    assert len(of(last, "EnergyCounter")) == 1
    assert all(line.startswith("nvml: the driver went away") for line in failed)


def test_an_agent_hears_temperature_and_limit_each_ten_seconds_and_a_program_never(tmp_path: Path) -> None:
    code = """
def heard(steady):
    source = begun_as(host(roots=(), steady=steady))
    for _ in range(2):
        step(source)
    told.append(said(source.read(later, True)))  # right after: not yet again
    return [[(s["temperature_mc"], s["limit_uw"]) for s in one if s["type"] == "Condition"] for one in told[-3:]]
out([heard(True), heard(False)])
"""
    agents, programs = python(STEPS + code, machine(tmp_path, Gpu(STEADY)))
    assert programs == [[], [], []]
    first, second, third = agents
    assert (len(first), len(second), third) == (1, 1, [])
    temperature_mc, limit_uw = first[0]
    assert 20_000 <= temperature_mc <= 100_000
    assert temperature_mc % 1_000 == 0
    assert limit_uw == 700_000_000
