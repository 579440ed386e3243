"""A tree's first second, and what a span got of one device, in joules."""

from tests.core.made import (
    GPU,
    TREE,
    claim,
    counter,
    full,
    used,
)

from wattledger.core.accounts import SpanAccount
from wattledger.core.model import Batch, Device


def opening(*readings: object, device: Device = GPU) -> Batch:
    """Second 0: the tree is claimed, its use of the device has a baseline."""
    return full(0, claim("pid:1", TREE), counter(device, 0, 0), used(device.id, "pid:1", 0, 0), *readings)  # type: ignore[arg-type]


def active_j(account: SpanAccount, device: Device = GPU) -> float:
    return account.lanes[device.id, "counter"].active_uj / 1e6


def own_j(account: SpanAccount, device: Device = GPU) -> float:
    return account.lanes[device.id, "counter"].own_uj / 1e6


def device_j(account: SpanAccount, device: Device = GPU) -> float:
    return account.lanes[device.id, "counter"].device_uj / 1e6
