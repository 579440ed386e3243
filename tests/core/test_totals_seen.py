"""Money, conditions and the outlook: what a snapshot says beside joules, grams and litres."""

import pytest
from tests.core.made import CPU, GPU, RIVAL, TREE, at, factor
from tests.core.test_catalog import rows

from wattledger.core.model import RETIRED, Batch, Condition, Factor, Work
from wattledger.core.pipeline import Pipeline
from wattledger.core.totals import Growth, State, Totals, led_in, powered

KWH_UJ = 3_600_000_000_000
TARIFF = Factor("tariff", "", 0.30, "EUR/kWh", "", "[tariff]", "", "", 1.0)


def test_money_is_energy_times_pue_times_the_tariff_in_force() -> None:
    totals = Totals()
    totals.price({TREE: KWH_UJ}, {"tariff": TARIFF, "pue": factor("pue", 1.5)})
    totals.price({TREE: KWH_UJ, RIVAL: KWH_UJ}, {"tariff": TARIFF._replace(value=0.10)})
    assert totals.cost == {(TREE, "EUR"): pytest.approx(0.30 * 1.5 + 0.10), (RIVAL, "EUR"): pytest.approx(0.10)}


def test_no_tariff_is_no_money_and_not_nothing() -> None:
    totals = Totals()
    totals.price({TREE: KWH_UJ}, {"tariff": TARIFF._replace(value=0.0, quality="unknown")})
    assert totals.cost == {}


def test_currencies_are_not_added() -> None:
    totals = Totals()
    for unit in ("EUR/kWh", "SEK/kWh"):
        totals.price({TREE: KWH_UJ}, {"tariff": TARIFF._replace(unit=unit)})
    said = {labels[-1]: float(value) for labels, value in rows("wattledger_cost_total", totals.snapshot(State()))}
    assert said == pytest.approx({"EUR": 0.30, "SEK": 0.30})


def test_money_of_who_is_retired_stays() -> None:
    totals = Totals()
    totals.price({TREE: KWH_UJ}, {"tariff": TARIFF})
    totals.retire([TREE])
    assert totals.cost == {(RETIRED, "EUR"): pytest.approx(0.30)}


def test_new_money_shows_nothing_once() -> None:
    before, totals = Totals().snapshot(State()), Totals()
    totals.price({TREE: KWH_UJ}, {"tariff": TARIFF})
    assert led_in(before, totals.snapshot(State())).cost == {(TREE, "EUR"): 0.0}


def test_a_device_says_its_temperature_and_its_limit_where_it_knows_them() -> None:
    totals = Totals()
    totals.devices |= {GPU.id: GPU, CPU.id: CPU}
    totals.conditions[GPU.id] = Condition(GPU.id, at(1), 61_500, 700_000_000)
    totals.conditions[CPU.id] = Condition(CPU.id, at(1), None, 270_000_000)
    totals.conditions["never read"] = Condition("never read", at(1), 1, 1)
    found = totals.snapshot(State())
    assert rows("wattledger_device_temperature_celsius", found) == [((GPU.id, "gpu"), 61.5)]
    limits = {labels: float(value) for labels, value in rows("wattledger_device_power_limit_watts", found)}
    assert limits == {(GPU.id, "gpu"): 700.0, (CPU.id, "cpu"): 270.0}


def test_what_is_inside_another_has_no_limit_to_be_added() -> None:
    totals = Totals()
    totals.devices[GPU.id] = GPU._replace(inside="module")
    totals.conditions[GPU.id] = Condition(GPU.id, at(1), None, 700_000_000)
    assert rows("wattledger_device_power_limit_watts", totals.snapshot(State())) == []


def test_who_has_fallen_silent_has_no_temperature() -> None:
    totals = Totals()
    totals.conditions[GPU.id] = Condition(GPU.id, at(0), 40_000)
    totals.silence({GPU.id: 6_000_000_000}, 1_000_000_000)
    assert totals.conditions == {}


