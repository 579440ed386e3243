"""Roll-up: minute facts → the grid's slots → days.  What may be rolled up when, and the SQL that does it.  Pure.

Joules, spreads and counts are sums per key, exactly.  ``seen_ms`` stays what a fact says it is, the same for all keys of one
device: the time its device was seen in all the windows that are put together.  A row that may not be rolled up (below) stays as
it is, with its writer, number and body.

Allocations of windows are summed like energy, weak where any of them was, and ``seen_ms`` says over how much time tokens were
worked on.  Those of single requests are summed by key, tenant and slot, into rows whose request is ``(settled)`` and whose
``requests`` says how many they were: who asked what, and when, is then gone.  Neither goes beyond slots: each of an allocation's
kinds of energy has a price of its own hour, and a day's row has room for one.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, Protocol

from wattledger.ledger.columns import COLUMNS, DAY_S, KEY_COLUMNS, KEYED, KINDS_UJ, TOKENS

Level = Literal["minutes", "slots", "days"]
LEVELS: tuple[Level, ...] = ("minutes", "slots", "days")  # finest first; minutes are only put together, not rolled up
HOUR_S = 3600
MINUTE_S = 60
# Beside COLUMNS in every compacted file.  A day's row can no longer be priced by the hour, so it carries what it was priced at:
# the sum of energy_uj x ug_per_kwh (location-based, operational, without PUE) and the one cause of those prices' error.
PRICED = {"priced": "DECIMAL(38,0)", "priced_by": "VARCHAR"}
ALL_COLUMNS = {**COLUMNS, **PRICED}
# By job first: a report of one job then reads few row groups of a day.  All key columns: equal facts give equal bytes.
ORDER = ("job", "model", "run", "host", "zone", "device", "component", "use", "method", "meter", "start_s", "length_s", "fact",
         "labels", "pue_milli", "device_model", "tenant", "request", "priced_by", "writer", "seq", "recorded_s")  # fmt: skip
SETTLED = "(settled)"  # what a sum of requests stands under


class Rated(Protocol):
    """A price as accounting makes it: micrograms CO2e per kWh of a zone in a window, with the cause of its error."""

    @property
    def zone(self) -> str: ...
    @property
    def start_s(self) -> int: ...
    @property
    def length_s(self) -> int: ...
    @property
    def ug_per_kwh(self) -> int: ...
    @property
    def cause(self) -> str: ...
    @property
    def settled(self) -> bool: ...


class Keep(NamedTuple):
    """How long facts keep their minutes and their slots ([ledger] and [grid] of the settings); 0 days of slots: for ever."""

    minutes_days: int = 30
    slots_days: int = 800
    settle_h: float = 72.0


def due_s(day: str, level: Level, keep: Keep) -> float:
    """From when on a recorded day may be rolled up to ``level``; infinite where never."""
    end_s = midnight_s(day) + DAY_S
    settled_s = end_s + keep.settle_h * HOUR_S  # every window of the day has ended by its end
    if level == "minutes":
        return end_s
    if level == "slots":
        return max(settled_s, end_s + keep.minutes_days * DAY_S)
    return max(settled_s, end_s + max(keep.minutes_days, keep.slots_days) * DAY_S) if keep.slots_days else math.inf


def due(day: str, now_s: int, keep: Keep) -> Level | None:
    """The coarsest level that a recorded day may have now; ``None`` while the day goes on."""
    return next((level for level in reversed(LEVELS) if due_s(day, level, keep) <= now_s), None)


def midnight_s(day: str) -> int:
    """When a day (ISO, UTC) begins.  ValueError where it is none."""
    from datetime import UTC, datetime

    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())


def slot_lengths(lengths: Iterable[tuple[str, int]]) -> dict[str, int]:
    """zone → the grid's slot there, from (zone, length_s) of its intensities: one that no shorter or odd window straddles.

    Where a zone has none of an hour or less, its slot is the hour (and is left out).
    """
    slots: dict[str, int] = {}
    for zone, length_s in lengths:
        if MINUTE_S <= length_s < HOUR_S:
            slots[zone] = math.gcd(slots.get(zone, HOUR_S), length_s)
    return {zone: max(MINUTE_S, slot_s) for zone, slot_s in slots.items()}


def setup(slots: Mapping[str, int]) -> list[str]:
    """SQL for the tables that ``rolled`` joins; their rows are the caller's to fill (``corrected``, ``prices``)."""
    values = ", ".join(f"({text(zone)}, {slot_s})" for zone, slot_s in sorted(slots.items()))
    filled = [f"INSERT INTO slots VALUES {values}"] if values else []
    return [
        "CREATE TABLE slots (zone VARCHAR, slot_s BIGINT)",
        "CREATE TABLE corrected (writer VARCHAR, seq BIGINT)",
        "CREATE TABLE prices (zone VARCHAR, start_s BIGINT, end_s BIGINT, ug_per_kwh BIGINT, cause VARCHAR)",
        *filled,
    ]


