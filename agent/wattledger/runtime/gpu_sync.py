"""GPU work is asynchronous: a span that ends before its kernels do would leave their energy to the next one.

Waits for the frameworks that this program has already initialised; never imports one, never makes a context of its own.
"""

import sys
from typing import Any

from wattledger.runtime.warn import warn_once


def synchronise() -> list[str]:
    """Wait for queued GPU work; returns notes about a framework that could not be waited for."""
    notes = []
    for name, wait in (("torch", _torch), ("cupy", _cupy), ("jax", _jax)):
        module = sys.modules.get(name)
        if module is None:
            continue
        try:
            wait(module)
        except Exception as failure:
            warn_once(f"sync {name}", f"could not wait for {name}'s GPU work at a boundary: {failure!r}")
            notes.append(f"{name}'s queued GPU work was not waited for ({failure!r}): it may be counted after its span")
    return notes


def _torch(torch: Any) -> None:
    cuda = getattr(torch, "cuda", None)  # half-imported torch has none yet
    if cuda is not None and cuda.is_initialized():
        cuda.synchronize()


def _cupy(cupy: Any) -> None:
    # Memory taken from the pool is the only sign of a context that does not make one.
    if cupy.get_default_memory_pool().total_bytes():
        cupy.cuda.Device().synchronize()


def _jax(jax: Any) -> None:
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is None or not getattr(bridge, "_backends", None):
        return
    for device in jax.local_devices():
        # Runs after everything queued on that device's stream before it.
        if device.platform != "cpu":
            jax.device_put(0.0, device).block_until_ready()
