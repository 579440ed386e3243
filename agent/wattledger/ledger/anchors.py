"""Places outside the host where tree heads are anchored: a folder, an object store, or a git working tree (``git:PATH``).

Whoever is root here can rewrite these books from the first fact on, and sign them anew.  What he cannot rewrite is a head that lies
where he may only add.  A head is one file, ``WRITER-YYYYMMDDTHHMMSSZ.json``; the names sort by time and nothing is overwritten.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from wattledger.ledger import heads, lake, signing
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.heads import BadProof, TreeHead
from wattledger.ledger.log import Log
from wattledger.ledger.proofs import Unproven, prove_extension
from wattledger.ledger.verdicts import head_words

PATIENCE_S = 60
NAME = re.compile(r"([0-9a-f]{16})-(\d{8}T\d{6}Z)\.json")
LARGEST_HEAD_BYTES = 64 * 1024
GIT = "git:"


class Place(Protocol):
    """Where heads are kept; everything raises LedgerError."""

    def names(self) -> list[str]:
        """The files there, sorted."""
        ...

    def get(self, name: str) -> bytes:
        """A file's bytes."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """A new file; one that is there already stays, and is an error."""
        ...


def place(where: str) -> Place:
    """What stands behind ``--to``.  Raises LedgerError where it is no such place."""
    return Git(Path(where.removeprefix(GIT)).expanduser()) if where.startswith(GIT) else Lake(where)


def anchored(there: Place, writer: str) -> list[str]:
    """The names of a writer's heads, oldest first."""
    return [name for name in there.names() if (found := NAME.fullmatch(name)) and found[1] == writer]


def read(there: Place, name: str) -> TreeHead:
    """One anchored head.  Raises LedgerError where the file is not what its name says."""
    try:
        head = heads.from_dict(json.loads(there.get(name)[:LARGEST_HEAD_BYTES]))
    except (BadProof, ValueError, RecursionError) as wrong:
        raise LedgerError(f"{name}: not an anchored head: {wrong}") from None
    if name_of(head) != name:
        raise LedgerError(f"{name}: holds another head than its name says: {name_of(head)}")
    return head


def newest(there: Place, writer: str) -> TreeHead | None:
    """The head that was anchored last, ``None`` where none was."""
    names = anchored(there, writer)
    return read(there, names[-1]) if names else None


def anchor(log: Log, there: Place, *, now_s: int, key_file: str = "") -> str:
    """Put the books' head there, signed where there is a key; what was done, in a line.

    Raises Unproven where the books do not extend the head that was anchored last: that head is not to be covered up by a newer one.
    """
    if not log.days:
        return f"nothing to anchor: {log.folder} holds no fact yet"
    head, names = log.head(now_s), anchored(there, log.writer)
    if names:
        last = read(there, names[-1])
        _check(log, last, names[-1], key=None)
        if last.says_the_same_as(head) and (not key_file or last.key == signing.public_key(key_file)):
            return f"nothing new since {names[-1]}"
        head = head._replace(at_s=max(now_s, last.at_s + 1))  # a clock that steps back must not put it before that one
    head = heads.signed(head, key_file) if key_file else head
    there.put(name_of(head), (json.dumps(heads.to_dict(head), sort_keys=True) + "\n").encode())
    return f"anchored {name_of(head)}: {_shown(head)}"


def check(log: Log, there: Place, *, key: str | None = None, every: bool = False) -> Iterator[str]:
    """A line for the head anchored last (``every``: for each, newest first), if the books extend it.

    Raises Unproven where they do not, where none is anchored, or it is not signed by ``key``; LedgerError where the place cannot
    be read.
    """
    names = anchored(there, log.writer)[::-1]
    if not names:
        raise Unproven(f"no head of {log.writer} is anchored there: never anchored, or these are not the books that were")
    for name in names if every else names[:1]:
        head = read(there, name)
        _check(log, head, name, key=key)
        yield f"the books extend {name}: {_shown(head)}"


def _check(log: Log, head: TreeHead, name: str, *, key: str | None) -> None:
    if key is not None and not heads.signature_holds(head, key):
        raise Unproven(f"{name} is not signed by the key {key}")
    if (head.key or head.signature) and not heads.signature_holds(head):
        raise Unproven(f"the signature of {name} is false")
    try:
        prove_extension(log, heads.to_dict(head), now_s=head.at_s)
    except Unproven:
        raise
    except LedgerError as wrong:  # books too broken to show it do not get the benefit of the doubt
        raise Unproven(f"the books cannot be compared with {name}: {wrong}") from None


def _shown(head: TreeHead) -> str:
    return head_words(head) + (f", signed by {head.key}" if head.signature else ", unsigned")


