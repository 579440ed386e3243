"""HTTP for the sources that need it: one GET (or POST) within a time and a size, and its body.

The only file that knows requests.  ``requests`` counts its timeout anew at each read and urllib3 inflates what it is sent; a BMC
that trickles and a reply that grows a thousandfold must not hold a thread or fill the memory, so both bounds stand at the socket.
"""

import http.client
import io
import socket
import ssl
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from wattledger.core.ports import BadStatus, Fetch, Request, SourceFailed
from wattledger.core.version import __version__
from wattledger.runtime import clock
from wattledger.runtime.warn import warn_once

if TYPE_CHECKING:
    import requests

HOPS = 3  # redirects that are followed, within the same place
CHUNK = 65_536
OVERHEAD_BYTES = 1_000_000  # status line, headers and the lengths of chunks may come to so much beside the body
PORTS = {"http": 80, "https": 443}


class TooLong(Exception):
    """The reply is longer than was asked for; not an OSError, which urllib3 would dress up as a broken connection."""


class Bounds(threading.local):
    """How long and how much the fetch under way in this thread may still read."""

    end_ns = 0
    left_bytes = 0

    def begin(self, request: Request) -> None:
        self.end_ns = clock.elapsed_ns() + int(request.timeout_s * 1e9)
        self.left_bytes = 8 * request.limit_bytes + OVERHEAD_BYTES  # a byte in a chunk of its own takes six

    def left_s(self) -> float:
        """Seconds left; TimeoutError when there are none."""
        left_ns = self.end_ns - clock.elapsed_ns()
        if left_ns <= 0:
            raise TimeoutError("timed out")
        return left_ns / 1e9


class Guarded(io.RawIOBase):
    """A socket's incoming side that ends in time and after so many bytes."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, bounds: Bounds) -> None:
        self._sock, self._raw, self._bounds = sock, raw, bounds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._bounds.left_s())
        n = self._raw.readinto(buffer)
        self._bounds.left_bytes -= n or 0
        if self._bounds.left_bytes < 0:
            raise TooLong
        return n

    def close(self) -> None:
        self._raw.close()
        super().close()


def make_fetch(proxies: Mapping[str, str] | None = None) -> Fetch:
    """A function that GETs; it may be called from several threads, each with connections of its own.

    Proxies, .netrc and CA variables of the environment are not used: what the sources ask (a BMC, the kubelet, a local server) lies
    on or beside this node, where a proxy cannot reach it and should not see its password.  Who fetches from the world hands
    ``proxies`` in.  A name that takes long to resolve and a TLS greeting that trickles are bounded by read, not in sum.
    """
    bounds, spot = Bounds(), threading.local()

    def fetch(request: Request) -> bytes:
        if not hasattr(spot, "session"):
            spot.session = _session(bounds, proxies or {})
        bounds.begin(request)
        url = request.url
        for _ in range(1 + HOPS):
            reply = _get(spot.session, url, request, bounds)
            if isinstance(reply, bytes):
                return reply
            url = _followed(url, reply)
        raise SourceFailed(f"{shown(request.url)}: redirected more than {HOPS} times")

    return fetch


def shown(url: str) -> str:
    """A URL as messages may show it: without user, password, query and fragment, where secrets travel."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a malformed URL"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}"[:200]


