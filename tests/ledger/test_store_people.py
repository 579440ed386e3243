"""Names of users: pseudonyms in the chain, and a map beside it that forgets."""

import re
from pathlib import Path

from tests.ledger.made import NOON_S, began, energy, key, verified
from tests.ledger.test_store import facts

from wattledger.core.facts import Correction, RunFact
from wattledger.ledger.store import Store

ADA = key(labels=(("team", "search"), ("user", "ada@example.org")))


def user_of(store: Store, at: int = 0) -> str:
    return dict(facts(store)[at].key.labels)["user"]


def test_a_users_name_never_enters_the_books(tmp_path: Path) -> None:
    store = Store.open(tmp_path, instance="a")
    [first] = store.append([energy(of=ADA)], NOON_S)
    run = began(labels=ADA.labels)
    store.append([run, Correction(first, "gain", energy(of=ADA)), Correction(first, "x", run)], NOON_S)
    store.journal([energy(of=ADA)], NOON_S)
    pseudonym = user_of(store)
    assert re.fullmatch("user-[0-9a-f]{8}", pseudonym)
    assert store.names() == {pseudonym: "ada@example.org"}
    runs = [known.fact.labels for known in store.known() if isinstance(known.fact, RunFact)]
    assert [*runs, *(fact.key.labels for fact in facts(store))] == [(("team", "search"), ("user", pseudonym))] * 4
    store.close()
    assert b"ada@" not in b"".join(path.read_bytes() for path in tmp_path.glob("open.db*"))


def test_one_user_has_one_pseudonym_whoever_writes(tmp_path: Path) -> None:
    one, two = Store.open(tmp_path), Store.open(tmp_path)
    for store in (one, two, one):
        store.append([energy(of=ADA)], NOON_S)
    two.append([energy(of=ADA._replace(labels=(("user", "bob"),)))], NOON_S)
    assert user_of(one, 0) == user_of(one, 1) == user_of(one, 2) != user_of(one, 3)
    assert sorted(two.names().values()) == ["ada@example.org", "bob"]
    assert verified(one) == 6  # two keys, each explained once
    one.close()
    two.close()


def test_an_erased_name_is_gone_from_the_disk_and_its_facts_stay(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.append([energy(of=ADA)], NOON_S)
    before = store.head()
    assert store.erase("ada@example.org")
    assert not store.erase("ada@example.org")
    assert store.names() == {}
    assert store.head() == before
    store.close()
    assert b"ada@" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_who_comes_again_after_being_erased_elsewhere_is_somebody_new(tmp_path: Path) -> None:
    writer, other = Store.open(tmp_path), Store.open(tmp_path)
    writer.append([energy(of=ADA)], NOON_S)
    assert other.erase("ada@example.org")
    writer.append([energy(of=ADA)], NOON_S)
    assert user_of(writer, 0) != user_of(writer, 1)
    assert writer.names() == {user_of(writer, 1): "ada@example.org"}
    writer.close()
    other.close()


def test_a_pseudonym_read_from_the_books_is_written_as_it_is(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.append([energy(of=ADA)], NOON_S)
    store.append(facts(store), NOON_S)
    assert user_of(store, 0) == user_of(store, 1)
    assert len(store.names()) == 1
    store.close()


def test_books_without_users_have_no_map(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.append([energy()], NOON_S)
    assert store.names() == {}
    assert not store.erase("ada")
    store.close()
    assert not (tmp_path / "people.db").exists()


def test_the_map_is_the_users_alone_and_can_be_read_beside_the_books(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.append([energy(of=ADA)], NOON_S)
    reader = Store.open(tmp_path, readonly=True)
    assert reader.names() == store.names() != {}
    assert (tmp_path / "people.db").stat().st_mode & 0o777 == 0o600
    reader.close()
    store.close()
