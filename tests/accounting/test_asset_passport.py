"""A passport's text becomes facts, all of them or none; every mistake says where it stands."""

import json
from datetime import UTC, datetime

import pytest
from tests.accounting.made_passports import HEAD, SERVER, details, facts, mistakes, warnings

from wattledger.accounting.assets import passport
from wattledger.accounting.assets.passport import hashed_serial
from wattledger.core.facts import AssetFact


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_a_machine_is_made_bought_and_put_into_service_in_the_ledgers_units() -> None:
    found = facts("""
[asset]
id = "dgx-1"
vendor = "ACME"
made = "2025-03-01"
purchased = 2025-05-02
price = 250000.50
currency = "EUR"
owner = "research"
host = "gpu-7"
site = "Frankfurt"
commissioned = 2025-06-01T12:00:00+02:00
life_years = 5
mass_kg = 130.5
end_of_life_kg = 40
freight_kg = 12
invoice = "invoice-17.pdf"
[asset.footprint]
kg = 2503.25
low_kg = 1250
high_kg = 5000
boundary = "cradle-to-gate"
method = "pcf"
source = "vendor"
year = 2024
""")
    assert found == [
        AssetFact("dgx-1", "make", day("2025-03-01"), 2_503_250, "", "", (
            ("boundary", "cradle-to-gate"), ("el_h", "43800"), ("eol_g", "40000"), ("high_g", "5000000"), ("kind", "server"),
            ("low_g", "1250000"), ("mass_g", "130500"), ("method", "pcf"), ("source", "vendor"), ("vendor", "ACME"),
            ("year", "2024"),
        )),
        AssetFact("dgx-1", "acquire", day("2025-05-02"), 12_000, "", "invoice-17.pdf", (
            ("currency", "EUR"), ("owner", "research"), ("price", "250000.5"),
        )),
        AssetFact("dgx-1", "commission", day("2025-06-01") + 36_000, None, "", "", (("host", "gpu-7"), ("site", "Frankfurt"))),
    ]  # fmt: skip


def test_eight_parts_are_eight_assets_inside_the_machine() -> None:
    found = facts(SERVER + """
[[component]]
id = "gpu"
kind = "gpu"
count = 8
devices = ["GPU-0", "GPU-1", "GPU-2", "GPU-3", "GPU-4", "GPU-5", "GPU-6", "GPU-7"]
footprint = { kg = 164 }
""")
    parts = found[1:]
    assert [fact.asset for fact in parts] == [f"dgx-1/gpu-{n}" for n in range(8)]
    assert {fact.inside for fact in parts} == {"dgx-1"}
    assert [details(fact)["device"] for fact in parts] == [f"GPU-{n}" for n in range(8)]
    assert sum(fact.emitted_g or 0 for fact in found) == 2_500_000 + 8 * 164_000


def test_a_serial_number_leaves_only_its_hash() -> None:
    text = HEAD + SERVER.replace("made", 'serial = "SECRET-4711"\nmade')
    [fact] = passport.read(text, "toml", "dgx.toml").facts
    assert details(fact)["serial_hash"] == hashed_serial(" secret-4711 ")
    assert details(fact)["serial_hash"].startswith("sha256:")
    assert "4711" not in repr(fact)


def test_a_wrong_serial_is_not_shown() -> None:
    [line] = mistakes(SERVER.replace("made", 'serial = "SECRET\\u0007-4711"\nmade'))
    assert "4711" not in line


def test_a_part_made_before_its_machine_lay_in_stock_till_then() -> None:
    found = facts(SERVER + """
[[component]]
kind = "gpu"
made = 2024-01-01
footprint = { kg = 164 }
""")
    assert [(fact.event, fact.inside, fact.at_s) for fact in found if fact.asset == "dgx-1/gpu"] == [
        ("make", "", day("2024-01-01")),
        ("install", "dgx-1", day("2025-03-01")),
    ]


def test_parts_of_parts_stand_after_what_they_are_in() -> None:
    found = facts(SERVER + """
[[component]]
kind = "gpu"
inside = "board"
footprint = { kg = 164 }
[[component]]
kind = "board"
footprint = { kg = 100 }
""")
    assert [(fact.asset, fact.inside) for fact in found] == [
        ("dgx-1", ""), ("dgx-1/board", "dgx-1"), ("dgx-1/gpu", "dgx-1/board"),
    ]  # fmt: skip


def test_the_whole_that_includes_its_parts_keeps_what_they_leave_over() -> None:
    text = SERVER.replace("kg = 2500", "kg = 2500\nlow_kg = 2000\nhigh_kg = 4000\nincludes_parts = true")
    found = facts(text + '[[component]]\nkind = "gpu"\ncount = 8\nfootprint = { kg = 164 }\n')
    assert sum(fact.emitted_g or 0 for fact in found) == 2_500_000
    whole = found[0]
    assert whole.emitted_g == 2_500_000 - 8 * 164_000
    assert {key: details(whole)[key] for key in ("whole_g", "low_g", "high_g")} == {
        "whole_g": "2500000", "low_g": str(2_000_000 - 1_312_000), "high_g": str(4_000_000 - 1_312_000),
    }  # fmt: skip


