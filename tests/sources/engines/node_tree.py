"""A ``/proc`` of our making, as far as it tells who listens: processes with words, parents and sockets, and networks."""

import ipaddress
import socket
import struct
from pathlib import Path

HOST_NET = "net:[4026531840]"


class Node:
    """State: sockets of each network, and which processes are in it."""

    def __init__(self, base: Path) -> None:
        self.proc = base / "proc"
        self.proc.mkdir()
        self.sockets = 100
        self._lines: dict[str, dict[str, list[str]]] = {}
        self._tables(self.proc / "net", HOST_NET)
        (self.proc / "self" / "ns").mkdir(parents=True)
        (self.proc / "self" / "ns" / "net").symlink_to(HOST_NET)
        self.address("192.0.2.7")

    def process(
        self, pid: int, words: str, *, parent: int = 1, session: int = 50, start: int = 7, net: str = HOST_NET, group: str = "/eng"
    ) -> None:
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(parents=True, exist_ok=True)
        name = words.split(" ")[0].rpartition("/")[2][:15]
        zeros = "0 " * 15
        (folder / "stat").write_text(f"{pid} ({name}) S {parent} {pid} {session} {zeros}{start} 0 0\n")
        (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words.split(" ")))
        (folder / "cgroup").write_text(f"0::{group}\n")
        (folder / "ns").mkdir(exist_ok=True)
        (folder / "ns" / "net").symlink_to(net)
        self._tables(folder / "net", net)

    def listen(self, pid: int, port: int, ip: str = "0.0.0.0", net: str = HOST_NET, also: tuple[int, ...] = ()) -> None:
        """``also``: processes that have inherited the socket."""
        self.sockets += 1
        for one in (pid, *also):
            folder = self.proc / str(one) / "fd"
            (folder / str(len(list(folder.iterdir())))).symlink_to(f"socket:[{self.sockets}]")
        table = "tcp6" if ":" in ip else "tcp"
        line = f"   0: {_hex(ip)}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 {self.sockets} 1 0 100\n"
        self._add(net, table, line)

    def address(self, ip: str, net: str = HOST_NET) -> None:
        if ":" in ip:
            self._add(net, "if_inet6", f"{ipaddress.ip_address(ip).exploded.replace(':', '')} 02 40 00 80 eth0\n")
        else:
            self._add(net, "fib_trie", f"           |-- {ip}\n              /32 host LOCAL\n")

    def _tables(self, folder: Path, net: str) -> None:
        folder.mkdir(exist_ok=True)
        for name, lines in self._lines.setdefault(net, _empty()).items():
            (folder / name).write_text("".join(lines))

    def _add(self, net: str, table: str, line: str) -> None:
        self._lines.setdefault(net, _empty())[table].append(line)
        for folder in (self.proc, *(path for path in self.proc.iterdir() if path.name.isdigit())):
            here = HOST_NET if folder == self.proc else str((folder / "ns" / "net").readlink())
            if here == net:
                self._tables(folder / "net", net)


def _empty() -> dict[str, list[str]]:
    return {"tcp": ["  sl  local\n"], "tcp6": ["  sl  local\n"], "fib_trie": ["Main:\n"], "if_inet6": []}


def _hex(ip: str) -> str:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))
