"""Who listens on a port of this node: the socket in the kernel's tables, and the process that holds it.

Formats: proc_net_tcp (kernel.org, Documentation/networking), fib_trie and if_inet6 for the addresses that are the machine's own.
A container has a network of its own, with its own tables: they are read through one of its processes.  Looking through all
processes is dear, so it is done when an endpoint is first seen and when it has restarted.
"""

import os
import re
import socket
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from wattledger.sources.engines.places import is_ip
from wattledger.sources.engines.processes import PROXIES, look, pids, root_of

LISTEN = "0A"
IN_HEX = re.compile("[0-9a-fA-F]{32}")  # an address in if_inet6
LOOPBACK = ("127.0.0.1", "::1")
ANY = ("0.0.0.0", "::")


class Listener(NamedTuple):
    ip: str
    port: int
    inode: str


class Owner(NamedTuple):
    """Who answers at an address.  ``pid``: the root of its tree, 0 where that is not known, and then ``why`` says why.

    ``listener`` and ``start``: the process that listens; ``inode``: its socket.
    """

    pid: int = 0
    listener: int = 0
    start: int = 0
    inode: str = ""
    why: str = ""


def owner(procfs: str, host: str, port: int) -> Owner:
    """The process behind ``host:port``, if it is on this node.  May look a name up, so it may block for seconds."""
    for ip in _addresses(host):
        place = network_of(procfs, ip)
        if place is not None:
            return _behind(procfs, place, ip, port)
    return Owner(why=f"{host}:{port} is not on this node: its tokens are counted, its energy is not known here")


def _addresses(host: str) -> list[str]:
    if is_ip(host):
        return [host]
    try:
        return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))
    except OSError:
        return []


def network_of(procfs: str, ip: str) -> tuple[str, str] | None:
    """The network that this address is in: the folder of its tables, and its name (empty: our own); ``None``: not on this node."""
    own = f"{procfs}/net"
    if ip in LOOPBACK or ip.startswith("127.") or ip in own_addresses(own):
        return own, ""
    seen = {_network(f"{procfs}/self"), ""}
    for pid in pids(procfs):
        name = _network(f"{procfs}/{pid}")
        if name not in seen:
            seen.add(name)
            if ip in own_addresses(f"{procfs}/{pid}/net"):
                return f"{procfs}/{pid}/net", name
    return None


def _network(folder: str) -> str:
    try:
        return os.readlink(f"{folder}/ns/net")
    except OSError:
        return ""


def _behind(procfs: str, place: tuple[str, str], ip: str, port: int, *, follow: bool = True) -> Owner:
    """``follow``: whether a proxy's words are: once, for anybody may call a process so, and have it lead to itself."""
    folder, network = place
    there = [one for one in listening(folder) if one.port == port and (one.ip == ip or one.ip in ANY)]
    if not there:
        return Owner(why=f"nothing is seen to listen on port {port} here, so nobody's energy can be named (mount the host's /proc)")
    best = min(there, key=lambda one: one.ip != ip)
    pid = holder(procfs, best.inode, network)
    process = look(procfs, pid) if pid else None
    if process is None:
        why = f"the process behind port {port} cannot be seen: run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
        return Owner(inode=best.inode, why=why)
    if process.name in PROXIES and follow:
        return _behind_proxy(procfs, process.words, port)
    return Owner(root_of(procfs, pid), pid, process.start, best.inode)


def _behind_proxy(procfs: str, words: tuple[str, ...], port: int) -> Owner:
    """Docker publishes a port through a process of its own, whose words say where it leads."""
    said = dict(pairwise(words))
    ip, inner = said.get("-container-ip", ""), said.get("-container-port", "")
    place = network_of(procfs, ip) if ip and re.fullmatch("[0-9]{1,5}", inner) else None
    if place is None or not place[1]:
        return Owner(why=f"port {port} leads into a container that cannot be seen: run as root or give the container's own address")
    return _behind(procfs, place, ip, int(inner), follow=False)


def holder(procfs: str, inode: str, network: str = "") -> int:
    """The process that holds this socket (the lowest number: who opened it, before its children), 0: none that we may see."""
    wanted = f"socket:[{inode}]"
    for pid in pids(procfs):
        if network and _network(f"{procfs}/{pid}") != network:
            continue
        if wanted in sockets(procfs, pid):
            return pid
    return 0


def sockets(procfs: str, pid: int) -> set[str]:
    """What its descriptors are, as the kernel links them."""
    folder = f"{procfs}/{pid}/fd"
    found: set[str] = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        try:
            found.add(os.readlink(f"{folder}/{name}"))
        except OSError:
            continue
    return found


def listening(folder: str) -> list[Listener]:
    """The sockets of a network that wait for connections."""
    return [*_table(f"{folder}/tcp"), *_table(f"{folder}/tcp6")]


def _table(path: str) -> Iterator[Listener]:
    for line in _lines(path)[1:]:
        field = line.split()
        if len(field) < 10 or field[3] != LISTEN:
            continue
        ip, _, port = field[1].rpartition(":")
        try:
            yield Listener(_ip(ip), int(port, 16), field[9])
        except (ValueError, OSError, struct.error):
            continue


def _ip(text: str) -> str:
    """The kernel prints each 32-bit word of an address in the machine's own order."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    ip = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    return ip.removeprefix("::ffff:")


def own_addresses(folder: str) -> set[str]:
    """Every address of a network that is the machine's (or the container's) own."""
    found: set[str] = set()
    last = ""
    for line in _lines(f"{folder}/fib_trie"):
        word = line.split()
        if len(word) == 2 and word[0] == "|--":
            last = word[1]
        elif "/32 host LOCAL" in line:
            found.add(last)
    for line in _lines(f"{folder}/if_inet6"):
        word = line.split()
        if word and IN_HEX.fullmatch(word[0]):
            found.add(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(word[0])))
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
