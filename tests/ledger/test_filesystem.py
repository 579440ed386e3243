"""Where books may lie: on a disk of this host, in a folder of the user's own."""

import os
from pathlib import Path

import pytest

from wattledger.ledger.engine import LedgerError
from wattledger.ledger.filesystem import is_network, spool

MOUNTS = r"""22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw
40 22 0:45 / /home rw,relatime shared:30 - nfs4 filer:/home rw,vers=4.2
41 40 259:3 / /home/scratch rw - xfs /dev/nvme1n1 rw
42 22 0:46 / /with\040space rw master:2 propagate_from:1 - lustre mds@tcp:/fs rw
43 22 0:47 / /cloud rw - fuse.sshfs me@there: rw
44 22 0:48 / /overlay rw - fuse.fuse-overlayfs fuse-overlayfs rw
45 22 8:1 / /stick rw - fuseblk /dev/sda1 rw
46 22 0:49 / /over rw - cifs //filer/over rw
47 46 259:4 / /over rw - ext4 /dev/nvme2n1 rw
48 22 0:50 / /bucket rw - fuse.gcsfuse bucket rw
garbage
49 22 0:51 / /cut rw -
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/wattledger", None),
        ("/home/ada/.local/state/wattledger/ledger", "nfs4"),
        ("/home/scratch/ada", None),
        ("/homes/ada", None),
        ("/with space/ada", "lustre"),
        ("/cloud", "fuse.sshfs"),
        ("/bucket/books", "fuse.gcsfuse"),
        ("/overlay/books", None),
        ("/stick/books", None),
        ("/over/books", None),
        ("/cut/books", None),
    ],
)
def test_the_deepest_mount_says_what_a_path_lies_on(path: str, kind: str | None) -> None:
    assert is_network(Path(path), MOUNTS) == kind


def test_without_mounts_nothing_is_said_to_be_a_network() -> None:
    assert is_network(Path("/home/ada"), "") is None


def test_a_link_leads_to_where_the_books_really_lie(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    mounts = f"22 1 259:2 / / rw - ext4 d rw\n23 22 0:9 / {os.path.realpath(tmp_path / 'real')} rw - beegfs d rw\n"
    assert is_network(tmp_path / "link" / "ledger", mounts) == "beegfs"


def test_a_spool_is_the_users_alone_and_one_for_each_path(tmp_path: Path) -> None:
    first = spool(Path("/home/ada/books"), os.getuid(), tmp_path)
    assert first == spool(Path("/home/ada/books"), os.getuid(), tmp_path)
    assert first != spool(Path("/home/ada/other"), os.getuid(), tmp_path)
    assert first.parent == tmp_path / f"wattledger-{os.getuid()}"
    assert [folder.stat().st_mode & 0o777 for folder in (first, first.parent)] == [0o700, 0o700]


def test_a_spool_that_was_left_open_is_closed(tmp_path: Path) -> None:
    own = tmp_path / f"wattledger-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    spool(Path("/home/ada/books"), os.getuid(), tmp_path)
    assert own.stat().st_mode & 0o777 == 0o700


def test_a_spool_that_belongs_to_another_is_refused(tmp_path: Path) -> None:
    other = os.getuid() + 1
    (tmp_path / f"wattledger-{other}").mkdir()
    with pytest.raises(LedgerError, match="not this user's own"):
        spool(Path("/home/ada/books"), other, tmp_path)


def test_a_spool_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"wattledger-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match="not this user's own"):
        spool(Path("/home/ada/books"), os.getuid(), tmp_path)


def test_no_room_for_a_spool_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"wattledger-\d+: No such file or directory: name a local"):
        spool(Path("/home/ada/books"), os.getuid(), tmp_path / "absent")
