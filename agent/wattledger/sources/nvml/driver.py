"""The one file that knows pynvml: NVML as plain values, and ``NVMLError`` translated once into ``NvmlError``."""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from wattledger.core.ports import SourceGone
from wattledger.sources.nvml.calls import Listing, Register, Running, UseSample
from wattledger.sources.nvml.library import load

# Field ids and scopes of NVML's header (science.md section 1.1); older pynvml lacks the names of the scopes.
POWER_INSTANT, POWER_LIMIT = 186, 190
GPU, MODULE = 0, 1
HOPPER, VOLTA, PASCAL = 9, 5, 4

Trouble = Literal["lost", "reload", "unsupported", "denied", "passing"]

_MEANING: dict[str, Trouble] = {
    "NVML_ERROR_GPU_IS_LOST": "lost",
    "NVML_ERROR_UNINITIALIZED": "reload",
    "NVML_ERROR_DRIVER_NOT_LOADED": "reload",
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": "reload",
    "NVML_ERROR_NOT_SUPPORTED": "unsupported",
    "NVML_ERROR_FUNCTION_NOT_FOUND": "unsupported",
    "NVML_ERROR_NO_PERMISSION": "denied",
}


class NvmlError(Exception):
    """NVML said no; ``trouble`` is what that means for us, the message is NVML's own words."""

    def __init__(self, trouble: Trouble, what: str) -> None:
        super().__init__(what)
        self.trouble = trouble


class Conditions(NamedTuple):
    """What else a GPU says of itself; ``None`` where it does not say."""

    temperature_c: int | None
    clock_mhz: int | None
    used_percent: int | None


class Slice(NamedTuple):
    """A MIG compute instance: its handle, what part of the GPU it is, its UUID, and the GPU instance that it lies in."""

    handle: Any
    part: float
    uuid: str
    gpu_instance: int


