"""Reads NVIDIA GPUs: the energy register where there is one (Volta and newer), else power at 50 Hz."""

from collections.abc import Iterator, Sequence

from wattledger.core.model import Condition, Device, EnergyCounter, Fault, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Now, SourceFailed, SourceGone
from wattledger.sources.nvml.driver import Conditions, Driver, NvmlError
from wattledger.sources.nvml.gpu import Gpu
from wattledger.sources.nvml.inventory import Watch, find, find_again
from wattledger.sources.nvml.processes import Processes
from wattledger.sources.nvml.sanity import Reading, expected_uw, judge

# A card without a register is read this often while a span is open: the sensors of Pascal and older refresh every 15
# to 100 ms.
POLL_NS = 20_000_000
TOLD_NS = 10_000_000_000  # between two looks at temperature and power limit

NO_PIDS = "PID namespace: the driver's process ids are not ours, so this run is said to use and hold every visible GPU"
NO_NAMES = "PID namespace: the driver's process ids are not ours, so nobody is said to use a GPU; run with hostPID, or --pid=host"
BY_SIZE = "nobody tells how busy the MIG slices of {name} are: they share it by size; sources.nvml.dcgm_url names a dcgm-exporter"
WHOLE_MODULE = "Grace Hopper: the energy register is the whole module's (GPU, CPU, memory): add no CPU sensor to it"
NONE_LEFT = "nvml: every GPU is lost; looked for again each half minute (nvidia-smi --gpu-reset)"
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


