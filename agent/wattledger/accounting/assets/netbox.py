"""NetBox's devices, inventory items and modules, as its REST API or its export gives them, → the facts of machines and parts.

NetBox knows no footprints and, but for custom fields, no days: the mapping says them, its columns being dotted paths
(``"custom_fields.purchase_date" = "purchased"``).  Without one, what NetBox itself means is taken.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wattledger.accounting.assets import inventory
from wattledger.accounting.assets.mapping import NOTHING, Mapped, patterns
from wattledger.accounting.assets.passport import Parsed
from wattledger.accounting.assets.passport_fields import BadPassport
from wattledger.accounting.assets.passport_figures import Estimate

# Our word → where NetBox has it; the first that is there holds.  Older versions say device_role.
DEVICE: Mapping[str, tuple[str, ...]] = {
    "id": ("name", "asset_tag", "display"), "kind": ("role.name", "device_role.name", "role"),
    "model": ("device_type.model", "device_type"),
    "vendor": ("device_type.manufacturer.name", "manufacturer.name"), "serial": ("serial",), "owner": ("tenant.name", "tenant"),
    "site": ("site.name", "site"), "inside": ("parent_device.name",),
}  # fmt: skip
ITEM: Mapping[str, tuple[str, ...]] = {
    "id": ("name", "display"), "kind": ("role.name", "role", "label"), "model": ("part_id", "name"),
    "vendor": ("manufacturer.name",), "serial": ("serial",), "inside": ("device.name", "device.display", "device"),
}  # fmt: skip
MODULE: Mapping[str, tuple[str, ...]] = {
    "id": ("module_bay.name", "display", "id"), "kind": ("module_type.profile.name", "module_type.model"),
    "model": ("module_type.model", "module_type"), "vendor": ("module_type.manufacturer.name",), "serial": ("serial",),
    "inside": ("device.name", "device.display", "device"),
}  # fmt: skip
# NetBox's own export of devices as CSV.
CSV_COLUMNS: Mapping[str, str] = {
    "Name": "id", "Role": "kind", "Type": "model", "Manufacturer": "vendor", "Serial number": "serial", "Tenant": "owner",
    "Site": "site", "name": "id", "role": "kind", "device_type": "model", "manufacturer": "vendor", "serial": "serial",
    "tenant": "owner", "site": "site",
}  # fmt: skip
ROLES: Mapping[str, str] = {
    "server": "server", "compute": "server", "gpu node": "server", "switch": "network", "router": "network", "firewall": "network",
    "* switch": "network", "storage array": "storage", "pdu": "other",
    "power supply": "psu", "memory": "dram", "processor": "cpu", "graphics card": "gpu", "network card": "nic", "disk": "ssd",
}  # fmt: skip


def read(text: str, name: str, mapped: Mapped = NOTHING, *, boavizta: Estimate | None = None) -> Parsed:
    """The facts of a JSON document (a list, an API answer with ``results``, or ``{"devices": …, "inventory_items": …,
    "modules": …}``) or of NetBox's CSV of devices.

    A server's name is that of its host.  Raises BadPassport with every bad row.
    """
    mapped = mapped._replace(kinds=(*mapped.kinds, *patterns(ROLES)), host="id")
    if text.lstrip("\ufeff \r\n\t")[:1] not in ("[", "{"):
        return inventory.read(text, _of_columns(text, mapped), name, boavizta=boavizta)
    try:
        tree = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise BadPassport([f"{name}: not JSON"]) from None
    cells = list(_cells(tree, name, mapped))
    if not cells:
        raise BadPassport([f"{name}: holds no devices: expected what NetBox's API answers at /api/dcim/devices/"])
    return inventory.of_cells(cells, mapped, name=name, boavizta=boavizta)


def _of_columns(text: str, mapped: Mapped) -> Mapped:
    """The mapping, and NetBox's own columns where it says nothing of what they say."""
    head = next((line for line in text.removeprefix("\ufeff").splitlines() if line.strip()), "")
    there = {word.strip().strip('"') for word in re.split(r"[,;\t|]", head)}
    said = set(mapped.columns.values())
    ours: dict[str, str] = {}
    for column, word in CSV_COLUMNS.items():
        if column in there and word not in said and word not in ours.values() and column not in mapped.columns:
            ours[column] = word
    return mapped._replace(columns={**ours, **mapped.columns})


def _cells(tree: Any, name: str, mapped: Mapped) -> Iterator[tuple[str, dict[str, str]]]:
    """(place, word → text) of each row."""
    lists = tree if isinstance(tree, Mapping) and "results" not in tree else {"devices": tree}
    for key, rows in lists.items():
        rows = rows.get("results") if isinstance(rows, Mapping) else rows
        if not isinstance(rows, list):
            continue
        for n, row in enumerate(rows):
            place = f"{name}: {key}[{n}]"
            if not isinstance(row, Mapping):
                raise BadPassport([f"{place}: expected an object"])
            yield place, _row(row, mapped)


def _row(row: Mapping[str, Any], mapped: Mapped) -> dict[str, str]:
    words = MODULE if "module_type" in row else DEVICE if "device_type" in row or "device" not in row else ITEM
    found: dict[str, str] = {}
    for word, paths in words.items():
        said = next((text for path in paths if (text := _at(row, path))), "")
        if said:
            found[word] = said
    for path, word in mapped.columns.items():
        if said := _at(row, path):
            found[word] = said
    if words is not DEVICE and "id" in found and "inside" in found:
        found["id"] = f"{found['inside']}/{found['id']}"
    for word in ("id", "inside"):
        if word in found:
            found[word] = found[word].replace(":", "-")
    return found


def _at(row: Mapping[str, Any], path: str) -> str:
    """The text or number at a dotted path; empty where there is none."""
    value: Any = row
    for word in path.split("."):
        if not isinstance(value, Mapping):
            return ""
        value = value.get(word)
    return str(value).strip() if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
