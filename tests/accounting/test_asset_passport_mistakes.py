"""What is wrong in a passport is refused, or warned of, with its place; none of it becomes facts."""

import json

import pytest
from tests.accounting.made_passports import SERVER, facts, mistakes, warnings

from wattledger.accounting.assets import passport


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ('id = "dgx-1"', 'id = "a:b"', 4, "no ':'"),
        ('id = "dgx-1"', 'id = ""', 3, "'id' is missing"),
        ('id = "dgx-1"', f'id = "{"x" * 129}"', 4, "at most 128"),
        ('id = "dgx-1"', 'id = "dgx-1"\nvender = "ACME"', 5, "did you mean 'vendor'?"),
        ('id = "dgx-1"', 'id = "dgx-1"\nkind = "severs"', 5, "did you mean 'server'?"),
        ('id = "dgx-1"', 'id = "dgx-1"\nlife_years = 0', 5, "more than 0"),
        ('id = "dgx-1"', 'id = "dgx-1"\nlife_years = 43800', 3, "100 years"),
        ('id = "dgx-1"', 'id = "dgx-1"\nlife_years = 4\nlife_h = 35040', 3, "not in both"),
        ('id = "dgx-1"', 'id = "dgx-1"\nprice = 4', 3, "needs its 'currency'"),
        ('id = "dgx-1"', 'id = "dgx-1"\nprice = 4\ncurrency = "euro"', 6, "ISO 4217"),
        ('id = "dgx-1"', 'id = "dgx-1"\npurchased = 2024-12-31', 5, "purchased before it is made"),
        ('id = "dgx-1"', 'id = "dgx-1"\ncommissioned = 2024-12-31', 5, "commissioned before it is made"),
        ('id = "dgx-1"', 'id = "dgx-1"\nserial_hash = "4711"', 5, "64 hex digits"),
        ('id = "dgx-1"', 'id = "dgx-1"\nspread_by = "energy"', 3, "go together"),
        ("made = 2025-03-01", "", 3, "when was it made"),
        ("made = 2025-03-01", 'made = "1.3.2025"', 5, "ISO date"),
        ("made = 2025-03-01", "made = 2025-03-01T10:00:00", 5, "needs its zone"),
        ("kg = 2500", "kg = -1", 7, "must not be negative"),
        ("kg = 2500", "kg = nan", 7, "not a finite number"),
        ("kg = 2500", "kg = inf", 7, "not a finite number"),
        ("kg = 2500", "kg = true", 7, "expected a number"),
        ("kg = 2500", "kg = 1e13", 7, "is the unit right?"),
        ("kg = 2500", "kg = 2500\nlow_kg = 2600", 6, "low_kg <= kg <= high_kg"),
        ("kg = 2500", "kg = 2500\nhigh_kg = 2400", 6, "low_kg <= kg <= high_kg"),
        ("kg = 2500", 'kg = 2500\nestimate = "boavizta"', 8, "not both"),
        ("kg = 2500", 'source = "x"', 6, "says nothing without 'kg'"),
        ("kg = 2500", 'estimate = "boavizta"', 6, "inputs of a server are missing"),
        ("kg = 2500", 'kg = 1\nmethod = "guess"', 8, "expected pcf"),
        ("kg = 2500", 'pact = "f.json"', 6, "files are not read here"),
    ],
)  # fmt: skip
def test_a_mistake_says_its_line_and_what_is_right(old: str, new: str, where: int, what: str) -> None:
    lines = mistakes(SERVER.replace(old, new).lstrip("\n").join(["\n", ""]))
    assert len(lines) == 1
    assert lines[0].startswith(f"dgx.toml:{where}: ")
    assert what in lines[0]


