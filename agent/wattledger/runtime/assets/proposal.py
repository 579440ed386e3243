"""A machine that was discovered → its passport (wattledger.passport/1) to be checked, completed and added by a person.

A server is taken apart: its own figure is then that of chassis, board and assembly.  Of other machines only accelerators are parts,
because what is published of those machines is of the whole.  A virtual machine's disks and network cards are its host's.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from wattledger.accounting.assets.passport_fields import HOURS_PER_YEAR
from wattledger.accounting.assets.passport_figures import Thing
from wattledger.accounting.assets.passport_words import RENTED, SCHEMA
from wattledger.accounting.assets.passport_write import toml
from wattledger.factors.hardware import bottom_up, hosts, table
from wattledger.factors.hardware.figure import Embodied
from wattledger.runtime.assets.discover import Machine, machine_class
from wattledger.runtime.config import Config

LONGEST_NAME = 128
TO_FILL = """\
# made = 2025-03-01                 # days that you know: of its making, its purchase
# purchased = 2025-05-02
# owner = "research"
# site = "Frankfurt"
# price = 250000
# currency = "EUR"
"""

# What estimates a part, and a whole machine that is not taken apart: class, CPUs, GB of memory.
OfPart = Callable[[Thing], Embodied | None]
OfHost = Callable[[str, int, float], Embodied]


class Part(NamedTuple):
    """A component: its words in the passport without its footprint, and what an estimate must know of it."""

    words: Mapping[str, Any]
    thing: Thing


class Estimates(NamedTuple):
    """Who estimates, and how long things are planned to serve, in years: a stated assumption."""

    of_part: OfPart
    of_host: OfHost
    host_life_y: float
    gpu_life_y: float


def estimates(config: Config) -> Estimates:
    """The formulas and tables of the package."""
    return Estimates(_of_part, hosts.host, float(config["embodied.host_life_y"]), float(config["embodied.gpu_life_y"]))


def _of_part(thing: Thing) -> Embodied | None:
    if thing.kind in ("gpu", "accelerator"):
        return table.accelerator(thing.model)
    model = thing.model if thing.kind == "cpu" else ""
    try:
        return hosts.component(thing.kind, gb=float(thing.capacity_gb or 0), cores=int(thing.cores or 0), model=model)
    except ValueError:  # there is no formula, or what it needs is not known
        return None


def bare_server() -> Embodied:
    """Chassis, main board and assembly: what is left of a server whose parts are assets of their own."""
    kg = bottom_up.chassis() + bottom_up.board() + bottom_up.assembly()
    low_kg, high_kg = kg / bottom_up.G95, kg * bottom_up.G95
    words = bottom_up.BOUNDARY, "bottom-up", bottom_up.SOURCE, bottom_up.YEAR, bottom_up.LICENCE
    return Embodied("rack chassis, main board and assembly", "server", kg, low_kg, high_kg, *words, life_h=5 * HOURS_PER_YEAR)


def propose(machine: Machine, using: Estimates, *, now_s: int) -> str:
    """The passport's text.  It reads without a mistake as it is; what only people know stands in it as comments."""
    today = datetime.fromtimestamp(now_s, UTC).date()
    of, found = machine_class(machine), list(parts(machine))
    head = [
        f"# What {machine.host} says of itself, found on {today.isoformat()}. Check it, put in what you know better, then:",
        "#   wattledger asset add THIS-FILE",
        *(f"# {note}" for note in machine.notes),
        f'schema = "{SCHEMA}"',
        "",
    ]
    return "\n".join([*head, *_asset(machine, of, [part.thing.kind for part in found], using, today), *_components(found, using)])


def parts(machine: Machine) -> Iterator[Part]:
    """What the machine is made of, as far as it is its own."""
    if machine_class(machine) == "server":
        yield from _processors(machine)
        yield from _memory(machine)
        yield from _disks(machine)
        for count, nic in _counted([(nic.driver,) for nic in machine.nics]):
            yield _part("nic", count, model=nic[0])
        yield from _supplies(machine)
    for count, (kind, device, model, vendor, part, serial) in _counted([tuple(card) for card in machine.cards]):
        note = f"board part number {part}" if part else ""
        yield _part(kind, count, vendor=vendor, model=model, device=device, serial_hash=serial, note=note)


