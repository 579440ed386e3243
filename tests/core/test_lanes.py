"""A device's energy as a curve: cuts telescope, rests are not zeros, and what lands at once was drawn over a refresh period."""

from hypothesis import given
from hypothesis import strategies as st
from tests.core.made import CPU, GPU, S, at

from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import Device, Interval, Method

J = 1_000_000
Stretch = tuple[float, float, float]  # start, end, joules


def curve(device: Device, *stretches: Stretch, method: Method = "counter") -> EnergyCurve:
    intervals = [Interval(device, at(a), at(b), round(j * J), method) for a, b, j in stretches]
    found = EnergyCurve(intervals[0])
    for interval in intervals:
        found.add(interval)
    return found


def cut_j(found: EnergyCurve, *ends_s: float) -> list[float]:
    """As at the end of a cell."""
    found.close()
    return [uj / J for uj in found.cut([round(end * S) for end in ends_s])]


def test_a_straight_line_is_cut_by_time() -> None:
    assert cut_j(curve(CPU, (0, 10, 100)), 1, 4, 10) == [10, 30, 60]


def test_readings_between_cuts_are_kept() -> None:
    found = curve(CPU, (0, 1, 10), (1, 2, 90), (2, 3, 0.5))
    assert cut_j(found, 1, 2, 3) == [10, 90, 0.5]
    assert cut_j(found, 0.5, 1.5, 2.5, 3) == [5, 50, 45.25, 0.25]


def test_one_slice_is_everything() -> None:
    assert cut_j(curve(CPU, (0, 1, 10), (1, 2, 90)), 99) == [100]


def test_the_first_cut_begins_with_the_curve_and_the_last_ends_with_it() -> None:
    found = curve(CPU, (1, 2, 10), (2, 3, 20))
    assert cut_j(found, 0.5, 1.5, 9) == [0, 5, 25]
    assert cut_j(found, 5, 6) == [30, 0]
    assert cut_j(found, 3, 4) == [30, 0]


@given(
    st.lists(st.tuples(st.integers(1, 10**10), st.integers(0, 10**12), st.booleans()), min_size=1, max_size=20),
    st.lists(st.integers(0, 2 * 10**11), min_size=1, max_size=20).map(sorted),
)
def test_cuts_are_telescopic(steps: list[tuple[int, int, bool]], ends_ns: list[int]) -> None:
    """Stretches that cover the cell sum to it as ints, none is negative, and a finer cut adds up to the coarser one."""
    at_ns, total_uj = 0, 0
    found: EnergyCurve | None = None
    for length_ns, energy_uj, hole in steps:
        start_ns = at_ns + (length_ns if hole else 0)
        at_ns = start_ns + length_ns
        total_uj += energy_uj
        start, end = at(0)._replace(mono_ns=start_ns), at(0)._replace(mono_ns=at_ns)
        interval = Interval(GPU, start, end, energy_uj, "counter")
        found = found or EnergyCurve(interval)
        found.add(interval)
    assert found is not None
    found.close()
    parts = found.cut(ends_ns)
    assert sum(parts) == total_uj == found.energy_uj
    assert min(parts) >= 0
    coarse = found.cut(ends_ns[::2] if len(ends_ns) % 2 else ends_ns[1::2])
    first = 0 if len(ends_ns) % 2 else 1
    assert coarse == [sum(parts[max(0, i - 1) : i + 1]) for i in range(first, len(ends_ns), 2)]


def test_energy_that_lands_after_a_rest_belongs_to_the_whole_rest() -> None:
    # NVML did not move at 0.03 and 0.06 s, and showed 40 J at 0.1 s: a span of 30 ms had 12 J of them.
    found = curve(GPU, (0, 0.03, 0), (0.03, 0.06, 0), (0.06, 0.1, 40))
    assert cut_j(found, 0.03, 0.06, 0.1) == [12, 12, 16]


