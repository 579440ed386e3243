"""The SCI formula: the standard's own examples, its refusals, and its interval."""

from math import exp, hypot, log

import pytest

from wattledger.accounting.sci import BOUNDARIES, NO_MARKET, UNITS, per_unit, sci, share_g
from wattledger.core.uncertainty import Quantity

TONNE_G, KG_G = 1_000_000, 1_000


def exact(value: float) -> Quantity:
    return Quantity(value, value, value)


def score(energy_kwh: float, g_per_kwh: float, embodied_g: float, units: float) -> float:
    return sci(exact(energy_kwh), exact(g_per_kwh), exact(embodied_g), units).value


NONE = exact(0)


# --- examples of carbon.md section 9 ----------------------------------------------------------------------------------------


def test_a_hundred_kwh_at_380_grams() -> None:
    """Example 1."""
    assert score(100, 380, 0, 1) == 38 * KG_G


def test_an_hour_of_a_machines_four_years() -> None:
    """Example 2, SCI SPEC: a tonne over 35,040 hours; its text says about 28 g."""
    assert share_g(TONNE_G, reserved_h=1, life_h=35_040) == pytest.approx(28.5388, abs=5e-5)


def test_a_provider_scores_per_flop() -> None:
    """Example 3, SCI for AI: 200,000 kg over 5e22 FLOP are 4 g for 1e15 of them."""
    assert per_unit([exact(200_000 * KG_G)], 5e22).value * 1e15 == pytest.approx(4)


def test_a_consumer_scores_per_token() -> None:
    """Example 4: (5,000 + 1,500) kg over 50e9 tokens are 130 g a million, where one line of the specification prints 0.13."""
    assert per_unit([exact(5_000 * KG_G), exact(1_500 * KG_G)], 50e9).value * 1e6 == pytest.approx(130)
    assert per_unit([exact(3_200 * KG_G)], 40e6).value == pytest.approx(0.08)


def test_a_provider_scores_per_parameter() -> None:
    """Example 4: 75,000 kg over 2.5e9 parameters are 30,000 kg a billion, where the specification prints 3,000 and 30."""
    assert per_unit([exact(75_000 * KG_G)], 2.5e9).value * 1e9 == pytest.approx(30_000 * KG_G)


def test_two_nodes_of_a_pipeline_have_a_score_each() -> None:
    """Example 5, GSF: the coordinator's 37.5 g and the summariser's 27.75 g."""
    assert score(1_000, 350, 25_000, 10_000) == pytest.approx(37.5)
    assert score(750, 350, 15_000, 10_000) == pytest.approx(27.75)


def test_a_prompt_of_a_quarter_watt_hour() -> None:
    """Example 18: 0.14 + 0.06 + 0.02 + 0.02 Wh at 94 g/kWh and 0.010 g embodied are 0.033 g (published as 0.03)."""
    energy_wh = 0.14 + 0.06 + 0.02 + 0.02
    assert energy_wh == pytest.approx(0.24)
    assert score(energy_wh / 1000, 94, 0.010, 1) == pytest.approx(0.03256)


def test_a_reply_of_400_tokens() -> None:
    """Example 26: 1.14 g over 400 tokens are 2.85 g a thousand, and so are 45 mL of water 112.5 mL."""
    assert per_unit([exact(1.14)], 400).value * 1000 == pytest.approx(2.85)
    assert per_unit([exact(45)], 400).value * 1000 == pytest.approx(112.5)


def test_a_server_at_237_watts_all_year() -> None:
    """Example 23: 2,076.1 kWh at 328 g/kWh are 681 kg."""
    assert score(0.237 * 8760, 328, 0, 1) == pytest.approx(680.97 * KG_G, rel=1e-4)


