"""Power resources of the DMTF's mock-up rack servers: the server's own entry is read, not its sum with the chassis' share."""

import json
import os
from pathlib import Path

import pytest
from tests.sources.bmc import listed, read, standing

from wattledger.core.model import PowerGauge
from wattledger.sources import redfish

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings")


def recorded(name: str) -> Path:
    assert RECORDINGS
    return Path(RECORDINGS, name)


@pytest.mark.parametrize(("chassis", "watts"), [("1U", 344), ("2U", 450), ("4U", 750)])
def test_a_mock_up_server_tells_its_power(chassis: str, watts: int) -> None:
    power = json.loads(recorded(f"redfish/{chassis}/Power_index.json").read_text())
    resources = listed(**{chassis: {"Manufacturer": "Contoso", "Model": chassis, "ChassisType": "RackMount", "Power": power}})
    with standing(resources) as bmc:
        (sample,) = read(redfish.open(bmc.host()), 0)
    assert isinstance(sample, PowerGauge)
    assert sample.power_uw == watts * 1_000_000


def test_a_dell_server_tells_its_power() -> None:
    power = json.loads(recorded("device_dumps/dell_power.json").read_text())
    with standing(listed(one={"Power": power})) as bmc:
        (sample,) = read(redfish.open(bmc.host()), 0)
    assert isinstance(sample, PowerGauge)
    assert sample.power_uw == power["PowerControl"][0]["PowerConsumedWatts"] * 1_000_000