def test_what_landed_twice_within_one_refresh_period_is_one_stretch() -> None:
    found = curve(GPU, (0, 0.1, 40), (0.1, 0.11, 40))
    assert cut_j(found, 0.055, 0.11) == [40, 40]


def test_knots_a_refresh_period_apart_are_kept() -> None:
    assert cut_j(curve(GPU, (0, 0.1, 40), (0.1, 0.2, 10)), 0.1, 0.2) == [40, 10]
    assert cut_j(curve(GPU, (0, 0.05, 40), (0.05, 0.1, 10), (0.1, 0.2, 30)), 0.05, 0.1, 0.2) == [25, 25, 30]


def test_an_integrated_curve_follows_each_of_its_readings() -> None:
    found = curve(GPU, (0, 0.1, 40), (0.1, 0.11, 0), (0.11, 0.12, 9), method="integrated")
    assert cut_j(found, 0.1, 0.11, 0.12) == [40, 0, 9]


def test_a_hole_is_flat() -> None:
    found = curve(CPU, (0, 1, 10), (5, 6, 10))
    assert cut_j(found, 1, 5, 6) == [10, 0, 10]


def test_a_rest_before_a_hole_ends_where_it_was_last_seen() -> None:
    found = curve(CPU, (0, 1, 10), (1, 2, 0), (5, 6, 10))
    assert cut_j(found, 1, 2, 5, 6) == [10, 0, 0, 10]
    assert found.span_ns == 6 * S


def test_closing_twice_is_closing_once() -> None:
    found = curve(GPU, (0, 1, 10), (1, 1.05, 0), (4, 5, 10))
    found.close()
    assert cut_j(found, 1, 4, 5) == [10, 0, 10]


def test_at_its_end_a_rest_shorter_than_the_refresh_period_shares_what_landed_last() -> None:
    # 40 J over 0.15 s, of which the span had two thirds; the microjoule that does not divide is the later one's.
    assert cut_j(curve(GPU, (0, 0.1, 40), (0.1, 0.15, 0)), 0.1, 0.15) == [26.666666, 13.333334]


def test_at_its_end_a_longer_rest_is_a_rest() -> None:
    assert cut_j(curve(GPU, (0, 0.1, 40), (0.1, 0.9, 0)), 0.1, 0.9) == [40, 0]


def test_a_cell_in_which_nothing_moved_has_no_energy_but_a_length() -> None:
    found = curve(GPU, (0, 0.05, 0))
    assert (found.span_ns, found.energy_uj, found.mean_uw()) == (S // 20, 0, 0)
    assert cut_j(found, 0.02, 0.05) == [0, 0]


def test_a_new_cell_begins_where_the_last_one_ended() -> None:
    found = curve(CPU, (0, 1, 10))
    found.restart()
    assert (found.span_ns, found.energy_uj, found.end_ns) == (0, 0, S)
    assert found.mean_uw() == 0
    found.add(Interval(CPU, at(1), at(2), 7 * J, "counter"))
    assert cut_j(found, 1.5, 2) == [3.5, 3.5]


def test_a_cell_may_end_in_a_rest_and_the_next_begins_there() -> None:
    found = curve(GPU, (0, 1, 100), (1, 1.2, 0))
    found.restart()
    assert found.end_ns == round(1.2 * S)


def test_mean_power_of_a_cell_is_known_to_the_next() -> None:
    found = curve(GPU, (0, 2, 600))
    assert (found.mean_uw(), found.known_uw) == (300 * J, None)
    found.restart()
    assert found.known_uw == 300 * J


def test_a_cell_too_short_or_too_still_to_see_teaches_no_power() -> None:
    found = curve(GPU, (0, 2, 600))
    found.restart()
    found.add(Interval(GPU, at(2), at(2.05), 40 * J, "counter"))
    found.restart()
    assert found.known_uw == 300 * J
    found.add(Interval(GPU, at(2.05), at(2.55), 0, "counter"))
    found.restart()
    assert found.known_uw == 300 * J
