"""A footprint → the flat numbers and words that experiment trackers keep; what is not known is absent."""

from typing import Any

from wattledger import Footprint


def metrics_of(footprint: Footprint) -> dict[str, float]:
    """``wattledger/energy_j`` with ``_low`` and ``_high``, joules by kind of device, grams by basis, work, cost: the names of a
    training's own metrics, where they mean the same."""
    said = footprint.to_dict()
    found: dict[str, float | None] = {"duration_s": said.get("duration_s"), "measured_fraction": said.get("measured_fraction")}
    found |= _ends("energy_j", said.get("energy_j"))
    for device in said.get("devices", ()):
        name = f"{device['kind']}_energy_j"
        found[name] = (found.get(name) or 0.0) + device["energy_j"]["value"]
    for basis, grams in said.get("emissions_g", {}).items():
        # As a training's metrics call it: the location-based grams are the emissions.
        found |= _ends("emissions_g" if basis == "location_based" else f"{basis}_emissions_g", grams)
    found |= said.get("work", {})
    if "cost" in said:
        found[f"cost_{said['cost']['currency'].lower()}"] = said["cost"]["value"]
    return {f"wattledger/{name}": float(value) for name, value in found.items() if value is not None}


def tags_of(footprint: Footprint) -> dict[str, str]:
    """``wattledger.run_id``, the part of the energy by method (``wattledger.method.counter`` = ``0.8``), the grid zone."""
    said = footprint.to_dict()
    tags = {"wattledger.run_id": str(said["run_id"])} if "run_id" in said else {}
    by_method: dict[str, float] = {}
    for device in said.get("devices", ()):
        by_method[device["method"]] = by_method.get(device["method"], 0.0) + device["energy_j"]["value"]
    whole_j = sum(by_method.values())
    if whole_j:
        tags |= {f"wattledger.method.{method}": f"{energy_j / whole_j:.3g}" for method, energy_j in sorted(by_method.items())}
    zones = dict.fromkeys(factor["zone"] for factor in said.get("factors", ()) if factor["kind"] == "grid" and factor.get("zone"))
    return tags | ({"wattledger.grid_zone": ", ".join(zones)} if zones else {})


def _ends(name: str, quantity: dict[str, Any] | None) -> dict[str, float | None]:
    if quantity is None:
        return {}
    return {name: quantity["value"], f"{name}_low": quantity["low"], f"{name}_high": quantity["high"]}
