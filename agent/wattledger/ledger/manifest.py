"""Sealed days and their manifests: what a segment holds, where its file lies, and its place in the writer's log.

A segment's ``leaf`` is a leaf of the writer's log, the RFC 6962 tree over its segments in order.  A manifest is one line of
canonical JSON that carries its own digest, so that no byte of it can change unseen.  Manifests stay when a segment's file has been
rolled up.
"""

import json
from collections.abc import Collection, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from wattledger.ledger import merkle
from wattledger.ledger.body import canonical
from wattledger.ledger.engine import LedgerError

SCHEMA = "wattledger.segment/1"
SEGMENTS = "segments"
COMPACT = "compact"  # under the segments: what was rolled up, with the digests of what it was made of


class Segment(NamedTuple):
    """One recorded day of one chain.  Digests are hex.

    ``root``: the Merkle root over the day's bodies (UTF-8, in order).  ``head_before`` and ``head``: the chain before the first
    and after the last.  ``energy_uj``: the sum of its energy facts as they stand, corrections not applied.
    """

    writer: str
    host: str
    day: str
    first_seq: int
    count: int  # type: ignore[assignment]  # a tuple counts too, and nobody asks this one
    root: str
    head_before: str
    head: str
    energy_uj: int
    recorded_from_s: int
    recorded_to_s: int

    @property
    def last_seq(self) -> int:
        """The number of its last fact."""
        return self.first_seq + self.count - 1

    def leaf(self) -> bytes:
        """Its leaf in the writer's log; what is signed."""
        return canonical(self._asdict()).encode()

    def digest(self) -> str:
        """The hash of that leaf: what a roll-up names its sources by."""
        return merkle.leaf_hash(self.leaf()).hex()


class Manifest(NamedTuple):
    """A sealed segment: ``file`` (a name in ``folder``), its SHA-256 and size, and the segment's ``index`` in the writer's log.

    ``key`` and ``signature`` (Ed25519 over the leaf) are empty where nothing was signed.
    """

    segment: Segment
    file: str
    sha256: str
    bytes: int
    index: int  # type: ignore[assignment]  # as `count` above
    key: str = ""
    signature: str = ""
    folder: Path = Path()

    @property
    def path(self) -> Path:
        """Where the segment's Parquet file is, or was."""
        return self.folder / self.file

    @property
    def written(self) -> Path:
        """Where the manifest itself is."""
        return self.folder / f"{self.segment.writer}.json"

    def text(self) -> str:
        """The manifest as it is written, its own digest included."""
        said = {name: value for name, value in self._asdict().items() if name not in ("folder", "segment")}
        plain: dict[str, Any] = {"schema": SCHEMA, "segment": self.segment._asdict(), **said}
        return canonical({**plain, "digest": sha256(canonical(plain).encode()).hexdigest()}) + "\n"


class BadManifest(LedgerError):
    """A manifest is not as it was written; the message is one line: which, and what is wrong."""


def segments_of(folder: Path) -> Path:
    """Where a folder's segments lie: below ``segments`` of a store, right below the root of a lake."""
    return folder / SEGMENTS if (folder / SEGMENTS).is_dir() or (folder / "open.db").exists() else folder


def home(segments: Path, segment: Segment) -> Path:
    """The folder of one segment.  A host's name may hold anything; a folder's may not."""
    return segments / f"day={segment.day}" / f"host={quote(segment.host, safe='')}"


def read(path: Path) -> Manifest:
    """The manifest in a file.  Raises BadManifest."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
        segment = Segment(**found["segment"])
        manifest = Manifest(segment, **{name: found[name] for name in Manifest._fields[1:-1]}, folder=path.parent)
        _check_types(manifest)
        whole = manifest.text() == text
    except OSError as wrong:
        raise BadManifest(f"{path}: cannot be read ({wrong.strerror})") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadManifest(f"{path}: not a manifest of this version, or changed since it was written") from None
    if not whole:
        raise BadManifest(f"{path}: changed since it was written (its own digest does not hold)")
    return manifest


def manifests(folder: Path) -> list[Manifest]:
    """All manifests of a store or a lake, by writer and place in its log.  Raises BadManifest at the first that is not whole."""
    found = [read(path) for path in manifest_files(segments_of(folder))]
    return sorted(found, key=lambda manifest: (manifest.segment.writer, manifest.index))


def manifest_files(segments: Path) -> Iterator[Path]:
    """The files that should be manifests."""
    return iter(sorted(segments.glob("day=*/host=*/*.json")))


def excused(manifest: Manifest, sources: Collection[str]) -> bool:
    """Whether the segment's file may be gone: it was rolled up into another (``sources``: of ``compaction.rolled_up``)."""
    return manifest.segment.digest() in sources


def _check_types(manifest: Manifest) -> None:
    segment = manifest.segment
    for name, value in {**segment._asdict(), **manifest._asdict()}.items():
        hint = (Segment.__annotations__ | Manifest.__annotations__)[name]
        if not isinstance(value, hint) or isinstance(value, bool):
            raise TypeError(name)
    plain = f"{segment.writer}.parquet"
    if segment.count < 1 or segment.first_seq < 1 or manifest.index < 0 or manifest.file != plain or not segment.writer.isalnum():
        raise ValueError("no segment says so")
