"""One meter per host, device and time: where several metered the same joules, one's word is taken.  Standard SQL.

An agent's goes before any tracker's; of a program and one that it started, the outer one's, whose energy holds the inner's.  Two
trackers side by side both count: each posts its own workload only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wattledger.core.facts import Known, RunFact

# Meters' names sort: those of agents lie below this, those of trackers (`run:`, `track:`) above.
AFTER_AGENTS = "agent;"

HOUR_S = 3600
_WINDOW = "host, device, meter, start_s, length_s"
SAME_DEVICE = ("a.device = t.device", "t.method = 'estimated' AND a.component = t.component")
_HOUR = f"start_s - MOD(start_s, {HOUR_S}) + n * {HOUR_S}"


def outer_meters(known: Iterable[Known]) -> set[tuple[str, str]]:
    """(meter, one that it ran inside of), at any depth: a meter's own ``began`` names the one that its program was started by."""
    parents = {
        one.fact.meter: one.fact.parent
        for one in known
        if isinstance(one.fact, RunFact) and one.fact.what == "began" and not one.fact.job and one.fact.parent
    }
    found = {(meter, outer) for meter in parents for outer in _above(meter, parents)}
    # In a ring, which nobody can have started, each would be left to the other: none is.
    return {(meter, outer) for meter, outer in found if (outer, meter) not in found}


def _above(meter: str, parents: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    at = parents.get(meter, "")
    while at and at not in found:
        found.add(at)
        at = parents.get(at, "")
    return found


def find_doubled(connection: Any, energy: str, outers: Iterable[tuple[str, str]] = ()) -> int:
    """Fill the table ``doubled`` with the trackers' windows of ``energy`` that another meter's word is taken for; how many.

    ``outers``: of ``outer_meters``.  An estimate of a component is doubled by whatever meters that component.  Where there is no
    tracker at all (the fleet's common case) one look at the highest name answers.
    """
    connection.execute("CREATE TEMP TABLE doubled (host VARCHAR, device VARCHAR, meter VARCHAR, start_s BIGINT, length_s BIGINT)")
    if not _any(connection, energy, "meter >= ?"):
        return 0
    _hours(connection, energy)
    inside = sorted(outers)
    if _any(connection, energy, "meter < ?"):
        before = "meter < ? AND host IN (SELECT host FROM tracked)"
        _drop(connection, energy, before, "JOIN others a ON 1 = 1", SAME_DEVICE)
    if inside:
        connection.execute("CREATE TEMP TABLE outers (meter VARCHAR, outside VARCHAR)")
        connection.executemany("INSERT INTO outers VALUES (?, ?)", inside)
        before = "meter >= ? AND meter IN (SELECT outside FROM outers)"
        # Whatever the device: what the outer one's energy of it was rounded to nothing is nothing, not the inner one's to add.
        _drop(connection, energy, before, "JOIN outers o ON o.meter = t.meter JOIN others a ON a.meter = o.outside", ("1 = 1",))
    return int(connection.execute(f"SELECT COUNT(*) FROM (SELECT DISTINCT {_WINDOW} FROM doubled) d").fetchall()[0][0])


def _any(connection: Any, energy: str, condition: str) -> bool:
    return bool(connection.execute(f"SELECT 1 FROM {energy} WHERE {condition} LIMIT 1", [AFTER_AGENTS]).fetchall())


def _hours(connection: Any, energy: str) -> None:
    """How many clock hours a window may touch, as a table of 0, 1, …."""
    [(longest_s,)] = connection.execute(f"SELECT MAX(length_s) FROM {energy}").fetchall()
    connection.execute("CREATE TEMP TABLE hours (n BIGINT)")
    connection.executemany("INSERT INTO hours VALUES (?)", [(n,) for n in range(2 + longest_s // HOUR_S)])


def _drop(connection: Any, energy: str, before: str, join: str, alike: Sequence[str]) -> None:
    """Trackers' windows (t) that touch one (a) of a meter that goes before them, and are like it in one of these ways.

    They are laid side by side by the hour: windows by windows, a month of an agent would be compared with a month of a tracker."""
    of_hours = f"FROM {energy} CROSS JOIN hours WHERE (n = 0 OR {_HOUR} < start_s + length_s)"
    touches = (
        "a.host = t.host AND a.hour_s = t.hour_s AND a.start_s < t.start_s + t.length_s AND t.start_s < a.start_s + a.length_s"
    )
    found = "SELECT t.host, t.device, t.meter, t.start_s, t.length_s FROM tracked t"
    # A union of joins, because an engine joins by hash what is equal, and not what is one thing or another.
    doubled = " UNION ".join(f"{found} {join} AND {touches} AND {way}" for way in alike)
    connection.execute(
        f"""INSERT INTO doubled
        WITH tracked AS (SELECT DISTINCT {_WINDOW}, component, method, {_HOUR} AS hour_s {of_hours} AND meter >= ?),
        others AS (SELECT DISTINCT {_WINDOW}, component, {_HOUR} AS hour_s {of_hours} AND {before})
        {doubled}""",
        [AFTER_AGENTS, AFTER_AGENTS],
    )


NOT_DOUBLED = (
    "NOT EXISTS (SELECT 1 FROM doubled d WHERE d.host = f.host AND d.device = f.device AND d.meter = f.meter"
    " AND d.start_s = f.start_s AND d.length_s = f.length_s)"
)
