"""What the time that a machine's carbon is divided by was made of: joules by who used, held and left idle.  Over the tables of
``query_embodied``, once it has gathered them; standard SQL.
"""

from typing import Any, NamedTuple

from wattledger.ledger.query import NAMED
from wattledger.ledger.query_embodied import Binding, Segment
from wattledger.ledger.query_embodied_sql import columns


class Drawn(NamedTuple):
    """Energy in the windows of a segment, of agents together (empty ``tracker``) or of a run of a program that metered itself.

    ``mine_held_uj`` and ``mine_used_uj``: of the name that is asked of; ``held_uj`` and ``used_uj``: of everybody but (idle).  A
    window that reaches beyond the segment counts by its time in it.  ``ns``: metered, or of a program reserved.
    """

    tracker: str
    run: str
    windows: int
    mine_held_uj: float
    mine_used_uj: float
    held_uj: float
    used_uj: float
    idle_uj: float
    jobs: int
    ns: float


def drawn(connection: Any, kind: str, name: str | None) -> dict[Segment, list[Drawn]]:
    """By segment, what was drawn in the windows in which there is energy of that name."""
    column = NAMED[kind] if name is not None and kind in NAMED else ""
    assert not column or column in ("job", *columns(kind))
    mine = f"r.{column} = ?" if column else "1 = 1"
    sql = f"""
      SELECT b.host, b.device, b.component, s.from_s, s.to_s, w.tracker, w.run, COUNT(*), SUM(m.held_uj * x.part),
        SUM(m.active_uj * x.part), SUM(w.held_uj * x.part), SUM(w.active_uj * x.part), SUM(w.idle_uj * x.part), MAX(w.jobs),
        SUM(w.ns * x.part)
      FROM (SELECT binding, tracker, run, start_s, length_s,
              SUM(CASE WHEN reserved < 2 THEN held_uj ELSE 0 END) AS held_uj,
              SUM(CASE WHEN reserved < 2 THEN active_uj ELSE held_uj + active_uj END) AS active_uj
            FROM embodied_rows r WHERE {mine} GROUP BY binding, tracker, run, start_s, length_s) m
      JOIN embodied_windows w ON w.binding = m.binding AND w.tracker = m.tracker AND w.run = m.run AND w.start_s = m.start_s
        AND w.length_s = m.length_s
      JOIN (SELECT s.segment, w.binding, w.tracker, w.run, w.start_s, w.length_s,
              ((CASE WHEN w.start_s + w.length_s < s.to_s THEN w.start_s + w.length_s ELSE s.to_s END)
               - (CASE WHEN w.start_s > s.from_s THEN w.start_s ELSE s.from_s END)) * 1e0 / w.length_s AS part
            FROM embodied_windows w JOIN embodied_segments s ON s.binding = w.binding AND s.from_s < w.start_s + w.length_s
              AND s.to_s > w.start_s) x
        ON x.binding = m.binding AND x.tracker = m.tracker AND x.run = m.run AND x.start_s = m.start_s AND x.length_s = m.length_s
      JOIN embodied_segments s ON s.segment = x.segment
      JOIN embodied_bindings b ON b.binding = s.binding
      GROUP BY b.host, b.device, b.component, s.from_s, s.to_s, w.tracker, w.run ORDER BY 1, 2, 3, 4, 5, 6, 7"""
    found: dict[Segment, list[Drawn]] = {}
    for row in connection.execute(sql, [name] if column else []).fetchall():
        segment, (tracker, run, windows) = Segment(Binding(*row[:3]), *row[3:5]), row[5:8]
        mine_held, mine_used, held, used, idle, jobs, ns = (float(each or 0) for each in row[8:])
        one = Drawn(tracker, run, int(windows), mine_held, mine_used, held, used, idle, int(jobs), ns)
        found.setdefault(segment, []).append(one)
    return found
