"""A meter that runs for ever forgets whoever has gone, and nobody who is still here."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.claims import Claims
from wattledger.core.model import OTHER, Activity, Boundary, Claim, Device, Holding, Instant, Member, Rank, Workload
from wattledger.core.series import Series
from wattledger.core.spans import SpanBook
from wattledger.core.usage import Usage

S = 1_000_000_000
GPU = Device("GPU-0", "gpu", "card", None, 0, None)
WORK, TREE = Workload("work"), Workload("pid 1")


def at(second: float) -> Instant:
    return Instant(int(second * S), int(second * S))


def close(usage: Usage) -> None:
    usage.close({GPU.id})


def use(usage: Usage, who: str, second: float, used: int) -> None:
    usage.use(Activity(GPU.id, who, at(second), used, "sm_ns"))


def crowd(usage: Usage, second: float) -> None:
    """More names than are worth no look."""
    for n in range(200):
        use(usage, f"pid:{1000 + n}", second, 0)


# --- strangers ----------------------------------------------------------------------------------------------------------


def test_a_stranger_who_fell_silent_is_forgotten_and_begins_anew() -> None:
    usage = Usage()
    use(usage, "pid:7", 1, 500)
    crowd(usage, 1000)
    close(usage)
    use(usage, "pid:7", 1001, 900)  # another process under its number: what it had used before is nobody's
    assert usage.weights(GPU) == {}
    use(usage, "pid:7", 1002, 950)
    assert list(usage.weights(GPU).values()) == [50]


def test_who_is_named_holds_or_was_here_lately_goes_on_where_it_was() -> None:
    usage = Usage()
    usage.claim(Claim("pid:7", at(1), WORK))
    usage.hold(Holding(GPU.id, "pid:8", at(1), 1.0))
    for pid in (7, 8):
        use(usage, f"pid:{pid}", 1, 500)
    use(usage, "pid:9", 900, 500)
    use(usage, "(idle)", 1, 500)
    crowd(usage, 1000)
    close(usage)
    for who in ("pid:7", "pid:8", "pid:9", "(idle)"):
        use(usage, who, 1001, 600)
    assert sum(usage.weights(GPU).values()) == 400


def test_strangers_who_come_and_go_for_ever_are_bounded() -> None:
    usage = Usage()
    for minute in range(3000):
        use(usage, f"pid:{minute}", 60 * minute, 1)
        close(usage)
    names = [who for who in (f"pid:{n}" for n in range(3000)) if who in usage._used]
    assert len(names) < 200


def test_what_no_device_will_ever_pay_for_does_not_wait() -> None:
    for metered, waiting in (([GPU], 0), ([GPU, Device("package-0", "cpu", "chip", None, 0, None)], 50)):
        usage = Usage()
        for second, used in ((1, 0), (2, 50)):
            usage.use(Activity("cpu", "pid:7", at(second), used, "cpu_ns"))
        usage.close({GPU.id}, metered)
        package = Device("package-0", "cpu", "chip", None, 0, None)
        assert sum(usage.weights(package).values()) == waiting


def test_a_register_that_stands_still_keeps_no_crowd_waiting() -> None:
    usage = Usage()
    for n in range(9000):
        usage.claim(Claim("pid:7", at(n), Workload(f"job-{n}")))
        use(usage, "pid:7", n, 0)
        use(usage, "pid:7", n + 0.5, 10)
        usage.claim(Claim("pid:7", at(n + 0.5), None))
        usage.close(())
    weights = usage.weights(GPU)
    assert len(weights) < 8500
    assert sum(weights.values()) == 90_000


# --- answers ------------------------------------------------------------------------------------------------------------

NAMES = ("pid:1", "pid:2", "cgroup:/a", "cgroup:/b", "container:c", "pod:p")
TREES = (TREE, Workload("pid 2"))
ranks: st.SearchStrategy[Rank] = st.sampled_from(["program", "environment", "slurm", "pod", "cgroup"])
workloads = st.builds(Workload, st.sampled_from(["", "a", "b"]), st.none(), st.sampled_from([(), (("k", "v"),), (("user", "u"),)]))
claims = st.builds(Claim, st.sampled_from(NAMES), st.just(at(1)), st.none() | workloads, ranks)
trees = st.builds(Claim, st.sampled_from(NAMES[:2]), st.just(at(1)), st.none() | st.sampled_from(TREES), st.just("tree"))
members = st.builds(Member, st.sampled_from(NAMES), st.just(at(1)), st.none() | st.sampled_from(NAMES))
histories = st.lists(st.one_of(claims, trees, members, st.just("close")), max_size=40)


@given(histories)
def test_what_was_answered_before_is_what_would_be_answered_now(history: list[Claim | Member | str]) -> None:
    """Answers are remembered, and only those are forgotten that rest on a name of which something new was said."""
    found = Claims()
    for event in history:
        if isinstance(event, str):
            found.close(lambda who: None)
        elif isinstance(event, Claim):
            found.claim(event)
        else:
            found.join(event)
        never_asked = copy.deepcopy(found)
        never_asked._known, never_asked._named = {}, {}
        assert [found.workload(who) for who in NAMES] == [never_asked.workload(who) for who in NAMES]
        for tree in TREES:
            assert found.named(WORK, tree) == never_asked.named(WORK, tree)
            assert found.shown(tree) == never_asked.shown(tree)


def test_a_part_that_leaves_takes_nobody_with_it() -> None:
    found = Claims()
    for who in NAMES[:2]:
        found.join(Member(who, at(1), "cgroup:/a"))
    found.join(Member("pid:1", at(1), None))
    found.close(lambda who: None)
    found.claim(Claim("cgroup:/a", at(1), WORK, "cgroup"))
    assert [found.workload(who) for who in NAMES[:2]] == [OTHER, WORK]


def test_what_is_said_of_the_cpu_holds_for_each_package_and_is_never_stale() -> None:
    usage = Usage()
    packages = [Device(f"package-{n}", "cpu", "chip", None, 0, None) for n in range(2)]
    usage.claim(Claim("pid:7", at(1), WORK))
    for second, used in ((1, 0), (2, 50), (3, 80)):
        usage.use(Activity("cpu", "pid:7", at(second), used, "cpu_ns"))
        assert [usage.weights(package) for package in packages] == [{WORK: used} if used else {}] * 2
    usage.claim(Claim("pid:7", at(3), TREE))
    assert usage.weights(packages[1]) == {TREE: 80}


# --- trees and names ----------------------------------------------------------------------------------------------------


def boundary(span: int, second: float, edge: str, cpu_ns: int) -> Boundary:
    return Boundary(span, at(second), edge, WORK, TREE, None, cpu_ns)  # type: ignore[arg-type]


def cpu_of_first_slice(book: SpanBook, span: int) -> int | None:
    [slices] = book.cut(10 * S, 11 * S, [boundary(span, 10.5, "enter", 700)]).values()
    return slices[0].cpu_ns


def test_a_tree_that_nobody_claims_any_more_has_no_clock() -> None:
    for here, expected in (((), None), ((TREE,), 600)):
        book = SpanBook()
        book.cut(0, S, [boundary(1, 0.1, "enter", 50), boundary(1, 0.2, "leave", 100)])
        book.settle()
        book.forget_trees(here)
        assert cpu_of_first_slice(book, 2) == expected


def test_a_tree_with_an_open_span_is_kept_whoever_claims_it() -> None:
    book = SpanBook()
    book.cut(0, S, [boundary(1, 0.1, "enter", 100)])
    book.forget_trees(())
    assert cpu_of_first_slice(book, 2) == 600


def test_short_names_are_remembered_but_not_for_ever() -> None:
    series = Series(10, S, ("k",))
    for n in range(5000):
        assert series.of(Workload(f"job {n % 7}", None, (("k", "v"), ("long", str(n)))), n).labels == (("k", "v"),)
    assert len(series._short) < 1000
