"""No joule is lost, made or counted twice, whatever the machine did."""

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.histories import CORE, COUNTED, CPU, DEVICES, Event, World, drive, dump, events, worlds

from wattledger.core.attribution import PPM, Cell, share_out, split
from wattledger.core.meter import Lost, Measured, Meter
from wattledger.core.model import IDLE, UNATTRIBUTED, Batch, EnergyCounter, Interval, PowerGauge, Resume, Workload
from wattledger.core.pipeline import Pipeline
from wattledger.core.totals import DeviceKey, Health, State

AMOUNT = st.integers(0, 10**18)
WORKLOADS = st.sampled_from([Workload(name) for name in "abcd"] + [IDLE, UNATTRIBUTED])


@given(AMOUNT, st.lists(AMOUNT, min_size=1, max_size=20))
def test_shares_sum_to_the_interval(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    assert len(parts) == len(weights)
    assert min(parts) >= 0


@given(AMOUNT, st.lists(AMOUNT, min_size=1, max_size=20).filter(any))
def test_no_share_is_a_microjoule_from_its_due(total: int, weights: list[int]) -> None:
    whole = sum(weights)
    for part, weight in zip(split(total, weights), weights, strict=True):
        assert abs(part * whole - total * weight) < whole


@given(AMOUNT, st.lists(AMOUNT, min_size=1, max_size=20))
def test_a_larger_weight_never_gets_the_smaller_share(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    if any(weights):
        by_weight = sorted(zip(weights, parts, strict=True))
        assert all(a[1] <= b[1] for a, b in pairwise(by_weight) if a[0] < b[0])


@given(
    AMOUNT,
    st.integers(0, 10**13),
    st.dictionaries(WORKLOADS, AMOUNT, max_size=5),
    st.dictionaries(WORKLOADS, st.integers(0, 3 * PPM), max_size=5),
    st.none() | st.integers(0, 10**9),
)
def test_active_and_held_sum_to_the_cell(
    energy_uj: int, duration_ns: int, weights: dict[Workload, int], parts: dict[Workload, int], floor_uw: int | None
) -> None:
    found = share_out(Cell(energy_uj, duration_ns, weights, parts, floor_uw))
    assert sum(found.active.values()) + sum(found.held.values()) == energy_uj
    assert sum(found.held.values()) == found.idle_uj
    assert all(uj >= 0 for part in (found.active, found.held) for uj in part.values())
    assert set(found.active) <= {*weights, UNATTRIBUTED}
    assert set(found.held) <= {*parts, IDLE}


def by_device(sums: Mapping[DeviceKey, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (device_id, _), uj in sums.items():
        found[device_id] = found.get(device_id, 0) + uj
    return found


def handed_out(pipeline: Pipeline) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, device_id, _, _), uj in pipeline.totals.energy_uj.items():
        found[device_id] = found.get(device_id, 0) + uj
    return found


@given(worlds)
def test_workloads_sum_to_the_device_at_every_full_step(world: World) -> None:
    cells = 0

    def check(pipeline: Pipeline, batch: Batch) -> None:
        nonlocal cells
        if batch.full:
            cells += 1
            assert set(pipeline.totals.residual_uj().values()) <= {0}
            measured = by_device(pipeline.totals.device_energy_uj)
            assert {d: uj for d, uj in measured.items() if uj} == {d: uj for d, uj in handed_out(pipeline).items() if uj}

    drive(world.batches, check)
    assert cells >= 2


@given(worlds)
def test_a_device_total_is_what_the_meter_measured(world: World) -> None:
    """Recomputed by a meter of our own over the same readings, device by device and method by method."""
    meter, expected = Meter(), dict[DeviceKey, int]()
    for batch in world.batches:
        counted = {s.device.id for s in batch.samples if isinstance(s, EnergyCounter)}
        for sample in batch.samples:
            if isinstance(sample, Resume):
                meter.resume()
            if isinstance(sample, EnergyCounter) or (isinstance(sample, PowerGauge) and sample.device.id not in counted):
                match meter.take(sample):
                    case Measured(interval=interval) | Lost(resumed=Interval() as interval):
                        key = interval.device.id, interval.method
                        expected[key] = expected.get(key, 0) + interval.energy_uj
    totals = drive(world.batches).pipeline.totals
    rest = {key: uj for key, uj in totals.device_energy_uj.items() if key[0] == "rest"}
    assert {**totals.device_energy_uj, **totals.subdevice_energy_uj} == {**expected, **rest}


@given(worlds)
def test_a_host_total_counts_each_joule_once(world: World) -> None:
    totals = drive(world.batches).pipeline.totals
    inside = {d.id for d in DEVICES if d.inside is not None}
    assert inside
    assert not inside & {device_id for device_id, _ in totals.device_energy_uj}
    assert not inside & {device_id for _, device_id, _, _ in totals.energy_uj}
    assert {device_id for device_id, _ in totals.subdevice_energy_uj} <= inside


@given(worlds)
def test_the_rest_of_the_host_is_shared_out_like_any_device(world: World) -> None:
    totals = drive(world.batches).pipeline.totals
    shared = sum(uj for (_, device_id, _, _), uj in totals.energy_uj.items() if device_id == "rest")
    assert shared == totals.device_energy_uj.get(("rest", "estimated"), 0)


@given(worlds)
def test_every_total_only_grows(world: World) -> None:
    before = drive([]).pipeline.totals.snapshot(State())

    def check(pipeline: Pipeline, _: Batch) -> None:
        nonlocal before
        now = pipeline.totals.snapshot(State())
        for name in ("energy_uj", "device_energy_uj", "subdevice_energy_uj", "emissions_g"):
            old, new = getattr(before, name), getattr(now, name)
            assert all(new[key] >= value >= 0 for key, value in old.items())
        for workload, work in before.work.items():
            assert all(b >= a for a, b in zip(work[2:6], now.work[workload][2:6], strict=True))
        before = now

    drive(world.batches, check)


@given(worlds)
def test_two_snapshots_without_a_step_are_identical(world: World) -> None:
    pipeline = drive(world.batches).pipeline
    before = dump(pipeline)
    grid, health = pipeline.factors.get("grid"), {"rapl": Health(True, 0.001, 0)}
    assert pipeline.totals.snapshot(State(grid, health)) == pipeline.totals.snapshot(State(grid, health))
    assert dump(pipeline) == before


@given(worlds)
def test_a_snapshot_does_not_follow_what_comes_after(world: World) -> None:
    pipeline = drive(world.batches).pipeline
    snapshot = pipeline.totals.snapshot(State())
    before = dump(snapshot)
    for batch in World().play([("pass", 1_000), ("every_device",), ("tick",)]).batches:
        pipeline.step(batch._replace(at=batch.at._replace(mono_ns=batch.at.mono_ns + 10**15)))
    assert dump(snapshot) == before


@settings(max_examples=30)
@given(worlds)
def test_peeking_changes_nothing(world: World) -> None:
    def peek(pipeline: Pipeline, batch: Batch) -> None:
        before = dump(pipeline)
        copy = pipeline.peek(batch.at._replace(mono_ns=batch.at.mono_ns + 30_000_000))
        assert dump(pipeline) == before
        assert set(copy.totals.residual_uj().values()) <= {0}
        for key, uj in pipeline.totals.energy_uj.items():
            assert copy.totals.energy_uj[key] >= uj

    alone, watched = drive(world.batches), drive(world.batches, peek)
    assert dump(alone) == dump(watched)


@given(worlds)
def test_the_same_batches_give_the_same_everything(world: World) -> None:
    assert dump(drive(world.batches)) == dump(drive(world.batches))


@given(events)
def test_a_machine_that_draws_nothing_makes_no_energy(found: list[Event]) -> None:
    """No reading, wrap, reset, spike or hole makes energy where there is none."""
    silent = [("power", device, 0) for device in range(len(DEVICES))]
    world = World()
    world.power_uw = dict.fromkeys(world.power_uw, 0)
    world.uj = {d.id: 0 for d in COUNTED}
    # A jump of a register that wraps within seconds may look like work: no meter could tell.
    wraps = [("read", DEVICES.index(device), "spike") for device in (CPU, CORE)]
    world.play([*silent, *(e for e in found if e[0] not in ("power", "floor", "factor") and e not in wraps)])
    totals = drive(world.batches).pipeline.totals
    assert set(totals.device_energy_uj.values()) | set(totals.subdevice_energy_uj.values()) <= {0}
    assert totals.energy_uj == {}
