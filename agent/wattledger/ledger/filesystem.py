"""Which file system a folder lies on: SQLite's locks do not hold across hosts, so books are kept on disks of this one."""

import os
import re
import stat
from hashlib import sha256
from pathlib import Path

from wattledger.ledger.engine import LedgerError

SPOOLS = Path("/var/tmp")  # kept over a restart, unlike its shorter namesake
NETWORK = frozenset(
    {
        "9p", "acfs", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "cvfs", "daos", "dvs", "gfs", "gfs2", "glusterfs", "gpfs",
        "lustre", "mmfs", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "quobyte", "smb2", "smb3", "smbfs",
        "vboxsf", "vmhgfs", "wekafs",
    }
)  # fmt: skip
# Anything may be behind the others.
LOCAL_FUSE = frozenset(
    {
        "fuse.bindfs", "fuse.encfs", "fuse.exfat", "fuse.ext2", "fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.lxcfs",
        "fuse.mergerfs", "fuse.ntfs", "fuse.ntfs-3g", "fuse.unionfs",
    }
)  # fmt: skip
OCTAL = re.compile(r"\\([0-7]{3})")


def is_network(path: Path, mounts_text: str) -> str | None:
    """The type of the network (or unknown FUSE) file system that the path lies on, or will once it is made; else ``None``.

    ``mounts_text``: what ``/proc/self/mountinfo`` says; read it after the path was looked at, as looking may mount.
    """
    kind = kind_of(path, mounts_text)
    return kind if kind in NETWORK or (kind.startswith("fuse") and kind != "fuseblk" and kind not in LOCAL_FUSE) else None


def kind_of(path: Path, mounts_text: str) -> str:
    """The type of the file system that the path lies on; empty where the mounts do not say."""
    parts = Path(os.path.realpath(path)).parts
    found, depth = "", 0
    for line in mounts_text.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split()
        if not dash or len(fields) < 5 or not after:
            continue
        mounted = Path(OCTAL.sub(lambda octal: chr(int(octal[1], 8)), fields[4])).parts
        if len(mounted) >= depth and parts[: len(mounted)] == mounted:  # of two at one place, the later hides the earlier
            found, depth = after.split()[0], len(mounted)
    return found


def spool(path: Path, uid: int, spools: Path = SPOOLS) -> Path:
    """A folder on this host's disk for the books that ``path`` is no place for; each path has its own.

    It is the user's alone: one that belongs to somebody else is refused.  Raises LedgerError.
    """
    own = spools / f"wattledger-{uid}"
    folder = own / sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:12]
    for made in (own, folder):
        try:
            _make(made)
            found = made.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
                raise LedgerError(f"{made}: is not this user's own folder: have it removed, or name a local [ledger] path")
            if stat.S_IMODE(found.st_mode) != 0o700:
                made.chmod(0o700)
        except OSError as wrong:
            raise LedgerError(f"{made}: {wrong.strerror}: name a local [ledger] path") from None
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