def _session(bounds: Bounds, proxies: Mapping[str, str]) -> "requests.Session":
    import requests  # 60 ms, and only where something is fetched

    session = requests.Session()
    session.trust_env = False
    session.proxies.update(proxies)
    session.headers.update({"User-Agent": f"wattledger/{__version__}", "Accept-Encoding": "identity"})
    adapter = requests.adapters.HTTPAdapter()
    pools = _pools(bounds)
    adapter.poolmanager.pool_classes_by_scheme = pools
    made = adapter.proxy_manager_for

    def proxied(proxy: str, **options: Any) -> Any:
        manager = made(proxy, **options)
        manager.pool_classes_by_scheme = pools
        return manager

    adapter.proxy_manager_for = proxied  # type: ignore[method-assign]
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _pools(bounds: Bounds) -> dict[str, Any]:
    """urllib3's pools, with connections whose replies are bounded."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Reply(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            guarded = Guarded(sock, self.fp.detach(), bounds)
            self.fp = io.BufferedReader(guarded)

    class Plain(HTTPConnection):
        response_class = Reply

    class Tls(HTTPSConnection):
        response_class = Reply

        def connect(self) -> None:
            super().connect()
            if not self.is_verified:
                # urllib3 would warn at each request, through a filter that is the whole program's; one note is enough.
                peer = f"{self.host}:{self.port}"
                warn_once(f"TLS {peer}", f"the certificate of {peer} is not checked (verify = false)")
                self.is_verified = True

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


def _get(session: "requests.Session", url: str, request: Request, bounds: Bounds) -> bytes | str:
    """The body, or where the server says it is."""
    import requests
    import urllib3

    verify = _verify(request.verify)
    headers = dict(request.headers)
    if request.auth is not None:
        headers["Authorization"] = "Basic " + b64encode(":".join(request.auth).encode()).decode()
    try:
        left_s = bounds.left_s()
        with session.request(
            "GET" if request.body is None else "POST", url, data=request.body, headers=headers, verify=verify,
            timeout=(left_s, left_s), allow_redirects=False, stream=True,
        ) as reply:  # fmt: skip
            if reply.is_redirect:
                return str(reply.headers["Location"])
            if reply.status_code >= 400:
                after_s = _retry_after_s(reply.headers.get("Retry-After"))
                raise BadStatus(f"{shown(url)}: HTTP {_phrase(reply.status_code)}", reply.status_code, after_s, _said(reply))
            return _body(reply, request.limit_bytes)
    except TooLong:
        raise SourceFailed(f"{shown(url)}: the reply is longer than {request.limit_bytes} bytes") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, zlib.error, OSError, ValueError) as error:
        # Their own words repeat the URL with its query, and a bad header with its token.
        raise SourceFailed(f"{shown(url)}: {_why(error, request.timeout_s)}") from None


def _retry_after_s(said: str | None) -> float | None:
    """Seconds, as nearly all servers say it; a date is left to our own patience."""
    return float(said) if said is not None and said.isdecimal() else None


def _said(reply: "requests.Response") -> str:
    """The first line of a refusal in a few plain words, as a terminal may have it; empty where it is anything else."""
    about, length = reply.headers.get("Content-Type", ""), reply.headers.get("Content-Length", "")
    if not about.startswith("text/plain") or not length.isdecimal() or len(length) > 3 or "Content-Encoding" in reply.headers:
        return ""
    try:
        line = bytes(reply.raw.read(int(length))).decode("utf-8", "replace").partition("\n")[0]
    except Exception:  # the status has been told, whatever follows
        return ""
    return "".join(sign for sign in line.strip() if sign.isprintable())


def _body(reply: "requests.Response", limit_bytes: int) -> bytes:
    body = bytearray()
    for chunk in reply.raw.stream(CHUNK, decode_content=False):
        body += chunk
        if len(body) > limit_bytes:
            raise TooLong
    if reply.headers.get("Content-Encoding", "identity").lower() in ("", "identity"):
        return bytes(body)
    # We asked for none, but some send it all the same; inflated no further than it may be.
    inflater = zlib.decompressobj(wbits=47)
    plain = inflater.decompress(bytes(body), limit_bytes + 1)
    if len(plain) > limit_bytes:
        raise TooLong
    if not inflater.eof:
        raise zlib.error
    return plain


def _verify(verify: bool | str) -> bool | str:
    """The system's authorities where it has any (a site's own are installed there), else those that requests brings."""
    if isinstance(verify, str) and not Path(verify).exists():
        raise SourceFailed(f"{verify}: no such file of certificates")
    if verify is not True:
        return verify
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    return paths.capath if paths.capath and any(Path(paths.capath).iterdir()) else True


def _followed(url: str, location: str) -> str:
    """Where a redirect leads, if that is the same server (or the same by TLS): credentials go nowhere else."""
    target = urljoin(url, location)
    try:
        here, there = _place(urlsplit(url)), _place(urlsplit(target))
    except ValueError:
        there = None
    if there is None or (there != here and (here, there) != (("http", here[1], 80), ("https", here[1], 443))):
        raise SourceFailed(f"{shown(url)}: redirects to {shown(target)}, which was not asked for")
    return target


def _place(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _why(error: BaseException, timeout_s: float) -> str:
    """In our words: the first thing in the chain of causes that says something."""
    from urllib3.exceptions import ProtocolError

    tellers: tuple[tuple[type[BaseException], Callable[[Any], str]], ...] = (
        (ssl.SSLCertVerificationError, lambda e: f"its certificate is not trusted: {e.verify_message}"),
        (ssl.SSLError, lambda e: f"TLS failed: {(e.reason or 'no reason given').replace('_', ' ').lower()}"),
        (TimeoutError, lambda _: f"no answer within {timeout_s:g} s"),
        (socket.gaierror, lambda _: "no such host"),
        (zlib.error, lambda _: "the reply is compressed and broken"),
        (http.client.IncompleteRead, lambda _: "the reply broke off"),
        (http.client.HTTPException, lambda _: "the reply is not HTTP"),
        (OSError, lambda e: e.strerror.lower() if e.errno and e.strerror else ""),
        (ProtocolError, lambda _: "the reply is broken"),
    )
    chain = _chain(error)
    told = (tell(cause) for kind, tell in tellers for cause in chain if isinstance(cause, kind))
    return next(filter(None, told), f"cannot be fetched ({type(error).__name__})")


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and all that it wraps, however it does."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        this = waiting.pop(0)
        if isinstance(this, BaseException) and this not in found:
            found.append(this)
            waiting += [*this.args, getattr(this, "reason", None), this.__cause__, this.__context__]
    return found