class NvmlSource:
    """State: the GPUs (see ``Gpu``), the watch for others, whether one that is ours is missing, and why the driver is away.

    For one thread at a time, and not across a fork; both are the sampler's to keep.  With the option ``steady`` (an agent, which
    outlives its GPUs) it looks for GPUs that come or come back, and is never gone.
    """

    name = "nvml"
    edge = True

    def __init__(self, host: Host, driver: Driver) -> None:
        self._host, self._driver = host, driver
        self._steady = bool(host.options.get("steady"))
        self._gpus, dead, notes = find(driver, host)
        if not self._gpus:
            why = "; ".join(dead) or "every GPU is hidden; see CUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES"
            raise SourceGone(f"nvml: {why}")
        self._processes = Processes(host, driver)
        self._watch = Watch(driver, host)
        self._missing = bool(dead)
        self._down = ""
        self._found = (*notes, *dead)
        self._pace()

    def _pace(self) -> None:
        self.period_ns = POLL_NS if any(gpu.register is None for gpu in self._gpus) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be assumed, and what the GPUs cannot tell."""
        return (*self._found, *dict.fromkeys(self._remarks()))

    @property
    def covers(self) -> frozenset[str]:
        """Kinds of device whose energy is inside ours: a superchip's module holds its CPU and memory."""
        return frozenset({"cpu", "dram"} if any(gpu.device is not gpu.board for gpu in self._gpus) else ())

    def _remarks(self) -> Iterator[str]:
        if not self._host.pids_match:
            yield NO_PIDS if self._host.roots else NO_NAMES
        if any(gpu.device is not gpu.board for gpu in self._gpus):
            yield WHOLE_MODULE
        for gpu in self._gpus:
            if gpu.register is None:
                yield NO_REGISTER.format(name=gpu.name)
            if gpu.slices is not None and gpu.gpm is None and self._processes.dcgm is None:
                yield BY_SIZE.format(name=gpu.name)

    def devices(self) -> Sequence[Device]:
        return [device for gpu in self._gpus for device in gpu.devices()]

    def read(self, now: Now, full: bool) -> list[Sample]:
        """Registers always, in one tight loop; power where it is all there is; the rest with ``full``.

        A lost GPU is a ``Fault`` and the others go on.  A driver that went away is a ``Fault`` of the whole source,
        and then ``SourceFailed`` until a full read finds it back.
        """
        samples, survey = self._before(now, full)
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
            self._processes.begin()
        for gpu in answered:
            if (full or not gpu.counted) and not self._down:
                samples += self._look(gpu, now, full, survey=survey)
        self._gpus = [gpu for gpu in self._gpus if not gpu.gone]
        if not self._gpus and self._steady:
            self._down = self._down or NONE_LEFT
        if not self._gpus and not samples:
            gone = "nvml: every GPU is lost; reset them (nvidia-smi --gpu-reset) and start again"
            raise SourceFailed(self._down) if self._steady else SourceGone(gone)
        return samples

    def close(self) -> None:
        for gpu in self._gpus:
            gpu.release()
        self._driver.close()

    def _look(self, gpu: Gpu, now: Now, full: bool, *, survey: bool) -> list[Sample]:
        """Power, and with ``full`` the processes; its slices are listed anew in a survey."""
        samples: list[Sample] = []
        parts = [self._power, *([self._slices] if survey else ()), *([self._condition, self._processes.look] if full else ())]
        for part in parts:
            at = now()
            try:
                samples += part(gpu, at)
            except NvmlError as error:
                return samples + self._trouble(gpu, at, error)
        return samples

    def _slices(self, gpu: Gpu, at: Instant) -> list[Sample]:
        gpu.relist(self._driver)
        return []

    def _condition(self, gpu: Gpu, at: Instant) -> list[Sample]:
        """For who looks at a node; a program has no use for it."""
        if not self._steady or at.mono_ns < gpu.told_at_ns + TOLD_NS:
            return []
        gpu.told_at_ns = at.mono_ns
        limit_uw, temperature_c = self._driver.limit_uw(gpu.handle), self._driver.conditions(gpu.handle).temperature_c
        if limit_uw != gpu.limit_uw:
            gpu.relimit(limit_uw)
        return [Condition(gpu.board.id, at, None if temperature_c is None else temperature_c * 1000, limit_uw)]

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

    def _trouble(self, gpu: Gpu, at: Instant, error: NvmlError) -> list[Sample]:
        """What a refusal means: the driver is away, this GPU is lost, this GPU has no such sensor, or try again."""
        if error.trouble == "reload":
            self._down = f"nvml: the driver went away ({error}); asked again at every full read"
            self._watch.hasten()
            return [Fault(self.name, None, at, self._down, False)]
        if error.trouble == "lost":
            self._missing = True
            self._watch.hasten()
            return [*gpu.end(at), self._fault(gpu, at, str(error))]
        return [self._fault(gpu, at, str(error))]

    def _refused(self, gpu: Gpu, at: Instant, error: NvmlError) -> list[Sample]:
        if error.trouble != "unsupported":
            return self._trouble(gpu, at, error)
        gpu.register = None  # power is all there is, after all
        self._pace()
        return []

    def _before(self, now: Now, full: bool) -> tuple[list[Sample], bool]:
        """What comes before a read: a new start of NVML, where the driver went away or GPUs may have come; and whether slices are
        due to be listed anew.  ``SourceFailed`` while there is nothing to read."""
        survey = full and self._watch.due(now().mono_ns)
        if self._down:
            if not survey:
                raise SourceFailed(self._down)
            return self._renew(now), False
        if survey and self._steady and (self._watch.moved() or self._missing):
            return self._renew(now), False
        return [], survey

    def _renew(self, now: Now) -> list[Sample]:
        """Start NVML anew and find the same GPUs under their new handles; a steady source finds others too, because only an NVML
        that has just started sees what was plugged in, or that a lost GPU was reset."""
        for gpu in self._gpus:
            gpu.release()
        try:
            self._driver.restart()
            refused = find_again(self._driver, self._gpus)
            known = {gpu.uuid for gpu in self._gpus} - refused.keys()
            fresh = find(self._driver, self._host, known) if self._steady else None
        except NvmlError as error:
            self._down = self._down or "nvml: the driver went away; asked again at every full read"
            self._watch.hasten()
            raise SourceFailed(f"{self._down}; still away: {error}") from None
        samples: list[Sample] = []
        for gpu in self._gpus:
            if gpu.uuid in refused:
                at = now()
                samples += [*gpu.end(at), self._fault(gpu, at, f"not there after NVML was started anew ({refused[gpu.uuid]})")]
        self._gpus = [gpu for gpu in self._gpus if not gpu.gone]
        if fresh is not None:
            self._gpus += fresh.gpus
            self._missing, self._found = bool(fresh.dead), (*fresh.notes, *fresh.dead)
        self._down = ""
        self._pace()
        return samples

    def _fault(self, gpu: Gpu, at: Instant, what: str) -> Fault:
        return Fault(self.name, gpu.device.id, at, f"{gpu.name} {gpu.uuid}: {what}", gpu.gone)
