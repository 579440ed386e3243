"""A lake: where a fleet's sealed segments are shared, a folder or an object store (an fsspec URL), laid out as days by host.

Everything in it is written whole, once: what is there is never overwritten by something else.  The only file that knows fsspec;
plain folders and ``file://`` need no library.  Names are relative to the lake's root, with ``/``.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from wattledger.ledger import manifest
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import Manifest

BLOCK_BYTES = 1 << 20
AT_ONCE = 500
SEALED = re.compile(r"day=\d{4}-\d{2}-\d{2}/host=[^/]+/[0-9a-f]{16}\.json")


def is_url(place: str | Path) -> bool:
    """Whether this is an object store's URL rather than a folder."""
    return isinstance(place, str) and "://" in place and not place.startswith(("file://", "local://"))


def path_of(place: str | Path) -> Path:
    """The folder that a place is which is no URL of an object store."""
    text = str(place)
    if text.startswith(("file://", "local://")):
        from urllib.parse import unquote, urlsplit

        text = unquote(urlsplit(text).path) or "/"
    return Path(text).expanduser()


def shown(url: str | Path) -> str:
    """The URL without the credentials that it may carry."""
    return re.sub(r"(?<=://)[^/@]*@", "", str(url)).split("?")[0]


def names(url: str | Path, prefix: str = "") -> list[str]:
    """The files under ``prefix`` (a folder's name, or none), sorted; none where nothing is there yet.  Raises LedgerError."""
    with _told(url, "list"):
        return [name for name in sorted(storage(url).names(prefix)) if not name.endswith(".tmp")]


def get(url: str | Path, name: str) -> bytes:
    """A file's bytes.  Raises LedgerError."""
    with _told(url, f"read {name}"), storage(url).open(name) as file:
        return file.read()


def fetch(url: str | Path, name: str, to: Path) -> str:
    """Copy a file here, and say its SHA-256 in hex.  Raises LedgerError."""
    with _told(url, f"read {name}"), storage(url).open(name) as file, open(to, "wb") as here:
        return _digest(file, here)


def sha256(url: str | Path, name: str) -> str:
    """A file's SHA-256 in hex.  Raises LedgerError."""
    with _told(url, f"read {name}"), storage(url).open(name) as file:
        return _digest(file)


def size(url: str | Path, name: str) -> int | None:
    """A file's length in bytes, ``None`` where there is none.  Raises LedgerError."""
    with _told(url, f"look for {name}"):
        return storage(url).size(name)


def put(url: str | Path, name: str, data: bytes | Path) -> None:
    """Write a file whole, in place of what had that name; ``data`` may be a file here.  Raises LedgerError."""
    with _told(url, f"write {name}"):
        storage(url).put(name, data)


def remove(url: str | Path, name: str) -> None:
    """Delete a file; that it is gone already is fine.  Raises LedgerError."""
    with _told(url, f"delete {name}"):
        storage(url).remove(name)


def address(url: str | Path, name: str) -> str:
    """What DuckDB opens a file by; for an object store, once ``filesystem(url)`` is registered with it."""
    with _told(url, f"find {name}"):
        return storage(url).address(name)


def filesystem(url: str | Path) -> Any | None:
    """The fsspec file system that DuckDB reads this lake through (``register_filesystem``); ``None``: it needs none."""
    with _told(url, "open"):
        found = storage(url)
        return found.fs if isinstance(found, Objects) else None


def fetch_manifests(url: str | Path, prefix: str = "") -> list[Manifest]:
    """The manifests of the lake's segments (``prefix``: a day's, ``day=YYYY-MM-DD``), by day, host and writer.  Raises LedgerError.

    Their ``folder`` is relative to the lake's root: ``address(url, f"{m.folder}/{m.file}")``.
    """
    found = [name for name in names(url, prefix) if SEALED.fullmatch(name)]
    with _told(url, "read the manifests"):
        texts = storage(url).read_all(found)
    return [_manifest(url, name, text) for name, text in zip(found, texts, strict=True)]


def _manifest(url: str | Path, name: str, text: bytes) -> Manifest:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name.rpartition("/")[2])
        path.write_bytes(text)
        try:
            return manifest.read(path)._replace(folder=Path(name).parent)
        except manifest.BadManifest as wrong:
            raise manifest.BadManifest(str(wrong).replace(str(path), f"{shown(url)}/{name}")) from None


def share(folder: Path, url: str | Path, say: Callable[[str], None]) -> int:
    """Upload the sealed segments of a store that are not in the lake yet; how many.

    Each as its Parquet and then its manifest, so that a manifest stands for a whole segment.  Stopped in between, it goes on where
    it was.  Another file under a segment's name is a LedgerError, and stays.
    """
    sealed = manifest.segments_of(folder)
    there = set(names(url))
    count = 0
    for mine in fetch_manifests(sealed):
        count += _share_one(sealed, url, (mine, there), say)
    return count


