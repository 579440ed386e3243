"""CPU and DRAM energy from RAPL: powercap's files where they may be read, else the kernel's perf events.

Devices: ``rapl:package-0`` and ``rapl:dram-0`` are counted, ``rapl:package-0/core`` is inside its package, and
``rapl:psys`` is apart.  ``zones`` says which registers there are, ``powercap`` and ``perf`` read them, ``doctor``
explains.  Whether a difference is a wrap, a reset or nonsense is for ``core/meter.py`` to say.
"""

import errno
import os
from collections.abc import Iterable

from wattledger.core.model import Finding
from wattledger.core.ports import Host, Source, SourceGone
from wattledger.sources.rapl.powercap import Powercap
from wattledger.sources.rapl.zones import powercap_suffices, scan


def open(host: Host) -> Source:
    """The best way in that this process may use; ``SourceGone`` says why there is none and what to do."""
    # A zone that fails for another reason than permission may come back: Powercap tries it again.
    zones = [zone for zone in scan(host) if not zone.denied and zone.error != errno.ENOENT]
    if powercap_suffices(zones):
        return Powercap(zones, steady=bool(host.options.get("steady")))
    from wattledger.sources.rapl.perf import Perf, attempt  # with fractions and platform: 5 ms that most hosts save

    opened, _ = attempt(host)
    if any(event.name == "energy-pkg" for _, event in opened):
        return Perf(opened)
    for fd, _ in opened:
        os.close(fd)
    # Reading once more than the scan did: a single failed read at the start must not cost the whole run.
    source = Powercap(zones, steady=bool(host.options.get("steady")))
    if source.devices():
        return source
    problem = next(finding for finding in examine(host) if finding.state != "usable")
    raise SourceGone(f"rapl: {problem.why}" + (f"; try: {problem.remedy}" if problem.remedy else ""))


def examine(host: Host) -> Iterable[Finding]:
    """One finding per register, and one for perf where the kernel offers it."""
    from wattledger.sources.rapl.doctor import findings

    return findings(host)
