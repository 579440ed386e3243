"""Clients with their trees, and the agent itself, taken out of the groups they are in."""

from pathlib import Path

import pytest
from tests.sources.cgroup_tree import HEX_A, MS, TICK, Groups

from wattledger.sources.cgroup.clients import Spoken

SCOPE = "/user.slice/user-1000.slice/session-3.scope"
A = f"/docker/{HEX_A}"


@pytest.fixture(params=["v1", "v2", "hybrid"])
def groups(request: pytest.FixtureRequest, tmp_path: Path) -> Groups:
    return Groups(tmp_path, request.param)


def run(groups: Groups, pid: int, ticks: int, used: int, *, group: str = "") -> None:
    """A process works: it has ``ticks`` in all, ``used`` of them new."""
    groups.process(pid, ticks, group=group)
    groups.use(group, used * TICK)


def test_a_clients_whole_tree_is_the_clients_and_taken_out_of_its_unit(groups: Groups) -> None:
    groups.group(A)
    groups.process(1, 0, ppid=0)
    groups.process(100, 1000, group=A)
    groups.process(101, 10, ppid=100, group=A)
    clients: dict[int, Spoken] = {}
    meter = groups.meter(clients=lambda: clients)
    meter.read()
    clients[100] = Spoken(-1)
    meter.read()
    assert meter.members() == {"pid:100": f"cgroup:{A}"}
    assert meter.cpu() == {}
    groups.process(100, 1010, group=A)
    groups.process(101, 25, ppid=100, group=A)
    groups.use(A, 30 * TICK)
    meter.read()
    assert meter.cpu() == {"pid:100": 25 * TICK, f"cgroup:{A}": 5 * TICK}
    clients.clear()
    meter.read()
    assert meter.members() == {"pid:100": None}
    run(groups, 100, 1020, 10, group=A)
    meter.read()
    assert meter.cpu() == {f"cgroup:{A}": 10 * TICK}


def test_what_a_client_used_since_it_first_spoke_is_its_own_from_the_first_read_on(groups: Groups) -> None:
    groups.group(A)
    groups.process(1, 0, ppid=0)
    groups.process(100, 1000, group=A)
    clients: dict[int, Spoken] = {}
    meter = groups.meter(clients=lambda: clients)
    meter.read()
    run(groups, 100, 1050, 50, group=A)  # it speaks when it has used 1,020: 30 of these 50 are its own
    clients[100] = Spoken(1020)
    meter.read()
    assert meter.cpu() == {"pid:100": 30 * TICK, f"cgroup:{A}": 20 * TICK}
    run(groups, 100, 1060, 10, group=A)
    meter.read()
    assert meter.cpu() == {"pid:100": 10 * TICK}


def test_a_client_that_ends_between_two_reads_keeps_its_last_moments_and_its_childrens(groups: Groups) -> None:
    groups.group(A)
    groups.process(1, 0, ppid=0)
    groups.process(100, 1000, group=A)
    groups.process(101, 5, ppid=100, group=A)
    clients = {100: Spoken(1000)}
    meter = groups.meter(clients=lambda: clients)
    meter.read()
    meter.read()
    # 15 of its own and 25 that its child used and it reaped, 20 of them new; the agent looked right before its parent reaped it.
    clients[100] = Spoken(1000, 1015 + 25)
    groups.end(100)
    groups.end(101)
    groups.use(A, 45 * TICK)
    meter.read()
    assert meter.cpu() == {"pid:100": 35 * TICK, f"cgroup:{A}": 10 * TICK}
    meter.read()
    assert meter.cpu() == {}


def test_a_client_whose_whole_life_falls_between_two_reads_keeps_what_it_used(groups: Groups) -> None:
    groups.process(1, 0, ppid=0)
    clients: dict[int, Spoken] = {}
    meter = groups.meter(clients=lambda: clients)
    meter.read()
    meter.read()
    clients[100] = Spoken(2, 27)
    groups.use("", 40 * TICK)
    meter.read()
    assert meter.cpu() == {"pid:100": 25 * TICK, "(other)": 15 * TICK}
    meter.read()
    assert meter.cpu() == {}
    del clients[100]
    meter.read()
    assert meter.cpu() == {}


def test_a_clients_child_in_another_unit_is_taken_out_of_that_one(groups: Groups) -> None:
    groups.group(A)
    groups.group(SCOPE)
    groups.process(1, 0, ppid=0)
    groups.process(100, group=SCOPE)
    groups.process(101, ppid=100, group=A)
    meter = groups.meter(clients=lambda: {100: Spoken(-1)})
    meter.read()
    groups.process(101, 20, ppid=100, group=A)
    groups.use(A, 20 * TICK)
    run(groups, 100, 5, 5, group=SCOPE)
    meter.read()
    assert meter.cpu() == {"pid:100": 25 * TICK}


def test_a_client_in_another_clients_tree_is_told_with_it(groups: Groups) -> None:
    groups.process(1, 0, ppid=0)
    groups.process(100)
    groups.process(101, ppid=100)
    clients = {101: Spoken(-1)}
    meter = groups.meter(clients=lambda: clients)
    meter.read()
    groups.process(101, 10, ppid=100)
    groups.use("", 10 * TICK)
    meter.read()
    assert meter.cpu() == {"pid:101": 10 * TICK}
    clients[100] = Spoken(-1)  # one around it comes later
    meter.read()
    assert meter.members()["pid:101"] == "pid:100"
    groups.process(101, 30, ppid=100)
    groups.use("", 20 * TICK)
    meter.read()
    assert meter.cpu() == {"pid:100": 20 * TICK}


def test_a_process_that_becomes_a_client_goes_on_under_its_name(groups: Groups) -> None:
    groups.process(1, 0, ppid=0)
    groups.process(100, 5)
    clients: dict[int, Spoken] = {}
    meter = groups.meter(clients=lambda: clients)
    meter.read()
    run(groups, 100, 15, 10)
    clients[100] = Spoken(-1)
    meter.read()
    run(groups, 100, 35, 20)
    meter.read()
    assert meter.cpu() == {"pid:100": 20 * TICK}
    assert meter.source.unit_of(100) == "pid:100"
    clients.clear()
    meter.read()
    run(groups, 100, 36, 1)
    meter.read()
    assert meter.cpu() == {"pid:100": TICK}


def test_the_agent_is_the_agent_and_not_its_service(groups: Groups) -> None:
    service = groups.group("/system.slice/wattledger.service")
    groups.process(77, 500, group=service)
    meter = groups.meter(agent_pid=77)
    meter.read()
    run(groups, 77, 504, 4, group=service)
    groups.use(service, TICK)
    meter.read()
    assert meter.cpu() == {"(agent)": 4 * TICK, f"cgroup:{service}": TICK}


def test_ticks_coarser_than_the_groups_counter_make_nothing_dip(groups: Groups) -> None:
    groups.group(SCOPE)
    groups.process(100, group=SCOPE)
    groups.environ(100, WATTLEDGER_JOB="train")
    meter = groups.meter()
    meter.read()
    groups.process(100, 1, group=SCOPE)
    groups.use(SCOPE, TICK - MS, on_machine=False)
    meter.read()
    groups.use(SCOPE, 5 * MS, on_machine=False)
    meter.read()
    assert meter.grown["cpu", "pid:100"] == TICK
    assert meter.grown["cpu", f"cgroup:{SCOPE}"] == 4 * MS
