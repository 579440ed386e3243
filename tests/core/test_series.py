"""Series: admitted once, folded once, retired whole; the sums never change."""

from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.model import AGENT, IDLE, OTHER, RETIRED, Device, Instant, Work, Workload
from wattledger.core.series import Series
from wattledger.core.totals import State, Totals, led_in

JOBS = [Workload(f"job {n}") for n in range(6)]


def test_who_came_first_has_a_series_and_who_came_too_late_is_other_for_ever() -> None:
    series = Series(2, 100)
    assert [series.of(job, 1) for job in JOBS[:4]] == [*JOBS[:2], OTHER, OTHER]
    assert series.folded == 2
    assert series.ended(200, set) == sorted(JOBS[:2])
    assert series.of(JOBS[4], 201) == JOBS[4]
    series.of(JOBS[2], 202)
    assert series.of(JOBS[2], 202) == JOBS[2], "forgotten with the others, so it is born anew"


def test_a_folded_workload_stays_folded_while_it_lives() -> None:
    series = Series(1, 100)
    series.of(JOBS[0], 1)
    series.of(JOBS[1], 1)
    for at in range(50, 500, 50):
        assert series.of(JOBS[1], at) == OTHER
        series.ended(at, set)
    assert series.of(JOBS[2], 500) == JOBS[2]
    assert series.of(JOBS[1], 500) == OTHER


def test_reserved_workloads_need_no_admission() -> None:
    series = Series(0, 100)
    assert [series.of(w, 1) for w in (IDLE, AGENT, OTHER, JOBS[0])] == [IDLE, AGENT, OTHER, OTHER]


def test_labels_that_are_not_exported_make_no_series_of_their_own() -> None:
    series = Series(1, 100, labels=("team",))
    first = Workload("a", None, (("step", "1"), ("team", "x")))
    assert series.of(first, 1) == Workload("a", None, (("team", "x"),))
    assert series.of(Workload("a", None, (("step", "2"), ("team", "x"))), 1) == Workload("a", None, (("team", "x"),))
    assert series.of(Workload("a", None, (("team", "y"),)), 1) == OTHER


def test_somebody_who_lives_is_not_retired_however_quiet() -> None:
    series = Series(2, 100)
    series.of(JOBS[0], 1)
    assert series.ended(1_000, lambda: {JOBS[0]}) == []
    assert series.ended(1_050, set) == []
    assert series.ended(1_101, set) == [JOBS[0]]


def test_a_flood_of_names_is_not_remembered() -> None:
    series = Series(2, 100)
    for n in range(1_000):
        series.of(Workload(str(n)), 1)
    assert len(series._own) + len(series._folded) <= 22


def test_without_a_limit_everybody_is_shown_as_he_is() -> None:
    series = Series()
    labelled = Workload("a", None, (("step", "1"),))
    assert series.of(labelled, 1) == labelled
    assert series.ended(10**18, set) == []


@given(st.lists(st.tuples(st.sampled_from(JOBS), st.integers(0, 10**12)), max_size=20), st.sets(st.sampled_from(JOBS)))
def test_retiring_moves_sums_and_makes_none(given_uj: list[tuple[Workload, int]], gone: set[Workload]) -> None:
    totals = Totals()
    totals.devices["gpu"] = Device("gpu", "gpu", "card")
    for workload, uj in given_uj:
        totals.add((workload, "gpu", "counter", "active"), uj)
        totals.device_energy_uj["gpu", "counter"] = totals.device_energy_uj.get(("gpu", "counter"), 0) + uj
        totals.emissions_g[workload] = totals.emissions_g.get(workload, 0.0) + 1.0
        totals.add_work(Work(workload, Instant(1, 1), prompt_tokens=3))
    totals.retire(gone)
    assert not {key[0] for key in totals.energy_uj} & gone
    assert set(totals.residual_uj().values()) <= {0}
    assert sum(totals.emissions_g.values()) == len(given_uj)
    assert sum(work.prompt_tokens for work in totals.work.values()) == 3 * len(given_uj)
    assert (RETIRED in totals.work) == bool(gone & {w for w, _ in given_uj})


def test_a_new_series_is_shown_at_zero_before_it_grows() -> None:
    totals = Totals()
    totals.devices["gpu"] = Device("gpu", "gpu", "card")
    totals.add((JOBS[0], "gpu", "counter", "active"), 5)
    totals.device_energy_uj["gpu", "counter"] = 5
    before = totals.snapshot(State())
    totals.add((JOBS[1], "gpu", "counter", "active"), 7)
    totals.emissions_g[JOBS[1]] = 0.5
    totals.device_energy_uj["gpu", "counter"] = 12
    now = totals.snapshot(State())
    shown = led_in(before, now)
    assert shown.energy_uj == {(JOBS[0], "gpu", "counter", "active"): 5, (JOBS[1], "gpu", "counter", "active"): 0}
    assert shown.emissions_g == {JOBS[1]: 0.0}
    assert sum(shown.energy_uj.values()) == sum(shown.device_energy_uj.values())
    assert led_in(shown, now) is now


def test_two_that_end_together_need_not_compare() -> None:
    """A job whose model was not known at first, and the same with it."""
    series = Series(10, 100)
    pair = [Workload("job", None), Workload("job", "m"), Workload("job", None, (("team", "x"),))]
    for workload in pair:
        series.of(workload, 1)
    assert series.ended(200, set) == [pair[0], pair[2], pair[1]]
