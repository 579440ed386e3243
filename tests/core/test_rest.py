"""The rest of the host as the node's own meter minus the parts: by hand, and whatever the meters do."""

from hypothesis import given
from hypothesis import strategies as st
from tests.core.made import CPU, RIVAL, TREE, claim, counter, factor, full, gauge, run, used

from wattledger.core.model import IDLE, UNATTRIBUTED, Device, Sample
from wattledger.core.pipeline import Pipeline
from wattledger.core.sharing import REST

J = 1_000_000
S = 1_000_000_000
NODE = Device("node/redfish", "node", "BMC", "(parts)", 10 * S)
OTHER = NODE._replace(id="node/ipmi")
SHARE = factor("rest_share", 0.2, unit="1")
OFFSET = factor("rest_offset", 3, unit="W")


def rest_j(pipeline: Pipeline) -> dict[str, float]:
    """Joules of the rest by method."""
    return {method: uj / J for (device, method), uj in pipeline.totals.device_energy_uj.items() if device == REST.id}


def shares_j(pipeline: Pipeline) -> dict[tuple[str, str], float]:
    return {(who.job, use): uj / J for (who, device, _, use), uj in pipeline.totals.energy_uj.items() if device == REST.id}


def watched(*at_s: int, first: tuple[Sample, ...] = (), last: tuple[Sample, ...] = ()) -> Pipeline:
    """A CPU of 20 W from second 0, a cell each second, and a node of 30 W whose meter is read at ``at_s``."""
    cells = []
    for s in range(max(at_s) + 1):
        extra = first if s == 0 else last if s == max(at_s) else ()
        cells.append(full(s, *extra, counter(CPU, s, 20 * s), *([gauge(NODE, s, 30)] if s in at_s else [])))
    return run(*cells)[0]


def test_the_rest_is_the_node_without_its_parts() -> None:
    pipeline = watched(0, 10, 20)
    assert rest_j(pipeline) == {"integrated": 200}
    assert pipeline.totals.subdevice_energy_uj == {(NODE.id, "integrated"): 600 * J}
    assert pipeline.totals.power_uw[REST.id] == 10 * J
    assert pipeline.totals.residual_uj()[REST.id] == 0
    assert pipeline.remainder.carry_uj == 0


def test_a_register_of_the_node_makes_a_counted_rest() -> None:
    cells = [full(s, counter(CPU, s, 20 * s), *([counter(NODE, s, 30 * s)] if s % 5 == 0 else [])) for s in range(11)]
    assert rest_j(run(*cells)[0]) == {"counter": 100}


def test_nothing_is_handed_out_before_the_meter_yields() -> None:
    pipeline = watched(0, 10)
    assert rest_j(pipeline) == {"integrated": 100}
    pipeline.step(full(11, counter(CPU, 11, 220)))
    assert rest_j(pipeline) == {"integrated": 100}


def test_parts_are_counted_over_the_same_time_as_the_node() -> None:
    """Readings fall between the ends of cells: the parts' energy is cut there."""
    cells = [full(0, counter(CPU, 0, 0)), full(1, counter(CPU, 1, 10), gauge(NODE, 0.5, 30))]
    cells += [full(s, counter(CPU, s, 10 + 40 * (s - 1))) for s in (2, 3)]
    cells += [full(4, counter(CPU, 4, 130), gauge(NODE, 3.5, 30))]
    # 90 J of the node in 3 s; of the parts half of 10 J, twice 40 J and half of 40 J.
    pipeline, _ = run(*cells)
    assert rest_j(pipeline) == {}
    assert pipeline.remainder.carry_uj == (90 - 105) * J


