"""What the ledger is handed: every share once, in the minute in which it was drawn."""

from hypothesis import given
from hypothesis import strategies as st
from tests.core.made import CPU, GPU, RIVAL, TREE, WALL_NS, S, at, claim, counter, enter, full, gauge, leave, used

from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import Activity, Batch, Instant, Interval, Work, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.posted import Minute, Posted
from wattledger.core.totals import EnergyKey

MINUTE = WALL_NS // S  # 10:00:00, the start of a minute


def kept(*steps: Step) -> dict[int, Minute]:
    sums: dict[int, Minute] = {}
    for minutes in (each for step in steps for each in step.kept):
        for start_s, minute in minutes.items():
            sums.setdefault(start_s, Minute()).add(minute)
    return sums


def job(name: str) -> Workload:
    return Workload(name)


def test_a_share_stands_in_its_minute_under_its_name() -> None:
    pipeline = Pipeline()
    pipeline.step(full(0, claim("pid:1", job("a")), counter(GPU, 0, 0), used("GPU-0", "pid:1", 0, 0)))
    [minute] = pipeline.step(full(1, counter(GPU, 1, 100), used("GPU-0", "pid:1", 1, 1))).kept
    assert minute.keys() == {MINUTE}
    assert minute[MINUTE].energy_uj == {(job("a"), "GPU-0", "counter", "active"): 100_000_000}
    assert minute[MINUTE].seen_ns == {("GPU-0", "counter"): S}
    assert minute[MINUTE].shared_by == {"GPU-0": "sm_ns"}


def test_a_cell_that_crosses_a_minute_is_cut_where_the_readings_say() -> None:
    pipeline = Pipeline()
    pipeline.step(full(50, claim("pid:1", job("a")), counter(GPU, 50, 0), used("GPU-0", "pid:1", 50, 0)))
    pipeline.step(Batch(at(60), False, (counter(GPU, 60, 30),)))
    minutes = kept(pipeline.step(full(80, counter(GPU, 80, 100), used("GPU-0", "pid:1", 80, 30))))
    key = (job("a"), "GPU-0", "counter", "active")
    assert minutes[MINUTE].energy_uj == {key: 30_000_000}
    assert minutes[MINUTE + 60].energy_uj == {key: 70_000_000}
    assert (minutes[MINUTE].seen_ns["GPU-0", "counter"], minutes[MINUTE + 60].seen_ns["GPU-0", "counter"]) == (10 * S, 20 * S)


def test_a_minute_without_energy_in_a_long_cell_has_no_row_but_was_seen() -> None:
    pipeline = Pipeline()
    pipeline.step(full(58, gauge(GPU, 58, 0)))
    minutes = kept(pipeline.step(full(61, gauge(GPU, 61, 0))))
    assert all(not minute.energy_uj for minute in minutes.values())
    assert minutes.keys() == {MINUTE, MINUTE + 60}


def test_a_time_that_nobody_metered_was_not_seen() -> None:
    pipeline = Pipeline()
    # The register begins anew somewhere between second 1 and second 61.
    read = [(0, 0), (1, 100), (61, 3), (62, 13), (63, 23)]
    steps = [pipeline.step(full(second, counter(GPU, second, joules))) for second, joules in read]
    minutes = kept(*steps)
    assert [(gap.start, gap.end) for step in steps for gap in step.gaps] == [(at(1), at(61))]
    assert minutes[MINUTE].seen_ns["GPU-0", "counter"] == 1 * S
    assert minutes[MINUTE + 60].seen_ns["GPU-0", "counter"] == 2 * S


def test_a_wall_clock_that_was_stepped_moves_the_labels_and_no_joule() -> None:
    pipeline = Pipeline()
    pipeline.step(full(0, counter(GPU, 0, 0)))
    stepped = Instant(10 * S, WALL_NS + 10 * S - 3600 * S)
    reading = counter(GPU, 10, 50)._replace(at=stepped)
    minutes = kept(pipeline.step(Batch(stepped, True, (reading,))))
    assert minutes.keys() == {MINUTE - 3600}
    assert sum(uj for minute in minutes.values() for uj in minute.energy_uj.values()) == 50_000_000


def test_who_meters_a_tree_keeps_its_spans_part_and_nobody_elses() -> None:
    pipeline = Pipeline(own_only=True)
    first = full(0, claim("pid:1", TREE), claim("pid:2", RIVAL), counter(CPU, 0, 0), *both(0), enter(1, 0))
    steps = [pipeline.step(first), pipeline.step(full(1, counter(CPU, 1, 100), *both(1))), pipeline.step(full(2, leave(1, 2)))]
    energy = kept(*steps)[MINUTE].energy_uj
    assert {workload.job for workload, *_ in energy} == {"span 1"}
    assert sum(energy.values()) == 50_000_000


