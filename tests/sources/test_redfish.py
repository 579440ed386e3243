"""Redfish: which meter of which chassis is the node's, from a BMC on this machine."""

from pathlib import Path
from typing import Any

import pytest
from tests.sources.bmc import CHASSIS, Bmc, inside, link, listed, power, read, standing

from wattledger.core.model import Device, EnergyCounter, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, SourceFailed, SourceGone
from wattledger.sources import redfish

SERVER = {"Manufacturer": "Contoso ", "Model": "3500", "ChassisType": "RackMount"}


def watts(samples: list[Sample]) -> list[float]:
    assert all(isinstance(sample, PowerGauge) for sample in samples)
    return [sample.power_uw / 1e6 for sample in samples if isinstance(sample, PowerGauge)]


def told_w(resources: dict[str, Any]) -> float:
    """What a new source reads from a BMC with these resources."""
    with standing(resources) as bmc:
        (found,) = watts(read(redfish.open(bmc.host()), 0))
    return found


def refused(resources: dict[str, Any]) -> str:
    with standing(resources) as bmc, pytest.raises(SourceFailed) as failed:
        read(redfish.open(bmc.host()), 0)
    assert "\n" not in str(failed.value)
    return str(failed.value)


def test_the_node_is_one_device_over_its_parts() -> None:
    with standing(listed(one={**SERVER, "Power": power(344)})) as bmc:
        source = redfish.open(bmc.host(period_s=5.0))
        assert source.devices() == []
        (sample,) = read(source, 3)
    device = Device("node/redfish", "node", "Contoso 3500", "(parts)", 5_000_000_000)
    assert isinstance(sample, PowerGauge)
    assert (sample.device, sample.power_uw, sample.at.mono_ns) == (device, 344_000_000, 3_000_000_000)
    assert source.devices() == [device]
    source.close()


def test_it_asks_once_a_period_and_looks_around_only_once() -> None:
    with standing(listed(one={**SERVER, "Power": power(344)})) as bmc:
        source = redfish.open(bmc.host())
        assert [len(read(source, s)) for s in (0, 1, 9.9, 10, 19, 20.5)] == [1, 0, 0, 1, 0, 1]
    assert bmc.asked == [CHASSIS, f"{CHASSIS}/one", *[f"{CHASSIS}/one/Power"] * 4]


def test_a_span_boundary_asks_nothing() -> None:
    with standing(listed(one={**SERVER, "Power": power(344)})) as bmc:
        source = redfish.open(bmc.host())
        assert not source.edge
        assert list(source.read(lambda: Instant(0, 0), False)) == []
        assert bmc.asked == []


def test_the_whole_is_not_the_sum_of_it_and_its_parts() -> None:
    control = [
        {"Name": "CPU Sub-system Power", "PowerConsumedWatts": 180},
        {"Name": "Memory Sub-system Power", "PowerConsumedWatts": 30},
        {"Name": "Server Power Control", "PowerConsumedWatts": 344.5},
        {"Name": "Chassis Power Control", "PowerConsumedWatts": 45},
    ]
    assert told_w(listed(one={**SERVER, "Power": {"PowerControl": control}})) == 344.5
    assert "no entry for the whole" in refused(listed(one={**SERVER, "Power": {"PowerControl": control[:2]}}))


def test_an_entry_that_is_off_or_empty_gives_way_to_the_next() -> None:
    off = {"Name": "Old", "PowerConsumedWatts": 999, "Status": {"State": "Disabled"}}
    empty = {"Name": "Sled", "PowerConsumedWatts": None}
    control = {"PowerControl": [off, empty, {"Name": "Server", "PowerConsumedWatts": 300}]}
    assert told_w(listed(one={**SERVER, "Power": control})) == 300


@pytest.mark.parametrize("value", [None, 0, 0.0, -3, "344", True, 1e300, {}, []])
def test_what_is_no_reading_is_a_failure_and_never_zero(value: object) -> None:
    assert "no reading" in refused(listed(one={**SERVER, "Power": power(value)}))


@pytest.mark.parametrize("state", ["Disabled", "Absent", "UnavailableOffline", "StandbyOffline"])
def test_a_sensor_that_is_off_is_not_read(state: str) -> None:
    metrics = {"PowerWatts": {"Reading": 300, "Status": {"State": state}}}
    assert "switched off" in refused(listed(one={**SERVER, "EnvironmentMetrics": metrics}))
    assert "no entry" in refused(listed(one={**SERVER, "Power": power(300, Status={"State": state})}))


def test_the_newer_resource_goes_before_the_older() -> None:
    metrics = {"PowerWatts": {"Reading": 310.5, "DataSourceUri": f"{CHASSIS}/one/Sensors/Total"}}
    assert told_w(listed(one={**SERVER, "EnvironmentMetrics": metrics, "Power": power(300)})) == 310.5


