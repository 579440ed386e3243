"""Who on this machine reads: by the kernel's word on the other end of a loopback connection.

A page shows everybody's figures, and a person on a shared node has no business with another's (PLATYPUS, CVE-2020-8694, is why the
kernel closed the registers).  Over the loopback nobody shows a password by default, but the kernel knows whose socket it is.
"""

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
PEOPLE = range(1000, 60_001)  # UID_MIN to UID_MAX of login.defs; system accounts are below, systemd's dynamic users above
DIRECTORY = 100_000  # people of a directory service, and those of containers with user namespaces
REFUSED = (
    "this page has everybody's figures: on this machine it is for root, services, the agent's own user and the group that "
    "agent.operators names; agent.readers = anyone opens it to all"
)


class Readers:
    """Who may read over the loopback.  ``services``: system accounts, root, the agent's own user and operators; ``operators``: the
    last three; ``anyone``.  Stateless; any thread.

    ``is_operator``: whether a user id is in the operators' group.  Connections from elsewhere are the network's to guard.
    """

    def __init__(self, policy: Policy, is_operator: Callable[[int], bool], procfs: str = "/proc") -> None:
        self._policy, self._is_operator, self._procfs = policy, is_operator, procfs
        self._names = {socket.gethostname().lower()}

    def admits(self, path: str, connection: socket.socket) -> bool:
        """Whether the other end of a connected socket may have the page at ``path``."""
        if self._policy == "anyone" or path in OPEN:
            return True
        here, there = _ends(connection)
        if there is None or not there[0].is_loopback:
            return True  # not of this machine
        uid = self._uid(there, here)
        return uid is not None and self._may(uid)

    def names(self, host: str, connection: socket.socket) -> bool:
        """Whether a request for ``host`` over this connection means us; only the loopback is asked by strangers' pages."""
        there = _ends(connection)[1]
        return there is None or not there[0].is_loopback or is_named(host, self._names)

    def _may(self, uid: int) -> bool:
        if uid in (0, os.geteuid()) or self._is_operator(uid):
            return True
        return self._policy == "services" and uid not in PEOPLE and uid < DIRECTORY

    def _uid(self, client: "End", server: "End | None") -> int | None:
        """Whose socket runs from ``client`` to ``server``; where nobody keeps such a table (no Linux), root's for all we know."""
        table = Path(self._procfs, "self", "net", "tcp6" if client[0].version == 6 else "tcp")
        tables = (table, table.with_name("tcp6"))  # one that listens for both has IPv4 in IPv6's table
        found = [uid for each in tables if server is not None and (uid := owner(_text(each), client, server)) is not None]
        return found[0] if found else None if table.exists() else 0


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
    ends = {(_hex(local, wide), _hex(remote, wide)) for wide in (False, True)}
    for line in table.splitlines()[1:]:
        cells = line.split()
        if len(cells) > 7 and (cells[1], cells[2]) in ends and cells[7].isdigit():
            return int(cells[7])
    return None


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
