"""The account of who was on a GPU: no time is lost, none is given twice, nothing runs backwards."""

from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.model import Activity, Holding, Instant
from wattledger.sources.nvml.contexts import Contexts, parts, spent

PIDS = st.lists(st.integers(1, 6), unique=True, max_size=4)


def crowd(pids: list[int]) -> dict[str, float]:
    return parts([(1.0, pids)])


@given(PIDS, PIDS, st.integers(0, 10**12))
def test_all_the_time_is_somebodys_or_said_to_be_idle(before: list[int], now: list[int], elapsed_ns: int) -> None:
    used = spent(crowd(before), crowd(now), None, elapsed_ns)
    assert elapsed_ns - 16 <= sum(used.values()) <= elapsed_ns
    assert {who for who, _ in used} <= {*crowd(before), *crowd(now)} or (not before and not now)


@given(PIDS, PIDS, st.dictionaries(st.integers(1, 6), st.integers(0, 100)), st.integers(0, 10**12))
def test_multiprocessor_time_never_exceeds_the_time(
    before: list[int], now: list[int], use: dict[int, int], elapsed_ns: int
) -> None:
    percents = {f"pid:{pid}": float(percent) for pid, percent in use.items()}
    used = spent(crowd(before), crowd(now), percents, elapsed_ns)
    assert sum(used.values()) <= elapsed_ns
    assert all(ns >= 0 for ns in used.values())


@given(st.lists(st.tuples(st.integers(1, 10**10), PIDS), min_size=1, max_size=12))
def test_activity_never_runs_backwards_and_a_newcomer_begins_with_zero(looks: list[tuple[int, list[int]]]) -> None:
    contexts, at_ns, there = Contexts("GPU-0"), 0, set[str]()
    last: dict[str, int] = {}
    for step_ns, pids in looks:
        at_ns += step_ns
        for sample in contexts.look(Instant(at_ns, 0), crowd(pids)):
            if isinstance(sample, Activity):
                if sample.who not in last:
                    assert sample.used == 0
                assert sample.used >= last.get(sample.who, 0)
                last[sample.who] = sample.used
        there = set(crowd(pids))
        last = {who: used for who, used in last.items() if who in there or who == "(idle)"}


@given(st.lists(PIDS, min_size=1, max_size=12))
def test_holdings_add_up_to_one_gpu_or_none(looks: list[list[int]]) -> None:
    contexts, held = Contexts("GPU-0"), dict[str, float]()
    for second, pids in enumerate(looks):
        for sample in contexts.look(Instant(second, 0), crowd(pids)):
            if isinstance(sample, Holding):
                held[sample.who] = sample.part
        assert abs(sum(held.values()) - (1.0 if pids else 0.0)) < 1e-9
        assert {who for who, part in held.items() if part} == set(crowd(pids))


def test_a_process_in_two_slices_holds_both() -> None:
    assert parts([(3 / 7, [41]), (2 / 7, [41, 42]), (1 / 7, [])]) == {"pid:41": 4 / 7, "pid:42": 1 / 7}


def test_work_seen_at_one_end_only_is_not_half_idle() -> None:
    assert spent({}, {"pid:41": 1.0}, None, 1000) == {("pid:41", "context_ns"): 1000}


def test_a_device_that_was_never_looked_at_ends_without_a_word() -> None:
    assert Contexts("GPU-0").end(Instant(5, 0)) == []
