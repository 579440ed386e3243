"""A span's account → the footprint that people read: joules and grams with intervals, how each was got, and what is not known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import hypot
from types import MappingProxyType
from typing import Any, NamedTuple

from wattledger.core.accounts import LaneAccount, SpanAccount, Term, joined
from wattledger.core.emissions_row import codecarbon_row
from wattledger.core.figures import digits, gram, joule, span_of
from wattledger.core.meter import cap_uw
from wattledger.core.model import AGENT, IDLE, OTHER, UNATTRIBUTED, Device, Factor, Gap, Instant
from wattledger.core.pricing import Cost, priced
from wattledger.core.reserved import share_of
from wattledger.core.uncertainty import Quantity, total
from wattledger.core.uncertainty import Term as Addend
from wattledger.core.units import UJ_PER_J, joules, seconds

SCHEMA = "wattledger.footprint/1"

# (device, method, seconds measured) -> the sensor's gain
GainOf = Callable[[Device, str, float], Factor]


class Identity(NamedTuple):
    """Who and where a footprint is of."""

    run_id: str
    parent_run_id: str | None
    job: str
    model: str | None
    labels: Mapping[str, str]
    host: str
    scope: str


class DeviceFootprint(NamedTuple):
    """One device's part: ``energy_j`` with its interval, ``held_j`` of it idle that the process holds, ``device_energy_j``
    everything the device drew meanwhile (``None``: not ours to know)."""

    id: str
    host: str
    kind: str
    model: str
    method: str
    energy_j: Quantity
    held_j: float
    device_energy_j: float | None


class Footprint(NamedTuple):
    """Energy and carbon of one run; ``str()`` is one readable line, ``to_dict()`` the JSON of schema ``wattledger.footprint/1``.

    Quantities are (value, low, high) with a 95 % interval, in joules and grams CO2e.  What cannot be known is ``None`` here and
    absent there, never zero.
    """

    identity: Identity
    start: Instant
    end: Instant
    energy_j: Quantity | None
    own_energy_j: Quantity | None
    measured_fraction: float | None
    devices: tuple[DeviceFootprint, ...]
    rest_of_host: Mapping[str, float]
    work: Mapping[str, int]
    emissions_g: Mapping[str, Quantity]
    factors: tuple[Factor, ...]
    notes: tuple[str, ...]
    cost: Cost | None = None
    water_l: Mapping[str, Quantity] = MappingProxyType({})

    @property
    def duration_s(self) -> float:
        """Length in seconds, by the boot-time clock."""
        return seconds(self.end.mono_ns - self.start.mono_ns)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form (contract: Footprint, as JSON)."""
        who = self.identity
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "run_id": who.run_id,
            "parent_run_id": who.parent_run_id,
            "job": who.job,
            "model": who.model,
            "labels": dict(who.labels),
            "hosts": [who.host],
            "start": iso(self.start.wall_ns),
            # The end is the start plus the measured length: a stepped wall clock cannot make a run end before it began.
            "end": iso(self.start.wall_ns + self.end.mono_ns - self.start.mono_ns),
            "duration_s": self.duration_s,
            "scope": who.scope,
        }
        if self.energy_j is not None and self.own_energy_j is not None:
            found["energy_j"] = self.energy_j.to_dict()
            found["own_energy_j"] = self.own_energy_j.to_dict()
        if self.measured_fraction is not None:
            found["measured_fraction"] = self.measured_fraction
        rows = ({**d._asdict(), "energy_j": d.energy_j.to_dict()} for d in self.devices)
        found["devices"] = [{key: value for key, value in row.items() if value is not None} for row in rows]
        if self.rest_of_host:
            found["rest_of_host"] = dict(self.rest_of_host)
        found["work"] = dict(self.work)
        found["emissions_g"] = {basis: grams.to_dict() for basis, grams in self.emissions_g.items()}
        found |= {"water_l": {source: litres.to_dict() for source, litres in self.water_l.items()}} if self.water_l else {}
        if self.cost is not None:
            found["cost"] = self.cost._asdict()
        found["factors"] = [factor_dict(f) for f in self.factors]
        found["notes"] = list(self.notes)
        return found

    def to_model_card(self, training_type: str = "", *, front_matter: bool = False) -> str:
        """A section for a model's card, in Markdown; ``front_matter``: begun with the metadata that the Hugging Face hub reads."""
        from wattledger.core import model_card  # it shows figures as this module does
        return model_card.card(self, training_type, front_matter=front_matter)

    def to_codecarbon_row(self) -> dict[str, str | float | None]:
        """The run as CodeCarbon's ``emissions.csv`` has it: its columns in their order, kWh, kg and W; ``None``: not known."""
        return codecarbon_row(self)

    def __str__(self) -> str:
        """One line: joules with their interval, watts, how each part was got, grams."""
        who, length_s = self.identity, self.duration_s
        if self.energy_j is None:
            why = self.notes[0] if self.notes else "no device was read in this time"
            return f"{who.job}: energy unknown over {digits(length_s)} s ({why})"
        parts = ", ".join(f"{kind} {joule(j)} {method}" for kind, method, j in self.by_kind())
        line = f"{who.job}: {span_of(self.energy_j, joule)} in {digits(length_s)} s"
        line += (f" ({digits(self.energy_j.value / length_s)} W)" if length_s > 0 else "") + f" = {parts}"
        grams = self.emissions_g.get("location_based")
        grids = [f for f in self.factors if f.kind == "grid"]
        if grams is not None and grids:
            place = "no zone set: world average" if grids[-1].zone == "WORLD" else grids[-1].zone
            said = " to ".join(dict.fromkeys(digits(end([f.value for f in grids])) for end in (min, max)))
            line += f"; {span_of(grams, gram)} CO2e ({place} {said} g/kWh {grids[-1].boundary} {grids[-1].version})"
        if "embodied" in self.emissions_g:
            line += f"; embodied {gram(self.emissions_g['embodied'].value)}"
        if self.cost is not None:
            line += f"; {self.cost.value:.2g} {self.cost.currency}"
        return line

    def by_kind(self) -> list[tuple[str, str, float]]:
        """(kind, method, joules), largest first."""
        sums: dict[tuple[str, str], float] = {}
        for d in self.devices:
            sums[d.kind, d.method] = sums.get((d.kind, d.method), 0.0) + d.energy_j.value
        return sorted(((k, m, j) for (k, m), j in sums.items()), key=lambda row: -row[2])


