"""What it emits to make a part or a server, from what it is made of: kilograms CO2e, each function one formula.

Formulas and constants are facts of Boavizta's published method (API 2.5.0 and its documentation; constants of components from UBA
"Green Cloud Computing" 2021), implemented anew.  Cradle to gate; transport and end of life are in the GPU's formula alone.
Such a figure is good to about a factor of 2 (``G95``).  ValueError in one line for what cannot be.
"""

from collections.abc import Mapping
from math import exp, isfinite, log, pi, sqrt
from typing import NamedTuple

SOURCE = "Boavizta bottom-up method (API 2.5.0; constants of UBA Green Cloud Computing 2021)"
YEAR = "2026"
LICENCE = "fact; cited"
BOUNDARY = "cradle-to-gate"
GPU_BOUNDARY = "cradle-to-gate + transport + EoL"
G95 = 2.0

CPU_KG_PER_MM2, CPU_BASE_KG = 0.0197, 9.14
CPU_MM2_PER_CORE = 24.5
SILICON_KG_PER_CM2 = 2.20  # of memory dies, DRAM and flash alike
DRAM_BASE_KG, DRAM_GB_PER_CM2 = 5.22, 1.79
SSD_BASE_KG, SSD_GB_PER_CM2 = 6.34, 50.6
# The densest dies of today (DRAM at 1a nm, flash of 230 layers; public figures, from memory): how low a figure may really be.
DRAM_DENSEST_GB_PER_CM2, SSD_DENSEST_GB_PER_CM2 = 4.5, 190.0
HDD_KG = 31.11
PSU_KG_PER_KG = 24.3
RACK_KG = 150.0
# A blade and its part of an enclosure for sixteen.
BLADE_KG, ENCLOSURE_KG, BLADES = 30.9, 880.0, 16
BOARD_KG = 66.1
ASSEMBLY_KG = 6.68
CHASSIS_KG: Mapping[str, float] = {"rack": RACK_KG, "blade": BLADE_KG + ENCLOSURE_KG / BLADES}

WAFER_MM = 300.0
SCRIBE_MM = 0.2
DEFECTS_PER_CM2 = 0.1
VRAM_MM2_PER_GB = 15.5


class Card(NamedTuple):
    """What a graphics card or an accelerator is made of; the defaults are the method's for one that is not known (H100 SXM).

    ``dies_mm2``: the area of each compute die.  ``memory_dies``: stacks or chips that hold ``memory_gb``.  Distances: its way to
    the user.
    """

    dies_mm2: tuple[float, ...] = (814.0,)
    memory_gb: float = 80.0
    memory_dies: int = 6
    mass_kg: float = 1.69
    heatsink_kg: float = 0.90
    casing_kg: float = 0.79
    pwb_cm2: float = 296.0
    boat_km: float = 19_000.0
    truck_km: float = 1_000.0
    plane_km: float = 0.0


# A module or half-height card, and a network adapter on it: taken as typical.
SMALL_CARD = Card(mass_kg=0.3, heatsink_kg=0.15, casing_kg=0.05, pwb_cm2=110.0)
NIC_CARD = SMALL_CARD._replace(dies_mm2=(200.0,), memory_gb=1.0, memory_dies=1)


class Server(NamedTuple):
    """What a server without accelerators is made of; an empty part is none.

    ``cpus_mm2``: silicon of each processor; ``drams_gb``, ``ssds_gb``: size of each module and drive; ``psus_kg``: mass of each
    supply.
    """

    cpus_mm2: tuple[float, ...]
    drams_gb: tuple[float, ...]
    ssds_gb: tuple[float, ...] = ()
    hdds: int = 0
    psus_kg: tuple[float, ...] = ()
    chassis: str = "rack"


class Curve(NamedTuple):
    """Power of a processor at a load of w percent: a ln(b (w + c)) + d watts."""

    a: float
    b: float
    c: float
    d: float


XEON_PLATINUM = Curve(171.1813, 0.0354, 36.8953, -10.1336)


def cpu(die_mm2: float) -> float:
    """One processor of so much silicon."""
    return _positive("die_mm2", die_mm2) * CPU_KG_PER_MM2 + CPU_BASE_KG


def cpu_of_cores(cores: int, mm2_per_core: float = CPU_MM2_PER_CORE) -> float:
    """One processor, its silicon taken by the core."""
    return cpu(_positive("cores", cores) * _positive("mm2_per_core", mm2_per_core))


