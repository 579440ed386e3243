"""Power of the whole node from its BMC by Redfish (DMTF DSP0266).

Over HTTP by ``host.fetch``, so on a thread of its own.  The BMC is asked what it has at the first read, and again after a
failure.  A chassis' EnvironmentMetrics go before the older Power resource (deprecated by DMTF in 2020.4), and an energy register
before a power.
"""

from collections.abc import Iterable, Iterator, Sequence

from wattledger.core.model import Device, EnergyCounter, Finding, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Now, Source, SourceFailed, SourceGone
from wattledger.sources.redfish.bmc import NAME, Bmc, Json
from wattledger.sources.redfish.chassis import DEVICE_ID, Meter, Plan, find, read_at, reading

STALE_PERIODS = 3


class Redfish:
    """State: the plan and the device once they are known, when the BMC was asked last, and when each reading's own time moved."""

    name = NAME
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        self._bmc = Bmc(host)
        self._every_ns = int(float(str(host.options.get("period_s", 10.0))) * 1e9)
        self._plan: Plan | None = None
        self._device: Device | None = None
        self._asked_ns: int | None = None
        self._moved: dict[str, tuple[str, int]] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be said beside the figures."""
        return self._bmc.notes

    def devices(self) -> Sequence[Device]:
        return [] if self._device is None else [self._device]

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """One sample each ``period_s``, nothing in between; blocks as long as the BMC takes."""
        asked = now()
        if not full or (self._asked_ns is not None and asked.mono_ns - self._asked_ns < self._every_ns):
            return []
        self._asked_ns = asked.mono_ns
        try:
            plan = self._plan = self._plan or find(self._bmc, self._every_ns)
            self._device = plan.device
            return [self._measure(plan, now)]
        except SourceFailed:
            self._plan = None  # a BMC that was restarted or updated may have moved its resources
            raise

    def close(self) -> None:
        self._plan = None

    def _measure(self, plan: Plan, now: Now) -> Sample:
        total, at = 0, now()
        for meter in plan.meters:
            at = now()
            resource = self._bmc.get(meter.path)
            self._fresh(resource, meter, at)
            total += reading(resource, meter)
        if plan.meters[0].counts:
            return EnergyCounter(plan.device, at, total, None)
        return PowerGauge(plan.device, at, total)

    def _fresh(self, resource: Json, meter: Meter, at: Instant) -> None:
        """A sensor that says when it was read must go on saying so; by the BMC's clock, which need not be right."""
        stamp = read_at(resource, meter)
        if stamp is None:
            return
        told, since_ns = self._moved.get(meter.path, ("", at.mono_ns))
        if stamp != told:
            self._moved[meter.path] = stamp, at.mono_ns
        elif at.mono_ns - since_ns > STALE_PERIODS * self._every_ns:
            raise SourceFailed(f"{NAME}: {meter.path}: {meter.key} has not been read since {stamp[:40]}: a stale value")


def open(host: Host) -> Source:
    """A source that will ask the configured BMC; ``SourceGone`` where none is configured."""
    wrong = _wrong(host)
    if wrong is not None:
        raise SourceGone(f"{NAME}: {wrong.why}; {wrong.remedy}")
    return Redfish(host)


def examine(host: Host) -> Iterator[Finding]:
    """Asks the BMC once; never raises."""
    wrong = _wrong(host)
    if wrong is not None:
        yield wrong
        return
    bmc = Bmc(host)
    try:
        plan = find(bmc, 0)
        values = [reading(bmc.get(meter.path), meter) for meter in plan.meters]
    except SourceFailed as failure:
        denied = "HTTP 401" in str(failure) or "HTTP 403" in str(failure)
        remedy = "check user and password_file: an account that may only read (role ReadOnly) is enough" if denied else ""
        yield Finding(NAME, "BMC", "denied" if denied else "broken", str(failure), remedy)
        return
    for meter, value in zip(plan.meters, values, strict=True):
        told = "an energy register" if meter.counts else f"{value / 1e6:g} W now, integrated"
        yield Finding(NAME, DEVICE_ID, "usable", f"{plan.device.model}: {meter.key} in {meter.path}: {told}")
    for note in bmc.notes:
        yield Finding(NAME, DEVICE_ID, "usable", note)


def _wrong(host: Host) -> Finding | None:
    """What keeps the configured BMC from being asked at all."""
    url = str(host.options.get("url", ""))
    if not url:
        remedy = f"set [sources.{NAME}] url, user and password_file to measure the whole node"
        return Finding(NAME, "BMC", "absent", "no BMC is configured", remedy)
    if not url.startswith(("https://", "http://")):
        return Finding(NAME, "BMC", "broken", "its url is none", "let it begin with https://")
    if "@" in url:
        return Finding(NAME, "BMC", "broken", "its url holds a password", "use user and password_file")
    return None
