"""The one file that knows pynvml: NVML as plain values, and ``NVMLError`` translated once into ``NvmlError``.
 Only the energy register is called past pynvml, by ctypes on the same library: it is read at every span boundary, and
pynvml's wrapping doubles what the call costs (peers.md section 5: 998 ns against 477 ns).
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from wattledger.core.ports import SourceGone
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
    """A MIG compute instance: its handle, and what part of the GPU it is."""

    handle: Any
    part: float


class Register:
    """One GPU's energy register, ready to be read without building anything."""

    __slots__ = ("_call", "_handle", "_millijoules", "_out")

    def __init__(self, call: Callable[[Any, Any], int], handle: Any) -> None:
        import ctypes

        self._call, self._handle = call, handle
        self._millijoules = ctypes.c_ulonglong()
        self._out = ctypes.byref(self._millijoules)

    def read(self) -> int:
        """NVML's return code, 0 when ``count_uj`` is fresh."""
        return self._call(self._handle, self._out)

    @property
    def count_uj(self) -> int:
        return self._millijoules.value * 1000


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
        try:
            self.call("nvmlInit")
        except NvmlError as error:
            raise SourceGone(f"nvml: the NVIDIA driver does not answer ({error}); try nvidia-smi") from None

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a pynvml function by its name."""
        try:
            return getattr(self._nvml, function)(*arguments)
        except self._nvml.NVMLError as error:
            if error.value == self._nvml.NVML_SUCCESS:
                return []  # pynvml raises "success" where a list of samples is empty
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
        try:
            found = self.call("nvmlDeviceGetComputeRunningProcesses", handle)
        except NvmlError as error:
            if error.trouble != "unsupported":
                raise
            # Drivers before 510 know only the second version of this call.
            found = self.call("nvmlDeviceGetComputeRunningProcesses_v2", handle)
        return [int(process.pid) for process in found]

    def clients(self, handle: Any) -> list[int]:
        """Process ids that compute through the server of the Multi-Process Service."""
        found = self.ask("nvmlDeviceGetMPSComputeRunningProcesses", handle)
        return [int(process.pid) for process in found or ()]

    def process_use(self, handle: Any, since_us: int) -> list[tuple[int, int, int]] | None:
        """Samples of SM use since then, as (process id, microsecond, percent); ``None`` where the GPU keeps none
        (under MIG)."""
        try:
            samples = self.call("nvmlDeviceGetProcessUtilization", handle, since_us)
        except NvmlError as error:
            if error.trouble in ("lost", "reload"):
                raise
            return None  # "not found" is no sample since then: as good as not knowing
        return [(int(s.pid), int(s.timeStamp), int(s.smUtil)) for s in samples if s.pid]

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
                yield Slice(part, int(size.computeInstanceSliceCount) / most)

    def parent_of(self, mig: str) -> str | None:
        """The UUID of the GPU that a MIG device (``MIG-`` and a UUID) is a slice of."""
        try:
            part = self.call("nvmlDeviceGetHandleByUUID", mig)
            return str(self.call("nvmlDeviceGetUUID", self.call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", part)))
        except NvmlError:
            return None