def _processors(machine: Machine) -> Iterator[Part]:
    of = machine.processors
    if of.sockets:
        yield _part("cpu", of.sockets, model=of.model, cores=of.cores // of.sockets if of.cores else None)


def _memory(machine: Machine) -> Iterator[Part]:
    for count, (mib, kind, speed, vendor, part, serial, _) in _counted([(*stick[:6], "") for stick in machine.sticks]):
        gb = round(mib / 1024, 3) if mib else None  # as it is sold, and as the formulas of its making count it
        model = " ".join(word for word in (part, kind, f"{speed} MT/s" if speed else "") if word)
        yield _part("dram", count, vendor=vendor, model=model, serial_hash=serial, capacity_gb=gb)
    if not machine.sticks and machine.memory_gib:
        yield _part("dram", 1, model="memory, by its sum", capacity_gb=round(machine.memory_gib, 3))


def _disks(machine: Machine) -> Iterator[Part]:
    own = [(d.kind, round(d.gb), d.vendor, d.model, d.serial_hash) for d in machine.disks if d.how == "part"]
    for count, (kind, gb, vendor, model, serial) in _counted(own):
        yield _part(kind, count, vendor=vendor, model=model, serial_hash=serial, capacity_gb=gb)


def _supplies(machine: Machine) -> Iterator[Part]:
    for count, (name, vendor, part, serial, watts) in _counted([tuple(supply) for supply in machine.supplies]):
        model = " ".join(word for word in (part or name, f"{watts} W" if watts else "") if word)
        yield _part("psu", count, vendor=vendor, model=model, serial_hash=serial)
    if not machine.supplies:
        yield _part("psu", 2, note="assumed: a server has two, and those here were not seen")


def _counted(found: list[tuple[Any, ...]]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Equal things once, with their number; what has a serial or an id of its own equals no other."""
    for each, count in Counter(found).items():
        yield count, each


def _part(kind: str, count: int, **words: Any) -> Part:
    known = {word: value for word, value in words.items() if value not in (None, "")}
    sizes = _decimal(known.get("cores")), _decimal(known.get("capacity_gb"))
    thing = Thing(kind, known.get("vendor", ""), known.get("model", ""), None, *sizes)
    return Part({"kind": kind, **known, **({"count": count} if count > 1 else {})}, thing)


def _asset(machine: Machine, of: str, kinds: list[str], using: Estimates, today: date) -> Iterator[str]:
    board = machine.board
    # A board's own name is all that machines put together from parts have.
    vendor, model = board.vendor or board.board_vendor, board.product or board.board
    name = "".join(c if c.isprintable() and c != ":" else "-" for c in machine.host)[:LONGEST_NAME]
    words = {
        "id": name or "this-machine", "kind": "server" if of in ("server", "workstation") else "other", "vendor": vendor,
        "model": model or {"vm": "virtual machine"}.get(of, of), "serial_hash": board.serial_hash, "host": machine.host,
        "condition": RENTED if of == "vm" else "", "commissioned": today, "life_years": _decimal(using.host_life_y),
    }  # fmt: skip
    whole = not kinds or of != "server"
    figure = using.of_host(of, machine.processors.threads or 1, machine.memory_gib or 0) if whole else bare_server()
    yield "# Since when it serves is not known to it: put the right day into 'commissioned'."
    yield toml({"asset": words}).rstrip()
    yield TO_FILL
    yield from _footprint("asset", figure)


def _components(found: list[Part], using: Estimates) -> Iterator[str]:
    """Each with an id of its own: gpu-0, gpu-1, …; of several alike the passport counts on."""
    kinds = Counter(part.thing.kind for part in found)
    seen: Counter[str] = Counter()
    for words, thing in found:
        own = thing.kind if kinds[thing.kind] == 1 else f"{thing.kind}-{seen[thing.kind]}"
        if words.get("count", 1) > 1 and kinds[thing.kind] > 1:
            own = f"{thing.kind}-{chr(ord('a') + seen[thing.kind] % 26)}"
        seen[thing.kind] += 1
        life_y = using.gpu_life_y if thing.kind in ("gpu", "accelerator") else using.host_life_y
        block = toml({"component": [{"id": own, **words, "life_years": _decimal(life_y)}]}).rstrip()
        figure = using.of_part(thing)
        yield ""
        if figure is None:
            yield "# there is no figure to estimate this by: say its kg, and take the # away"
            yield from (f"# {line}" for line in (*block.splitlines(), "[component.footprint]", "kg = …"))
            continue
        yield block
        yield from _footprint("component", figure)


def _footprint(table: str, figure: Embodied) -> Iterator[str]:
    """An estimate as a table of its own, with a comment that says where it is from."""
    words = {
        "kg": _decimal(figure.kg), "low_kg": _decimal(figure.low_kg), "high_kg": _decimal(figure.high_kg),
        "boundary": figure.boundary, "method": figure.method, "source": figure.source, "year": figure.year,
        "licence": figure.licence, "note": figure.note,
    }  # fmt: skip
    yield f"# an estimate, of: {figure.item}. Put your supplier's product footprint in its place."
    yield f"[{table}.footprint]"
    yield toml({word: value for word, value in words.items() if value}).rstrip()


def _decimal(value: float | None) -> Decimal | None:
    """To the gram, or a part of a unit that nobody would miss."""
    return None if value is None else Decimal(str(round(value, 3))).normalize()
