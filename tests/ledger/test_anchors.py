"""Anchored heads catch whoever is root here: in a folder, in an object store, and in git with and without a remote."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.histories import Event, events, lived, writer_of
from tests.ledger.keys import KNOWN_PUBLIC, key_file
from tests.ledger.made import DAY_S, NOON_S, energy

from wattledger.ledger import anchors, segments
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.log import look
from wattledger.ledger.proofs import Unproven
from wattledger.ledger.store import Store

HISTORY: list[Event] = [("facts", 3), ("days", 1), ("seal", 0), ("facts", 4)]


@pytest.fixture(autouse=True)
def nobody_configured_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def git(*words: str | Path) -> str:
    return subprocess.run(["git", *map(str, words)], check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=["folder", "memory", "git", "git with a remote"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Somewhere to anchor, empty."""
    if request.param == "folder":
        return str(tmp_path / "not" / "yet" / "there")
    if request.param == "memory":
        pytest.importorskip("fsspec")
        return f"memory://{tmp_path.name}/{os.getpid()}"
    git("init", "-q", tmp_path / "tree")
    if request.param == "git with a remote":
        git("init", "-q", "--bare", tmp_path / "remote")
        git("-C", tmp_path / "tree", "remote", "add", "origin", tmp_path / "remote")
    return f"git:{tmp_path / 'tree'}"


def anchor(folder: Path, place: str, now_s: int = NOON_S, key: str = "") -> str:
    return anchors.anchor(look(folder), anchors.place(place), now_s=now_s, key_file=key)


def check(folder: Path, place: str, key: str | None = None, *, every: bool = False) -> list[str]:
    return list(anchors.check(look(folder), anchors.place(place), key=key, every=every))


def more(folder: Path, now_s: int) -> None:
    store = Store.open(folder)
    store.append([energy(1, start_s=now_s)], now_s)
    store.close()


def test_books_that_only_grew_extend_what_was_anchored(tmp_path: Path, place: str) -> None:
    books = tmp_path / "books"
    lived(books, HISTORY)
    assert anchor(books, place).startswith(f"anchored {writer_of(books)}-20260921T120000Z.json: ")
    assert anchor(books, place, NOON_S + 60) == f"nothing new since {writer_of(books)}-20260921T120000Z.json"
    more(books, NOON_S + 2 * DAY_S)
    segments.seal(books, NOON_S + 2 * DAY_S)  # the day that was open when it was anchored
    assert len(check(books, place)) == 1
    assert "20260923" in anchor(books, place, NOON_S + 2 * DAY_S)
    segments.seal(books, NOON_S + 9 * DAY_S)
    assert "nothing new" in anchor(books, place, NOON_S + 9 * DAY_S)
    assert [line.split("-")[1][:8] for line in check(books, place, every=True)] == ["20260923", "20260921"]


@pytest.mark.parametrize("how", ["changed", "left out", "cut short", "begun anew"])
def test_a_rewritten_history_is_found_and_not_anchored(tmp_path: Path, place: str, how: str) -> None:
    true, forged = tmp_path / "books", tmp_path / "forged"
    lived(true, HISTORY)
    anchor(true, place)
    names = anchors.place(place).names()
    writer = "" if how == "begun anew" else writer_of(true)
    bent = {"changed": 7, "left out": None, "cut short": None}.get(how, 1)
    lived(forged, [*HISTORY, ("days", 1), ("facts", 1), ("seal", 0)], writer=writer,
          change=lambda n, uj: bent if n == 2 or (how == "cut short" and n >= 2) else uj)  # fmt: skip
    with pytest.raises(Unproven) as told:
        check(forged, place)
    assert "\n" not in str(told.value)
    if how != "begun anew":
        with pytest.raises(Unproven):
            anchor(forged, place, NOON_S + 9 * DAY_S)
        assert anchors.place(place).names() == names


