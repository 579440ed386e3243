"""What RAPL offers here, what it refuses, why, and the one command that mends it."""

import errno
import os
from collections.abc import Iterator

from wattledger.core.model import Finding
from wattledger.core.ports import Host
from wattledger.sources.rapl.perf import Refused, attempt
from wattledger.sources.rapl.zones import Zone, cpu_of, folders, powercap_suffices, scan

NAME = "rapl"
LOAD = "sudo modprobe intel_rapl_msr"


def findings(host: Host) -> Iterator[Finding]:
    zones = scan(host)
    yield from (_of_zone(zone, host) for zone in zones)
    if not zones:
        yield _absent(host)
    yield from _perf(host, needed=not powercap_suffices(zones))


def _of_zone(zone: Zone, host: Host) -> Finding:
    sensor = zone.device.id
    if zone.denied:
        why = f"{zone.path} may be read by root only (CVE-2020-8694); the command below holds until the next boot"
        return Finding(NAME, sensor, "denied", why, grant(host))
    if zone.count_uj is None:
        return Finding(NAME, sensor, "broken", f"{zone.path}: {os.strerror(zone.error)}")
    notes = [zone.path]
    if zone.range_uj is None:
        notes.append("max_energy_range_uj cannot be used, so a wrap looks like a reset and its energy is not counted")
    if zone.device.inside == "(parts)":
        notes.append("covers parts that others count: shown apart, never added")
    elif zone.place.domain in ("package", "dram") and zone.device.inside:
        notes.append(f"mirrors {zone.device.inside}: shown inside it, never added")
    return Finding(NAME, sensor, "usable", "; ".join(notes))


def grant(host: Host) -> str:
    """Let the caller's own group read: no new login is needed, and nobody else sees the registers (PLATYPUS)."""
    files = f"{host.sysfs}/class/powercap/intel-rapl*:*/energy_uj"
    return f'sudo sh -c "chgrp $(id -gn) {files} && chmod 0440 {files}"'


def _absent(host: Host) -> Finding:
    cpu = cpu_of(host)
    if folders(host):
        why = "powercap's folders are empty: the container runtime masks devices/virtual/powercap"
        remedy = "start the container with: -v /sys:/host/sys:ro -e WATTLEDGER_PATHS_SYSFS=/host/sys"
    elif cpu.virtual:
        why = "the hypervisor does not pass RAPL through: nothing to do here, CPU energy is estimated"
        remedy = ""
    elif not cpu.vendor:
        why = "this processor has no RAPL (it is an x86 facility); see hwmon"
        remedy = ""
    else:
        why = f"{host.sysfs}/class/powercap has no intel-rapl zone: the driver is not loaded"
        remedy = LOAD
    return Finding(NAME, "powercap", "absent", why, remedy)


def _perf(host: Host, *, needed: bool) -> Iterator[Finding]:
    opened, refused = attempt(host)
    for fd, _ in opened:
        os.close(fd)
    if opened:
        use = "used, since powercap gives no package" if needed else "not needed: powercap is read"
        why = f"{len(opened)} of {len(opened) + len(refused)} events open; {use}"
        yield Finding(NAME, "perf power PMU", "usable", why)
    elif refused:
        yield _refused(refused[0], needed=needed)


def _refused(refused: Refused, *, needed: bool) -> Finding:
    event, error = refused
    if error not in (errno.EACCES, errno.EPERM):
        return Finding(NAME, "perf power PMU", "broken", f"perf_event_open of {event.name}: {os.strerror(error)}")
    why = f"perf_event_open of {event.name} on cpu {event.cpu}: {os.strerror(error)}"
    # Not paranoid 0: that opens the registers to every user (PLATYPUS).  Powercap's files can be given to one group.
    why += "; it takes CAP_PERFMON and kernel.perf_event_paranoid of 2 or less" if needed else "; not needed: powercap is read"
    return Finding(NAME, "perf power PMU", "denied", why, LOAD if needed else "")
