"""The SQL of ``query_embodied``: standard, in steps.

Energy by binding, window, job and group (``embodied_rows``); how much of each window was metered, and what it drew together
(``embodied_windows``); a method's nanoseconds for each row (``SHARES``); and those cut at segments and buckets (``cut``).  Energies
fit 28 GWh a window, and windows a day.
"""

from collections.abc import Sequence
from typing import Literal

from wattledger.ledger.query import GROUPS
from wattledger.ledger.query_meters import AFTER_AGENTS

Method = Literal["reserved", "time", "physical", "economic"]
METHODS: tuple[Method, ...] = ("reserved", "time", "physical", "economic")
IDLE = "(idle)"
PPM = 1_000_000


def columns(kind: str) -> tuple[str, ...]:
    """What names a row of a report of this kind, beside the job."""
    return tuple(name for name in GROUPS[kind] if name != "job")


# A union of joins, because an engine joins by hash what is equal, and not what is one thing or another.
BOUND = " UNION ALL ".join(
    f"SELECT b.binding, e.* FROM energy e JOIN embodied_bindings b ON b.host = e.host AND {how}"
    for how in (
        "b.device = e.device AND b.device <> ''",
        "b.component = e.component AND b.component <> '' AND b.device = ''",
        "b.device = '' AND b.component = ''",
    )
)
_WINDOW = "binding, tracker, run, start_s, length_s"
_TRACKER = f"CASE WHEN meter < '{AFTER_AGENTS}' THEN '' ELSE meter END"
_RUN = f"CASE WHEN meter < '{AFTER_AGENTS}' THEN '' ELSE run END"


def rows(kind: str) -> str:
    """First by meter, of which several may have seen one window in turn (an agent that was started anew), then together."""
    keys = ", ".join(("job", *columns(kind)))
    return f"""
    WITH bound AS (SELECT * FROM ({BOUND}) u WHERE start_s + length_s > ? AND start_s < ? AND energy_uj > 0),
    by_meter AS (
      SELECT binding, meter, {_TRACKER} AS tracker, {_RUN} AS run, {keys}, start_s,
        CASE WHEN length_s < 1 THEN 1 ELSE length_s END AS length_s, MAX(seen_ms) AS seen_ms,
        SUM(CASE WHEN use = 'held' THEN energy_uj ELSE 0 END) AS held_uj,
        SUM(CASE WHEN use = 'held' THEN 0 ELSE energy_uj END) AS active_uj
      FROM bound GROUP BY binding, meter, {_TRACKER}, {_RUN}, {keys}, start_s, length_s)
    SELECT {_WINDOW}, meter, {keys}, seen_ms, held_uj, active_uj,
      CASE WHEN job = '{IDLE}' THEN 2 WHEN job LIKE '(%' THEN 1 ELSE 0 END AS reserved
    FROM by_meter"""


def _part(ns: str, of: str, whole: str) -> str:
    """SQL for ``floor(ns x of / whole)``, nothing of nothing.  The difference is a multiple, and its quotient below 2^53, so an
    engine that divides in doubles gets it right as well."""
    product = f"CAST({ns} AS DECIMAL(18,0)) * CAST({of} AS DECIMAL(20,0))"
    divisor = f"CAST({whole} AS DECIMAL(20,0))"
    quotient = f"CAST(ROUND(({product} - MOD({product}, {divisor})) / {divisor}) AS DECIMAL(18,0))"
    return f"(CASE WHEN {whole} > 0 THEN {quotient} ELSE 0 END)"


# Of all meters that saw a window, the time together, and never more than the window; of a program, what it had reserved.
WINDOWS = f"""
    WITH sums AS (
      SELECT {_WINDOW}, SUM(CASE WHEN reserved < 2 THEN held_uj ELSE 0 END) AS held_uj,
        SUM(CASE WHEN reserved < 2 THEN active_uj ELSE 0 END) AS active_uj,
        SUM(CASE WHEN reserved = 2 THEN held_uj + active_uj ELSE 0 END) AS idle_uj,
        COUNT(DISTINCT CASE WHEN reserved = 0 THEN job END) AS jobs
      FROM embodied_rows GROUP BY {_WINDOW}),
    metered AS (
      SELECT {_WINDOW}, SUM(seen_ms) AS seen_ms FROM (
        SELECT {_WINDOW}, meter, MAX(seen_ms) AS seen_ms FROM embodied_rows GROUP BY {_WINDOW}, meter) by_meter
      GROUP BY {_WINDOW}),
    timed AS (
      SELECT m.*, (CASE WHEN seen_ms > length_s * 1000 THEN length_s * 1000 ELSE seen_ms END) * {PPM} AS seen_ns FROM metered m)
    SELECT s.*, CASE WHEN s.tracker = '' THEN t.seen_ns WHEN p.of_ns IS NULL THEN NULL
      ELSE {_part("t.seen_ns", "p.paid_ns", "p.of_ns")} END AS ns
    FROM sums s JOIN timed t ON t.binding = s.binding AND t.tracker = s.tracker AND t.run = s.run AND t.start_s = s.start_s
      AND t.length_s = s.length_s
    LEFT JOIN embodied_paid p ON p.binding = s.binding AND p.tracker = s.tracker AND p.run = s.run"""

# --- the methods ------------------------------------------------------------------------------------------------------------------

_JOINED = """embodied_rows r JOIN embodied_windows w ON w.binding = r.binding AND w.tracker = r.tracker AND w.run = r.run
      AND w.start_s = r.start_s AND w.length_s = r.length_s"""
