"""The simulated machine: GPUs and RAPL zones whose true power is known, for programs that ask the real libraries.

    from tests.rig.rig import Gpu, Rig, load_constant, load_square, sockets

    rig = Rig(gpus=(Gpu(load_constant(200)),), zones=sockets(2, package=load_square(0.3, 40, 120))).write(tmp_path)
    subprocess.run([...], env=os.environ | rig.env())          # or rig.run([...])
    rig.truth_uj(rig.gpus[0].uuid, start_ns, end_ns)

Two C libraries stand in for the hardware: a libnvidia-ml.so.1 that the real pynvml loads, and a preload that computes
every energy_uj at the moment it is read, by whatever path, and answers perf_event_open for the power PMU.  Both read
the scenario that ``write`` makes.  Times are CLOCK_BOOTTIME; powers and energies are exact integers, as in scenario.c.

Limits: a program that calls the kernel without libc (Go) is not led into the tree, and an energy_uj read past the
preload holds a plain complaint, no number.  perf is answered through ctypes.CDLL(None).syscall; the syscall of
CDLL("libc.so.6") looks past every preload.  A vanished zone cannot be opened or read, yet its name is still listed.
"""

import contextlib
import ctypes
import dataclasses
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .build import NoCompiler, Paths, build
from .hardware import (
    ADA,
    AMPERE,
    BLACKWELL,
    HOPPER,
    KEPLER,
    PERF_EVENTS,
    RANGE_UJ,
    TURING,
    VOLTA,
    Fault,
    Gpu,
    Load,
    Mig,
    Process,
    Zone,
    load_burst,
    load_constant,
    load_square,
    load_steps,
    sockets,
)

__all__ = [
    "ADA", "AMPERE", "BLACKWELL", "HOPPER", "KEPLER", "RANGE_UJ", "TURING", "VOLTA",
    "Fault", "Gpu", "Load", "Mig", "NoCompiler", "Paths", "Process", "Rig", "Zone",
    "boottime_ns", "build", "load_burst", "load_constant", "load_square", "load_steps", "sockets",
]  # fmt: skip

PMU_TYPE = 26
FJ_PER_UJ = 1_000_000_000


