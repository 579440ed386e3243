"""Scope 2 both ways (GHG Protocol Scope 2 Guidance, 2015): location-based, and market-based from contracts.

Energy here is what the building drew: a meter's energy times its PUE where that is known.  Sums are exact and rounded once.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from wattledger.accounting.instruments import Category as Category
from wattledger.accounting.instruments import Claimable, claimable
from wattledger.accounting.instruments import Disclosure as Disclosure
from wattledger.accounting.price import Price
from wattledger.accounting.prices import year_of
from wattledger.accounting.sums import UJ_PER_KWH, Part, by_boundary, overlaps
from wattledger.core.facts import Known

HIERARCHY: tuple[Category, ...] = ("eac", "ppa", "supplier", "residual", "grid-average")


class Consumption(NamedTuple):
    """IT energy of one zone in a window; ``pue_milli`` of 0: not known and not applied."""

    zone: str
    start_s: int
    length_s: int
    energy_uj: int
    pue_milli: int = 0


class Piece(NamedTuple):
    """Energy of one zone and period that one instrument or mix covers, and its exact micrograms; ``g95`` as a price's."""

    category: Category
    contract: str
    energy_uj: int
    emitted_ug: Fraction
    facts: tuple[str, ...] = ()
    g95: float = 1.0


class Blend(NamedTuple):
    """One zone and period: the pieces add up to its energy, and every job in it pays ``price``."""

    zone: str
    start_s: int
    length_s: int
    energy_uj: int
    pieces: tuple[Piece, ...]
    price: Price


class Market(NamedTuple):
    """The market-based result.  ``energy_uj`` by category; ``emitted_ug`` rounded once."""

    blends: tuple[Blend, ...]
    energy_uj: Mapping[Category, int]
    emitted_ug: int
    disclosures: tuple[Disclosure, ...]

    def prices(self, zone: str) -> list[Price]:
        """The zone's blended prices, sorted; absent where nothing was consumed."""
        return [blend.price for blend in self.blends if blend.zone == zone]


class Location(NamedTuple):
    """The location-based result: energy and micrograms by boundary (``""``: no price was at hand), and what must be said."""

    energy_uj: Mapping[str, int]
    emitted_ug: Mapping[str, int]
    disclosures: tuple[Disclosure, ...]


class _Cell:
    """One zone and period while contracts are being claimed.  Changes: ``left_uj`` and ``pieces``."""

    def __init__(self, zone: str, start_s: int, end_s: int) -> None:
        self.zone, self.start_s, self.end_s = zone, start_s, end_s
        self.windows: list[tuple[int, int, int]] = []
        self.left_uj = 0
        self.pieces: list[Piece] = []
        self.rest = Piece("grid-average", "", 0, Fraction(0))  # set by _rest: what an uncovered kWh stands on

    def take(self, piece: Piece) -> None:
        self.left_uj -= piece.energy_uj
        self.pieces.append(piece)


def location_based(consumption: Iterable[Consumption], averages: Mapping[str, Sequence[Price]]) -> Location:
    """kWh x the grid's average, zone by zone; ``averages``: prices by zone (``prices.operational`` or ``prices.inventory``)."""
    rows, said = _facility(consumption)
    sums: dict[str, Part] = {}
    for zone in sorted({row.zone for row in rows}):
        windows = [(row.start_s, row.length_s, row.energy_uj) for row in rows if row.zone == zone]
        parts = by_boundary(averages.get(zone, ()), windows)
        said.extend(_boundaries(zone, parts))
        for name, part in parts.items():
            so_far = sums.get(name, Part(0, Fraction(0)))
            sums[name] = Part(so_far.energy_uj + part.energy_uj, so_far.emitted_ug + part.emitted_ug)
    energy_uj = {name: sums[name].energy_uj for name in sorted(sums)}
    return Location(energy_uj, {name: round(sums[name].emitted_ug) for name in energy_uj if name}, tuple(said))


def market_based(
    consumption: Iterable[Consumption],
    contracts: Iterable[Known],
    *,
    residuals: Mapping[str, Sequence[Price]],
    averages: Mapping[str, Sequence[Price]],
    as_of_s: int | None = None,
) -> Market:
    """Certificates, then PPAs, then suppliers' rates, each clipped to what is consumed in its zones and time; the rest at the
    residual mix, or, disclosed, at the grid average.

    A volume is shared evenly over all that its contract may cover, so hand in the consumption of the contracts' whole times.  A
    certificate stamped with one hour covers, by the Guidance of 2015, its calendar year (UTC).  ``averages`` must cover what no
    residual mix does (ValueError).
    """
    rows, said = _facility(consumption)
    offered, of_contracts = claimable(contracts, as_of_s)
    cells = _cells(rows, offered, residuals)
    near = {one.fact.contract for one in offered if any(_touches(one, row) for row in rows)} | _refused(of_contracts)
    said += [each for each in of_contracts if each.contract in near]
    for cell in cells:
        cell.rest = _rest(cell, residuals, averages)
    for one in sorted(offered, key=lambda one: _order(one, cells)):
        said.extend(_claim(one, cells) if one.fact.contract in near else ())
    for cell in cells:
        if cell.left_uj:
            share = Fraction(cell.left_uj, cell.rest.energy_uj)
            cell.take(cell.rest._replace(energy_uj=cell.left_uj, emitted_ug=cell.rest.emitted_ug * share))
    said += _without_residual(cells, averages)
    blends = tuple(_blend(cell) for cell in cells)
    energy_uj = {name: sum(p.energy_uj for b in blends for p in b.pieces if p.category == name) for name in HIERARCHY}
    emitted_ug = sum((p.emitted_ug for b in blends for p in b.pieces), Fraction(0))
    return Market(blends, {name: uj for name, uj in energy_uj.items() if uj}, round(emitted_ug), tuple(said))