def rolled(given: str, level: Level) -> str:
    """The SELECT that rolls the rows of ``given`` (a table or view with ALL_COLUMNS) up to ``level``.

    Left as they are: facts that have no key (to days, also allocations); corrections, and what is corrected (a correction names
    one fact); windows that cross a slot's edge; and a host's hour (day) in which an agent and a tracker both metered, or several
    meters of one run: there a report must choose minute by minute whose word to take.  To days, also: windows without a settled
    price.
    """
    if level == "minutes":
        return f"SELECT {', '.join(ALL_COLUMNS)} FROM {given}"
    sums = "SELECT * FROM summed" + (" UNION ALL SELECT * FROM divided" if level == "slots" else "")
    return f"WITH {_steps(given, level)} {sums} UNION ALL SELECT {', '.join(ALL_COLUMNS)} FROM kept"


def _steps(given: str, level: Level) -> str:
    kinds = ", ".join(text(kind) for kind in KEYED if level == "slots" or kind != "allocation")
    keys = ", ".join(KEY_COLUMNS)
    amounts = ("energy_uj", "spread_uj", *TOKENS, "requests", "steps")
    window = "COALESCE(s.slot_s, 3600)" if level == "slots" else str(DAY_S)
    block_s = HOUR_S if level == "slots" else DAY_S  # of all zones' slots: a host's meters may have been told different zones
    columns = ", ".join(f"g.{name}" for name in ALL_COLUMNS)
    # A day's row takes its price by its own window, before the windows are lost; one priced already stays.
    price, join, ready = "NULL", "LEFT JOIN slots s ON s.zone = g.zone", "g.priced IS NULL"
    cause = "NULL"
    if level == "days":
        price, cause = "CAST(g.energy_uj AS HUGEINT) * p.ug_per_kwh", "p.cause"
        join = "LEFT JOIN prices p ON p.zone = g.zone AND g.fact = 'energy'"
        join += " AND g.start_s >= p.start_s AND g.start_s + g.length_s <= p.end_s"
        ready = "g.priced IS NULL AND (g.fact = 'work' OR p.zone IS NOT NULL)"
    return f"""
    timed AS (
      SELECT {columns}, {window} AS window_s, g.start_s - g.start_s % {window} AS from_s,
        g.start_s - g.start_s % {block_s} AS block_s, {price} AS product, {cause} AS by_cause,
        (g.corrects IS NULL AND c.writer IS NULL AND {ready} AND g.start_s % {window} + g.length_s <= {window}) AS fits
      FROM {given} g {join} LEFT JOIN corrected c ON c.writer = g.writer AND c.seq = g.seq
      WHERE g.fact IN ({kinds})),
    mixed AS (
      SELECT host, block_s FROM timed GROUP BY host, block_s
      HAVING MIN(CASE WHEN meter LIKE 'agent:%' THEN 1 ELSE 0 END) < MAX(CASE WHEN meter LIKE 'agent:%' THEN 1 ELSE 0 END)
      UNION
      SELECT host, block_s FROM timed WHERE meter NOT LIKE 'agent:%' AND run <> '' GROUP BY host, block_s, run
      HAVING MIN(meter) < MAX(meter)),
    told AS (
      SELECT t.*, (t.fits AND m.host IS NULL) AS plain FROM timed t LEFT JOIN mixed m ON m.host = t.host AND m.block_s = t.block_s),
    seen AS (
      SELECT meter, host, device, window_s, from_s, CAST(SUM(seen_ms) AS BIGINT) AS seen_ms FROM (
        SELECT meter, host, device, window_s, from_s, start_s, length_s, MAX(seen_ms) AS seen_ms
        FROM told WHERE plain AND fact = 'energy' GROUP BY meter, host, device, window_s, from_s, start_s, length_s) each_window
      GROUP BY meter, host, device, window_s, from_s),
    sums AS (
      SELECT MAX(recorded_s) AS recorded_s, fact, {keys}, window_s, from_s, {_sums(amounts)},
        CAST(SUM(product) AS DECIMAL(38,0)) AS priced, by_cause
      FROM told WHERE plain AND fact <> 'allocation' GROUP BY fact, {keys}, window_s, from_s, by_cause),
    summed AS (
      SELECT {_as_row({name: f"u.{name}" for name in ("recorded_s", "fact", *KEY_COLUMNS, *amounts, "priced")} | {
        "start_s": "u.from_s", "length_s": "u.window_s", "priced_by": "u.by_cause",
        "seen_ms": "CASE WHEN u.fact = 'energy' THEN n.seen_ms END"})}
      FROM sums u LEFT JOIN seen n ON n.meter = u.meter AND n.host = u.host AND n.device = u.device
        AND n.window_s = u.window_s AND n.from_s = u.from_s),
    {_divided() if level == "slots" else ""}
    unrolled AS (SELECT {", ".join(ALL_COLUMNS)} FROM told WHERE NOT plain),
    kept AS (
      SELECT {", ".join(ALL_COLUMNS)} FROM unrolled
      UNION ALL
      SELECT {", ".join(ALL_COLUMNS)} FROM {given} WHERE fact NOT IN ({kinds}, 'key')
      UNION ALL
      SELECT {", ".join(ALL_COLUMNS)} FROM {given} WHERE fact = 'key' AND (writer IN (SELECT writer FROM unrolled)
        OR writer IN (SELECT writer FROM {given} WHERE fact = 'allocation' AND fact NOT IN ({kinds}))))"""


