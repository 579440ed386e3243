"""Hour by hour, what certificates of the same hour and zone cover (carbon.md 1.3): informative, beside the annual claim."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from wattledger.accounting.instruments import HOUR_S, Claimable, claimable
from wattledger.accounting.price import Price
from wattledger.accounting.prices import year_of
from wattledger.accounting.sums import UJ_PER_KWH, by_boundary
from wattledger.core.facts import Known

Load = tuple[str, int, int, int]
Window = tuple[int, int, int]


class Hour(NamedTuple):
    """One zone's hour: load, and what of it certificates of that hour and zone cover."""

    zone: str
    start_s: int
    load_uj: int
    claimed_uj: int


class Hourly(NamedTuple):
    """The hours' sums.  ``annual_claimed_uj``: what the same certificates cover where only the year must match, and never less.

    ``cfe_score``: claimed / load, ``None`` without load.  ``emitted_ug`` is ``None`` where some load that is not claimed has
    neither a residual mix nor a grid average.
    """

    hours: tuple[Hour, ...]
    load_uj: int
    claimed_uj: int
    annual_claimed_uj: int
    cfe_score: float | None
    emitted_ug: int | None
    notes: tuple[str, ...]


class Supply(NamedTuple):
    """Energy that may go to any of these zones."""

    zones: tuple[str, ...]
    energy_uj: int


