"""Is a sealed segment what its manifest says?  File, chain, Merkle root, sums, and every column against its body."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from wattledger.ledger.body import day_of
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import Manifest
from wattledger.ledger.parquet import Sealed
from wattledger.ledger.tally import Tally

BLOCK_BYTES = 1 << 20
Wrong = tuple[int | None, str]  # the fact's number where it is known, and what is wrong


def first_problem(manifest: Manifest) -> Wrong | None:
    """The first thing that is wrong with a segment, ``None`` where nothing is."""
    try:
        if (found := _file(manifest)) is not None:
            return None, found
        sealed = Sealed(manifest.path)
    except LedgerError as wrong:
        return None, str(wrong)
    # The engine compares columns without Python's lock: beside the hashing it costs no time.
    with closing(sealed), ThreadPoolExecutor(1) as beside:
        columns = beside.submit(_columns, manifest)
        try:
            wrong_body = _bodies(manifest, sealed)
        except LedgerError as wrong:
            return None, str(wrong)
        return wrong_body or columns.result()


def first_differing(manifest: Manifest) -> Wrong | None:
    """As far as a damaged file can be read: the first row whose columns and body disagree.  May crash with the engine: call it in a
    process of its own."""
    if (found := _columns(manifest)) is not None:
        return found
    try:
        with closing(Sealed(manifest.path)) as sealed:
            return _bodies(manifest, sealed)
    except LedgerError as wrong:
        return None, str(wrong)


def _columns(manifest: Manifest) -> Wrong | None:
    try:
        with closing(Sealed(manifest.path)) as sealed:
            return sealed.first_differing(manifest.segment.writer)
    except LedgerError as wrong:
        return None, str(wrong)


def _file(manifest: Manifest) -> str | None:
    path: Path = manifest.path
    digest, size = sha256(), 0
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    except OSError as wrong:
        return f"the file cannot be read: {wrong.strerror}"
    if size != manifest.bytes:
        return f"the file has {size} bytes, and had {manifest.bytes} when it was sealed"
    return None if digest.hexdigest() == manifest.sha256 else "the file changed since it was sealed (SHA-256)"


def _bodies(manifest: Manifest, sealed: Sealed) -> Wrong | None:
    segment = manifest.segment
    found = sealed.first_misplaced(segment.first_seq)
    if found is not None:
        return found
    sums = sealed.sums()
    if sums.count != segment.count:
        return None, f"{sums.count} facts are here, and {segment.count} were sealed"
    said = (segment.energy_uj, segment.recorded_from_s, segment.recorded_to_s)
    if sums[1:] != said:
        return None, f"its energy or times are {tuple(sums[1:])}, and were {said} when it was sealed"
    if {day_of(segment.recorded_from_s), day_of(segment.recorded_to_s)} != {segment.day}:
        return None, "its facts are not of its day"
    tally = Tally(bytes.fromhex(segment.head_before))
    for bodies in sealed.batches():
        tally.add(bodies)
    if tally.root().hex() != segment.root:
        return None, "its facts are not those that were sealed (Merkle root)"
    if tally.head.hex() != segment.head:
        return None, "its facts do not lead from the chain before it to the chain behind it"
    return None
