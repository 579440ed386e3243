"""Grams per hour of a machine's life: estimates, and passports in their place, as reports have it."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.runtime.passports import ALL, BEGAN_S, CPUS, DRAM, H100, HOURS, NOW_S, config, life
from tests.runtime.trees import dgx, laptop

from wattledger.accounting.assets.books import fleet_of
from wattledger.core.facts import AssetFact, Known
from wattledger.core.model import Device, Factor
from wattledger.core.reserved import HOST
from wattledger.runtime.embodied import Passports, estimates, merged, of_passports


def said(*facts: AssetFact, devices: tuple[Device, ...] = ALL, at_s: int = NOW_S) -> Passports:
    known = [Known(f"w:{n}", fact.at_s, fact) for n, fact in enumerate(facts)]
    return of_passports(fleet_of(known, until_s=at_s), "here", devices)


def rate_of(rates: Mapping[str, Factor]) -> dict[str, float]:
    return {binding: rate.value for binding, rate in rates.items()}


# --- estimates --------------------------------------------------------------------------------------------------------------


def test_a_card_has_an_estimate_and_its_slices_and_other_parts_none(tmp_path: Path) -> None:
    rates = estimates(config(tmp_path, host="server", host_kg="1000"), ALL)
    assert set(rates) == {"GPU-1", "GPU-2", HOST}
    assert rates["GPU-1"].value == pytest.approx(164_000 / (4 * 8760))
    assert rates[HOST].value == pytest.approx(1_000_000 / (5 * 8760))
    for binding, rate in rates.items():
        assert (rate.kind, rate.zone, rate.unit) == ("embodied", binding, "gCO2e/h")
        assert rate.origin
        assert rate.g95 > 1.4 <= rate.g95_high  # the figure's error and that of the service life


def test_service_lives_are_those_configured(tmp_path: Path) -> None:
    usual = estimates(config(tmp_path, host_kg="1000"), [H100])
    twice = estimates(config(tmp_path, host_kg="1000", gpu_life_y="8", host_life_y="10"), [H100])
    assert rate_of(twice) == pytest.approx({binding: value / 2 for binding, value in rate_of(usual).items()})


def test_hosts_differ_by_what_they_are(tmp_path: Path) -> None:
    found = {
        name: estimates(config(tmp_path, host=name), []).get(HOST) for name in ("server", "workstation", "laptop", "vm", "none")
    }
    assert found.pop("none") is None
    values = {name: rate.value for name, rate in found.items() if rate is not None}
    assert len(set(values.values())) == len(values) == 4
    assert values["laptop"] < values["server"]
    server, portable = (estimates(tree.config(), [])[HOST].value for tree in (dgx(tmp_path / "d"), laptop(tmp_path / "l")))
    assert portable < server


# --- passports --------------------------------------------------------------------------------------------------------------


def test_a_passports_rate_is_what_it_carries_by_what_is_left_of_its_life() -> None:
    found = said(*life("card", "gpu", 164, device="GPU-1"))
    assert rate_of(found.rates) == pytest.approx({"GPU-1": 164_000 / HOURS})
    assert found.replaced == {"GPU-1"}
    assert found.until_s == BEGAN_S + HOURS * 3600


@pytest.mark.parametrize(("facts", "kept"), [
    (life("card", "gpu", 100, device="GPU-1"), {"GPU-2", HOST}),
    (life("box", "server", 100), {"GPU-1", "GPU-2"}),
    (life("disk", "ssd", 100), {"GPU-1", "GPU-2"}),
    (life("card", "gpu", 100), {HOST}),  # which card it is, is not said: none of them has an estimate beside it
    (life("card", "gpu", 100, device="GPU-of-a-card-that-is-not-seen"), {"GPU-1", "GPU-2", HOST}),
    (life("box", "server", 100, host="elsewhere"), {"GPU-1", "GPU-2", HOST}),
])  # fmt: skip
def test_a_passport_stops_the_estimate_of_what_it_is_of(tmp_path: Path, facts: tuple[AssetFact, ...], kept: set[str]) -> None:
    guessed = estimates(config(tmp_path, host_kg="1000"), ALL)
    rates = merged(guessed, said(*facts))
    assert {binding for binding, rate in rates.items() if rate == guessed.get(binding)} == kept


def test_a_part_is_paid_by_who_uses_its_kind() -> None:
    cpu, dram, board = life("cpu", "cpu", 10), life("ram", "dram", 20), life("board", "board", 40)
    per = {name: value * HOURS / 1000 for name, value in rate_of(said(*cpu, *dram, *board).rates).items()}
    assert per == pytest.approx({"intel-rapl:0": 5, "intel-rapl:1": 5, DRAM.id: 20, HOST: 40})
    bare = {name: value * HOURS / 1000 for name, value in rate_of(said(*dram, devices=CPUS).rates).items()}
    assert bare == pytest.approx({"intel-rapl:0": 10, "intel-rapl:1": 10})  # memory that no sensor sees goes by the CPU
    assert set(said(*cpu, devices=(H100,)).rates) == {HOST}


def test_parts_of_one_binding_add_up_and_their_interval_covers_both() -> None:
    sure = life("a", "ssd", 100, low_g="90000", high_g="110000")
    vague = life("b", "psu", 100, low_g="20000", high_g="500000")
    rate = said(*sure, *vague).rates[HOST]
    assert rate.value == pytest.approx(200_000 / HOURS)
    assert rate.value / rate.g95 == pytest.approx(110_000 / HOURS)
    assert rate.value * rate.g95_high == pytest.approx(610_000 / HOURS)
    assert "a" in rate.origin


def test_a_passport_without_an_interval_is_not_taken_for_exact() -> None:
    [rate] = said(*life("card", "gpu", 100, device="GPU-1", method="declared")).rates.values()
    assert (rate.g95, rate.g95_high) == (2.0, 2.0)
    make, commission = life("card", "gpu", 100, device="GPU-1", method="declared")
    unsaid = make._replace(details=tuple(pair for pair in make.details if pair[0] != "el_h"))
    [rate] = said(unsaid, commission).rates.values()
    assert rate.g95 > 2.0  # how long it will serve is an assumption of its own


def test_cards_of_one_model_by_one_source_are_off_alike() -> None:
    cards = [
        life(name, "gpu", 164, device=name, vendor="NVIDIA", model="H100", source="NVIDIA PCF") for name in ("GPU-1", "GPU-2")
    ]
    found = said(*cards[0], *cards[1]).rates
    assert len({(rate.origin, rate.version) for rate in found.values()}) == 1


def test_a_life_that_is_over_has_no_rate_and_no_estimate(tmp_path: Path) -> None:
    box = life("box", "server", 100, at_s=NOW_S - (HOURS + 1) * 3600)
    found = said(*box)
    assert not found.rates
    assert found.replaced == {HOST}
    assert HOST not in merged(estimates(config(tmp_path, host_kg="1000"), ALL), found)


def test_a_passport_that_says_no_kilograms_is_no_zero() -> None:
    make, commission = life("box", "server", 0)
    assert said(make._replace(emitted_g=None), commission).rates == {}


def test_a_thing_in_stock_or_elsewhere_has_no_rate() -> None:
    make, _ = life("box", "server", 100)
    assert said(make).rates == {}
    moved = AssetFact("box", "move", NOW_S - 3600, details=(("host", "there"),))
    assert said(*life("box", "server", 100), moved).rates == {}


def test_a_repair_raises_the_rate_from_then_on() -> None:
    repair = AssetFact("box", "repair", NOW_S - 3600, 12_000)
    before = said(*life("box", "server", 100)).rates[HOST].value
    assert said(*life("box", "server", 100), repair).rates[HOST].value == pytest.approx(before + 12_000 / (HOURS - 999))


def test_what_many_hosts_share_is_left_to_reports() -> None:
    known = [Known(f"w:{n}", fact.at_s, fact) for n, fact in enumerate(life("switch", "network", 100, spread_over="*"))]
    assert of_passports(fleet_of(known, until_s=NOW_S), "here", ALL, {"switch"}).rates == {}