def hourly(
    load: Iterable[Load],
    contracts: Iterable[Known],
    *,
    residuals: Mapping[str, Sequence[Price]],
    averages: Mapping[str, Sequence[Price]],
    as_of_s: int | None = None,
) -> Hourly:
    """Match ``(zone, start_s, length_s, energy_uj)`` (what the building drew) with certificates whose time is within one UTC hour.

    Energy is held to be even within its window.  A contract that fails a criterion, or bears no hour, covers nothing here.
    """
    windows, coarse_uj = _by_hour(load)
    found, _ = claimable(contracts, as_of_s)
    stamped = sorted((one for one in found if one.lowers and one.stamped), key=lambda one: (len(one.fact.zones), one.id))
    offered: dict[int, list[Claimable]] = {}
    for one in stamped:
        offered.setdefault(one.fact.start_s // HOUR_S * HOUR_S, []).append(one)
    hours: list[Hour] = []
    emitted_ug: Fraction | None = Fraction(0)
    for start_s in sorted(windows):
        zones = windows[start_s]
        loads = {zone: sum(uj for _, _, uj in rows) for zone, rows in sorted(zones.items())}
        mine = offered.get(start_s, [])
        flows = match([_supply(one, sum(loads.values())) for one in mine], loads)
        for zone, load_uj in loads.items():
            hours.append(Hour(zone, start_s, load_uj, sum(flow.get(zone, 0) for flow in flows)))
            rest_ug = _rest_ug(hours[-1], zones[zone], residuals, averages)
            emitted_ug = None if emitted_ug is None or rest_ug is None else emitted_ug + rest_ug
        if emitted_ug is not None:
            given = zip(mine, flows, strict=True)
            emitted_ug += sum(Fraction(one.fact.ug_per_kwh * sum(flow.values()), UJ_PER_KWH) for one, flow in given)
    load_uj, claimed_uj = sum(hour.load_uj for hour in hours), sum(hour.claimed_uj for hour in hours)
    return Hourly(
        hours=tuple(hours),
        load_uj=load_uj,
        claimed_uj=claimed_uj,
        annual_claimed_uj=_annually(hours, stamped),
        cfe_score=claimed_uj / load_uj if load_uj else None,
        emitted_ug=None if emitted_ug is None else round(emitted_ug),
        notes=_notes(found, stamped, coarse_uj),
    )


def match(supplies: Sequence[Supply], loads: Mapping[str, int]) -> list[dict[str, int]]:
    """How much of each supply goes to each zone, so that as much load as possible is covered (a maximum flow).

    As much as possible, and not first come, first served: a sum of hourly matchings is then one way to match the year, and so never
    more than the year's own.
    """
    flows: list[dict[str, int]] = [{} for _ in supplies]
    left = {zone: load for zone, load in loads.items() if load > 0}
    for number, supply in enumerate(supplies):
        spare_uj = supply.energy_uj
        while spare_uj > 0 and (path := _path(number, supplies, flows, left)):
            # A path is supply, zone, supply, zone …: each supply moves what it gave to the zone before over to the zone after.
            backs = [flows[path[i + 1][0]][path[i][1]] for i in range(len(path) - 1)]
            moved_uj = min(spare_uj, left[path[-1][1]], *backs) if backs else min(spare_uj, left[path[-1][1]])
            for i, (giver, zone) in enumerate(path):
                flows[giver][zone] = flows[giver].get(zone, 0) + moved_uj
                if i + 1 < len(path):
                    flows[path[i + 1][0]][zone] -= moved_uj
            left[path[-1][1]] -= moved_uj
            spare_uj -= moved_uj
    return flows


def _path(
    first: int, supplies: Sequence[Supply], flows: Sequence[Mapping[str, int]], left: Mapping[str, int]
) -> list[tuple[int, str]]:
    """The shortest chain of (supply, zone) that ends where load is left; empty where there is none."""
    before: dict[str, tuple[int, str | None]] = {}
    waiting: deque[tuple[int, str | None]] = deque([(first, None)])
    tried = {first}
    while waiting:
        giver, via = waiting.popleft()
        for zone in supplies[giver].zones:
            if zone in before or zone not in left:
                continue
            before[zone] = (giver, via)
            if left[zone] > 0:
                return _back(zone, before)
            for other, flow in enumerate(flows):
                if other not in tried and flow.get(zone, 0) > 0:
                    tried.add(other)
                    waiting.append((other, zone))
    return []


def _back(zone: str, before: Mapping[str, tuple[int, str | None]]) -> list[tuple[int, str]]:
    path: list[tuple[int, str]] = []
    at: str | None = zone
    while at is not None:
        giver, via = before[at]
        path.insert(0, (giver, at))
        at = via
    return path


def _by_hour(load: Iterable[Load]) -> tuple[dict[int, dict[str, list[Window]]], int]:
    """Windows by hour and zone, cut at the hours so that their energies add up; and how much came in longer windows."""
    found: dict[int, dict[str, list[Window]]] = {}
    coarse_uj = 0
    for zone, start_s, said_s, energy_uj in load:
        length_s = max(1, said_s)
        coarse_uj += energy_uj if length_s > HOUR_S else 0
        at_s, given_uj = start_s, 0
        while at_s < start_s + length_s:
            hour_s = at_s // HOUR_S * HOUR_S
            stop_s = min(start_s + length_s, hour_s + HOUR_S)
            part_uj = energy_uj * (stop_s - start_s) // length_s - given_uj
            given_uj += part_uj
            found.setdefault(hour_s, {}).setdefault(zone, []).append((at_s, stop_s - at_s, part_uj))
            at_s = stop_s
    return found, coarse_uj


def _supply(one: Claimable, all_uj: int) -> Supply:
    return Supply(one.fact.zones, all_uj if one.volume_uj is None else one.volume_uj)


def _rest_ug(
    hour: Hour, windows: Sequence[Window], residuals: Mapping[str, Sequence[Price]], averages: Mapping[str, Sequence[Price]]
) -> Fraction | None:
    """What the load that nothing covers emits: at the residual mix, else at the grid average, else nobody knows."""
    if hour.claimed_uj == hour.load_uj:
        return Fraction(0)
    for prices in (residuals.get(hour.zone, ()), averages.get(hour.zone, ())):
        parts = by_boundary(prices, windows)
        if "" not in parts:
            whole_ug = sum((part.emitted_ug for part in parts.values()), Fraction(0))
            return whole_ug * Fraction(hour.load_uj - hour.claimed_uj, hour.load_uj)
    return None


def _annually(hours: Sequence[Hour], stamped: Sequence[Claimable]) -> int:
    """What the same certificates cover where an hour need not match, but its calendar year (UTC) must."""
    loads: dict[int, dict[str, int]] = {}
    for hour in hours:
        of = loads.setdefault(year_of(hour.start_s)[0], {})
        of[hour.zone] = of.get(hour.zone, 0) + hour.load_uj
    matched_uj = 0
    for year_s, of in loads.items():
        supply: dict[tuple[str, ...], int] = {}
        for one in stamped:
            if year_of(one.fact.start_s)[0] == year_s:
                zones = tuple(sorted(one.fact.zones))
                supply[zones] = supply.get(zones, 0) + _supply(one, sum(of.values())).energy_uj
        flows = match([Supply(zones, energy_uj) for zones, energy_uj in sorted(supply.items())], of)
        matched_uj += sum(sum(flow.values()) for flow in flows)
    return matched_uj


def _notes(found: Sequence[Claimable], stamped: Sequence[Claimable], coarse_uj: int) -> tuple[str, ...]:
    notes = []
    failed = sum(1 for one in found if not one.lowers)
    hourless = len(found) - failed - len(stamped)
    if hourless:
        notes.append(f"{hourless} contracts bear no hour and cover nothing hour by hour")
    if failed:
        notes.append(f"{failed} contracts fail a quality criterion and cover nothing here")
    if coarse_uj:
        notes.append(f"{coarse_uj / UJ_PER_KWH:.6g} kWh came in windows longer than an hour and were spread evenly over them")
    return tuple(notes)
