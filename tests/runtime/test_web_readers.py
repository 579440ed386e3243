"""Who may read over the loopback: by the kernel's own table of sockets, never by what a client says."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest

from wattledger.runtime.web.pages import text
from wattledger.runtime.web.readers import OPEN, Policy, Readers, in_groups, is_named, is_partial, own_names, owner
from wattledger.runtime.web.server import Web

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:26B5 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 100 0 0 10 0
   1: 0100007F:9C40 0100007F:26B5 01 00000000:00000000 00:00000000 00000000  1001        0 2 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:26B5 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0000000000000000 20 4 30 10 -1
"""
WIDE = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 00000000000000000000000001000000:9C40 00000000000000000000000001000000:26B5 01 00000000:00000000 00:00000000 00000000  1002
   1: 0000000000000000FFFF00000100007F:9C41 0000000000000000FFFF00000100007F:26B5 01 00000000:00000000 00:00000000 00000000  1003
"""
PORT = 0x26B5
ASK = """
import os, socket, sys
family = socket.AF_INET6 if ":" in "{host}" else socket.AF_INET
os.setgid({uid}); os.setuid({uid})  # from here on nothing can be imported: the interpreter may lie in root's home
with socket.socket(family) as connection:
    connection.settimeout(10)
    connection.connect(("{host}", {port}))
    sys.stdin.read(1)
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be several users")
needs_table = pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux's table of sockets")


