"""How much to doubt a share, and what no sensor covers, by hand."""

from math import log

import pytest
from tests.core.made import CPU, GPU, RIVAL, TREE, S, at, claim, counter, enter, factor, floor, full, holding, leave, run, used

from wattledger.core.attribution import Cell
from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import IDLE, UNATTRIBUTED, Factor, Interval, Workload
from wattledger.core.pipeline import Pipeline
from wattledger.core.sharing import REST, SHARE_G95, LaneShares, rest_interval, slicing, spread_of, table_doubt_uj
from wattledger.core.spans import Slice
from wattledger.core.totals import DeviceKey

J = 1_000_000


def cell(weights: dict[Workload, int], energy_j: float = 100, floor_w: float | None = None, length_s: float = 1) -> Cell:
    return Cell(round(energy_j * J), round(length_s * S), weights, {}, None if floor_w is None else round(floor_w * J))


def test_a_share_is_doubted_by_how_it_was_counted_and_by_what_others_used() -> None:
    assert spread_of(cell({TREE: 1, RIVAL: 3}), TREE, "sm_ns") == pytest.approx(0.75 * log(1.7))
    assert spread_of(cell({TREE: 1, RIVAL: 3}), TREE, "context_ns") == pytest.approx(0.75 * log(3.0))
    assert set(SHARE_G95) == {"cpu_ns", "cycles", "byte_ns", "sm_ns", "context_ns"}


def test_where_there_is_nobody_to_share_with_there_is_no_doubt() -> None:
    assert spread_of(cell({TREE: 5}), TREE, "sm_ns") == 0
    assert spread_of(cell({TREE: 1, RIVAL: 1}), TREE, "a way not known") == 0


def test_a_tables_floor_is_doubted_by_half_as_far_as_it_is_ones_own() -> None:
    assert table_doubt_uj(cell({TREE: 1, RIVAL: 3}), TREE, 40 * J) == 5 * J
    assert table_doubt_uj(cell({}), TREE, 40 * J) == 0


def rest_factors(share: float | None = 0.2, offset_w: float | None = 30) -> dict[str, Factor]:
    found = {}
    if share is not None:
        found["rest_share"] = factor("rest_share", share, unit="1")
    if offset_w is not None:
        found["rest_offset"] = factor("rest_offset", offset_w, unit="W")
    return found


def shares(energy_j: float) -> LaneShares:
    found = LaneShares()
    found.energy_uj = round(energy_j * J)
    return found


def test_the_rest_is_a_part_of_what_was_seen_and_a_constant() -> None:
    found = rest_interval(rest_factors(), shares(100), 2 * S, at(4))
    assert found is not None
    curve, idle_uj = found
    assert (curve.device, curve.method, curve.energy_uj, idle_uj) == (REST, "estimated", 80 * J, 60 * J)
    assert curve.span_ns == 2 * S


def test_a_rest_without_a_constant_is_only_a_part() -> None:
    found = rest_interval(rest_factors(offset_w=None), shares(100), 0, at(1))
    assert found is not None
    assert (found[0].energy_uj, found[1]) == (20 * J, 0)


def test_where_nothing_was_seen_the_rest_is_not_known() -> None:
    assert rest_interval(rest_factors(), shares(0), 0, at(1)) is None
    assert rest_interval(rest_factors(share=None), shares(100), 0, at(1)) is None
    assert rest_interval(rest_factors(), shares(100), S, at(1)) is None


def rest_j(pipeline: Pipeline) -> dict[tuple[str, str], float]:
    return {(who.job, use): uj / J for (who, device, _, use), uj in pipeline.totals.energy_uj.items() if device == REST.id}


