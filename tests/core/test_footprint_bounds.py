"""What a footprint counts, and bounds that hold what was not seen: shares in doubt, endpoints, gaps, silence."""

from math import sqrt

import pytest
from tests.core.made import (
    CPU,
    GPU,
    RIVAL,
    TREE,
    at,
    claim,
    counter,
    enter,
    floor,
    full,
    gauge,
    holding,
    leave,
    run,
    used,
)
from tests.core.metered import footprint, two_seconds

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Footprint
from wattledger.core.model import AGENT, IDLE, OTHER, UNATTRIBUTED, Device, Gap


def silent(device: Device = GPU) -> Footprint:
    """A device that moved for others only: this run used nothing of it."""
    _, spans = run(
        full(0, claim("pid:2", RIVAL), counter(device, 0, 0), used(device.id, "pid:2", 0, 0), enter(1, 0)),
        full(2, leave(1, 2), counter(device, 2, 100), used(device.id, "pid:2", 2, 2)),
    )
    return footprint(spans[1])


def test_of_nothing_no_fraction_was_measured() -> None:
    found = silent().to_dict()
    assert "measured_fraction" not in found
    assert found["energy_j"]["value"] == 0


def test_who_seems_to_have_used_no_cpu_may_have_used_it_too_briefly_to_see() -> None:
    energy = silent(CPU).energy_j
    assert energy is not None
    assert energy == pytest.approx((0, 0, 50 / 1000), rel=0.01)  # 50 W for a refresh period of 1 ms


def test_a_card_that_only_others_used_was_surely_not_used() -> None:
    assert silent().energy_j == (0, 0, 0)


def test_the_scope_of_a_host_is_everything_its_devices_drew() -> None:
    found = footprint(two_seconds(), scope="host")
    assert found.energy_j is not None
    assert found.energy_j.value == 1100
    assert found.own_energy_j == found.energy_j
    assert [d.energy_j.value for d in found.devices] == [1000, 100]


def test_a_runs_own_energy_is_without_its_childrens() -> None:
    _, spans = run(
        full(0, claim("pid:1", TREE), counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0), enter(1, 0)),
        full(4, enter(2, 1, parent=1), leave(2, 4), leave(1, 4), counter(GPU, 4, 400), used(GPU.id, "pid:1", 4, 4)),
    )
    found = footprint(spans[1])
    assert found.energy_j is not None
    assert found.own_energy_j is not None
    assert (found.energy_j.value, found.own_energy_j.value) == (400, 100)


def test_the_interval_is_the_sensors_and_the_endpoints() -> None:
    """GPU: gain 5 %, ends 0.1 s x 500 W = 50 J.  Alone on the card, so that no share is in doubt."""
    [gpu, _] = footprint(two_seconds()).devices
    assert gpu.energy_j.high == pytest.approx(1000 + (50**2 + 50**2) ** 0.5)
    assert gpu.energy_j.low == pytest.approx(1000 - ((1000 - 1000 / 1.05) ** 2 + 50**2) ** 0.5)


def test_the_endpoints_errors_do_not_shrink_with_the_length_of_the_run() -> None:
    def edge_j(seconds: int) -> float:
        cells = [full(t, counter(GPU, t, 500 * t), used(GPU.id, "pid:1", t, t)) for t in range(1, seconds)]
        last = full(seconds, leave(1, seconds), counter(GPU, seconds, 500 * seconds), used(GPU.id, "pid:1", seconds, seconds))
        opening = full(0, claim("pid:1", TREE), counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0), enter(1, 0))
        _, spans = run(opening, *cells, last)
        energy = footprint(spans[1]).energy_j
        assert energy is not None
        return sqrt((energy.high - energy.value) ** 2 - (energy.value * 0.05) ** 2)

    assert edge_j(1) == pytest.approx(50)
    assert edge_j(60) == pytest.approx(50)


def test_a_share_of_what_others_use_too_is_less_sure_than_the_whole() -> None:
    alone, shared = footprint(two_seconds()).devices
    assert shared.energy_j.high / shared.energy_j.value > 1.1 > alone.energy_j.high / alone.energy_j.value


def with_gap(seconds: float) -> SpanAccount:
    account = two_seconds()
    account.gaps.append(Gap(GPU, at(1), at(1 + seconds), "the counter restarted"))
    return account


