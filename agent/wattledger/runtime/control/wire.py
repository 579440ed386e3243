"""Accounts, devices and factors as JSON, between the agent and the programs it measures.

An account: ``{"entered": [mono_ns, wall_ns], "left": …, "lanes": [[device, method, active_uj, held_uj, own_uj, device_uj, peak_uw,
doubt_uj, spread_uj]], "others": {reserved job: uj}, "gaps": [[device, start, end, reason]], "reserved_ns": {device: ns},
"terms": [[[factor], uj]]}``, the last only where other factors than those in force were.  Who may not see what others use
gets no ``device_uj`` (null), no ``others``, and the peak times his share of the device: what the bounds of his own figure need.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from wattledger.core.accounts import LaneAccount, SpanAccount, Term, joined
from wattledger.core.model import AGENT, IDLE, OTHER, UNATTRIBUTED, Boundary, Device, Factor, Gap, Instant

MOST_GAPS = 32
APART = {w: w.job for w in (IDLE, UNATTRIBUTED, AGENT)}
KNOWN = {w.job: w for w in (IDLE, UNATTRIBUTED, AGENT, OTHER)}


class LaneRow(NamedTuple):
    """One device of an account."""

    device: str
    method: str
    active_uj: int
    held_uj: int
    own_uj: int
    device_uj: int | None
    peak_uw: int
    doubt_uj: float
    spread_uj: float


class Packed(NamedTuple):
    """A span's account, frozen, as one who may see everything gets it."""

    entered: Instant
    left: Instant | None
    lanes: tuple[LaneRow, ...]
    others: Mapping[str, float]
    gaps: tuple[Gap, ...]
    terms: tuple[Term, ...] = ()
    reserved_ns: Mapping[str, float] = MappingProxyType({})


def pack(account: SpanAccount) -> Packed:
    """Freeze an account that may go on growing."""
    lanes = tuple(
        LaneRow(*key, s.active_uj, s.held_uj, s.own_uj, s.device_uj, s.peak_uw, s.doubt_uj, s.spread_uj)
        for key, s in account.lanes.items()
    )
    others: dict[str, float] = {}
    for workload, uj in account.others.items():
        name = APART.get(workload, OTHER.job)
        others[name] = others.get(name, 0.0) + uj
    gaps, terms = tuple(_folded(account.gaps)), tuple(joined(account.terms))
    return Packed(account.entered, account.left, lanes, others, gaps, terms, dict(account.reserved_ns))


def _folded(gaps: Sequence[Gap]) -> Iterable[Gap]:
    """Many gaps as one for each device: what counts is their length."""
    if len(gaps) <= MOST_GAPS:
        return gaps
    found: dict[str, Gap] = {}
    for gap in gaps:
        sofar = found.setdefault(gap.device.id, gap._replace(end=gap.start, reason="several times without a reading"))
        length_ns = gap.end.mono_ns - gap.start.mono_ns
        found[gap.device.id] = sofar._replace(end=Instant(sofar.end.mono_ns + length_ns, sofar.end.wall_ns + length_ns))
    return found.values()


def shown(packed: Packed, *, everything: bool, factors: Sequence[Factor] = ()) -> dict[str, Any]:
    """The account as JSON, for one who may see ``everything`` or only what is his; ``factors`` are in force, and he knows them."""
    found: dict[str, Any] = {
        "entered": packed.entered,
        "left": packed.left,
        "lanes": packed.lanes if everything else [_own(row) for row in packed.lanes],
        "gaps": [[gap.device.id, gap.start, gap.end, gap.reason] for gap in packed.gaps],
        # His share of a device that nobody holds, to the digit, would tell what all of it drew.
        "reserved_ns": packed.reserved_ns if everything else {b: float(f"{ns:.2g}") for b, ns in packed.reserved_ns.items()},
    }
    if everything:
        found["others"] = packed.others
    if any(tuple(used.values()) != tuple(factors) for used, _ in packed.terms):
        found["terms"] = [[[factor._asdict() for factor in used.values()], uj] for used, uj in packed.terms]
    return found


def _own(row: LaneRow) -> LaneRow:
    """The same bounds without the device's own figures (``core.footprint`` needs the share only for these)."""
    energy_uj = row.active_uj + row.held_uj
    share = energy_uj / row.device_uj if row.device_uj else 1.0
    doubt_uj, spread_uj = (row.doubt_uj, row.spread_uj) if share < 1.0 else (0.0, 0.0)
    return row._replace(device_uj=None, peak_uw=int(row.peak_uw * share), doubt_uj=doubt_uj, spread_uj=spread_uj)


def devices_shown(packed: Packed, devices: Mapping[str, Device]) -> list[Device]:
    """The devices that an account names."""
    ids = dict.fromkeys([*(row.device for row in packed.lanes), *(gap.device.id for gap in packed.gaps)])
    known = {gap.device.id: gap.device for gap in packed.gaps} | dict(devices)
    return [known[device_id] for device_id in ids if device_id in known]


def unpack(found: Mapping[str, Any], boundary: Boundary, devices: Mapping[str, Device]) -> SpanAccount:
    """An account as it was packed, of the span that began with ``boundary``.  Raises LookupError, TypeError or ValueError."""
    try:
        return _unpacked(found, boundary, devices)
    except (AttributeError, OverflowError) as odd:  # a list where names should be; an infinity where a count should be
        raise ValueError(str(odd)) from None


def _unpacked(found: Mapping[str, Any], boundary: Boundary, devices: Mapping[str, Device]) -> SpanAccount:
    account = SpanAccount(boundary)
    for row in found["lanes"]:
        lane = LaneRow(*row)
        sums = account.lanes[lane.device, lane.method] = LaneAccount()  # type: ignore[index]
        sums.active_uj, sums.held_uj, sums.own_uj = int(lane.active_uj), int(lane.held_uj), int(lane.own_uj)
        sums.device_uj, sums.peak_uw = int(lane.device_uj or 0), int(lane.peak_uw)
        sums.doubt_uj, sums.spread_uj = float(lane.doubt_uj), float(lane.spread_uj)
        _ = devices[lane.device]  # one that was not said would be missed only when the footprint is put together
    account.others = {KNOWN[name]: float(uj) for name, uj in found.get("others", {}).items() if name in KNOWN}
    account.reserved_ns = {str(binding): float(ns) for binding, ns in found.get("reserved_ns", {}).items()}
    for used, uj in found.get("terms", ()):
        account.terms.append(({factor.kind: factor for factor in map(factor_of, used)}, int(uj)))
        account.priced_uj += int(uj)
    account.gaps = [Gap(devices[d], Instant(*start), Instant(*end), str(why)) for d, start, end, why in found["gaps"]]
    return account


def factor_of(found: Mapping[str, Any]) -> Factor:
    """A factor by its fields; what a later agent adds is left out."""
    return Factor(**{key: value for key, value in found.items() if key in Factor._fields})