def _facility(consumption: Iterable[Consumption]) -> tuple[list[Consumption], list[Disclosure]]:
    """What the building drew, and how much of it is without a PUE."""
    rows, bare_uj = [], 0
    for row in consumption:
        if row.energy_uj < 0 or row.length_s < 0:
            raise ValueError(f"consumption in {row.zone} at {row.start_s}: neither energy nor time may be negative")
        bare_uj += 0 if row.pue_milli else row.energy_uj
        drawn_uj = (row.energy_uj * (row.pue_milli or 1000) + 500) // 1000
        rows.append(row._replace(length_s=max(1, row.length_s), energy_uj=drawn_uj, pue_milli=1000))
    text = f"{_mwh(bare_uj)} without a PUE: the IT energy alone ([facility] pue sets it)"
    return rows, [Disclosure("pue-unknown", text, energy_uj=bare_uj)] if bare_uj else []


def _cells(rows: Sequence[Consumption], offered: Sequence[Claimable], residuals: Mapping[str, Sequence[Price]]) -> list[_Cell]:
    """Consumption by zone and period; a period ends where a contract or a residual mix begins or ends."""
    cells = []
    for zone in sorted({row.zone for row in rows}):
        mine = [row for row in rows if row.zone == zone]
        first, last = min(row.start_s for row in mine), max(row.start_s + row.length_s for row in mine)
        edges = {first, last}
        edges |= {edge for one in offered if zone in one.fact.zones for edge in _times(one)}
        edges |= {edge for price in residuals.get(zone, ()) for edge in (price.start_s, price.start_s + price.length_s)}
        cuts = sorted(edge for edge in edges if first <= edge <= last)
        made = [_Cell(zone, begin_s, stop_s) for begin_s, stop_s in pairwise(cuts)]
        for row in mine:
            _pour(row, made, cuts)
        cells += [cell for cell in made if cell.left_uj]
    return cells


def _pour(row: Consumption, made: Sequence[_Cell], cuts: Sequence[int]) -> None:
    """A row's energy into the cells it touches; the parts add up to it."""
    at, given_uj = bisect_right(cuts, row.start_s) - 1, 0
    end_s = row.start_s + row.length_s
    while at < len(made) and made[at].start_s < end_s:
        begin_s, stop_s = max(row.start_s, made[at].start_s), min(end_s, made[at].end_s)
        part_uj = row.energy_uj * (stop_s - row.start_s) // row.length_s - given_uj
        given_uj += part_uj
        made[at].windows.append((begin_s, stop_s - begin_s, part_uj))
        made[at].left_uj += part_uj
        at += 1


def _rest(cell: _Cell, residuals: Mapping[str, Sequence[Price]], averages: Mapping[str, Sequence[Price]]) -> Piece:
    """What all of a cell would be without contracts: the residual mix, else the grid average; raises ValueError without either."""
    for price, _, _ in overlaps(residuals.get(cell.zone, ()), cell.start_s, cell.end_s - cell.start_s):
        # It is that price's for all of its time: cells are cut where residual mixes begin and end.
        emitted_ug = Fraction(cell.left_uj * price.ug_per_kwh, UJ_PER_KWH)
        return Piece("residual", "", cell.left_uj, emitted_ug, price.facts, price.g95)
    known = averages.get(cell.zone, ())
    parts = by_boundary(known, cell.windows)
    if "" in parts:
        raise ValueError(f"no grid average for {cell.zone or 'no zone'}: {_mwh(parts[''].energy_uj)} would count as zero")
    used = [price for price, _, _ in overlaps(known, cell.start_s, cell.end_s - cell.start_s)]
    g95 = max(max(price.g95, price.g95_high) for price in used)
    return Piece("grid-average", "", cell.left_uj, sum((p.emitted_ug for p in parts.values()), Fraction(0)), (), g95)


def _order(one: Claimable, cells: Sequence[_Cell]) -> tuple[object, ...]:
    """The Guidance's hierarchy; the narrower contract first, or a wide one would take what only the narrow one can cover.

    What fails a criterion comes last: it can then take nobody's place who would have counted for more.
    """
    width = sum(1 for cell in cells if _covers(one, cell))
    return not one.lowers, HIERARCHY.index(one.fact.instrument), width, one.fact.start_s, one.id


