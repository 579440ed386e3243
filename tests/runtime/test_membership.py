"""Whose processes drivers speak of: named once, forgotten when they end, never mistaken for who comes after."""

from wattledger.core.model import Activity, Claim, Holding, Instant, Member, Sample, Workload
from wattledger.runtime.node.membership import Look, Membership

AT = Instant(5, 5)


class Kernel:
    """A process table: pid to (parent, start), and units by pid."""

    def __init__(self, processes: dict[int, tuple[int, int]], units: dict[int, str]) -> None:
        self.processes, self.units = processes, units
        self.asked: list[int] = []

    def unit(self, pid: int) -> str | None:
        self.asked.append(pid)
        return self.units.get(pid)

    def look(self) -> Look:
        return Look(self.processes.get, self.unit)


def gpu_use(*pids: int) -> list[Sample]:
    return [Activity("GPU-0", f"pid:{pid}", AT, 1, "sm_ns") for pid in pids]


def named(members: Membership, *samples: Sample) -> list[Sample]:
    return list(members.name(samples, AT))


def test_a_process_that_a_driver_mentions_is_named_once() -> None:
    kernel = Kernel({7: (1, 100)}, {7: "cgroup:/a"})
    members = Membership(kernel.look(), tuple)
    assert named(members, *gpu_use(7)) == [Member("pid:7", AT, "cgroup:/a")]
    assert named(members, *gpu_use(7)) == []
    assert named(members, Holding("GPU-0", "pid:7", AT, 1.0)) == []
    assert kernel.asked == [7]


def test_a_process_in_a_clients_tree_is_the_clients() -> None:
    kernel = Kernel({7: (1, 100), 8: (7, 101), 9: (8, 102)}, {9: "cgroup:/a"})
    members = Membership(kernel.look(), lambda: (7,))
    assert named(members, *gpu_use(9)) == [Member("pid:9", AT, "pid:7")]


def test_a_client_itself_is_its_own_source_word() -> None:
    kernel = Kernel({7: (1, 100)}, {7: "cgroup:/a"})
    members = Membership(kernel.look(), lambda: (7,))
    said = Member("pid:7", AT, "cgroup:/a")
    assert named(members, said, *gpu_use(7)) == []
    assert kernel.asked == []


def test_a_process_that_ended_is_said_once_and_forgotten() -> None:
    kernel = Kernel({7: (1, 100)}, {7: "cgroup:/a"})
    members = Membership(kernel.look(), tuple)
    named(members, *gpu_use(7))
    del kernel.processes[7]
    assert named(members) == [Member("pid:7", AT, None)]
    assert named(members) == []


def test_a_number_that_comes_back_is_somebody_else() -> None:
    kernel = Kernel({7: (1, 100)}, {7: "cgroup:/a"})
    members = Membership(kernel.look(), tuple)
    named(members, *gpu_use(7))
    kernel.processes[7], kernel.units[7] = (1, 555), "cgroup:/b"
    assert named(members, *gpu_use(7)) == [Member("pid:7", AT, None), Member("pid:7", AT, "cgroup:/b")]


def test_who_cannot_be_found_is_nobody_and_is_asked_for_again() -> None:
    kernel = Kernel({}, {})
    members = Membership(kernel.look(), tuple)
    assert named(members, *gpu_use(7)) == []
    kernel.processes[7], kernel.units[7] = (1, 1), "cgroup:/late"
    assert named(members, *gpu_use(7)) == [Member("pid:7", AT, "cgroup:/late")]


def test_processes_of_the_group_source_are_its_own_to_name() -> None:
    kernel = Kernel({7: (1, 100)}, {7: "cgroup:/a"})
    members = Membership(kernel.look(), tuple)
    cpu = Activity("cpu", "pid:7", AT, 1, "cpu_ns")
    assert named(members, cpu) == []
    claim = Claim("pid:7", AT, Workload("x"), "environment")
    assert named(members, claim, *gpu_use(7)) == []
    assert named(members, Claim("pid:7", AT, None, "environment"), *gpu_use(7)) == [Member("pid:7", AT, "cgroup:/a")]


def test_a_loop_of_parents_is_no_trap() -> None:
    kernel = Kernel({7: (8, 1), 8: (7, 1)}, {7: "cgroup:/a"})
    assert named(Membership(kernel.look(), lambda: (99,)), *gpu_use(7)) == [Member("pid:7", AT, "cgroup:/a")]
