"""Machines without a passport: an estimate by the hour that they were metered, marked as one.

Never beside a passport of the same thing: one that names a GPU's device stops that GPU's estimate, and any part or machine of
another kind in service on a host stops the host's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from wattledger.accounting.assets.fold import Fleet
from wattledger.accounting.assets.life import Life
from wattledger.accounting.embodied.entries import Booked
from wattledger.accounting.embodied.figures import figure_of_estimate
from wattledger.accounting.embodied.shares import Cuts, Shares
from wattledger.accounting.report_ask import Rules
from wattledger.core.attribution import split
from wattledger.core.facts import Known, RunFact
from wattledger.factors.hardware.figure import Embodied
from wattledger.ledger.query_embodied import Binding, Metered

ACCELERATORS = ("gpu", "accelerator")
INCLUDED = "accelerators"  # what a passport's footprint of a machine says to include
NS_PER_H = 3_600_000_000_000
UG_PER_KG = 1_000_000_000


class Guessed(NamedTuple):
    """What stands in for the passport of a device or of a host (``asset`` is its name in reports)."""

    asset: str
    embodied: Embodied
    binding: Binding

    def booked_ug(self, metered_ns: int) -> int:
        """For so much time, at a flat rate."""
        return round(self.embodied.kg * UG_PER_KG) * metered_ns // round(self.embodied.life_h * NS_PER_H)


def dues(holding: Sequence[Known], fleet: Fleet, rules: Rules, near: Sequence[Metered], cuts: Cuts) -> Iterator[Guessed]:
    """The estimates of metered devices and hosts; their time is wanted of ``cuts``."""
    known = _Passports(fleet)
    machines = machines_of(holding)
    for device in near:
        if device.component in ACCELERATORS and not known.has_device(device):
            found = _accelerator(device, rules)
            yield from _wanted(device.device, found, Binding(device.host, device.device), cuts)
    for host in dict.fromkeys(device.host for device in near):
        if host not in known.hosts:
            yield from _wanted(host, _host(machines.get(host, {}), rules), Binding(host), cuts)


def book(guessed: Iterable[Guessed], shares: Shares) -> Iterator[Booked]:
    """Only for time that was metered: of the rest nothing is known, not even whether the machine was there."""
    for one in guessed:
        figure = figure_of_estimate(one.embodied)
        for piece in shares.of(one.binding, shares.span.from_s, shares.span.to_s):
            if not piece.taken:
                continue
            ug = one.booked_ug(min(piece.seen_ns, piece.length_ns))
            for each, part in zip(piece.taken, split(ug, [each.ns for each in piece.taken]), strict=True):
                if part:
                    yield Booked(f"estimate:{one.asset}", figure, each.job, each.group, piece.bucket_s, part)


def machines_of(holding: Iterable[Known]) -> dict[str, Mapping[str, str]]:
    """host → what its newest meter said of the machine: ``machine.class``, ``machine.cpus``, ``machine.memory_gb``."""
    newest: dict[str, tuple[int, Mapping[str, str]]] = {}
    for one in holding:
        fact = one.fact
        if isinstance(fact, RunFact) and fact.what == "began":
            said = {name: value for name, value in fact.config if name.startswith("machine.")}
            if said and fact.at_ms >= newest.get(fact.host, (0, {}))[0]:
                newest[fact.host] = fact.at_ms, said
    return {host: said for host, (_, said) in newest.items()}


def notes(guessed: Sequence[Guessed], fleet: Fleet, near: Sequence[Metered]) -> Iterator[str]:
    """What must be said, a line each: of a card beside its machine's passport, that it may be in that already; of one whose own
    passport has it elsewhere, that nobody pays for it."""
    yield from _elsewhere(fleet, near)
    yield from dict.fromkeys(due.embodied.note for due in guessed if due.embodied.note)
    servers: dict[str, str] = {}
    for name, life in fleet.lives.items():
        if life.passport.kind == "server" and life.passport.made_g:
            servers |= dict.fromkeys(_places(life), name)
    for host in dict.fromkeys(due.binding.host for due in guessed if due.embodied.kind in ACCELERATORS):
        if host in servers:
            name = servers[host]
            yield (
                f"embodied: estimates of accelerators on {host} stand beside the passport of {name}: where its footprint counts"
                ' them, it must say includes = "accelerators"'
            )


def _elsewhere(fleet: Fleet, near: Sequence[Metered]) -> Iterator[str]:
    owners: dict[str, list[str]] = {}
    for name, life in fleet.lives.items():
        if life.passport.device:
            owners.setdefault(life.passport.device, []).append(name)
    lost: dict[str, int] = {}
    for device in near:
        names = owners.get(device.device, ())
        # What is called alike on every host (package-0) may be another's.
        if device.component in ACCELERATORS and names and not any(device.host in _places(fleet.lives[name]) for name in names):
            lost[device.host] = lost.get(device.host, 0) + 1
    for host, count in lost.items():
        what = f"{count} accelerators were" if count > 1 else "an accelerator was"
        yield f"embodied: {what} metered on {host}, where no passport has it in service: nobody is charged (wattledger asset list)"


def _places(life: Life) -> set[str]:
    """The hosts it ever was on."""
    return {host for host in (*(period.place.host for period in life.periods), life.place.host) if host}


class _Passports:
    """What has one: devices by id; by host, accelerators that say no id, or that a machine's footprint includes; hosts with a
    machine or part of another kind."""

    def __init__(self, fleet: Fleet) -> None:
        self._devices: set[str] = set()
        self._nameless: set[str] = set()
        self.hosts: set[str] = set()
        for life in fleet.lives.values():
            device = life.passport.device
            self._devices |= {device} if device else set()
            if life.passport.kind not in ACCELERATORS:
                self.hosts |= _places(life)
            elif not device:
                self._nameless |= _places(life)
            if life.passport.details.get("includes") == INCLUDED:
                self._nameless |= _places(life)

    def has_device(self, device: Metered) -> bool:
        return device.device in self._devices or device.host in self._nameless


def _wanted(asset: str, found: Embodied | None, binding: Binding, cuts: Cuts) -> Iterator[Guessed]:
    if found is not None and found.kg > 0 and found.life_h > 0 and cuts.want(binding, cuts.span.from_s, cuts.span.to_s):
        yield Guessed(asset, found, binding)


def _accelerator(device: Metered, rules: Rules) -> Embodied | None:
    from wattledger.factors.hardware import footprints, table  # the table's figures are read at once

    own = footprints.find(rules.footprints, device.device_model, life_h=rules.gpu_life_h)
    return own or table.accelerator(device.device_model, life_h=rules.gpu_life_h)


def _host(said: Mapping[str, str], rules: Rules) -> Embodied | None:
    """Without a word on the machine, nothing is guessed."""
    from wattledger.factors.hardware import hosts

    kind = said.get("machine.class", "")
    if not kind and not rules.host_kg:
        return None
    sizes = round(_number(said, "machine.cpus")), _number(said, "machine.memory_gb")
    try:
        return hosts.host(kind or "server", *sizes, kg=rules.host_kg, life_h=rules.host_life_h)
    except ValueError:
        return None  # a class that a later version's meter wrote down


def _number(said: Mapping[str, str], name: str) -> float:
    text = said.get(name, "")
    return float(text) if text.replace(".", "", 1).isdecimal() else 0.0
