"""Litres per kWh: whose figure it is, what hydro does to it, and never a number for what is not known."""

import pytest

from wattledger.factors.water import ewif, site

L_PER_GAL = 3.785411784


# --- off-site ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "litres"),
    [("SE", 6.03), ("NO", 6.66), ("BR", 18.60), ("CA", 8.17), ("ES", 6.21), ("FR", 3.67), ("US", 3.13), ("DE", 1.95), ("GB", 2.33),
     ("PL", 2.51), ("IE", 1.48), ("NL", 3.43), ("FI", 4.53), ("IN", 3.44), ("CN", 6.01), ("JP", 2.31)],
)  # fmt: skip
def test_a_nation_has_its_own_figure(zone: str, litres: float) -> None:
    """The values of carbon.md section 7."""
    found = ewif.offsite(zone)
    assert (found.kind, found.zone, found.unit, found.quality, found.g95) == ("water_offsite", zone, "L/kWh", "national", 1.5)
    assert found.value == pytest.approx(litres, abs=0.005)
    assert "allocated to hydro" in found.boundary
    assert found.licence == "CC BY 4.0"
    assert found.origin


@pytest.mark.parametrize("name", ["de", "DEU", " De "])
def test_a_zone_answers_to_its_codes(name: str) -> None:
    assert ewif.offsite(name) == ewif.offsite("DE")


@pytest.mark.parametrize("zone", ["BD", "XK", "EU", "", None])
def test_where_a_nation_has_no_figure_the_world_stands_in_and_says_so(zone: str | None) -> None:
    found = ewif.offsite(zone)
    assert (found.zone, found.value, found.quality, found.g95) == ("WORLD", 3.908, "world", 2.5)


def test_a_part_of_a_country_has_the_countrys_figure_with_a_wider_interval() -> None:
    whole, part = ewif.offsite("US"), ewif.offsite("US-CAMX")
    assert (part.value, part.zone) == (whole.value, "US")
    assert part.g95 > whole.g95
    assert ewif.offsite("US-CAMX", "exclude").g95 > ewif.offsite("US", "exclude").g95


def test_hydro_can_be_left_out_where_the_mix_is_known() -> None:
    """Sweden's water is its dams', Germany's is not: without hydro the two are alike (carbon.md 7)."""
    sweden, germany = ewif.offsite("SE", "exclude"), ewif.offsite("DE", "exclude")
    assert (sweden.quality, sweden.version, sweden.g95) == ("by-mix", "2023", 2.5)
    assert sweden.value < 1 < 6 < ewif.offsite("SE").value
    assert 0.8 < sweden.value / germany.value < 1.25
    assert "hydro power counts 0" in sweden.boundary
    assert "Our World in Data" in sweden.origin
    assert ewif.offsite("", "exclude").quality == "world"


def test_hydro_that_cannot_be_left_out_is_said_and_no_number_is_given() -> None:
    for zone in ("XK", "EU", "ZZ"):
        with pytest.raises(ewif.NotKnown, match="cannot be left out"):
            ewif.offsite(zone, "exclude")


def test_without_hydro_there_is_never_more_water_than_with_it() -> None:
    zones = [row.name for row in ewif._rows().values() if row.kind in ("national", "world")]
    assert len(set(zones)) == 50  # 49 nations and the world
    for zone in zones:
        assert 0 <= ewif.offsite(zone, "exclude").value < ewif.offsite(zone).value


# --- by mix -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fuel", "gallons"), [("gas", 300), ("coal", 450), ("nuclear", 600), ("oil", 350), ("other", 475), ("wind", 0), ("solar", 0)]
)
def test_one_fuels_water_is_its_gallons_a_megawatt_hour(fuel: str, gallons: int) -> None:
    assert ewif.by_mix({fuel: 1}).value == pytest.approx(gallons * L_PER_GAL / 1000, rel=1e-8)


