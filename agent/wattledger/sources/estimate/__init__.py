"""What no sensor covers: CPU and memory power as a model's answer, marked so wherever it goes.

The model knows a processor's rating and how busy it was; one sigma of it is about 30 %: CPU-load models against RAPL
were 6 to 63 % off in the median.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from wattledger.core.model import Device, Finding, IdleFloor, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Now, SourceFailed, SourceGone
from wattledger.sources.estimate.load import Load, machine_load
from wattledger.sources.estimate.power import DRAM_W_PER_GB, SERVER_CURVE, TDP_CURVE, CpuModel, cpu_model, find_processor

GB = 1_000_000_000
# The kernel counts CPU time in ticks of 10 ms: an answer for less than two of them says nothing.
REFRESH_NS = 20_000_000


def open(host: Host) -> "Estimate":
    """Options: ``measured`` (device kinds that a sensor covers); ``load`` (a callable giving a ``Load``: the one that
    ``procfs.load(host)`` returns, which knows a container's limits, or ``portable.load(host)``); ``cpu_max_w`` and
    ``cpu_idle_w`` (of the whole machine); ``dram_w_per_gb``.

    Without ``load`` the whole machine is told by ``{procfs}/stat``.
    """
    return Estimate(host)


def examine(host: Host) -> Iterable[Finding]:
    try:
        source = Estimate(host)
    except (SourceGone, SourceFailed) as gone:
        yield Finding("estimate", "model", "absent", str(gone))
        return
    for device in source.devices():
        remedy = f"a sensor, where the rows above name one that can be had; else set [sources.estimate] {_OPTION[device.id]}"
        yield Finding("estimate", device.id, "estimate", f"a model's answer: {source.origin(device)}", remedy)


CAP_OF_MODEL = 1.8  # what it can really draw: as far above the model as the model's 95 % interval goes (factors/gains.py)
_OPTION = {"cpu": "cpu_max_w and cpu_idle_w", "dram": "dram_w_per_gb"}


class Estimate:
    """State: the last work counted and when, which set the mean load of the next answer, and the last answer."""

    name = "estimate"
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        load = host.options.get("load")
        self._load = cast(Callable[[], Load], load) if callable(load) else machine_load(host.procfs)
        here = self._load()
        self._last: tuple[Instant, Load] | None = None
        self._answer_w = 0.0
        self._dram_w_per_gb = _option(host, "dram_w_per_gb", DRAM_W_PER_GB)
        covered = host.options.get("measured", ())
        measured = covered if isinstance(covered, frozenset | set | tuple | list) else ()
        self._model, name = _model(host, here.all_cpus)
        part = f" ({here.cpus:g} of {here.all_cpus} cpus)" if here.cpus < here.all_cpus else ""
        self.is_part = bool(part)
        self._cpu = self._dram = None
        if "cpu" not in measured:
            cap_uw = _uw(self._model.max_w * CAP_OF_MODEL)
            self._cpu = Device("cpu", "cpu", (name or "unknown processor") + part, None, REFRESH_NS, cap_uw)
        # A virtual CPU's watts are its part of a whole server at the wall: memory, fans and losses are in them already.
        self.whole_server = self._cpu is not None and self._model.curve is SERVER_CURVE
        if "dram" not in measured and not self.whole_server:
            self._dram = Device("dram", "dram", f"{here.memory_bytes / GB:.0f} GB", None, REFRESH_NS)
        if self._cpu is None and self._dram is None:
            raise SourceGone("estimate: every device has a sensor here; nothing is left to model")
        self.notes = tuple(self._notes(part))

    def _notes(self, part: str) -> Iterator[str]:
        if self._cpu:
            whole = "; memory and the rest of the server are in it" if self.whole_server else ""
            yield f"CPU energy is modelled, not measured: no sensor here{part} ({self._model.origin}{whole})"
        if self._dram:
            per_gb = f"{self._dram.model} at {self._dram_w_per_gb:g} W/GB"
            yield f"memory energy is modelled, not measured: no sensor here ({per_gb})"

    def origin(self, device: Device) -> str:
        """What a device's answer stands on."""
        return self._model.origin if device is self._cpu else f"{device.model} at {self._dram_w_per_gb:g} W/GB"

    def devices(self) -> tuple[Device, ...]:
        return tuple(device for device in (self._cpu, self._dram) if device)

    def close(self) -> None:
        pass

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        return list(self._read(now)) if full else ()

    def _read(self, now: Now) -> Iterator[Sample]:
        at = now()
        try:
            load = self._load()
        except (OSError, ValueError) as error:
            raise SourceFailed(f"estimate: how busy the CPU is cannot be read: {error!r}") from error
        part = load.cpus / load.all_cpus
        if self._cpu:
            before = self._last[1] if self._last else None
            if before is None or (before.cpus, before.all_cpus) != (load.cpus, load.all_cpus):
                yield IdleFloor("cpu", "empty", _uw(self._model.idle_w * part), None, 0)
            self._answer_w = part * self._model.watts(self._mean_load(at, load))
            yield PowerGauge(self._cpu, at, _uw(self._answer_w), estimated=True)
        if self._dram:
            watts = load.memory_bytes / GB * self._dram_w_per_gb
            yield PowerGauge(self._dram, at, _uw(watts), estimated=True)
        self._last = at, load

    def _mean_load(self, at: Instant, load: Load) -> float:
        """Since the answer before this; the first only sets the baseline, and says what an idle machine draws."""
        if self._last is None:
            return 0.0
        then, before = self._last
        possible_ns = load.cpus * (at.mono_ns - then.mono_ns)
        return (load.busy_ns - before.busy_ns) / possible_ns if possible_ns > 0 else 0.0


def _model(host: Host, cpus: int) -> tuple[CpuModel, str]:
    processor = find_processor(host, cpus)
    model = cpu_model(processor, cpus)
    if {"cpu_max_w", "cpu_idle_w"} & host.options.keys():
        max_w = _option(host, "cpu_max_w", model.max_w)
        idle_w = _option(host, "cpu_idle_w", model.idle_w * max_w / model.max_w)
        if idle_w > max_w:
            raise SourceFailed(f"estimate: [sources.estimate] cpu_idle_w = {idle_w:g} is more than cpu_max_w = {max_w:g}")
        # What somebody says of the CPUs is of the CPUs, whatever the table's figure was of.
        model = model._replace(max_w=max_w, idle_w=idle_w, curve=TDP_CURVE, origin=f"{idle_w:g}-{max_w:g} W, configured")
    return model, processor.name


def _option(host: Host, name: str, default: float) -> float:
    value = host.options.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise SourceFailed(f"estimate: [sources.estimate] {name} must be a number of watts, not {value!r}")
    return float(value)


def _uw(watts: float) -> int:
    return round(watts * 1_000_000)
