"""A footprint as flat numbers and words: the names that trackers show, and nothing for what is not known."""

import pytest
from tests.core.made import at
from tests.core.metered import GRID, IDENTITY, footprint, two_seconds

from wattledger.core.footprint import DeviceFootprint, Footprint
from wattledger.core.pricing import Cost
from wattledger.core.uncertainty import Quantity
from wattledger.integrations._flat import metrics_of, tags_of


def test_numbers_carry_their_interval_and_their_parts() -> None:
    found = metrics_of(footprint(two_seconds(), factors={"grid": GRID})._replace(cost=Cost(0.5, "EUR")))
    assert list(found)[:5] == ["wattledger/" + name for name in ("duration_s", "measured_fraction", "energy_j", "energy_j_low",
                               "energy_j_high")]  # fmt: skip
    assert found["wattledger/gpu_energy_j"] + found["wattledger/cpu_energy_j"] == pytest.approx(found["wattledger/energy_j"])
    assert found["wattledger/emissions_g"] == pytest.approx(1075 / 3.6e6 * 329)
    assert (found["wattledger/prompt_tokens"], found["wattledger/cost_eur"]) == (812.0, 0.5)


def test_what_is_not_known_has_no_name() -> None:
    unknown = Footprint(IDENTITY, at(0), at(5), None, None, None, (), {}, {}, {}, (), ("no sensor",))
    assert metrics_of(unknown) == {"wattledger/duration_s": 5.0}
    assert tags_of(unknown) == {"wattledger.run_id": "ab12"}


def test_tags_say_the_part_of_each_method_and_the_place() -> None:
    def device(method: str, energy_j: float) -> DeviceFootprint:
        return DeviceFootprint(method, "host", "gpu", "m", method, Quantity(energy_j, energy_j, energy_j), 0.0, None)

    run = footprint(two_seconds(), factors={"grid": GRID})._replace(devices=(device("counter", 3), device("estimated", 1)))
    assert tags_of(run) == {
        "wattledger.run_id": "ab12", "wattledger.method.counter": "0.75", "wattledger.method.estimated": "0.25",
        "wattledger.grid_zone": "DE",
    }  # fmt: skip
