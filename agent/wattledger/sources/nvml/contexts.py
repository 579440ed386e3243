"""Whose time it was: processes with a context on a GPU become cumulative activity and holdings.
 A process holds a GPU while it has a compute context there (design.md section 7); who only draws a screen or watches
does not.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from wattledger.core.model import Activity, Holding, Instant, Sample

Parts = Mapping[str, float]
Unit = Literal["sm_ns", "context_ns", "idle_ns"]
Used = dict[tuple[str, Unit], int]

IDLE = "(idle)"

# Processes with a compute context that do no work of their own (names as /proc/N/comm cuts them, at 15 characters):
# the server of the Multi-Process Service works for its clients, who are listed apart; the others watch.
MPS_SERVER = "nvidia-cuda-mps"
WATCHERS = frozenset({MPS_SERVER, "nv-hostengine", "dcgm-exporter", "nvidia-smi", "nvidia-persiste"})


def parts(slices: Iterable[tuple[float, Sequence[int]]]) -> dict[str, float]:
    """What each process holds: its slice's part of the GPU, divided equally among those in that slice.

    ``slices`` are (part of the GPU, process ids); a GPU without MIG is one slice of part 1.
    """
    held: dict[str, float] = {}
    for part, pids in slices:
        for pid in pids:
            held[f"pid:{pid}"] = held.get(f"pid:{pid}", 0.0) + part / len(pids)
    return held


def spent(before: Parts, now: Parts, sm_percent: Mapping[str, float] | None, elapsed_ns: int) -> Used:
    """Divide the time between two looks.

    By SM use where several share the GPU and the driver tells it; else by context, half by who was there before and
    half by who is there now: each stands for the half of the time next to it.  An end without anybody does not make
    the other's work idle.
    """
    everyone = sorted({*before, *now})
    if len(everyone) > 1 and sm_percent and any(sm_percent.get(who) for who in everyone):
        # Under the Multi-Process Service kernels overlap, and the percents may sum to more than the GPU has.
        whole = max(100.0, sum(sm_percent.get(who, 0.0) for who in everyone))
        return {(who, "sm_ns"): int(elapsed_ns * sm_percent.get(who, 0.0) / whole) for who in everyone}
    ends = [end for end in (before, now) if end]
    if not ends:
        return {(IDLE, "idle_ns"): elapsed_ns}
    used: Used = {}
    for end in ends:
        for who, part in end.items():
            used[who, "context_ns"] = used.get((who, "context_ns"), 0) + int(elapsed_ns * part / len(ends))
    return used


class Contexts:
    """The running account of one device.  State: who was there at the last look, and everybody's time so far."""

    def __init__(self, device_id: str) -> None:
        self._device_id = device_id
        self._at: Instant | None = None
        self._there: Parts = {}
        self._used_ns: dict[str, int] = {}

    @property
    def there(self) -> Parts:
        """Who was there at the last look, and with what part."""
        return self._there

    def look(self, at: Instant, now: Parts, sm_percent: Mapping[str, float] | None = None) -> list[Sample]:
        """Take in who is there now; gives activity for all the time since the last look, and the holdings that changed.

        One running sum for each process, whatever its last part was counted in: the unit says how good that part is.
        """
        elapsed_ns = 0 if self._at is None else max(0, at.mono_ns - self._at.mono_ns)
        samples: list[Sample] = []
        for (who, unit), ns in spent(self._there, now, sm_percent, elapsed_ns).items():
            if who not in self._used_ns:
                # Cumulative use is differenced, so a newcomer begins with a zero, or its first time would be nobody's.
                self._used_ns[who] = 0
                samples.append(Activity(self._device_id, who, at, 0, unit))
            self._used_ns[who] += ns
            if ns:
                samples.append(Activity(self._device_id, who, at, self._used_ns[who], unit))
        samples += self._changed(at, now)
        self._used_ns = {who: ns for who, ns in self._used_ns.items() if who in now or who == IDLE}
        self._at, self._there = at, now
        return samples

    def end(self, at: Instant) -> list[Sample]:
        """The device is gone: whoever was there is paid to the end and lets go."""
        return [] if self._at is None else self.look(at, {})

    def _changed(self, at: Instant, now: Parts) -> list[Sample]:
        everyone = sorted({*self._there, *now})
        changed = {who: now.get(who, 0.0) for who in everyone if self._there.get(who) != now.get(who)}
        return [Holding(self._device_id, who, at, part) for who, part in changed.items()]
