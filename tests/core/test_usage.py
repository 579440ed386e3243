"""Who used and who holds what: cumulative use becomes weight, and a process id may come back as another's."""

from tests.core.made import CPU, DRAM, GPU, RIVAL, TREE, claim, holding, used

from wattledger.core.attribution import PPM
from wattledger.core.model import AGENT, IDLE, OTHER, Activity, Claim, Holding, Instant, Member, Workload
from wattledger.core.usage import Usage, used_of

NS = 1_000_000_000


def at(second: int) -> Instant:
    return Instant(second * NS, second * NS)


def usage(*whos: str) -> Usage:
    found = Usage()
    for who, workload in zip(whos, (TREE, RIVAL), strict=False):
        found.claim(claim(who, workload))
    return found


def test_a_first_look_is_only_a_baseline() -> None:
    found = usage("pid:1")
    found.use(used("cpu", "pid:1", 0, 500, "cpu_ns"))
    assert found.weights(CPU) == {}
    found.use(used("cpu", "pid:1", 1, 503, "cpu_ns"))
    assert found.weights(CPU) == {TREE: 3 * NS}


def test_use_that_falls_is_a_new_baseline() -> None:
    found = usage("pid:1")
    for second, used_s in enumerate((10, 4, 5)):
        found.use(used("cpu", "pid:1", second, used_s, "cpu_ns"))
    assert found.weights(CPU) == {TREE: 1 * NS}


def test_a_look_that_comes_late_tells_nothing_new() -> None:
    found = usage("pid:1")
    for second, used_s in ((0, 0), (2, 5), (1, 3), (2, 4), (3, 6)):
        found.use(used("cpu", "pid:1", second, used_s, "cpu_ns"))
    assert found.weights(CPU) == {TREE: 6 * NS}


def test_processes_of_one_workload_add_up() -> None:
    found = usage("pid:1")
    found.claim(claim("pid:2", TREE))
    for who in ("pid:1", "pid:2", "pid:3", AGENT.job):
        found.use(used("cpu", who, 0, 0, "cpu_ns"))
        found.use(used("cpu", who, 1, 1, "cpu_ns"))
    assert found.weights(CPU) == {TREE: 2 * NS, OTHER: NS, AGENT: NS}


def test_a_devices_own_use_goes_before_that_of_its_kind() -> None:
    found = usage("pid:1", "pid:2")
    for who, device_id in (("pid:1", "cpu"), ("pid:2", CPU.id)):
        found.use(used(device_id, who, 0, 0, "cpu_ns"))
        found.use(used(device_id, who, 1, 1, "cpu_ns"))
    assert found.weights(CPU) == {RIVAL: NS}
    assert found.weights(CPU._replace(id="package-1")) == {TREE: NS}


def test_weights_gather_until_their_device_has_yielded_energy() -> None:
    found = usage("pid:1")
    for device_id in ("cpu", GPU.id):
        found.use(used(device_id, "pid:1", 0, 0))
        found.use(used(device_id, "pid:1", 1, 1))
    found.close({CPU.id, "cpu"})
    assert found.weights(CPU) == {}
    found.use(used(GPU.id, "pid:1", 2, 3))
    assert found.weights(GPU) == {TREE: 3 * NS}


