"""RAPL read from powercap's files, on descriptors that stay open (a pread is 1 microsecond, an open 20)."""

import errno
import os
from collections.abc import Iterable, Sequence

from wattledger.core.model import Condition, Device, EnergyCounter, Fault, Instant, Sample
from wattledger.core.ports import Now, SourceFailed
from wattledger.sources.rapl.zones import COUNT_BYTES, Zone, limit_uw, text

ASSUMED_CAP_UW = 1_000_000_000  # no socket draws a kilowatt; it only sets how often an unbounded register is read
LIMITS_NS = 60_000_000_000  # between two looks at the power limits
GONE = (errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EBADF, errno.ESTALE)


class Powercap:
    """Mutable state: which zones are open, which are lost, and when limits were told.  One thread reads it (the sampler's lock).

    A zone that fails once is a ``Fault`` and no reading; one whose file is gone is dropped, and tried again at each
    full read, since a driver reload brings it back.
    """

    name = "rapl"
    edge = True

    def __init__(self, zones: Iterable[Zone], *, steady: bool = False) -> None:
        self._steady = steady  # an agent's: somebody looks at its limits
        self._limits_at_ns: int | None = None
        self._lost: list[Zone] = list(zones)
        self._open: tuple[tuple[int, Device, int | None, Zone], ...] = ()
        self.period_ns = _period_ns(self._lost)
        self._reopen()

    def devices(self) -> Sequence[Device]:
        return [device for _, device, _, _ in self._open]

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        if full and self._lost:
            self._reopen()
        if not self._open:
            paths = ", ".join(zone.path for zone in self._lost)
            raise SourceFailed(f"rapl: no powercap zone can be read any more: {paths}")
        samples: list[Sample] = []
        for fd, device, range_uj, zone in self._open:
            at = now()
            try:
                count_uj = int(os.pread(fd, COUNT_BYTES, 0))
                if count_uj < 0:
                    raise ValueError
                samples.append(EnergyCounter(device, at, count_uj, range_uj))
            except OSError as error:
                gone = error.errno in GONE
                samples.append(Fault(self.name, device.id, at, f"{zone.path}: {error.strerror}", gone))
                if gone:
                    self._drop(fd, closed=error.errno == errno.EBADF)
            except ValueError:
                samples.append(Fault(self.name, device.id, at, f"{zone.path}: not a number", False))
        return samples + self._limits(now()) if full and self._steady else samples

    def _limits(self, at: Instant) -> list[Sample]:
        """What each socket may draw, once a minute."""
        if self._limits_at_ns is not None and at.mono_ns - self._limits_at_ns < LIMITS_NS:
            return []
        self._limits_at_ns = at.mono_ns
        found = ((device, limit_uw(zone.folder)) for _, device, _, zone in self._open if device.inside is None)
        return [Condition(device.id, at, None, limit) for device, limit in found if limit is not None]

    def close(self) -> None:
        for fd, *_ in self._open:
            os.close(fd)
        self._open = ()

    def __repr__(self) -> str:
        lost = [zone.device.id for zone in self._lost]
        return f"Powercap(open={[device.id for device in self.devices()]}, lost={lost})"

    def _drop(self, fd: int, *, closed: bool) -> None:
        self._lost += [zone for held, _, _, zone in self._open if held == fd]
        self._open = tuple(entry for entry in self._open if entry[0] != fd)
        if not closed:  # somebody else closed it: the number may be another file's by now
            os.close(fd)

    def _reopen(self) -> None:
        still_lost = []
        for zone in self._lost:
            # A reload may number the zones anew: only a folder that still bears the name is the same register.
            fd = _open_readable(zone.path) if text(f"{zone.folder}/name") in _names(zone) else None
            if fd is None:
                still_lost.append(zone)
            else:
                self._open += ((fd, zone.device, zone.range_uj, zone),)
        self._lost = still_lost


def _names(zone: Zone) -> tuple[str, ...]:
    if zone.place.domain == "psys":
        return "psys", f"psys-{zone.place.socket}"
    return (f"package-{zone.place.where}" if zone.place.domain == "package" else zone.place.domain,)


def _open_readable(path: str) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.pread(fd, 32, 0)
    except OSError:
        os.close(fd)
        return None
    return fd


def _period_ns(zones: Iterable[Zone]) -> int | None:
    """So often that no register runs through more than a third of its range at its cap: two wraps look like one."""
    bounded = [(zone.range_uj, zone.device.cap_uw or ASSUMED_CAP_UW) for zone in zones if zone.range_uj]
    return min((range_uj * 1_000_000_000 // (3 * cap_uw) for range_uj, cap_uw in bounded), default=None)