def assemble(
    identity: Identity,
    account: SpanAccount,
    devices: Mapping[str, Device],
    *,
    end: Instant,
    terms: Sequence[Term],
    gain_of: GainOf,
    mismatch_g95: float,
    notes: Iterable[str] = (),
    others_known: bool = True,
    rates: Mapping[str, Factor] = MappingProxyType({}),
) -> Footprint:
    """Put an account, the factors in force and the sensors' gains together.

    ``terms``: the factors by kind, ``grid`` and ``upstream`` (g/kWh), ``pue``, ``tariff``, and for how much of the energy each
    set was in force; ``mismatch_g95`` is the error of an annual average used for one short window, independent by window
    (carbon.md 8.4).  ``rates``: what it took to make each device, per hour.  ``others_known`` is false where the account holds
    its span's own part alone (its peaks, too): then there is nothing to say of whole devices and of the host.
    """
    length_s = seconds(end.mono_ns - account.entered.mono_ns)
    whole = identity.scope == "host"
    rows: list[DeviceFootprint] = []
    addends: list[Addend] = []
    owns: list[Addend] = []
    for (device_id, method), sums in sorted(account.lanes.items()) if others_known or not whole else ():
        device = devices[device_id]
        gain = gain_of(device, method, length_s)
        energy_uj = sums.device_uj if whole else sums.active_uj + sums.held_uj
        share = None if not others_known else energy_uj / sums.device_uj if sums.device_uj else 1.0
        term = _term(device, gain, sums, (energy_uj, share), account.gaps)
        own = term if whole else term._replace(value=joules(sums.own_uj))
        addends.append(term)
        owns.append(own)
        row = device_id, identity.host, device.kind, device.model, method
        device_j = joules(sums.device_uj) if others_known else None
        rows.append(DeviceFootprint(*row, total([term]), joules(sums.held_uj), device_j))
    energy = total(addends) if addends else None
    price = priced(energy, terms, mismatch_g95)
    made = share_of(dict.fromkeys(rates, float(end.mono_ns - account.entered.mono_ns)) if whole else account.reserved_ns, rates)
    return Footprint(
        identity,
        account.entered,
        end,
        energy,
        total(owns) if owns else None,
        _measured(rows),
        tuple(rows),
        _rest_of_host(account) if others_known else {},
        dict(account.work),
        price.emissions_g if made is None else {**price.emissions_g, "embodied": made.grams},
        price.factors if made is None else (*price.factors, *made.factors),
        (*notes, *_gap_notes(account.gaps), *([] if whole else _floor_notes(account))),
        price.cost,
        price.water_l,
    )


