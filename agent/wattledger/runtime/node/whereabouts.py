"""Where a process is, by the kernel's word: its parent and start, and the unit that its control group is in."""

from wattledger.core.ports import Host, SourceGone
from wattledger.runtime.node.membership import Look
from wattledger.sources._linux.tree import parse_stat, read_file
from wattledger.sources.cgroup.hierarchy import look, unit_of


def whereabouts(host: Host) -> Look:
    """Looks for ``Membership``, in the procfs that the cgroup source is told of; without control groups nobody is in a unit."""
    try:
        hierarchy = look(host).cpu
    except SourceGone:
        hierarchy = None

    def stat(pid: int) -> tuple[int, int] | None:
        text = read_file(f"{host.procfs}/{pid}/stat")
        found = parse_stat(text) if text else None
        return None if found is None else (found.ppid, found.start)

    return Look(stat, lambda pid: None if hierarchy is None else unit_of(host.procfs, pid, hierarchy))
