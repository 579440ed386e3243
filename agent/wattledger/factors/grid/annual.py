"""Annual grid averages from the table in the package: no network, one row kept, and every number with its source.

Three boundaries, never mixed: ``direct`` (the plants' own emissions), ``lifecycle`` (fuel supply and building too) and
``upstream`` (what the same source's direct figure leaves out).  ``data/compile_grid.py`` writes the table and says what
may ship.
"""

from collections.abc import Iterator
from math import exp, log, sqrt
from os.path import dirname, join
from typing import TYPE_CHECKING, NamedTuple

from wattledger.core.model import Factor

if TYPE_CHECKING:
    from datetime import date  # 1.5 ms of import for an annotation

TABLE = join(dirname(dirname(__file__)), "data", "grid_annual.csv")

# Official factors: the right year 1.05, one year old 1.10, more than three 1.30; years 2 and 3 are
# put between the two last on a log scale, because the table leaves them open.
AGE_G95 = (1.05, 1.10, 1.16, 1.23)
OLD_G95 = 1.30
EMBER_G95 = 1.10
UPSTREAM_G95 = 1.20
# A row still to be checked at its publisher: the pedigree matrix's score 4 for reliability.
UNCHECKED_G95 = 1.20

# No country's grid in the table is dirtier (TM, Ember): an average over many places may be far too high for one
# of them, but not far too low.
DIRTIEST_G_PER_KWH = 1306.3

# An annual average used for a shorter time, as (seconds, g95).
TIME_MISMATCH = ((3_600.0, 2.0), (86_400.0, 1.8), (604_800.0, 1.4), (31_536_000.0, 1.0))


class UnknownZone(ValueError):
    """There is no such zone in the table.  The message is one line and names the nearest right ones."""


class Prices(NamedTuple):
    """What is known of one zone: ``direct``, ``lifecycle`` or both.  ``notes`` are for the reader of the footprint."""

    zone: str
    name: str
    direct: Factor | None
    lifecycle: Factor | None
    upstream: Factor | None
    notes: tuple[str, ...]

    @property
    def location_based(self) -> Factor:
        """The direct factor; where there is none the life-cycle one stands in, and its ``quality`` is ``stand-in``."""
        if self.direct is not None:
            return self.direct
        if self.lifecycle is None:
            raise ValueError(f"{self.zone} has neither a direct nor a life-cycle factor in {TABLE}")
        return self.lifecycle._replace(quality="stand-in")


class _Record(NamedTuple):
    """One row of the table, in the order of its columns."""

    keys: str
    zone: str
    name: str
    boundary: str
    value_g_per_kwh: str
    unit: str
    year: str
    version: str
    source: str
    licence: str
    check: str
    scope: str
    note: str
    spread_g95: str


def lookup(zone: str | None, today: "date", *, doubt_g95: float = 1.0) -> Prices:
    """The prices of a zone, named as people name it: ``DE``, ``deu``, ``Germany``, ``us-camx``, ``WECC California``.

    Without a zone: the world average, with an interval that holds 95 % of places.  ``doubt_g95`` widens every factor,
    where the zone itself was guessed (``cloud.CloudZone.g95``).  Raises ``UnknownZone``.
    """
    named = bool(zone and zone.strip())
    key = f"|{_fold(zone)}|" if zone and named else "|world|"
    rows = [line.split(",") for line in _lines() if key in line.split(",", 1)[0]]
    if not rows:
        raise UnknownZone(_unknown(zone or ""))
    prices = _prices(rows, today, doubt_g95)
    return prices if named else prices._replace(notes=(_nowhere(prices),))


def zones(today: "date") -> list[Prices]:
    """Every zone in the table, by name of zone: for listing."""
    found: dict[str, list[list[str]]] = {}
    for line in _lines():
        row = line.split(",")
        found.setdefault(row[1], []).append(row)
    return [_prices(rows, today, 1.0) for _, rows in sorted(found.items())]


def time_mismatch_g95(duration_s: float) -> float:
    """How far an annual average may be from the grid's mix during a time that short.

    2.0 up to an hour, 1.8 for a day, 1.4 for a week, 1.0 from a year on; straight lines in log time between them.
    """
    before_s, before_g = TIME_MISMATCH[0]
    if duration_s <= before_s:
        return before_g
    for after_s, after_g in TIME_MISMATCH[1:]:
        if duration_s <= after_s:
            part = log(duration_s / before_s) / log(after_s / before_s)
            return before_g + part * (after_g - before_g)
        before_s, before_g = after_s, after_g
    return before_g


