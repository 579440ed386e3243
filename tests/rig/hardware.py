"""What a simulated machine is made of: loads, GPUs, RAPL zones and faults, each able to write its scenario lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KEPLER, VOLTA, TURING, AMPERE, ADA, HOPPER, BLACKWELL = 2, 5, 6, 7, 8, 9, 10
PERF_EVENTS = {"energy-cores": 1, "energy-pkg": 2, "energy-ram": 3, "energy-gpu": 4, "energy-psys": 5}
RANGE_UJ = 262_143_328_850
SEALED = "computed at each read by the preload of tests/rig, which is not loaded here\n"


@dataclass(frozen=True)
class Load:
    """True power over time: steps of (duration_ns, power_uw) from the epoch, once (the last holds) or repeating."""

    steps: tuple[tuple[int, int], ...]
    repeat: bool = False

    def energy_fj(self, t_ns: int) -> int:
        """Exact energy from the epoch to ``t_ns`` after it; nothing is drawn before the epoch."""
        t_ns, energy = max(t_ns, 0), 0
        if self.repeat:
            cycles, t_ns = divmod(t_ns, sum(d for d, _ in self.steps))
            energy = cycles * sum(d * p for d, p in self.steps)
        for duration_ns, power_uw in self.steps[:-1]:
            part_ns = min(duration_ns, t_ns)
            energy, t_ns = energy + part_ns * power_uw, t_ns - part_ns
        return energy + t_ns * self.steps[-1][1]

    def line(self) -> str:
        return " ".join(["repeat" if self.repeat else "once", *(f"{d} {p}" for d, p in self.steps)])


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def load_steps(*steps: tuple[float, float], repeat: bool = False) -> Load:
    """Steps of (seconds, watts)."""
    return Load(tuple((_ns(s), round(w * 1e6)) for s, w in steps), repeat)


def load_constant(power_w: float) -> Load:
    return load_steps((1, power_w))


def load_square(period_s: float, low_w: float, high_w: float) -> Load:
    """Half of each period low, then half of it high."""
    return load_steps((period_s / 2, low_w), (period_s / 2, high_w), repeat=True)


def load_burst(at_s: float, for_s: float, low_w: float, high_w: float) -> Load:
    return load_steps((at_s, low_w), (for_s, high_w), (1, low_w))


@dataclass(frozen=True)
class Fault:
    """A sensor's lie, from ``at_s`` after the epoch for ``for_s`` (None: for ever), or for ``n`` calls of each process.

    GPU: lost; hang; error (value: NVML's code); reset (value: mJ); stuck_power, absurd_power (mW); stuck_energy,
    absurd_energy (mJ).  Zone: eio; eacces (root too); vanish; hang; reset (uJ); stuck_energy; absurd_energy (uJ);
    perf_eacces.
    """

    kind: str
    at_s: float = 0.0
    for_s: float | None = None
    n: int = 0
    value: int = 0

    def line(self) -> str:
        return f"{self.kind} {_ns(self.at_s)} {_ns(self.for_s or 0)} {self.n} {self.value}"


@dataclass(frozen=True)
class Process:
    """Who computes on a GPU; ``pid`` None is the process that asks.  ``gi`` and ``ci`` place it in a MIG slice.

    One that has ``ended`` is in no list, but the driver still has its samples; a ``client`` of the Multi-Process Service is in a
    list of its own.
    """

    pid: int | None = None
    sm_pct: int = 0
    mem_util_pct: int = 0
    mem_bytes: int = 1 << 30
    gi: int = 0
    ci: int = 0
    ended: bool = False
    client: bool = False

    def line(self) -> str:
        who = "self" if self.pid is None else str(self.pid)
        kind = 1 if self.ended else 2 if self.client else 0
        return f"{who} {self.sm_pct} {self.mem_util_pct} {self.mem_bytes} {self.gi} {self.ci} {kind}"


@dataclass(frozen=True)
class Mig:
    """A slice: a compute instance (``compute_slices``: all of its GPU instance's where None), there from ``from_s`` to ``to_s``."""

    gi: int
    gpu_slices: int
    mem_mb: int
    uuid: str
    ci: int = 0
    compute_slices: int | None = None
    from_s: float = 0.0
    to_s: float | None = None

    def line(self) -> str:
        n = self.gpu_slices if self.compute_slices is None else self.compute_slices
        there = f"{_ns(self.from_s)} {_ns(self.to_s or 0)}"
        return f"{self.gi} {self.ci} {self.gpu_slices} {n} {n * 16} {self.mem_mb} {there} {self.uuid}"


@dataclass(frozen=True)
class Gpu:
    """One board.  Windows are what each power answer averages over (0: the instant; None: not supported).

    ``temp_c`` and ``util_pct`` follow the power where None; ``module`` and ``memory`` are NVML's other scopes.  The
    defaults are an H100's; an A100 has no average_window_ms and a usage_window_ms of 25.  ``gpm_code`` is what the performance
    monitor answers with (0: it works; None: as the architecture has it), ``plugged_s`` when the board is plugged in, which only an
    NVML that starts later sees; ``mig_util``: process utilisation is kept under MIG (no driver does yet).
    """

    load: Load
    uuid: str = ""
    name: str = "NVIDIA H100 80GB HBM3"
    arch: int = HOPPER
    refresh_ms: float = 100
    phase_ms: float = 0
    counter: bool = True
    usage_window_ms: float | None = 1000
    average_window_ms: float | None = 1000
    instant_window_ms: float | None = 25
    start_mj: int = 0
    limit_w: float = 700
    temp_c: int | None = None
    util_pct: int | None = None
    latency_us: float = 0
    module: Load | None = None
    memory: Load | None = None
    processes: tuple[Process, ...] = ()
    migs: tuple[Mig, ...] = ()
    mig_util: bool = False
    gpm_code: int | None = None
    plugged_s: float = 0.0
    faults: tuple[Fault, ...] = ()
    serial: str = ""
    part: str = ""

    def lines(self) -> Iterator[str]:
        windows = {"usage": self.usage_window_ms, "average": self.average_window_ms, "instant": self.instant_window_ms}
        yield f"uuid {self.uuid}"
        yield f"name {self.name}"
        yield from (f"{key} {text}" for key, text in (("serial", self.serial), ("part", self.part)) if text)
        for key, ms in windows.items():
            yield f"{key}_window_ns {-1 if ms is None else _ns(ms / 1e3)}"
        for key in ("limit_mw", "default_limit_mw", "max_limit_mw"):
            yield f"{key} {round(self.limit_w * 1000)}"
        yield f"arch {self.arch}\nhas_counter {int(self.counter)}\nstart_mj {self.start_mj}"
        yield f"refresh_ns {_ns(self.refresh_ms / 1e3)}\nphase_ns {_ns(self.phase_ms / 1e3)}"
        yield f"latency_ns {round(self.latency_us * 1000)}\nmig_mode {int(bool(self.migs))}"
        yield f"temp_c {-1 if self.temp_c is None else self.temp_c}"
        yield f"util_pct {-1 if self.util_pct is None else self.util_pct}"
        gpm_code = self.gpm_code if self.gpm_code is not None else 0 if self.arch >= HOPPER else 3
        yield f"gpm_code {gpm_code}\nmig_util {int(self.mig_util)}\nplugged_ns {_ns(self.plugged_s)}"
        yield f"mem_total {80 << 30}\nmem_used {sum(p.mem_bytes for p in self.processes)}\nclock_mhz 1980"
        for key, load in (("board", self.load), ("module", self.module), ("memory", self.memory)):
            if load:
                yield f"{key} {load.line()}"
        for key, things in (("proc", self.processes), ("mig", self.migs), ("fault", self.faults)):
            for thing in things:
                yield f"{key} {thing.line()}"


@dataclass(frozen=True)
class Zone:
    """One powercap zone.  ``key`` is its directory, and by its colons its place in the tree; ``mirror`` names the zone
    whose register this one repeats.  ``perf`` offers it to perf as that event, on CPU ``cpu`` of the cpumask."""

    key: str
    name: str
    load: Load
    range_uj: int = RANGE_UJ
    start_uj: int = 0
    refresh_us: float = 0
    phase_us: float = 0
    latency_us: float = 0
    max_power_w: float | None = 270
    limits_w: tuple[tuple[str, float], ...] = (("long_term", 225.0), ("short_term", 270.0))
    enabled: bool = True
    mirror: str = ""
    perf: str = ""
    cpu: int = 0
    faults: tuple[Fault, ...] = ()

    @property
    def control_type(self) -> str:
        return self.key.split(":")[0]

    @property
    def parent(self) -> str:
        """The zone this one lies in, or the control type."""
        return self.key.rpartition(":")[0]

    def place(self) -> Path:
        """Its directory under devices/virtual/powercap."""
        parts = self.key.split(":")
        return Path(*(":".join(parts[: i + 1]) for i in range(len(parts))))

    def files(self) -> Iterator[tuple[str, str]]:
        yield "name", f"{self.name}\n"
        yield "energy_uj", SEALED
        yield "max_energy_range_uj", f"{self.range_uj}\n"
        yield "enabled", f"{int(self.enabled)}\n"
        for i, (name, limit_w) in enumerate(self.limits_w):
            yield f"constraint_{i}_name", f"{name}\n"
            yield f"constraint_{i}_power_limit_uw", f"{round(limit_w * 1e6)}\n"
            yield f"constraint_{i}_time_window_us", f"{(999_424, 2_440)[i % 2]}\n"
        if self.max_power_w is not None:
            yield "constraint_0_max_power_uw", f"{round(self.max_power_w * 1e6)}\n"

    def lines(self, path: Path) -> Iterator[str]:
        yield f"path {path}\nrange_uj {self.range_uj}\nstart_uj {self.start_uj}\nload {self.load.line()}"
        yield f"refresh_ns {round(self.refresh_us * 1000)}\nphase_ns {round(self.phase_us * 1000)}"
        yield f"latency_ns {round(self.latency_us * 1000)}"
        yield f"perf_event {PERF_EVENTS[self.perf] if self.perf else 0}\nperf_cpu {self.cpu}"
        for fault in self.faults:
            yield f"fault {fault.line()}"


def sockets(n: int, *, package: Load, dram: Load | None = None, core: Load | None = None) -> tuple[Zone, ...]:
    """``n`` equal sockets, perf included: packages intel-rapl:N, and in each core (:0) and dram (:2) where given."""
    zones = []
    for s in range(n):
        zones.append(Zone(f"intel-rapl:{s}", f"package-{s}", package, perf="energy-pkg", cpu=s))
        for suffix, name, load, event in ((0, "core", core, "energy-cores"), (2, "dram", dram, "energy-ram")):
            if load:
                zones.append(Zone(f"intel-rapl:{s}:{suffix}", name, load, range_uj=65_712_999_613, perf=event, cpu=s))
    return tuple(zones)