def test_what_is_missing_is_carried_and_never_negative() -> None:
    cells = [
        full(0, counter(CPU, 0, 0), counter(NODE, 0, 0)),
        full(1, counter(CPU, 1, 50), counter(NODE, 1, 30)),
        full(2, counter(CPU, 2, 60), counter(NODE, 2, 60)),
        full(3, counter(CPU, 3, 70), counter(NODE, 3, 90)),
    ]
    carried = []
    pipeline = Pipeline()
    for cell in cells:
        pipeline.step(cell)
        carried.append((pipeline.remainder.carry_uj // J, rest_j(pipeline).get("counter", 0)))
    assert carried == [(0, 0), (-20, 0), (0, 0), (0, 20)]


def test_the_rest_of_a_stretch_follows_who_worked_in_all_of_it() -> None:
    """pid 1 works in the first second alone, the meter yields at the end of the third."""
    cells = [
        full(0, claim("pid:1", TREE), claim("pid:2", RIVAL), counter(CPU, 0, 0), counter(NODE, 0, 0)),
        full(0.1, used("cpu", "pid:1", 0, 0, "cpu_ns"), used("cpu", "pid:2", 0, 0, "cpu_ns")),
        full(1, counter(CPU, 1, 60), used("cpu", "pid:1", 1, 1, "cpu_ns")),
        full(2, counter(CPU, 2, 70), used("cpu", "pid:2", 2, 1, "cpu_ns")),
        full(3, counter(CPU, 3, 80), used("cpu", "pid:2", 3, 2, "cpu_ns"), counter(NODE, 3, 160)),
    ]
    assert shares_j(run(*cells)[0]) == {(TREE.job, "active"): 60, (RIVAL.job, "active"): 20}


def test_the_constant_part_is_idle() -> None:
    pipeline = watched(0, 10, first=(SHARE, OFFSET))
    found = shares_j(pipeline)
    assert found[IDLE.job, "held"] == 30
    assert found[UNATTRIBUTED.job, "active"] == 70


def test_a_meter_that_delivers_puts_the_estimate_off() -> None:
    pipeline = watched(0, 10, 20, 30, first=(SHARE,))
    assert rest_j(pipeline) == {"integrated": 300}


def test_the_estimate_serves_until_the_first_reading_and_after_a_minute_of_silence() -> None:
    cells = [full(s, *((SHARE,) if not s else ()), counter(CPU, s, 20 * s)) for s in range(5)]
    cells += [full(5, counter(CPU, 5, 100), gauge(NODE, 5, 30))]
    cells += [full(s, counter(CPU, s, 20 * s)) for s in range(6, 76)]
    pipeline, _ = run(*cells)
    # 5 s before the meter was heard, and the cells that began more than a minute after.
    assert rest_j(pipeline) == {"estimated": (5 + 9) * 4}


def test_what_was_estimated_is_not_measured_again() -> None:
    """A register that was unreachable for 90 s tells of all of them, 60 s of which nothing was handed out for."""
    cells = [full(0, SHARE, counter(CPU, 0, 0), counter(NODE, 0, 0))]
    cells += [full(s, counter(CPU, s, 20 * s)) for s in range(1, 90)]
    cells += [full(90, counter(CPU, 90, 1800), counter(NODE, 90, 2700))]
    pipeline, _ = run(*cells)
    found = rest_j(pipeline)
    assert found == {"estimated": 28 * 4, "counter": 900 - 28 * 4}


def test_of_two_meters_a_register_goes_before_a_power_and_then_the_name_decides() -> None:
    counted = OTHER._replace(id="node/zz")
    cells = []
    for s in range(11):
        samples: list[Sample] = [counter(CPU, s, 20 * s), gauge(NODE, s, 30), gauge(OTHER, s, 40), counter(counted, s, 50 * s)]
        cells.append(samples)
    assert rest_j(run(*[full(s, *samples[:3]) for s, samples in enumerate(cells)])[0]) == {"integrated": 200}
    assert rest_j(run(*[full(s, *samples) for s, samples in enumerate(cells)])[0]) == {"counter": 300}


def test_a_second_meter_takes_over_without_a_hole() -> None:
    cells = []
    for s in range(201):
        meters = [gauge(OTHER, s, 30)] if s % 10 == 0 and s <= 100 else []
        meters += [gauge(NODE, s, 30)] if s % 10 == 0 else []
        cells.append(full(s, counter(CPU, s, 20 * s), *meters))
    assert rest_j(run(*cells)[0]) == {"integrated": 2000}


def test_what_one_meter_has_covered_is_not_told_by_another() -> None:
    counted = OTHER._replace(id="node/zz")
    pipeline, _ = run(
        full(0, counter(CPU, 0, 0), gauge(NODE, 0, 30), counter(counted, 0, 0)),
        full(2, counter(CPU, 2, 40), gauge(NODE, 2, 30)),
        full(3, counter(CPU, 3, 60), counter(counted, 1, 40)),
        full(4, counter(CPU, 4, 80), counter(counted, 4, 160)),
    )
    # The register goes before the power, but only from second 2 on.
    assert rest_j(pipeline) == {"integrated": 20, "counter": 40}


def test_of_a_time_long_past_nothing_is_told() -> None:
    """A register that did not move for 1000 cells: what the parts drew in the first 400 is forgotten, and so is its energy."""
    cells = [full(s, counter(CPU, s, 20 * s), counter(NODE, s, 0)) for s in range(1000)]
    pipeline, _ = run(*cells, full(1000, counter(CPU, 1000, 20_000), counter(NODE, 1000, 30_000)))
    assert rest_j(pipeline) == {"counter": 600 * 10}


def test_a_hole_of_the_meter_is_nobodys() -> None:
    pipeline = watched(0, 10, 50, 60)  # 40 s are longer than a power may be drawn as a line
    assert rest_j(pipeline) == {"integrated": 200}


def test_a_rest_that_is_switched_off_is_not_measured_either() -> None:
    pipeline = watched(0, 10, 20, first=(factor("rest_off", 1, unit="1"),))
    assert rest_j(pipeline) == {}
    assert pipeline.totals.subdevice_energy_uj == {(NODE.id, "integrated"): 600 * J}


def test_a_part_that_comes_late_is_carried() -> None:
    """The CPU's register could not be read for 10 s: its energy comes after the node's of the same time."""
    cells = [full(s, counter(NODE, s, 30 * s), *([counter(CPU, s, 20 * s)] if s in (0, 10, 11) else [])) for s in range(12)]
    pipeline, _ = run(*cells)
    assert rest_j(pipeline) == {"counter": 270}
    assert pipeline.remainder.carry_uj == -160 * J
    for s in range(12, 40):
        pipeline.step(full(s, counter(NODE, s, 30 * s), counter(CPU, s, 20 * s)))
    assert rest_j(pipeline) == {"counter": 390}
    assert pipeline.remainder.carry_uj == 0


def test_a_look_at_the_open_cell_changes_nothing() -> None:
    cells = [full(s, counter(CPU, s, 20 * s), *([gauge(NODE, s, 30)] if s % 5 == 0 else [])) for s in range(11)]
    looked, plain = Pipeline(), Pipeline()
    for cell in cells:
        looked.step(cell)
        looked.peek(cell.at)
        plain.step(cell)
    assert looked.totals.energy_uj == plain.totals.energy_uj


def test_a_register_that_stands_still_delivers_nothing_until_it_moves() -> None:
    cells = [full(s, *((SHARE,) if not s else ()), counter(CPU, s, 20 * s), counter(NODE, s, 0)) for s in range(101)]
    pipeline, _ = run(*cells)
    assert rest_j(pipeline) == {"estimated": 39 * 4}
    pipeline.step(full(101, counter(CPU, 101, 2020), counter(NODE, 101, 3030)))
    assert rest_j(pipeline) == {"estimated": 39 * 4, "counter": 1010 - 39 * 4}
    assert pipeline.remainder.carry_uj == 0


def test_a_suspect_reading_is_none() -> None:
    cells = [full(0, counter(CPU, 0, 0), counter(NODE, 0, 1000)), full(1, counter(CPU, 1, 20), counter(NODE, 1, 0))]
    pipeline, _ = run(*cells, full(2, counter(CPU, 2, 40), counter(NODE, 2, 30)))
    # A register that began anew is believed at its second reading, for the time between the two.
    assert rest_j(pipeline) == {"counter": 10}


def test_two_cells_that_end_at_one_instant_lose_nothing() -> None:
    cells = [full(0, counter(CPU, 0, 0), counter(NODE, 0, 0)), full(1, counter(NODE, 1, 30)), full(1, counter(CPU, 1, 20))]
    pipeline, _ = run(*cells, full(2, counter(CPU, 2, 40), counter(NODE, 2, 60)))
    assert rest_j(pipeline) == {"counter": 30}
    assert pipeline.remainder.carry_uj == -10 * J


def test_a_reading_stamped_after_its_cell_loses_nothing() -> None:
    cells = [full(0, counter(CPU, 0, 0), counter(NODE, 0, 0)), full(1, counter(CPU, 1, 20), counter(NODE, 1.5, 45))]
    pipeline, _ = run(*cells, full(2, counter(CPU, 2, 40), counter(NODE, 2, 60)))
    assert rest_j(pipeline) == {"counter": 25}
    assert pipeline.remainder.carry_uj == -5 * J


CELLS = st.lists(
    st.tuples(
        st.integers(1, 40 * S),  # length
        st.integers(0, 900 * J),  # energy of the CPU
        st.none() | st.integers(0, 2_000 * J),  # energy of the node, where its register is read
    ),
    min_size=1,
    max_size=30,
)


@given(CELLS, st.booleans())
def test_rest_and_parts_are_the_node_up_to_the_carry(cells: list[tuple[int, int, int | None]], estimate: bool) -> None:
    """Over all that the node's register tells, whatever was estimated meanwhile, to the microjoule."""
    node, cpu = NODE._replace(cap_uw=10**12), CPU._replace(cap_uw=10**12)
    pipeline = Pipeline()
    pipeline.step(full(0, *((SHARE, OFFSET) if estimate else ()), counter(cpu, 0, 0), counter(node, 0, 0)))
    at_ns, cpu_uj, node_uj = 0, 0, 0
    for length_ns, cpu_step_uj, node_step_uj in cells:
        at_ns, cpu_uj, node_uj = at_ns + length_ns, cpu_uj + cpu_step_uj, node_uj + (node_step_uj or 0)
        told = [counter(node, at_ns / S, node_uj / J)] if node_step_uj is not None else []
        pipeline.step(full(at_ns / S, counter(cpu, at_ns / S, cpu_uj / J), *told))
        sums = pipeline.totals.device_energy_uj
        if node_step_uj:
            assert pipeline.totals.subdevice_energy_uj.get((node.id, "counter"), 0) == node_uj
            assert sum(sums.values()) + pipeline.remainder.carry_uj == node_uj
        assert pipeline.remainder.carry_uj <= 0
        assert pipeline.totals.residual_uj().get(REST.id, 0) == 0


# Milliseconds of a cell, energy of the CPU, at which quarter of the cell the node is read, if it is.
ODD = st.tuples(st.integers(1, 5000), st.integers(0, 100 * J), st.integers(0, 4), st.booleans())


@given(st.lists(ODD, min_size=2, max_size=40))
def test_no_reading_between_two_cells_is_counted_twice(cells: list[tuple[int, int, int, bool]]) -> None:
    """The node is 50 W and read at odd times: what is handed out and what is carried never differ from it by more than the CPU drew
    in one cell."""
    cpu, pipeline = CPU._replace(cap_uw=10**12), Pipeline()
    pipeline.step(full(0, counter(cpu, 0, 0), gauge(NODE, 0, 50)))
    at_ns, cpu_uj, read_ns = 0, 0, 0
    most_uj = 0
    for length_ms, step_uj, quarter, read in cells:
        length_ns = length_ms * 1_000_000
        told_ns = at_ns + length_ns * quarter // 4
        told = [gauge(NODE, told_ns / S, 50)] if read else []
        at_ns, cpu_uj, most_uj = at_ns + length_ns, cpu_uj + step_uj, max(most_uj, step_uj)
        pipeline.step(full(at_ns / S, counter(cpu, at_ns / S, cpu_uj / J), *told))
        if read and told_ns > read_ns and told_ns - read_ns < 30 * S:
            read_ns = told_ns
            parts_uj = pipeline.totals.device_energy_uj.get((CPU.id, "counter"), 0)
            rest_uj = pipeline.totals.device_energy_uj.get((REST.id, "integrated"), 0)
            node_uj = pipeline.totals.subdevice_energy_uj[NODE.id, "integrated"]
            over_uj = parts_uj + rest_uj + pipeline.remainder.carry_uj - node_uj
            assert 0 <= over_uj <= most_uj
        elif read and told_ns > read_ns:
            return  # a hole: nobody's
