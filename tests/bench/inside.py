"""Runs in a tool's own Python, on the rig: one tool, one question, one line of JSON.  Standard library and the tool alone.

A meter here is ``begin``, ``end`` and ``energies``; each energy comes with the window it is for, by the clock of the rig: our own
span's ends, and for the others the moments at which they last read that sensor.
"""

import builtins
import contextlib
import io
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
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

        self._make = lambda: OfflineEmissionsTracker(
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


# --- the questions ------------------------------------------------------------------------------------------------------


def bodies(meter: Meter, lengths_s: str, settle_s: str = "0.3") -> list[list[Energy]]:
    """Measure bodies of these lengths, one after another; a result is asked for ``settle_s`` after its end."""
    found = []
    for length_s in json.loads(lengths_s):
        meter.begin()
        time.sleep(length_s)
        meter.end()
        time.sleep(float(settle_s))
        found.append(meter.energies())
    return found


def region(meter: Meter, n: str) -> list[int]:
    """What entering plus leaving takes, in nanoseconds, each beside the bare reads of a plain reader in the same moment."""
    return [_region_ns(meter) for _ in range(int(n))]


def _region_ns(meter: Meter) -> int:
    before = time.perf_counter_ns()
    meter.begin()
    meter.end()
    return time.perf_counter_ns() - before


def nested(meter: Meter, n: str) -> list[int]:
    """The same inside an open span (ours alone knows spans in spans of one name)."""
    meter.begin()
    inner = type(meter)()
    found = [_region_ns(inner) for _ in range(int(n))]
    meter.end()
    return found


def growth(meter: Meter, n: str) -> list[float]:
    """Resident megabytes before, after a tenth, and after all of ``n`` spans."""
    sizes = [rss_mb()]
    for part in (int(n) // 10, int(n) - int(n) // 10):
        for _ in range(part):
            meter.begin()
            meter.end()
        sizes.append(rss_mb())
    return sizes


def idle(meter: Meter, seconds: str) -> dict[str, float]:
    """CPU time that an open, sleeping measurement takes, helpers of its own included, in per cent of one core."""
    meter.begin()
    time.sleep(2)
    wakes, own, helpers, at = _wakes(), time.process_time(), _children_s(), time.monotonic()
    time.sleep(float(seconds))
    length = time.monotonic() - at
    used, helped = time.process_time() - own, _children_s() - helpers
    found = {"own_pct": 100 * used / length, "helpers_pct": 100 * helped / length, "wakes_per_s": (_wakes() - wakes) / length}
    meter.end()
    return found


def _wakes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def _children_s() -> float:
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
            if parent == os.getpid():
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/schedstat") as sched:
                        total += int(sched.read().split()[0])
    return total / 1e9


def rss_mb() -> float:
    with builtins.open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


def loop(meter: Meter, rounds: str) -> list[list[tuple[float, float]]]:
    """Turns of a NumPy loop, without, with, without and without the meter: seconds by the wall and of this process's CPU."""
    import numpy

    square = numpy.random.default_rng(1).random((160, 160))
    passes, turn_s = 500, 1.2
    passes = int(passes * turn_s / _turn(square, passes)[0])
    found = []
    for _ in range(int(rounds)):
        first = _turn(square, passes)
        meter.begin()
        measured = _turn(square, passes)
        meter.end()
        found.append([first, measured, _turn(square, passes), _turn(square, passes)])
    return found


def _turn(square: Any, passes: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(passes):
        square = square @ square
        square /= square.max()
    return time.perf_counter() - wall, time.process_time() - cpu


QUESTIONS = {f.__name__: f for f in (bodies, region, nested, growth, idle, loop)}


def main() -> None:
    """``inside.py TOOL QUESTION ARG...``: what the tool prints itself is kept off the answer."""
    tool, question, *args = sys.argv[1:]
    answer = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()):
        __import__(MODULES[tool])
        at = time.perf_counter()
        options = {"watch": question == "bodies"} if tool in ("codecarbon", "zeus") else {}
        meter = METERS[tool](**options)
        if question == "ready":
            meter.begin()
            found: Any = (time.perf_counter() - at) * 1e3
        else:
            found = QUESTIONS[question](meter, *args)
    print(json.dumps(found), file=answer)
    answer.flush()
    for helper in multiprocessing.active_children():  # Zeus has one for each RAPL register
        helper.kill()
    os._exit(0)


if __name__ == "__main__":
    main()
