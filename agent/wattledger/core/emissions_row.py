"""A footprint → one row of CodeCarbon's ``emissions.csv``, so that what reads those files reads ours.

The columns are CodeCarbon 3.3.2's, in its order and its units: seconds, kWh, kg CO2e, W (means over the run), litres, GB.  What a
footprint does not know is ``None`` (an empty cell), where CodeCarbon writes 0 or a default.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wattledger.core.units import kwh
from wattledger.core.version import __version__

if TYPE_CHECKING:
    from wattledger.core.footprint import DeviceFootprint, Footprint

COLUMNS = (
    "timestamp", "project_name", "run_id", "experiment_id", "duration", "emissions", "emissions_rate", "cpu_power", "gpu_power",
    "ram_power", "cpu_energy", "gpu_energy", "ram_energy", "energy_consumed", "water_consumed", "country_name", "country_iso_code",
    "region", "cloud_provider", "cloud_region", "os", "python_version", "codecarbon_version", "cpu_count", "cpu_model", "gpu_count",
    "gpu_model", "longitude", "latitude", "ram_total_size", "tracking_mode", "cpu_utilization_percent", "gpu_utilization_percent",
    "ram_utilization_percent", "ram_used_gb", "on_cloud", "pue", "wue",
)  # fmt: skip
PARTS = {"cpu": "cpu", "gpu": "gpu", "ram": "dram"}  # CodeCarbon's name of a part → ours

Row = dict[str, str | float | None]


def codecarbon_row(footprint: "Footprint") -> Row:
    """Every column, in order.

    As there, power and energy are the building's: times PUE where that is known.  ``energy_consumed`` holds all devices, also
    those without a column (``rest``, accelerators).  ``codecarbon_version`` says that the row is ours and how each part was got.
    ``timestamp`` is the end, in UTC.
    """
    who, length_s = footprint.identity, footprint.duration_s
    row: Row = dict.fromkeys(COLUMNS)
    row["timestamp"] = str(footprint.to_dict()["end"])[:19]
    row["project_name"], row["run_id"], row["experiment_id"] = who.job, who.run_id, who.labels.get("experiment_id")
    row["duration"], row["tracking_mode"] = length_s, "machine" if who.scope == "host" else "process"
    grams = footprint.emissions_g.get("location_based")
    if grams is not None:
        row["emissions"] = grams.value / 1000
        row["emissions_rate"] = grams.value / 1000 / length_s if length_s > 0 else None
    # One that changed during the run is in the grams, and no one number says it.
    pues = {factor.value for factor in footprint.factors if factor.kind == "pue"}
    row["pue"] = pue = pues.pop() if len(pues) == 1 else None
    if footprint.energy_j is not None:
        row["energy_consumed"] = kwh(footprint.energy_j.value * (pue or 1.0))
    for name, kind in PARTS.items():
        if devices := [d for d in footprint.devices if d.kind == kind]:
            drawn_j = sum(d.energy_j.value for d in devices) * (pue or 1.0)
            row[f"{name}_energy"] = kwh(drawn_j)
            row[f"{name}_power"] = drawn_j / length_s if length_s > 0 else None
            if name != "ram":
                row[f"{name}_model"] = models(devices)
            if name == "gpu":
                row["gpu_count"] = len({d.id for d in devices})
    row["region"] = zone_of(footprint).partition("-")[2] or None
    got = ", ".join(dict.fromkeys(f"{kind} {method}" for kind, method, _ in footprint.by_kind()))
    row["codecarbon_version"] = f"wattledger {__version__} ({got or 'nothing was measured'})"
    return row


def zone_of(footprint: "Footprint") -> str:
    """The grid zone that priced it last; empty where none is known (the world's average is no place)."""
    zones = [factor.zone for factor in footprint.factors if factor.kind == "grid" and factor.zone != "WORLD"]
    return zones[-1] if zones else ""


def models(devices: Sequence["DeviceFootprint"]) -> str:
    """``2 x card, chip``: as CodeCarbon writes several of one model."""
    ids: dict[str, set[str]] = {}
    for device in devices:
        ids.setdefault(device.model, set()).add(device.id)
    return ", ".join(times(len(found), model) for model, found in ids.items())


def times(count: int, model: str) -> str:
    """``2 x card``, and one is ``card``."""
    return f"{count} x {model}" if count > 1 else model