def test_a_gpu_hour_of_four_years() -> None:
    """Example 20: a board of 164 kg is 4.680 g an hour, of 575 kg 16.41 g, a B200's 284.25 kg 8.112 g."""
    for kg, g in ((164, 4.680), (575.0875, 16.412), (284.25, 8.112)):
        assert share_g(kg * KG_G, reserved_h=1, life_h=35_040) == pytest.approx(g, abs=6e-4)


# --- shares -----------------------------------------------------------------------------------------------------------------


def test_a_part_of_a_devices_time_and_of_its_resources() -> None:
    assert share_g(1000, reserved_h=10, life_h=100, resources=2, of=8) == 25
    assert share_g(1000, reserved_h=100, life_h=100) == 1000
    assert share_g(1000, reserved_h=0, life_h=100) == 0


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"reserved_h": 101, "life_h": 100}, "TiR/EL.*101 of 100 is no share"),
        ({"reserved_h": -1, "life_h": 100}, "no share"),
        ({"reserved_h": 1, "life_h": 0}, "more than 0"),
        ({"reserved_h": 1, "life_h": 100, "resources": 9, "of": 8}, "RR/ToR"),
        ({"reserved_h": 1, "life_h": 100, "resources": 0, "of": 0}, "more than 0"),
        ({"reserved_h": float("nan"), "life_h": 100}, "no share"),
    ],
)
def test_a_share_over_the_whole_is_refused(how: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        share_g(1000, **how)


def test_what_it_took_to_make_a_thing_is_never_negative() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        share_g(-1, reserved_h=1, life_h=100)


# --- refusals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [0, -1, float("nan")])
def test_per_no_unit_at_all_there_is_no_score(units: float) -> None:
    with pytest.raises(ValueError, match="per functional unit"):
        sci(exact(1), exact(1), exact(1), units)


@pytest.mark.parametrize("parts", [(-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_nothing_is_subtracted(parts: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="nothing is subtracted"):
        score(*parts, 1)


def test_certificates_have_no_place_in_a_score() -> None:
    assert "ISO/IEC 21031" in NO_MARKET
    assert "market-based" in NO_MARKET


def test_every_unit_belongs_to_a_boundary() -> None:
    assert {unit.boundary for unit in UNITS.values()} == set(BOUNDARIES) == {"consumer", "provider"}
    assert [name for name, unit in UNITS.items() if unit.boundary == "provider"] == ["epoch", "flop", "parameter"]


# --- the interval -----------------------------------------------------------------------------------------------------------


def test_energy_and_intensity_multiply_and_embodied_adds() -> None:
    energy, grid, made = Quantity(10, 10 / 1.1, 11), Quantity(100, 100 / 1.3, 130), Quantity(500, 250, 1000)
    found = sci(energy, grid, made, 2)
    assert found.value == 750
    g = exp(hypot(log(1.1), log(1.3)))  # independent factors add in the logarithm
    assert sci(energy, grid, NONE, 2).high / 500 == pytest.approx(sci(energy, grid, NONE, 1).high / 1000)
    assert found.high == pytest.approx((1500 + ((1000 * (g - 1)) ** 2 + 500**2) ** 0.5) / 2, rel=0.01)  # near the quadrature
    assert found.low == pytest.approx((1500 - ((1000 * (1 - 1 / g)) ** 2 + 250**2) ** 0.5) / 2, rel=0.01)


def test_exact_inputs_give_an_exact_score() -> None:
    assert sci(exact(10), exact(100), exact(500), 3) == pytest.approx((500, 500, 500))


def test_a_grid_that_emits_nothing_still_has_its_machines() -> None:
    assert sci(exact(10), exact(0), exact(500), 1) == (500, 500, 500)
    found = sci(exact(10), Quantity(0, 0, 5), exact(500), 1)
    assert (found.value, found.low, found.high) == (500, 500, 550)


def test_a_grid_that_may_emit_nothing_has_a_score_down_to_its_machines() -> None:
    found = sci(exact(10), Quantity(5, 0, 10), exact(500), 1)
    assert (found.value, found.low, found.high) == pytest.approx((550, 500, 600))
