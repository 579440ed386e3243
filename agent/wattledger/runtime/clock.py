"""The only file that reads a clock; everybody else is handed ``now``."""

import time

from wattledger.core.model import Instant

# CLOCK_BOOTTIME goes on while the machine is suspended, so a suspend is seen as the hole it is; elsewhere than on Linux the
# monotonic clock has to do.
_MONO: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def _now_posix(mono: int = _MONO or 0) -> Instant:
    """This instant, by both clocks."""
    return Instant(time.clock_gettime_ns(mono), time.time_ns())


def _now_windows() -> Instant:
    """This instant, by both clocks."""
    return Instant(time.monotonic_ns(), time.time_ns())


now = _now_windows if _MONO is None else _now_posix

def asleep_ns() -> int:
    """How long this machine has been suspended since it booted: the two clocks differ by that, where there are two."""
    return 0 if _MONO is None else time.clock_gettime_ns(_MONO) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


process_cpu_ns = time.process_time_ns
thread_cpu_ns = time.thread_time_ns
elapsed_ns = time.perf_counter_ns
monotonic_ns = time.monotonic_ns


def offset_ms() -> int | None:
    """How far the kernel holds the wall clock to be off, in milliseconds; ``None`` where nobody disciplines it (adjtimex(2))."""
    import ctypes  # once in a meter's life

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256),
        )  # fmt: skip

    found = Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(found))
    except (AttributeError, OSError, TypeError):
        return None
    if state < 0 or state == _TIME_ERROR or found.status & _UNSYNCHRONISED:
        return None
    return int(found.offset / (1_000_000 if found.status & _NANOSECONDS else 1_000))


_TIME_ERROR, _UNSYNCHRONISED, _NANOSECONDS = 5, 0x0040, 0x2000  # linux/include/uapi/linux/timex.h
