"""What suppliers and inventories say of machines: passports, product footprints, NetBox, Redfish, BoaviztAPI.

Facts with plausible figures, or every mistake in a line; a serial number is repeated nowhere.
"""

import json

from hypothesis import example, given
from hypothesis import strategies as st
from tests.accounting.made_passports import HEAD, SERVER, pact_json
from tests.accounting.test_asset_imports import ITEM, MODULE, device, mapped, system
from tests.fuzz.kit import as_json, bent, bent_bytes, bent_text, fuzzed, is_label, json_bytes, junk, raw, taken, texts

from wattledger.accounting.assets import inventory, mapping, netbox, pact, passport, passport_write, redfish_inventory
from wattledger.accounting.assets.passport import BadPassport, Parsed
from wattledger.accounting.assets.passport_fields import LONGEST_NAME
from wattledger.accounting.assets.passport_figures import Thing
from wattledger.core.ports import Request
from wattledger.factors.hardware.figure import Embodied
from wattledger.runtime.assets.boaviztapi import MOST_KG, asker

MOST_G = 10**15
SERIAL = "SER1AL-4711"
TOML = f"""{HEAD}{SERVER}
[[component]]
id = "gpu"
kind = "gpu"
count = 2
serials = ["{SERIAL}", "B-2"]
life_years = 4
[component.footprint]
kg = 150.5
low_kg = 100
high_kg = 300
source = "a vendor"
[[event]]
asset = "gpu-1"
event = "repair"
at = 2026-02-11
kg = 12.5
"""
TREE = {
    "schema": "wattledger.passport/1",
    "asset": {"id": "dgx-1", "made": "2025-03-01", "serial": SERIAL, "footprint": {"kg": 2500, "source": "x"}},
    "component": [{"id": "gpu", "kind": "gpu", "count": 2, "footprint": {"kg": 150, "low_kg": 100, "high_kg": 300}}],
    "event": [{"asset": "gpu-1", "event": "move", "at": "2026-02-11T00:00:00Z", "host": "h", "mode": "air", "km": 100, "kg": 3}],
}


