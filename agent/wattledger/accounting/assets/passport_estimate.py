"""What stands in for a footprint that nobody said: the package's figures of hardware, and bottom-up formulas with stated inputs."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from wattledger.accounting.assets.passport_fields import Mistake, clipped, nearest, number
from wattledger.accounting.assets.passport_figures import CARDS, Thing
from wattledger.factors.hardware import bottom_up, hosts, table
from wattledger.factors.hardware.figure import Embodied

# What a server is put together from; each counts in the server's own figure where it is no asset of its own.
STRUCTURE: Mapping[str, float] = {"chassis": bottom_up.RACK_KG, "board": bottom_up.BOARD_KG}
PARTS = ("cpu", "dram", "ssd", "hdd", "psu", *STRUCTURE)

Inputs = Mapping[str, Any]


def boavizta(thing: Thing, inputs: Inputs) -> Embodied | None:
    """By Boavizta's formulas, of the inputs and of what the passport says of the thing; ``None`` for a kind they do not have.

    ValueError in one line: an input that there is not, or that is missing.
    """
    formula = FORMULAS.get(thing.kind)
    if formula is None:
        return None
    names, make = formula
    unknown = next((key for key in inputs if key not in names), None)
    if unknown is not None:
        raise ValueError(f"inputs: a {thing.kind} has no {clipped(unknown)}{nearest(str(unknown)[:60], names)}")
    kg = make(thing, {key: _read(key, value) for key, value in inputs.items()})
    boundary = bottom_up.GPU_BOUNDARY if thing.kind in CARDS else bottom_up.BOUNDARY
    item = f"{thing.vendor} {thing.model}".strip() or thing.kind
    return Embodied(
        item, thing.kind, kg, kg / bottom_up.G95, kg * bottom_up.G95, boundary, "bottom-up", bottom_up.SOURCE, bottom_up.YEAR,
        bottom_up.LICENCE, table.CARD_LIFE_H if thing.kind in CARDS else table.SERVER_LIFE_H,
    )  # fmt: skip


def guess(thing: Thing, inputs: Inputs) -> Embodied | None:
    """The package's figure for such a thing; ``None`` where it has none.  ValueError where it must be told more of it."""
    if inputs:
        raise ValueError("'inputs' are for estimate = \"boavizta\"")
    gb, cores = float(thing.capacity_gb or 0), int(thing.cores or 0)
    match thing.kind:
        case "gpu" | "accelerator":
            return table.accelerator(thing.model)
        case "server" if set(PARTS) & set(thing.parts):
            return _bare(thing, gb, cores)
        case "server":
            return hosts.host("server", cores * hosts.THREADS_PER_CORE, gb)
        case "dram" | "ssd":
            return hosts.component(thing.kind, gb=_need(thing.capacity_gb, "capacity_gb"))
        case "cpu":
            known = table.processor(thing.model) if thing.model else None
            return known or hosts.component("cpu", cores=round(_need(thing.cores, "cores (or a model that is known)")))
        case "psu":
            return hosts.component("psu", mass_kg=thing.mass_g / 1000 if thing.mass_g else hosts.SUPPLY_KG)
        case "hdd" | "board" | "chassis":
            return hosts.component(thing.kind)
        case _:
            return None


def _bare(thing: Thing, gb: float, cores: int) -> Embodied:
    """A server whose parts are assets of their own, without these: what it is put together from, and what it says of itself."""
    own = {kind: kg for kind, kg in STRUCTURE.items() if kind not in thing.parts}
    if cores and "cpu" not in thing.parts:
        own[f"CPUs of {cores} cores"] = bottom_up.cpu_of_cores(cores)
    if gb and "dram" not in thing.parts:
        own[f"{gb:g} GB of memory"] = bottom_up.ram(gb)
    kg = bottom_up.assembly() + sum(own.values())
    low_kg, high_kg = kg / hosts.PARTS_G95, kg * hosts.PARTS_G95
    words = bottom_up.BOUNDARY, "bottom-up", bottom_up.SOURCE, bottom_up.YEAR, bottom_up.LICENCE, table.SERVER_LIFE_H
    note = f"of {', '.join((*own, 'assembly'))}; its other parts are assets of their own"
    return Embodied(f"{thing.vendor} {thing.model}".strip() or "server", "server", kg, low_kg, high_kg, *words, note)


