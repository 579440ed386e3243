"""Energy that waits for its engine's reading."""

from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.served.gathered import Gathered


def test_a_cell_that_goes_on_is_cut_by_time() -> None:
    gathered = Gathered()
    gathered.add(0, 100, 1000, 300)
    gathered.add(100, 200, 500, 0)
    assert gathered.take(125) == (1125, 300)
    assert (gathered.energy_uj, gathered.ends_ns) == (375, 200)
    assert gathered.take(125) == (0, 0)
    assert gathered.take(200) == (375, 0)


def test_a_hole_between_two_cells_has_no_energy() -> None:
    gathered = Gathered()
    gathered.add(0, 100, 10, 10)
    gathered.add(150, 200, 20, 0)
    assert gathered.take(150) == (10, 10)
    assert gathered.take(1_000) == (20, 0)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9), st.integers(0, 1000), st.integers(0, 1000)), max_size=9),
    st.lists(st.integers(0, 100), max_size=9),
)
def test_what_is_taken_and_what_is_left_are_what_was_added(cells: list[tuple[int, int, int, int]], cuts: list[int]) -> None:
    gathered, at_ns, whole_uj, whole_held = Gathered(), 0, 0, 0
    for gap, length, uj, held in cells:
        gathered.add(at_ns + gap, at_ns + gap + length, uj, min(uj, held))
        at_ns += gap + length
        whole_uj, whole_held = whole_uj + uj, whole_held + min(uj, held)
    taken = [gathered.take(cut) for cut in sorted(cuts)]
    assert sum(uj for uj, _ in taken) + gathered.energy_uj == whole_uj
    assert all(0 <= held <= uj for uj, held in taken)
    rest_uj, rest_held = gathered.take(10**9)
    assert sum(held for _, held in taken) + rest_held == whole_held
    assert gathered.energy_uj == 0
    assert rest_uj == whole_uj - sum(uj for uj, _ in taken)
