"""Redfish documents of a machine, saved as they are, → the facts of the server and its parts.

Resources are found wherever they stand: in one document that holds many, in a list, or in a folder's documents; each counts once,
by its ``@odata.id``.  Redfish knows no days and no footprints: the mapping's constants say the first, its ``[footprints]`` or the
package's figures the second.  A slot that is empty (``State`` Absent) is no part.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from wattledger.accounting.assets import inventory
from wattledger.accounting.assets.mapping import NOTHING, Mapped, patterns
from wattledger.accounting.assets.passport import Parsed
from wattledger.accounting.assets.passport_fields import BadPassport, hashed_serial
from wattledger.accounting.assets.passport_figures import Estimate
from wattledger.accounting.assets.passport_words import KINDS

DEEPEST = 60
BYTES_PER_GB, MIB_PER_GB = 1_000_000_000, 1_024
PROCESSORS: Mapping[str, str] = {
    "CPU": "cpu", "GPU": "gpu", "Accelerator": "accelerator", "FPGA": "accelerator", "DSP": "accelerator", "TPU": "accelerator",
    "": "cpu",
}  # fmt: skip
LISTED = "#PowerSupply."  # a power supply of the older Power resource, which names no type

Resource = Mapping[str, Any]
Found = Mapping[str, tuple[str, Resource]]  # path → the file it was in, and what it says


def read(
    documents: Iterable[tuple[str, str]], mapped: Mapped = NOTHING, *, name: str = "redfish", boavizta: Estimate | None = None
) -> Parsed:
    """The facts of (name, text) documents.  Raises BadPassport with every bad one."""
    found: dict[str, tuple[str, Resource]] = {}
    wrong = []
    for file, text in documents:
        try:
            tree = json.loads(text.removeprefix("\ufeff"), parse_float=Decimal)
        except (ValueError, RecursionError, ArithmeticError):
            wrong.append(f"{file}: not JSON")
            continue
        for resource in _resources(tree, 0):
            found.setdefault(str(resource.get("@odata.id") or f"{file}#{len(found)}"), (file, resource))
    systems = {key: one for key, one in found.items() if _type(one[1]) == "ComputerSystem"}
    if not systems:
        wrong.append(f"{name}: holds no ComputerSystem: save what the BMC answers at /redfish/v1/Systems/… with the rest")
    if wrong:
        raise BadPassport(wrong)
    mapped = mapped._replace(kinds=(*mapped.kinds, *patterns(dict(zip(KINDS, KINDS, strict=True)))))
    return inventory.of_cells(list(_cells(found, systems)), mapped, name=name, boavizta=boavizta)


def _resources(tree: Any, depth: int) -> Iterator[Resource]:
    """Every object that says its type, and power supplies as older firmware lists them; collections are looked into."""
    if depth > DEEPEST:
        return
    if isinstance(tree, Mapping):
        if "@odata.type" in tree:
            yield tree
        for key, value in tree.items():
            if key == "PowerSupplies" and isinstance(value, list):
                yield from ({"@odata.type": LISTED, **each} for each in value if isinstance(each, Mapping) and len(each) > 1)
            elif isinstance(value, (Mapping, list)):
                yield from _resources(value, depth + 1)
    elif isinstance(tree, list):
        for each in tree:
            yield from _resources(each, depth + 1)


def _type(resource: Resource) -> str:
    """``Processor`` of ``#Processor.v1_20_0.Processor``."""
    return str(resource.get("@odata.type", "")).lstrip("#").split(".")[0]


def _cells(found: Found, systems: Found) -> Iterator[tuple[str, dict[str, str]]]:
    """(place, word → text) of the servers and then of their parts."""
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    for path, (file, system) in systems.items():
        names[path] = _name(system, list(names.values()))
        host = {"host": _text(system, "HostName")}
        owners |= dict.fromkeys((path, *_chassis(system)), path)
        weight = next((_text(one, "WeightKg") for key in _chassis(system) if (one := found.get(key, ("", {}))[1])), "")
        said = {**_thing(system), "id": names[path], "kind": "server", "mass_kg": weight, **host}
        yield f"{file}: {path}", _filled(said)
    taken: dict[str, int] = {}
    # The same supplies may stand in the older Power and in the newer PowerSubsystem.
    newer = any(str(resource["@odata.type"]).startswith("#PowerSupply.v") for _, resource in found.values())
    for path, (file, resource) in found.items():
        part = _part(resource)
        if part is None or (newer and resource["@odata.type"] == LISTED):
            continue
        owner = next((owners[key] for key in sorted(owners, key=len, reverse=True) if path.startswith(f"{key}/")), "")
        owner = owner or (next(iter(systems)) if len(systems) == 1 else "")
        if not owner:
            raise BadPassport([f"{file}: {path}: cannot tell whose part it is: import each system's documents by themselves"])
        base = f"{names[owner]}/{part['kind']}"
        taken[base] = taken.get(base, -1) + 1
        yield f"{file}: {path}", {**part, "id": f"{base}-{taken[base]}", "inside": names[owner]}


def _name(system: Resource, taken: Sequence[str]) -> str:
    """What the system is called: its host, its tag, else its model and a part of its serial's hash."""
    said = _text(system, "HostName") or _text(system, "AssetTag")
    if not said:
        serial = _text(system, "SerialNumber")
        mark = hashed_serial(serial).removeprefix("sha256:")[:8] if serial else _text(system, "Id")
        said = f"{_text(system, 'Model') or 'server'} {mark}".strip()
    said = said.replace(":", "-")[:100]
    return said if said not in taken else f"{said} {len(taken) + 1}"


def _chassis(system: Resource) -> list[str]:
    """The paths of the boxes that the system is in by itself."""
    links = system.get("Links")
    listed = links.get("Chassis") if isinstance(links, Mapping) else None
    found = [_text(each, "@odata.id") for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    return [path for path in found if path]


def _part(resource: Resource) -> dict[str, str] | None:
    """A part in our words; ``None`` for what is none, and for an empty slot."""
    status = resource.get("Status")
    if isinstance(status, Mapping) and status.get("State") == "Absent":
        return None
    match _type(resource):
        case "Processor":
            kind = PROCESSORS.get(_text(resource, "ProcessorType"), "")
            said = {"cores": _text(resource, "TotalCores") if kind == "cpu" else ""}
        case "Memory":
            kind, said = "dram", {"capacity_gb": _scaled(resource, "CapacityMiB", MIB_PER_GB)}
        case "Drive":
            kind = "hdd" if _text(resource, "MediaType") == "HDD" else "ssd"
            said = {"capacity_gb": _scaled(resource, "CapacityBytes", BYTES_PER_GB)}
        case "PowerSupply":
            kind, said = "psu", {}
        case "NetworkAdapter":
            kind, said = "nic", {}
        case _:
            return None
    return _filled({**_thing(resource), **said, "kind": kind}) if kind else None


def _thing(resource: Resource) -> dict[str, str]:
    model = _text(resource, "Model") or _text(resource, "PartNumber")
    return {"vendor": _text(resource, "Manufacturer"), "model": model, "serial": _text(resource, "SerialNumber")}


def _scaled(resource: Resource, key: str, divisor: int) -> str:
    said = _text(resource, key)
    sound = said.isascii() and said.isdigit() and len(said) < 25
    return format(round(Decimal(said) / divisor, 3).normalize(), "f") if sound else ""


def _filled(said: Mapping[str, str]) -> dict[str, str]:
    return {word: text for word, text in said.items() if text}


def _text(resource: Resource, key: str) -> str:
    """A text or number, on one line; empty where there is none."""
    value = resource.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        return ""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())[:200]
