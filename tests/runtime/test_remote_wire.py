"""An account over the wire: whole for who may see everything, and for everybody else what his own bounds need and no more."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Footprint, Identity, assemble
from wattledger.core.model import AGENT, IDLE, OTHER, UNATTRIBUTED, Boundary, Device, Gap, Instant, Workload
from wattledger.runtime.control import wire
from wattledger.runtime.prices import gain_of

GPU = Device("gpu", "gpu", "NVIDIA H100", None, 100_000_000, 700_000_000)
CPU = Device("cpu", "cpu", "chip", None, 1_000_000, 300_000_000)
DEVICES = {GPU.id: GPU, CPU.id: CPU}
START, END = Instant(10**9, 2 * 10**18), Instant(3 * 10**9, 2 * 10**18 + 2 * 10**9)
ENTER = Boundary(1, START, "enter", Workload("j"), Workload("pid 1"))

uj = st.integers(0, 10**12)


@st.composite
def accounts(draw: st.DrawFn) -> SpanAccount:
    account = SpanAccount(ENTER)
    account.left = END
    for device in draw(st.lists(st.sampled_from([GPU, CPU]), unique=True)):
        sums = account.lane((device.id, "counter"))
        sums.active_uj, sums.held_uj, sums.peak_uw = draw(uj), draw(uj), draw(uj)
        sums.own_uj = draw(st.integers(0, sums.active_uj + sums.held_uj))
        # Whatever has drawn power has drawn energy.
        sums.device_uj = sums.active_uj + sums.held_uj + draw(st.just(1) | uj)
        sums.doubt_uj, sums.spread_uj = float(draw(uj)), float(draw(uj))
        if draw(st.booleans()):
            account.gaps.append(Gap(device, START, Instant(2 * 10**9, 0), "reset"))
    everybody = st.sampled_from([IDLE, OTHER, UNATTRIBUTED, AGENT, Workload("a"), Workload("b")])
    account.others = {workload: float(draw(uj)) for workload in draw(st.lists(everybody, unique=True))}
    return account


def sent(account: SpanAccount, *, everything: bool) -> SpanAccount:
    """Through JSON and back."""
    found: dict[str, Any] = json.loads(json.dumps(wire.shown(wire.pack(account), everything=everything)))
    return wire.unpack(found, ENTER, DEVICES)


def footprint(account: SpanAccount, scope: str = "process", *, others_known: bool = True) -> Footprint:
    who = Identity("r", None, "j", None, {}, "h", scope)
    return assemble(who, account, DEVICES, end=END, terms=[], gain_of=gain_of, mismatch_g95=1.0, others_known=others_known)


@given(accounts())
def test_an_operator_gets_the_footprint_that_the_agent_would_give(account: SpanAccount) -> None:
    told = sent(account, everything=True)
    told.left = END
    assert footprint(told).to_dict() == footprint(account).to_dict()


@given(accounts())
def test_anybody_gets_his_own_energy_with_bounds_no_narrower(account: SpanAccount) -> None:
    ours, whole = footprint(sent(account, everything=False), others_known=False), footprint(account)
    assert (ours.energy_j is None) == (whole.energy_j is None)
    for mine, full in zip(ours.devices, whole.devices, strict=True):
        assert (mine.energy_j.value, mine.held_j) == (full.energy_j.value, full.held_j)
        assert mine.energy_j.low <= full.energy_j.low * (1 + 1e-9) + 2e-6  # a microjoule is rounded at either end
        assert mine.energy_j.high >= full.energy_j.high * (1 - 1e-9) - 2e-6
        if mine.energy_j.value and not account.gaps:
            assert tuple(mine.energy_j) == pytest.approx(tuple(full.energy_j), rel=1e-6, abs=1e-5)


@given(accounts())
def test_nobody_else_sees_what_others_use(account: SpanAccount) -> None:
    found = footprint(sent(account, everything=False), others_known=False).to_dict()
    assert "rest_of_host" not in found
    assert all("device_energy_j" not in device for device in found["devices"])
    text = json.dumps(wire.shown(wire.pack(account), everything=False))
    rows = json.loads(text)["lanes"]
    assert all(row[5] is None for row in rows)
    assert "others" not in json.loads(text)


def test_the_whole_host_is_not_told_to_anybody() -> None:
    account = SpanAccount(ENTER)
    account.lane(("gpu", "counter")).active_uj = 5
    account.lane(("gpu", "counter")).device_uj = 50
    assert footprint(account, "host").energy_j is not None
    assert footprint(sent(account, everything=False), "host", others_known=False).energy_j is None


def test_many_gaps_are_one_of_their_length() -> None:
    account = SpanAccount(ENTER)
    for n in range(100):
        account.gaps.append(Gap(GPU, Instant(n * 10, n * 10), Instant(n * 10 + 3, n * 10 + 3), "reset"))
    [gap] = sent(account, everything=True).gaps
    assert gap.end.mono_ns - gap.start.mono_ns == 300


def test_an_account_of_a_device_that_was_not_said_makes_no_sense() -> None:
    with pytest.raises(LookupError):
        wire.unpack({"lanes": [["x", "counter", 1, 1, 1, 1, 1, 0, 0]], "gaps": []}, ENTER, DEVICES)


def test_what_a_later_agent_adds_to_a_factor_is_left_out() -> None:
    factor = gain_of(GPU, "counter", 1.0)
    assert wire.factor_of({**factor._asdict(), "new": 1}) == factor
