"""Hosts by what little they say of themselves, parts, and what is true of every formula; published examples: accounting."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.factors.hardware import bottom_up, hosts
from wattledger.factors.hardware.chassis import CHASSIS, chassis_class

CLASSES = ("server", "workstation", "desktop", "laptop", "vm")
AREA_MM2 = st.floats(1, 3_000)
GB = st.floats(0.5, 4_096)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(("cpus", "memory_gb"), [(0, 0.0), (1, 0.0), (8, 16.0), (128, 1024.0), (0, 64.0)])
def test_a_host_of_each_class_has_a_figure_in_its_interval(kind: str, cpus: int, memory_gb: float) -> None:
    found = hosts.host(kind, cpus, memory_gb, life_h=1000)
    assert 5 < found.kg < 20_000
    assert found.low_kg <= found.kg / 2
    assert found.high_kg >= found.kg * 2
    assert (found.kind, found.life_h) == ("server", 1000)
    assert found.boundary
    assert found.source


def test_a_server_that_says_nothing_is_the_middle_of_servers() -> None:
    found = hosts.host("server", 64, 0)
    assert (found.kg, found.method, found.low_kg, found.high_kg) == (1200, "class", 400, 5700)


def test_a_server_is_the_sum_of_its_parts() -> None:
    found = hosts.host("server", 64, 256.0)
    parts = [
        *[hosts.component("cpu", cores=16)] * 2, *[hosts.component("dram", gb=64)] * 4, hosts.component("ssd", gb=1000),
        *[hosts.component("psu")] * 2, hosts.component("board"), hosts.component("chassis"),
    ]  # fmt: skip
    assert found.kg == pytest.approx(sum(part.kg for part in parts) + bottom_up.assembly())
    assert found.method == "bottom-up"


def test_a_virtual_machine_is_a_part_of_its_host() -> None:
    assert hosts.host("vm", 8, 32.0).kg == pytest.approx(8 * 48 / 4)
    assert "8 vCPUs of a host that the provider does not show" in hosts.host("vm", 8, 32.0).note


def test_a_laptop_is_less_than_a_workstation_and_says_what_is_left_out() -> None:
    laptop, workstation = (hosts.host(kind, 16, 32.0) for kind in ("laptop", "workstation"))
    assert laptop.kg < workstation.kg
    assert "screen and battery are in no formula" in laptop.note


def test_what_the_user_declares_goes_before_every_class() -> None:
    found = hosts.host("laptop", 16, 32.0, kg=250, life_h=8760)
    assert (found.kg, found.low_kg, found.high_kg, found.method) == (250, 125, 500, "declared")
    assert found.g_per_h == pytest.approx(250_000 / 8760)
    assert hosts.host("none", 16, 32.0).kg == 0


@pytest.mark.parametrize(
    ("kind", "cpus", "memory_gb", "kg"),
    [
        ("mainframe", 4, 8.0, 0.0), ("server", -1, 8.0, 0.0), ("server", 4, -8.0, 0.0), ("server", 4, 8.0, -1.0),
        ("server", 4, float("nan"), 0.0), ("server", 4, float("inf"), 0.0), ("server", 4, 8.0, float("nan")),
        ("server", 4, 8.0, float("inf")), ("server", 4, 1e12, 0.0), ("a\nb", 4, 8.0, 0.0),
    ],
)  # fmt: skip
def test_a_host_that_cannot_be_is_refused_in_one_line(kind: str, cpus: int, memory_gb: float, kg: float) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        hosts.host(kind, cpus, memory_gb, kg=kg)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(("kind", "types"), CHASSIS.items())
def test_a_chassis_says_what_kind_of_machine_it_is(kind: str, types: tuple[int, ...]) -> None:
    assert {chassis_class(number) for number in types} == {kind}


@pytest.mark.parametrize("number", [None, 0, 1, 2, 99])
def test_a_chassis_that_says_nothing_is_a_servers(number: int | None) -> None:
    assert chassis_class(number) == "server"


def test_no_chassis_type_is_of_two_kinds() -> None:
    types = [number for each in CHASSIS.values() for number in each]
    assert len(types) == len(set(types))


@pytest.mark.parametrize(
    ("kind", "said", "kg"),
    [
        ("dram", {"gb": 32.0}, 32 / 1.79 * 2.2 + 5.22), ("ssd", {"gb": 400.0}, 23.7313), ("hdd", {}, 31.11),
        ("cpu", {"cores": 12}, 14.9318), ("cpu", {"model": "AMD EPYC 9654 96-Core Processor"}, 32.6342), ("psu", {}, 2.99 * 24.3),
        ("psu", {"mass_kg": 2.0}, 48.6), ("board", {}, 66.1), ("chassis", {}, 150), ("chassis", {"model": "blade"}, 85.9),
        ("nic", {}, 25.1504), ("cpu", {"model": "who knows", "cores": 12}, 14.9318),
    ],
)  # fmt: skip
def test_a_part_of_each_kind(kind: str, said: dict[str, float | str], kg: float) -> None:
    found = hosts.component(kind, **said)  # type: ignore[arg-type]
    assert found.kg == pytest.approx(kg, rel=1e-5)
    assert (found.kind, found.method) == (kind, "bottom-up")
    assert found.low_kg <= found.kg / 2
    assert found.high_kg >= found.kg * 2


@pytest.mark.parametrize("kind", ["dram", "ssd"])
def test_denser_dies_than_the_formulas_have_room_below(kind: str) -> None:
    """Where there is much memory, the die dominates, and today's hold three times as much on an area."""
    found = hosts.component(kind, gb=8192)
    assert found.low_kg < found.kg / 2.4


