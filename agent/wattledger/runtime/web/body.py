"""What a client sends with a POST: whole, unpacked, and never more than the limits, or one line that says why not."""

import io
import zlib
from email.message import Message

from wattledger.runtime.web.stream import PIECE_BYTES, Stream

BODY_BYTES = 4_000_000  # on the wire
UNPACKED_BYTES = 8_000_000
EITHER = 47  # zlib's word for: gzip's head or zlib's own (HTTP's "deflate"), whichever is there


class Refused(Exception):
    """This body is not taken; the message is one line, ``status`` the answer's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def length(headers: Message) -> int:
    """How many bytes the body has, as it says beforehand: without that nobody could refuse it in time.  Raises Refused."""
    if headers.get("Transfer-Encoding") is not None:
        raise Refused("no chunked bodies: send a Content-Length", 411)
    said = {word.strip() for word in headers.get_all("Content-Length", [])}
    if not said:
        raise Refused("send a Content-Length", 411)
    word = said.pop()
    if said or not (word.isascii() and word.isdigit()):
        raise Refused("the Content-Length is no number of bytes", 400)
    # Long words are not made numbers: that takes quadratic time.
    if len(word) > 12 or int(word) > BODY_BYTES:
        raise Refused(f"the body is too long: at most {BODY_BYTES} bytes are taken at once", 413)
    return int(word)


def read(headers: Message, stream: Stream, buffered: io.BufferedIOBase) -> bytes:
    """The body as it was sent.  Raises Refused, and TimeoutError when it does not come in time."""
    n_bytes = length(headers)
    stream.allow(n_bytes)
    body = buffered.read(n_bytes)
    if len(body) < n_bytes:
        raise Refused("the body is cut short", 400)
    return body


def unpacked(headers: Message, body: bytes) -> bytes:
    """The body without its Content-Encoding.  Raises Refused."""
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise Refused("this Content-Encoding is not known here: gzip or none, please", 415)
    unpacker = zlib.decompressobj(EITHER)
    try:
        found = unpacker.decompress(body, UNPACKED_BYTES + 1)
    except zlib.error:
        raise Refused("the body is not what its Content-Encoding says", 400) from None
    if len(found) > UNPACKED_BYTES:
        raise Refused(f"the body is too long: at most {UNPACKED_BYTES} bytes unpacked are taken at once", 413)
    if not unpacker.eof or unpacker.unused_data:
        raise Refused("the body is cut short or has more behind it", 400)
    return found


def forget(headers: Message, stream: Stream, buffered: io.BufferedIOBase) -> None:
    """Hear a body that was refused to its end, within limits: a socket closed on unread bytes takes the answer with it."""
    try:
        left = length(headers)
        stream.allow(left)
        while left and (piece := buffered.read(min(left, PIECE_BYTES))):
            left -= len(piece)
    except (Refused, OSError):
        return  # too long, too slow or gone: his affair