@pytest.mark.skipif(sys.byteorder == "big", reason="the tables here are of a little-endian machine")
@pytest.mark.parametrize(("table", "host", "port", "uid"), [
    (TABLE, "127.0.0.1", 0x9C40, 1001), (WIDE, "::1", 0x9C40, 1002), (WIDE, "127.0.0.1", 0x9C41, 1003),
    (TABLE, "127.0.0.1", 0x9C42, None),
    (TABLE, "127.0.0.2", 0x9C40, None), ("", "127.0.0.1", 0x9C40, None), ("one\ntwo three\n", "127.0.0.1", 0x9C40, None),
])  # fmt: skip
def test_a_sockets_owner_is_in_the_row_of_both_its_ends(table: str, host: str, port: int, uid: int | None) -> None:
    address = ip_address(host)
    assert owner(table, (address, port), (address, PORT)) == uid


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        found = socket.create_server((request.param, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {request.param}")
    with found:
        found.settimeout(20)
        yield found


def admitted(listener: socket.socket, uid: int, policy: Policy, *, path: str = "/metrics", readers: Readers | None = None) -> bool:
    """What the reader of that user gets, by a real connection of his."""
    host, port = listener.getsockname()[:2]
    code = ASK.format(uid=uid, host=host, port=port)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as asking:
        connection, _ = listener.accept()
        with connection:
            found = (readers or Readers(policy, in_groups(frozenset()))).admits(path, connection)
        asking.communicate(b"x", timeout=10)
        assert asking.returncode == 0
    return found


@needs_root
@needs_table
@pytest.mark.parametrize(("uid", "policy", "may"), [
    (0, "services", True), (0, "operators", True), (1, "services", True), (1, "operators", False), (61184, "services", True),
    (1234, "services", False), (1234, "operators", False), (1234, "anyone", True), (123456, "services", False),
    # systemd-homed's people and those whom it lends to containers, a directory's below 100,000, distroless' nonroot, nobody.
    (60001, "services", False), (60513, "services", False), (60577, "services", False), (70000, "services", False),
    (65532, "services", True), (65534, "services", True), (65535, "services", False),
])  # fmt: skip
def test_a_person_reads_no_page_of_everybodys_over_the_loopback(
    listener: socket.socket, uid: int, policy: Policy, may: bool
) -> None:
    assert admitted(listener, uid, policy) is may


def own_address() -> str:
    """Another address of this machine than its loopback's, or none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.99", 9))  # sends nothing: only a route is looked for
        except OSError:
            return ""
        return str(asking.getsockname()[0])


@needs_root
@needs_table
@pytest.mark.parametrize(("uid", "may"), [(0, True), (1, True), (1234, False)])
def test_a_person_who_asks_by_another_address_of_the_machine_is_still_of_here(uid: int, may: bool) -> None:
    """No firewall sees what goes from a machine to itself."""
    address = own_address()
    if not address or ip_address(address).is_loopback:
        pytest.skip("this machine has no address but the loopback's")
    for family, wildcard in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.create_server((wildcard, 0), family=family, dualstack_ipv6=family == socket.AF_INET6) as listener:
            listener.settimeout(20)
            code = ASK.format(uid=uid, host=address, port=listener.getsockname()[1])
            with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as asking:
                connection, _ = listener.accept()
                with connection:
                    assert Readers("services", in_groups(frozenset())).admits("/metrics", connection) is may
                asking.communicate(b"x", timeout=10)


@pytest.mark.parametrize(("uid_map", "partial"), [
    ("         0          0 4294967295\n", False), ("", False), ("0 1000 1\n", True), ("0 1000 1\n1 100000 65536\n", True),
])  # fmt: skip
def test_in_a_user_namespace_nobody_is_everybody_who_has_no_number_there(uid_map: str, partial: bool) -> None:
    assert is_partial(uid_map) is partial


@needs_root
@needs_table
@pytest.mark.parametrize(("uid_map", "may"), [("0 0 4294967295\n", True), ("0 1000 1\n", False)])
def test_whom_a_user_namespace_shows_as_nobody_is_no_service(
    listener: socket.socket, tmp_path: Path, uid_map: str, may: bool
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/uid_map").write_text(uid_map)
    (tmp_path / "self/net").symlink_to("/proc/self/net")
    readers = Readers("services", in_groups(frozenset()), str(tmp_path))
    assert admitted(listener, 65_534, "services", readers=readers) is may


@needs_root
@needs_table
@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_programs_need_is_open_to_every_user(listener: socket.socket, path: str) -> None:
    assert admitted(listener, 1234, "operators", path=path)


@needs_root
@needs_table
def test_a_member_of_the_operators_group_reads(listener: socket.socket) -> None:
    import pwd

    account = next((a for a in pwd.getpwall() if a.pw_uid == 1), None)
    if account is None:
        pytest.skip("this machine has no account with the number 1")
    assert admitted(listener, 1, "operators", readers=Readers("operators", in_groups(frozenset({account.pw_gid}))))
    assert not in_groups(frozenset({account.pw_gid}))(54_321), "who has no account is in no group"


def test_without_a_table_of_sockets_nobody_is_known_to_be_somebody_else(tmp_path: Path) -> None:
    """No Linux: there the kernel does not say."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        connection, _ = server.accept()
        with connection:
            assert Readers("services", in_groups(frozenset()), str(tmp_path)).admits("/metrics", connection)
            (tmp_path / "self/net").mkdir(parents=True)
            (tmp_path / "self/net/tcp").write_text(TABLE)
            assert not Readers("services", in_groups(frozenset()), str(tmp_path)).admits("/metrics", connection)
        assert client


def test_a_connection_that_is_gone_is_nobodys() -> None:
    with socket.socket() as never:
        assert Readers("operators", in_groups(frozenset())).admits("/metrics", never)


@pytest.mark.parametrize(("host", "ours"), [
    ("127.0.0.1:9909", True), ("[::1]:9909", True), ("[fe80::1]", True), ("localhost:9909", True), ("LOCALHOST.", True),
    ("a.localhost", True), ("gpu-7:9909", True), ("GPU-7", True), ("", True), ("10.0.0.7", True), ("evil.example:9909", False),
    ("localhost.evil.example", False), ("gpu-7.evil.example", False), ("127.0.0.1.evil.example:9909", False), ("[evil]", False),
])  # fmt: skip
def test_a_name_that_is_not_ours_was_made_to_point_here(host: str, ours: bool) -> None:
    assert is_named(host, {"gpu-7"}) is ours


def test_the_names_that_stand_beside_ours_in_the_hosts_file_are_ours() -> None:
    """Debian's installer writes the full name at 127.0.1.1, so that it is asked for over the loopback."""
    hosts = "127.0.0.1 localhost\n127.0.1.1\tgpu-7.Example.org gpu-7 # of old: gpu-8\n\n10.0.0.9 gpu-9 gpu-70\n#\n::1\n"
    assert own_names("GPU-7", hosts) == {"gpu-7", "gpu-7.example.org"}
    assert own_names("gpu-8", hosts) == {"gpu-8"}


class Reader(NamedTuple):
    """A server with one page, and what a request to it as another user, or for another host, is answered with."""

    web: Web

    def status(self, path: str = "/metrics", *, uid: int = 0, host: str = "127.0.0.1") -> int:
        code = REQUEST.format(uid=uid, port=self.web.port, request=f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, check=True)
        return int(done.stdout.split()[1])


REQUEST = """
import os, socket, sys
os.setgid({uid}); os.setuid({uid})
with socket.socket() as connection:
    connection.settimeout(10)
    connection.connect(("127.0.0.1", {port}))
    connection.sendall({request!r}.encode("ascii"))
    sys.stdout.buffer.write(connection.recv(64))
"""


@pytest.fixture
def reader() -> Iterator[Reader]:
    web = Web("127.0.0.1:0", {"/metrics": lambda headers: text("figures")}, readers=Readers("services", in_groups(frozenset())))
    web.start()
    yield Reader(web)
    web.stop()


@needs_root
@needs_table
def test_the_server_answers_a_person_with_why_not_and_what_to_do(reader: Reader) -> None:
    assert [reader.status(uid=uid) for uid in (0, 1, 1234)] == [200, 200, 403]
    assert reader.status("/healthz", uid=1234) == 200


def test_the_server_has_no_page_for_another_name(reader: Reader) -> None:
    """A page in a browser here, whose own name was pointed at 127.0.0.1, would read everything."""
    assert [reader.status(host=host) for host in ("127.0.0.1", "localhost", "evil.example")] == [200, 200, 421]
    assert reader.status("/healthz", host="evil.example") == 421
