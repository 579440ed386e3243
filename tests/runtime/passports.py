"""Machines with passports, on a host that says nothing of itself."""

from pathlib import Path

from wattledger.core.facts import AssetFact
from wattledger.core.model import Device
from wattledger.runtime.config import Config, load

NOW_S = 1_790_000_000
BEGAN_S = NOW_S - 1000 * 3600
H100 = Device("GPU-1", "gpu", "NVIDIA H100 80GB HBM3")
OTHER = Device("GPU-2", "gpu", "NVIDIA H100 80GB HBM3")
SLICE = Device("MIG-1", "gpu", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "GPU-1")
CPUS = (Device("intel-rapl:0", "cpu", "Xeon"), Device("intel-rapl:1", "cpu", "Xeon"))
CORE = Device("intel-rapl:0:0", "cpu", "core", "intel-rapl:0")
DRAM = Device("intel-rapl:0:1", "dram", "dram")
ALL = (H100, OTHER, SLICE, *CPUS, CORE, DRAM)
HOURS = 40_000


def config(folder: Path, **words: str) -> Config:
    """Of a machine that says nothing of itself, as a test says it."""
    nothing = folder / "nothing"
    nothing.mkdir(exist_ok=True)
    said = {"WATTLEDGER_PATHS_SYSFS": str(nothing), "WATTLEDGER_PATHS_PROCFS": str(nothing)}
    said["WATTLEDGER_LEDGER_PATH"] = str(folder / "books")
    return load({**said, **{f"WATTLEDGER_EMBODIED_{name.upper()}": word for name, word in words.items()}})


def life(asset: str, kind: str, kg: int, *, host: str = "here", at_s: int = BEGAN_S, **details: str) -> tuple[AssetFact, AssetFact]:
    """A thing that was made and is in service on a host."""
    details = {"kind": kind, "el_h": str(HOURS), **details}
    return (
        AssetFact(asset, "make", at_s - 1000, kg * 1000, details=tuple(sorted(details.items()))),
        AssetFact(asset, "commission", at_s, details=(("host", host),)),
    )
