"""The agent's socket: spans get their energy, sums stay exact, and answers come as of closed cells."""

import os
from collections.abc import Callable

from tests.runtime.control_rig import Caller, Node, place
from tests.runtime.devices import until

from wattledger.core.model import Workload
from wattledger.testing import FakeClock

ME = f"pid:{os.getpid()}"
TREE = Workload(f"pid {os.getpid()}")
Dial = Callable[[], Caller]


def test_hello_says_who_the_agent_is(dial: Dial, node: Node) -> None:
    told = dial().hello()
    assert {k: told[k] for k in ("id", "ok", "v", "host", "interval_s", "agent")} == {
        "id": 1, "ok": True, "v": 1, "host": "node-1", "interval_s": 0.05, "agent": node.server.agent,
    }  # fmt: skip
    assert told["now"] == [1_000_000_000, 1_767_225_600_000_000_000]


def test_a_spans_energy_is_its_own_and_everything_adds_up(caller: Caller, node: Node, now: FakeClock) -> None:
    now.advance_s(0.25)
    caller.enter(1)
    now.advance_s(0.5)
    caller.leave(1)
    caller.footprint(1)
    caller.ping()
    now.advance_s(0.25)
    node.tick()
    told = caller.hear_of("id", 7)
    [lane] = told["account"]["lanes"]
    assert (told["span"], told["final"]) == (1, True)
    assert lane[:6] == ["card", "counter", 50_000_000, 0, 50_000_000, 50_000_000]
    assert [d[0] for d in told["devices"]] == ["card"]
    assert node.residual_uj == {}
    assert sum(node.pipeline.totals.energy_uj.values()) == 100_000_000


def test_terms_come_before_the_first_account(caller: Caller, node: Node, now: FakeClock) -> None:
    caller.enter(1)
    caller.footprint(1)
    assert caller.hear() | {"factors": []} == {
        "op": "terms", "factors": [], "notes": ["a sensor's note"], "price_notes": ["a price's note"],
    }  # fmt: skip
    assert caller.hear()["account"] is None  # no cell has closed since it began
    now.advance_s(1)
    node.tick()
    caller.footprint(1)
    told = caller.hear()
    assert (told["final"], told["account"]["lanes"][0][2]) == (False, 100_000_000)


def test_an_outer_span_contains_the_inner_and_owns_the_rest(caller: Caller, node: Node, now: FakeClock) -> None:
    caller.enter(10, job="outer")
    now.advance_s(0.25)
    caller.enter(11, parent=10, job="inner")
    now.advance_s(0.5)
    caller.leave(11)
    now.advance_s(0.25)
    caller.leave(10)
    caller.ping()
    node.tick()
    outer, inner = sorted(node.settled, key=lambda account: account.workload.job, reverse=True)
    assert [outer.lanes["card", "counter"].active_uj, outer.lanes["card", "counter"].own_uj] == [100_000_000, 50_000_000]
    assert inner.lanes["card", "counter"].active_uj == 50_000_000
    assert {w.job: uj for (w, *_), uj in node.pipeline.totals.energy_uj.items()} == {"outer": 50_000_000, "inner": 50_000_000}


def test_two_clients_spans_at_once_share_and_conserve(dial: Dial, node: Node, now: FakeClock) -> None:
    one, two = dial(), dial()
    one.hello()
    two.hello()
    one.enter(1, job="one")
    two.enter(1, job="two")
    one.ping()
    two.ping()
    now.advance_s(1)
    node.tick()
    now.advance_s(1)
    one.leave(1)
    two.leave(1)
    one.ping()
    two.ping()
    node.tick()
    assert {w.job: uj for (w, *_), uj in node.pipeline.totals.energy_uj.items()} == {"one": 100_000_000, "two": 100_000_000}
    assert node.residual_uj == {}


def test_the_same_job_and_run_id_are_one_workload(dial: Dial, node: Node, now: FakeClock) -> None:
    ranks = [dial(), dial()]
    for rank in ranks:
        rank.hello()
        rank.enter(1, job="train", labels={"run_id": "slurm-c-5"})
        rank.ping()
    now.advance_s(1)
    node.tick()
    assert {(w.job, w.labels) for w, *_ in node.pipeline.totals.energy_uj} == {("train", (("run_id", "slurm-c-5"),))}


