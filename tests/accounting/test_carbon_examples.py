"""Worked examples of reference carbon.md section 9 on what it emits to make things, at their stated tolerance: 1e-6 where exact.

Beside these: 1 to 5, 18, 23 and 26 in ``test_sci``, 20 in ``test_embodied`` and ``test_sci``, 22 in ``test_water``, 27 and 28 in
``laws/test_uncertainty``.
"""

from decimal import Decimal

import pytest

from wattledger.accounting.assets.life import Reuse
from wattledger.accounting.assets.reuse import Terms, shares
from wattledger.accounting.sci import sci, share_g
from wattledger.core.uncertainty import Quantity, scale
from wattledger.factors.hardware import bottom_up

UG_PER_KG = 1_000_000_000


def one(value: float) -> Quantity:
    return Quantity(value, value, value)


def test_6_processors() -> None:
    assert bottom_up.cpu(12 * 24.5) == pytest.approx(14.9318, rel=1e-6)
    assert bottom_up.cpu_of_cores(12) == bottom_up.cpu(12 * 24.5)
    assert 3 * bottom_up.cpu_of_cores(12) == pytest.approx(44.795, abs=0.0005)
    assert bottom_up.cpu_of_cores(12, 20) == pytest.approx(13.868, rel=1e-6)


def test_7_memory_drives_and_blades() -> None:
    assert 12 * bottom_up.ram(32, 1.79) == pytest.approx(534.595, abs=0.0005)
    assert bottom_up.ram(12 * 32, 1.79, modules=12) == pytest.approx(12 * bottom_up.ram(32, 1.79), rel=1e-12)
    assert bottom_up.ssd(400, 50.6) == pytest.approx(23.7313, abs=0.00005)
    assert bottom_up.chassis("blade") == pytest.approx(85.9, rel=1e-6)


def test_8_what_a_processor_draws() -> None:
    watts = bottom_up.cpu_power_w(50)
    assert watts == pytest.approx(182.216, abs=0.0005)
    grams = sci(one(watts * 26_280 / 1000), one(380), one(0), 1).value
    assert grams / 1000 == pytest.approx(1819.7, abs=0.1)
    assert grams / 1000 == pytest.approx(1800, rel=0.011)  # as the service prints it, by its own rounding


def test_9_a_graphics_card() -> None:
    assert bottom_up.gpu() == pytest.approx(575.0875, abs=0.00005)
    assert bottom_up.effective_mm2(814) == pytest.approx(2808.4451, abs=0.00005)
    assert bottom_up.effective_mm2(826) == pytest.approx(2876.2946, abs=0.00005)


@pytest.mark.parametrize(
    ("card", "kg"),
    [
        (bottom_up.Card(memory_gb=141), 1_067),
        (bottom_up.Card(dies_mm2=(800, 800), memory_gb=180, memory_dies=8), 1_415),
    ],
    ids=["H200", "B200"],
)
def test_cards_whose_parts_are_known_come_to_what_the_service_prints(card: bottom_up.Card, kg: float) -> None:
    """Section 3.3, to the four digits that it prints."""
    assert bottom_up.gpu(card) == pytest.approx(kg, abs=0.5)


def test_18_the_buildings_part_of_a_prompt_is_its_pue() -> None:
    """0.24 Wh over the 0.22 of the machines are 1.0909; what is priced is the building's, and 0.033 g are published as 0.03."""
    it_kwh, pue = (0.14 + 0.06 + 0.02) / 1000, 0.24 / 0.22
    assert pue == pytest.approx(1.0909, abs=5e-5)
    found = sci(scale(one(it_kwh), pue, []), one(94), one(0.010), 1)
    assert found.value == pytest.approx(0.03256, rel=1e-6)
    assert round(found.value, 2) == 0.03


def test_21_a_server_of_bloom_and_a_card() -> None:
    """2,500 kg and 150 kg over 6 years at 85 % use; of the card the source prints 0.003, which rounding made of 0.003358."""
    life_h = 6 * 8760 * 0.85
    assert share_g(2_500_000, reserved_h=1, life_h=life_h) / 1000 == pytest.approx(0.05596, abs=5e-6)
    assert share_g(150_000, reserved_h=1, life_h=life_h) / 1000 == pytest.approx(0.003358, abs=5e-7)


@pytest.mark.parametrize(
    ("method", "inputs", "first_kg", "second_kg"),
    [
        ("cut-off", {}, 1312, 70),
        ("50/50", {}, 666, 716),
        ("time", {"years_1": 4, "years_2": 2}, 874.67, 437.33 + 70),
        ("economic", {"price_ratio": Decimal("0.25")}, 984, 398),
    ],
)
def test_29_two_lives_of_a_board(method: Reuse, inputs: dict[str, int | Decimal], first_kg: float, second_kg: float) -> None:
    """P 1,312, F 50, D 20: each pair sums to 1,382."""
    terms = Terms(method, {name: Decimal(value) for name, value in inputs.items()})
    found = shares(1312 * UG_PER_KG, 50 * UG_PER_KG, 20 * UG_PER_KG, terms)
    assert found.first_ug + found.second_ug == 1382 * UG_PER_KG
    assert found.first_ug / UG_PER_KG == pytest.approx(first_kg, abs=0.005)
    assert found.second_ug / UG_PER_KG == pytest.approx(second_kg, abs=0.005)
