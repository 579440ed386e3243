"""The tools as one kind of thing.  Imported in a tool's own Python: standard library and the tool alone.

A meter here is ``begin``, ``end`` and ``energies``; each energy comes with the window it is for, by the clock of the rig: our own
span's ends, and for the others the moments at which they last read that sensor.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

KWH_J = 3_600_000


class Energy(NamedTuple):
    """Joules of one device (or of a kind, where a tool says no more) between two instants; ``low`` and ``high`` where stated."""

    device: str
    start_ns: int
    end_ns: int
    joules: float
    low: float | None = None
    high: float | None = None


class Meter(Protocol):
    def begin(self) -> None: ...
    def end(self) -> None: ...
    def energies(self) -> list[Energy]: ...


def boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Wattledger:
    """``track`` over everything the host used, so that its devices can be held against the truth."""

    def __init__(self) -> None:
        from wattledger import track

        self._track = track("bench", scope="host", sync="off")

    def begin(self) -> None:
        self._run = self._track.__enter__()

    def end(self) -> None:
        self._track.__exit__(None, None, None)

    def energies(self) -> list[Energy]:
        self.footprint = found = self._run.footprint
        at = found.start.mono_ns, found.end.mono_ns
        rows = [Energy(d.id.removeprefix("rapl:"), *at, *d.energy_j) for d in found.devices]
        return rows if found.energy_j is None else [*rows, Energy("all", *at, *found.energy_j)]


class Plain:
    """What one would write by hand: every counter at both ends, one difference, one wrap allowed."""

    def __init__(self) -> None:
        import pynvml

        self._read_mj = pynvml.nvmlDeviceGetTotalEnergyConsumption
        self._gpus: list[Any] = []
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            self._gpus = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        self._uuids = [pynvml.nvmlDeviceGetUUID(gpu) for gpu in self._gpus]
        self._zones = []
        place = "/sys/class/powercap"
        for zone in sorted(os.listdir(place)) if os.path.isdir(place) else []:
            if zone.count(":") == 1:
                home = f"{place}/{zone}"
                with open(f"{home}/name") as name, open(f"{home}/max_energy_range_uj") as size:
                    fd = os.open(f"{home}/energy_uj", os.O_RDONLY)
                    self._zones.append((name.read().strip(), fd, int(size.read())))

    def read(self) -> list[tuple[int, int]]:
        found = [(boot_ns(), self._read_mj(gpu) * 1000) for gpu in self._gpus]
        return found + [(boot_ns(), int(os.pread(fd, 64, 0))) for _, fd, _ in self._zones]

    def begin(self) -> None:
        self._before = self.read()

    def end(self) -> None:
        self._after = self.read()

    def energies(self) -> list[Energy]:
        names = [*((u, 0) for u in self._uuids), *((name, size) for name, _, size in self._zones)]
        found = []
        for (name, size), (t0, c0), (t1, c1) in zip(names, self._before, self._after, strict=True):
            found.append(Energy(name, t0, t1, (c1 - c0 + (size if c1 < c0 else 0)) / 1e6))
        return found


class Watch:
    """When each sensor was last read, for tools that do not say: NVML's calls and opened RAPL registers."""

    def __init__(self) -> None:
        import pynvml

        self.last: dict[str, int] = {}
        self._names: dict[int, str] = {}
        for name in ("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"):
            setattr(pynvml, name, self._watched(getattr(pynvml, name), pynvml))
        sys.addaudithook(self._opened)

    def _watched(self, call: Any, pynvml: Any) -> Any:
        def watched(gpu: Any) -> Any:
            key = id(gpu)
            if key not in self._names:
                self._names[key] = pynvml.nvmlDeviceGetUUID(gpu)
            self.last[self._names[key]] = boot_ns()
            return call(gpu)

        return watched

    def _opened(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str) and args[0].endswith("/energy_uj"):
            self.last[f"package-{args[0].split('/')[-2].split(':')[1]}"] = boot_ns()


class CodeCarbon:
    """Its tracker with its own defaults; it says energy by kind only."""

    def __init__(self, *, watch: bool = True) -> None:
        self._watch = Watch() if watch else None
        from codecarbon import OfflineEmissionsTracker

        self._make: Callable[[], Any] = lambda: OfflineEmissionsTracker(
            country_iso_code="FRA", save_to_file=False, log_level="critical", allow_multiple_runs=True
        )
        self._tracker = self._make()
        self._fresh = True

    def begin(self) -> None:
        if not self._fresh:  # a stopped tracker does not start again
            self._tracker = self._make()
        self._fresh = False
        self._tracker.start()
        self._from = dict(self._watch.last) if self._watch else {}

    def end(self) -> None:
        self._tracker.stop()
        self._to = dict(self._watch.last) if self._watch else {}

    def energies(self) -> list[Energy]:
        data = self._tracker.final_emissions_data
        found = []
        for kind, kwh in (("gpu", data.gpu_energy), ("cpu", data.cpu_energy)):
            prefix = "GPU-" if kind == "gpu" else "package-"
            starts = [t for d, t in self._from.items() if d.startswith(prefix)]
            ends = [t for d, t in self._to.items() if d.startswith(prefix)]
            if starts and ends:
                found.append(Energy(kind, sum(starts) // len(starts), sum(ends) // len(ends), kwh * KWH_J))
        return found


class Zeus:
    """Its window monitor with its own defaults."""

    def __init__(self, *, watch: bool = True) -> None:
        self._watch = Watch() if watch else None
        from zeus.monitor import ZeusMonitor

        self._monitor = ZeusMonitor(log_file=None)
        self._uuids: list[str] = []
        if self._watch:
            import pynvml

            count = pynvml.nvmlDeviceGetCount()
            self._uuids = [pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(count)]

    def begin(self) -> None:
        self._monitor.begin_window("bench", sync_execution=False)
        self._at = boot_ns()
        self._from = dict(self._watch.last) if self._watch else {}

    def end(self) -> None:
        at = boot_ns()
        self._found = self._monitor.end_window("bench", sync_execution=False)
        self._to = dict(self._watch.last) if self._watch else {}
        self._window = self._at, at

    def energies(self) -> list[Energy]:
        gpus = {self._uuids[i]: j for i, j in self._found.gpu_energy.items()}
        cpus = {f"package-{i}": j for i, j in (self._found.cpu_energy or {}).items()}
        start, end = self._window
        return [Energy(d, self._from.get(d, start), self._to.get(d, end), j) for d, j in {**gpus, **cpus}.items()]


MODULES = {"plain": "pynvml", "wattledger": "wattledger", "codecarbon": "codecarbon", "zeus": "zeus.monitor"}
METERS: dict[str, Any] = {"wattledger": Wattledger, "plain": Plain, "codecarbon": CodeCarbon, "zeus": Zeus}