def test_a_client_that_dies_in_a_span_ends_it_and_its_claims(caller: Caller, node: Node, now: FakeClock) -> None:
    caller.enter(1)
    caller.ping()
    assert set(node.clients) == {os.getpid()}
    now.advance_s(0.5)
    caller.close()
    until(lambda: node.server.connections == 0, "the connection's end is seen")
    now.advance_s(0.5)
    node.tick()
    [account] = node.settled
    assert account.lanes["card", "counter"].active_uj == 50_000_000
    assert {w.job: uj for (w, *_), uj in node.pipeline.totals.energy_uj.items()} == {"j": 50_000_000, TREE.job: 50_000_000}
    node.tick()
    until(lambda: node.clients == {}, "it is watched no more")
    node.tick()
    assert [(c.who, c.workload, c.rank) for c in node.claims()] == [(ME, TREE, "tree"), (ME, None, "tree"), (ME, None, "program")]
    assert node.residual_uj == {}


def test_claims_hold_while_any_connection_of_the_process_does(dial: Dial, node: Node) -> None:
    one, two = dial(), dial()
    one.hello()
    two.hello()
    one.enter(1)
    two.enter(1)
    one.ping()
    two.ping()
    one.close()
    until(lambda: node.server.connections == 1, "the first is gone")
    assert set(node.clients) == {os.getpid()}


def test_a_settled_account_is_kept_for_two_cells_and_no_longer(caller: Caller, node: Node, now: FakeClock) -> None:
    caller.enter(1)
    now.advance_s(1)
    caller.leave(1)
    for _ in range(2):
        caller.ping()
        node.tick()
        now.advance_s(1)
    caller.footprint(1)
    assert caller.hear_of("id", 7)["final"] is True
    for _ in range(2):
        node.tick()
        caller.ping()
    caller.footprint(1)
    assert "not one of yours" in caller.hear_of("id", 7)["error"]


def test_nobody_is_told_of_anothers_span(caller: Caller, dial: Dial, node: Node) -> None:
    caller.enter(1)
    caller.ping()
    node.tick()
    other = dial()
    other.hello()
    other.footprint(1)
    assert "not one of yours" in other.hear()["error"]


def test_open_spans_are_told_every_five_seconds_and_at_the_end(caller: Caller, node: Node, now: FakeClock) -> None:
    caller.enter(1)
    caller.ping()
    pushed = []
    for _ in range(3):
        for _ in range(5):
            now.advance_s(1)
            node.tick()
        pushed.append(caller.hear_of("op", "account"))
    told = [p["account"]["lanes"][0][2] for p in pushed]
    assert [told[1] - told[0], told[2] - told[1]] == [500_000_000, 500_000_000]
    now.advance_s(1)
    node.server.stopping()
    node.tick()
    assert caller.hear_of("op", "account")["account"]["lanes"][0][2] == 1_600_000_000


def test_thousands_of_spans_settle_and_conserve(caller: Caller, node: Node, now: FakeClock) -> None:
    caller.enter(1, job="all")
    for n in range(2, 5002):
        now.advance_s(0.0002)
        caller.enter(n, parent=1, job=f"s{n % 7}")
        caller.leave(n)
    caller.leave(1)
    caller.ping()
    node.tick()
    assert len(node.settled) == 5001
    assert node.residual_uj == {}
    assert sum(lane.own_uj for account in node.settled for lane in account.lanes.values()) == 100_000_000
    node.tick()
    node.tick()
    until(lambda: not node.server._hearing.desk.owners, "nothing is kept of spans that nobody asked for")


def test_fine_boundaries_read_the_sensors(now: FakeClock) -> None:
    with place() as folder:
        node = Node(str(folder / "a.sock"), now=now)
        fine = Node(str(folder / "b.sock"), now=now, edges=node.sampler)
        caller = Caller(fine, now)
        caller.hello()
        reads = len(node.card.reads)
        now.advance_s(0.5)
        caller.enter(1)
        caller.ping()
        now.advance_s(0.5)
        caller.leave(1)
        caller.ping()
        assert node.card.reads[reads:].count(False) == 2
        caller.close()
        fine.stop()
        node.stop()
        assert [b.edge for b in node.boundaries()] == ["enter", "leave"]


def test_a_units_totals_are_told_after_the_next_cell(caller: Caller, node: Node, now: FakeClock) -> None:
    caller.enter(1, job="mine")
    caller.footprint(None)
    caller.ping()
    now.advance_s(1)
    node.tick()
    assert caller.hear_of("id", 7)["energy"] == [["mine", None, "card", "counter", "active", 100_000_000]]


def test_a_boundary_that_comes_after_its_cell_was_closed_begins_with_the_next(caller: Caller, node: Node, now: FakeClock) -> None:
    said_ns = now().mono_ns + 500_000_000
    now.advance_s(1)
    node.tick()
    now.advance_s(0.25)
    caller.enter(1, at=said_ns)
    caller.ping()
    now.advance_s(0.75)
    caller.leave(1)
    caller.ping()
    node.tick()
    [account] = node.settled
    assert account.entered.mono_ns == said_ns + 500_000_000
    assert account.lanes["card", "counter"].active_uj == 100_000_000
    assert node.residual_uj == {}