def test_the_rest_follows_what_the_sensors_saw_and_its_constant_is_paid_by_who_holds_the_cpu() -> None:
    pipeline, spans = run(
        full(
            0,
            claim("pid:1", TREE),
            claim("pid:2", RIVAL),
            *rest_factors().values(),
            counter(CPU, 0, 0),
            counter(GPU, 0, 0),
            used("cpu", "pid:1", 0, 0),
            used("cpu", "pid:2", 0, 0),
            holding("cpu", "pid:1", 0.5),
            enter(1, 0),
        ),
        full(2, leave(1, 1), counter(CPU, 2, 60), counter(GPU, 2, 40), used("cpu", "pid:1", 2, 1), used("cpu", "pid:2", 2, 2)),
    )
    # 0.2 x 100 J by 20 : 40 : 40 (the GPU's, nobody's), and 30 W x 2 s half to the holder, half to nobody.
    key: DeviceKey = REST.id, "estimated"
    assert pipeline.totals.device_energy_uj[key] == 80 * J
    assert rest_j(pipeline) == {
        ("span 1", "active"): 2,
        ("span 1", "held"): 15,
        (TREE.job, "active"): 2,
        (TREE.job, "held"): 15,
        (RIVAL.job, "active"): 8,
        (UNATTRIBUTED.job, "active"): 8,
        (IDLE.job, "held"): 30,
    }
    assert pipeline.totals.power_uw[REST.id] == 40 * J
    assert spans[1].lanes[key].device_uj == 40 * J
    assert pipeline.totals.residual_uj()[REST.id] == 0


def test_a_rest_without_a_cpu_that_is_read_is_idle_for_nobody() -> None:
    pipeline, _ = run(full(0, *rest_factors().values(), counter(GPU, 0, 0)), full(1, counter(GPU, 1, 100)))
    assert rest_j(pipeline) == {
        (UNATTRIBUTED.job, "active"): 20,
        (IDLE.job, "held"): 30,
    }


def estimated(energy_j: float, length_s: float) -> EnergyCurve:
    interval = Interval(CPU, at(0), at(length_s), round(energy_j * J), "estimated")
    found = EnergyCurve(interval)
    found.add(interval)
    return found


def piece(start_s: float, end_s: float, cpu_s: float | None) -> Slice:
    return Slice(round(start_s * S), round(end_s * S), (), (), None if cpu_s is None else round(cpu_s * S))


def test_a_models_energy_follows_what_ran() -> None:
    """100 J of a model in 2 s, of which 40 J are idle; all the work was done in the first half second."""
    pieces = [piece(0, 0.5, 1.0), piece(0.5, 2, 0.0)]
    found = slicing(estimated(100, 2), cell({TREE: S}, 100, 20, 2), TREE, pieces)
    assert found.idles_uj == [10 * J, 30 * J]
    assert found.energies_uj == [70 * J, 30 * J]
    assert found.weights == [60 * J, 0]


def test_a_model_without_a_clock_follows_time() -> None:
    pieces = [piece(0, 0.5, None), piece(0.5, 2, 1.0)]
    found = slicing(estimated(100, 2), cell({TREE: S}, 100, 20, 2), TREE, pieces)
    assert found.energies_uj == [25 * J, 75 * J]
    assert found.weights == [15 * J, 45 * J]


def test_where_all_is_idle_a_part_follows_the_energy_and_else_the_time() -> None:
    pieces = [piece(0, 0.5, None), piece(0.5, 2, None)]
    assert slicing(estimated(20, 2), cell({}, 20, 20, 2), TREE, pieces).weights == [5 * J, 15 * J]
    clocked = [piece(0, 0.5, 1.0), piece(0.5, 2, 0.0)]
    assert slicing(estimated(20, 2), cell({TREE: S}, 20, 20, 2), TREE, clocked).idles_uj == [5 * J, 15 * J]
    assert slicing(estimated(0, 2), cell({}, 0, 20, 2), TREE, pieces).weights == [S // 2, 3 * S // 2]


def test_clocked_slices_in_which_nobody_ran_follow_the_energy() -> None:
    pieces = [piece(0, 0.5, 0.0), piece(0.5, 2, 0.0)]
    interval = Interval(CPU, at(0), at(2), 100 * J, "counter")
    curve = EnergyCurve(interval)
    curve.add(interval)
    assert slicing(curve, cell({}, 100, 20, 2), TREE, pieces).weights == [25 * J, 75 * J]


def test_a_floor_from_a_table_puts_a_doubt_on_the_spans_it_touches() -> None:
    def doubt_j(n: int) -> float:
        _, spans = run(
            full(0, claim("pid:1", TREE), floor(CPU, 20, n), counter(CPU, 0, 0), used("cpu", "pid:1", 0, 0, "cpu_ns"), enter(1, 0)),
            full(4, leave(1, 1), counter(CPU, 4, 400), used("cpu", "pid:1", 4, 4, "cpu_ns")),
        )
        return spans[1].lanes[CPU.id, "counter"].doubt_uj / J

    assert doubt_j(n=0) == pytest.approx(10)  # half of 80 J, a quarter of the time
    assert doubt_j(n=1) == 0
