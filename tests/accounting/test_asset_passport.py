"""A passport's text becomes facts, all of them or none; every mistake says where it stands."""

from datetime import UTC, datetime

from tests.accounting.made_passports import HEAD, SERVER, details, facts, mistakes

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
