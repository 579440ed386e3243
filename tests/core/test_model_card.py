"""The section of a model's card: what is known has a line, what is not has none, and nothing breaks out of its cell."""

import pytest
from tests.core.made import at, factor
from tests.core.metered import GRID, IDENTITY, footprint, two_seconds

from wattledger.core.footprint import DeviceFootprint, Footprint
from wattledger.core.model import Factor
from wattledger.core.model_card import metadata, plain, shown, yaml
from wattledger.core.pricing import Cost
from wattledger.core.uncertainty import Quantity
from wattledger.core.version import __version__

PUE = Factor("pue", "", 1.2, "1", "", "set by hand", "", "configured", 1.05)
FACTORS = {"grid": GRID, "upstream": factor("upstream", 50), "pue": PUE}


def rows(card: str) -> dict[str, str]:
    """The two-column table of a card: name → value."""
    cells = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in cells if len(row) == 2}


def device(name: str, model: str, energy_j: float, kind: str = "gpu", method: str = "counter") -> DeviceFootprint:
    return DeviceFootprint(name, "host", kind, model, method, Quantity(energy_j, energy_j * 0.9, energy_j * 1.1), 0.0, None)


def unmeasured(*notes: str) -> Footprint:
    return Footprint(IDENTITY._replace(model=None), at(0), at(3600), None, None, None, (), {}, {}, {}, (), notes)


def test_the_card_says_what_was_measured_and_how() -> None:
    found = rows(footprint(two_seconds(), factors=FACTORS).to_model_card())
    assert found["Energy"] == "1.07 kJ (1.01 kJ to 1.15 kJ), 0.000299 kWh"
    assert found["Measured by sensors"] == "100 %"
    assert found["Emissions (location-based)"].startswith("118 mg (")
    assert found["Emissions (upstream of the plants)"].startswith("17.9 mg (")
    assert found["Grid"] == "DE, 329 gCO2e/kWh, direct, EEA, 2023, annual-average"
    assert found["Grid, upstream"].startswith("DE, 50 gCO2e/kWh")
    assert found["PUE"] == "1.2, set by hand, configured"
    assert (found["Hardware"], found["Region"], found["Duration"]) == ("card, chip", "DE", "2 s")
    assert found["Tokens"] == "812 prompt, 64 generated"


def test_tokens_served_from_a_cache_cost_nothing_here() -> None:
    run = footprint(two_seconds())
    cached = run._replace(work={**run.work, "cached_tokens": 100_000})
    assert rows(cached.to_model_card())["Energy per 1,000 tokens"] == rows(run.to_model_card())["Energy per 1,000 tokens"]
    assert rows(run.to_model_card())["Energy per 1,000 tokens"].startswith("1.23 kJ")  # 1075 J / 876 x 1000
    assert rows(cached.to_model_card())["Tokens"] == "812 prompt, 100,000 cached, 64 generated"


def test_devices_of_one_model_stand_on_one_line_the_largest_first() -> None:
    devices = (device("a", "card", 1), device("b", "chip", 30, "cpu", "estimated"), device("c", "card", 2))
    card = unmeasured()._replace(devices=devices).to_model_card()
    assert card[card.index("| Part") :].splitlines()[2:4] == [
        "| cpu | chip | 30 J (27 J to 33 J) | estimated |",
        "| gpu | 2 x card | 3 J (2.7 J to 3.3 J) | counter |",
    ]
    assert rows(card)["Hardware"] == "2 x card, chip"


def test_memory_and_fans_are_no_hardware_that_computes() -> None:
    devices = (device("d", "dimm", 1, "dram"), device("r", "fans", 1, "rest"))
    assert "Hardware" not in rows(unmeasured()._replace(devices=devices).to_model_card())


def test_what_is_not_known_has_no_line() -> None:
    card = unmeasured("no sensor here").to_model_card()
    assert set(rows(card)) == {"Duration"}
    assert "| Part" not in card
    assert "model" not in card.splitlines()[2]
    assert card.endswith("\n- no sensor here\n")
    assert "\n-" not in unmeasured().to_model_card()