def terms_of(account: SpanAccount, factors: Mapping[str, Factor]) -> list[Term]:
    """At which factors an account's energy was drawn; what is not priced yet is at those that are in force now."""
    left_uj = account.energy_uj - account.priced_uj
    return joined([*account.terms, *([(factors, left_uj)] if left_uj or not account.terms else [])])


def _term(device: Device, gain: Factor, sums: LaneAccount, part: tuple[int, float | None], gaps: Iterable[Gap]) -> Addend:
    """One device's joules: ``part`` is the microjoules and their share of the device, where that is known (else the account's peak
    and doubts are those of the part).

    An endpoint may miss what the register had not yet shown: refresh period x the highest power seen; the two endpoints' errors
    do not shrink with the length of the run."""
    energy_uj, share = part
    # CPU time is counted in ticks: a run that seems to have used none may have used less than one.  A GPU without a context of the
    # process is another matter: that is known to be nothing.
    reach = ((1.0 if energy_uj else 0.0) if share is None else share) or (1.0 if device.kind == "cpu" else 0.0)
    peak_uw = sums.peak_uw if energy_uj or share is not None else cap_uw(device)
    edge_j = seconds(device.refresh_ns) * peak_uw / 1e6 * reach
    doubts_j = (sums.doubt_uj + sums.spread_uj) / 1e6 if share is None or share < 1.0 else 0.0
    missing_s = sum(seconds(g.end.mono_ns - g.start.mono_ns) for g in gaps if g.device.id == device.id)
    return Addend(
        joules(energy_uj),
        f"{gain.kind}:{device.kind}:{device.model}:{gain.version}",
        gain.g95,
        hypot(edge_j, doubts_j),
        missing_s * max(peak_uw, cap_uw(device) if missing_s else 0) / 1e6 * reach,
    )


def _measured(rows: Iterable[DeviceFootprint]) -> float | None:
    rows = list(rows)
    whole = sum(r.energy_j.value for r in rows)
    return sum(r.energy_j.value for r in rows if r.method != "estimated") / whole if whole else None


def _rest_of_host(account: SpanAccount) -> dict[str, float]:
    if not account.lanes:
        return {}
    keys = {"idle_j": IDLE, "other_workloads_j": OTHER, "unattributed_j": UNATTRIBUTED, "agent_j": AGENT}
    named = {IDLE, UNATTRIBUTED, AGENT}
    found = {key: account.others.get(workload, 0.0) / UJ_PER_J for key, workload in keys.items()}
    found["other_workloads_j"] = sum(uj for w, uj in account.others.items() if w not in named) / UJ_PER_J
    return found


def _gap_notes(gaps: Sequence[Gap]) -> list[str]:
    lengths = ((g, digits(seconds(g.end.mono_ns - g.start.mono_ns))) for g in gaps)
    return [f"{g.device.id}: {g.reason}; {length} s are not counted, the upper bound allows for them" for g, length in lengths]


def _floor_notes(account: SpanAccount) -> list[str]:
    return [
        f"{device_id}: its idle draw has not been seen here yet, a table's figure divides idle from active energy"
        for (device_id, method), sums in account.lanes.items()
        if sums.doubt_uj and method != "estimated"
    ]


def iso(wall_ns: int) -> str:
    """UTC, milliseconds."""
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def factor_dict(factor: Factor) -> dict[str, Any]:
    """A factor as JSON; what it does not have is absent."""
    return {key: value for key, value in factor._asdict().items() if value not in ("", 0.0) or key == "value"}