_ENERGY = "r.held_uj + r.active_uj"
# Time that nobody holds; where no idle draw is known, all of it follows the holders, or the users where nobody holds.
_FREE = f"CASE WHEN w.held_uj + w.idle_uj = 0 THEN w.ns ELSE {_part('w.ns', 'w.idle_uj', 'w.held_uj + w.idle_uj')} END"
_HELD = _part("w.ns", "CASE WHEN r.reserved < 2 THEN r.held_uj ELSE 0 END", "w.held_uj + w.idle_uj")
_USED = _part(_FREE, f"CASE WHEN r.reserved < 2 THEN r.active_uj ELSE {_ENERGY} END", "w.active_uj + w.idle_uj")
_RESERVED = f"{_HELD} + {_USED}"
_PHYSICAL = _part("w.ns", _ENERGY, "w.held_uj + w.active_uj + w.idle_uj")


def _share(ns: str) -> str:
    return f"SELECT r.*, {_ENERGY} AS uj, {ns} AS ns FROM {_JOINED}"


# Every job alike, whatever it used; a job's among its groups by energy.  Reserved names get what no job was there for.
_EACH = f"""
    SELECT r.*, {_ENERGY} AS uj, CASE
      WHEN w.jobs > 0 AND r.reserved = 0 THEN {_part(_part("w.ns", "1", "w.jobs"), _ENERGY, "j.job_uj")}
      WHEN w.jobs = 0 AND r.reserved = 2 THEN {_part("w.ns", _ENERGY, "w.idle_uj")}
      WHEN w.jobs = 0 AND w.idle_uj = 0 THEN {_PHYSICAL} ELSE 0 END AS ns
    FROM {_JOINED} JOIN (SELECT {_WINDOW}, job, SUM(held_uj + active_uj) AS job_uj FROM embodied_rows GROUP BY {_WINDOW}, job) j
      ON j.binding = r.binding AND j.tracker = r.tracker AND j.run = r.run AND j.start_s = r.start_s AND j.length_s = r.length_s
      AND j.job = r.job"""
# What is reserved, weighed by what a job pays for an hour; where nobody pays, by what is reserved alone.
_PRICED = f"""
    SELECT q.*, CASE WHEN t.paid = 0 THEN q.reserved_ns ELSE {_part("q.ns_all", "q.reserved_ns * q.ppm", "t.paid")} END AS ns
    FROM (SELECT r.*, {_ENERGY} AS uj, w.ns AS ns_all, {_RESERVED} AS reserved_ns, COALESCE(p.ppm, 0) AS ppm
          FROM {_JOINED} LEFT JOIN embodied_prices p ON p.job = r.job) q
    JOIN (SELECT {", ".join(f"r.{name}" for name in _WINDOW.split(", "))},
            SUM(({_RESERVED}) * COALESCE(p.ppm, 0)) AS paid
          FROM {_JOINED} LEFT JOIN embodied_prices p ON p.job = r.job
          GROUP BY {", ".join(f"r.{name}" for name in _WINDOW.split(", "))}) t
      ON t.binding = q.binding AND t.tracker = q.tracker AND t.run = q.run AND t.start_s = q.start_s AND t.length_s = q.length_s"""
SHARES: dict[Method, str] = {
    "reserved": _share(_RESERVED),
    "time": _EACH,
    "physical": _share(_PHYSICAL),
    "economic": _PRICED,
}


# --- the segments -----------------------------------------------------------------------------------------------------------------


def cut(shares: str, keys: Sequence[str], bucket_s: int | None) -> str:
    """Windows are cut where segments and buckets end, in proportion; sums by segment, bucket and keys."""
    bucket, steps, touches = "0", "", ""
    if bucket_s:
        # A window touches few buckets; the longest may be a day that was rolled up.
        bucket = f"(x.start_s - MOD(x.start_s, {bucket_s:d}) + n.n * {bucket_s:d})"
        numbers = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(2 + 86_400 // bucket_s))
        steps = f" CROSS JOIN ({numbers}) n"
        touches = f" AND {bucket} < {_least('x.start_s + x.length_s', 's.to_s')}"
        touches += f" AND {bucket} + {bucket_s:d} > {_most('x.start_s', 's.from_s')}"
    begin, stop = _most("x.start_s", "s.from_s"), _least("x.start_s + x.length_s", "s.to_s")
    if bucket_s:
        begin, stop = _most(begin, bucket), _least(stop, f"{bucket} + {bucket_s:d}")
    named = "".join(f", x.{name}" for name in keys)
    listed = "".join(f", {name}" for name in keys)
    order = ", ".join(str(n + 1) for n in range(2 + len(keys)))
    amounts = ", ".join(
        f"CAST(SUM(CASE WHEN part_s = length_s THEN {name} ELSE {_part(name, 'part_s', 'length_s')} END) AS DECIMAL(38,0))"
        for name in ("ns", "uj")
    )
    return (
        f"SELECT segment, bucket_s{listed}, {amounts} FROM (SELECT s.segment, {bucket} AS bucket_s{named}, x.length_s, x.ns, x.uj,"
        f" {stop} - {begin} AS part_s FROM {shares} x JOIN embodied_segments s ON s.binding = x.binding"
        f" AND s.from_s < x.start_s + x.length_s AND s.to_s > x.start_s{steps} WHERE 1 = 1{touches}) c"
        f" GROUP BY {order} ORDER BY {order}"
    )


def _most(a: str, b: str) -> str:
    return f"(CASE WHEN {a} > {b} THEN {a} ELSE {b} END)"


def _least(a: str, b: str) -> str:
    return f"(CASE WHEN {a} < {b} THEN {a} ELSE {b} END)"
