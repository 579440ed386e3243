"""How busy the machine is: what whoever opens the model hands in, or all of the machine by ``{procfs}/stat``."""

import os
from collections.abc import Callable
from typing import NamedTuple, Protocol

from wattledger.core.ports import SourceGone

TICK_NS = 10_000_000  # the kernel's USER_HZ is 100 on every Linux


class Load(Protocol):
    """Work done so far by ``cpus`` of the machine's ``all_cpus``, and the memory that goes with them."""

    @property
    def busy_ns(self) -> int: ...
    @property
    def cpus(self) -> float: ...
    @property
    def all_cpus(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...


class MachineLoad(NamedTuple):
    busy_ns: int
    cpus: float
    all_cpus: int
    memory_bytes: int


def machine_load(procfs: str) -> Callable[[], Load]:
    cpus = _count_cpus(procfs)

    def read() -> Load:
        try:
            with open(f"{procfs}/stat", encoding="utf-8") as stat:
                ticks = [int(word) for word in stat.readline().split()[1:8]]
            with open(f"{procfs}/meminfo", encoding="utf-8") as meminfo:
                kib = int(meminfo.readline().split()[1])
        except OSError as error:
            raise SourceGone(
                f"estimate: cannot read {error.filename}: hand in a load (psutil tells it where there is no /proc)"
            ) from None
        # user, nice, system, irq and softirq; steal is another guest's time.
        return MachineLoad((sum(ticks[:3]) + sum(ticks[5:7])) * TICK_NS, cpus, cpus, kib * 1024)

    return read


def _count_cpus(procfs: str) -> int:
    try:
        with open(f"{procfs}/stat", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("cpu") and line[3:4].isdigit()]
    except OSError:
        lines = []
    return len(lines) or os.cpu_count() or 1