def _divided() -> str:
    """The steps for allocations: first by window, of which a key may have several facts, because some was known late."""
    keys = ", ".join((*KEY_COLUMNS, "tenant"))
    amounts = (*KINDS_UJ, "spread_uj", *TOKENS)
    said = {name: name for name in (*KEY_COLUMNS, "tenant", "recorded_s", *amounts, "weak", "seen_ms", "requests")}
    return f"""windows AS (
      SELECT MAX(recorded_s) AS recorded_s, {keys}, window_s, from_s, MAX(weak) AS weak, {_sums(amounts)},
        MAX(CASE WHEN request IS NULL AND prompt_uj + generated_uj > 0 THEN COALESCE(seen_ms, length_s * 1000) END) AS seen_ms,
        CASE WHEN request IS NOT NULL THEN '{SETTLED}' END AS request,
        SUM(CASE WHEN request IS NOT NULL THEN COALESCE(requests, 1) END) AS requests
      FROM told WHERE plain AND fact = 'allocation'
      GROUP BY {keys}, window_s, from_s, start_s, length_s, CASE WHEN request IS NOT NULL THEN '{SETTLED}' END),
    divisions AS (
      SELECT MAX(recorded_s) AS recorded_s, {keys}, request, window_s, from_s, MAX(weak) AS weak,
        {_sums((*amounts, "seen_ms", "requests"))}
      FROM windows GROUP BY {keys}, request, window_s, from_s),
    divided AS (
      SELECT {_as_row(said | {"fact": "'allocation'", "request": "request", "start_s": "from_s", "length_s": "window_s"})}
      FROM divisions),"""


def _sums(names: Iterable[str]) -> str:
    return ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in names)


def _as_row(said: Mapping[str, str]) -> str:
    """All columns in their order, null where nothing is said."""
    return ", ".join(f"CAST({said.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in ALL_COLUMNS.items())


def text(value: str) -> str:
    """A string in SQL."""
    return "'" + value.replace("'", "''") + "'"