def test_work_without_energy_has_no_price() -> None:
    found = rows(unmeasured()._replace(work={"prompt_tokens": 5}).to_model_card())
    assert found["Tokens"] == "5 prompt"
    assert "Energy per 1,000 tokens" not in found


def test_the_worlds_average_is_no_place() -> None:
    world = footprint(two_seconds(), factors={"grid": GRID._replace(zone="WORLD")})
    assert "Region" not in rows(world.to_model_card())
    assert "geographical_location" not in metadata(world)["co2_eq_emissions"]
    assert rows(world.to_model_card())["Grid"].startswith("WORLD, 329")


def test_a_cost_is_said_with_its_currency() -> None:
    assert rows(unmeasured()._replace(cost=Cost(0.125, "EUR")).to_model_card())["Cost"] == "0.12 EUR"


@pytest.mark.parametrize(("length_s", "text"), [(119.0, "119 s"), (150.0, "2 min"), (7140.0, "119 min"), (9000.0, "2 h 30 min")])
def test_a_length_is_said_in_the_unit_that_people_use(length_s: float, text: str) -> None:
    assert rows(unmeasured()._replace(end=at(length_s)).to_model_card())["Duration"] == text


def test_nothing_breaks_out_of_its_cell() -> None:
    bad = "a | b\n\n| <script>\\"
    who = IDENTITY._replace(job=bad, model=bad)
    devices = (device("a", bad, 1),)
    card = unmeasured(bad)._replace(identity=who, devices=devices).to_model_card()
    assert "<script>" not in card
    assert all(line.replace("\\|", "").count("|") in (0, 3, 5) for line in card.splitlines())
    assert shown(bad) == r"a \| b \| &lt;script&gt;\\"
    assert len(card.splitlines()) == len(unmeasured("n")._replace(devices=(device("a", "m", 1),)).to_model_card().splitlines())


def test_the_hubs_metadata_has_its_keys_and_grams() -> None:
    block = metadata(footprint(two_seconds(), factors=FACTORS), "fine-tuning")["co2_eq_emissions"]
    assert list(block) == ["emissions", "source", "training_type", "geographical_location", "hardware_used"]
    assert block["emissions"] == 0.118
    assert str(block["source"]).startswith(f"wattledger {__version__}, location-based, 95 % interval 0.104 to 0.134 g, 100 % of")
    assert (block["training_type"], block["geographical_location"], block["hardware_used"]) == ("fine-tuning", "DE", "card, chip")
    assert "training_type" not in metadata(footprint(two_seconds(), factors=FACTORS))["co2_eq_emissions"]


def test_without_grams_there_is_no_metadata() -> None:
    assert metadata(unmeasured()) == {}
    assert unmeasured().to_model_card(front_matter=True) == unmeasured().to_model_card()


def test_grams_without_a_measured_part_say_nothing_of_it() -> None:
    found = unmeasured()._replace(emissions_g={"location_based": Quantity(0.0, 0.0, 1.0)})
    block = metadata(found)["co2_eq_emissions"]
    assert block["emissions"] == 0
    assert str(block["source"]).endswith("interval 0 to 1.00 g")


def test_the_front_matter_stands_before_the_section() -> None:
    run = footprint(two_seconds(), factors=FACTORS)
    before, section = run.to_model_card("fine-tuning", front_matter=True).split("\n---\n\n")
    assert before.splitlines()[:3] == ["---", "co2_eq_emissions:", "  emissions: 0.118"]
    assert '  training_type: "fine-tuning"' in before
    assert section == run.to_model_card()


def test_the_front_matter_keeps_its_lines_whatever_is_in_them() -> None:
    assert yaml({"a": {"b": 'q"\\\n---\n\x07x', "c": 8.96e-06}}) == '---\na:\n  b: "q\\"\\\\ --- x"\n  c: 0.00000896\n---\n\n'


def test_small_numbers_have_no_exponent() -> None:
    """The hub's own search reads ``8.96e-06`` as 8.96."""
    written = {0.0: "0", 8.96e-06: "0.00000896", 0.5: "0.500", 12.34: "12.3", 123456.0: "123456", -0.25: "-0.250"}
    assert {value: plain(value) for value in written} == written