def name_of(head: TreeHead) -> str:
    """The name of a head's file.  Raises LedgerError where its time is none."""
    try:
        return f"{head.writer}-{datetime.fromtimestamp(head.at_s, UTC):%Y%m%dT%H%M%SZ}.json"
    except (ValueError, OverflowError, OSError):
        raise LedgerError(f"the head of {head.writer} was made {head.at_s} s after 1970: no calendar has that") from None


class Lake:
    """A folder or an object store."""

    def __init__(self, url: str) -> None:
        self._url = url

    def names(self) -> list[str]:
        return [name for name in lake.names(self._url) if "/" not in name]

    def get(self, name: str) -> bytes:
        return lake.get(self._url, name)

    def put(self, name: str, data: bytes) -> None:
        if lake.size(self._url, name) is not None:
            raise LedgerError(f"{lake.shown(self._url)}/{name}: is there already; nothing was overwritten")
        lake.put(self._url, name, data)


class Git:
    """A git working tree: heads are committed, and pushed if there is a remote.

    They are read from the remote, because a history that lies here could be rewritten here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not folder.is_dir():
            raise LedgerError(f"{folder}: no such folder to anchor in: git clone or git init it first")
        self._git("rev-parse", "--is-inside-work-tree")
        remotes = self._git("remote").split()
        self._remote = "origin" if "origin" in remotes else (remotes or [""])[0]
        self._branch = self._git("symbolic-ref", "--short", "HEAD").strip()

    def names(self) -> list[str]:
        ref = self._ref()
        return sorted(self._git("ls-tree", "-z", "--name-only", ref).strip("\0").split("\0")) if ref else []

    def get(self, name: str) -> bytes:
        return self._git("show", f"{self._ref(fetch=False)}:./{name}").encode()

    def put(self, name: str, data: bytes) -> None:
        path = self._folder / name
        try:
            with open(path, "xb") as file:
                file.write(data)
        except OSError as wrong:
            raise LedgerError(f"{path}: cannot be written ({wrong.strerror}); nothing was overwritten") from None
        try:
            self._git("add", "--force", "--", name)
            self._git(*self._author(), "commit", "--quiet", "-m", f"Tree head {name.removesuffix('.json')}", "--", name)
        except LedgerError:
            self._git("rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--", name)
            path.unlink(missing_ok=True)
            raise
        if self._remote:
            self._push()

    def _push(self) -> None:
        try:
            self._git("push", "--quiet", "-u", self._remote, self._branch)
        except LedgerError:  # another host may have pushed its own head since
            self._git(*self._author(), "pull", "--quiet", "--rebase", "--autostash", self._remote, self._branch)
            self._git("push", "--quiet", "-u", self._remote, self._branch)

    def _ref(self, *, fetch: bool = True) -> str:
        """What to read from: the remote's branch; without a remote our own; empty where nothing was committed yet."""
        if self._remote and fetch:
            self._git("fetch", "--quiet", self._remote)
        ref = f"refs/remotes/{self._remote}/{self._branch}" if self._remote else f"refs/heads/{self._branch}"
        return ref if self._git("for-each-ref", ref) else ""

    def _author(self) -> list[str]:
        """Who commits, where nobody is configured (a service has no home)."""
        known = self._git("var", "GIT_COMMITTER_IDENT", fails=True)
        return [] if known else ["-c", "user.name=wattledger", "-c", "user.email=wattledger@localhost"]

    def _git(self, *words: str, fails: bool = False) -> str:
        """What git said; ``fails``: empty where it failed, which is an answer.  Raises LedgerError."""
        command = next(word for word in words[::2] if word != "-c")
        try:
            child = subprocess.Popen(
                ["git", "-C", str(self._folder), *words], env=_environ(os.environ), text=True, encoding="utf-8", errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        except OSError as wrong:
            raise LedgerError(f"git cannot be run ({wrong.strerror}): install git, or anchor in a folder") from None
        with child:
            try:
                out, err = child.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)  # what git started, too: a remote that hangs is a child of its own
                raise LedgerError(f"{self._folder}: git {command}: no answer within {PATIENCE_S} s") from None
        if child.returncode and not fails:
            raise LedgerError(f"{self._folder}: git {command}: {_last_line(err)}")
        return "" if child.returncode else out


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, less what would point git at another repository; and it must not ask anybody anything."""
    kept = {name: value for name, value in environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _last_line(err: str) -> str:
    """Git's complaint, without the credentials that a remote's address may carry."""
    lines = [line for line in err.splitlines() if line.startswith(("fatal:", "error:", " ! "))] or err.splitlines() or ["failed"]
    return re.sub(r"(?<=://)[^/@\s]*@", "", lines[0].strip())[:300]