def test_parts_that_come_to_more_than_the_whole_are_refused_with_the_rule() -> None:
    text = SERVER.replace("kg = 2500", "kg = 1000\nincludes_parts = true")
    [line] = mistakes(text + '[[component]]\nkind = "gpu"\ncount = 8\nfootprint = { kg = 164 }\n')
    assert line.startswith("dgx.toml:8: its parts come to 1312 kg, more than the 1000 kg of the whole")


def test_a_whole_within_a_whole_is_counted_once() -> None:
    text = SERVER.replace("kg = 2500", "kg = 5000\nincludes_parts = true")
    found = facts(text + """
[[component]]
kind = "board"
footprint = { kg = 1312, includes_parts = true }
[[component]]
kind = "gpu"
count = 8
inside = "board"
footprint = { kg = 150 }
""")
    assert {fact.asset: fact.emitted_g for fact in found if "gpu" not in fact.asset} == {"dgx-1": 3_688_000, "dgx-1/board": 112_000}
    assert sum(fact.emitted_g or 0 for fact in found) == 5_000_000


def test_a_figure_without_interval_gets_that_of_its_method_and_says_so() -> None:
    by_pcf = details(facts(SERVER.replace("kg = 2500", 'kg = 3000\nmethod = "pcf"'))[0])
    assert (by_pcf["low_g"], by_pcf["high_g"], by_pcf["interval"]) == ("2000000", "4500000", "by-method")
    declared = details(facts(SERVER)[0])
    assert (declared["method"], declared["low_g"], declared["high_g"]) == ("declared", "1250000", "5000000")


def test_boavizta_estimates_by_its_formulas_and_the_stated_inputs() -> None:
    """Worked examples: a processor of 12 cores at 24.5 mm2 14.93 kg, 32 GB at 1.79 44.55 kg, an H100 SXM 575.1 kg."""
    found = facts(SERVER + """
[[component]]
kind = "cpu"
footprint = { estimate = "boavizta", inputs = { cores = 12, mm2_per_core = 24.5 } }
[[component]]
kind = "dram"
capacity_gb = 32
footprint = { estimate = "boavizta" }
[[component]]
kind = "gpu"
footprint = { estimate = "boavizta" }
""")
    assert [fact.emitted_g for fact in found[1:]] == [14_932, 44_550, 575_088]
    assert {details(fact)["method"] for fact in found[1:]} == {"bottom-up"}


def test_an_overhead_asset_says_over_what_and_by_what_it_is_spread() -> None:
    text = '[asset]\nid = "nas"\nkind = "storage"\nmade = 2024-01-01\nspread_over = ["gpu-1", "gpu-2"]\nspread_by = "hours"\n'
    said = details(facts(text + "footprint = { kg = 900 }\n")[0])
    assert (said["spread_over"], said["spread_by"]) == ("gpu-1,gpu-2", "hours")
    assert details(facts(text.replace('["gpu-1", "gpu-2"]', '"*"') + "footprint = { kg = 900 }\n")[0])["spread_over"] == "*"
    [line] = mistakes(text.replace("storage", "gpu") + "footprint = { kg = 900 }\n")
    assert "a gpu is not spread" in line


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
        ('event = "repair"\nat = 2026-01-01', "'kg' is missing"),
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
    lines = mistakes(SERVER.replace("kg = 2500", "kg = -1") + '[[component]]\nkind = "gqu"\n[[event]]\nevent = "repair"\n')
    assert len(lines) == 4


def test_another_schema_is_refused() -> None:
    for said in ('schema = "wattledger.passport/2"\n', 'schema = 1\n', ""):
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


def test_a_move_by_mode_and_distance_says_what_it_emitted() -> None:
    found = facts(SERVER.replace("made", "mass_kg = 100\nmade") + """
[[event]]
event = "move"
at = 2026-01-01
host = "b"
mode = "road"
km = 1000
""")
    assert found[-1].emitted_g == 5_040  # 100 kg x 1,000 km x 5.04e-5
    assert "Boavizta" in details(found[-1])["source"]


def test_parts_in_events_may_be_called_by_their_id() -> None:
    found = facts(SERVER + """
[[component]]
id = "old"
kind = "gpu"
footprint = { kg = 164 }
[[component]]
id = "new"
kind = "gpu"
spare = true
made = 2025-12-01
footprint = { kg = 164 }
[[event]]
event = "swap"
at = 2026-01-01
out = "old"
in = "new"
""")
    assert found[-1] == AssetFact("dgx-1", "swap", day("2026-01-01"), details=(("in", "dgx-1/new"), ("out", "dgx-1/old")))
    assert {fact.asset: fact.inside for fact in found[:-1]} == {"dgx-1": "", "dgx-1/old": "dgx-1", "dgx-1/new": ""}
