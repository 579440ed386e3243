"""Laws of passports: what is written reads back to equal facts, and no text makes anything but facts or BadPassport."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_passports import HEAD, SERVER, facts, outcome

from wattledger.accounting.assets import mapping, passport, passport_write
from wattledger.accounting.assets.books import fleet_of
from wattledger.accounting.assets.passport_events import event
from wattledger.accounting.assets.passport_fields import BadPassport
from wattledger.accounting.assets.passport_places import Form
from wattledger.accounting.assets.passport_rows import ROW
from wattledger.accounting.assets.passport_words import EVENTS, KINDS
from wattledger.accounting.assets.rules import check
from wattledger.core.facts import AssetFact, Known

words = st.text("abc äß\"'#=[]\\.-Ω/", min_size=1, max_size=12).filter(lambda said: said.strip() != "").map(str.strip)
kilograms = st.decimals(0, 90_000, places=3)
days = st.dates(min_value=date(2020, 1, 1), max_value=date(2024, 12, 31)).map(str)
later = st.dates(min_value=date(2025, 1, 1), max_value=date(2035, 1, 1)).map(str)
positive = st.decimals("0.01", 50, places=2)


def table(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


footprints = st.one_of(
    table({"kg": kilograms}, {"source": words, "method": st.sampled_from(("pcf", "published", "declared")), "note": words,
                              "boundary": words, "year": st.just("2024")}),
    kilograms.map(lambda kg: {"kg": kg, "low_kg": kg / 2, "high_kg": kg * 2}),
)  # fmt: skip
things = {"vendor": words, "model": words, "serial": words, "device": words, "mass_kg": kilograms, "life_years": positive,
          "end_of_life_kg": kilograms, "evidence": words, "capacity_gb": positive, "cores": positive}  # fmt: skip
assets = table(
    {"id": st.just("m"), "made": days, "footprint": footprints},
    {**things, "purchased": later, "commissioned": later, "owner": words, "host": words, "site": words, "kind": st.just("server"),
     "condition": st.sampled_from(("new", "used", "rented")), "invoice": words},
)  # fmt: skip
components = table(
    {"kind": st.sampled_from(KINDS), "footprint": footprints},
    {**things, "made": later, "life_h": st.none(), "spare": st.booleans()},
)
events = st.one_of(
    table({"event": st.just("repair"), "at": later, "kg": kilograms}, {"evidence": words, "part": words, "life_years": positive}),
    table({"event": st.just("move"), "at": later, "host": words}, {"kg": kilograms, "site": words, "inside": words}),
    table({"event": st.just("degrade"), "at": later, "capacity": st.decimals(0, 1, places=3)}, {}),
    table(
        {"event": st.just("transfer"), "at": later, "to": words},
        {"years_1": positive, "method": st.sampled_from(("cut-off", "50/50"))},
    ),
    table({"event": st.just("scrap"), "at": later}, {"kg": kilograms, "route": st.just("recycle")}),
    table({"event": st.just("commission"), "at": later}, {"host": words, "owner": words, "kg": kilograms}),
    table({"event": st.just("refurbish"), "at": later}, {"energy_kwh": positive, "g_per_kwh": positive, "kg": kilograms}),
)


@st.composite
def passports(draw: st.DrawFn) -> dict[str, Any]:
    asset = draw(assets)
    parts = draw(st.lists(components, max_size=4))
    for n, part in enumerate(parts):
        part.pop("life_h", None)
        part["id"] = f"part-{n}"
        if part.get("spare"):
            part.setdefault("made", "2026-01-01")
        if n and draw(st.booleans()):
            part["inside"] = f"part-{draw(st.integers(0, n - 1))}"
    return {"schema": "wattledger.passport/1", "asset": asset, "component": parts, "event": draw(st.lists(events, max_size=4))}


@settings(max_examples=150, deadline=None)
@given(passports())
def test_what_is_written_reads_back_to_equal_facts(tree: dict[str, Any]) -> None:
    found = passport.read(passport_write.toml(tree), "toml", "a.toml").facts
    again = passport.read(passport_write.write(found), "toml", "b.toml")
    assert again.facts == found
    assert passport_write.write(again.facts) == passport_write.write(found)


@settings(max_examples=40, deadline=None)
@given(passports())
def test_toml_and_json_of_one_tree_are_one_passport(tree: dict[str, Any]) -> None:
    as_json = json.dumps(tree, default=lambda value: float(value) if isinstance(value, Decimal) else str(value))
    assert passport.read(as_json, "json", "a").facts == passport.read(passport_write.toml(tree), "toml", "a").facts


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 3_000_000), st.lists(st.integers(0, 400_000), min_size=1, max_size=8))
def test_a_whole_that_includes_its_parts_is_never_changed_by_naming_them(whole_g: int, parts_g: list[int]) -> None:
    tree = {
        "schema": "wattledger.passport/1",
        "asset": {"id": "m", "made": "2025-01-01", "footprint": {"kg": Decimal(whole_g) / 1000, "includes_parts": True}},
        "component": [{"id": str(n), "kind": "gpu", "footprint": {"kg": Decimal(g) / 1000}} for n, g in enumerate(parts_g)],
    }
    found = outcome(lambda: passport.read(passport_write.toml(tree), "toml", "a").facts)
    if isinstance(found, BadPassport):
        assert sum(parts_g) > whole_g, str(found)
    else:
        assert sum(fact.emitted_g or 0 for fact in found) == whole_g
        assert min(fact.emitted_g or 0 for fact in found) >= 0


def test_the_template_reads_and_reads_back() -> None:
    found = passport.read(passport_write.template(), "toml", "template.toml")
    assert [fact.asset for fact in found.facts if fact.event == "make"] == ["dgx-1", *[f"dgx-1/gpu-{n}" for n in range(8)]]
    assert passport.read(passport_write.write(found.facts), "toml", "again.toml").facts == found.facts


def test_the_books_take_a_passport_and_hold_all_its_kilograms() -> None:
    found = passport.read(passport_write.template(), "toml", "template.toml").facts
    assert check([], found) == ()
    known = [Known(f"w:{n}", 0, fact) for n, fact in enumerate(found, 1)]
    fleet = fleet_of(known, until_s=1_800_000_000)
    balance = fleet.balance(1_800_000_000)
    assert balance.residual_ug == 0
    assert balance.made_ug + balance.added_ug == (2_500_000 + 8 * 164_000 + 12_500) * 1_000_000


def test_a_detail_without_a_word_is_left_out_aloud() -> None:
    [fact] = facts(SERVER)
    told = passport_write.write([fact._replace(details=(*fact.details, ("zodiac", "libra")))])
    assert '# "zodiac" is left out' in told
    assert passport.read(told, "toml", "a").facts == [fact]


# --- whatever the text -----------------------------------------------------------------------------------------------------

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
KEYS = ("id", "kind", "made", "count", "devices", "serial", "mass_kg", "inside", "footprint", "kg", "pact", "estimate", "inputs",
        "includes_parts", "spare", "event", "at", "host", "km", "mode", "life_years", "spread_over", "asset", "low_kg")  # fmt: skip
SOUND: tuple[Any, ...] = ("gpu", "2025-01-01", 3, 164, ["a"], "boavizta", {"kg": 1}, {"estimate": "boavizta"},
                          {"pact": {"pcf": {}}}, True, "repair")  # fmt: skip
odd = st.dictionaries(st.sampled_from(KEYS), st.one_of(values, st.sampled_from(SOUND)), max_size=8)


def accepted(text: str, form: Form) -> list[AssetFact]:
    found = outcome(lambda: passport.read(text, form, "f").facts)
    if isinstance(found, BadPassport):
        assert found.lines
        assert all(line.startswith("f") and line.isprintable() for line in found.lines), found.lines
        return []
    return found


@settings(max_examples=150, deadline=None)
@given(odd, st.lists(odd, max_size=2), st.lists(odd, max_size=2))
def test_whatever_stands_in_a_passport_it_is_facts_or_refused(asset: Any, parts: Any, happened: Any) -> None:
    tree = {"schema": "wattledger.passport/1", "asset": asset, "component": parts, "event": happened}
    for fact in accepted(json.dumps(tree), "json"):
        assert fact.emitted_g is None or fact.emitted_g >= 0
        assert ":" not in fact.asset


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(junk: bytes) -> None:
    assert accepted(junk.decode("utf-8", "replace"), "toml") == []
    assert accepted(junk.decode("latin-1"), "json") == []


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400))
def test_a_text_that_breaks_off_is_refused_or_a_smaller_passport(end: int) -> None:
    text = HEAD + SERVER + '[[component]]\nkind = "gpu"\nmodel = "H100"\nfootprint = { kg = 164 }\n'
    whole = passport.read(text, "toml", "f").facts
    assert all(fact.event in {each.event for each in whole} for fact in accepted(text[:end], "toml"))
    as_json = json.dumps({"schema": "wattledger.passport/1", "asset": {"id": "a", "made": "2025-01-01", "footprint": {"kg": 300}}})
    assert accepted(as_json[: min(end, len(as_json) - 1)], "json") == []


def test_what_is_nested_without_end_is_refused() -> None:
    assert accepted("[" * 100_000, "json") == []
    assert accepted("a = " + "[" * 100_000, "toml") == []
    assert accepted(HEAD + "[asset]\nid = 1" + "0" * 5000, "toml") == []
    part = '[[component]]\nid = "p{}"\nkind = "other"\ninside = "p{}"\nfootprint = {{ kg = 1 }}\n'
    chain = "".join(part.format(n, n + 1) for n in range(3000))
    assert accepted(HEAD + SERVER + chain, "toml") == []


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(EVENTS)), st.dictionaries(st.sampled_from((*KEYS, "out", "in", "capacity")), values, max_size=5))
def test_whatever_an_event_says_it_is_a_fact_or_refused(what: str, said: dict[str, Any]) -> None:
    found = outcome(lambda: event({**said, "asset": "a", "event": what, "at": "2025-01-01"}))
    if isinstance(found, BadPassport):
        assert found.lines
    else:
        assert found.event == what
        assert all(isinstance(value, str) for _, value in found.details)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from((*mapping.TABLES, "x")), st.one_of(values, odd), max_size=5))
def test_whatever_a_mapping_says_it_is_read_or_refused(tree: dict[str, Any]) -> None:
    said = {key: value for key, value in tree.items() if isinstance(value, (dict, str)) and key != "schema"}
    text = passport_write.toml({"schema": mapping.SCHEMA, **said})
    found = outcome(lambda: mapping.read(text, "map"))
    if isinstance(found, BadPassport):
        assert found.lines
    else:
        assert all(word in ROW for word in found.columns.values())
