"""What the kernel shows of RAPL under ``class/powercap``: which registers there are, and which of them are the same.

Rules, each from a measured mistake of others (science.md 2.1):

* One register per (socket, die, domain): the MSR and the MMIO interface show the same package, so the MSR zone wins
  unless only the other can be read.
* core and uncore are inside package; dram is not, though it is nested there; psys covers parts that others count.
* Dies of one socket may mirror one register: on AMD and Hygon it belongs to the socket whatever the die, on Intel
  (Cascade Lake-AP) each die has its own (so says drivers/powercap/intel_rapl_common.c since Linux 6.12, and then shows
  one zone; before, it showed one per die).  So dies whose counts agree when read back to back are one meter: on Intel
  exactly, elsewhere within ``SAME_UJ``, which two accumulators of 65 kJ do by chance once in 65,000 hosts.  A count of
  0 tells nothing; then the vendor decides.  A mirror stays visible, inside the first die.  Comparing differences over
  ten intervals would say the same later, after energy had been counted twice.
"""

import errno
import re
from collections.abc import Iterable, Mapping
from os import listdir
from typing import NamedTuple

from wattledger.core.model import Device, Kind
from wattledger.core.ports import Host
from wattledger.sources._linux.files import is_number

COUNT_BYTES = 32  # of a register's file: a 64-bit number has 20 digits
REFRESH_NS = 1_000_000  # the register is updated about every millisecond (Hackenberg 2015)
NO_LIMIT_UW = 4_000_000_000  # firmware's "no limit": the 15-bit field of 1/8 W, all or nearly all ones, 4090 to 4096 W
SAME_UJ = 500_000  # what 500 W draw in the 1 ms that two copies of one register may be apart

_ZONE = re.compile(r"(intel-rapl(?:-[a-z]+)?):([0-9a-f]+)(:[0-9a-f]+)?")
_PACKAGE = re.compile(r"package-([0-9]{1,9})(?:-die-([0-9]{1,9}))?")
_PSYS = re.compile(r"psys(?:-([0-9]{1,9}))?")
_KINDS: Mapping[str, Kind] = {"package": "cpu", "core": "cpu", "uncore": "cpu", "dram": "dram", "psys": "rest"}


class Place(NamedTuple):
    """Where a register sits; the key under which it may exist once."""

    socket: int
    die: int | None
    domain: str

    @property
    def package_id(self) -> str:
        return f"rapl:package-{self.where}"

    @property
    def device_id(self) -> str:
        match self.domain:
            case "package":
                return self.package_id
            case "dram":
                return f"rapl:dram-{self.where}"
            case "psys":
                return f"rapl:psys-{self.socket}" if self.socket else "rapl:psys"
        return f"{self.package_id}/{self.domain}"

    @property
    def where(self) -> str:
        return f"{self.socket}" if self.die is None else f"{self.socket}-die-{self.die}"


class Zone(NamedTuple):
    """One register.  ``count_uj`` is what it read at the scan, or None with the errno in ``error``."""

    place: Place
    device: Device
    folder: str
    count_uj: int | None
    range_uj: int | None
    error: int = 0

    @property
    def path(self) -> str:
        return f"{self.folder}/energy_uj"

    @property
    def denied(self) -> bool:
        return self.error in (errno.EACCES, errno.EPERM)


class Cpu(NamedTuple):
    model: str
    vendor: str
    virtual: bool


def scan(host: Host) -> list[Zone]:
    """Every register once, in the order of its place; unreadable ones are there too, with their ``error``."""
    cpu = cpu_of(host)
    chosen: dict[Place, Zone] = {}
    for folder in folders(host):
        zone = _zone(folder, cpu.model)
        if zone is None:
            continue
        known = chosen.get(zone.place)
        if known is None or (known.count_uj is None and zone.count_uj is not None):
            chosen[zone.place] = zone
    return _nest(sorted(chosen.values(), key=_order), vendor=cpu.vendor)


def _order(zone: Zone) -> tuple[int, int, int]:
    return zone.place.socket, zone.place.die or 0, tuple(_KINDS).index(zone.place.domain)


def powercap_suffices(zones: Iterable[Zone]) -> bool:
    """Powercap is the way in as soon as it gives a package; dram alone would hide that the package is refused."""
    return any(zone.count_uj is not None and zone.place.domain == "package" for zone in zones)


def folders(host: Host) -> list[str]:
    """The zones' folders, the MSR interface first; none where there is no powercap."""
    base = f"{host.sysfs}/class/powercap"
    try:
        names = [name for name in listdir(base) if _ZONE.fullmatch(name)]
    except OSError:
        return []
    return [f"{base}/{name}" for name in sorted(names, key=lambda name: (name.split(":")[0] != "intel-rapl", name))]