def boottime_ns() -> int:
    """The rig's clock, and the meter's ``mono_ns``."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Rig:
    """A machine whose loads start at ``epoch_ns``; it exists on disk once written to ``dir``."""

    gpus: tuple[Gpu, ...] = ()
    zones: tuple[Zone, ...] = ()
    dir: Path | None = None
    epoch_ns: int = field(default_factory=boottime_ns)
    driver: str = "580.95.05"

    def __post_init__(self) -> None:
        named = (g if g.uuid else dataclasses.replace(g, uuid=f"GPU-00000000-0000-4000-8000-{i:012}")
                 for i, g in enumerate(self.gpus))  # fmt: skip
        object.__setattr__(self, "gpus", tuple(named))
        sources = {z.key: z for z in self.zones}
        object.__setattr__(self, "zones", tuple(_mirrored(z, sources) for z in self.zones))

    @property
    def home(self) -> Path:
        if self.dir is None:
            raise ValueError("this rig has no directory yet: call rig.write(dir) and use what it returns")
        return Path(self.dir)

    @property
    def sysfs(self) -> Path:
        return self.home / "sys"

    def write(self, folder: Path) -> "Rig":
        """Write tree and scenario under ``folder``; return this rig, living there."""
        rig = dataclasses.replace(self, dir=Path(folder).resolve())
        rig.home.mkdir(parents=True, exist_ok=True)
        write_powercap(rig.sysfs, rig.zones)
        write_perf(rig.sysfs, rig.zones)
        (rig.home / "scenario.txt").write_text("\n".join(rig._lines()) + "\n")
        return rig

    def _lines(self) -> Iterator[str]:
        yield f"epoch_ns {self.epoch_ns}\ntree {self.sysfs}\ncontrol {self.home / 'control.txt'}"
        yield f"driver {self.driver}\npmu_type {PMU_TYPE}"
        for i, gpu in enumerate(self.gpus):
            yield f"gpu {i}"
            yield from gpu.lines()
        for zone in self.zones:
            yield f"zone {zone.key}"
            yield from zone.lines(self.sysfs / "devices/virtual/powercap" / zone.place())

    def env(self) -> dict[str, str]:
        """What to add to a program's environment so that it sees this machine."""
        if not (self.home / "scenario.txt").exists():
            self.write(self.home)
        paths = build()
        libraries = [str(paths.lib_dir), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {
            "LD_LIBRARY_PATH": ":".join(libraries),
            "LD_PRELOAD": str(paths.shim),
            "WATTLEDGER_RIG": str(self.home / "scenario.txt"),
            "WATTLEDGER_PATHS_SYSFS": str(self.sysfs),
        }

    def run(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout_s: float = 60) -> str:
        """Run a program on this machine and return what it prints; its failure raises with what it wrote to stderr."""
        whole = {**os.environ, **self.env(), **(env or {})}
        done = subprocess.run(argv, env=whole, capture_output=True, text=True, timeout=timeout_s, check=False)
        if done.returncode:
            raise RuntimeError(f"{argv[0]} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def activate(self) -> Iterator["Rig"]:
        """Give this process the GPUs (zones need the preload): pynvml's next nvmlInit reads this scenario."""
        environ = {k: v for k, v in self.env().items() if k.startswith("WATTLEDGER_")}
        before = {key: os.environ.get(key) for key in environ}
        # Once a library of this soname is loaded, pynvml's own dlopen of libnvidia-ml.so.1 finds it.
        ctypes.CDLL(str(build().nvml), mode=ctypes.RTLD_GLOBAL)
        os.environ.update(environ)
        try:
            yield self
        finally:
            for key, value in before.items():
                os.environ.pop(key, None)
                if value is not None:
                    os.environ[key] = value

    def processes(self, by_gpu: Mapping[int, Sequence[Process]]) -> None:
        """From now on these run on the GPUs (by index) beside those of the scenario; read at each process query."""
        lines = [f"{gpu} {p.line()}\n" for gpu, procs in by_gpu.items() for p in procs]
        fresh = self.home / "control.new"
        fresh.write_text("".join(lines))
        fresh.replace(self.home / "control.txt")

    def load_of(self, device_id: str) -> Load:
        """By a GPU's UUID, or a zone's key or any path that ends in it."""
        for gpu in self.gpus:
            if gpu.uuid == device_id:
                return gpu.load
        return next(z.load for z in self.zones if z.key == Path(device_id).name)

    def truth_uj(self, device_id: str, start_ns: int, end_ns: int) -> int:
        """The exact energy truly drawn in a CLOCK_BOOTTIME window, whatever the sensor said.

        Adjacent windows sum exactly: each end is rounded down as a register would be.
        """
        load = self.load_of(device_id)
        start_uj, end_uj = (load.energy_fj(t - self.epoch_ns) // FJ_PER_UJ for t in (start_ns, end_ns))
        return end_uj - start_uj

    def refreshed_ns(self, device_id: str, at_ns: int) -> int:
        """When the register that is read at ``at_ns`` was last updated."""
        refresh_ns, phase_ns = self._refresh(device_id)
        return at_ns - (at_ns - self.epoch_ns - phase_ns) % refresh_ns if refresh_ns else at_ns

    def _refresh(self, device_id: str) -> tuple[int, int]:
        for gpu in self.gpus:
            if gpu.uuid == device_id:
                return round(gpu.refresh_ms * 1e6), round(gpu.phase_ms * 1e6)
        zone = next(z for z in self.zones if z.key == Path(device_id).name)
        return round(zone.refresh_us * 1e3), round(zone.phase_us * 1e3)


def _mirrored(zone: Zone, zones: Mapping[str, Zone]) -> Zone:
    if not zone.mirror:
        return zone
    of = zones[zone.mirror]
    return dataclasses.replace(
        zone, load=of.load, start_uj=of.start_uj, range_uj=of.range_uj, refresh_us=of.refresh_us, phase_us=of.phase_us
    )


def write_powercap(sysfs: Path, zones: Sequence[Zone]) -> None:
    """devices/virtual/powercap nests the zones; class/powercap links to each of them, flat, as the kernel does."""
    flat = sysfs / "class/powercap"
    for control_type in {z.control_type for z in zones}:
        _link(flat / control_type, Path("../../devices/virtual/powercap", control_type))
    for zone in zones:
        place = sysfs / "devices/virtual/powercap" / zone.place()
        place.mkdir(parents=True, exist_ok=True)
        for name, text in zone.files():
            (place / name).write_text(text)
        (place / "energy_uj").chmod(0o400)
        _link(flat / zone.key, Path("../../devices/virtual/powercap", zone.place()))


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(target)


def write_perf(sysfs: Path, zones: Sequence[Zone]) -> None:
    """The power PMU, where any zone offers itself to perf."""
    offered = [z for z in zones if z.perf]
    if not offered:
        return
    pmu = sysfs / "bus/event_source/devices/power"
    (pmu / "events").mkdir(parents=True, exist_ok=True)
    (pmu / "type").write_text(f"{PMU_TYPE}\n")
    (pmu / "cpumask").write_text(",".join(str(c) for c in sorted({z.cpu for z in offered})) + "\n")
    for event in {z.perf for z in offered}:
        (pmu / "events" / event).write_text(f"event=0x{PERF_EVENTS[event]:02x}\n")
        (pmu / "events" / f"{event}.scale").write_text("2.3283064365386962890625e-10\n")
        (pmu / "events" / f"{event}.unit").write_text("Joules\n")
