"""The account of who was on a GPU: no time is lost, none is given twice, nothing runs backwards."""

from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.model import Activity, Device, Holding, Instant
from wattledger.core.usage import Usage
from wattledger.sources.nvml.contexts import Contexts, parts, spent

PIDS = st.lists(st.integers(1, 6), unique=True, max_size=4)


def percents(use: dict[int, int] | None) -> dict[str, float] | None:
    return None if use is None else {f"pid:{pid}": float(percent) for pid, percent in use.items()}


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
    used = spent(crowd(before), crowd(now), percents(use), elapsed_ns)
    assert sum(used.values()) <= elapsed_ns
    assert all(ns >= 0 for ns in used.values())


LOOKS = st.lists(
    st.tuples(st.integers(1, 10**10), PIDS, st.none() | st.dictionaries(st.integers(1, 6), st.integers(0, 100))),
    min_size=1,
    max_size=12,
)


@given(LOOKS)
def test_activity_never_runs_backwards_and_a_newcomer_begins_with_nothing_at_the_look_before(
    looks: list[tuple[int, list[int], dict[int, int] | None]],
) -> None:
    contexts, at_ns, then_ns = Contexts("GPU-0"), 0, 1
    last: dict[str, tuple[int, int]] = {}  # the look that said it, and what it said
    for index, (step_ns, pids, use) in enumerate(looks):
        at_ns += step_ns
        then_ns = then_ns if index else at_ns
        for sample in contexts.look(Instant(at_ns, 0), crowd(pids), percents(use)):
            if isinstance(sample, Activity):
                if sample.who not in last:
                    assert (sample.at.mono_ns, sample.used) == (then_ns, 0)
                looked, used = last.get(sample.who, (index, 0))
                assert sample.used >= used or looked < index - 1
                last[sample.who] = index, sample.used
        then_ns = at_ns


@given(LOOKS)
def test_who_differences_the_activity_finds_all_the_time_of_each_look(
    looks: list[tuple[int, list[int], dict[int, int] | None]],
) -> None:
    """Also of who came and went: core takes a first look for a baseline and nothing else."""
    contexts, usage, at_ns, before = Contexts("GPU-0"), Usage(), 0, list[int]()
    for index, (step_ns, pids, use) in enumerate(looks):
        at_ns += step_ns
        for sample in contexts.look(Instant(at_ns, 0), crowd(pids), percents(use)):
            if isinstance(sample, Activity):
                usage.use(sample)
        found = sum(usage.weights(Device("GPU-0", "gpu", "H100")).values())
        expected = sum(spent(crowd(before), crowd(pids), percents(use), step_ns).values()) if index else 0
        assert found == expected
        usage.close({"GPU-0"})
        before = pids


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


def test_who_came_and_went_is_named_by_its_samples() -> None:
    assert spent({}, {}, {"pid:41": 25.0}, 1000) == {("pid:41", "sm_ns"): 250}


def test_known_use_that_is_nothing_is_idle() -> None:
    assert spent({"pid:41": 1.0}, {"pid:41": 1.0}, {"pid:41": 0.0}, 1000) == {("(idle)", "idle_ns"): 1000}


def test_a_device_that_was_never_looked_at_ends_without_a_word() -> None:
    assert Contexts("GPU-0").end(Instant(5, 0)) == []
