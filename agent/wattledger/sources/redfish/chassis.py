"""What a BMC's chassis are, which of them is the whole, and what its meter reads (schemas Chassis, Power, EnvironmentMetrics)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeGuard

from wattledger.core.model import Device
from wattledger.core.ports import SourceFailed
from wattledger.sources.redfish.bmc import NAME, Bmc, Json

DEVICE_ID = f"node/{NAME}"
ROOT = "/redfish/v1/Chassis"
MANY = 128  # an HGX board lists each GPU and switch as a chassis: some sixty
KWH_UJ = 3_600_000_000_000
J_UJ = 1_000_000
ABSURD = 10**15  # J, W or kWh
MOST_UW, MOST_UJ = 10**13, 10**20  # ten megawatts, and what they come to in four months: beyond it the unit is wrong
LONGEST = 128  # characters of a model's name

# Chassis.ChassisType of what is a part of a machine, not a machine.
PARTS = {"Component", "Module", "Card", "Zone", "Cartridge", "Drawer"}
# Status.State of what does not measure now.
OFF = {"Disabled", "Absent", "StandbyOffline", "UnavailableOffline", "StandbySpare", "Deferring"}
# Words in the names of PowerControl entries that are parts of the whole.
SUBS = {"cpu", "cpus", "processor", "memory", "dimm", "dram", "gpu", "gpus", "fan", "fans", "storage", "pcie", "psu", "supply"}


class Meter(NamedTuple):
    """Where one chassis' energy is told: the resource, and the property that is read in it."""

    path: str
    key: str  # "EnergyJoules", "EnergykWh", "PowerWatts" or "PowerControl"

    @property
    def counts(self) -> bool:
        return self.key.startswith("Energy")


class Plan(NamedTuple):
    """What is to be read: the outermost chassis that have a meter, which add up."""

    device: Device
    meters: tuple[Meter, ...]


def find(bmc: Bmc, period_ns: int) -> Plan:
    """Ask what chassis there are, which is inside which, and which tell energy or power."""
    chassis = {path: bmc.get(path) for path in _links(bmc.get(ROOT).get("Members"))[:MANY]}
    refused: list[str] = []
    found = _outermost(bmc, chassis, refused)
    if not found:
        why = f": {refused[0]}" if refused else ""
        raise SourceFailed(f"{NAME}: no chassis of {bmc.url} tells its power{why}")
    # Registers and powers do not add up: where not all count, all are read as powers.
    if len({meter.counts for meter in found.values()}) > 1:
        powers = {path: _meter_of(bmc, chassis[path], refused, counters=False) for path in found}
        found = {path: meter for path, meter in powers.items() if meter is not None}
        if len(found) < len(powers):
            raise SourceFailed(f"{NAME}: some chassis of {bmc.url} tell energy only and others power only, which do not add up")
    first = chassis[next(iter(found))]
    model = " ".join(filter(None, (_name(first.get(key)) for key in ("Manufacturer", "Model")))) or "node"
    return Plan(Device(DEVICE_ID, "node", model, "(parts)", period_ns), tuple(found.values()))


def _outermost(bmc: Bmc, chassis: Mapping[str, Json], refused: list[str]) -> dict[str, Meter]:
    """The meters of the chassis that are inside no other; of one without a meter, those of what it contains."""
    inside = {path: _link(_dict(one.get("Links")).get("ContainedBy")) for path, one in chassis.items()}
    roots = [path for path in chassis if inside[path] not in chassis]
    layer = [path for path in roots if _name(chassis[path].get("ChassisType")) not in PARTS] or roots
    found: dict[str, Meter] = {}
    while layer:
        below: list[str] = []
        for path in layer:
            meter = _meter_of(bmc, chassis[path], refused)
            if meter is not None:
                found[path] = meter
            else:
                below += [one for one, container in inside.items() if container == path]
        layer = below  # each has one container, so none comes twice; a ring of containers has no root
    return found


