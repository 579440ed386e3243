"""The meter tells apart first, difference, wrap, reset, hole, suspect, refused, still and late."""

from typing import cast

import pytest
from tests.core.made import CPU, DRAM, GPU, S, at, counter, gauge

from wattledger.core.meter import (
    BLIND_AFTER_NS,
    MAX_GAUGE_HOLE_NS,
    PATIENCE,
    First,
    Held,
    Late,
    Lost,
    Measured,
    Meter,
    Outcome,
    Reading,
    Still,
    cap_uw,
    difference,
    limit_uj,
    method_of,
)
from wattledger.core.model import Device, Kind

RANGE_J = 262_143.328850


def outcomes(*readings: Reading) -> list[Outcome]:
    meter = Meter()
    return [meter.take(reading) for reading in readings]


def last(*readings: Reading) -> Outcome:
    return outcomes(*readings)[-1]


def energies_j(found: list[Outcome]) -> float:
    measured = [o.interval for o in found if isinstance(o, Measured)]
    resumed = [o.resumed for o in found if isinstance(o, Lost) and o.resumed is not None]
    return sum(i.energy_uj for i in [*measured, *resumed]) / 1e6


def test_a_first_reading_is_a_baseline_and_no_energy() -> None:
    assert last(counter(GPU, 0, 5_000_000)) == First(GPU, at(0))
    assert last(gauge(GPU, 0, 300)) == First(GPU, at(0))


def test_a_difference_is_energy() -> None:
    found = cast(Measured, last(counter(CPU, 0, 100), counter(CPU, 2, 150)))
    assert found.interval == (CPU, at(0), at(2), 50_000_000, "counter")
    assert not found.wrapped


def test_a_missed_reading_loses_nothing() -> None:
    every_second = outcomes(*(counter(CPU, t, 50 * t) for t in range(9)))
    assert energies_j(every_second) == energies_j(outcomes(counter(CPU, 0, 0), counter(CPU, 8, 400))) == 400


def test_a_wrap_is_not_a_reset() -> None:
    found = cast(Measured, last(counter(CPU, 0, RANGE_J - 10, RANGE_J), counter(CPU, 1, 40, RANGE_J)))
    assert found.interval.energy_uj == 50_000_000
    assert found.wrapped


def test_a_wrap_just_at_the_range_loses_no_microjoule() -> None:
    found = cast(Measured, last(counter(CPU, 0, RANGE_J - 0.000001, RANGE_J), counter(CPU, 1, 0, RANGE_J)))
    assert found == Measured(found.interval, wrapped=True)
    assert found.interval.energy_uj == 1


def test_a_reset_is_not_a_wrap() -> None:
    before, after = counter(CPU, 0, 100_000, RANGE_J), counter(CPU, 1, 3, RANGE_J)
    held, lost = outcomes(before, after, counter(CPU, 2, 53, RANGE_J))[1:]
    assert held == Held(CPU)
    assert cast(Lost, lost).gap == (CPU, at(0), at(1), "the counter restarted")
    # What the register counted since it started anew is real; what it lost is not invented.
    assert cast(Lost, lost).resumed == (CPU, at(1), at(2), 50_000_000, "counter")


def test_a_reset_of_a_register_that_never_wraps_is_a_reset() -> None:
    found = outcomes(counter(GPU, 0, 9_000), counter(GPU, 1, 4), counter(GPU, 2, 104), counter(GPU, 3, 204))
    assert [type(o) for o in found] == [First, Held, Lost, Measured]
    assert energies_j(found) == 200


def test_a_spike_up_is_held_and_loses_nothing() -> None:
    found = outcomes(counter(CPU, 0, 0), counter(CPU, 1, 4_000_000), counter(CPU, 2, 100))
    assert [type(o) for o in found] == [First, Held, Measured]
    assert energies_j(found) == 100


def test_a_spike_down_is_held_and_loses_nothing() -> None:
    found = outcomes(counter(CPU, 0, 1_000), counter(CPU, 1, 0), counter(CPU, 2, 1_100))
    assert [type(o) for o in found] == [First, Held, Measured]
    assert energies_j(found) == 100


def test_readings_that_never_agree_are_refused_after_patience_and_the_meter_starts_anew() -> None:
    wild = [counter(CPU, 1 + n, 1e6 * (PATIENCE - n)) for n in range(PATIENCE)]
    meter = Meter()
    meter.take(counter(CPU, 0, 9e6))
    kinds = [type(meter.take(reading)) for reading in wild]
    assert kinds == [Held] * (PATIENCE - 1) + [Lost]
    resumed = cast(Measured, meter.take(counter(CPU, 1 + PATIENCE, 1e6 + 7)))
    assert resumed.interval.energy_uj == 7_000_000


