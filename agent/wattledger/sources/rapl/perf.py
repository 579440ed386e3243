"""RAPL through perf_event_open, where powercap may not be read but perf may.

The kernel counts into 64 bits from the moment of opening and unwraps by itself, so these registers never wrap.  The
PMU ``power`` lists one cpu per socket (per die on Intel) in ``cpumask``, and in ``events/`` what it counts, with a
``.scale`` in joules: perf_event_open(2), arch/x86/events/rapl.c and
Documentation/ABI/testing/sysfs-bus-event_source-devices-events.
"""

import errno
import os
import platform
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from wattledger.core.model import Device, EnergyCounter, Fault, Sample
from wattledger.core.ports import Host, Now, SourceGone
from wattledger.sources._linux.files import parse_cpus
from wattledger.sources.rapl.zones import Place, cpu_of, device_at, dies_share_a_register, number, scan, text

DOMAINS = {
    "energy-pkg": "package",
    "energy-cores": "core",
    "energy-gpu": "uncore",
    "energy-ram": "dram",
    "energy-psys": "psys",
}
GONE = (errno.ENODEV, errno.ENXIO, errno.EBADF)

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_ATTR_SIZE = 64  # PERF_ATTR_SIZE_VER0: enough to count, and every kernel takes it
_CLOEXEC = 8
_CONFIG = re.compile(r"event=(0x[0-9a-f]{1,16})")
_SCALE = re.compile(r"[0-9]{1,20}(\.[0-9]{1,60})?([eE]-?[0-9]{1,2})?")


class Event(NamedTuple):
    """One register as perf names it; ``uj`` is what one count is worth, exactly (2**-32 J, so no float would drift)."""

    name: str
    device: Device
    pmu_type: int
    config: int
    cpu: int
    uj: Fraction


class Opened(NamedTuple):
    fd: int
    event: Event


class Refused(NamedTuple):
    event: Event
    error: int


class Perf:
    """Mutable state: the open events.  One thread at a time reads them; no wrap to catch, so no period is asked for."""

    name = "rapl"
    edge = True
    period_ns: int | None = None

    def __init__(self, opened: Iterable[Opened]) -> None:
        self._open = tuple((fd, event.device, event.uj.numerator, event.uj.denominator) for fd, event in opened)

    def devices(self) -> Sequence[Device]:
        return [device for _, device, _, _ in self._open]

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        if not self._open:
            raise SourceGone("rapl: every perf event of the power PMU is gone; restart to look again")
        samples: list[Sample] = []
        for fd, device, numerator, denominator in self._open:
            at = now()
            try:
                count = os.read(fd, 8)
            except OSError as error:
                gone = error.errno in GONE
                samples.append(Fault(self.name, device.id, at, f"perf event of {device.id}: {error.strerror}", gone))
                if gone:
                    self._drop(fd, closed=error.errno == errno.EBADF)
                continue
            if len(count) == 8:
                uj = int.from_bytes(count, sys.byteorder) * numerator // denominator
                samples.append(EnergyCounter(device, at, uj, None))
            else:
                samples.append(Fault(self.name, device.id, at, f"perf event of {device.id}: stopped counting", False))
        return samples

    def close(self) -> None:
        for fd, *_ in self._open:
            os.close(fd)
        self._open = ()

    def _drop(self, fd: int, *, closed: bool) -> None:
        self._open = tuple(entry for entry in self._open if entry[0] != fd)
        if not closed:  # somebody else closed it: the number may be another file's by now
            os.close(fd)

    def __repr__(self) -> str:
        return f"Perf(open={[device.id for device in self.devices()]})"


def attempt(host: Host) -> tuple[list[Opened], list[Refused]]:
    """Open every event that the PMU lists; the caller closes what was opened."""
    found = list(events(host))
    if not found:
        return [], []
    perf_event_open = _perf_event_open()
    opened, refused = [], []
    for event in found:
        fd, error = perf_event_open(event)
        if error:
            refused.append(Refused(event, error))
        else:
            opened.append(Opened(fd, event))
    return opened, refused


def events(host: Host) -> Iterator[Event]:
    """One event per register: a cpu of the mask whose socket's register another cpu already gives is left out."""
    base = f"{host.sysfs}/bus/event_source/devices/power"
    pmu_type, cpu = number(f"{base}/type"), cpu_of(host)
    if pmu_type is None:
        return
    caps_uw = {zone.device.id: zone.device.cap_uw for zone in scan(host)}  # limits may be read where energy may not
    per_socket = dies_share_a_register(cpu.vendor)
    for number_of_cpu, socket, die in _mask(host, text(f"{base}/cpumask") or "", per_socket=per_socket):
        for name, domain in DOMAINS.items():
            config = _CONFIG.fullmatch(text(f"{base}/events/{name}") or "")
            uj = _uj(text(f"{base}/events/{name}.scale") or "")
            if config is None or uj is None or text(f"{base}/events/{name}.unit") not in (None, "Joules"):
                continue
            place = Place(socket, None if domain == "psys" else die, domain)
            device = device_at(place, cpu.model, cap_uw=caps_uw.get(place.device_id))
            yield Event(name, device, pmu_type, int(config[1], 16), number_of_cpu, uj)


def _uj(scale: str) -> Fraction | None:
    """What one count is worth, of its worth in joules; ``None`` where that is no number above 0."""
    return Fraction(scale) * 1_000_000 or None if _SCALE.fullmatch(scale) else None


def _mask(host: Host, cpumask: str, *, per_socket: bool) -> Iterator[tuple[int, int, int | None]]:
    """Each cpu of the mask with its socket, and its die where a socket has several registers."""
    places: dict[int, list[tuple[int, int]]] = {}
    for ordinal, cpu in enumerate(sorted(parse_cpus(cpumask))):
        topology = f"{host.sysfs}/devices/system/cpu/cpu{cpu}/topology"
        socket = number(f"{topology}/physical_package_id")
        places.setdefault(ordinal if socket is None else socket, []).append((cpu, number(f"{topology}/die_id") or 0))
    for socket, cpus in sorted(places.items()):
        for cpu, die in cpus[:1] if per_socket else cpus:
            yield cpu, socket, die if len(cpus) > 1 and not per_socket else None


def _perf_event_open() -> Callable[[Event], tuple[int, int]]:
    """The system call, which libc does not wrap: gives the descriptor and 0, or -1 and the errno."""
    import ctypes

    number_of_call = _SYSCALL.get(platform.machine())
    if number_of_call is None:
        return lambda event: (-1, errno.ENOSYS)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long

    def call(event: Event) -> tuple[int, int]:
        attr = struct.pack("=IIQ", event.pmu_type, _ATTR_SIZE, event.config).ljust(_ATTR_SIZE, b"\0")
        every_process, no_group = ctypes.c_int(-1), ctypes.c_int(-1)
        flags = ctypes.c_ulong(_CLOEXEC)
        fd = syscall(ctypes.c_long(number_of_call), attr, every_process, ctypes.c_int(event.cpu), no_group, flags)
        return (fd, 0) if fd >= 0 else (-1, ctypes.get_errno())

    return call
