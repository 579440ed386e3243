"""The driver's library, looked for before anything that is only of use with it is imported."""

from typing import Any

from wattledger.core.ports import SourceGone

LIBRARY = "libnvidia-ml.so.1"


def load() -> Any:
    """The library as ctypes sees it; asked twice, the loader gives the same one."""
    import ctypes

    try:
        return ctypes.CDLL(LIBRARY)
    except OSError:
        why = f"nvml: no {LIBRARY} here; an NVIDIA GPU needs its driver (in a container: --gpus all)"
        raise SourceGone(why) from None
