"""The calls that are made past pynvml, by ctypes on the same library, because they are made often.

The energy register is read at every span boundary, and pynvml's wrapping doubles what the call costs (peers.md section 5: 998 ns
against 477 ns).  A list of processes is read at every full read, and pynvml asks the driver twice for one: for its length, and
then for the list.
"""

import ctypes
from collections.abc import Callable
from typing import Any

INSUFFICIENT_SIZE = 7
ROOM = 64  # entries; a list that is longer gets more
TRIES = 4  # a list may grow between two calls, but not for ever


class Running(ctypes.Structure):
    """nvmlProcessInfo_v2_t of NVIDIA's nvml.h; version 3 of the calls takes it too."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("memory_bytes", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class UseSample(ctypes.Structure):
    """nvmlProcessUtilizationSample_t: percents of one process over one sampling period that ended at ``at_us``."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("at_us", ctypes.c_ulonglong),
        ("sm_percent", ctypes.c_uint),
        ("memory_percent", ctypes.c_uint),
        ("encoder_percent", ctypes.c_uint),
        ("decoder_percent", ctypes.c_uint),
    )


class Register:
    """One GPU's energy register, ready to be read without building anything."""

    __slots__ = ("_call", "_handle", "_millijoules", "_out")

    def __init__(self, call: Callable[[Any, Any], int], handle: Any) -> None:
        self._call, self._handle = call, handle
        self._millijoules = ctypes.c_ulonglong()
        self._out = ctypes.byref(self._millijoules)

    def read(self) -> int:
        """NVML's return code, 0 when ``count_uj`` is fresh."""
        return self._call(self._handle, self._out)

    @property
    def count_uj(self) -> int:
        return self._millijoules.value * 1000


class Listing:
    """One kind of list, fetched into room that is kept.  ``call`` gets the room and the count (in: entries that fit, out: entries
    there are)."""

    def __init__(self, entry: type[ctypes.Structure], call: Callable[[Any, Any, Any], int]) -> None:
        self._entry, self._call = entry, call
        self._count = ctypes.c_uint()
        self._length = ctypes.byref(self._count)
        self._out = (entry * ROOM)()

    def fetch(self, handle: Any) -> tuple[int, list[Any]]:
        """NVML's return code, and the entries where that is 0; they are valid until the next fetch."""
        for _ in range(TRIES):
            self._count.value = len(self._out)
            code = self._call(handle, self._out, self._length)
            if code != INSUFFICIENT_SIZE:
                break
            self._out = (self._entry * (2 * max(self._count.value, len(self._out))))()
        return code, self._out[: self._count.value] if not code else []
