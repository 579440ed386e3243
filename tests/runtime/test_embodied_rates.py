"""Grams per hour of a machine's life: estimates at once, passports in their place as soon as they are read, as reports have it."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.runtime.trees import dgx, laptop

from wattledger.accounting.assets.books import fleet_of
from wattledger.core.facts import AssetFact, Correction, Known
from wattledger.core.model import Device, Factor
from wattledger.core.reserved import HOST
from wattledger.ledger.store import Store
from wattledger.runtime import warn
from wattledger.runtime.config import Config, load
from wattledger.runtime.embodied import Materials, Passports, estimates, merged, of_passports

NOW_S = 1_790_000_000
BEGAN_S = NOW_S - 1000 * 3600
H100 = Device("GPU-1", "gpu", "NVIDIA H100 80GB HBM3")
OTHER = Device("GPU-2", "gpu", "NVIDIA H100 80GB HBM3")
SLICE = Device("MIG-1", "gpu", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "GPU-1")
CPUS = (Device("intel-rapl:0", "cpu", "Xeon"), Device("intel-rapl:1", "cpu", "Xeon"))
CORE = Device("intel-rapl:0:0", "cpu", "core", "intel-rapl:0")
DRAM = Device("intel-rapl:0:1", "dram", "dram")
ALL = (H100, OTHER, SLICE, *CPUS, CORE, DRAM)
HOURS = 40_000
PATIENCE_S = 20


def config(folder: Path, **words: str) -> Config:
    """Of a machine that says nothing of itself, as a test says it."""
    nothing = folder / "nothing"
    nothing.mkdir(exist_ok=True)
    said = {"WATTLEDGER_PATHS_SYSFS": str(nothing), "WATTLEDGER_PATHS_PROCFS": str(nothing)}
    said["WATTLEDGER_LEDGER_PATH"] = str(folder / "books")
    return load({**said, **{f"WATTLEDGER_EMBODIED_{name.upper()}": word for name, word in words.items()}})


def life(asset: str, kind: str, kg: int, *, host: str = "here", at_s: int = BEGAN_S, **details: str) -> tuple[AssetFact, AssetFact]:
    """A thing that was made and is in service on a host."""
    details = {"kind": kind, "el_h": str(HOURS), **details}
    return (
        AssetFact(asset, "make", at_s - 1000, kg * 1000, details=tuple(sorted(details.items()))),
        AssetFact(asset, "commission", at_s, details=(("host", host),)),
    )


def said(*facts: AssetFact, devices: tuple[Device, ...] = ALL, at_s: int = NOW_S) -> Passports:
    known = [Known(f"w:{n}", fact.at_s, fact) for n, fact in enumerate(facts)]
    return of_passports(fleet_of(known, until_s=at_s), "here", devices)


def rate_of(rates: Mapping[str, Factor]) -> dict[str, float]:
    return {binding: rate.value for binding, rate in rates.items()}


# --- estimates --------------------------------------------------------------------------------------------------------------


def test_a_card_has_an_estimate_and_its_slices_and_other_parts_none(tmp_path: Path) -> None:
    rates = estimates(config(tmp_path, host="server", host_kg="1000"), ALL)
    assert set(rates) == {"GPU-1", "GPU-2", HOST}
    assert rates["GPU-1"].value == pytest.approx(164_000 / (4 * 8760))
    assert rates[HOST].value == pytest.approx(1_000_000 / (5 * 8760))
    for binding, rate in rates.items():
        assert (rate.kind, rate.zone, rate.unit) == ("embodied", binding, "gCO2e/h")
        assert rate.origin
        assert rate.g95 > 1.4 <= rate.g95_high  # the figure's error and that of the service life


def test_service_lives_are_those_configured(tmp_path: Path) -> None:
    usual = estimates(config(tmp_path, host_kg="1000"), [H100])
    twice = estimates(config(tmp_path, host_kg="1000", gpu_life_y="8", host_life_y="10"), [H100])
    assert rate_of(twice) == pytest.approx({binding: value / 2 for binding, value in rate_of(usual).items()})


def test_hosts_differ_by_what_they_are(tmp_path: Path) -> None:
    found = {
        name: estimates(config(tmp_path, host=name), []).get(HOST) for name in ("server", "workstation", "laptop", "vm", "none")
    }
    assert found.pop("none") is None
    values = {name: rate.value for name, rate in found.items() if rate is not None}
    assert len(set(values.values())) == len(values) == 4
    assert values["laptop"] < values["server"]
    server, portable = (estimates(tree.config(), [])[HOST].value for tree in (dgx(tmp_path / "d"), laptop(tmp_path / "l")))
    assert portable < server


def test_switched_off_nothing_is_guessed_and_no_passport_read(tmp_path: Path) -> None:
    told: list[Mapping[str, Factor]] = []
    off = config(tmp_path, enabled="false")
    write(tmp_path, *life("srv", "server", 100))
    materials = Materials(off, {}, "here", told.append)
    materials.look(ALL)
    materials.look_again()
    materials.close()
    assert told == [{}]
    assert estimates(off, ALL) == {}


# --- passports --------------------------------------------------------------------------------------------------------------


def test_a_passports_rate_is_what_it_carries_by_what_is_left_of_its_life() -> None:
    found = said(*life("card", "gpu", 164, device="GPU-1"))
    assert rate_of(found.rates) == pytest.approx({"GPU-1": 164_000 / HOURS})
    assert found.replaced == {"GPU-1"}
    assert found.until_s == BEGAN_S + HOURS * 3600


@pytest.mark.parametrize(("facts", "kept"), [
    (life("card", "gpu", 100, device="GPU-1"), {"GPU-2", HOST}),
    (life("box", "server", 100), {"GPU-1", "GPU-2"}),
    (life("disk", "ssd", 100), {"GPU-1", "GPU-2"}),
    (life("card", "gpu", 100), {HOST}),  # which card it is, is not said: none of them has an estimate beside it
    (life("card", "gpu", 100, device="GPU-of-a-card-that-is-not-seen"), {"GPU-1", "GPU-2", HOST}),
    (life("box", "server", 100, host="elsewhere"), {"GPU-1", "GPU-2", HOST}),
])  # fmt: skip
def test_a_passport_stops_the_estimate_of_what_it_is_of(tmp_path: Path, facts: tuple[AssetFact, ...], kept: set[str]) -> None:
    guessed = estimates(config(tmp_path, host_kg="1000"), ALL)
    rates = merged(guessed, said(*facts))
    assert {binding for binding, rate in rates.items() if rate == guessed.get(binding)} == kept


def test_a_part_is_paid_by_who_uses_its_kind() -> None:
    cpu, dram, board = life("cpu", "cpu", 10), life("ram", "dram", 20), life("board", "board", 40)
    per = {name: value * HOURS / 1000 for name, value in rate_of(said(*cpu, *dram, *board).rates).items()}
    assert per == pytest.approx({"intel-rapl:0": 5, "intel-rapl:1": 5, DRAM.id: 20, HOST: 40})
    bare = {name: value * HOURS / 1000 for name, value in rate_of(said(*dram, devices=CPUS).rates).items()}
    assert bare == pytest.approx({"intel-rapl:0": 10, "intel-rapl:1": 10})  # memory that no sensor sees goes by the CPU
    assert set(said(*cpu, devices=(H100,)).rates) == {HOST}


def test_parts_of_one_binding_add_up_and_their_interval_covers_both() -> None:
    sure = life("a", "ssd", 100, low_g="90000", high_g="110000")
    vague = life("b", "psu", 100, low_g="20000", high_g="500000")
    rate = said(*sure, *vague).rates[HOST]
    assert rate.value == pytest.approx(200_000 / HOURS)
    assert rate.value / rate.g95 == pytest.approx(110_000 / HOURS)
    assert rate.value * rate.g95_high == pytest.approx(610_000 / HOURS)
    assert "a" in rate.origin


def test_a_passport_without_an_interval_is_not_taken_for_exact() -> None:
    [rate] = said(*life("card", "gpu", 100, device="GPU-1", method="declared")).rates.values()
    assert (rate.g95, rate.g95_high) == (2.0, 2.0)
    make, commission = life("card", "gpu", 100, device="GPU-1", method="declared")
    unsaid = make._replace(details=tuple(pair for pair in make.details if pair[0] != "el_h"))
    [rate] = said(unsaid, commission).rates.values()
    assert rate.g95 > 2.0  # how long it will serve is an assumption of its own


def test_cards_of_one_model_by_one_source_are_off_alike() -> None:
    words = {"vendor": "NVIDIA", "model": "H100", "source": "NVIDIA PCF"}
    found = said(*life("a", "gpu", 164, device="GPU-1", **words), *life("b", "gpu", 164, device="GPU-2", **words)).rates
    assert len({(rate.origin, rate.version) for rate in found.values()}) == 1


def test_a_life_that_is_over_has_no_rate_and_no_estimate(tmp_path: Path) -> None:
    box = life("box", "server", 100, at_s=NOW_S - (HOURS + 1) * 3600)
    found = said(*box)
    assert (found.rates, found.replaced) == ({}, {HOST})
    assert HOST not in merged(estimates(config(tmp_path, host_kg="1000"), ALL), found)


def test_a_passport_that_says_no_kilograms_is_no_zero() -> None:
    make, commission = life("box", "server", 0)
    assert said(make._replace(emitted_g=None), commission).rates == {}


def test_a_thing_in_stock_or_elsewhere_has_no_rate() -> None:
    make, _ = life("box", "server", 100)
    assert said(make).rates == {}
    moved = AssetFact("box", "move", NOW_S - 3600, details=(("host", "there"),))
    assert said(*life("box", "server", 100), moved).rates == {}


def test_a_repair_raises_the_rate_from_then_on() -> None:
    repair = AssetFact("box", "repair", NOW_S - 3600, 12_000)
    before = said(*life("box", "server", 100)).rates[HOST].value
    assert said(*life("box", "server", 100), repair).rates[HOST].value == pytest.approx(before + 12_000 / (HOURS - 999))


def test_what_many_hosts_share_is_left_to_reports() -> None:
    known = [Known(f"w:{n}", fact.at_s, fact) for n, fact in enumerate(life("switch", "network", 100, spread_over="*"))]
    assert of_passports(fleet_of(known, until_s=NOW_S), "here", ALL, {"switch"}).rates == {}


# --- read from the books ----------------------------------------------------------------------------------------------------


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