def test_a_gap_widens_upward_only() -> None:
    whole, holed = footprint(two_seconds()).energy_j, footprint(with_gap(0.5)).energy_j
    assert whole is not None
    assert holed is not None
    assert (holed.value, holed.low) == (whole.value, whole.low)
    # At the most the card drew what it can, for as long as nobody looked.
    assert whole.high + 0.5 * 500 <= holed.high <= whole.high + 0.5 * 700


def test_a_gap_is_said() -> None:
    [note] = footprint(with_gap(0.5)).notes
    assert note.startswith(f"{GPU.id}: the counter restarted; 0.5 s are not counted")


def test_a_device_nobody_read_is_not_surely_zero() -> None:
    """Read before the run, silent since: what it drew is not known, so that its interval must reach above zero."""
    _, spans = run(full(0, counter(GPU, 0, 0)), full(1, counter(GPU, 1, 300)), full(9, enter(1, 2), leave(1, 9)))
    found = footprint(spans[1])
    assert found.notes
    assert all(device.energy_j.high >= 7 * 300 for device in found.devices)
    assert found.energy_j is None or found.energy_j.high >= 7 * 300


def test_a_power_only_device_nobody_read_is_not_surely_zero_either() -> None:
    card = GPU._replace(cap_uw=None)
    _, spans = run(full(0, gauge(card, 0, 300)), full(9, enter(1, 2), leave(1, 9)))
    assert all(row.energy_j.high > 0 for row in footprint(spans[1], devices={card.id: card}).devices)


def test_a_floor_from_a_table_is_said_and_widens() -> None:
    def found(n: int) -> Footprint:
        readings = [used("cpu", "pid:1", 0, 0, "cpu_ns"), used("cpu", "pid:2", 0, 0, "cpu_ns")]
        _, spans = run(
            full(0, claim("pid:1", TREE), claim("pid:2", RIVAL), floor(CPU, 20, n), counter(CPU, 0, 0), *readings, enter(1, 0)),
            full(2, leave(1, 2), counter(CPU, 2, 100), used("cpu", "pid:1", 2, 1, "cpu_ns"), used("cpu", "pid:2", 2, 1, "cpu_ns")),
        )
        return footprint(spans[1])

    assert found(1).notes == ()
    assert "table" in found(0).notes[0]
    narrow, wide = found(1).energy_j, found(0).energy_j
    assert narrow is not None
    assert wide is not None
    assert wide.high > narrow.high


def test_where_a_device_is_all_ones_own_it_does_not_matter_what_of_it_is_idle() -> None:
    def high_j(n: int) -> float:
        readings = counter(CPU, 0, 0), used("cpu", "pid:1", 0, 0, "cpu_ns"), holding("cpu", "pid:1", 1.0)
        _, spans = run(
            full(0, claim("pid:1", TREE), floor(CPU, 20, n), *readings, enter(1, 0)),
            full(2, leave(1, 2), counter(CPU, 2, 100), used("cpu", "pid:1", 2, 1, "cpu_ns")),
        )
        energy = footprint(spans[1]).energy_j
        assert energy is not None
        assert energy.value == 100
        return energy.high

    assert high_j(0) == high_j(1)


def test_the_rest_of_the_host_is_told_by_whose_it_was() -> None:
    account = two_seconds()
    account.others = {IDLE: 1e6, OTHER: 2e6, RIVAL: 3e6, UNATTRIBUTED: 4e6, AGENT: 0.5e6}
    assert footprint(account).rest_of_host == {"idle_j": 1, "other_workloads_j": 5, "unattributed_j": 4, "agent_j": 0.5}


def test_what_a_model_answered_is_not_measured() -> None:
    _, spans = run(
        full(
            0,
            claim("pid:1", TREE),
            counter(GPU, 0, 0),
            gauge(CPU, 0, 0, estimated=True),
            used(GPU.id, "pid:1", 0, 0),
            used("cpu", "pid:1", 0, 0, "cpu_ns"),
            enter(1, 0),
        ),
        full(
            2,
            leave(1, 2),
            counter(GPU, 2, 300),
            gauge(CPU, 2, 50, estimated=True),
            used(GPU.id, "pid:1", 2, 2),
            used("cpu", "pid:1", 2, 2, "cpu_ns"),
        ),
    )
    assert footprint(spans[1]).measured_fraction == 0.75