def test_the_margin_stands_beside_the_average_under_a_name_of_its_own() -> None:
    grid = factor("grid", 329)
    found = Totals().snapshot(State(grid, marginal=grid._replace(value=600.0, origin="watttime", quality="live")))
    name = "wattledger_grid_carbon_intensity_grams_per_kwh"
    assert [(labels[2], value) for labels, value in rows(name, found)] == [("average", 329), ("marginal", 600.0)]


def test_what_is_expected_is_named_by_the_hours_until_then() -> None:
    grid = factor("grid", 329)
    ahead = {hours: grid._replace(value=300.0 + hours) for hours in (1, 2, 10)}
    found = Totals().snapshot(State(grid, forecast=ahead))
    name = "wattledger_grid_carbon_intensity_forecast_grams_per_kwh"
    assert [(labels[2], value) for labels, value in rows(name, found)] == [("01", 301.0), ("02", 302.0), ("10", 310.0)]


def test_a_bmc_that_answers_each_ten_seconds_is_not_silent_between() -> None:
    totals, bmc = Totals(), GPU._replace(id="redfish:1", kind="node", inside="(parts)")
    totals.devices[bmc.id] = bmc
    totals.power_uw[bmc.id] = 900_000_000
    totals.silence({bmc.id: 11_000_000_000}, 1_000_000_000)
    assert bmc.id in totals.power_uw
    totals.silence({bmc.id: 31_000_000_000}, 1_000_000_000)
    assert bmc.id not in totals.power_uw


def test_what_has_ended_is_no_increase_of_another_series() -> None:
    """Grams that moved to a row of their own would be counted twice by all who add increases up; joules close each scrape."""
    totals = Totals()
    totals.devices[GPU.id] = GPU
    totals.price({TREE: KWH_UJ}, {"tariff": TARIFF, "grid": factor("grid", 329), "water_offsite": factor("water_offsite", 2)})
    totals.add_made(TREE, 1.0)
    totals.add_work(Work(TREE, at(0), 1, 2, 3, 4))
    totals.device_energy_uj[GPU.id, "counter"] = 5
    totals.add((TREE, GPU.id, "counter", "active"), 5)
    named = ("emissions_grams", "embodied_emissions_grams", "water_litres", "cost", "tokens", "requests")
    assert all(rows(f"wattledger_{name}_total", totals.snapshot(State())) for name in named)
    totals.retire([TREE])
    found = totals.snapshot(State())
    assert [name for name in named if rows(f"wattledger_{name}_total", found)] == []
    assert [float(value) for _, value in rows("wattledger_retired_energy_joules_total", found)] == [5e-6]


def test_the_power_of_a_share_is_its_growth_while_its_device_grew_last() -> None:
    """A BMC's energy comes by the ten seconds: a second's difference would be nothing, or ten times too much."""
    totals = Totals()
    snapshots = []
    for mine_uj, others_uj, bmc_uj in ((1, 10, 0), (5, 30, 0), (9, 20, 40_000_000)):
        totals.energy_uj = {
            (TREE, GPU.id, "counter", "active"): mine_uj * 1_000_000, (RIVAL, GPU.id, "counter", "held"): others_uj * 1_000_000,
            (TREE, "rest", "counter", "active"): bmc_uj, (TREE, "never grown", "counter", "active"): 7,
        }  # fmt: skip
        snapshots.append(totals.snapshot(State()))
    first, second, third = snapshots
    growths = {GPU.id: Growth(second, third, 1_000_000_000), "rest": Growth(first, third, 10_000_000_000)}
    assert powered(third, growths).share_uw == {
        (TREE, GPU.id, "active"): 4_000_000,
        (RIVAL, GPU.id, "held"): 0,  # its series was moved meanwhile: no share is negative
        (TREE, "rest", "active"): 4_000_000,
    }


def test_a_condition_is_looked_at_and_moves_no_joule() -> None:
    pipeline = Pipeline()
    pipeline.step(Batch(at(0), True, (Condition(GPU.id, at(0), 40_000, 700_000_000),)))
    pipeline.step(Batch(at(1), True, (Condition(GPU.id, at(1), 41_000),)))
    assert pipeline.totals.conditions == {GPU.id: Condition(GPU.id, at(1), 41_000)}
    assert pipeline.totals.device_energy_uj == {}