def test_what_lands_at_once_is_believed_up_to_the_cap_over_the_refresh_period() -> None:
    # NVML lands 100 ms of energy at once: 1 ms after the last reading, 70 J are 700 W x 100 ms.
    assert isinstance(last(counter(GPU, 0, 0), counter(GPU, 0.001, 70)), Measured)
    assert isinstance(last(counter(GPU, 0, 0), counter(GPU, 0.001, 70.7)), Measured)
    assert isinstance(last(counter(GPU, 0, 0), counter(GPU, 0.001, 70.700001)), Held)
    assert limit_uj(GPU, S // 1000) == 70_700_000


def test_a_late_reading_tells_nothing_new() -> None:
    meter = Meter()
    meter.take(counter(CPU, 0, 0))
    meter.take(counter(CPU, 2, 100))
    assert meter.take(counter(CPU, 1, 50)) == Late(CPU)
    assert meter.take(counter(CPU, 2, 100)) == Late(CPU)
    assert cast(Measured, meter.take(counter(CPU, 3, 150))).interval.energy_uj == 50_000_000


def test_a_late_reading_of_another_kind_tells_nothing_new_either() -> None:
    found = outcomes(counter(GPU, 0, 0), counter(GPU, 4, 100), gauge(GPU, 2, 100), counter(GPU, 5, 150))
    assert [type(o) for o in found] == [First, Measured, Late, Measured]


def test_a_reading_older_than_the_suspect_is_late() -> None:
    found = outcomes(counter(GPU, 0, 1000), counter(GPU, 2, 0), counter(GPU, 1.95, 0.001), counter(GPU, 3, 100))
    assert [type(o) for o in found] == [First, Held, Late, Lost]
    assert cast(Lost, found[-1]).resumed == (GPU, at(2), at(3), 100_000_000, "counter")


def test_a_register_that_stands_still_is_unknown_and_not_zero() -> None:
    found = outcomes(counter(CPU, 0, 5), counter(CPU, 3, 5), counter(CPU, 4, 55))
    assert found[1] == Still(CPU, at(0))
    # It moved again: nothing is lost.
    assert cast(Measured, found[2]).interval == (CPU, at(0), at(4), 50_000_000, "counter")


def test_a_register_is_still_however_often_it_is_asked() -> None:
    found = outcomes(*(counter(GPU, n / 2, 5) for n in range(40)))
    assert type(found[-1]) is Still
    assert [type(o) for o in found[:4]] == [First, Measured, Measured, Measured]


def test_a_register_may_rest_for_its_refresh_period() -> None:
    assert isinstance(last(counter(GPU, 0, 5), counter(GPU, 1.9, 5)), Measured)
    assert isinstance(last(counter(GPU, 0, 5), counter(GPU, 2.1, 5)), Still)


def test_a_part_that_another_device_counts_may_rest_at_zero() -> None:
    core = CPU._replace(inside="package")
    assert isinstance(last(counter(core, 0, 0), counter(core, 60, 0)), Measured)


def test_too_long_away_from_a_register_that_wraps_is_a_hole() -> None:
    # 400 W fill 262 kJ in 655 s: after that, one wrap and two look alike.
    found = cast(Lost, last(counter(CPU, 0, 0, RANGE_J), counter(CPU, 700, 30, RANGE_J)))
    assert "more than once" in found.gap.reason
    assert found.resumed is None
    assert isinstance(last(counter(CPU, 0, 0, RANGE_J), counter(CPU, 600, 30, RANGE_J)), Measured)


def test_a_register_that_never_wraps_is_believed_after_any_absence() -> None:
    assert isinstance(last(counter(GPU, 0, 0), counter(GPU, 86_400, 1e6)), Measured)


def test_a_small_range_is_no_hole_within_the_reading_period() -> None:
    small_j = 1_000.0  # the cap would fill it in 2.5 s; a meter that reads every second still sees each wrap
    assert BLIND_AFTER_NS > 20 * S
    assert isinstance(last(counter(CPU, 0, 900, small_j), counter(CPU, 3, 100, small_j)), Measured)


def test_power_is_integrated_along_the_straight_line() -> None:
    found = cast(Measured, last(gauge(GPU, 0, 100), gauge(GPU, 2, 300)))
    assert found.interval == (GPU, at(0), at(2), 400_000_000, "integrated")


def test_a_hole_between_two_powers_is_not_filled() -> None:
    hole_s = MAX_GAUGE_HOLE_NS / S
    assert isinstance(last(gauge(GPU, 0, 100), gauge(GPU, hole_s, 100)), Measured)
    assert cast(Lost, last(gauge(GPU, 0, 100), gauge(GPU, hole_s + 0.1, 100))).gap.reason == "too long without a reading"


def test_a_slow_sensor_may_be_read_slowly() -> None:
    slow = GPU._replace(refresh_ns=10 * S)
    assert isinstance(last(gauge(slow, 0, 100), gauge(slow, 30, 100)), Measured)
    assert isinstance(last(gauge(slow, 0, 100), gauge(slow, 31, 100)), Lost)


def test_a_model_answers_for_the_whole_time_since_its_last_answer() -> None:
    found = cast(Measured, last(gauge(CPU, 0, 10, estimated=True), gauge(CPU, 60, 30, estimated=True)))
    assert found.interval == (CPU, at(0), at(60), 1_800_000_000, "estimated")


def test_what_is_half_a_model_is_not_called_measured() -> None:
    found = outcomes(gauge(GPU, 0, 500, estimated=True), gauge(GPU, 1, 100), gauge(GPU, 2, 100))
    measured = [o.interval for o in found if isinstance(o, Measured)]
    assert [i.method for i in measured if i.start == at(0)] in ([], ["estimated"])
    assert measured[-1] == (GPU, at(1), at(2), 100_000_000, "integrated")


@pytest.mark.parametrize("power_w", [-50.0, 1_000_000.0])
def test_an_implausible_power_is_never_integrated(power_w: float) -> None:
    found = outcomes(gauge(GPU, 0, 100), gauge(GPU, 1, power_w), gauge(GPU, 2, 100))
    assert [type(o) for o in found] == [First, Held, Measured]
    refused = outcomes(*(gauge(GPU, t, power_w) for t in range(1 + PATIENCE)), gauge(GPU, 9, 100), gauge(GPU, 10, 100))
    assert energies_j(refused) == 100


@pytest.mark.parametrize("power_w", [-50.0, 1_000_000.0])
def test_an_implausible_power_that_was_refused_is_no_baseline(power_w: float) -> None:
    wild = [gauge(GPU, 1 + n, power_w) for n in range(PATIENCE)]
    found = outcomes(gauge(GPU, 0, 100), *wild, gauge(GPU, 4, 100), gauge(GPU, 5, 100))
    assert energies_j(found) == 100


def test_a_change_of_kind_is_a_hole() -> None:
    to_gauge = cast(Lost, last(counter(GPU, 0, 5), gauge(GPU, 1, 100)))
    assert to_gauge.gap == (GPU, at(0), at(1), "the kind of reading changed")
    back = outcomes(counter(GPU, 0, 5), gauge(GPU, 1, 100), gauge(GPU, 2, 100), counter(GPU, 3, 400), counter(GPU, 4, 500))
    assert [type(o) for o in back] == [First, Lost, Measured, Lost, Measured]
    assert energies_j(back) == 200


def test_a_change_of_kind_forgets_the_suspects() -> None:
    found = outcomes(counter(GPU, 0, 0), counter(GPU, 1, 1e9), gauge(GPU, 2, 100), counter(GPU, 3, 5e8), counter(GPU, 4, 1e9))
    assert [type(o) for o in found] == [First, Held, Lost, Lost, Held]


def test_power_before_a_suspend_does_not_tell_of_the_time_since() -> None:
    meter = Meter()
    meter.take(gauge(GPU, 0, 100))
    meter.take(counter(CPU, 0, 0))
    meter.resume()
    assert cast(Lost, meter.take(gauge(GPU, 4, 100))).gap == (GPU, at(0), at(4), "the machine was suspended")
    assert isinstance(meter.take(gauge(GPU, 5, 100)), Measured)
    # A register says itself what it counted.
    assert cast(Measured, meter.take(counter(CPU, 4, 50))).interval.energy_uj == 50_000_000


def test_a_suspend_is_over_once_the_kind_of_reading_has_changed() -> None:
    meter = Meter()
    meter.take(gauge(GPU, 0, 100))
    meter.resume()
    assert isinstance(meter.take(counter(GPU, 1, 0)), Lost)
    assert isinstance(meter.take(counter(GPU, 2, 50)), Measured)


def test_devices_do_not_know_each_other() -> None:
    meter = Meter()
    assert isinstance(meter.take(counter(CPU, 0, 0)), First)
    assert isinstance(meter.take(counter(DRAM, 1, 1e9)), First)
    assert cast(Measured, meter.take(counter(CPU, 1, 3))).interval.energy_uj == 3_000_000


def test_the_way_a_reading_is_got_reaches_its_method() -> None:
    readings = counter(CPU, 0, 0), gauge(CPU, 0, 0), gauge(CPU, 0, 0, estimated=True)
    assert [method_of(r) for r in readings] == ["counter", "integrated", "estimated"]


@pytest.mark.parametrize(
    ("kind", "cap_w"), [("cpu", 2_000), ("dram", 1_000), ("gpu", 3_000), ("accelerator", 100_000), ("nic", 100_000)]
)
def test_without_a_cap_nobody_draws_more_than_any_of_its_kind(kind: Kind, cap_w: int) -> None:
    assert cap_uw(Device("x", kind, "m")) == cap_w * 1_000_000
    assert cap_uw(Device("x", kind, "m", cap_uw=7)) == 7


def test_an_implausible_difference_has_no_answer() -> None:
    assert difference(counter(CPU, 0, 100), counter(CPU, 1, 0)) is None
    assert difference(gauge(CPU, 0, 100), gauge(CPU, 1, 1e6)) is None
