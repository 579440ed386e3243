"""What a running agent shows: no power of a device that fell silent, and every counter at 0 before it grows."""

from tests.core.made import CPU, GPU, at, counter

from wattledger.core.model import Batch, Device, Instant, Work, Workload
from wattledger.core.pipeline import Pipeline
from wattledger.core.totals import Snapshot, State, Totals, led_in

SECOND_NS = 1_000_000_000
JOB = Workload("job")


def ticked(pipeline: Pipeline, second: int, *devices: Device, every_s: int = 1) -> None:
    now = Instant(second * every_s * SECOND_NS, 0)
    samples = [counter(device, second, 10.0 * second)._replace(at=now) for device in devices]
    pipeline.step(Batch(now, True, tuple(samples)))


def test_a_device_that_fell_silent_has_no_power_and_has_one_again_when_it_is_read() -> None:
    pipeline = Pipeline()
    for second in range(3):
        ticked(pipeline, second, CPU, GPU)
    assert set(pipeline.totals.power_uw) == {CPU.id, GPU.id}
    for second in range(3, 8):
        ticked(pipeline, second, CPU)
        assert set(pipeline.totals.power_uw) == {CPU.id, GPU.id}, "a hiccup is not silence"
    ticked(pipeline, 8, CPU)
    assert set(pipeline.totals.power_uw) == {CPU.id}
    ticked(pipeline, 9, CPU, GPU)
    assert set(pipeline.totals.power_uw) == {CPU.id, GPU.id}


def test_a_device_that_is_read_each_minute_is_not_silent_in_between() -> None:
    pipeline = Pipeline()
    for minute in range(4):
        ticked(pipeline, minute, CPU, every_s=60)
        assert set(pipeline.totals.power_uw) == ({CPU.id} if minute else set())


def shown(totals: Totals) -> Snapshot:
    return totals.snapshot(State())


def test_every_new_counter_is_led_in_and_not_only_energy() -> None:
    totals = Totals()
    totals.devices = {GPU.id: GPU, CPU.id: CPU}
    totals.add((JOB, GPU.id, "counter", "active"), 5)
    totals.device_energy_uj[GPU.id, "counter"] = 5
    before = shown(totals)
    totals.device_energy_uj[CPU.id, "counter"] = 0
    totals.subdevice_energy_uj["core", "counter"] = 3
    totals.emissions_g[JOB] = 0.5
    totals.add_work(Work(JOB, at(0), 10, 2, 3, 1))
    totals.retire([JOB])
    now = shown(totals)
    led = led_in(before, now)
    assert led.energy_uj == {(JOB, GPU.id, "counter", "active"): 5}
    assert led.device_energy_uj == {(GPU.id, "counter"): 5, (CPU.id, "counter"): 0}
    assert led.subdevice_energy_uj == {("core", "counter"): 0}
    assert led.retired_uj == {GPU.id: 0}
    assert [sums[2:6] for sums in led.work.values()] == [(0, 0, 0, 0)]
    assert set(led.emissions_g.values()) == {0.0}
    assert led_in(led, now) is now
