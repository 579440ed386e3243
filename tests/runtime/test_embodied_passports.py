"""Passports are read while the program runs: they take the estimates' place, follow what is written, and never stop anything."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.runtime.passports import ALL, CPUS, H100, HOURS, config, life

from wattledger.core.facts import AssetFact, Correction
from wattledger.core.model import Factor
from wattledger.core.reserved import HOST
from wattledger.ledger.store import Store
from wattledger.runtime import warn
from wattledger.runtime.embodied import Materials, estimates

PATIENCE_S = 20


class Told:
    """Whom ``Materials`` tells of rates."""

    def __init__(self) -> None:
        self.all: list[dict[str, Factor]] = []

    def __call__(self, rates: Mapping[str, Factor]) -> None:
        self.all.append(dict(rates))

    @property
    def now(self) -> dict[str, float]:
        """Kilograms by binding, of a life of ``HOURS`` that has just begun."""
        return {binding: round(rate.value * HOURS / 1000, 3) for binding, rate in self.all[-1].items()}


def write(folder: Path, *facts: AssetFact | Correction) -> list[str]:
    store = Store.open(folder / "books")
    try:
        return store.append(facts, int(time.time()))
    finally:
        store.close()


def new(asset: str, kind: str, kg: int, **details: str) -> tuple[AssetFact, AssetFact]:
    return life(asset, kind, kg, at_s=int(time.time()) - 5, **details)


def eventually(condition: Callable[[], object], materials: Materials) -> bool:
    """Look again, as an agent does each minute, until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        materials.look_again()
        time.sleep(0.01)
    return bool(condition())


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def materials(tmp_path: Path, told: Told) -> Iterator[Materials]:
    found = Materials(config(tmp_path, host="none"), {}, "here", told)
    yield found
    found.close()


def test_a_passport_takes_the_estimates_place_once_it_is_read(tmp_path: Path, materials: Materials, told: Told) -> None:
    write(tmp_path, *new("card", "gpu", 500, device="GPU-1"), *new("box", "server", 900))
    materials.look([H100])
    materials.close()
    assert told.all[0]["GPU-1"].value == pytest.approx(164_000 / (4 * 8760))  # meanwhile, the estimate
    assert told.now == {"GPU-1": 500, HOST: 900}


def test_a_passport_that_is_written_meanwhile_is_taken_up(tmp_path: Path, materials: Materials, told: Told) -> None:
    materials.look([])
    materials.close()
    assert told.now == {}
    write(tmp_path, *new("box", "server", 900))
    assert eventually(lambda: told.now == {HOST: 900}, materials)


def test_a_passport_that_holds_no_more_gives_its_place_back(tmp_path: Path, materials: Materials, told: Told) -> None:
    ids = write(tmp_path, *new("card", "gpu", 500, device="GPU-1"))
    materials.look([H100])
    materials.close()
    estimate = told.all[0]
    assert told.now == {"GPU-1": 500}
    write(tmp_path, *(Correction(one, "never bought") for one in ids))
    (tmp_path / "books/assets").touch()
    assert eventually(lambda: told.all[-1] == estimate, materials)


def test_a_corrected_passport_is_read_as_it_was_corrected(tmp_path: Path, materials: Materials, told: Told) -> None:
    make, commission = new("box", "server", 900)
    first, _ = write(tmp_path, make, commission)
    write(tmp_path, Correction(first, "grams, not kilograms", make._replace(emitted_g=700_000)))
    materials.look([])
    materials.close()
    assert told.now == {HOST: 700}


def test_books_that_nobody_wrote_in_are_not_read_again(tmp_path: Path, materials: Materials, told: Told) -> None:
    write(tmp_path, *new("box", "server", 900))
    materials.look([])
    materials.close()
    before = len(told.all)
    materials.look_again()
    materials.close()
    assert len(told.all) == before


def test_a_life_that_ends_while_the_meter_runs_ends_its_rate(tmp_path: Path, materials: Materials, told: Told) -> None:
    write(tmp_path, *life("box", "server", 900, at_s=int(time.time()) - HOURS * 3600 + 2))
    materials.look([])
    materials.close()
    assert set(told.all[-1]) == {HOST}
    assert eventually(lambda: told.all[-1] == {}, materials)


def test_the_last_word_is_of_the_configuration_in_force(tmp_path: Path, materials: Materials, told: Told) -> None:
    write(tmp_path, *new("box", "server", 900))
    for _ in range(20):
        materials.look([])
        materials.look([], config(tmp_path, enabled="false"))
        materials.close()
        assert told.all[-1] == {}
        materials.look([], config(tmp_path, host="none"))
        materials.close()
        assert told.now == {HOST: 900}


def test_devices_that_came_meanwhile_have_their_passports(tmp_path: Path, materials: Materials, told: Told) -> None:
    write(tmp_path, *new("cpus", "cpu", 10))
    materials.look([])
    materials.look(CPUS)  # while the books are read for none
    assert eventually(lambda: told.now == {CPUS[0].id: 5, CPUS[1].id: 5}, materials)


def test_a_host_of_another_name_is_not_this_one(tmp_path: Path, told: Told) -> None:
    write(tmp_path, *new("box", "server", 900))
    materials = Materials(config(tmp_path, host="none"), {}, "there", told)
    materials.look([])
    materials.close()
    assert told.now == {}


def test_books_that_cannot_be_read_are_one_line_and_estimates_stay(
    tmp_path: Path, materials: Materials, told: Told, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warn, "_said", set())  # what other tests' programs were told
    (tmp_path / "books").mkdir()
    (tmp_path / "books/assets").touch()
    (tmp_path / "books/open.db").write_bytes(b"no database" * 1000)
    materials.look([H100])
    materials.close()
    materials.look([H100])
    materials.close()
    assert set(told.all[-1]) == {"GPU-1"}
    assert told.all[-1] == told.all[0]
    [line] = capsys.readouterr().err.splitlines()
    assert "passports are not read" in line
    assert "open.db" in line


def test_books_that_were_sealed_tell_of_machines_too(tmp_path: Path, materials: Materials, told: Told) -> None:
    pytest.importorskip("duckdb", reason="sealed books are read with DuckDB")
    from wattledger.ledger.segments import seal

    day_s = 86_400
    store = Store.open(tmp_path / "books")
    store.append(life("box", "server", 900, at_s=int(time.time()) - 5), int(time.time()) - 3 * day_s)
    store.append(life("card", "gpu", 500, at_s=int(time.time()) - 5, device="GPU-1"), int(time.time()))
    store.close()
    assert seal(tmp_path / "books", int(time.time()))
    materials.look([H100])
    materials.close()
    assert told.now == {"GPU-1": 500, HOST: 900}


def test_switched_off_nothing_is_guessed_and_no_passport_read(tmp_path: Path, told: Told) -> None:
    off = config(tmp_path, enabled="false")
    write(tmp_path, *life("srv", "server", 100))
    materials = Materials(off, {}, "here", told)
    materials.look(ALL)
    materials.look_again()
    materials.close()
    assert told.all == [{}]
    assert estimates(off, ALL) == {}
