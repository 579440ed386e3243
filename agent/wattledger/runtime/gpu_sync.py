"""GPU work is asynchronous: a span that ends before its kernels do would leave their energy to the next one.

Waits for the frameworks that this program has already initialised; never imports one, never makes a context of its own.
"""

import sys
from typing import Any, NamedTuple

from wattledger.runtime.warn import warn_once


class Waited(NamedTuple):
    """The frameworks whose GPU work was waited for, and notes about those that could not be."""

    frameworks: tuple[str, ...]
    notes: tuple[str, ...]


def asynchronous() -> bool:
    """Whether any framework is here that may have work queued: the cheap question, asked at every outermost boundary."""
    return "torch" in sys.modules or "cupy" in sys.modules or "jax" in sys.modules


def synchronise() -> Waited:
    """Wait for GPU work that this program has queued."""
    waited, notes = [], []
    for name, wait in (("torch", _torch), ("cupy", _cupy), ("jax", _jax)):
        module = sys.modules.get(name)
        if module is None:
            continue
        try:
            if wait(module):
                waited.append(name)
        except Exception as failure:
            warn_once(f"sync {name}", f"could not wait for {name}'s GPU work at a boundary: {failure!r}")
            notes.append(f"{name}'s queued GPU work was not waited for ({failure!r}): it may be counted after its span")
    return Waited(tuple(waited), tuple(notes))


def _torch(torch: Any) -> bool:
    cuda = getattr(torch, "cuda", None)  # half-imported torch has none yet
    if cuda is None or not cuda.is_initialized():
        return False
    cuda.synchronize()
    return True


def _cupy(cupy: Any) -> bool:
    # Memory taken from the pool is the only sign of a context that does not make one.
    if not cupy.get_default_memory_pool().total_bytes():
        return False
    cupy.cuda.Device().synchronize()
    return True


def _jax(jax: Any) -> bool:
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is None or not getattr(bridge, "_backends", None):
        return False
    devices = [device for device in jax.local_devices() if device.platform != "cpu"]
    for device in devices:
        # Runs after everything queued on that device's stream before it.
        jax.device_put(0.0, device).block_until_ready()
    return bool(devices)
