"""The lake: shared once, whole, and never overwritten."""

import os
from pathlib import Path

import fsspec
import pytest
from tests.ledger.fleet import Failing, failing, host, joules, memory, silent, until_it_works

from wattledger.ledger import lake
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import BadManifest, manifests


def place(kind: str, tmp_path: Path) -> str | Path:
    """An empty lake of this kind."""
    folder = tmp_path / "a lake"
    places: dict[str, str | Path] = {"folder": folder, "text": str(folder), "file": folder.as_uri(), "memory": memory()}
    return places[kind]


KINDS = ["folder", "text", "file", "memory"]


@pytest.mark.parametrize("kind", KINDS)
def test_sharing_twice_uploads_once(tmp_path: Path, kind: str) -> None:
    books, url = host(tmp_path, "gpu-0", days=2, minutes=2), place(kind, tmp_path)
    said: list[str] = []
    assert (lake.share(books, url, said.append), lake.share(books, url, said.append)) == (2, 0)
    assert len(said) == 2
    mine = manifests(books)
    found = lake.fetch_manifests(url)
    assert [one.segment for one in found] == [one.segment for one in mine]
    assert [lake.get(url, f"{one.folder}/{one.file}") for one in found] == [one.path.read_bytes() for one in mine]
    assert [lake.sha256(url, f"{one.folder}/{one.file}") for one in found] == [one.sha256 for one in mine]
    assert joules(url) == joules(books) == joules(books, url)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_is_got(tmp_path: Path, kind: str) -> None:
    url = place(kind, tmp_path)
    assert lake.names(url) == []
    (tmp_path / "here").write_bytes(b"from a file")
    lake.put(url, "a/b=1/c.txt", b"one")
    lake.put(url, "a/b=1/c.txt", b"two")
    lake.put(url, "d", tmp_path / "here")
    assert lake.names(url) == ["a/b=1/c.txt", "d"]
    assert lake.names(url, "a") == ["a/b=1/c.txt"]
    assert (lake.get(url, "a/b=1/c.txt"), lake.get(url, "d")) == (b"two", b"from a file")
    assert (lake.size(url, "d"), lake.size(url, "e")) == (11, None)
    assert lake.fetch(url, "d", tmp_path / "there") == lake.sha256(url, "d")
    assert (tmp_path / "there").read_bytes() == b"from a file"
    lake.remove(url, "d")
    lake.remove(url, "d")
    assert lake.names(url) == ["a/b=1/c.txt"]
    with pytest.raises(LedgerError, match="it is not there"):
        lake.get(url, "d")


def test_a_stopped_upload_goes_on_where_it_was(tmp_path: Path) -> None:
    books, url = host(tmp_path, "gpu-0", days=3, minutes=2), failing()
    shared = [len(lake.fetch_manifests(url)) for _ in until_it_works(lambda: lake.share(books, url, silent))]
    assert shared == sorted(shared)
    assert shared[0] == 0
    assert len(lake.fetch_manifests(url)) == 3
    assert joules(url) == joules(books)


def test_a_killed_upload_leaves_no_half_file_under_a_segments_name(tmp_path: Path) -> None:
    books, folder = host(tmp_path, "gpu-0", minutes=2), tmp_path / "lake"
    [mine] = manifests(books)
    day = folder / mine.folder.relative_to(books / "segments")
    day.mkdir(parents=True)
    half = day / f"{mine.file}.1.tmp"
    half.write_bytes(b"half")
    assert lake.names(folder) == []
    assert lake.share(books, folder, silent) == 1
    assert joules(folder) == joules(books)


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_another_file_under_a_segments_name_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    books, url = host(tmp_path, "gpu-0", minutes=2), place(kind, tmp_path)
    [mine] = manifests(books)
    name = f"{mine.folder.relative_to(books / 'segments')}/{mine.file}"
    lake.put(url, name, b"somebody else's")
    with pytest.raises(LedgerError, match="nothing was overwritten") as caught:
        lake.share(books, url, silent)
    assert "\n" not in str(caught.value)
    assert lake.get(url, name) == b"somebody else's"


def test_another_segment_under_the_same_name_is_never_overwritten(tmp_path: Path) -> None:
    books, url = host(tmp_path, "gpu-0", minutes=2), memory()
    lake.share(books, url, silent)
    [mine] = manifests(books)
    changed = mine._replace(sha256="0" * 64)
    name = f"{mine.folder.relative_to(books / 'segments')}/{mine.segment.writer}.json"
    lake.put(url, name, changed.text().encode())
    with pytest.raises(LedgerError, match="nothing was overwritten"):
        lake.share(books, url, silent)
    lake.put(url, name, changed.text().encode().replace(b'"bytes":', b'"bytes":1'))
    with pytest.raises(BadManifest, match="changed since it was written") as caught:
        lake.fetch_manifests(url)
    assert str(caught.value).startswith(f"{url}/day=")


def test_a_damaged_segment_is_not_shared(tmp_path: Path) -> None:
    books, url = host(tmp_path, "gpu-0", minutes=2), memory()
    path = manifests(books)[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(LedgerError, match="does not have the digest"):
        lake.share(books, url, silent)
    assert lake.names(url) == []


def test_books_without_a_sealed_day_share_nothing(tmp_path: Path) -> None:
    assert lake.share(tmp_path, memory(), silent) == 0


@pytest.mark.parametrize("url", ["s9://bucket/x", "memry://x"])
def test_a_store_that_nobody_knows_is_one_line(url: str) -> None:
    with pytest.raises(LedgerError) as caught:
        lake.names(url)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(url)


def test_no_credential_is_ever_said() -> None:
    said = lake.shown("s3://AKIA123:secret@bucket/x?token=hush")
    assert said == "s3://bucket/x"
    with pytest.raises(LedgerError) as caught:
        lake.names("s9://AKIA123:secret@bucket/x?token=hush")
    assert "secret" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_stores_own_error_is_one_line() -> None:
    url = failing()
    Failing.allowed = 0
    try:
        with pytest.raises(LedgerError, match="cannot write a: the bucket is gone"):
            lake.put(url, "a", b"1")
    finally:
        Failing.allowed = 10**9


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LedgerError, match="Permission denied"):
        lake.put(tmp_path / "lake", "a", b"1")


def test_duckdb_reads_a_lake_by_its_address(tmp_path: Path) -> None:
    assert lake.filesystem(tmp_path) is None
    assert lake.address(tmp_path, "a/b") == str(tmp_path / "a" / "b")
    url = memory()
    assert isinstance(lake.filesystem(url), type(fsspec.filesystem("memory")))
    assert lake.address(url, "a/b").startswith("memory://")