class Driver:
    """An initialised NVML.  Not for several threads at once; every call may take milliseconds, and hang with a hung
    driver."""

    def __init__(self) -> None:
        self._library = load()
        try:
            import pynvml  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise SourceGone("nvml: a driver but not its Python binding here; pip install nvidia-ml-py") from None
        self._nvml = pynvml
        self._meaning = {getattr(self._nvml, name): trouble for name, trouble in _MEANING.items()}
        self._since_us = ctypes.c_ulonglong()
        self._running = Listing(Running, self._call_running)
        self._used = Listing(UseSample, self._call_used)
        try:
            self.call("nvmlInit")
        except NvmlError as error:
            raise SourceGone(f"nvml: the NVIDIA driver does not answer ({error}); try nvidia-smi") from None

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a pynvml function by its name."""
        try:
            return getattr(self._nvml, function)(*arguments)
        except self._nvml.NVMLError as error:
            raise self.error(error.value) from None
        except (self._nvml.NVMLLibraryMismatchError, AttributeError):
            raise NvmlError("unsupported", f"{function} is not in this driver or this nvidia-ml-py") from None

    def ask(self, function: str, *arguments: Any) -> Any:
        """Like ``call``, but ``None`` where this GPU or driver cannot tell."""
        try:
            return self.call(function, *arguments)
        except NvmlError as error:
            if error.trouble in ("lost", "reload"):
                raise
            return None

    def constant(self, name: str) -> Any:
        """A number or a structure of pynvml, by its name."""
        return getattr(self._nvml, name)

    def error(self, code: int) -> NvmlError:
        """What a return code means for us."""
        return NvmlError(self._meaning.get(code, "passing"), str(self._nvml.NVMLError(code)))

    def restart(self) -> None:
        """Initialise again, after the driver went away; handles from before are void."""
        self.close()
        self.call("nvmlInit")

    def close(self) -> None:
        """Shut NVML down; a driver that is gone already needs no farewell."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return

    def register(self, handle: Any) -> Register | None:
        """The energy register (Volta and newer); ``None`` where there is none."""
        try:
            call = self._library.nvmlDeviceGetTotalEnergyConsumption
        except AttributeError:
            return None
        register = Register(call, handle)
        code = register.read()
        return None if code and self.error(code).trouble == "unsupported" else register

    def field(self, handle: Any, field: int, scope: int) -> int | None:
        """An unsigned field (power fields are in milliwatts), or ``None`` where this GPU has no such field in that
        scope."""
        values = self.ask("nvmlDeviceGetFieldValues", handle, [(field, scope)])
        if not values or values[0].nvmlReturn:
            return None
        return int(values[0].value.uiVal)

    def power_uw(self, handle: Any, instant: bool) -> int:
        """Board power.  The instant field is taken where there is one: plain power is a one-second average on Ampere
        and newer, and lags a short span by more than its length."""
        if instant:
            values = self.call("nvmlDeviceGetFieldValues", handle, [(POWER_INSTANT, GPU)])
            if values[0].nvmlReturn:
                raise self.error(values[0].nvmlReturn)
            return int(values[0].value.uiVal) * 1000
        return int(self.call("nvmlDeviceGetPowerUsage", handle)) * 1000

    def has_power(self, handle: Any) -> bool:
        """Whether there is a power sensor at all; one that merely fails now may answer later."""
        try:
            self.power_uw(handle, instant=False)
        except NvmlError as error:
            if error.trouble in ("lost", "reload"):
                raise
            return error.trouble != "unsupported"
        return True

    def limit_uw(self, handle: Any) -> int | None:
        """The power limit in force, else the one from the factory."""
        for function in ("nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetPowerManagementDefaultLimit"):
            limit_mw = self.ask(function, handle)
            if limit_mw:
                return int(limit_mw) * 1000
        return None

    def conditions(self, handle: Any) -> Conditions:
        """Temperature, SM clock and utilisation."""
        rates = self.ask("nvmlDeviceGetUtilizationRates", handle)
        return Conditions(
            self.ask("nvmlDeviceGetTemperature", handle, self._nvml.NVML_TEMPERATURE_GPU),
            self.ask("nvmlDeviceGetClockInfo", handle, self._nvml.NVML_CLOCK_SM),
            None if rates is None else int(rates.gpu),
        )

    def processes(self, handle: Any) -> list[int]:
        """Process ids with a compute context."""
        code, found = self._running.fetch(handle)
        if code:
            raise self.error(code)
        return [process.pid for process in found]

    def _call_running(self, handle: Any, out: Any, count: Any) -> int:
        try:
            return int(self._library.nvmlDeviceGetComputeRunningProcesses_v3(handle, count, out))
        except AttributeError:
            # Drivers before 510 know only the second version of this call.
            return int(self._library.nvmlDeviceGetComputeRunningProcesses_v2(handle, count, out))

    def clients(self, handle: Any) -> list[int]:
        """Process ids that compute through the server of the Multi-Process Service."""
        found = self.ask("nvmlDeviceGetMPSComputeRunningProcesses", handle)
        return [int(process.pid) for process in found or ()]

    def process_use(self, handle: Any, since_us: int) -> Sequence[UseSample] | None:
        """Samples of SM use since then, valid until the next call; ``None`` where the GPU keeps none (under MIG).

        They come from a buffer of the driver, which keeps those of processes that have ended.
        """
        self._since_us.value = since_us
        code, samples = self._used.fetch(handle)
        if not code:
            return [sample for sample in samples if sample.pid]
        error = self.error(code)
        if error.trouble in ("lost", "reload"):
            raise error
        # "Not found" is no sample since then.
        return None if error.trouble in ("unsupported", "denied") else []

    def _call_used(self, handle: Any, out: Any, count: Any) -> int:
        return int(self._library.nvmlDeviceGetProcessUtilization(handle, out, count, self._since_us))

    def slices(self, handle: Any) -> list[Slice] | None:
        """The MIG compute instances of a GPU; ``None`` when it is not in MIG mode."""
        mode = self.ask("nvmlDeviceGetMigMode", handle)
        if not mode or not mode[0]:
            return None
        return list(self._slices(handle, int(self.call("nvmlDeviceGetMaxMigDeviceCount", handle))))

    def _slices(self, handle: Any, most: int) -> Iterator[Slice]:
        for index in range(most):
            # An index without an instance answers "not found".
            part = self.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
            size = part and self.ask("nvmlDeviceGetAttributes", part)
            if size:
                uuid, instance = self.call("nvmlDeviceGetUUID", part), self.call("nvmlDeviceGetGpuInstanceId", part)
                yield Slice(part, int(size.computeInstanceSliceCount) / most, str(uuid), int(instance))

    def parent_of(self, mig: str) -> str | None:
        """The UUID of the GPU that a MIG device (``MIG-`` and a UUID) is a slice of."""
        try:
            part = self.call("nvmlDeviceGetHandleByUUID", mig)
            return str(self.call("nvmlDeviceGetUUID", self.call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", part)))
        except NvmlError:
            return None