def _lines() -> Iterator[str]:
    """The rows below the comments and the head.

    No field holds a comma or a quote (the table's compiler refuses them), so a split will do, without the csv module.
    """
    with open(TABLE, encoding="utf-8") as table:
        for line in table:
            if line.startswith("|"):
                yield line.rstrip("\n")


def _fold(text: str) -> str:
    """A name as the table's ``keys`` hold it: no accents, no case, ASCII letters and digits alone."""
    if not text.isascii():
        from unicodedata import normalize  # 1 MB of tables: only for who types an accent

        text = normalize("NFKD", text)
    return "".join(c for c in text.casefold() if c.isascii() and c.isalnum())


def _prices(rows: list[list[str]], today: "date", doubt_g95: float) -> Prices:
    records = [_Record(*row) for row in rows]
    zone, name = records[0].zone, records[0].name
    factors = {record.boundary: _factor(record, today, doubt_g95) for record in records}
    return Prices(
        zone, name, factors.get("direct"), factors.get("lifecycle"), factors.get("upstream"), tuple(_notes(records))
    )


def _notes(records: list[_Record]) -> Iterator[str]:
    """What a reader of the figure must be told of these rows."""
    zone = records[0].zone
    for record in records:
        if record.note:
            yield f"grid {zone}: {record.note} ({record.source} {record.year})"
        if record.check == "verify":
            yield f"grid {zone}: {record.source} {record.year}: not yet checked at its publisher; the interval is wider"
    if records[0].spread_g95:
        yield f"grid {zone}: an average over many countries; name the country for a narrower interval"
    if all(record.boundary != "direct" for record in records):
        yield f"grid {zone}: no direct factor at hand; the life-cycle one stands in and holds the upstream part too"


def _factor(record: _Record, today: "date", doubt_g95: float) -> Factor:
    unchecked = UNCHECKED_G95 if record.check == "verify" else 1.0
    age_g95 = _age_g95(record.boundary, today.year - int(record.year))
    return Factor(
        kind="grid_upstream" if record.boundary == "upstream" else "grid",
        zone=record.zone,
        value=float(record.value_g_per_kwh),
        unit=record.unit,
        boundary=record.boundary,
        origin=record.source,
        version=record.version,
        quality="regional-average" if record.spread_g95 else "annual-average",
        g95=_both(age_g95, unchecked, float(record.spread_g95 or 1.0), doubt_g95),
        valid_from=f"{record.year}-01-01",
        valid_to=f"{record.year}-12-31",
        licence=record.licence,
        g95_high=max(age_g95, DIRTIEST_G_PER_KWH / float(record.value_g_per_kwh)) if record.spread_g95 else 0.0,
    )


def _age_g95(boundary: str, age_years: int) -> float:
    """The interval of a factor of that age; an edition of the future is as good as this year's."""
    official = AGE_G95[max(0, age_years)] if age_years < len(AGE_G95) else OLD_G95
    if boundary == "upstream":
        return max(UPSTREAM_G95, official)
    if boundary == "lifecycle":
        return EMBER_G95 if age_years < len(AGE_G95) else OLD_G95
    return official


def _both(*g95s: float) -> float:
    """Independent multiplicative errors together."""
    return exp(sqrt(sum(log(g95) ** 2 for g95 in g95s)))


def _nowhere(world: Prices) -> str:
    factor = world.location_based
    source = f"{factor.origin} {factor.version}, life-cycle"
    return (
        f"NO GRID ZONE IS KNOWN: the world average, {factor.value:.0f} {factor.unit} ({source}), stands in and may be "
        f"{factor.g95:.0f} times too high or {factor.g95_high:.1f} times too low; name the place with "
        "--zone, WATTLEDGER_GRID_ZONE or [grid] zone (wattledger grid zones)"
    )


def _unknown(zone: str) -> str:
    """One line for a zone that is not there, with the nearest that are."""
    from difflib import get_close_matches  # only on the way to an error

    named = {key: line.split(",", 3)[1:3] for line in _lines() for key in line.split(",", 1)[0].strip("|").split("|")}
    near = get_close_matches(_fold(zone), named, n=3, cutoff=0.6)
    country = _fold(zone.partition("-")[0])
    if "-" in zone and country in named:
        near.append(country)
    right = list(dict.fromkeys(f"{code} ({name})" for code, name in (named[key] for key in near)))
    nearest = f"; did you mean {' or '.join(right)}?" if right else ""
    return f"unknown grid zone {zone!r}{nearest} `wattledger grid zones` lists all"