def test_a_forgery_that_its_forger_anchored_is_found_by_the_heads_before(tmp_path: Path) -> None:
    true, forged, place = tmp_path / "books", tmp_path / "forged", tmp_path / "place"
    lived(true, HISTORY)
    anchor(true, str(place))
    lived(forged, [*HISTORY, ("facts", 1)], writer=writer_of(true), change=lambda n, uj: uj + (n == 1))
    anchor(forged, str(tmp_path / "elsewhere"), NOON_S + DAY_S)
    [name] = os.listdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / name).rename(place / name)
    assert len(check(forged, str(place))) == 1
    with pytest.raises(Unproven, match="changed or are gone"):
        check(forged, str(place), every=True)


def test_the_heads_of_a_clock_that_steps_back_keep_their_order(tmp_path: Path) -> None:
    books, place = tmp_path / "books", str(tmp_path / "place")
    lived(books, HISTORY)
    anchor(books, place, NOON_S)
    for _ in range(3):
        more(books, NOON_S + 2 * DAY_S)
        anchor(books, place, NOON_S - 500)
    times = [anchors.read(anchors.place(place), name) for name in anchors.place(place).names()]
    assert [head.at_s - NOON_S for head in times] == [0, 1, 2, 3]
    assert [(head.segments, head.size) for head in times] == [(1, 7), (2, 2), (2, 3), (2, 4)]


def test_nothing_is_overwritten(tmp_path: Path, place: str) -> None:
    books = tmp_path / "books"
    lived(books, HISTORY)
    anchor(books, place)
    there = anchors.place(place)
    [name] = anchors.anchored(there, writer_of(books))
    before = there.get(name)
    with pytest.raises(LedgerError, match="nothing was overwritten"):
        there.put(name, b"{}")
    assert anchors.place(place).get(name) == before


def test_books_without_a_fact_anchor_nothing_and_are_not_what_was_anchored(tmp_path: Path, place: str) -> None:
    books = tmp_path / "books"
    lived(books, [])
    assert "no fact yet" in anchor(books, place)
    with pytest.raises(Unproven, match="no head of"):
        check(books, place)


def test_only_the_right_key_vouches(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    books, place, key = tmp_path / "books", tmp_path / "place", str(key_file(tmp_path))
    lived(books, HISTORY)
    assert "unsigned" in anchor(books, str(place))
    with pytest.raises(Unproven, match="is not signed by the key"):
        check(books, str(place), KNOWN_PUBLIC)
    assert f"signed by {KNOWN_PUBLIC}" in anchor(books, str(place), key=key)
    assert "nothing new" in anchor(books, str(place), key=key)
    assert len(check(books, str(place), KNOWN_PUBLIC)) == 1
    stranger = str(key_file(tmp_path, "11" * 32))
    anchor(books, str(place), key=stranger)
    with pytest.raises(Unproven, match="is not signed by the key"):
        check(books, str(place), KNOWN_PUBLIC)


@pytest.mark.parametrize(
    "bent", [{"segments": 0}, {"root": "00" * 32}, {"at_s": 5}, {"writer": "b" * 16}, {"key": "00" * 32}, {"signature": "00" * 64},
             {"open": {"day": "2026-09-22", "size": 1, "root": "00" * 32}}, {"schema": "x"}, {"more": 1}, {"signature": 1}]
)  # fmt: skip
def test_a_tampered_head_is_found(tmp_path: Path, bent: dict[str, object]) -> None:
    pytest.importorskip("cryptography")
    books, place = tmp_path / "books", tmp_path / "place"
    lived(books, HISTORY)
    anchor(books, str(place), key=str(key_file(tmp_path)))
    [file] = place.iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | bent))
    for attempt in (check, anchor):
        with pytest.raises(LedgerError) as told:
            attempt(books, str(place))
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\x00\xff"])
def test_what_is_no_head_is_one_line(tmp_path: Path, text: str) -> None:
    books, place = tmp_path / "books", tmp_path / "place"
    lived(books, HISTORY)
    anchor(books, str(place))
    [file] = place.iterdir()
    file.write_bytes(text.encode("latin-1"))
    (place / "README.json").write_text("not ours")
    with pytest.raises(LedgerError, match="not an anchored head"):
        check(books, str(place))


