"""One meter per host, device and time: where several metered the same joules, one's word is taken.  Standard SQL.

An agent's goes before any tracker's; of a program and one that it started, the outer one's, whose energy holds the inner's.  Two
trackers side by side both count: each posts its own workload only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from wattledger.core.facts import Known, RunFact

# Meters' names sort: those of agents lie below this, those of trackers (`run:`, `track:`) above.
AFTER_AGENTS = "agent;"

_WINDOW = "host, device, meter, start_s, length_s"


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
    inside = sorted(outers)
    if _any(connection, energy, "meter < ?"):
        others = f"{energy} WHERE meter < ? AND host IN (SELECT host FROM tracked)"
        _drop(connection, energy, others, "JOIN others a ON 1 = 1")
    if inside:
        connection.execute("CREATE TEMP TABLE outers (meter VARCHAR, outside VARCHAR)")
        connection.executemany("INSERT INTO outers VALUES (?, ?)", inside)
        others = f"{energy} WHERE meter >= ? AND meter IN (SELECT outside FROM outers)"
        _drop(connection, energy, others, "JOIN outers o ON o.meter = t.meter JOIN others a ON a.meter = o.outside")
    return int(connection.execute(f"SELECT COUNT(*) FROM (SELECT DISTINCT {_WINDOW} FROM doubled) d").fetchall()[0][0])


def _any(connection: Any, energy: str, condition: str) -> bool:
    return bool(connection.execute(f"SELECT 1 FROM {energy} WHERE {condition} LIMIT 1", [AFTER_AGENTS]).fetchall())


def _drop(connection: Any, energy: str, others: str, join: str) -> None:
    """Trackers' windows (t) that touch one of ``others`` (a)."""
    connection.execute(
        f"""INSERT INTO doubled
        WITH tracked AS (
          SELECT DISTINCT {_WINDOW}, component, method FROM {energy} WHERE meter >= ?),
        others AS (SELECT DISTINCT {_WINDOW}, component FROM {others})
        SELECT DISTINCT t.host, t.device, t.meter, t.start_s, t.length_s FROM tracked t {join}
        AND a.host = t.host AND a.start_s < t.start_s + t.length_s AND t.start_s < a.start_s + a.length_s
        AND (a.device = t.device OR (t.method = 'estimated' AND a.component = t.component))""",
        [AFTER_AGENTS, AFTER_AGENTS],
    )


NOT_DOUBLED = (
    "NOT EXISTS (SELECT 1 FROM doubled d WHERE d.host = f.host AND d.device = f.device AND d.meter = f.meter"
    " AND d.start_s = f.start_s AND d.length_s = f.length_s)"
)
