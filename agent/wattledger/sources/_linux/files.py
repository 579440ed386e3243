"""Small files of procfs and sysfs, and where the control groups are mounted."""

from typing import NamedTuple

from wattledger.core.ports import Host

MOST_CPUS = 8_192  # the kernel's own limit (CONFIG_NR_CPUS): a range beyond it is none, and would fill the memory


def read_text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def parse_cpus(text: str) -> frozenset[int]:
    """``0-3,8`` as a set; what is no number or range is passed over."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if is_number(first) and is_number(last or first):
            cpus.update(range(int(first), min(int(last or first) + 1, MOST_CPUS)))
    return frozenset(cpus)


def is_number(text: str) -> bool:
    """Digits as the kernel prints them, and no more than a 64-bit number has (``isdigit`` alone takes superscripts, too)."""
    return text.isascii() and text.isdigit() and len(text) <= 20


class Mount(NamedTuple):
    """One cgroup hierarchy as it is mounted: ``at`` is what of it lies at ``point``, ``options`` name a v1 one's controllers."""

    point: str
    at: str
    options: str
    v2: bool


def mounts(host: Host) -> list[Mount]:
    """Each cgroup mount that we can see; where the host's sysfs is mounted elsewhere in here, the host's ones."""
    found = []
    for line in (read_text(f"{host.procfs}/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        place, kind = left.split(), right.split()
        if len(place) >= 5 and len(kind) >= 3 and kind[0] in ("cgroup", "cgroup2"):
            found.append(Mount(place[4], place[3], kind[-1], kind[0] == "cgroup2"))
    if host.sysfs == "/sys":
        return found
    elsewhere = [mount for mount in found if mount.point.startswith(f"{host.sysfs}/")]
    return elsewhere or [m._replace(point=host.sysfs + m.point[4:]) if m.point.startswith("/sys/") else m for m in found]