def _share_one(sealed: Path, url: str | Path, what: tuple[Manifest, set[str]], say: Callable[[str], None]) -> bool:
    mine, there = what
    data = f"{mine.folder.as_posix()}/{mine.file}"
    name = data.removesuffix(".parquet") + ".json"
    if name in there:
        theirs = _manifest(url, name, get(url, name))
        if (theirs.sha256, theirs.segment) != (mine.sha256, mine.segment):
            raise LedgerError(f"{shown(url)}/{name}: another segment has this name; nothing was overwritten: compare the two")
        return False
    if not (sealed / data).exists():
        say(f"{data}: compacted here before it was shared; it cannot be shared any more")
        return False
    if sha256(sealed, data) != mine.sha256:
        raise LedgerError(f"{sealed / data}: does not have the digest in its manifest; not shared: run `wattledger ledger verify`")
    if data not in there:
        put(url, data, sealed / data)
    elif sha256(url, data) != mine.sha256:
        raise LedgerError(f"{shown(url)}/{data}: another file has this name already; nothing was overwritten: compare the two")
    put(url, name, sealed / name)
    say(f"{data}: shared")
    return True


def storage(url: str | Path) -> "Folder | Objects":
    """What stands behind a URL; ``put`` writes a file whole or not at all.  LedgerError where a library for it is missing."""
    if is_url(url):
        return Objects(str(url))
    return Folder(path_of(url))


class Folder:
    """A folder.  A file gets its name when it is whole and on the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, prefix: str) -> list[str]:  # by text: a Path for each of a year's 365,000 manifests takes 20 s
        found, skip = [], len(os.path.join(self._root, ""))
        for base, folders, files in os.walk(os.path.join(self._root, prefix)):
            folders[:] = [folder for folder in folders if not folder.startswith(".")]
            under = base[skip:].replace(os.sep, "/")
            found += [f"{under}/{file}".strip("/").replace("//", "/") for file in files if not file.startswith(".")]
        return found

    def open(self, name: str) -> BinaryIO:
        return open(self._root / name, "rb")

    def read_all(self, names: list[str]) -> list[bytes]:
        return [(self._root / name).read_bytes() for name in names]

    def put(self, name: str, data: bytes | Path) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with open(part, "wb") as to:
                if isinstance(data, Path):
                    with open(data, "rb") as file:
                        shutil.copyfileobj(file, to, BLOCK_BYTES)
                else:
                    to.write(data)
                to.flush()
                os.fsync(to.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _sync(path.parent)

    def size(self, name: str) -> int | None:
        try:
            return (self._root / name).stat().st_size
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    def address(self, name: str) -> str:
        return str(self._root / name)


class Objects:
    """An object store behind fsspec.  It puts whole objects or none."""

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise LedgerError(f"{shown(url)}: a lake in an object store needs fsspec: pip install 'wattledger[books]'") from None
        try:
            self.fs, root = url_to_fs(url)
        except (ImportError, ValueError) as missing:
            raise LedgerError(f"{shown(url)}: {' '.join(str(missing).split())}") from None
        self._root = str(root).rstrip("/")

    def names(self, prefix: str) -> list[str]:
        self.fs.invalidate_cache()  # another host may have shared since
        found = self.fs.find(f"{self._root}/{prefix}".rstrip("/"))
        return [str(path)[len(self._root) :].lstrip("/") for path in found]

    def open(self, name: str) -> BinaryIO:
        file: BinaryIO = self.fs.open(f"{self._root}/{name}", "rb")
        return file

    def read_all(self, names: list[str]) -> list[bytes]:
        paths = [f"{self._root}/{name}" for name in names]
        found: dict[str, bytes] = {}
        for first in range(0, len(paths), AT_ONCE):
            found |= self.fs.cat(paths[first : first + AT_ONCE])  # an object store answers many questions at once
        return [found[path] for path in paths]

    def put(self, name: str, data: bytes | Path) -> None:
        path = f"{self._root}/{name}"
        if isinstance(data, Path):
            self.fs.put_file(str(data), path)
        else:
            self.fs.pipe_file(path, data)

    def size(self, name: str) -> int | None:
        self.fs.invalidate_cache()
        try:
            return int(self.fs.info(f"{self._root}/{name}")["size"])
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        try:
            self.fs.rm_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return

    def address(self, name: str) -> str:
        return str(self.fs.unstrip_protocol(f"{self._root}/{name}"))


@contextmanager
def _told(url: str | Path, what: str) -> Iterator[None]:
    """Every library behind fsspec has errors of its own: they become one line here."""
    try:
        yield
    except LedgerError:
        raise
    except FileNotFoundError:
        raise LedgerError(f"{shown(url)}: cannot {what}: it is not there") from None
    except Exception as failure:
        why = getattr(failure, "strerror", None) or " ".join(str(failure).split())[:200] or type(failure).__name__
        raise LedgerError(f"{shown(url)}: cannot {what}: {why}") from None


def _digest(file: BinaryIO, to: BinaryIO | None = None) -> str:
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
        if to is not None:
            to.write(block)
    return digest.hexdigest()


def _sync(folder: Path) -> None:
    """A rename is on the disk when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
