"""What the books know of the machine that is asked about: where it was, what it took, what of its making is not booked yet."""

from collections.abc import Iterable
from typing import NamedTuple

from wattledger.accounting.assets.efficiency import Efficiency, Unit, efficiency
from wattledger.accounting.assets.fold import Fleet
from wattledger.accounting.assets.life import HOUR_S, UG_PER_G, Life, Passport
from wattledger.core.figures import digits
from wattledger.ledger import query_efficiency as query
from wattledger.ledger.books import Books
from wattledger.ledger.query_efficiency import Stay

G_PER_KG = 1000
H_PER_Y = 8760
# Whose joules are a device's of their own; of anything else (a disk, a fan) no energy is metered.
COMPONENTS = {"gpu": "gpu", "accelerator": "accelerator", "cpu": "cpu", "dram": "dram", "server": "", "rack": "", "building": ""}


class Machine(NamedTuple):
    """``told``: how people read of it.  ``model``: of the device or the passport, empty: not known.

    ``carried_kg``: what was emitted to make it and its parts and is not booked to anybody yet, ``None`` without a passport: the
    same whatever is chosen now.  ``left_y`` of ``life_y``: of its planned life.  ``zone``: of the grid that it drew most from.
    """

    name: str
    told: str
    model: str = ""
    kind: str = ""
    carried_kg: float | None = None
    left_y: float | None = None
    measured: Efficiency | None = None
    zone: str = ""
    life_y: float | None = None

    def keeps_on(self, horizon_y: float) -> str:
        """What it assumes to keep it so long, where its planned life ends before; else empty."""
        if self.left_y is None or not self.life_y or self.left_y >= horizon_y:
            return ""
        gone = f"{digits((1 - self.left_y / self.life_y) * 100)} % of its planned life of {digits(self.life_y)} years is over"
        if not self.left_y:
            gone = f"its planned life of {digits(self.life_y)} years is over"
        return f"keep assumes that it works on for {digits(horizon_y)} years as now: {gone}; no repair of it is counted in keep"


class Unfound(ValueError):
    """The books do not know it.  ``names``: what they know."""

    def __init__(self, message: str, names: Iterable[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


def machine(name: str, books: Books, fleet: Fleet, unit: Unit, *, now_s: int) -> Machine:
    """An asset, a device's id, a host, or all devices of a model: whatever the books know by this name.  Raises Unfound."""
    connection = books.connection
    life = fleet.lives.get(name)
    if life is not None:
        carried_kg = sum(each.carried_ug(now_s) for each in _with_parts(fleet, name)) / UG_PER_G / G_PER_KG
        passport = life.passport
        told = f"asset {name}" + (f" ({made_by(passport)})" if passport.model else "")
        left_y, life_y = (max(0, seconds) / HOUR_S / H_PER_Y for seconds in (life.el_s - life.age_s, life.el_s))
        found = Machine(name, told, passport.model, passport.kind, carried_kg, left_y, life_y=life_y)
        return _measured(found, books, _stays(books, life), unit)
    for told, stays in (
        (f"device {name}", query.stays_of_device(connection, name)),
        (f"host {name}", [Stay(name)] if query.is_host(connection, name) else []),
        (f"all devices {name}", query.stays_of_model(connection, name)),
    ):
        if stays:
            models = {each.device_model for each in query.sensed(connection, stays) if each.device_model}
            model = next(iter(models)) if len(models) == 1 and not told.startswith("host") else ""
            return _measured(Machine(name, told, model), books, stays, unit)
    raise Unfound(f"the books know no asset, device, host or device model {name!r}", [*fleet.lives, *query.names(connection)])


def made_by(passport: Passport) -> str:
    """Vendor and model, as people say it."""
    vendor, model = passport.vendor, passport.model
    return f"{vendor} {model}" if vendor and not model.casefold().startswith(vendor.casefold()) else model


def _measured(found: Machine, books: Books, stays: list[Stay], unit: Unit) -> Machine:
    if not stays:
        return found
    zones = query.zones(books.connection, stays)
    return found._replace(measured=efficiency(books.connection, stays, unit), zone=zones[0] if zones else "")


def _with_parts(fleet: Fleet, name: str) -> list[Life]:
    life = fleet.lives[name]
    return [life, *(each for part in life.parts if part in fleet.lives for each in _with_parts(fleet, part))]


def _stays(books: Books, life: Life) -> list[Stay]:
    """A card is its device wherever it was; anything else what its host's devices of its kind were while it was there."""
    passport = life.passport
    if passport.device:
        return query.stays_of_device(books.connection, passport.device)
    if passport.kind not in COMPONENTS:
        return []
    found: list[Stay] = []
    for period in sorted(life.periods, key=lambda each: each.start_s):
        stay = Stay(period.place.host, "", COMPONENTS[passport.kind], period.start_s, period.end_s)
        if not stay.host:
            continue
        # A repair ends a period, not the stay.
        if found and found[-1][:3] == stay[:3] and found[-1].to_s == stay.from_s:
            found[-1] = found[-1]._replace(to_s=stay.to_s)
        else:
            found.append(stay)
    return found
