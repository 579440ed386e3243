"""What an idle interval teaches of a device's idle draw."""

from collections.abc import Mapping

from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import IDLE, IdleFloor, Instant, Workload
from wattledger.core.units import NS_PER_S

QUIET_USE = 0.02  # under 2 % use a second is idle enough to learn from (design.md section 10)
MEMORY = 64  # intervals that a learnt floor remembers: an idle draw drifts with fans, firmware and the room


def floor_taught(
    curve: EnergyCurve, weights: Mapping[Workload, int], known: IdleFloor | None, at: Instant
) -> IdleFloor | None:
    """The floor after one more interval, if it was measured, a second long or more, and quiet; else ``None``.

    A mean that forgets slowly; a floor from a table (``n`` 0) counts for nothing once a real one is seen.  Memory has no idle
    state of its own: what it draws follows what is in it.
    """
    idle_ns = weights.get(IDLE, 0)
    used_ns = sum(used for who, used in weights.items() if who != IDLE)
    quiet = idle_ns > 0 and used_ns <= QUIET_USE * (idle_ns + used_ns)
    if not quiet or curve.span_ns < NS_PER_S or curve.method == "estimated" or curve.device.kind == "dram":
        return None
    n = min(MEMORY, known.n) if known is not None else 0
    mean_uw = (known.power_uw * n + curve.mean_uw()) // (n + 1) if known is not None and n else curve.mean_uw()
    return IdleFloor(curve.device.id, "empty", mean_uw, at, n + 1)