def ram(gb: float, density_gb_per_cm2: float = DRAM_GB_PER_CM2, *, modules: int = 1) -> float:
    """Memory modules that hold ``gb`` together."""
    area_cm2 = _positive("gb", gb) / _positive("density_gb_per_cm2", density_gb_per_cm2)
    return area_cm2 * SILICON_KG_PER_CM2 + _positive("modules", modules) * DRAM_BASE_KG


def ssd(gb: float, density_gb_per_cm2: float = SSD_GB_PER_CM2) -> float:
    """One solid-state drive."""
    return _positive("gb", gb) / _positive("density_gb_per_cm2", density_gb_per_cm2) * SILICON_KG_PER_CM2 + SSD_BASE_KG


def hdd() -> float:
    """One disk, whatever it holds."""
    return HDD_KG


def psu(mass_kg: float) -> float:
    """One power supply of that mass."""
    return _positive("mass_kg", mass_kg) * PSU_KG_PER_KG


def chassis(kind: str = "rack") -> float:
    """``rack``, or a ``blade`` with its part of the enclosure."""
    if kind not in CHASSIS_KG:
        raise ValueError(f"chassis {kind!r}: expected {' or '.join(CHASSIS_KG)}")
    return CHASSIS_KG[kind]


def board() -> float:
    """One main board."""
    return BOARD_KG


def assembly() -> float:
    """Putting one server together."""
    return ASSEMBLY_KG


def server(made_of: Server) -> float:
    """A whole server: the sum of its parts, main board and assembly."""
    parts = [
        *map(cpu, made_of.cpus_mm2),
        *map(ram, made_of.drams_gb),
        *map(ssd, made_of.ssds_gb),
        *map(psu, made_of.psus_kg),
        _not_negative("hdds", made_of.hdds) * HDD_KG,
    ]
    return sum(parts) + chassis(made_of.chassis) + board() + assembly()


def effective_mm2(die_mm2: float) -> float:
    """The wafer that one good die takes: what is lost at the edge, in the cuts and to defects included."""
    die = (sqrt(_positive("die_mm2", die_mm2)) + SCRIBE_MM) ** 2
    wafer = pi * WAFER_MM**2 / 4
    dies = wafer / die - pi * WAFER_MM / sqrt(2 * die)
    if dies < 1:
        raise ValueError(f"die_mm2 = {die_mm2:g}: no such die fits on a wafer of {WAFER_MM:g} mm")
    good = exp(-sqrt(die / 100 * DEFECTS_PER_CM2))
    return wafer / (dies * good)


def gpu(card: Card | None = None) -> float:
    """A graphics card or accelerator, its transport and end of life included."""
    card = card or Card()
    if not card.dies_mm2:
        raise ValueError("dies_mm2 is empty: expected the area of at least one compute die")
    each_mm2 = _positive("memory_gb", card.memory_gb) * VRAM_MM2_PER_GB / _positive("memory_dies", card.memory_dies)
    mass_kg = _positive("mass_kg", card.mass_kg)
    carried = (
        1.33e-5 * _not_negative("boat_km", card.boat_km)
        + 5.04e-5 * _not_negative("truck_km", card.truck_km)
        + 2.11e-3 * _not_negative("plane_km", card.plane_km)
    )
    return (
        8.2542 * _not_negative("casing_kg", card.casing_kg)
        + 5.7412 * _not_negative("heatsink_kg", card.heatsink_kg)
        + 0.032549 * _positive("pwb_cm2", card.pwb_cm2)
        + 0.042592 * sum(map(effective_mm2, card.dies_mm2))
        + 0.18379 * card.memory_dies * effective_mm2(each_mm2)
        + (0.25955 + carried + 1.5062) * mass_kg
    )


def cpu_power_w(load_percent: float, curve: Curve = XEON_PLATINUM) -> float:
    """What a processor draws at a load of 0 to 100 percent."""
    if not 0 <= load_percent <= 100:
        raise ValueError(f"load_percent = {load_percent!r}: expected 0 to 100")
    return curve.a * log(curve.b * (load_percent + curve.c)) + curve.d


def _positive(name: str, value: float) -> float:
    if not (isfinite(value) and value > 0):
        raise ValueError(f"{name} = {value!r}: expected a number above zero")
    return value


def _not_negative(name: str, value: float) -> float:
    if not (isfinite(value) and value >= 0):
        raise ValueError(f"{name} = {value!r}: expected zero or more")
    return value