def test_a_newer_resource_that_fails_gives_way_to_the_older() -> None:
    both = listed(one={**SERVER, "EnvironmentMetrics": {"PowerWatts": {"Reading": None}}, "Power": power(300)})
    assert told_w(both) == 300
    del both[f"{CHASSIS}/one/EnvironmentMetrics"]
    assert told_w(both) == 300


@pytest.mark.parametrize(
    ("metrics", "count_uj"),
    [
        ({"EnergyJoules": {"Reading": 12_345.5}, "PowerWatts": {"Reading": 300}}, 12_345_500_000),
        ({"EnergyJoules": {"Reading": 5, "LifetimeReading": 12_345}}, 12_345_000_000),
        ({"EnergykWh": {"Reading": 1.2345}, "PowerWatts": {"Reading": 300}}, 4_444_200_000_000),
    ],
)
def test_a_register_goes_before_a_power(metrics: dict[str, Any], count_uj: int) -> None:
    with standing(listed(one={**SERVER, "EnvironmentMetrics": metrics})) as bmc:
        (sample,) = read(redfish.open(bmc.host()), 0)
    assert isinstance(sample, EnergyCounter)
    assert (sample.count_uj, sample.range_uj) == (count_uj, None)


def test_a_register_of_coarse_steps_tells_less_than_the_power() -> None:
    metrics = {"EnergykWh": {"Reading": 1234.5}, "PowerWatts": {"Reading": 300}}
    assert told_w(listed(one={**SERVER, "EnvironmentMetrics": metrics})) == 300


# --- several chassis ----------------------------------------------------------------------------------------------------


def test_what_is_inside_a_chassis_that_has_a_meter_is_counted_already() -> None:
    resources = listed(
        gpu={"ChassisType": "Module", "Links": inside("box"), "Power": power(700)},
        box={**SERVER, "Power": power(5000)},
        shelf={"ChassisType": "Shelf", "Links": inside("box"), "Power": power(80)},
    )
    assert told_w(resources) == 5000


def test_chassis_beside_each_other_add_up() -> None:
    resources = listed(box={**SERVER, "Power": power(5000)}, shelf={"ChassisType": "Shelf", "Power": power(80)})
    assert told_w(resources) == 5080


def test_the_parts_of_a_chassis_without_a_meter_add_up() -> None:
    resources = listed(
        rack={"ChassisType": "Rack"},
        a={"Links": inside("rack"), "Power": power(300)},
        b={"Links": inside("rack"), "Power": power(200)},
        fan={"Links": inside("a"), "Power": power(50)},
    )
    assert told_w(resources) == 500


def test_a_module_that_says_of_nothing_that_it_is_inside_is_still_a_part() -> None:
    resources = listed(hgx={"ChassisType": "Module", "Power": power(4000)}, box={**SERVER, "Power": power(5000)})
    assert told_w(resources) == 5000


def test_a_chassis_that_is_inside_what_is_not_listed_is_the_outermost() -> None:
    assert told_w(listed(blade={**SERVER, "Links": inside("enclosure"), "Power": power(300)})) == 300


def test_registers_and_powers_are_not_added() -> None:
    register = {"EnergyJoules": {"Reading": 1000}, "PowerWatts": {"Reading": 300}}
    resources = listed(a={**SERVER, "EnvironmentMetrics": register}, b={"Power": power(200)})
    assert told_w(resources) == 500
    del resources[f"{CHASSIS}/a/EnvironmentMetrics"]["PowerWatts"]
    assert "do not add up" in refused(resources)


def test_one_of_several_that_fails_fails_the_sum() -> None:
    resources = listed(a={**SERVER, "Power": power(300)}, b={"Power": power(200)})
    with standing(resources) as bmc:
        source = redfish.open(bmc.host())
        assert watts(read(source, 0)) == [500]
        resources[f"{CHASSIS}/b/Power"] = power(None)
        with pytest.raises(SourceFailed, match="reads null"):
            read(source, 10)


# --- faults -------------------------------------------------------------------------------------------------------------


def test_a_bmc_that_moved_its_resources_is_looked_through_again() -> None:
    with standing(listed(one={**SERVER, "Power": power(300)})) as bmc:
        source = redfish.open(bmc.host())
        assert watts(read(source, 0)) == [300]
        bmc.resources = listed(two={**SERVER, "Power": power(310)})
        with pytest.raises(SourceFailed, match=f"{CHASSIS}/one/Power: HTTP 404"):
            read(source, 10)
        assert read(source, 11) == []
        assert watts(read(source, 20)) == [310]