@pytest.mark.parametrize(
    ("kind", "said", "what"),
    [
        ("dram", {}, "gb = 0.0: expected a number above zero"), ("ssd", {"gb": -1.0}, "gb = -1.0: expected"),
        ("cpu", {}, "cores = 0: expected"), ("cpu", {"model": "who knows"}, "cores = 0: expected"),
        ("psu", {"mass_kg": float("nan")}, "mass_kg = nan: expected"),
        ("chassis", {"model": "tower"}, "chassis 'tower': expected rack or blade"),
        ("flux capacitor", {}, "no formula for a part of kind 'flux capacitor': say its kg"), ("", {}, "no formula"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_estimated_is_refused_in_one_line(kind: str, said: dict[str, float | str], what: str) -> None:
    with pytest.raises(ValueError, match=what) as refused:
        hosts.component(kind, **said)  # type: ignore[arg-type]
    assert len(str(refused.value).splitlines()) == 1


@given(AREA_MM2, AREA_MM2)
def test_more_silicon_is_never_less_carbon(one_mm2: float, other_mm2: float) -> None:
    less, more = sorted((one_mm2, other_mm2))
    assert bottom_up.cpu(less) <= bottom_up.cpu(more)
    assert bottom_up.effective_mm2(less) <= bottom_up.effective_mm2(more) * (1 + 1e-12)
    assert bottom_up.gpu(bottom_up.Card(dies_mm2=(less,))) <= bottom_up.gpu(bottom_up.Card(dies_mm2=(more,))) * (1 + 1e-12)
    assert bottom_up.effective_mm2(less) > less


@given(GB, GB)
def test_more_memory_is_never_less_carbon(one_gb: float, other_gb: float) -> None:
    less, more = sorted((one_gb, other_gb))
    for formula in (bottom_up.ram, bottom_up.ssd):
        assert formula(less) <= formula(more)
    small, large = (bottom_up.gpu(bottom_up.Card(memory_gb=min(gb, 512))) for gb in (less, more))
    assert small <= large * (1 + 1e-12)
    assert hosts.component("dram", gb=less).low_kg <= hosts.component("dram", gb=more).low_kg


@given(st.integers(1, 1024), st.integers(1, 1024))
def test_more_cores_are_never_less_carbon(one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert bottom_up.cpu_of_cores(less) <= bottom_up.cpu_of_cores(more)
    for kind in CLASSES:
        assert hosts.host(kind, less, 64.0).kg <= hosts.host(kind, more, 64.0).kg


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_busier_processor_draws_more(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert bottom_up.cpu_power_w(less) <= bottom_up.cpu_power_w(more)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_formulas_refuse_what_cannot_be_in_one_line(wrong: float) -> None:
    calls: tuple[Callable[[], float], ...] = (
        lambda: bottom_up.cpu(wrong), lambda: bottom_up.ram(wrong), lambda: bottom_up.ram(1, wrong), lambda: bottom_up.ssd(wrong),
        lambda: bottom_up.psu(wrong), lambda: bottom_up.effective_mm2(wrong), lambda: bottom_up.cpu_power_w(wrong - 1),
        lambda: bottom_up.gpu(bottom_up.Card(dies_mm2=(wrong,))), lambda: bottom_up.gpu(bottom_up.Card(mass_kg=wrong)),
        lambda: bottom_up.gpu(bottom_up.Card(boat_km=wrong - 1)),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(ValueError, match="expected") as refused:
            call()
        assert len(str(refused.value).splitlines()) == 1


def test_a_die_larger_than_the_wafer_is_refused() -> None:
    with pytest.raises(ValueError, match="no such die fits on a wafer of 300 mm"):
        bottom_up.effective_mm2(60_000)
    with pytest.raises(ValueError, match="at least one compute die"):
        bottom_up.gpu(bottom_up.Card(dies_mm2=()))
