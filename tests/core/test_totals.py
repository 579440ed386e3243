"""Totals only grow, a snapshot is a copy, and the residual compares two sums that never meet."""

from tests.core.made import CPU, GPU, RIVAL, TREE, at, factor

from wattledger.core.model import Work
from wattledger.core.totals import Health, State, Totals


def test_nothing_has_no_row() -> None:
    totals = Totals()
    totals.add((TREE, GPU.id, "counter", "held"), 0)
    assert totals.energy_uj == {}


def test_shares_add_up_by_workload_device_method_and_use() -> None:
    totals = Totals()
    for workload, use, uj in ((TREE, "active", 3), (TREE, "held", 4), (RIVAL, "active", 5), (TREE, "active", 6)):
        totals.add((workload, GPU.id, "counter", use), uj)  # type: ignore[arg-type]
    assert totals.energy_uj == {
        (TREE, GPU.id, "counter", "active"): 9,
        (TREE, GPU.id, "counter", "held"): 4,
        (RIVAL, GPU.id, "counter", "active"): 5,
    }


def test_work_adds_up_kind_by_kind() -> None:
    totals = Totals()
    totals.add_work(Work(TREE, at(1), 10, 20, 30, 1, span=7))
    totals.add_work(Work(RIVAL, at(2), 1, 1, 1, 1))
    totals.add_work(Work(TREE, at(3), 1, 2, 3, 4))
    assert totals.work[TREE][1:6] == (at(3), 11, 22, 33, 5)
    assert totals.work[RIVAL][2:6] == (1, 1, 1, 1)


def test_the_residual_is_measured_less_handed_out() -> None:
    totals = Totals()
    totals.device_energy_uj = {(GPU.id, "counter"): 70, (GPU.id, "estimated"): 30, (CPU.id, "counter"): 5}
    totals.add((TREE, GPU.id, "counter", "active"), 60)
    totals.add((TREE, GPU.id, "estimated", "held"), 30)
    totals.add((RIVAL, CPU.id, "counter", "active"), 5)
    totals.add((RIVAL, "never metered", "counter", "active"), 2)
    assert totals.residual_uj() == {GPU.id: 10, CPU.id: 0, "never metered": -2}


def test_a_snapshot_says_all_of_it() -> None:
    totals = Totals()
    totals.devices[GPU.id] = GPU
    totals.device_energy_uj[GPU.id, "counter"] = 9
    totals.subdevice_energy_uj["core", "counter"] = 2
    totals.power_uw[GPU.id] = 4
    totals.emissions_g[TREE] = 0.5
    totals.add((TREE, GPU.id, "counter", "active"), 9)
    totals.add_work(Work(TREE, at(0), 1))
    health = Health(True, 0.01, 0)
    found = totals.snapshot(State(factor("grid", 329), {"nvml": health}))
    assert found.devices == {GPU.id: GPU}
    assert found.energy_uj == {(TREE, GPU.id, "counter", "active"): 9}
    assert found.device_energy_uj == {(GPU.id, "counter"): 9}
    assert found.subdevice_energy_uj == {("core", "counter"): 2}
    assert found.power_uw == {GPU.id: 4}
    assert found.residual_uj == {GPU.id: 0}
    assert found.emissions_g == {TREE: 0.5}
    assert found.work[TREE].prompt_tokens == 1
    assert found.grid == factor("grid", 329)
    assert found.health == {"nvml": health}
