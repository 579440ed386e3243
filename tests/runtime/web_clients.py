"""Clients of the web server, and certificates for it."""

import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from wattledger.runtime.web.pages import Route
from wattledger.runtime.web.server import Web
from wattledger.runtime.web.stream import Limits

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificates")
WAIT_S = 20.0  # for what happens at once: only a failure takes so long


class Reply(NamedTuple):
    """A status, headers and a body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@contextlib.contextmanager
def served(
    pages: Mapping[str, Route], config_file: str = "", *, lines: list[str] | None = None, limits: Limits | None = None
) -> Iterator[Web]:
    """A started server on a free port of the loopback; ``lines``: what it says."""
    said: list[str] = [] if lines is None else lines
    web = Web("127.0.0.1:0", pages, config_file, say=said.append, limits=limits or Limits())
    web.start()
    try:
        yield web
    finally:
        web.stop()


def ask(
    web: Web, path: str = "/metrics", method: str = "GET", *, tls: ssl.SSLContext | None = None, body: bytes | None = None,
    **headers: str,
) -> Reply:  # fmt: skip
    """One request; ``Accept_Encoding`` is written with an underscore."""
    if tls is not None:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection("localhost", web.port, timeout=WAIT_S, context=tls)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=WAIT_S)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return Reply(reply.status, dict(reply.getheaders()), reply.read())


def raw(web: Web, data: bytes) -> socket.socket:
    """A connection on which ``data`` was said."""
    connection = socket.create_connection(("127.0.0.1", web.port), timeout=WAIT_S)
    connection.sendall(data)
    return connection


def all_of(connection: socket.socket) -> bytes:
    """Everything until the other side ends."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65_536):
            found += data
    return found


class Certificates:
    """A small authority in a folder: ``make("server")`` writes server.pem and server.key, signed by ca.pem."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._run("req", "-x509", *self._key("ca"), "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")

    def make(self, name: str) -> None:
        self._run("req", "-new", *self._key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self.folder / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                  "-days", "2", "-extfile", "ext", "-out", f"{name}.pem")  # fmt: skip

    def client(self, name: str = "") -> ssl.SSLContext:
        """A client that trusts the authority, with a certificate of its own or none."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if name:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    @staticmethod
    def _key(name: str) -> tuple[str, ...]:
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"

    def _run(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