def cpu_of(host: Host) -> Cpu:
    facts: dict[str, str] = {}
    for line in (text(f"{host.procfs}/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    model = facts.get("model name") or "CPU of unknown model"
    return Cpu(model, facts.get("vendor_id", ""), "hypervisor" in facts.get("flags", "").split())


def text(path: str) -> str | None:
    try:
        with open(path, errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def number(path: str) -> int | None:
    """A non-negative whole number from a file; None where there is none (``max_power_uw`` may be empty, or fail)."""
    found = text(path)
    return int(found) if found and is_number(found) else None


def _zone(folder: str, model: str) -> Zone | None:
    place = _place(folder)
    if place is None:
        return None
    count, error = _count(f"{folder}/energy_uj")
    range_uj = number(f"{folder}/max_energy_range_uj")
    if not range_uj or (count is not None and count > range_uj):
        range_uj = None  # a range that the count exceeds is not where it wraps
    cap_uw = _cap_uw(_parent(folder) if place.domain in ("core", "uncore") else folder)
    return Zone(place, device_at(place, model, cap_uw=cap_uw), folder, count, range_uj, error)


def device_at(place: Place, model: str, *, cap_uw: int | None) -> Device:
    """The same id whichever way the register is read, so that powercap and perf can stand in for each other."""
    inside = place.package_id if place.domain in ("core", "uncore") else "(parts)" if place.domain == "psys" else None
    return Device(place.device_id, _KINDS[place.domain], model, inside, REFRESH_NS, cap_uw)


def _place(folder: str) -> Place | None:
    """Socket and die are told by the package's own name: the number of the folder is the order of registration."""
    name = text(f"{folder}/name") or ""
    if psys := _PSYS.fullmatch(name):
        return Place(int(psys[1] or 0), None, "psys")
    own = _PACKAGE.fullmatch(name)
    package = own or _PACKAGE.fullmatch(text(f"{_parent(folder)}/name") or "")
    domain = "package" if own else name
    if package is None or domain not in _KINDS:
        return None
    return Place(int(package[1]), int(package[2]) if package[2] else None, domain)


def _parent(folder: str) -> str:
    interface, _, numbers = folder.rpartition("/")[2].partition(":")
    return f"{folder.rpartition('/')[0]}/{interface}:{numbers.split(':')[0]}"


def _count(path: str) -> tuple[int | None, int]:
    try:
        with open(path, "rb") as file:
            count = int(file.read(COUNT_BYTES))
            return (count, 0) if count >= 0 else (None, errno.EIO)
    except OSError as error:
        return None, error.errno or errno.EIO
    except ValueError:
        return None, errno.EIO


def _cap_uw(folder: str) -> int | None:
    """The most that the zone can draw: its short-term limit (PL2) where one is in force, else 3 x TDP, else None.

    ``enabled`` reads 0 where limits are off, and where firmware has locked them: then the larger of the two holds.
    """
    tdp_uw = number(f"{folder}/constraint_0_max_power_uw")
    bound_uw = 3 * tdp_uw if tdp_uw else None
    for index in range(3):
        if text(f"{folder}/constraint_{index}_name") != "short_term":
            continue
        limit_uw = number(f"{folder}/constraint_{index}_power_limit_uw")
        if not limit_uw or limit_uw >= NO_LIMIT_UW:
            return bound_uw
        return max(limit_uw, bound_uw or 0) if number(f"{folder}/enabled") == 0 else limit_uw
    return bound_uw


def limit_uw(folder: str) -> int | None:
    """The power limit in force over the long term (PL1); ``None`` where there is none, or limits are off."""
    for index in range(3):
        if text(f"{folder}/constraint_{index}_name") == "long_term" and number(f"{folder}/enabled") != 0:
            limit = number(f"{folder}/constraint_{index}_power_limit_uw")
            return limit if limit and limit < NO_LIMIT_UW else None
    return None


def _nest(zones: Iterable[Zone], *, vendor: str) -> list[Zone]:
    """Put each die that mirrors another of its socket inside that one."""
    nested: list[Zone] = []
    first: dict[tuple[int, str], list[Zone]] = {}
    for zone in zones:
        if zone.device.inside is not None or zone.place.die is None:
            nested.append(zone)
            continue
        meters = first.setdefault((zone.place.socket, zone.place.domain), [])
        twin = next((meter for meter in meters if _same(meter, zone, vendor=vendor)), None)
        if twin is None:
            meters.append(zone)
        else:
            zone = zone._replace(device=zone.device._replace(inside=twin.device.id))
        nested.append(zone)
    return nested


def _same(one: Zone, other: Zone, *, vendor: str) -> bool:
    """Whether two dies show one register; one is read before and after the other, so that no time explains a gap."""
    shared = dies_share_a_register(vendor)
    before, between, after = _count(one.path)[0], _count(other.path)[0], _count(one.path)[0]
    if before is None or between is None or after is None:
        return False  # what cannot be read is not counted either: nothing is lost, nothing twice
    if not before or not between or before > after:
        return shared  # nothing counted yet, or a wrap in between
    slack_uj = min(SAME_UJ, before // 100) if shared else 0
    return before - slack_uj <= between <= after + slack_uj


def dies_share_a_register(vendor: str) -> bool:
    """Only Intel has registers per die; for everyone else one die's count is the socket's."""
    return vendor != "GenuineIntel"
