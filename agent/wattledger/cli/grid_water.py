"""Water beside carbon, for ``grid show --water`` and ``grid zones --water``: where dams make a grid clean, both are seen."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click

from wattledger.accounting.water import water_l
from wattledger.cli import fail
from wattledger.cli import grid_lines as lines
from wattledger.core.model import Factor
from wattledger.factors.grid import annual
from wattledger.factors.water import ewif
from wattledger.runtime.config import ConfigError, load
from wattledger.runtime.prices import today

MODES: tuple[ewif.Hydro, ...] = ("allocate", "exclude")
HEADS = {"allocate": "water", "exclude": "no hydro"}
SAID = {"allocate": "with what reservoirs evaporate, allocated to hydro power", "exclude": "hydro power counted as 0"}
LEGEND = (
    "water: L/kWh consumed by power stations, with what reservoirs evaporate; no hydro: without",
    "#: rank, the lowest first, among countries with a figure of their own; ?: not known",
    "(world), (country): the average of the world, or of the country, stands in for its water",
)


class Traded(NamedTuple):
    """A zone's carbon and, by how hydro is counted, its water; ``why``: for a mode that is not known."""

    zone: annual.Prices
    water: Mapping[str, Factor]
    why: Mapping[str, str]

    @property
    def stands_in(self) -> str:
        """Whose figure its water is, where it is not its own."""
        if self.water["allocate"].quality == "world" and self.zone.zone != ewif.WORLD:
            return "world"
        return "country" if self.water["allocate"].zone != self.zone.zone else ""


def traded(zone: annual.Prices) -> Traded:
    """Look a zone's water up."""
    water, why = dict[str, Factor](), dict[str, str]()
    for mode in MODES:
        try:
            water[mode] = ewif.offsite(zone.zone, mode)
        except ewif.NotKnown as missing:
            why[mode] = str(missing)
    return Traded(zone, water, why)


def show(zone: annual.Prices) -> None:
    """The lines of one zone, below those of its carbon."""
    found = traded(zone)
    for mode, factor in found.water.items():
        head, *others = lines.factor_lines(factor._replace(boundary=HEADS[mode]), today())
        lines.show([f"{head}; {SAID[mode]}", *others])
    if found.stands_in:
        whose = "the world's average" if found.stands_in == "world" else f"the average of {found.water['allocate'].zone}"
        lines.show([f"note      water {found.zone.zone}: {whose} stands in: no figure of its own"])
    lines.show(f"note      {why}" for why in found.why.values())
    lines.show(_here(found))


def as_dict(zone: annual.Prices) -> dict[str, Any]:
    """What JSON says of a zone beside its carbon: ``water``, and ``water_not_known``."""
    found = traded(zone)
    said: dict[str, Any] = {"water": {mode: lines.dated(factor, today()) for mode, factor in found.water.items()}}
    return said | ({"water_not_known": dict(found.why)} if found.why else {})


def table(zones: Sequence[annual.Prices], *, as_json: bool) -> None:
    """Each zone's carbon and water, with its rank among the countries that have figures of their own."""
    rank = ranks()
    rows = [traded(zone) for zone in zones]
    if as_json:
        click.echo(json.dumps([_row_dict(row, rank) for row in rows], ensure_ascii=False))
        return
    click.echo(f"{'zone':<8} {'gCO2e/kWh':>9} {'#':>3}  {'water':>6} {'#':>3}  {'no hydro':>8} {'#':>3}  name")
    for row in rows:
        mine = rank.get(row.zone.zone, {})
        cells = [f"{row.zone.location_based.value:>9g} {mine.get('carbon', ''):>3}"]
        for mode, width in (("allocate", 6), ("exclude", 8)):
            value = f"{row.water[mode].value:.3g}" if mode in row.water else "?"
            cells.append(f"{value:>{width}} {mine.get(mode, ''):>3}")
        whose = f" ({row.stands_in})" if row.stands_in else ""
        click.echo(f"{row.zone.zone:<8} {'  '.join(cells)}  {row.zone.name}{whose}")
    for line in LEGEND:
        click.echo(line)


def ranks() -> dict[str, dict[str, int]]:
    """zone → ``carbon``, ``allocate``, ``exclude``: its place, 1 the lowest, among countries with water figures of their own."""
    own = [row for zone in annual.zones(today()) if not (row := traded(zone)).stands_in and zone.zone != ewif.WORLD]
    found: dict[str, dict[str, int]] = {row.zone.zone: {} for row in own}
    values = {"carbon": {row.zone.zone: row.zone.location_based.value for row in own}}
    values |= {mode: {row.zone.zone: row.water[mode].value for row in own if mode in row.water} for mode in MODES}
    for what, of in values.items():
        for place, zone in enumerate(sorted(of, key=lambda zone: (of[zone], zone)), start=1):
            found[zone][what] = place
    return found


def _row_dict(row: Traded, rank: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    carbon = lines.dated(row.zone.location_based, today())
    said: dict[str, Any] = {"zone": row.zone.zone, "name": row.zone.name, "carbon": carbon, **as_dict(row.zone)}
    said |= {"stands_in": row.stands_in} if row.stands_in else {}
    return said | ({"rank": dict(rank[row.zone.zone])} if row.zone.zone in rank else {})


def _here(found: Traded) -> Iterator[str]:
    """What a kWh of IT energy comes to in this building, where the configuration says its PUE or its WUE."""
    try:
        config = load(os.environ)
    except ConfigError as wrong:
        fail(f"grid: {wrong}")
    pue, wue = float(config["facility.pue"]), float(config["facility.wue"])
    if not pue and not wue:
        return
    grams = found.zone.location_based.value * (pue or 1.0)
    said = f"PUE {pue:g}" if pue else "no PUE"
    for mode, factor in found.water.items():
        on_site, off_site = water_l(1.0, wue, pue or 1.0, factor.value)
        litres = f"{on_site + off_site:.3g} L ({f'{on_site:.3g}' if wue else 'not known'} on-site, {off_site:.3g} off-site)"
        yield f"here      a kWh of IT energy ({said}): {grams:.3g} g and {litres}, {SAID[mode]}"
