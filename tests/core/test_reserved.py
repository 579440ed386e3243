"""Device time goes to whom it was for, to the last nanosecond; grams are that time at the device's rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.made import (
    CPU,
    GPU,
    RIVAL,
    TREE,
    S,
    claim,
    counter,
    enter,
    factor,
    floor,
    full,
    holding,
    leave,
    run,
    used,
)
from tests.core.metered import DEVICES, IDENTITY, gain_of

from wattledger.core.footprint import assemble
from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import IDLE, RETIRED, Device, Factor, Instant, Interval, Sample, Workload
from wattledger.core.pipeline import Pipeline
from wattledger.core.reserved import HOST, NS_PER_H, Service, paying, share_of
from wattledger.core.totals import State, led_in

A, B = Workload("a"), Workload("b")


def rate(binding: str, g_per_h: float, g95: float = 1.5, high: float = 0.0, origin: str = "vendor") -> Factor:
    return Factor("embodied", binding, g_per_h, "gCO2e/h", "cradle-to-gate", origin, "2025", "pcf", g95, g95_high=high)


def test_a_holder_pays_for_all_the_time_that_it_holds() -> None:
    assert paying({A: 500, B: 300}, {A: 100}) == {A: 100}


def test_what_nobody_holds_is_its_users_by_use_and_else_idle() -> None:
    # 60 of idle, 40 of use: 40 % of the time was worked in.
    assert paying({A: 30, B: 10}, {IDLE: 60}) == {A: 30, B: 10, IDLE: 60}


def test_a_part_held_is_the_holders_and_the_other_part_goes_by_use() -> None:
    found = paying({A: 20, B: 20}, {A: 50, IDLE: 50})
    whole = sum(found.values())
    # Half by holding; of the other half, (20 + 20) / 90 by use.
    assert found[A] / whole == pytest.approx(0.5 + 0.5 * 20 / 90)
    assert found[B] / whole == pytest.approx(0.5 * 20 / 90)
    assert found[IDLE] / whole == pytest.approx(0.5 * 50 / 90)


def test_without_a_known_idle_draw_use_alone_pays() -> None:
    assert paying({A: 3, B: 1, IDLE: 0}, {}) == {A: 3, B: 1}


def test_nothing_drawn_is_nobodys() -> None:
    assert paying({A: 0}, {}) == {}


UJ = st.integers(0, 10**12)
WHO = st.sampled_from([A, B, Workload("c"), IDLE])


@given(st.dictionaries(WHO, UJ), st.dictionaries(WHO, UJ), st.integers(0, 10**15))
def test_a_devices_time_is_handed_out_to_the_last_nanosecond(
    active: dict[Workload, int], held: dict[Workload, int], length_ns: int
) -> None:
    service = Service({}, [A, B, Workload("c"), IDLE])
    weights = paying(active, held)
    service.hand_out("gpu", length_ns, weights)
    handed = sum(ns for tree in service.trees.values() for ns in tree.values())
    assert handed == (length_ns if weights else 0)
    assert all(weight >= 0 for weight in weights.values())


def an_hour(*more: Sample) -> Pipeline:
    """One program holds a GPU for an hour, beside a CPU that nobody holds and that it keeps busy for a quarter."""
    pipeline, _ = run(
        full(
            0, claim("pid:1", TREE), floor(GPU, 40), floor(CPU, 10), holding(GPU.id, "pid:1", 1.0), counter(GPU, 0, 0),
            counter(CPU, 0, 0), used(GPU.id, "pid:1", 0, 0), used("cpu", "pid:1", 0, 0, "cpu_ns"), *more,
        ),
        full(
            3600, counter(GPU, 3600, 1_000_000), counter(CPU, 3600, 48_000), used(GPU.id, "pid:1", 3600, 900),
            used("cpu", "pid:1", 3600, 900, "cpu_ns"),
        ),
    )  # fmt: skip
    return pipeline


def test_an_exclusive_hour_is_the_devices_hour() -> None:
    # NVIDIA's H100: 164 kg over 4 years are 4.680 g an hour (carbon.md section 9, example 20).
    pipeline = an_hour(rate(GPU.id, 164_000 / 35_040))
    assert pipeline.totals.embodied_g == {TREE: pytest.approx(4.6804, abs=1e-4)}


def test_a_device_that_nobody_holds_leaves_its_idle_time_to_nobody() -> None:
    pipeline = an_hour(rate(CPU.id, 10.0))
    # 36 kJ of idle, 12 kJ of use in 48 kJ: a quarter of the time.
    assert pipeline.totals.embodied_g[TREE] == pytest.approx(10 * 12 / 48)
    assert pipeline.totals.embodied_g[IDLE] == pytest.approx(10 * 36 / 48)


def test_the_host_follows_all_its_devices() -> None:
    pipeline = an_hour(rate(HOST, 100.0))
    idle, tree = pipeline.totals.embodied_g[IDLE], pipeline.totals.embodied_g[TREE]
    assert idle + tree == pytest.approx(100)
    used_j, held_j, free_j = (1_000_000 - 40 * 3600) + 12_000, 40 * 3600, 36_000
    free = free_j / (held_j + free_j)
    assert idle == pytest.approx(100 * free * free_j / (used_j + free_j))


def test_no_rate_no_grams() -> None:
    assert an_hour().totals.embodied_g == {}


def test_a_rate_that_is_over_counts_for_nothing() -> None:
    assert an_hour(rate(GPU.id, 0.0)._replace(quality="unknown")).totals.embodied_g == {}


def spans() -> tuple[Pipeline, dict[int, float]]:
    """An hour's run, with an inner run over its second half."""
    pipeline, settled = run(
        full(0, claim("pid:1", TREE), floor(GPU, 40), holding(GPU.id, "pid:1", 1.0), counter(GPU, 0, 0), rate(GPU.id, 8.0)),
        full(1, counter(GPU, 1, 100), enter(1, 1)),
        full(3601, counter(GPU, 3601, 360_000), enter(2, 1801, parent=1), leave(2, 3601), leave(1, 3601)),
        full(3602, counter(GPU, 3602, 360_100)),
    )
    return pipeline, {span: account.reserved_ns[GPU.id] for span, account in settled.items()}