def test_a_mix_is_the_mean_by_shares_however_they_are_written() -> None:
    mean = (0.25 * 300 + 0.75 * 600) * L_PER_GAL / 1000
    for mix in ({"gas": 0.25, "nuclear": 0.75}, {"gas": 10, "nuclear": 30}):
        assert ewif.by_mix(mix).value == pytest.approx(mean, rel=1e-8)


def test_excluded_hydro_is_generation_without_water_and_allocated_hydro_is_most_of_it() -> None:
    mix = {"hydro": 0.5, "gas": 0.5}
    without, with_it = ewif.by_mix(mix, "exclude"), ewif.by_mix(mix)
    assert without.value == pytest.approx(0.5 * 300 * L_PER_GAL / 1000, rel=1e-8)
    assert with_it.value == pytest.approx(0.5 * (300 + 4491) * L_PER_GAL / 1000, rel=1e-8)
    assert with_it.g95 > without.g95  # between dams it differs by more than between power stations
    assert ewif.by_mix({"hydro": 1}, "exclude").value == 0


def test_the_worlds_mix_by_fuel_comes_near_the_worlds_average() -> None:
    """Two ways of counting the same thing: within the interval of a default, and in fact within 10 %."""
    found = ewif.mix_of(None)
    assert found is not None
    assert ewif.by_mix(found[2]).value == pytest.approx(ewif.offsite(None).value, rel=0.10)


def test_other_names_of_fuels_are_understood_and_storage_is_left_out() -> None:
    assert ewif.by_mix({"lignite": 1}).value == ewif.by_mix({"coal": 1}).value
    assert ewif.by_mix({"biomass": 1, "storage": 5}).value == ewif.by_mix({"other": 1}).value


@pytest.mark.parametrize(("mix", "why"), [
    ({"plutonium": 1.0}, "'plutonium' is no fuel"), ({"SE": 1.0}, "is no fuel"), ({"gas": -1.0}, "0 or more"),
    ({"gas": float("nan")}, "0 or more"), ({"gas": 0.0}, "nothing"), ({}, "nothing"),
])  # fmt: skip
def test_a_mix_that_cannot_be_is_refused(mix: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ewif.by_mix(mix)


def test_a_word_for_hydro_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="allocate or exclude"):
        ewif.offsite("DE", "maybe")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="allocate or exclude"):
        ewif.by_mix({"gas": 1}, "maybe")  # type: ignore[arg-type]


# --- on-site ----------------------------------------------------------------------------------------------------------------


def test_a_configured_wue_is_a_sites_own() -> None:
    found = site.onsite(0.3)
    assert (found.kind, found.value, found.unit, found.quality, found.g95) == ("water_onsite", 0.3, "L/kWh IT", "configured", 1.2)


@pytest.mark.parametrize("wue", [-0.1, 300.0, float("nan"), float("inf")])
def test_a_wue_in_another_unit_is_refused(wue: float) -> None:
    with pytest.raises(ValueError, match="litres per kWh"):
        site.onsite(wue)


def test_an_operators_average_is_published_and_what_is_not_is_absent() -> None:
    google = site.onsite_cloud("gcp")
    assert google is not None
    assert (google.value, google.quality, google.g95) == (0.999, "provider-average", 2.5)
    assert site.onsite_cloud("aws") is None
    assert site.onsite_cloud("") is None


def test_the_weather_model_is_an_upper_scenario() -> None:
    """carbon.md 7: 3.1 to 6.1 L/kWh at 50 to 80 F; a floor of 0.05."""
    assert site.wet_bulb_upper(50).value == pytest.approx(3.12)
    assert site.wet_bulb_upper(80).value == pytest.approx(6.144)
    assert site.wet_bulb_upper(0).value == 0.05
    assert site.wet_bulb_upper(50).quality == "upper-scenario"
    with pytest.raises(ValueError, match="more than once"):
        site.wet_bulb_upper(50, cycles=1)