def _meter_of(bmc: Bmc, chassis: Json, refused: list[str], *, counters: bool = True) -> Meter | None:
    """The best that this chassis tells of itself, tried by reading it; why not is added to ``refused``."""
    for link, keys in (("EnvironmentMetrics", ("EnergyJoules", "EnergykWh", "PowerWatts")), ("Power", ("PowerControl",))):
        path = _link(chassis.get(link))
        if path is None:
            continue
        try:
            resource = bmc.get(path)
        except SourceFailed as failure:
            refused.append(str(failure))
            continue
        for key in keys:
            meter = Meter(path, key)
            if not resource.get(key) or (meter.counts and not (counters and _fine(resource, key))):
                continue
            try:
                reading(resource, meter)
            except SourceFailed as failure:
                refused.append(str(failure))
                continue
            return meter
    return None


def _fine(resource: Json, key: str) -> bool:
    """A register in steps of 0.1 kWh (12 minutes of a server) tells less than its power does."""
    if key == "EnergyJoules":
        return True
    value = _lifetime(resource.get(key))
    return isinstance(value, Decimal) and int(value.as_tuple().exponent) <= -4


def reading(resource: Json, meter: Meter) -> int:
    """Microjoules or microwatts; SourceFailed where the BMC gives none.  Nothing that runs draws 0 W."""
    where = f"{NAME}: {meter.path}"
    if meter.key == "PowerControl":
        entry = _system_control(resource, where)
        value, unit_uj = entry.get("PowerConsumedWatts"), J_UJ
    else:
        excerpt = resource.get(meter.key)
        value, unit_uj = _lifetime(excerpt), KWH_UJ if meter.key == "EnergykWh" else J_UJ
        if _is_off(_dict(excerpt)) or _is_off(resource):
            raise SourceFailed(f"{where}: {meter.key} is switched off")
    if not _is_number(value) or value <= 0:
        raise SourceFailed(f"{where}: {meter.key} reads {_brief(value)}: no reading (is the chassis switched off?)")
    found = int(value * unit_uj)
    if not 0 < found <= (MOST_UJ if meter.counts else MOST_UW):
        raise SourceFailed(f"{where}: {meter.key} reads {_brief(value)}, which no machine draws")
    return found


def read_at(resource: Json, meter: Meter) -> str | None:
    """When the BMC says that it read this, by its own clock; few say it."""
    stamp = _dict(resource.get(meter.key)).get("ReadingTime")
    return stamp if isinstance(stamp, str) else None


def _system_control(resource: Json, where: str) -> Json:
    """The entry for the whole: the first that is on and is not named after a part; never a sum, since parts are inside it."""
    entries = [e for e in _list(resource.get("PowerControl")) if isinstance(e, dict) and not _is_off(e)]
    whole = [e for e in entries if not SUBS & set(str(e.get("Name", "")).lower().split())]
    if not whole:
        raise SourceFailed(f"{where}: PowerControl has no entry for the whole chassis")
    return next((e for e in whole if _is_number(e.get("PowerConsumedWatts"))), whole[0])


def _lifetime(excerpt: Any) -> Any:
    """The value of a sensor's excerpt; of a register the count that is never reset, where it is told."""
    found = _dict(excerpt)
    lifetime: Any = found.get("LifetimeReading")
    return lifetime if _is_number(lifetime) and lifetime > 0 else found.get("Reading")


def _is_number(value: Any) -> TypeGuard[int | Decimal]:
    return isinstance(value, int | Decimal) and not isinstance(value, bool) and -ABSURD < value < ABSURD


def _name(value: Any) -> str:
    """Text on one line, and not endless; empty for what is none."""
    return "".join(c for c in value if c.isprintable()).strip()[:LONGEST] if isinstance(value, str) else ""


def _brief(value: Any) -> str:
    return "null" if value is None else str(value)[:20]


def _is_off(resource: Json) -> bool:
    return _name(_dict(resource.get("Status")).get("State")) in OFF


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _link(value: Any) -> str | None:
    found = _dict(value).get("@odata.id")
    return found.rstrip("/") if isinstance(found, str) else None


def _links(value: Any) -> list[str]:
    return [path for one in _list(value) if (path := _link(one)) is not None]
