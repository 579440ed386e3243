"""A footprint from an account that holds only its span's own part: nothing of others, and bounds that do not need them."""

import pytest

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Footprint, Identity, assemble
from wattledger.core.model import Boundary, Device, Factor, Gap, Instant, Workload

GPU = Device("gpu", "gpu", "card", None, 100_000_000, 700_000_000)
CPU = Device("cpu", "cpu", "chip", None, 1_000_000, 300_000_000)
EXACT = Factor("sensor_gain", "", 1.0, "1", "sensor", "", "", "counter", 1.0)
END = Instant(3_000_000_000, 0)


def account() -> SpanAccount:
    found = SpanAccount(Boundary(1, Instant(1_000_000_000, 0), "enter", Workload("j"), Workload("t")))
    found.left = END
    return found


def own(account: SpanAccount, scope: str = "process") -> Footprint:
    who = Identity("r", None, "j", None, {}, "h", scope)
    devices = {GPU.id: GPU, CPU.id: CPU}
    return assemble(
        who, account, devices, end=END, terms=[], gain_of=lambda *_: EXACT, mismatch_g95=1.0, others_known=False
    )


def test_device_energy_and_the_rest_of_the_host_are_absent() -> None:
    ours = account()
    ours.lane(("gpu", "counter")).active_uj = 5_000_000
    found = own(ours).to_dict()
    assert found["energy_j"]["value"] == 5
    assert "device_energy_j" not in found["devices"][0]
    assert "rest_of_host" not in found
    assert own(ours).devices[0].device_energy_j is None


def test_the_peak_and_the_doubts_are_of_its_own_part() -> None:
    ours = account()
    lane = ours.lane(("gpu", "counter"))
    lane.active_uj, lane.peak_uw, lane.spread_uj = 50_000_000, 40_000_000, 3_000_000.0
    [device] = own(ours).devices
    # 0.1 s of 40 W at the edges, and 3 J that may be another's.
    assert device.energy_j.high - 50 == pytest.approx((4**2 + 3**2) ** 0.5)


def test_a_cpu_that_seems_unused_may_have_been_used_for_less_than_a_tick_at_most_power() -> None:
    ours = account()
    ours.lane(("cpu", "counter"))
    ours.lane(("gpu", "counter"))
    cpu, gpu = own(ours).devices
    assert cpu.energy_j.high == pytest.approx(0.001 * 300)
    assert gpu.energy_j.high == 0


def test_a_gap_may_hold_all_that_the_device_can_draw() -> None:
    ours = account()
    ours.lane(("gpu", "counter")).active_uj = 1_000_000
    ours.gaps.append(Gap(GPU, Instant(1_000_000_000, 0), Instant(2_000_000_000, 0), "the agent was away"))
    assert own(ours).devices[0].energy_j.high == pytest.approx(1 + 700)


def test_the_whole_hosts_energy_is_unknown() -> None:
    ours = account()
    ours.lane(("gpu", "counter")).active_uj = 5
    assert own(ours, "host").energy_j is None
    assert own(ours, "host").devices == ()