def _read(key: str, value: Any) -> Any:
    """An input as the formulas take it: a number, a list of numbers, or a word."""
    try:
        if isinstance(value, (list, tuple)):
            return tuple(float(number(each)) for each in value)
        return value if key == "chassis" else float(number(value))
    except Mistake as mistake:
        raise ValueError(f"inputs: {key}: {mistake}") from None


def _need(value: float | Decimal | None, what: str) -> float:
    if value is None:
        raise ValueError(f"{what} is missing, by which it is estimated; or say its kg, with the source")
    return float(value)


def _card(_: Thing, said: Inputs) -> float:
    made_of = dict(said)
    if "die_mm2" in made_of:
        made_of["dies_mm2"] = (made_of.pop("die_mm2"),)
    if "memory_dies" in made_of:
        made_of["memory_dies"] = round(made_of["memory_dies"])
    return bottom_up.gpu(bottom_up.Card(**made_of))


def _cpu(thing: Thing, said: Inputs) -> float:
    if "die_mm2" in said:
        return bottom_up.cpu(said["die_mm2"])
    cores = round(_need(said.get("cores", thing.cores), "cores (or die_mm2)"))
    return bottom_up.cpu_of_cores(cores, said.get("mm2_per_core", bottom_up.CPU_MM2_PER_CORE))


def _dram(thing: Thing, said: Inputs) -> float:
    gb = _need(said.get("capacity_gb", thing.capacity_gb), "capacity_gb")
    return bottom_up.ram(gb, said.get("density_gb_per_cm2", bottom_up.DRAM_GB_PER_CM2), modules=round(said.get("modules", 1)))


def _ssd(thing: Thing, said: Inputs) -> float:
    gb = _need(said.get("capacity_gb", thing.capacity_gb), "capacity_gb")
    return bottom_up.ssd(gb, said.get("density_gb_per_cm2", bottom_up.SSD_GB_PER_CM2))


def _psu(thing: Thing, said: Inputs) -> float:
    own = None if thing.mass_g is None else Decimal(thing.mass_g) / 1000
    return bottom_up.psu(_need(said.get("mass_kg", own), "mass_kg"))


def _server(_: Thing, said: Inputs) -> float:
    if not said:
        raise ValueError(f"inputs of a server are missing, by which it is estimated: {', '.join(bottom_up.Server._fields)}")
    lists = {key: value if isinstance(value, tuple) or key in ("hdds", "chassis") else (value,) for key, value in said.items()}
    whole = {"cpus_mm2": (), "drams_gb": (), **lists}
    if "hdds" in whole:
        whole["hdds"] = round(float(whole["hdds"]))  # type: ignore[arg-type]
    return bottom_up.server(bottom_up.Server(**whole))  # type: ignore[arg-type]


_CARD = (*bottom_up.Card._fields, "die_mm2")
FORMULAS: Mapping[str, tuple[tuple[str, ...], Callable[[Thing, Inputs], float]]] = {
    "gpu": (_CARD, _card),
    "accelerator": (_CARD, _card),
    "cpu": (("die_mm2", "cores", "mm2_per_core"), _cpu),
    "dram": (("capacity_gb", "density_gb_per_cm2", "modules"), _dram),
    "ssd": (("capacity_gb", "density_gb_per_cm2"), _ssd),
    "hdd": ((), lambda _thing, _said: bottom_up.hdd()),
    "psu": (("mass_kg",), _psu),
    "board": ((), lambda _thing, _said: bottom_up.board()),
    "chassis": (("chassis",), lambda _thing, said: bottom_up.chassis(str(said.get("chassis", "rack")))),
    "server": (bottom_up.Server._fields, _server),
}
