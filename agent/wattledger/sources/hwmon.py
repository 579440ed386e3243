"""CPU and machine power from hwmon chips, where RAPL has none: ARM servers, NVIDIA Grace, older AMD, ACPI power meters.

Only chips and channels whose meaning is documented are read (``KNOWN``, each with its source); a number that may be any
rail is no measurement.  What RAPL already counts is left to RAPL, GPUs to their own sources.  Whole-machine meters are
shown apart (``inside="(parts)"``), since their parts are counted.  Files: Documentation/hwmon/sysfs-interface.rst
(energyN_input in microjoules, powerN_input and powerN_average in microwatts; *_enable 0 and ENODATA: off, so absent).
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wattledger.core.model import Device, EnergyCounter, Fault, Finding, Kind, PowerGauge, Sample
from wattledger.core.ports import Host, Now, Source, SourceGone
from wattledger.sources._linux.files import is_number

NAME = "hwmon"
APART = "(parts)"
GONE = (errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EBADF)
OFF = (errno.ENODATA, errno.EINVAL, errno.EOPNOTSUPP)


class Known(NamedTuple):
    """A documented channel: ``label`` matches its label, and the groups of that match fill ``id`` and ``inside``.

    ``{chip}`` is the chip's bus name, stable across boots.  ``edge``: a register cheap enough for span boundaries.
    ``rapl``: the same thing that RAPL counts.
    """

    chip: str
    label: str
    kind: Kind
    id: str
    inside: str | None = None
    rapl: bool = False
    edge: bool = False


KNOWN = (
    # Documentation/hwmon/amd_energy.rst (Linux 5.8 to 5.12, and AMD's own module): 64-bit sums of RAPL's registers.
    Known("amd_energy", r"Esocket(\d+)", "cpu", "hwmon:socket-{0}", rapl=True, edge=True),
    Known("amd_energy", r"Ecore(\d+)", "cpu", "hwmon:core-{0}", "hwmon:socket-{socket}", rapl=True),
    # Documentation/hwmon/fam15h_power.rst: power of the processor, families 15h and 16h, which have no RAPL.
    Known("fam15h_power", r".*", "cpu", "hwmon:fam15h_power/{chip}"),
    # drivers/platform/x86/amd/hsmp/hwmon.c: power1_input is the socket's power, one chip per socket.
    Known("amd_hsmp_hwmon", r".*", "cpu", "hwmon:hsmp/{chip}", rapl=True),
    # github.com/ocerman/zenpower: the core and the SoC rail of the package (SVI2 telemetry); they add up.
    Known("zenpower", r"SVI2_P_(Core|SoC)", "cpu", "hwmon:zenpower/{chip}/{0}", rapl=True),
    # NVIDIA Grace Performance Tuning Guide, power telemetry: a module is Grace and the GPU; Grace holds CPU and SysIO.
    Known("power_meter", r"Module Power Socket (\d+)", "rest", "hwmon:module-{0}", APART),
    Known("power_meter", r"Grace Power Socket (\d+)", "cpu", "hwmon:grace-{0}"),
    Known("power_meter", r"CPU Power Socket (\d+)", "cpu", "hwmon:grace-{0}/cpu", "hwmon:grace-{0}"),
    Known("power_meter", r"SysIO Power Socket (\d+)", "cpu", "hwmon:grace-{0}/sysio", "hwmon:grace-{0}"),
    # Documentation/hwmon/acpi_power_meter.rst: whatever the firmware wired; on servers the node's input.
    Known("power_meter", r".*", "rest", "hwmon:acpi/{chip}", APART),
    # Documentation/hwmon/ibmpowernv.rst: "System power consumption" (POWER8 and 9, from the service processor).
    Known("ibmpowernv", r"System", "rest", "hwmon:ibmpowernv/system", APART),
    # Documentation/hwmon/xgene-hwmon.rst: power1 is "CPU power", power2 "IO power" of the SoC.
    Known("apm_xgene", r"(CPU|IO) power", "cpu", "hwmon:xgene/{0}"),
    # drivers/hwmon/macsmc-hwmon.c (Apple silicon): labels come from the device tree.
    Known("macsmc_hwmon", r"Total System Power", "rest", "hwmon:macsmc/system", APART),
    # Board rails are named by firmware (SCMI, SCPI) or by the device tree (INA2xx): read where the name says CPU.
    Known("scmi_sensors", r"(?i)(.*\bcpu.*)", "cpu", "hwmon:scmi/{0}"),
    Known("scpi_sensors", r"(?i)(.*\bcpu.*)", "cpu", "hwmon:scpi/{0}"),
    Known("ina2xx", r"(?i)(.*\bcpu.*)", "cpu", "hwmon:{chip}/{0}"),
)
INA2XX = {"ina209", "ina219", "ina220", "ina226", "ina230", "ina231", "ina238", "ina260"}
ELSEWHERE = {"amdgpu", "radeon", "nouveau", "nvidia", "i915", "xe", "habanalabs"}

_CHANNEL = re.compile(r"(energy\d+)_input|(power\d+)_(average|input)")


class Channel(NamedTuple):
    device: Device
    path: str
    is_energy: bool
    edge: bool
    known: Known


class Unread(NamedTuple):
    """A channel that is left alone, and why."""

    path: str
    state: str
    why: str


class Hwmon:
    """Mutable state: the open channels.  One thread at a time reads them (the sampler's lock)."""

    name = NAME
    period_ns: int | None = None

    def __init__(self, channels: Iterable[Channel]) -> None:
        self._open = tuple((os.open(c.path, os.O_RDONLY | os.O_CLOEXEC), c) for c in channels)
        self.edge = any(channel.edge for _, channel in self._open)

    def devices(self) -> Sequence[Device]:
        return [channel.device for _, channel in self._open]

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        if not self._open:
            raise SourceGone("hwmon: every chip that was read is gone; restart to look again")
        return [self._sample(fd, channel, now) for fd, channel in self._open if full or channel.edge]

    def close(self) -> None:
        for fd, _ in self._open:
            os.close(fd)
        self._open = ()

    def _sample(self, fd: int, channel: Channel, now: Now) -> Sample:
        device, at = channel.device, now()
        try:
            value = int(os.pread(fd, 32, 0))
            if channel.is_energy and value < 0:
                raise ValueError
        except OSError as error:
            gone = error.errno in GONE
            if gone:
                self._drop(fd, closed=error.errno == errno.EBADF)
            return Fault(NAME, device.id, at, f"{channel.path}: {error.strerror}", gone)
        except ValueError:
            return Fault(NAME, device.id, at, f"{channel.path}: not a number", False)
        if channel.is_energy:
            return EnergyCounter(device, at, value, None)
        if value <= 0:
            # Firmware says 0 for "no reading yet"; nothing that can run this line draws nothing.
            return Fault(NAME, device.id, at, f"{channel.path}: reads {value} uW, which nothing that runs draws", False)
        return PowerGauge(device, at, value)

    def _drop(self, fd: int, *, closed: bool) -> None:
        self._open = tuple(entry for entry in self._open if entry[0] != fd)
        if not closed:
            os.close(fd)


def open(host: Host) -> Source:
    """Every documented channel that nobody else counts; ``SourceGone`` says why there is none."""
    found = list(scan(host))
    channels = [channel for channel in found if isinstance(channel, Channel)]
    if channels:
        return Hwmon(_inside_what_is_there(channels))
    denied = next((unread for unread in found if isinstance(unread, Unread) and unread.state == "denied"), None)
    if denied:
        raise SourceGone(f"hwmon: {denied.path}: {denied.why}; try: {_grant(denied.path)}")
    where = f"{host.sysfs}/class/hwmon"
    raise SourceGone(f"hwmon: no documented CPU or machine power under {where} that RAPL does not count; nothing to do")


def examine(host: Host) -> Iterator[Finding]:
    for entry in scan(host):
        match entry:
            case Channel(device=device, path=path):
                apart = "; the whole machine, shown apart from its parts" if device.inside == APART else ""
                yield Finding(NAME, device.id, "usable", f"{path}{apart}")
            case Unread(path=path, state="denied", why=why):
                yield Finding(NAME, path, "denied", why, _grant(path))
            case Unread(path=path, why=why):
                yield Finding(NAME, path, "absent", why)


def _grant(path: str) -> str:
    return f'sudo sh -c "chgrp $(id -gn) {path} && chmod 0440 {path}"'


def scan(host: Host) -> Iterator[Channel | Unread]:
    """Every power and energy channel of every chip that is not a GPU's: to be read, or why not."""
    rapl = _rapl_counts(host)
    for chip in sorted(Path(host.sysfs, "class/hwmon").glob("hwmon*"), key=lambda path: (len(path.name), path.name)):
        for folder in (chip, chip / "device"):  # acpi_power_meter puts its files on the ACPI device
            name = _text(folder / "name")
            if name is None or name in ELSEWHERE:
                continue
            yield from _channels(folder, "ina2xx" if name in INA2XX else name, _bus_name(chip), rapl=rapl)
            break


def _channels(folder: Path, name: str, bus: str, *, rapl: bool) -> Iterator[Channel | Unread]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if match := _CHANNEL.fullmatch(path.name):
            # An average is the truer of the two, and comes first in this order.
            files.setdefault(match[1] or match[2], path)
    labels = {stem: _label(folder, stem) for stem in files}
    for stem, path in sorted(files.items(), key=lambda item: (len(item[0]), item[0])):
        yield _judge(path, stem, name, label=labels[stem], fill=_Fill(bus, tuple(labels.values())), rapl=rapl)


class _Fill(NamedTuple):
    chip: str
    labels: tuple[str, ...]

    def socket_of(self, core: str) -> int:
        """amd_energy numbers cores through all sockets, in order and equally many on each."""
        cores = sum(label.startswith("Ecore") for label in self.labels)
        sockets = sum(label.startswith("Esocket") for label in self.labels)
        return int(core) * sockets // cores if is_number(core) and cores else 0


def _judge(path: Path, stem: str, name: str, *, label: str, fill: _Fill, rapl: bool) -> Channel | Unread:
    found = ((known, re.fullmatch(known.label, label)) for known in KNOWN if known.chip == name)
    known, match = next(((known, match) for known, match in found if match), (None, None))
    if known is None or match is None:
        return Unread(str(path), "absent", f"chip {name!r}, channel {label!r}: not documented as CPU or machine power")
    if known.rapl and rapl:
        return Unread(str(path), "absent", "RAPL counts the same; it is read instead")
    if _text(path.parent / f"{stem}_enable") == "0":
        return Unread(str(path), "absent", f"switched off ({stem}_enable is 0)")
    try:
        int(path.read_bytes())
    except OSError as error:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        off = "switched off or not wired: " if error.errno in OFF else ""
        return Unread(str(path), "denied" if denied else "absent", f"{off}{error.strerror}")
    except ValueError:
        return Unread(str(path), "absent", "not a number")
    groups = match.groups()
    words = {"chip": fill.chip, "socket": fill.socket_of(groups[0]) if groups else 0}
    inside = known.inside and known.inside.format(*groups, **words)
    refresh_ms = _number(path.parent / f"{stem}_average_interval") or _number(path.parent / "update_interval")
    device_id = known.id.format(*groups, **words).replace(" ", "-")
    device = Device(device_id, known.kind, label or name, inside, 1_000_000 * refresh_ms)
    return Channel(device, str(path), stem.startswith("energy"), known.edge, known)


def _inside_what_is_there(channels: Sequence[Channel]) -> list[Channel]:
    """A part whose whole is not read here is inside nothing, or its energy would be lost from the host's total."""
    ids = {channel.device.id for channel in channels} | {APART, None}
    return [c if c.device.inside in ids else c._replace(device=c.device._replace(inside=None)) for c in channels]


def _rapl_counts(host: Host) -> bool:
    """Whether the source rapl has a package to count: by powercap, or by perf as far as permission can be foretold."""
    for folder in Path(host.sysfs, "class/powercap").glob("intel-rapl*:*"):
        if (_text(folder / "name") or "").startswith("package") and _text(folder / "energy_uj"):
            return True
    if not Path(host.sysfs, "bus/event_source/devices/power/events/energy-pkg").exists():
        return False
    paranoid = _text(Path(host.procfs, "sys/kernel/perf_event_paranoid")) or "2"
    status = _text(Path(host.procfs, "self/status")) or ""
    caps = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    perfmon_or_admin = 1 << 38 | 1 << 21
    return int(paranoid) <= 0 or bool(caps and int(caps[1], 16) & perfmon_or_admin)


def _bus_name(chip: Path) -> str:
    """hwmonN is numbered in the order of loading; the device behind it keeps its name."""
    device = chip / "device"
    return device.resolve().name if device.exists() else chip.name


def _label(folder: Path, stem: str) -> str:
    return _text(folder / f"{stem}_label") or _text(folder / f"{stem}_oem_info") or _text(folder / "label") or ""


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int:
    found = _text(path) or ""
    return int(found) if is_number(found) else 0
