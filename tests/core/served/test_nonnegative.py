"""The exact solver, against all 2^n active sets."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.served.nonnegative import cholesky, dot, inverse, minimise, product, quadratic, solve

Array = npt.NDArray[np.float64]


def problem(size: int, seed: int, like: float) -> tuple[Array, Array]:
    """A positive definite matrix, its columns alike (0: not at all, 1: the same) and of very different units, and a target."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(size + 3, 1))
    rows = (like * common + (1 - like) * rng.normal(size=(size + 3, size))) * 10 ** rng.uniform(-3, 3, size)
    return rows.T @ rows, rows.T @ rng.normal(size=size + 3)


def best(a: Array, v: Array) -> float:
    """The least value over all active sets whose answer is not negative."""
    values = [0.0]
    for count in range(1, len(v) + 1):
        for free in map(list, combinations(range(len(v)), count)):
            x = np.linalg.solve(a[np.ix_(free, free)], v[free])
            if (x >= 0).all():
                values.append(float(-v[free] @ x))
    return min(values)


@given(st.integers(1, 8), st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 0.9, 0.99]), st.sets(st.integers(0, 7)))
def test_no_active_set_does_better(size: int, seed: int, like: float, start: set[int]) -> None:
    a, v = problem(size, seed, like)
    x, free = minimise(a.tolist(), v.tolist(), [i for i in start if i < size])
    found = np.array(x)
    assert (found >= 0).all()
    assert not any(x[i] for i in range(size) if i not in free)
    least = best(a, v)
    assert found @ a @ found - 2 * v @ found == pytest.approx(least, rel=1e-6, abs=1e-9 * abs(least))


@given(st.integers(1, 6), st.integers(0, 1_000), st.sets(st.integers(0, 5)))
def test_the_answer_does_not_depend_on_where_it_starts(size: int, seed: int, start: set[int]) -> None:
    a, v = problem(size, seed, 0.5)
    cold, warm = minimise(a.tolist(), v.tolist()), minimise(a.tolist(), v.tolist(), [i for i in start if i < size])
    assert warm[1] == cold[1]
    assert warm[0] == pytest.approx(cold[0])


@given(st.integers(1, 6), st.integers(0, 1_000), st.integers(0, 3))
def test_an_answer_cut_short_is_still_not_negative(size: int, seed: int, rounds: int) -> None:
    a, v = problem(size, seed, 0.9)
    assert min(minimise(a.tolist(), v.tolist(), range(size), rounds=rounds)[0]) >= 0


def test_what_never_came_is_held_at_zero() -> None:
    assert minimise([[4.0, 0.0], [0.0, 0.0]], [8.0, 5.0]) == ([2.0, 0.0], (0,))
    assert minimise([], []) == ([], ())


def test_units_change_no_answer() -> None:
    a, v = [[2.0, 1.0], [1.0, 2.0]], [3.0, 3.0]
    assert minimise(a, v)[0] == pytest.approx([1.0, 1.0])
    scaled = [[2e-12, 1.0], [1.0, 2e12]]
    assert minimise(scaled, [3e-6, 3e6])[0] == pytest.approx([1e6, 1e-6])
    assert inverse(scaled, (0, 1))[1] == pytest.approx(inverse(a, (0, 1))[1])


def test_two_columns_that_are_one_do_not_blow_up() -> None:
    x, _ = minimise([[1.0, 1.0], [1.0, 1.0]], [2.0, 2.0])
    assert sum(x) == pytest.approx(2.0)
    assert inverse([[1.0, 1.0], [1.0, 1.0]], (0, 1))[1] > 1e6


@given(st.integers(1, 6), st.integers(0, 1_000), st.sets(st.integers(0, 5)))
def test_the_inverse_is_that_of_the_free_set(size: int, seed: int, kept: set[int]) -> None:
    a, _ = problem(size, seed, 0.5)
    free = sorted(i for i in kept if i < size)
    found, condition = inverse(a.tolist(), free)
    for i in range(size):
        for j in range(size):
            if i not in free or j not in free:
                assert found[i][j] == 0
    if free:
        part = a[np.ix_(free, free)]
        units = np.sqrt(np.outer(np.diag(part), np.diag(part)))
        assert condition == pytest.approx(np.linalg.cond(part / units, 1))
        ours, numpys = np.array(found)[np.ix_(free, free)] * units, np.linalg.inv(part / units)
        assert ours.ravel() == pytest.approx(numpys.ravel(), rel=1e-5, abs=1e-9)
    else:
        assert condition == 1


def test_nothing_on_the_diagonal_is_not_free() -> None:
    assert inverse([[4.0, 0.0], [0.0, 0.0]], (0, 1)) == ([[0.25, 0.0], [0.0, 0.0]], 1.0)


def test_a_factor_solves_its_matrix() -> None:
    a = [[1.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 1.0]]
    lower = cholesky(a)
    assert product(a, [[x] for x in solve(lower, [1.0, 2.0, 3.0])]) == [[pytest.approx(k)] for k in (1.0, 2.0, 3.0)]


def test_a_variance_is_not_negative() -> None:
    assert quadratic([[4.0, 1.0], [1.0, 9.0]], [1.0, 2.0]) == 4 + 4 + 36
    assert quadratic([[-1e-20]], [1.0]) == 0
    assert dot([1.0, 2.0], [3.0, 4.0]) == 11
