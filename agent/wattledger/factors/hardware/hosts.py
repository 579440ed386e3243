"""What it took to make a host without its accelerators, from what little a machine says of itself."""

from math import inf

from wattledger.factors.hardware import bottom_up, table
from wattledger.factors.hardware.figure import Embodied

HOST_LIFE_H = table.SERVER_LIFE_H
# Boavizta's answer for an m5.xlarge, a part of a host: 48 kg for 4 vCPUs.
VCPUS_OF_M5_XLARGE = 4
THREADS_PER_CORE = 2
DRAM_GB = 64.0  # a server's module
SSD_GB = 1_000.0
SUPPLY_KG = 2.99  # Boavizta's default power supply
PARTS_G95 = 2.5  # the formula's factor of 2, and of the parts only cores and memory are known
CLASS_G95 = 3.0
DECLARED_G95 = 2.0  # how it was got is not known, so as a server's product footprint (carbon.md 8.3)
LARGEST_GB = 1e6


def host(host_class: str, cpus: int, memory_gb: float, *, kg: float = 0.0, life_h: float = HOST_LIFE_H) -> Embodied:
    """The host's own emissions: ``kg`` where the user declares them, else by its class, hardware threads and memory (0: not known).

    Classes: server, workstation, desktop, laptop, vm (a part of a host, by its vCPUs), none (0 kg: nothing is counted).  Raises
    ValueError for another, and for what cannot be.
    """
    if not (0 <= kg < inf and 0 <= memory_gb <= LARGEST_GB and cpus >= 0):
        raise ValueError(f"a host of {kg:g} kg, {cpus} CPUs, {memory_gb:g} GB: expected 0 or more, and at most a million GB")
    if kg:
        words = "cradle-to-gate", "declared", "configuration ([embodied] host_kg)", "", ""
        return Embodied(f"{host_class} (declared)", "server", kg, kg / DECLARED_G95, kg * DECLARED_G95, *words, life_h)
    match host_class:
        case "none":
            words = "", "declared", "configuration ([embodied] host = none)", "", ""
            return Embodied("none", "server", 0.0, 0.0, 0.0, *words, life_h)
        case "vm":
            return _share_of_host(max(1, cpus), life_h)
        case "server":
            return _server(cpus, memory_gb, life_h)
        case "workstation" | "desktop" | "laptop":
            return _small(host_class, cpus, memory_gb, life_h)
        case _:
            raise ValueError(f"a host of class {host_class!r}: expected server, workstation, desktop, laptop, vm or none")


def component(kind: str, *, gb: float = 0.0, cores: int = 0, model: str = "", mass_kg: float = SUPPLY_KG) -> Embodied:
    """One part: dram or ssd (``gb``), cpu (by ``model``, else ``cores``), hdd, nic, psu (``mass_kg``), board, chassis (``model``
    rack or blade).  Raises ValueError where it cannot be estimated."""
    match kind:
        case "dram":
            densest = bottom_up.ram(gb, bottom_up.DRAM_DENSEST_GB_PER_CM2)
            return _lower(_by_formula(f"DRAM {gb:g} GB", kind, bottom_up.ram(gb)), densest)
        case "ssd":
            densest = bottom_up.ssd(gb, bottom_up.SSD_DENSEST_GB_PER_CM2)
            return _lower(_by_formula(f"SSD {gb:g} GB", kind, bottom_up.ssd(gb)), densest)
        case "cpu":
            known = table.processor(model) if model else None
            return known or _by_formula(f"CPU of {cores} cores", kind, bottom_up.cpu_of_cores(cores))
        case "hdd":
            return _by_formula("HDD", kind, bottom_up.hdd())
        case "psu":
            return _by_formula(f"power supply of {mass_kg:g} kg", kind, bottom_up.psu(mass_kg))
        case "nic":
            return table.items()["nic"]
        case "board":
            return _by_formula("main board", kind, bottom_up.board())
        case "chassis":
            return _by_formula(f"{model or 'rack'} chassis", kind, bottom_up.chassis(model or "rack"))
        case _:
            raise ValueError(f"no formula for a part of kind {kind!r}: say its kg")


def _server(cpus: int, memory_gb: float, life_h: float) -> Embodied:
    if not cpus or not memory_gb:
        return table.items()["server"]._replace(life_h=life_h)
    sockets = 2 if cpus > THREADS_PER_CORE * 8 else 1
    silicon = (cpus / THREADS_PER_CORE / sockets * bottom_up.CPU_MM2_PER_CORE,) * sockets
    kg = bottom_up.server(bottom_up.Server(silicon, _modules(memory_gb, DRAM_GB), (SSD_GB,), psus_kg=(SUPPLY_KG,) * 2))
    note = f"{sockets} CPUs of {cpus} threads, {memory_gb:.0f} GB; drive, supplies, board and rack chassis assumed"
    return _figure(f"server of {cpus} threads and {memory_gb:.0f} GB", kg, PARTS_G95, "bottom-up", life_h)._replace(note=note)


def _small(kind: str, cpus: int, memory_gb: float, life_h: float) -> Embodied:
    """Without a rack chassis and a second supply; a laptop's screen and battery are in no formula, so the interval is a class's."""
    silicon = max(1, cpus or 8) / THREADS_PER_CORE * bottom_up.CPU_MM2_PER_CORE
    supply_kg = 0.0 if kind == "laptop" else SUPPLY_KG
    memory = _modules(memory_gb or 16.0, 16.0)
    parts = [bottom_up.cpu(silicon), *map(bottom_up.ram, memory), bottom_up.ssd(SSD_GB), bottom_up.board(), bottom_up.assembly()]
    kg = sum(parts) + (bottom_up.psu(supply_kg) if supply_kg else 0.0)
    note = "from threads and memory; everything else is assumed"
    if kind == "laptop":
        note += "; screen and battery are in no formula"
    return _figure(kind, kg, CLASS_G95, "class", life_h)._replace(note=note)


def _share_of_host(vcpus: int, life_h: float) -> Embodied:
    whole = table.items()["m5.xlarge"]
    kg = whole.kg / VCPUS_OF_M5_XLARGE * vcpus
    note = f"{vcpus} vCPUs of a host that the provider does not show, at {whole.kg / VCPUS_OF_M5_XLARGE:g} kg each"
    return whole._replace(
        item=f"virtual machine of {vcpus} vCPUs", kind="server", kg=kg, low_kg=kg / CLASS_G95, high_kg=kg * CLASS_G95,
        method="class", life_h=life_h, note=note,
    )  # fmt: skip


def _modules(memory_gb: float, each_gb: float) -> tuple[float, ...]:
    count = max(1, round(memory_gb / each_gb))
    return (memory_gb / count,) * count


def _by_formula(item: str, kind: str, kg: float) -> Embodied:
    return _figure(item, kg, bottom_up.G95, "bottom-up", HOST_LIFE_H)._replace(kind=kind)


def _lower(found: Embodied, densest_kg: float) -> Embodied:
    """With room for dies denser than the formula's: the less silicon, the less carbon."""
    return found._replace(low_kg=min(found.low_kg, densest_kg))


def _figure(item: str, kg: float, g95: float, method: str, life_h: float) -> Embodied:
    source = bottom_up.SOURCE, bottom_up.YEAR, bottom_up.LICENCE
    return Embodied(item, "server", kg, kg / g95, kg * g95, bottom_up.BOUNDARY, method, *source, life_h)