def test_what_a_tree_drew_outside_its_spans_is_in_no_runs_books() -> None:
    own, everybodys = Pipeline(own_only=True), Pipeline()
    batches = [
        full(0, claim("pid:1", TREE), counter(CPU, 0, 0), *both(0)),
        full(2, enter(1, 0.5), leave(1, 1.5), counter(CPU, 2, 100), *both(2)),
    ]
    energy = kept(*[own.step(batch) for batch in batches])[MINUTE].energy_uj
    assert {workload.job for workload, *_ in energy} == {"span 1"}
    assert sum(energy.values()) < sum(kept(*[everybodys.step(batch) for batch in batches])[MINUTE].energy_uj.values())


def both(time_s: float) -> tuple[Activity, Activity]:
    return used("cpu", "pid:1", time_s, time_s, "cpu_ns"), used("cpu", "pid:2", time_s, time_s, "cpu_ns")


def test_tokens_stand_in_the_minute_in_which_they_were_said() -> None:
    pipeline = Pipeline()
    works = [Work(job("a"), at(second), 1, 2, 3, 4, steps=5) for second in (1, 2, 61)]
    minutes = kept(pipeline.step(Batch(at(62), True, tuple(works))))
    assert minutes[MINUTE].work == {job("a"): [2, 4, 6, 8, 10]}
    assert minutes[MINUTE + 60].work == {job("a"): [1, 2, 3, 4, 5]}


def test_two_shares_of_one_name_are_one_sum() -> None:
    posted, curve = Posted(), EnergyCurve(Interval(GPU, at(0), at(1), 9, "counter"))
    curve.add(Interval(GPU, at(0), at(1), 9, "counter"))
    posted.lane(curve, at(1), "sm_ns")
    key: EnergyKey = (job("a"), "GPU-0", "counter", "active")
    posted.add(key, 4)
    posted.add(key, 5)
    assert posted.take()[MINUTE].energy_uj == {key: 9}
    assert posted.take() == {}


def test_parts_of_a_minute_add_up() -> None:
    first, second = Minute(), Minute()
    key = (job("a"), "GPU-0", "counter", "active")
    for minute in (first, second):
        minute.energy_uj[key], minute.seen_ns["GPU-0", "counter"], minute.shared_by["GPU-0"] = 5, 7, "sm_ns"  # type: ignore[index]
        minute.add_work(job("a"), (1, 0, 0, 2, 1))
        minute.add_tokens((job("a"), "gpu", "counter"), (1, 2, 3, 4))
        minute.weak.add(job("a"))
    first.add(second)
    assert (first.energy_uj, first.seen_ns) == ({key: 10}, {("GPU-0", "counter"): 14})
    assert first.work == {job("a"): [2, 0, 0, 4, 2]}
    assert first.tokens == {(job("a"), "gpu", "counter"): [2, 4, 6, 8]}
    assert first.weak == {job("a")}


def test_a_minute_in_which_a_device_drew_nothing_gives_nobody_a_row() -> None:
    pipeline = Pipeline()
    pipeline.step(full(55, claim("pid:1", job("a")), counter(CPU, 55, 0), *both(55)))
    pipeline.step(Batch(at(60), False, (counter(CPU, 60, 100),)))
    minutes = kept(pipeline.step(full(61, counter(CPU, 61, 100), *both(61))))
    assert minutes[MINUTE].energy_uj
    assert minutes[MINUTE + 60].energy_uj == {}


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 10**6), st.booleans()), min_size=1, max_size=30))
def test_all_minutes_together_are_what_the_devices_measured(stretches: list[tuple[int, int, bool]]) -> None:
    pipeline = Pipeline()
    now_s, joules = 0, 0
    steps = [pipeline.step(full(0, claim("pid:1", job("a")), counter(GPU, 0, 0), used("GPU-0", "pid:1", 0, 0)))]
    for seconds, joule, closes in stretches:
        now_s, joules = now_s + seconds, joules + min(joule, 300 * seconds)
        reading = counter(GPU, now_s, joules)
        busy = used("GPU-0", "pid:1", now_s, now_s / 3)
        steps.append(pipeline.step(Batch(at(now_s), closes, (reading, busy))))
    steps.append(pipeline.step(full(now_s + 1)))
    minutes = kept(*steps)
    assert sum(uj for minute in minutes.values() for uj in minute.energy_uj.values()) == joules * 1_000_000
    assert sum(minute.seen_ns.get(("GPU-0", "counter"), 0) for minute in minutes.values()) == now_s * S
    assert all(0 < minute.seen_ns["GPU-0", "counter"] <= 60 * S for minute in minutes.values())