def test_a_run_holds_its_inner_runs_time() -> None:
    pipeline, reserved_ns = spans()
    assert reserved_ns == {1: pytest.approx(3600 * S), 2: pytest.approx(1800 * S)}
    made = pipeline.totals.embodied_g
    # What each span had for itself, and what the tree had outside of them (two seconds).
    assert sum(made.values()) == pytest.approx(8.0 * 3602 / 3600)


def test_a_span_that_bears_its_trees_name_takes_nothing_from_it() -> None:
    inner = enter(1, 50)._replace(workload=TREE)
    pipeline, _ = run(
        full(0, claim("pid:1", TREE), floor(GPU, 40), holding(GPU.id, "pid:1", 1.0), counter(GPU, 0, 0), rate(GPU.id, 36.0)),
        full(100, counter(GPU, 100, 10_000), inner),
    )
    assert pipeline.totals.embodied_g == {TREE: pytest.approx(1.0)}


def test_concurrent_runs_share_the_time_equally() -> None:
    _, settled = run(
        full(0, claim("pid:1", TREE), floor(GPU, 40), holding(GPU.id, "pid:1", 1.0), counter(GPU, 0, 0)),
        full(10, counter(GPU, 10, 1000), enter(1, 0), enter(2, 0), leave(1, 10), leave(2, 10)),
    )
    assert {span: account.reserved_ns[GPU.id] for span, account in settled.items()} == {1: 5 * S, 2: 5 * S}


def test_a_footprint_says_its_share_and_by_which_figures() -> None:
    _, settled = run(
        full(0, claim("pid:1", TREE), floor(GPU, 40), holding(GPU.id, "pid:1", 1.0), counter(GPU, 0, 0)),
        full(3600, counter(GPU, 3600, 360_000), enter(1, 0), leave(1, 3600)),
    )
    rates = {GPU.id: rate(GPU.id, 4.68, 1.5, 3.5), "gone": rate("gone", 9.0)}
    account = settled[1]
    assert account.left is not None
    found = assemble(IDENTITY, account, DEVICES, end=account.left, terms=[], gain_of=gain_of, mismatch_g95=1.0, rates=rates)
    assert found.emissions_g["embodied"] == pytest.approx((4.68, 4.68 / 1.5, 4.68 * 3.5))
    assert found.factors[-1] == rates[GPU.id]
    who = IDENTITY._replace(scope="host")
    whole = assemble(who, account, DEVICES, end=account.left, terms=[], gain_of=gain_of, mismatch_g95=1.0, rates=rates)
    assert whole.emissions_g["embodied"].value == pytest.approx(4.68 + 9.0)