@pytest.mark.parametrize(
    ("component", "what"),
    [
        ('kind = "gpu"\ncount = 2\ndevice = "GPU-0"', "there is a list 'devices'"),
        ('kind = "gpu"\ncount = 3\ndevices = ["a", "b"]', "2 devices for 3 of them"),
        ('kind = "gpu"\ncount = 0', "1 to 10,000"),
        ('kind = "gpu"\ncount = 1.5', "1 to 10,000"),
        ('kind = "gpu"\ninside = "bord"', "there is no asset 'bord'"),
        ('kind = "gpu"\ninside = "gpu"', "inside itself"),
        ('kind = "gpu"\nid = "a"\n[[component]]\nkind = "cpu"\nid = "a"\ncores = 4', "already"),
        ('model = "H100"', "'kind' is missing"),
    ],
)
def test_a_wrong_part_is_refused(component: str, what: str) -> None:
    assert any(what in line for line in mistakes(f"{SERVER}[[component]]\n{component}\n"))


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ('event = "repare"\nat = 2026-01-01', "did you mean 'repair'?"),
        ('event = "make"\nat = 2026-01-01', "expected acquire"),
        ('event = "repair"\nat = 2026-01-01', "'kg' or 'energy_kwh'"),
        ('event = "repair"\nkg = 1', "'at' is missing"),
        ('event = "repair"\nat = 2024-01-01\nkg = 1', "before it was made"),
        ('event = "repair"\nat = 2026-01-01\nkg = 1\nasset = "gpu-9"', "there is no asset 'gpu-9' here"),
        ('event = "move"\nat = 2026-01-01', "'host' or 'site' or 'inside'"),
        ('event = "move"\nat = 2026-01-01\nhost = "b"\nkm = 10\nmode = "sea"', "mass_kg"),
        ('event = "move"\nat = 2026-01-01\nhost = "b"\nkm = 10', "needs its 'mode'"),
        ('event = "swap"\nat = 2026-01-01', "'out' or 'in'"),
        ('event = "swap"\nat = 2026-01-01\nout = "x"\nin = "x"', "cannot be what comes in"),
        ('event = "install"\nat = 2026-01-01', "'inside' is missing"),
        ('event = "degrade"\nat = 2026-01-01\ncapacity = 1.01', "a share is 0 to 1"),
        ('event = "estimate"\nat = 2026-01-01\nlife_years = 0', "more than 0"),
        ('event = "estimate"\nat = 2026-01-01', "'life_years' or 'life_h'"),
        ('event = "transfer"\nat = 2026-01-01', "to whom? say 'to'"),
        ('event = "transfer"\nat = 2026-01-01\nmethod = "60/40"', "expected cut-off"),
        ('event = "scrap"\nat = 2026-01-01\nroute = "burn"', "expected recycle"),
        ('event = "scrap"\nat = 2026-01-01\ncapacity = 1', "there is no 'capacity' here"),
        ('event = "acquire"\nat = 2026-01-01\nprice = 1', "needs its 'currency'"),
    ],
)
def test_a_wrong_event_is_refused(event: str, what: str) -> None:
    lines = mistakes(f"{SERVER}[[event]]\n{event}\n")
    assert len(lines) == 1
    assert what in lines[0]
    assert lines[0].startswith("dgx.toml:")


def test_every_mistake_is_named_at_once() -> None:
    lines = mistakes(SERVER.replace("kg = 2500", "kg = -1") + '[[component]]\nkind = "gqu"\n[[event]]\nevent = "install"\n')
    assert len(lines) == 4


def test_another_schema_is_refused() -> None:
    for said in ('schema = "wattledger.passport/2"\n', "schema = 1\n", ""):
        with pytest.raises(passport.BadPassport, match="the first line must be schema"):
            passport.read(said + SERVER, "toml", "dgx.toml")


def test_json_names_the_path_of_a_mistake() -> None:
    tree = {"schema": "wattledger.passport/1", "asset": {"id": "a", "made": "2025-01-01", "footprint": {"kg": 300}},
            "component": [{"kind": "cpu", "footprint": {"kg": -3}}]}  # fmt: skip
    with pytest.raises(passport.BadPassport) as caught:
        passport.read(json.dumps(tree), "json", "a.json")
    assert str(caught.value) == "a.json: component[0].footprint.kg: kg = -3: must not be negative"


def test_json_and_toml_say_the_same() -> None:
    tree = {"schema": "wattledger.passport/1", "asset": {"id": "dgx-1", "made": "2025-03-01", "footprint": {"kg": 2500}}}
    assert passport.read(json.dumps(tree), "json", "a.json").facts == facts(SERVER)


@pytest.mark.parametrize(
    ("kind", "kg", "what"),
    [
        ("gpu", "164000", "far more than is likely (at most 5000); are these grams (164 kg)?"),
        ("gpu", "0.164", "far less than is likely (at least 10); are these tonnes (164 kg)?"),
        ("server", "2500000", "are these grams (2500 kg)?"),
    ],
)
def test_grams_for_kilograms_are_warned_of(kind: str, kg: str, what: str) -> None:
    [line] = warnings(SERVER + f'[[component]]\nkind = "{kind}"\nfootprint = {{ kg = {kg} }}\n')
    assert line.startswith("dgx.toml:")
    assert what in line


def test_a_likely_figure_is_not_warned_of() -> None:
    assert warnings(SERVER + '[[component]]\nkind = "gpu"\nmass_kg = 1.7\nfootprint = { kg = 164 }\n') == []


def test_a_mass_in_grams_is_warned_of() -> None:
    [line] = warnings(SERVER + '[[component]]\nkind = "gpu"\nmass_kg = 1690\nfootprint = { kg = 164 }\n')
    assert "heavier than is likely" in line
