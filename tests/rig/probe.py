"""A fresh Python on a simulated machine, and the few lines that every question to it begins with."""

import json
import sys
from typing import Any

from .rig import Rig

PRELUDE = """
import ctypes, json, os, struct, sys, time
now = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)
def seen(call):
    before = now()
    try:
        value = call()
    except Exception as error:
        value = f"{type(error).__name__}:{getattr(error, 'errno', '')}"
    return [before, value, now()]
"""
NVML = """
import pynvml as p
p.nvmlInit()
gpus = [p.nvmlDeviceGetHandleByIndex(i) for i in range(p.nvmlDeviceGetCount())]
energy, power = p.nvmlDeviceGetTotalEnergyConsumption, p.nvmlDeviceGetPowerUsage
def field(gpu, which, scope=0):
    f = p.nvmlDeviceGetFieldValues(gpu, [(which, scope)])[0]
    return [f.nvmlReturn, f.value.ullVal if f.valueType == 3 else f.value.uiVal]
"""
RAPL = """
mine = os.environ["WATTLEDGER_PATHS_SYSFS"] + "/class/powercap/"
theirs = "/sys/class/powercap/"
text = lambda path: open(path).read()
def register(key, root=mine):
    fd = os.open(root + key + "/energy_uj", os.O_RDONLY)
    return lambda: int(os.pread(fd, 64, 0))
"""


def ask(rig: Rig, *code: str) -> Any:
    """The JSON that it prints."""
    return json.loads(rig.run([sys.executable, "-c", "\n".join((PRELUDE, *code))]))
