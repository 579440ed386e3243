"""Reads NVIDIA GPUs: the energy register where there is one (Volta and newer), else power at 50 Hz."""

from collections.abc import Iterator, Sequence

from wattledger.core.model import Device, EnergyCounter, Fault, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Now, SourceFailed, SourceGone
from wattledger.sources.nvml.contexts import MPS_SERVER, WATCHERS, parts
from wattledger.sources.nvml.driver import Conditions, Driver, NvmlError, Slice
from wattledger.sources.nvml.gpu import Gpu
from wattledger.sources.nvml.sanity import Reading, expected_uw, judge
from wattledger.sources.nvml.visible import Card, choose

# A card without a register is read this often while a span is open: the sensors of Pascal and older refresh every 15
# to 100 ms.
POLL_NS = 20_000_000

NO_PIDS = "PID namespace: the driver's process ids are not ours, so this run is said to use and hold every visible GPU"
WHOLE_MODULE = "Grace Hopper: the energy register is the whole module's (GPU, CPU, memory): add no CPU sensor to it"
NO_REGISTER = "no energy register on {name}: its power is read 50 times a second and integrated"


def open_gpus(host: Host) -> "NvmlSource":
    """Find the GPUs that are ours.  ``SourceGone`` where there is no driver or none is visible."""
    driver = Driver()
    try:
        return NvmlSource(host, driver)
    except NvmlError as error:
        driver.close()
        raise SourceGone(f"nvml: the NVIDIA driver fails ({error}); try nvidia-smi") from None
    except SourceGone:
        driver.close()
        raise


def find(driver: Driver, host: Host) -> tuple[list[Gpu], list[str], tuple[str, ...]]:
    """The GPUs that are ours, a line for each that did not answer, and what had to be assumed."""
    handles, dead = {}, []
    for index in range(int(driver.call("nvmlDeviceGetCount"))):
        try:
            handle = driver.call("nvmlDeviceGetHandleByIndex", index)
            handles[Card(driver.call("nvmlDeviceGetUUID", handle), driver.call("nvmlDeviceGetName", handle))] = handle
        except NvmlError as error:
            dead.append(f"GPU {index} cannot be read: {error}")
    chosen, notes = choose(list(handles), host.environ, driver.parent_of)
    gpus = []
    for card in chosen:
        try:
            gpu = Gpu(driver, handles[card], card.uuid, card.name)
            if gpu.register is None and not gpu.powered:
                raise NvmlError("unsupported", "neither an energy register nor a power sensor")
            gpus.append(gpu)
        except NvmlError as error:
            dead.append(f"{card.name} {card.uuid} cannot be read: {error}")
    return gpus, dead, notes


