"""Manifests: one canonical line each, every byte of which counts."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.forged import books

from wattledger.ledger import merkle
from wattledger.ledger.manifest import BadManifest, Manifest, Segment, excused, home, manifests, read, segments_of


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return manifests(books(tmp_path / "books"))[0]


def test_what_is_written_is_read(manifest: Manifest) -> None:
    assert read(manifest.written) == manifest
    assert manifest.written.read_text(encoding="utf-8") == manifest.text()
    assert manifest.path.stat().st_size == manifest.bytes


def test_a_leaf_is_canonical_json_and_names_the_segment(manifest: Manifest) -> None:
    segment = manifest.segment
    assert json.loads(segment.leaf()) == segment._asdict()
    assert segment.leaf() == json.dumps(segment._asdict(), sort_keys=True, separators=(",", ":")).encode()
    assert segment.digest() == merkle.leaf_hash(segment.leaf()).hex()
    assert segment.last_seq == segment.first_seq + segment.count - 1
    assert excused(manifest, {segment.digest()})
    assert not excused(manifest, {"00" * 32})


def test_manifests_are_ordered_by_their_place_in_the_log(manifest: Manifest) -> None:
    found = manifests(manifest.folder.parents[2])
    assert [(m.index, m.segment.first_seq) for m in found] == [(0, 1), (1, 19)]
    assert found[1].segment.head_before == found[0].segment.head


def test_a_stores_segments_lie_below_it_and_a_lakes_at_its_root(manifest: Manifest, tmp_path: Path) -> None:
    store = manifest.folder.parents[2]
    assert segments_of(store) == store / "segments"
    assert segments_of(store / "segments") == store / "segments"
    assert segments_of(tmp_path / "nothing yet") == tmp_path / "nothing yet"
    assert home(store / "segments", manifest.segment) == manifest.folder


@pytest.mark.parametrize("host", ["..", "a/../../b", ".", "/", "a=b", "%2F", "ü"])
def test_no_hosts_name_leads_out_of_its_day(manifest: Manifest, host: str) -> None:
    place = home(Path("s"), manifest.segment._replace(host=host))
    assert place.parent == Path("s") / f"day={manifest.segment.day}"
    assert place.name.startswith("host=")


def changed(manifest: Manifest, field: str, value: Any) -> Manifest:
    if field in Segment._fields:
        return manifest._replace(segment=manifest.segment._replace(**{field: value}))
    return manifest._replace(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("count", 0), ("count", "18"), ("count", True), ("first_seq", 0), ("index", -1), ("file", "../x.parquet"), ("writer", "../x"),
     ("host", 3), ("energy_uj", 1.5), ("bytes", None), ("key", 1)],
)  # fmt: skip
def test_a_manifest_of_no_segment_is_refused_though_its_digest_holds(manifest: Manifest, field: str, value: Any) -> None:
    manifest.written.write_text(changed(manifest, field, value).text(), encoding="utf-8")
    with pytest.raises(BadManifest, match="not a manifest of this version"):
        read(manifest.written)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b"{" * 100_000, b"null", b'{"segment":[]}'])
def test_what_is_no_manifest_is_told_in_one_line(manifest: Manifest, text: bytes) -> None:
    manifest.written.write_bytes(text)
    with pytest.raises(BadManifest) as caught:
        manifests(manifest.folder.parents[2])
    assert str(caught.value).startswith(f"{manifest.written}: ")
    assert "\n" not in str(caught.value)


def test_another_form_of_the_same_words_is_refused(manifest: Manifest) -> None:
    found = json.loads(manifest.text())
    manifest.written.write_text(json.dumps(found, indent=1), encoding="utf-8")
    with pytest.raises(BadManifest, match="changed since it was written"):
        read(manifest.written)
