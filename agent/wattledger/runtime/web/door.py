"""The door: the web configuration in force, and whom it lets in."""

import hmac
import secrets
import threading
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

from wattledger.runtime.config import ConfigError
from wattledger.runtime.web.access import Access, load, verifier

NOBODYS = b"\0" * 32  # a digest that no password has


class Door:
    """The file in force.  Any thread.

    State: what was read last and when its files were written; passwords that were found right, as keyed digests.
    """

    def __init__(self, file: str, say: Callable[[str], None]) -> None:
        self._path = Path(file) if file else None
        self._say = say
        self._lock = threading.Lock()
        self._slow = threading.Lock()  # bcrypt: one at a time, or guessers would have every core
        self._key = secrets.token_bytes(32)  # of this process, so that a digest is worth nothing elsewhere
        self._right: dict[str, bytes] = {}
        self._complaint = ""
        self._access = load(self._path) if self._path else Access()
        self._written: tuple[object, ...] = ()  # so the first request reads it again: it may have changed since

    def current(self, *, again: bool = False) -> Access:
        """The file in force, read anew if it has changed (``again``: in any case).  A bad one is said once and changes nothing."""
        if self._path is None:
            return self._access
        with self._lock:
            stamps = self._stamps()
            if again or self._complaint or stamps != self._written:
                self._read(self._path)
                self._written = stamps  # taken before the reading: what is written meanwhile is seen next time
            return self._access

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(file) for file in self._access.files)

    def _read(self, path: Path) -> None:
        try:
            found, old = load(path), self._access
            if (old.tls and not found.tls) or (old.users and not found.users):
                # Half a file is often a valid one: a reload never opens what was closed.
                raise ConfigError(f"agent.web_config {path}: TLS or the users are gone from it; restart the agent to do without")
        except ConfigError as wrong:
            if str(wrong) != self._complaint:
                self._complaint = str(wrong)
                self._say(f"{wrong}; the one before stays in force")
            return
        self._complaint = ""
        self._access, self._right = found, {}

    def admits(self, access: Access, authorization: str) -> bool:
        """Whether an ``Authorization`` header may pass.  The first time that a password is right costs a bcrypt, as does each
        wrong one, for a user that is not there too."""
        if not access.users:
            return True
        said = _basic(authorization)
        if said is None:
            return False
        user, password = said
        known = access.users.get(user)
        digest = hmac.digest(self._key, b"\0".join([known or b"", password]), "sha256")
        if hmac.compare_digest(digest, self._right.get(user, NOBODYS)):
            return True
        with self._slow:
            right = verifier()(password, known or next(iter(access.users.values())))
        if not right or known is None:
            return False
        self._right[user] = digest
        return True


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _basic(authorization: str) -> tuple[str, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if scheme.lower() == "basic" and colon else None
    except ValueError:
        return None
