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

    By SM use where that is known: it names those too who came and went between the looks, and when it names nobody, the device
    rested.  Else by context, half by who was there before and half by who is there now: each stands for the half of the time
    next to it.  An end without anybody does not make the other's work idle.
    """
    if sm_percent is not None:
        # Under the Multi-Process Service kernels overlap, and the percents may sum to more than the GPU has.
        whole = max(100.0, sum(sm_percent.values()))
        working = {who: percent for who, percent in sm_percent.items() if percent > 0}
        used: Used = {(who, "sm_ns"): int(elapsed_ns * working[who] / whole) for who in sorted(working)}
        return used or {(IDLE, "idle_ns"): elapsed_ns}
    ends = [end for end in (before, now) if end]
    if not ends:
        return {(IDLE, "idle_ns"): elapsed_ns}
    used = {}
    for end in ends:
        for who, part in end.items():
            used[who, "context_ns"] = used.get((who, "context_ns"), 0) + int(elapsed_ns * part / len(ends))
    return used


class Contexts:
    """The running account of one device.  State: who was there at the last look, whose time was said then, and everybody's time so
    far."""

    def __init__(self, device_id: str) -> None:
        self._device_id = device_id
        self._at: Instant | None = None
        self._there: Parts = {}
        self._used_ns: dict[str, int] = {}
        self._said: set[str] = set()

    @property
    def there(self) -> Parts:
        """Who was there at the last look, and with what part."""
        return self._there

    @property
    def at(self) -> Instant | None:
        """When the last look was."""
        return self._at

    def look(self, at: Instant, now: Parts, sm_percent: Mapping[str, float] | None = None) -> list[Sample]:
        """Take in who is there now; gives activity for all the time since the last look, and the holdings that changed.

        One running sum for each process, whatever its last part was counted in: the unit says how good that part is.
        """
        then = at if self._at is None else self._at
        samples: list[Sample] = []
        said = set()
        for (who, unit), ns in spent(self._there, now, sm_percent, max(0, at.mono_ns - then.mono_ns)).items():
            used_ns = self._used_ns.get(who, 0)
            if who not in self._said:
                # Cumulative use is differenced: without what it had at the last look, its first time would be nobody's.
                samples.append(Activity(self._device_id, who, then, used_ns, unit))
            if ns:
                samples.append(Activity(self._device_id, who, at, used_ns + ns, unit))
            self._used_ns[who] = used_ns + ns
            said.add(who)
        samples += self._changed(at, now)
        # Who has ended is kept for one look more: the driver may tell the last of its use then.
        self._used_ns = {who: ns for who, ns in self._used_ns.items() if who in now or who in said or who == IDLE}
        self._at, self._there, self._said = at, now, said
        return samples

    def end(self, at: Instant) -> list[Sample]:
        """The device is gone: whoever was there is paid to the end and lets go."""
        return [] if self._at is None else self.look(at, {})

    def _changed(self, at: Instant, now: Parts) -> list[Sample]:
        everyone = sorted({*self._there, *now})
        changed = {who: now.get(who, 0.0) for who in everyone if self._there.get(who) != now.get(who)}
        return [Holding(self._device_id, who, at, part) for who, part in changed.items()]