def test_a_sensor_that_is_read_no_more_is_stale() -> None:
    excerpt = {"Reading": 300, "ReadingTime": "2026-11-22T10:00:00Z"}
    resources = listed(one={**SERVER, "EnvironmentMetrics": {"PowerWatts": excerpt}})
    with standing(resources) as bmc:
        source = redfish.open(bmc.host())
        assert [watts(read(source, s)) for s in (0, 10, 20, 30)] == [[300]] * 4
        with pytest.raises(SourceFailed, match="not been read since 2026-11-22T10:00:00Z"):
            read(source, 40)
        excerpt["ReadingTime"] = "2026-11-22T10:00:50Z"
        assert watts(read(source, 50)) == [300]


@pytest.mark.parametrize(
    "resources",
    [
        {},
        {CHASSIS: b"<html>"},
        {CHASSIS: b"[]"},
        {CHASSIS: b"[" * 100_000},
        {CHASSIS: {}},
        {CHASSIS: {"Members": "all"}},
        {CHASSIS: {"Members": [None, {}, {"@odata.id": 7}]}},
        {CHASSIS: {"Members": [link("//elsewhere/redfish")]}},
        {CHASSIS: {"Members": [link("http://elsewhere/redfish/")]}},
        listed(one=SERVER),
        listed(one={**SERVER, "Power": {"PowerControl": {"PowerConsumedWatts": 3}}}),
        listed(one={**SERVER, "Links": "none", "Power": {}}),
        listed(a={"Links": inside("b"), "Power": power(1)}, b={"Links": inside("a"), "Power": power(1)}),
    ],
)
def test_what_is_not_redfish_is_one_line(resources: dict[str, Any]) -> None:
    assert refused(resources)


# --- who asks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("pä ss\n")
    path.chmod(0o600)
    return path


def guarded(bmc: Bmc, password: str) -> None:
    bmc.account = ("ann", password)


def test_the_password_is_read_anew_each_time(password: Path) -> None:
    with standing(listed(one={**SERVER, "Power": power(300)})) as bmc:
        guarded(bmc, "pä ss")
        source = redfish.Redfish(bmc.host(user="ann", password_file=str(password)))
        assert watts(read(source, 0)) == [300]
        guarded(bmc, "new")
        with pytest.raises(SourceFailed, match="HTTP 401 Unauthorized") as failed:
            read(source, 10)
        assert "pä" not in str(failed.value)
        password.write_text("new")
        assert watts(read(source, 20)) == [300]
    assert source.notes == ()


def test_a_password_that_everybody_may_read_is_noted(password: Path) -> None:
    password.chmod(0o644)
    with standing(listed(one={**SERVER, "Power": power(300)})) as bmc:
        source = redfish.Redfish(bmc.host(user="ann", password_file=str(password)))
        read(source, 0)
        read(source, 10)
    (note,) = source.notes
    assert f"chmod 0600 {password}" in note


def test_a_password_that_cannot_be_read_is_named_by_its_file(tmp_path: Path) -> None:
    with standing(listed()) as bmc:
        for options, said in (({}, "password_file is not"), ({"password_file": str(tmp_path / "no")}, "No such file")):
            with pytest.raises(SourceFailed, match=said):
                read(redfish.open(bmc.host(user="ann", **options)), 0)
        (tmp_path / "odd").write_bytes(b"\xff\xfe")
        with pytest.raises(SourceFailed, match="not text"):
            read(redfish.open(bmc.host(user="ann", password_file=str(tmp_path / "odd"))), 0)
    assert bmc.asked == []


@pytest.mark.parametrize("url", ["", "10.0.0.7", "https://ann:s3cret@10.0.0.7"])
def test_without_a_bmc_there_is_no_source(url: str) -> None:
    host = Host("", "", {}, (), True, {"url": url})
    with pytest.raises(SourceGone) as gone:
        redfish.open(host)
    (finding,) = redfish.examine(host)
    assert finding.state == ("broken" if url else "absent")
    assert finding.remedy
    assert "s3cret" not in f"{gone.value} {finding}"


def test_the_doctor_says_what_would_be_read() -> None:
    with standing(listed(one={**SERVER, "Power": power(344)})) as bmc:
        (finding,) = redfish.examine(bmc.host())
        assert (finding.state, finding.sensor) == ("usable", "node/redfish")
        assert finding.why == f"Contoso 3500: PowerControl in {CHASSIS}/one/Power: 344 W now, integrated"
        bmc.account = ("ann", "x")
        (finding,) = redfish.examine(bmc.host())
        assert (finding.state, "ReadOnly" in finding.remedy) == ("denied", True)
    (finding,) = redfish.examine(bmc.host())
    assert finding.state == "broken"
    assert "connection refused" in finding.why