class NvmlSource:
    """State: the GPUs (see ``Gpu``), the names of the processes seen at this look and the last, and why the driver is
    away.

    For one thread at a time, and not across a fork; both are the sampler's to keep.
    """

    name = "nvml"
    edge = True

    def __init__(self, host: Host, driver: Driver) -> None:
        self._host, self._driver = host, driver
        self._gpus, dead, notes = find(driver, host)
        if not self._gpus:
            why = "; ".join(dead) or "every GPU is hidden; see CUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES"
            raise SourceGone(f"nvml: {why}")
        self._down = ""
        self._names: dict[int, str] = {}
        self._names_before: dict[int, str] = {}
        self._found = (*notes, *dead)
        self._tell()

    def _tell(self) -> None:
        self.period_ns = POLL_NS if any(gpu.register is None for gpu in self._gpus) else None
        self.notes = (*self._found, *self._remarks())

    @property
    def covers(self) -> frozenset[str]:
        """Kinds of device whose energy is inside ours: a superchip's module holds its CPU and memory."""
        return frozenset({"cpu", "dram"} if any(gpu.device is not gpu.board for gpu in self._gpus) else ())

    def _remarks(self) -> Iterator[str]:
        if not self._host.pids_match:
            yield NO_PIDS
        if any(gpu.device is not gpu.board for gpu in self._gpus):
            yield WHOLE_MODULE
        yield from dict.fromkeys(NO_REGISTER.format(name=gpu.name) for gpu in self._gpus if gpu.register is None)

    def devices(self) -> Sequence[Device]:
        return [device for gpu in self._gpus for device in gpu.devices()]

    def read(self, now: Now, full: bool) -> list[Sample]:
        """Registers always, in one tight loop; power where it is all there is; the rest with ``full``.

        A lost GPU is a ``Fault`` and the others go on.  A driver that went away is a ``Fault`` of the whole source,
        and then ``SourceFailed`` until a full read finds it back.
        """
        samples: list[Sample] = self._revive(now, full) if self._down else []
        answered = []
        for gpu in self._gpus:
            if gpu.counted and gpu.register is not None:
                at = now()
                code = gpu.register.read()
                if code:
                    samples += self._refused(gpu, at, self._driver.error(code))
                    continue
                samples.append(EnergyCounter(gpu.device, at, gpu.register.count_uj, None))
            answered.append(gpu)
        if full:
            self._names_before, self._names = self._names, {}
        for gpu in answered:
            if (full or not gpu.counted) and not self._down:
                samples += self._look(gpu, now, full)
        self._gpus = [gpu for gpu in self._gpus if not gpu.gone]
        if not self._gpus and not samples:
            raise SourceGone("nvml: every GPU is lost; reset them (nvidia-smi --gpu-reset) and start again")
        return samples

    def close(self) -> None:
        self._driver.close()

    def _look(self, gpu: Gpu, now: Now, full: bool) -> list[Sample]:
        """Power, and with ``full`` the processes."""
        samples: list[Sample] = []
        for part in (self._power, self._processes) if full else (self._power,):
            at = now()
            try:
                samples += part(gpu, at)
            except NvmlError as error:
                return samples + self._trouble(gpu, at, error)
        return samples

    def _power(self, gpu: Gpu, at: Instant) -> list[Sample]:
        if not gpu.powered:
            return []
        power_uw = self._driver.power_uw(gpu.handle, gpu.instant)
        run, conditions = gpu.gate.run, Conditions(None, None, None)
        if gpu.doubted or (run is not None and run.power_uw == power_uw):
            # Three more calls to the driver, so only when the sensor gives cause: a power that repeats to the digit.
            conditions = self._driver.conditions(gpu.handle)
        if gpu.board.cap_uw is not None and power_uw > gpu.board.cap_uw:
            # Before a reading is called impossible: has the operator raised the limit?
            gpu.relimit(self._driver.limit_uw(gpu.handle))
        gpu.gate = judge(gpu.gate, Reading(at.mono_ns, power_uw, *conditions), gpu.board.cap_uw)
        if gpu.gate.verdict == "suspect":
            return []
        if gpu.gate.verdict == "good":
            gpu.doubted = False
            return [PowerGauge(gpu.board, at, power_uw)]
        return self._doubt(gpu, at, power_uw, conditions.used_percent)

    def _doubt(self, gpu: Gpu, at: Instant, power_uw: int, used_percent: int | None) -> list[Sample]:
        """A sensor that is not believed: say so once, and from then on let the utilisation answer."""
        samples: list[Sample] = []
        if not gpu.doubted:
            gpu.doubted = True
            shown = f"power sensor {gpu.gate.verdict} at {power_uw / 1e6:g} W"
            samples.append(self._fault(gpu, at, f"{shown}; estimated from its utilisation until it moves again"))
        expected = expected_uw(gpu.gate, gpu.limit_uw, used_percent)
        if expected is not None:
            samples.append(PowerGauge(gpu.board, at, expected, estimated=True))
        return samples

    def _processes(self, gpu: Gpu, at: Instant) -> list[Sample]:
        if not self._host.pids_match:
            ours = {f"pid:{pid}": 1.0 for pid in self._host.roots[:1]}
            return gpu.contexts.look(at, ours) if ours else []
        try:
            if gpu.slices is not None:
                gpu.slices = self._driver.slices(gpu.handle) or ()
            there = parts((part, self._workers(handle)) for handle, part in gpu.slices or [Slice(gpu.handle, 1.0)])
        except NvmlError as error:
            if error.trouble in ("unsupported", "denied"):
                return []  # unknown stays unknown: nobody is said to hold it, nor that it was idle
            raise
        shared = len({*there, *gpu.contexts.there}) > 1 and gpu.slices is None
        return gpu.contexts.look(at, there, self._use(gpu) if shared else None)

    def _workers(self, handle: object) -> list[int]:
        pids = set(self._driver.processes(handle))
        if any(self._comm(pid) == MPS_SERVER for pid in pids):
            pids.update(self._driver.clients(handle))
        return sorted(pid for pid in pids if self._comm(pid) not in WATCHERS)

    def _comm(self, pid: int) -> str:
        """A process's name, looked up when it is first seen; empty where it is hidden."""
        if pid not in self._names:
            known = self._names_before.get(pid)
            self._names[pid] = self._read_comm(pid) if known is None else known
        return self._names[pid]

    def _read_comm(self, pid: int) -> str:
        try:
            with open(f"{self._host.procfs}/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                return comm.read().strip()
        except OSError:
            return ""

    def _use(self, gpu: Gpu) -> dict[str, float] | None:
        """Each process's mean SM use since the last look."""
        samples = self._driver.process_use(gpu.handle, gpu.seen_us)
        if not samples:
            return None
        gpu.seen_us = max(at_us for _, at_us, _ in samples)
        seen: dict[str, list[int]] = {}
        for pid, _, percent in samples:
            seen.setdefault(f"pid:{pid}", []).append(percent)
        return {who: sum(percents) / len(percents) for who, percents in seen.items()}

    def _trouble(self, gpu: Gpu, at: Instant, error: NvmlError) -> list[Sample]:
        """What a refusal means: the driver is away, this GPU is lost, this GPU has no such sensor, or try again."""
        if error.trouble == "reload":
            self._down = f"nvml: the driver went away ({error}); asked again at every full read"
            return [Fault(self.name, None, at, self._down, False)]
        if error.trouble == "lost":
            gpu.gone = True
            return [*gpu.contexts.end(at), self._fault(gpu, at, str(error))]
        return [self._fault(gpu, at, str(error))]

    def _refused(self, gpu: Gpu, at: Instant, error: NvmlError) -> list[Sample]:
        if error.trouble != "unsupported":
            return self._trouble(gpu, at, error)
        gpu.register = None  # power is all there is, after all
        self._tell()
        return []

    def _revive(self, now: Now, full: bool) -> list[Sample]:
        """Start NVML again after the driver went away, and find the same GPUs under their new handles."""
        if not full:
            raise SourceFailed(self._down)
        samples: list[Sample] = []
        try:
            self._driver.restart()
            for gpu in self._gpus:
                samples += self._found_again(gpu, now())
        except NvmlError as error:
            raise SourceFailed(f"{self._down}; still away: {error}") from None
        self._down = ""
        self._gpus = [gpu for gpu in self._gpus if not gpu.gone]
        self._tell()
        return samples

    def _found_again(self, gpu: Gpu, at: Instant) -> list[Sample]:
        try:
            gpu.attach(self._driver, self._driver.call("nvmlDeviceGetHandleByUUID", gpu.uuid))
        except NvmlError as error:
            if error.trouble == "reload":
                raise
            gpu.gone = True
            return [*gpu.contexts.end(at), self._fault(gpu, at, f"not there after the driver came back ({error})")]
        return []

    def _fault(self, gpu: Gpu, at: Instant, what: str) -> Fault:
        return Fault(self.name, gpu.device.id, at, f"{gpu.name} {gpu.uuid}: {what}", gpu.gone)
