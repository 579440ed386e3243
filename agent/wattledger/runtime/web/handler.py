"""One request, one answer, and the connection is closed: a scraper comes each fifteen seconds, and held threads are not free."""

import io
import threading
import traceback
import zlib
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler
from itertools import chain
from socket import socket
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from wattledger.runtime.warn import warn_once
from wattledger.runtime.web import body as bodies
from wattledger.runtime.web.access import Access
from wattledger.runtime.web.pages import Accepts, Below, Page, Reads, Serve, text
from wattledger.runtime.web.readers import NOT_ME, REFUSED
from wattledger.runtime.web.stream import Stream, TooLong

if TYPE_CHECKING:
    from wattledger.runtime.web.server import Server

LINE_BYTES = 8_192
WORTH_PACKING_BYTES = 1_024
GZIP = 31  # zlib's word for its largest window and gzip's head
MOST_WORDS = 16  # of a query
BREATH_S = 0.0001  # enough for another thread to take the interpreter
_NEVER = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Serves GET and HEAD of the server's pages, and POST of those that take it; everything else gets one line and a status."""

    server: "Server"
    protocol_version = default_request_version = "HTTP/1.1"  # who names no version gets a status line, too

    def __init__(self, connection: socket, client: Any, server: "Server", access: Access) -> None:
        self._access = access
        self._heard = False  # the body, to its end
        self.headers = Message()  # until they are read
        super().__init__(connection, client, server)

    def setup(self) -> None:
        self._stream = Stream(self.request, self.server.limits)
        self.rfile = io.BufferedReader(self._stream)
        self.wfile = self._stream  # type: ignore[assignment]  # what is written goes out at once

    def finish(self) -> None:
        """Nothing is buffered, and the server closes the socket."""

    def handle(self) -> None:
        self.close_connection = True
        self.requestline, self.request_version, self.command = "", self.protocol_version, ""
        try:
            self.raw_requestline = self.rfile.readline(LINE_BYTES)
            if self.raw_requestline and not self.raw_requestline.endswith(b"\n"):
                self.send_error(414, "the first line is too long")
            elif self.raw_requestline and self.parse_request():
                self._answer()
        except TooLong:
            self.send_error(431, "the headers are too long")

    def _answer(self) -> None:
        server = self.server
        if not server.requests.acquire(blocking=False):
            self._reply(text("busy: too many requests at once", 503), {"Retry-After": "1"})
            return
        path, _, query = self.path.partition("?")
        try:
            if not self._access.users and not server.readers.names(self.headers.get("Host", ""), self.request):
                self._reply(text(NOT_ME, 421))
            elif not self._access.users and not server.readers.admits(path, self.request):
                self._reply(text(REFUSED, 403))
            elif not server.door.admits(self._access, self.headers.get("Authorization", "")):
                self._reply(text("user and password, please", 401), {"WWW-Authenticate": 'Basic realm="wattledger"'})
            else:
                self._reply(*self._found(path, query))
        finally:
            server.requests.release()
        if self.command == "POST" and not self._heard:
            bodies.forget(self.headers, self._stream, self.rfile)

    def _found(self, path: str, query: str) -> tuple[Page, Mapping[str, str]]:
        """The page at ``path``, or the pages below a path that it begins with, if it is there and can be had by this method."""
        page = self.server.pages.get(path)
        above, slash, below = path.rpartition("/")
        if page is None and isinstance(under := self.server.pages.get(above + slash), Below):
            page = under
        allowed = ("POST",) if isinstance(page, Accepts) else ("GET", "HEAD")
        if self.command not in (("GET", "HEAD", "POST") if page is None else allowed):
            return text(f"only {' and '.join(allowed)}", 405), {"Allow": ", ".join(allowed)}
        if page is None:
            return text(f"not found; here are {' '.join(self.server.pages)}", 404), {}
        if isinstance(page, Accepts):
            return self._taken(path, page)
        return self._page(path, self._asked(page, query, below))

    def _asked(self, page: Serve | Reads | Below, query: str, below: str) -> Callable[[], Page]:
        """What makes the page of this request."""
        match page:
            case Reads(serve=reads):
                return lambda: reads(self.headers, words_of(query))
            case Below(serve=beneath):
                return lambda: beneath(self.headers, words_of(query), unquote(below, errors="replace"))
        serve = page
        return lambda: serve(self.headers)

    def _taken(self, path: str, page: Accepts) -> tuple[Page, Mapping[str, str]]:
        """The body heard and handed to the page; so few at once that they cannot fill the memory."""
        if not self.server.bodies.acquire(blocking=False):
            return text("busy: too many bodies at once", 503), {"Retry-After": "1"}
        try:
            body = bodies.read(self.headers, self._stream, self.rfile)
            self._heard = True
            unpacked = bodies.unpacked(self.headers, body)
            return self._page(path, lambda: page.serve(self.headers, unpacked))
        except bodies.Refused as refused:
            return text(str(refused), refused.status), {}
        finally:
            self.server.bodies.release()

    def _page(self, path: str, make: Callable[[], Page]) -> tuple[Page, Mapping[str, str]]:
        """The page made and packed."""
        try:
            page = make()
            body, encoded = self._packed(page.body)
        except TimeoutError:
            return text("busy: other requests are being answered", 503), {"Retry-After": "1"}
        except Exception:
            # Our mistake, whatever it is: the scraper is told, the next scrape is another one, and the agent goes on.
            warn_once(f"bug in page {path}", traceback.format_exc().rstrip())
            return text("this page cannot be made; the agent's log says why", 500), {}
        more = {**page.more, "Content-Encoding": "gzip"} if encoded else page.more
        return page._replace(body=body), {"Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store", **more}

    def _packed(self, body: bytes | Iterable[bytes]) -> tuple[bytes, bool]:
        """Large bodies one at a time: several would take the interpreter from the sampler in turns."""
        gzip = accepts_gzip(",".join(self.headers.get_all("Accept-Encoding", [])))
        if isinstance(body, bytes):
            return packed((body,), gzip)
        if not self.server.making.acquire(timeout=self.server.limits.patience_s):
            raise TimeoutError
        try:
            return packed(body, gzip)
        finally:
            self.server.making.release()

    def _reply(self, page: Page, more: Mapping[str, str] = MappingProxyType({})) -> None:
        assert isinstance(page.body, bytes)
        self._stream.restart()
        self.send_response(page.status)
        headers = {"Content-Type": page.content_type, "Content-Length": str(len(page.body)), "Connection": "close"}
        for name, value in {**headers, **self._access.headers, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._stream.write(page.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """One line of text: what ``parse_request`` finds wrong, and we."""
        self._reply(text(message or "not understood", code))

    def version_string(self) -> str:
        """Who we are, but not which version of Python."""
        return "wattledger"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Scrapes are not logged."""


def words_of(query: str) -> dict[str, str]:
    """A query's words; too many of them are none."""
    try:
        return dict(parse_qsl(query, max_num_fields=MOST_WORDS, errors="replace"))
    except ValueError:
        return {}


def accepts_gzip(accepted: str) -> bool:
    """Whether an ``Accept-Encoding`` header names gzip, and not with a weight of nothing."""
    for part in accepted.lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";")
        if name == "gzip":
            return weight not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def packed(body: Iterable[bytes], gzip: bool) -> tuple[bytes, bool]:
    """The body whole, and whether it is gzip's: only where that pays.  Between two pieces the interpreter is let go, because a
    thread that holds it for long delays each system call of the sampler's."""
    pieces = iter(body)
    first, second = next(pieces, b""), next(pieces, b"")
    if not second and len(first) <= WORTH_PACKING_BYTES:
        return first, False
    packer = zlib.compressobj(1, zlib.DEFLATED, GZIP) if gzip else None
    parts = []
    for piece in chain((first, second), pieces):
        parts.append(packer.compress(piece) if packer is not None else piece)
        _NEVER.wait(BREATH_S)
    return b"".join(parts) + (packer.flush() if packer is not None else b""), packer is not None