def test_figures_of_one_origin_are_off_together() -> None:
    hour = float(NS_PER_H)
    alike = share_of({"a": hour, "b": hour}, {"a": rate("a", 1.0, 2.0), "b": rate("b", 1.0, 2.0)})
    apart = share_of({"a": hour, "b": hour}, {"a": rate("a", 1.0, 2.0), "b": rate("b", 1.0, 2.0, origin="another")})
    assert alike is not None
    assert apart is not None
    assert alike.grams == (2.0, 1.0, 4.0)
    assert apart.grams.low > 1.0
    assert apart.grams.high < 4.0


def test_nothing_is_known_of_devices_without_a_figure() -> None:
    assert share_of({"a": 1.0}, {}) is None
    assert share_of({"a": 1.0}, {"a": rate("a", 0.0)._replace(quality="unknown")}) is None


def test_water_is_counted_where_it_evaporates() -> None:
    water = [factor("water_onsite", 0.5, unit="L/kWh"), factor("water_offsite", 2.0, unit="L/kWh"), factor("pue", 1.2, unit="1")]
    pipeline = an_hour(*water)
    it_kwh = 1_048_000 / 3_600_000
    litres: dict[str, float] = {}
    for (_, where), value in pipeline.totals.water_l.items():
        litres[where] = litres.get(where, 0.0) + value
    assert litres == {"onsite": pytest.approx(it_kwh * 0.5), "offsite": pytest.approx(it_kwh * 1.2 * 2.0)}


def test_what_is_not_known_of_water_is_absent() -> None:
    unknown = factor("water_onsite", 0.0)._replace(quality="unknown")
    assert an_hour(unknown).totals.water_l == {}


def test_retired_workloads_leave_their_grams_and_litres() -> None:
    pipeline = an_hour(rate(GPU.id, 5.0), factor("water_offsite", 2.0))
    before = pipeline.totals.snapshot(State())
    pipeline.totals.retire([TREE, Workload("never seen")])
    after = pipeline.totals.snapshot(State())
    assert after.embodied_g[RETIRED] == before.embodied_g[TREE]
    assert after.water_l[RETIRED, "offsite"] == before.water_l[TREE, "offsite"]
    assert TREE not in after.embodied_g


def test_a_new_series_of_grams_or_litres_shows_zero_once() -> None:
    pipeline = an_hour(rate(GPU.id, 5.0), factor("water_offsite", 2.0))
    now = pipeline.totals.snapshot(State())
    empty = Pipeline().totals.snapshot(State())
    shown = led_in(empty, now)
    assert set(shown.embodied_g.values()) == {0.0}
    assert set(shown.water_l.values()) == {0.0}
    assert shown.embodied_g.keys() == now.embodied_g.keys()


def test_the_rest_of_a_host_was_made_by_nobody() -> None:
    service = Service({"rest": rate("rest", 5.0)}, [])
    curve = EnergyCurve(Interval(Device("rest", "rest", "fans"), Instant(0, 0), Instant(S, S), 5, "estimated"))
    service.device(curve, {RIVAL: 5}, {})
    assert service.grams == {}


def test_people_read_embodied_carbon_and_water_beside_the_rest() -> None:
    _, settled = run(
        full(0, claim("pid:1", TREE), floor(GPU, 40), holding(GPU.id, "pid:1", 1.0), counter(GPU, 0, 0)),
        full(3600, counter(GPU, 3600, 360_000), enter(1, 0), leave(1, 3600)),
    )
    account, rates = settled[1], {GPU.id: rate(GPU.id, 4.68)}
    assert account.left is not None
    water = {"water_offsite": factor("water_offsite", 2.0, unit="L/kWh"), "grid": factor("grid", 329)}
    terms = [(water, account.energy_uj)]
    found = assemble(IDENTITY, account, DEVICES, end=account.left, terms=terms, gain_of=gain_of, mismatch_g95=1.0, rates=rates)
    assert "; embodied 4.68 g" in str(found)
    assert found.water_l["offsite"].value == pytest.approx(0.08)  # 40 W held for an hour
    assert found.to_dict()["water_l"]["offsite"]["value"] == pytest.approx(0.08)
    card = found.to_model_card()
    assert "| Water (power plants) | 80 mL (" in card
    assert "| Making of the hardware | GPU-0, 4.68 gCO2e/h, cradle-to-gate, vendor, 2025, pcf |" in card
