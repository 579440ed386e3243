"""Where the books are: as the words say, but on a disk of this host."""

import os
from pathlib import Path

import pytest
from tests.core.made import GPU, at, counter, full
from tests.runtime.books.read import energies

from wattledger.core.pipeline import Pipeline
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store
from wattledger.runtime.books.keeper import Keeper, Plan
from wattledger.runtime.books.minutes import Meter
from wattledger.runtime.books.place import AGENTS, configured_folder, folders_to_read, has_books, ledger_folder, local, mounts
from wattledger.runtime.config import Config, Value

LOCAL = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


def config(**values: str) -> Config:
    return Config({name.replace("_", ".", 1): Value(value, "a test") for name, value in values.items()})


def shared(folder: Path, kind: str = "nfs4") -> str:
    """The mounts where everything below the folder comes from a server."""
    return f"{LOCAL}31 22 0:44 / {os.path.realpath(folder)} rw - {kind} server:/export rw\n"


def mine(folder: Path) -> Path:
    found = configured_folder(Config({}), {"XDG_STATE_HOME": str(folder)})
    assert found is not None
    return found


def test_the_words_go_before_the_state_folder(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path), "STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}
    assert configured_folder(Config({}), environ) == tmp_path / "wattledger" / "ledger"
    assert configured_folder(Config({}), environ, agent=True) == Path("/var/lib/a/ledger")
    assert configured_folder(config(agent_state="/srv/state"), environ, agent=True) == Path("/srv/state/ledger")
    for agent in (True, False):
        assert configured_folder(config(ledger_path="/srv/books"), environ, agent=agent) == Path("/srv/books")


def test_a_folder_on_local_disk_is_taken_as_it_is(tmp_path: Path) -> None:
    assert local(tmp_path / "ledger", lambda: LOCAL) == (tmp_path / "ledger", "")
    assert local(tmp_path / "ledger", lambda: "") == (tmp_path / "ledger", "")
    assert list(tmp_path.iterdir()) == []


def test_a_network_file_system_is_no_place_for_books(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "ledger"
    found = spooled(folder, tmp_path)
    assert found[0].parent.parent == tmp_path / "spools"
    assert found[0].stat().st_mode & 0o777 == 0o700
    assert found[1] == f"{folder} lies on a network file system (nfs4), so this host's books are kept in {found[0]}"
    assert not folder.exists()
    assert spooled(folder, tmp_path) == found, "the same again at the next start"
    assert spooled(tmp_path / "home" / "other", tmp_path)[0] != found[0]


def spooled(folder: Path, place: Path) -> tuple[Path, str]:
    (place / "spools").mkdir(exist_ok=True)
    return local(folder, lambda: shared(place / "home"), place / "spools")


def test_a_spool_that_is_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spools").mkdir()
    (tmp_path / "spools" / f"wattledger-{os.getuid()}").write_text("in the way")
    with pytest.raises(LedgerError, match="not this user's own folder"):
        spooled(tmp_path / "home" / "ledger", tmp_path)


def test_a_report_reads_the_spool_and_what_was_written_before(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    network = shared(tmp_path)
    named, agents = mine(tmp_path), [AGENTS] if has_books(AGENTS) else []
    assert folders_to_read(Config({}), environ, lambda: LOCAL) == [named, *agents]
    really = ledger_folder(Config({}), environ, mounts=lambda: network)
    assert really is not None
    assert really != named
    try:
        assert folders_to_read(Config({}), environ, lambda: network) == [really, *agents]
        Store.open(named).close()
        assert folders_to_read(Config({}), environ, lambda: network) == [really, named, *agents]
    finally:
        really.rmdir()


def test_whoever_keeps_books_on_a_network_says_once_where_they_are_instead(tmp_path: Path) -> None:
    folder, lines = tmp_path / "ledger", list[str]()
    plan = Plan(folder, Meter("track:1", "node-1"), 5.0, mounts=lambda: shared(tmp_path))
    keeper, pipeline = Keeper(plan, lines.append, now=lambda: at(2)), Pipeline()
    really = local(folder, plan.mounts).folder
    try:
        for time_s, joules in ((0, 0), (1, 100), (2, 200)):
            keeper.take(pipeline.step(full(time_s, counter(GPU, time_s, joules))), pipeline)
            keeper.commit(final=time_s == 2)
        assert sum(fact.energy_uj for fact in energies(really)) == 200_000_000
        assert not folder.exists()
        assert lines == [f"{folder} lies on a network file system (nfs4), so this host's books are kept in {really}"]
    finally:
        for file in really.iterdir():
            file.unlink()
        really.rmdir()


def test_the_mounts_are_the_kernels() -> None:
    assert " / " in mounts()


def test_books_that_may_not_be_seen_are_none(tmp_path: Path) -> None:
    assert not has_books(tmp_path)
    (tmp_path / "file").write_text("")
    assert not has_books(tmp_path / "file")