def test_a_holding_stands_until_it_changes_or_ends() -> None:
    found = usage("pid:1", "pid:2")
    found.hold(holding(GPU.id, "pid:1", 0.25))
    found.hold(holding(GPU.id, "pid:2", 0.5))
    found.close({GPU.id})
    assert found.parts_ppm(GPU) == {TREE: PPM // 4, RIVAL: PPM // 2}
    found.hold(holding(GPU.id, "pid:1", 1))
    found.hold(holding(GPU.id, "pid:2", 0))
    assert found.parts_ppm(GPU) == {TREE: PPM}
    found.hold(holding(GPU.id, "pid:9", 0))
    assert found.parts_ppm(GPU) == {TREE: PPM}


def test_holders_of_a_kind_hold_each_of_it_and_one_workloads_parts_add_up() -> None:
    found = usage("pid:1")
    found.claim(claim("pid:2", TREE))
    found.hold(holding("cpu", "pid:1", 0.25))
    found.hold(holding("cpu", "pid:2", 0.25))
    found.hold(holding("cpu", IDLE.job, 0.1))
    assert found.parts_ppm(CPU) == {TREE: PPM // 2, IDLE: PPM // 10}
    assert found.parts_ppm(DRAM) == {}


def test_a_unit_is_what_use_was_counted_in_and_idle_is_no_unit() -> None:
    found = usage("pid:1")
    assert found.unit(GPU) == ""
    found.use(used(GPU.id, "pid:1", 0, 0, "sm_ns"))
    found.use(used(GPU.id, IDLE.job, 0, 0, "idle_ns"))
    found.use(used("cpu", "pid:1", 0, 0, "cpu_ns"))
    assert [found.unit(d) for d in (GPU, CPU, DRAM)] == ["sm_ns", "cpu_ns", ""]


def test_a_process_that_ended_is_paid_for_and_then_forgotten() -> None:
    found = usage("pid:1")
    found.hold(holding(GPU.id, "pid:1", 1))
    found.use(used("cpu", "pid:1", 0, 0))
    found.use(used("cpu", "pid:1", 1, 2))
    found.claim(claim("pid:1", None))
    assert found.weights(CPU) == {TREE: 2 * NS}
    found.close({"cpu"})
    assert found.parts_ppm(GPU) == {}
    # Its id comes back as a stranger's: a new baseline, and not its work.
    found.use(used("cpu", "pid:1", 2, 0.5))
    assert found.weights(CPU) == {}
    found.use(used("cpu", "pid:1", 3, 1.5))
    assert found.weights(CPU) == {OTHER: NS}


def test_a_process_id_that_comes_back_within_a_cell_keeps_its_new_claim() -> None:
    found = usage("pid:1")
    found.use(used("cpu", "pid:1", 0, 100))
    found.claim(claim("pid:1", None))
    found.claim(claim("pid:1", RIVAL))
    found.use(used("cpu", "pid:1", 1, 0))
    found.close({"cpu"})
    found.use(used("cpu", "pid:1", 2, 1))
    assert found.weights(CPU) == {RIVAL: NS}


def test_cpu_time_that_was_idle_is_no_use_of_the_cpu_but_a_free_gpus_energy_is_idle() -> None:
    weights = {IDLE: 9, TREE: 1}
    assert used_of(CPU, weights) == {TREE: 1}
    assert used_of(GPU, weights) == weights


def test_an_allocation_pays_before_a_reservation_and_that_before_a_context() -> None:
    found = Usage()
    for who, job in (("pid:1", "context"), ("cgroup:/r", "reserved"), ("pod:u", "allocated")):
        found.claim(Claim(who, at(1), Workload(job), "cgroup"))
    found.hold(Holding(GPU.id, "pid:1", at(1), 1.0, "context"))
    found.hold(Holding(GPU.id, "cgroup:/r", at(1), 0.5, "reservation"))
    assert found.parts_ppm(GPU) == {Workload("reserved"): 500_000}
    found.hold(Holding(GPU.id, "pod:u", at(1), 0.25, "allocation"))
    assert found.parts_ppm(GPU) == {Workload("allocated"): 250_000}
    found.hold(Holding(GPU.id, "pod:u", at(2), 0.0, "allocation"))
    found.hold(Holding(GPU.id, "cgroup:/r", at(2), 0.0, "reservation"))
    assert found.parts_ppm(GPU) == {Workload("context"): 1_000_000}


def test_what_a_pod_holds_is_paid_for_by_its_processes_that_have_a_context_there() -> None:
    found = Usage()
    found.claim(Claim("pod:u", at(1), Workload("pod"), "pod"))
    for pid, job in ((7, "train"), (8, "eval"), (9, "stranger")):
        found.claim(Claim(f"pid:{pid}", at(1), Workload(job), "program"))
        found.hold(Holding(GPU.id, f"pid:{pid}", at(1), 1 / 3, "context"))
    found.hold(Holding(GPU.id, "pod:u", at(1), 1.0, "allocation"))
    assert found.parts_ppm(GPU) == {Workload("pod"): 1_000_000}
    for pid in (7, 8):
        found.join(Member(f"pid:{pid}", at(1), "cgroup:/c"))
    found.join(Member("cgroup:/c", at(1), "pod:u"))
    assert found.parts_ppm(GPU) == {Workload("train"): 500_000, Workload("eval"): 500_000}
    found.hold(Holding(GPU.id, "pid:7", at(1), 0.0, "context"))
    assert found.parts_ppm(GPU) == {Workload("eval"): 1_000_000}


def test_who_holds_a_slice_holds_that_part_of_its_gpu() -> None:
    found = Usage()
    found.claim(Claim("pod:u", at(1), Workload("allocated"), "pod"))
    found.hold(Holding("MIG-1", "pod:u", at(1), 1.0, "allocation"))
    assert found.parts_ppm(GPU) == {}
    found.join(Member("device:MIG-1", at(1), "device:" + GPU.id + "@0.428571"))
    assert found.parts_ppm(GPU) == {Workload("allocated"): 428_571}
    found.join(Member("device:MIG-1", at(2), None))
    assert found.parts_ppm(GPU) == {}


def test_what_an_ended_process_did_on_a_device_that_was_not_read_yet_stays_its_own() -> None:
    found = Usage()
    found.claim(Claim("pid:1", at(1), Workload("train"), "environment"))
    for second, ns in ((1, 0), (2, 700)):
        found.use(Activity(GPU.id, "pid:1", at(second), ns, "sm_ns"))
    found.join(Member("pid:1", at(3), None))
    found.close({"cpu"})
    assert found.weights(GPU) == {Workload("train"): 700}
    found.close({GPU.id})
    assert found.weights(GPU) == {}