def decoded(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def sane(found: Parsed | None) -> None:
    if found is None:
        return
    for fact in found.facts:
        assert is_label(fact.asset, LONGEST_NAME + 20)
        assert fact.emitted_g is None or (type(fact.emitted_g) is int and 0 <= fact.emitted_g <= MOST_G)
        assert 0 < fact.at_s < 1 << 33
        assert all(isinstance(value, str) and value for _, value in fact.details)
        assert SERIAL not in repr(fact)
    assert all("\n" not in line and SERIAL not in line for line in found.warnings)


def read_passport(text: str, form: str) -> Parsed | None:
    return taken(lambda: passport.read(text, form, "p"), BadPassport, lines=10**6)  # type: ignore[arg-type]


@fuzzed(5)
@given(texts | bent_text(TOML) | raw.map(decoded))
@example("a = " + "[" * 5_000)
@example(".".join("a" * 3_000) + " = 1")
@example(TOML.replace("2500", "9" * 5_000))
@example(TOML.replace("2500", "1e99999999999999999999"))
@example(TOML.replace("2500", "nan"))
@example(TOML.replace("2500", "1e-999"))
@example(TOML.replace("count = 2", "count = 9999"))
@example(TOML.replace("2026-02-11", "0001-01-01T00:00:00+23:59"))
@example(TOML.replace("kg = 12.5", "kg = -0.0"))
@example(
    TOML.replace(
        "[asset.footprint]", '[asset.footprint]\nestimate = "boavizta"\ninputs = { a = ' + "{ a = " * 50 + "1" + "}" * 50 + "}"
    )
)
def test_any_toml_is_a_passport_or_its_mistakes(text: str) -> None:
    sane(read_passport(text, "toml"))


@fuzzed(5)
@given(json_bytes.map(decoded) | bent(TREE).map(lambda tree: decoded(as_json(tree))))
@example(decoded(as_json(TREE)).replace("2500", "1e99999999999999999999"))
@example(decoded(as_json(TREE)).replace("2500", "NaN"))
@example('{"schema": "wattledger.passport/1", "asset": ' + "[" * 20_000)
@example(decoded(as_json({**TREE, "event": [{"asset": "gpu-1", "event": "\ud800", "at": "2026-02-11", "\x1b[31m": 1}]})))
def test_any_json_is_a_passport_or_its_mistakes(text: str) -> None:
    found = read_passport(text, "json")
    sane(found)
    if found is not None and len(found.facts) < 20:
        again = read_passport(passport_write.write(found.facts), "toml")
        assert again is not None
        assert sorted(map(repr, again.facts)) == sorted(map(repr, found.facts))


PACT = pact_json(dqi={"technologicalDQR": "3", "geographicalDQR": "2", "temporalDQR": "4"})


@fuzzed(5)
@given(json_bytes.map(decoded) | st.just(PACT).flatmap(bent_text) | bent(json.loads(PACT)).map(lambda tree: decoded(as_json(tree))))
@example(PACT.replace('"1312"', "1e99999999999999999999"))
@example(PACT.replace('"1312"', '"' + "9" * 30 + '"'))
@example(PACT.replace("2025-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"))
@example(PACT.replace("2025-01-01T00:00:00Z", "2199-02-29"))
@example(PACT.replace('"32.5"', '"٣"'))
def test_any_product_footprint_is_a_figure_or_its_mistakes(text: str) -> None:
    found = taken(lambda: pact.read(text, "f.json", pact.Thing(kind="board", bought_s=1_740_000_000)), BadPassport, lines=10**6)
    if found is not None:
        assert 0 <= found.embodied.low_kg <= found.embodied.kg <= found.embodied.high_kg <= 10**13
        assert found.kg.is_finite()
        assert is_label(found.embodied.item, 200)
        assert all(is_label(line, 1_000) for line in found.warnings)


NETBOX = {"devices": {"count": 1, "results": [device(serial=SERIAL)]}, "inventory_items": [ITEM], "modules": [MODULE]}
NETBOX_CSV = (
    f"Name,Status,Tenant,Site,Role,Manufacturer,Type,Serial number\ngpu-7,Active,research,Frankfurt,Server,Dell,XE9680,{SERIAL}\n"
)
MAPPED = mapped('[columns]\n"custom_fields.bought" = "purchased"\n[kinds]\n"PSU *" = "psu"\n')


@fuzzed(4)
@given(json_bytes.map(decoded) | bent(NETBOX).map(lambda tree: decoded(as_json(tree))) | bent_text(NETBOX_CSV) | texts)
@example("[" * 20_000)
@example(decoded(as_json(NETBOX)).replace('"id": 7', '"id": 1' + "0" * 400))
@example(NETBOX_CSV.replace("gpu-7", '"' + "x" * 200_000 + '"'))
@example(NETBOX_CSV.replace("gpu-7", "a\x1b[31m\u202e"))
def test_any_netbox_is_machines_or_its_mistakes(text: str) -> None:
    sane(taken(lambda: netbox.read(text, "netbox.json", MAPPED if text[:1] in "[{" else mapped()), BadPassport, lines=10**6))


REDFISH = [system(SerialNumber=SERIAL), {"@odata.id": "/redfish/v1/Systems/1/Processors/1",
"@odata.type": "#Processor.v1_20_0.Processor", "TotalCores": 64,
                                          "ProcessorType": "CPU", "Model": "X", "Manufacturer": "Y"}]  # fmt: skip


@fuzzed(4)
@given(json_bytes.map(decoded) | bent(REDFISH).map(lambda tree: decoded(as_json(tree))))
@example('[{"@odata.type": ' + "[" * 20_000)
@example(decoded(as_json(REDFISH)).replace("64", "1e99999999999999999999"))
@example(decoded(as_json(REDFISH)).replace("64", "9" * 20))
def test_any_redfish_document_is_machines_or_its_mistakes(text: str) -> None:
    sane(taken(lambda: redfish_inventory.read([("a.json", text)], mapped()), BadPassport, lines=10**6))


INVENTORY = (
    "id,kind,model,vendor,serial,made,kg,source,mass_kg\n"
    "m-1,server,X,ACME,S-1,2025-03-01,1500,ACME,30.5\nm-2,server,X,ACME,S-2,2025-03-01,1500,ACME,30.5\n"
)
MAPPING = """schema = "wattledger.mapping/1"
[columns]
"Asset" = "id"
[constants]
commissioned = 2025-06-01
[kinds]
"*server*" = "server"
[footprints]
"X*" = { kg = 700, source = "ACME" }
[format]
date = "%d.%m.%Y"
decimal = ","
[units]
mass = "lb"
"""


@fuzzed(4)
@given(texts | bent_text(INVENTORY) | raw.map(decoded), st.just("") | bent_text(MAPPING).map(str))
@example(INVENTORY, MAPPING.replace('"*server*"', '"' + "*" * 60 + '"'))
@example(INVENTORY, MAPPING.replace("%d.%m.%Y", "%d%m%"))
@example(INVENTORY, MAPPING.replace('"*server*"', '"[z-a]"'))
@example(INVENTORY.replace("1500", "1e99999999999999999999"), "")
@example(INVENTORY.replace("m-1", '"' + "x" * 200_000 + '"'), "")
def test_any_inventory_by_any_mapping_is_machines_or_its_mistakes(text: str, words: str) -> None:
    known = taken(lambda: mapping.read(words, "map.toml"), BadPassport, lines=10**6) if words else mapping.NOTHING
    if known is not None:
        sane(taken(lambda: inventory.read(text, known, "i.csv"), BadPassport, lines=10**6))


ANSWER = {"impacts": {"gwp": {"embedded": {"value": 575.1, "min": 400.0, "max": 800.0, "warnings": ["End of life is in"]}}}}


@fuzzed(4)
@given(
    json_bytes | bent(ANSWER).map(as_json) | bent_bytes(as_json(ANSWER)),
    st.dictionaries(st.text(max_size=5) | st.just("archetype"), junk, max_size=3),
)
@example(as_json(ANSWER).replace(b"575.1", b"NaN"), {})
@example(as_json(ANSWER).replace(b"575.1", b"1" + b"0" * 400), {})
@example(as_json(ANSWER).replace(b"400.0", b"1e999"), {})
@example(as_json(ANSWER).replace(b"575.1", b"1e-320"), {})
@example(as_json(ANSWER), {"archetype": "\ud800"})
def test_any_answer_of_a_boaviztapi_is_a_figure_or_a_refusal(body: bytes, inputs: dict[str, object]) -> None:
    def fetch(_: Request) -> bytes:
        return body

    ask = asker("http://b", fetch)
    found: Embodied | None = taken(lambda: ask(Thing("gpu", "NVIDIA", "H100"), inputs), ValueError)
    if found is not None:
        assert found.kg > 0
        assert 0 <= found.low_kg <= found.kg <= found.high_kg <= 2 * MOST_KG
        assert is_label(found.note, 300)


def test_the_good_ones_are_good() -> None:
    for found in (read_passport(TOML, "toml"), read_passport(decoded(as_json(TREE)), "json"), netbox.read(NETBOX_CSV, "n",
    mapped()),
                  netbox.read(decoded(as_json(NETBOX)), "n", MAPPED), redfish_inventory.read([("a", decoded(as_json(REDFISH)))],
                  mapped()),
                  inventory.read(INVENTORY, mapping.NOTHING, "i")):  # fmt: skip
        assert found is not None
        assert len(found.facts) > 1
        sane(found)
    assert pact.read(PACT, "f.json").kg == 1312
    assert mapping.read(MAPPING, "m").decimal == ","
