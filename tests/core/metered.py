"""A run of two seconds on a GPU and a shared CPU, and its footprint."""

from collections.abc import Mapping

from tests.core.made import (
    CPU,
    GPU,
    RIVAL,
    TREE,
    at,
    claim,
    counter,
    enter,
    factor,
    floor,
    full,
    holding,
    leave,
    run,
    used,
)

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Footprint, Identity, assemble, terms_of
from wattledger.core.model import Batch, Device, Factor, Work

IDENTITY = Identity("ab12", None, "finetune", "llama", {"team": "search"}, "gpu-7", "process")
DEVICES: Mapping[str, Device] = {GPU.id: GPU, CPU.id: CPU}
GRID = factor("grid", 329, 1.1)


def gain_of(device: Device, method: str, _: float) -> Factor:
    g95 = {"gpu": 1.05, "cpu": 1.1}[device.kind]
    return Factor("sensor_gain", f"{device.kind}:{device.model}:{method}", 1.0, "1", "sensor", "test", "", method, g95)


def footprint(
    account: SpanAccount,
    *,
    factors: Mapping[str, Factor] | None = None,
    scope: str = "process",
    notes: tuple[str, ...] = (),
    devices: Mapping[str, Device] = DEVICES,
) -> Footprint:
    assert account.left is not None
    return assemble(
        IDENTITY._replace(scope=scope),
        account,
        devices,
        end=account.left,
        terms=terms_of(account, factors or {}),
        gain_of=gain_of,
        mismatch_g95=1.0,
        notes=notes,
    )


def two_seconds(gpu_j: float = 1000, *more: Batch) -> SpanAccount:
    """A run of 2 s: all of the GPU, which held 40 W of idle; 3/4 of a CPU of 100 J."""
    _, spans = run(
        full(
            0,
            claim("pid:1", TREE),
            claim("pid:2", RIVAL),
            floor(GPU, 40),
            holding(GPU.id, "pid:1", 1.0),
            counter(GPU, 0, 0),
            counter(CPU, 0, 0),
            used(GPU.id, "pid:1", 0, 0),
            used("cpu", "pid:1", 0, 0, "cpu_ns"),
            used("cpu", "pid:2", 0, 0, "cpu_ns"),
            enter(1, 0),
        ),
        full(
            2,
            Work(TREE, at(1), 812, 0, 64, 1, span=1),
            leave(1, 2),
            counter(GPU, 2, gpu_j),
            counter(CPU, 2, 100),
            used(GPU.id, "pid:1", 2, 2),
            used("cpu", "pid:1", 2, 3, "cpu_ns"),
            used("cpu", "pid:2", 2, 1, "cpu_ns"),
        ),
        *more,
    )
    return spans[1]
