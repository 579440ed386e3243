"""Who on this machine reads: by the kernel's word on the other end of a connection from here.

A page shows everybody's figures, and a person on a shared node has no business with another's (PLATYPUS, CVE-2020-8694, is why the
kernel closed the registers).  On the machine itself nobody shows a password by default, but the kernel knows whose socket it is.
"""

import errno
import os
import socket
import sys
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Literal

Policy = Literal["services", "operators", "anyone"]
# What programs of any user have to reach: signs of life, the prices that they write on their own spans, and where spans go.
NOT_ME = "this is no name of mine: ask by an address, localhost or this machine's own name (or set users in agent.web_config)"
OPEN = frozenset({"/healthz", "/readyz", "/tokens.json", "/v1/traces"})
# System accounts (below UID_MIN of login.defs), and systemd's dynamic users with nobody (systemd.io/UIDS-GIDS).  Between them are
# people, those of systemd-homed (60001 on) and those who are lent to containers (60514 on); above, those of directory services.
SERVICES = (range(1, 1000), range(61_184, 65_535))
NOBODY = 65_534  # also whom the kernel shows to a user namespace for everybody who has no number in it
EVERYBODY = 4_294_967_295  # numbers that the first user namespace knows
REFUSED = (
    "this page has everybody's figures: on this machine it is for root, services, the agent's own user and the group that "
    "agent.operators names; agent.readers = anyone opens it to all"
)


class Readers:
    """Who of this machine may read, by whichever of its addresses.  ``services``: system accounts, root, the agent's own user and
    operators; ``operators``: the last three; ``anyone``.  Stateless; any thread.

    ``is_operator``: whether a user id is in the operators' group.  Connections from elsewhere are the network's to guard.
    """

    def __init__(self, policy: Policy, is_operator: Callable[[int], bool], procfs: str = "/proc") -> None:
        self._policy, self._is_operator, self._procfs = policy, is_operator, procfs
        self._names = own_names(socket.gethostname(), _text(Path("/etc/hosts")))
        self._strangers = {NOBODY} if is_partial(_text(Path(procfs, "self", "uid_map"))) else set()

    def admits(self, path: str, connection: socket.socket) -> bool:
        """Whether the other end of a connected socket may have the page at ``path``."""
        if self._policy == "anyone" or path in OPEN:
            return True
        here, there = _ends(connection)
        if there is None or not (there[0].is_loopback or _is_of_here(connection)):
            return True  # not of this machine
        uid = self._uid(there, here)
        # Others may look like ours (ip_nonlocal_bind, no right to bind), but have no row here.
        return self._may(uid) if uid is not None else not there[0].is_loopback

    def names(self, host: str, connection: socket.socket) -> bool:
        """Whether a request for ``host`` over this connection means us; only the loopback is asked by strangers' pages."""
        there = _ends(connection)[1]
        return there is None or not there[0].is_loopback or is_named(host, self._names)

    def _may(self, uid: int) -> bool:
        if uid in (0, os.geteuid()) or self._is_operator(uid):
            return True
        return self._policy == "services" and uid not in self._strangers and any(uid in numbers for numbers in SERVICES)

    def _uid(self, client: "End", server: "End | None") -> int | None:
        """Whose socket runs from ``client`` to ``server``; where nobody keeps such a table (no Linux), root's for all we know."""
        table = Path(self._procfs, "self", "net", "tcp6" if client[0].version == 6 else "tcp")
        tables = (table, table.with_name("tcp6"))  # one that listens for both has IPv4 in IPv6's table
        found = [uid for each in tables if server is not None and (uid := owner(_text(each), client, server)) is not None]
        return found[0] if found else None if table.exists() else 0


def own_names(host: str, hosts: str) -> set[str]:
    """This machine's names: the kernel's, and those beside it in ``/etc/hosts`` (Debian has the full name at 127.0.1.1)."""
    found = {host.lower()}
    for line in hosts.splitlines():
        _, *names = line.partition("#")[0].lower().split() or [""]
        if host.lower() in names:
            found.update(names)
    return found


def is_named(host: str, names: Collection[str]) -> bool:
    """Whether a ``Host`` header names us: an address, localhost, or one of ``names``.  Any other came from a page in somebody's
    browser whose name was made to point here (DNS rebinding), and would be read by that page."""
    name = host.strip().rpartition("]")[0].removeprefix("[") if host.strip().startswith("[") else host.strip().partition(":")[0]
    name = name.lower().rstrip(".")
    if not name or name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


End = tuple[IPv4Address | IPv6Address, int]


def owner(table: str, local: End, remote: End) -> int | None:
    """The user id in the row of ``/proc/net/tcp`` or ``tcp6`` whose ends these are; ``None``: there is none."""
    for wide in (False, True):
        # Found as text: to take all rows apart would cost milliseconds per thousand, and any user may open thousands.
        row = f" {_hex(local, wide)} {_hex(remote, wide)} "
        _, found, after = table.partition(row)
        cells = after[:200].split()
        if found and len(cells) > 4 and cells[4].isdigit():
            return int(cells[4])
    return None


def is_partial(uid_map: str) -> bool:
    """Whether a user namespace knows only some of the machine's users (its ``/proc/self/uid_map``); without that file there are no
    namespaces."""
    rows = [line.split() for line in uid_map.splitlines()]
    return bool(rows) and sum(int(row[2]) for row in rows if len(row) == 3 and row[2].isdigit()) < EVERYBODY


def _hex(end: End, wide: bool) -> str:
    """As the kernel prints it: 32-bit words in the machine's order, then the port."""
    address, port = end
    packed = address.packed if address.version == 6 or not wide else b"\0" * 10 + b"\xff\xff" + address.packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words) + f":{port:04X}"


def in_groups(groups: frozenset[int]) -> Callable[[int], bool]:
    """Whether a user is in one of these groups, by the machine's own accounts."""

    def is_member(uid: int) -> bool:
        import pwd  # not on every system that has this package

        try:
            account = pwd.getpwuid(uid)
            return bool(groups & set(os.getgrouplist(account.pw_name, account.pw_gid)))
        except (KeyError, OSError):
            return False

    return is_member if groups else lambda uid: False


def _is_of_here(connection: socket.socket) -> bool:
    """Whether the other end may have an address of this machine, which is what one can be bound to: who asks a machine by its own
    address from itself comes from there, and no firewall has seen him."""
    try:
        name = connection.getpeername()
    except OSError:
        return False
    with socket.socket(connection.family, socket.SOCK_DGRAM) as probe:
        if connection.family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # IPv4's addresses, too
        try:
            probe.bind((name[0], 0, *name[2:]))
        except OSError as failure:
            return failure.errno != errno.EADDRNOTAVAIL  # a unit's SocketBindDeny says no to all: then the table tells
    return True


def _ends(connection: socket.socket) -> tuple[End | None, End | None]:
    """Ours and theirs; ``None`` for what is no address (a connection that is gone)."""
    try:
        ours, theirs = connection.getsockname(), connection.getpeername()
    except OSError:
        return None, None
    return _end(ours), _end(theirs)


def _end(name: object) -> End | None:
    if not isinstance(name, tuple) or len(name) < 2:
        return None
    address = ip_address(str(name[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address, int(name[1])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