def test_a_rolled_up_or_lost_day_cannot_be_compared_and_says_so(tmp_path: Path) -> None:
    books, place = tmp_path / "books", str(tmp_path / "place")
    lived(books, HISTORY)
    anchor(books, place)
    more(books, NOON_S + DAY_S + 900)  # on the day that was open then
    more(books, NOON_S + 3 * DAY_S)
    segments.seal(books, NOON_S + 3 * DAY_S)
    for file in books.glob("segments/day=2026-09-22/host=*/*.parquet"):
        file.unlink()
    with pytest.raises(Unproven, match="cannot be compared"):
        check(books, place)


def test_two_hosts_push_to_one_branch(tmp_path: Path) -> None:
    git("init", "-q", "--bare", tmp_path / "remote")
    for host in ("a", "b"):
        git("init", "-q", tmp_path / host)
        git("-C", tmp_path / host, "remote", "add", "origin", tmp_path / "remote")
        lived(tmp_path / f"books-{host}", HISTORY)
    for at_s in (NOON_S, NOON_S + 5):
        for host in ("a", "b"):
            more(tmp_path / f"books-{host}", NOON_S + 2 * DAY_S)
            anchor(tmp_path / f"books-{host}", f"git:{tmp_path / host}", at_s)
    assert len(anchors.place(f"git:{tmp_path / 'a'}").names()) == 4
    for host in ("a", "b"):
        assert len(check(tmp_path / f"books-{host}", f"git:{tmp_path / 'a'}", every=True)) == 2


def test_git_is_read_from_the_remote_and_not_from_what_lies_here(tmp_path: Path) -> None:
    books, tree = tmp_path / "books", tmp_path / "tree"
    git("init", "-q", "--bare", tmp_path / "remote")
    git("init", "-q", tree)
    git("-C", tree, "remote", "add", "origin", tmp_path / "remote")
    lived(books, HISTORY)
    anchor(books, f"git:{tree}")
    [name] = [file.name for file in tree.iterdir() if file.name != ".git"]
    (tree / name).write_text("rewritten here")
    git("-C", tree, "-c", "user.name=x", "-c", "user.email=x", "commit", "-qam", "rewritten")
    assert len(check(books, f"git:{tree}")) == 1


def test_a_place_that_fails_is_one_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    books, tree = tmp_path / "books", tmp_path / "tree"
    lived(books, HISTORY)
    with pytest.raises(LedgerError, match="no such folder"):
        anchor(books, f"git:{tree}")
    tree.mkdir()
    with pytest.raises(LedgerError, match="git rev-parse: fatal: not a git repository"):
        anchor(books, f"git:{tree}")
    git("init", "-q", tree)
    hook = tree / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho refused by the hook >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(LedgerError, match="refused by the hook"):
        anchor(books, f"git:{tree}")
    assert [file.name for file in tree.iterdir()] == [".git"]
    hook.unlink()
    git("-C", tree, "remote", "add", "origin", f"file://user:secret@localhost{tmp_path}/nowhere")
    with pytest.raises(LedgerError) as told:
        anchor(books, f"git:{tree}")
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    books = tmp_path / "books"
    lived(books, HISTORY)
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot"):
        anchor(books, str(tmp_path / "file" / "below"))


@settings(max_examples=15)
@given(history=events, data=st.data())
def test_any_history_passes_against_any_of_its_anchors_and_a_forged_one_against_none_it_covers(
    history: list[Event], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    until = data.draw(st.integers(0, len(history)), label="anchored after")
    covered = lived(folder / "then", [*history[:until], ("anchor", 0)])[-1]["facts"]
    writer = writer_of(folder / "then")
    anchor(folder / "then", str(folder / "place"))
    total = lived(folder / "now", [*history, ("anchor", 0)], writer=writer)[-1]["facts"]
    if not covered:
        return
    assert len(check(folder / "now", str(folder / "place"))) == 1
    victim = data.draw(st.integers(0, total - 1), label="victim")
    lived(folder / "forged", history, writer=writer, change=lambda n, uj: uj - 1 if n == victim else uj)
    if victim < covered:
        with pytest.raises(Unproven):
            check(folder / "forged", str(folder / "place"))
    else:
        assert len(check(folder / "forged", str(folder / "place"))) == 1
