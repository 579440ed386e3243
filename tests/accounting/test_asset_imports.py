"""NetBox and Redfish, as they are exported, become machines and parts with carbon of their own."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_passports import details, outcome

from wattledger.accounting.assets import mapping, netbox, redfish_inventory
from wattledger.accounting.assets.mapping import Mapped
from wattledger.accounting.assets.passport import Parsed, hashed_serial
from wattledger.accounting.assets.passport_fields import BadPassport


def mapped(text: str = "") -> Mapped:
    return mapping.read(f'schema = "wattledger.mapping/1"\n[constants]\ncommissioned = 2025-06-01\n{text}', "map.toml")


def device(**words: Any) -> dict[str, Any]:
    return {
        "id": 7, "name": "gpu-7", "role": {"id": 1, "name": "Server", "slug": "server"}, "tenant": {"name": "research"},
        "device_type": {"model": "PowerEdge XE9680", "manufacturer": {"name": "Dell"}}, "site": {"name": "Frankfurt"},
        "serial": "SVC-TAG-1", "asset_tag": "4711", "status": {"value": "active"}, "custom_fields": {"bought": "2025-05-02"},
        **words,
    }  # fmt: skip


ITEM = {"id": 1, "device": {"id": 7, "name": "gpu-7"}, "name": "GPU:0", "role": {"name": "Graphics card"}, "serial": "",
        "manufacturer": {"name": "NVIDIA"}, "part_id": "H100 SXM5 80GB"}  # fmt: skip
MODULE = {"id": 3, "device": {"id": 7, "name": "gpu-7"}, "module_bay": {"name": "PSU1"}, "serial": "P-1",
          "module_type": {"manufacturer": {"name": "Delta"}, "model": "PSU 2800W"}}  # fmt: skip


def test_netboxs_devices_items_and_modules_are_machines_and_parts() -> None:
    tree = {"devices": {"count": 1, "results": [device()]}, "inventory_items": [ITEM], "modules": [MODULE]}
    words = '[columns]\n"custom_fields.bought" = "purchased"\n[kinds]\n"PSU *" = "psu"\n'
    found = netbox.read(json.dumps(tree), "netbox.json", mapped(words)).facts
    made = {fact.asset: fact for fact in found if fact.event == "make"}
    assert {name: (details(fact)["kind"], fact.inside) for name, fact in made.items()} == {
        "gpu-7": ("server", ""), "gpu-7/GPU-0": ("gpu", "gpu-7"), "gpu-7/PSU1": ("psu", "gpu-7"),
    }  # fmt: skip
    assert made["gpu-7/GPU-0"].emitted_g == 164_000
    assert details(made["gpu-7"])["serial_hash"] == hashed_serial("SVC-TAG-1")
    placed = next(fact for fact in found if fact.event == "commission")
    assert details(placed) == {"host": "gpu-7", "site": "Frankfurt"}
    bought = next(fact for fact in found if fact.event == "acquire")
    assert details(bought) == {"owner": "research"}
    assert "SVC-TAG-1" not in repr(found)


def test_netboxs_own_csv_of_devices() -> None:
    text = "Name,Status,Tenant,Site,Role,Manufacturer,Type,Serial number\ngpu-7,Active,research,Frankfurt,Server,Dell,XE9680,S1\n"
    found = netbox.read(text, "devices.csv", mapped()).facts
    assert [(fact.asset, fact.event) for fact in found] == [("gpu-7", "make"), ("gpu-7", "commission")]
    assert details(found[1]) == {"host": "gpu-7", "owner": "research", "site": "Frankfurt"}


def test_netboxs_bad_devices_are_all_named() -> None:
    rows = [device(name="a"), device(name="b", role={"name": "Coffee machine"}), device(name="c", device_type={"model": "?"}),
            device(name="d", role={"name": "Access switch"})]  # fmt: skip
    with pytest.raises(BadPassport) as caught:
        netbox.read(json.dumps(rows), "n.json", mapped())
    lines = caught.value.lines
    assert [line.split(": ")[1] for line in lines] == ["devices[1]", "devices[3]"]
    assert "its kind is not known from 'Coffee machine'" in lines[0]
    assert "no figure to estimate a network by" in lines[1]


def test_a_switch_gets_the_footprint_of_the_mapping_and_is_spread() -> None:
    words = 'spread_over = "*"\nspread_by = "hosts"\n[footprints]\n"Nexus*" = { kg = 700, source = "Cisco" }\n'
    row = device(role={"name": "Core switch"}, device_type={"model": "NEXUS 9336"})
    [made, _] = netbox.read(json.dumps([row]), "n.json", mapped(words)).facts
    assert (made.emitted_g, details(made)["source"], details(made)["spread_over"]) == (700_000, "Cisco", "*")


def system(**words: Any) -> dict[str, Any]:
    return {
        "@odata.id": "/redfish/v1/Systems/1", "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "Id": "1",
        "HostName": "gpu-7", "Manufacturer": "Dell", "Model": "XE9680", "SerialNumber": "SVC-1",
        "Links": {"Chassis": [{"@odata.id": "/redfish/v1/Chassis/1"}]}, **words,
    }  # fmt: skip


def resource(path: str, kind: str, **words: Any) -> dict[str, Any]:
    return {"@odata.id": f"/redfish/v1/{path}", "@odata.type": f"#{kind}.v1_0_0.{kind}", "Status": {"State": "Enabled"}, **words}


def processor(path: str, kind: str, **words: Any) -> dict[str, Any]:
    return resource(f"Systems/{path}", "Processor", ProcessorType=kind, **words)


PARTS = [
    processor("1/Processors/CPU1", "CPU", Model="AMD EPYC 9654 96-Core Processor", TotalCores=96),
    processor("1/Processors/GPU1", "GPU", Manufacturer="NVIDIA", Model="H100 SXM5 80GB", SerialNumber="G-1"),
    resource("Systems/1/Memory/A1", "Memory", CapacityMiB=65536, Manufacturer="Samsung", PartNumber="M321"),
    {**resource("Systems/1/Memory/A2", "Memory", CapacityMiB=65536), "Status": {"State": "Absent"}},
    resource("Systems/1/Storage/1/Drives/0", "Drive", MediaType="SSD", CapacityBytes=3_840_000_000_000, Model="PM9A3"),
    resource("Chassis/1/NetworkAdapters/1", "NetworkAdapter", Model="ConnectX-7"),
    resource("Chassis/1/PowerSubsystem/PowerSupplies/1", "PowerSupply", Model="2800 W"),
]
# Older firmware lists the same supplies once more, without a type.
LISTED = {"@odata.id": "/redfish/v1/Chassis/1/Power#/0", "Model": "2800 W"}
POWER = {**resource("Chassis/1/Power", "Power"), "PowerSupplies": [LISTED]}


def redfish(*documents: Any, words: str = "") -> Parsed:
    return redfish_inventory.read([(f"{n}.json", json.dumps(tree)) for n, tree in enumerate(documents)], mapped(words))


def test_redfish_is_a_server_and_its_parts_without_empty_slots() -> None:
    found = redfish(system(), *PARTS, POWER, resource("Chassis/1", "Chassis", WeightKg=108.5))
    made = {fact.asset: fact for fact in found.facts if fact.event == "make"}
    assert {name: fact.inside for name, fact in made.items()} == {
        "gpu-7": "", **dict.fromkeys((f"gpu-7/{kind}-0" for kind in ("cpu", "gpu", "dram", "ssd", "psu")), "gpu-7"),
    }  # fmt: skip
    assert details(made["gpu-7"])["mass_g"] == "108500"
    assert (details(made["gpu-7/dram-0"])["capacity_gb"], details(made["gpu-7/ssd-0"])["capacity_gb"]) == ("64", "3840")
    assert made["gpu-7/gpu-0"].emitted_g == 164_000
    assert "G-1" not in repr(found.facts)
    assert [line for line in found.warnings if "nic left out" in line]


def test_redfish_in_one_document_is_the_same_as_in_many() -> None:
    many = redfish(system(), *PARTS).facts
    assert redfish([system(), *PARTS]).facts == many
    whole = system(Processors={"Members": PARTS[:2]}, Memory={"Members": PARTS[2:4]}, rest=PARTS[4:])
    assert redfish({"/redfish/v1/Systems/1": whole}).facts == many
    assert redfish(system(), system(), *PARTS, *PARTS).facts == many


def test_older_firmwares_power_supplies_are_parts_where_there_are_no_newer() -> None:
    found = redfish(system(), POWER).facts
    assert [fact.asset for fact in found if fact.event == "make"] == ["gpu-7", "gpu-7/psu-0"]


def test_parts_belong_to_the_system_that_they_are_below() -> None:
    other = {**system(HostName="gpu-8", SerialNumber="SVC-2"), "@odata.id": "/redfish/v1/Systems/2",
             "Links": {"Chassis": [{"@odata.id": "/redfish/v1/Chassis/2"}]}}  # fmt: skip
    cards = [processor(f"{n}/Processors/G", "GPU", Model="H100") for n in (1, 2)]
    supply = resource("Chassis/2/PowerSupplies/1", "PowerSupply", Model="2800 W")
    found = redfish(system(), other, *cards, supply).facts
    assert {fact.asset: fact.inside for fact in found if fact.inside} == {
        "gpu-7/gpu-0": "gpu-7", "gpu-8/gpu-0": "gpu-8", "gpu-8/psu-0": "gpu-8",
    }  # fmt: skip
    with pytest.raises(BadPassport, match="cannot tell whose part it is"):
        redfish(system(), other, resource("Chassis/9/PowerSupplies/1", "PowerSupply"))


def test_a_server_without_a_name_is_called_by_its_model_and_a_hash() -> None:
    [made, *_] = redfish(system(HostName=None)).facts
    assert made.asset.startswith("XE9680 ")
    assert "SVC-1" not in repr(made)


def test_redfish_without_a_system_or_days_is_refused() -> None:
    with pytest.raises(BadPassport, match="holds no ComputerSystem"):
        redfish(*PARTS)
    with pytest.raises(BadPassport, match="when was it made"):
        redfish_inventory.read([("a.json", json.dumps(system()))])


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(("GPU", "H100", "SSD"))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(("HostName", "Model", "Links", "SerialNumber", "Status")), values, st.integers(0, len(PARTS) - 1), values)
def test_whatever_a_bmc_says_it_is_facts_or_refused(key: str, one: Any, n: int, other: Any) -> None:
    part = dict.fromkeys(PARTS[n], other) | {"@odata.id": PARTS[n]["@odata.id"], "@odata.type": PARTS[n]["@odata.type"]}
    found = outcome(lambda: redfish(system(**{key: one}), part))
    assert found.lines if isinstance(found, BadPassport) else found.facts


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(device())), values, values)
def test_whatever_netbox_says_it_is_facts_or_refused(key: str, one: Any, other: Any) -> None:
    both = {"devices": [device()], "x": one, "inventory_items": [{**ITEM, key: one}]}
    for tree in ([device(**{key: one})], both, one, [other]):
        found = outcome(lambda tree=tree: netbox.read(json.dumps(tree), "n", mapped()))  # type: ignore[misc]
        assert found.lines if isinstance(found, BadPassport) else found.facts


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_random_bytes_are_refused(junk: bytes) -> None:
    text = junk.decode("latin-1")
    assert isinstance(outcome(lambda: netbox.read(text, "n", mapped())), BadPassport)
    assert isinstance(outcome(lambda: redfish_inventory.read([("a", text)], mapped())), BadPassport)