def _claim(one: Claimable, cells: Sequence[_Cell]) -> list[Disclosure]:
    rate = Fraction(one.fact.ug_per_kwh, UJ_PER_KWH)
    mine = [cell for cell in cells if _covers(one, cell) and cell.left_uj]
    if not one.lowers:
        mine = [cell for cell in mine if rate * cell.rest.energy_uj >= cell.rest.emitted_ug]
    room_uj = sum(cell.left_uj for cell in mine)
    volume_uj = room_uj if one.volume_uj is None else one.volume_uj
    taken_uj, before_uj, given_uj = min(room_uj, volume_uj), 0, 0
    for cell in mine:
        # Shares by running sums: they add up exactly, and none is more than its cell has left.
        before_uj += cell.left_uj
        part_uj = taken_uj * before_uj // room_uj - given_uj
        given_uj += part_uj
        if part_uj:
            cell.take(Piece(one.fact.instrument, one.fact.contract, part_uj, part_uj * rate, (one.id,)))
    over_uj = volume_uj - taken_uj
    if not over_uj or not one.lowers:
        return []
    text = f"contract {one.fact.contract}: {_mwh(over_uj)} of {_mwh(volume_uj)} are above what was left to cover"
    return [Disclosure("clipped", text, energy_uj=over_uj, contract=one.fact.contract)]


def _without_residual(cells: Sequence[_Cell], averages: Mapping[str, Sequence[Price]]) -> list[Disclosure]:
    said = []
    for zone in sorted({cell.zone for cell in cells}):
        stood = [cell for cell in cells if cell.zone == zone and cell.pieces[-1].category == "grid-average"]
        energy_uj = sum(cell.pieces[-1].energy_uj for cell in stood)
        if energy_uj:
            where = f"for {zone}" if zone else "where no zone is"
            text = f"no residual mix is known {where}: the grid average stands in for {_mwh(energy_uj)}"
            said.append(Disclosure("no-residual-mix", text, zone, energy_uj))
            said += _boundaries(zone, by_boundary(averages[zone], [window for cell in stood for window in cell.windows]))
    return said


def _blend(cell: _Cell) -> Blend:
    pieces = tuple(cell.pieces)
    energy_uj = sum(piece.energy_uj for piece in pieces)
    emitted_ug = sum((piece.emitted_ug for piece in pieces), Fraction(0))
    off_ug = sqrt(sum((float(piece.emitted_ug) * (piece.g95 - 1)) ** 2 for piece in pieces))
    kinds = {"contract" if piece.contract else piece.category for piece in pieces}
    price = Price(
        zone=cell.zone,
        start_s=cell.start_s,
        length_s=cell.end_s - cell.start_s,
        ug_per_kwh=round(emitted_ug * UJ_PER_KWH / energy_uj),
        boundary="market",
        quality=kinds.pop() if len(kinds) == 1 else "blend",
        cause=f"{cell.zone}|market",
        g95=1 + off_ug / float(emitted_ug) if emitted_ug else 1.0,
        facts=tuple(sorted({fact for piece in pieces for fact in piece.facts})),
    )
    return Blend(cell.zone, cell.start_s, cell.end_s - cell.start_s, energy_uj, pieces, price)


def _boundaries(zone: str, parts: Mapping[str, Part]) -> list[Disclosure]:
    """A word on each part of a sum that does not stand on direct factors."""
    return [
        Disclosure(f"boundary-{name}", f"{zone}: {_mwh(part.energy_uj)} stand on {name} factors", zone, part.energy_uj)
        if name
        else Disclosure("unpriced", f"{zone}: {_mwh(part.energy_uj)} without a price", zone, part.energy_uj)
        for name, part in parts.items()
        if name != "direct"
    ]


def _times(one: Claimable) -> tuple[int, int]:
    """The consumption that a contract may cover."""
    return year_of(one.fact.start_s) if one.stamped and one.fact.instrument == "eac" else (one.fact.start_s, one.fact.end_s)


def _covers(one: Claimable, cell: _Cell) -> bool:
    start_s, end_s = _times(one)
    return cell.zone in one.fact.zones and start_s <= cell.start_s and cell.end_s <= end_s


def _touches(one: Claimable, row: Consumption) -> bool:
    """Whether a contract is about the time of a row, in whatever zone: one for elsewhere is said to cover nothing."""
    start_s, end_s = _times(one)
    return start_s < row.start_s + row.length_s and row.start_s < end_s


def _refused(said: Sequence[Disclosure]) -> set[str]:
    return {each.contract for each in said if each.code in ("refused", "serials-twice")}


def _mwh(energy_uj: int) -> str:
    kwh = energy_uj / UJ_PER_KWH
    if kwh < 0.001:
        return "less than 1 Wh"
    return f"{kwh:.3g} kWh" if kwh < 1 else f"{kwh / 1000:.6g} MWh"
