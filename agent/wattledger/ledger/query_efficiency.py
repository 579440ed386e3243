"""What a machine's or a part's energy did: its joules beside the work of those whom it worked for, day by day.  Standard SQL.

Work has no device.  Of a job on several devices of one kind, each did an equal part, by count: so a device that takes more joules
than its neighbours for its part of the same work is seen.  Jobs whose runs stretch over several hosts are left out, because their
tokens may have been counted on one of them alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from wattledger.ledger.query_tokens import WHO

DAY_S = 86_400
_KEYS = ", ".join(WHO)
_DAY = f"start_s - MOD(start_s, {DAY_S})"
_SOMEBODY = "job NOT LIKE '(%'"
_ONE_HOST = (
    "(run = '' OR run NOT IN (SELECT run FROM energy WHERE run <> '' GROUP BY run HAVING COUNT(DISTINCT host) > 1))"
)


class Stay(NamedTuple):
    """Where an asset was in ``[from_s, to_s)`` (``None``: without end), as energy facts name it.

    Empty ``device``: all of the host's, or all of one ``component`` (empty: of any).  Empty ``host``: wherever it was metered.
    """

    host: str = ""
    device: str = ""
    component: str = ""
    from_s: int | None = None
    to_s: int | None = None


class Worked(NamedTuple):
    """Joules of a stay's devices for one ``group`` (the model served, else the job) on one day, and what they did together.

    ``devices``: on how many like it that work was done; ``tokens`` (prompt and generated) and ``requests`` are those of all.
    """

    group: str
    day_s: int
    devices: int
    active_uj: int
    held_uj: int
    tokens: int
    requests: int


class Busy(NamedTuple):
    """Joules of windows in which a stay's devices worked for somebody, on one day, and how long those were."""

    day_s: int
    energy_uj: int
    busy_ms: int


class Sensed(NamedTuple):
    """Joules by what read them."""

    component: str
    device_model: str
    method: str
    energy_uj: int


def stays_of_model(connection: Any, device_model: str) -> list[Stay]:
    """Every device of one model that the books know, sorted."""
    sql = "SELECT DISTINCT host, device, component FROM energy WHERE LOWER(device_model) = LOWER(?) ORDER BY 1, 2, 3"
    return [Stay(*row) for row in connection.execute(sql, [device_model]).fetchall()]


def stays_of_device(connection: Any, device: str) -> list[Stay]:
    """A device by its id, wherever it was metered, sorted."""
    sql = "SELECT DISTINCT host, device, component FROM energy WHERE device = ? ORDER BY 1, 2, 3"
    return [Stay(*row) for row in connection.execute(sql, [device]).fetchall()]


def is_host(connection: Any, name: str) -> bool:
    """Whether the books hold energy of a host of this name."""
    return bool(connection.execute("SELECT 1 FROM energy WHERE host = ? LIMIT 1", [name]).fetchall())


def names(connection: Any) -> list[str]:
    """Hosts, devices and device models of the books, sorted: what can be asked by name."""
    sql = " UNION ".join(f"SELECT DISTINCT {column} FROM energy" for column in ("host", "device", "device_model"))
    return [row[0] for row in connection.execute(f"SELECT * FROM ({sql}) n ORDER BY 1").fetchall() if row[0]]


def zones(connection: Any, stays: Iterable[Stay]) -> list[str]:
    """Zones in which the stays' devices drew energy, the most first."""
    drawn: dict[str, int] = {}
    for stay in stays:
        where, given = _mine(stay)
        sql = f"SELECT zone, CAST(SUM(energy_uj) AS DECIMAL(38,0)) FROM energy WHERE {where} AND zone <> '' GROUP BY zone"
        for zone, uj in connection.execute(sql, given).fetchall():
            drawn[zone] = drawn.get(zone, 0) + int(uj)
    return sorted(drawn, key=lambda zone: (-drawn[zone], zone))


def worked(connection: Any, stays: Iterable[Stay]) -> list[Worked]:
    """By group and day, sorted."""
    found: list[Worked] = []
    for stay in stays:
        alike, given = _alike(connection, stay)
        mine, own = _mine(stay)
        one = "COUNT(DISTINCT device)" if stay.device else "1"
        sql = f"""
          WITH used AS (
            SELECT {_KEYS}, {_DAY} AS day_s, {one} AS devices,
              SUM(CASE WHEN {mine} AND use <> 'held' THEN energy_uj ELSE 0 END) AS active_uj,
              SUM(CASE WHEN {mine} AND use = 'held' THEN energy_uj ELSE 0 END) AS held_uj
            FROM energy WHERE {alike} AND {_SOMEBODY} AND {_ONE_HOST} GROUP BY {_KEYS}, {_DAY}),
          done AS (
            SELECT {_KEYS}, {_DAY} AS day_s, SUM(prompt_tokens + generated_tokens) AS tokens, SUM(requests) AS requests
            FROM work WHERE {_when(stay)} GROUP BY {_KEYS}, {_DAY})
          SELECT CASE WHEN u.model <> '' THEN u.model ELSE u.job END, u.day_s, u.devices,
            CAST(SUM(active_uj) AS DECIMAL(38,0)), CAST(SUM(held_uj) AS DECIMAL(38,0)), CAST(SUM(tokens) AS DECIMAL(38,0)),
            CAST(SUM(requests) AS DECIMAL(38,0))
          FROM used u JOIN done d ON {" AND ".join(f"u.{name} = d.{name}" for name in (*WHO, "day_s"))}
          WHERE active_uj > 0 GROUP BY 1, 2, 3"""
        rows = connection.execute(sql, [*own, *own, *given]).fetchall()
        found += [Worked(row[0], *map(int, row[1:])) for row in rows]
    return sorted(found)


def busy(connection: Any, stays: Iterable[Stay]) -> list[Busy]:
    """By day, sorted."""
    found: list[Busy] = []
    for stay in stays:
        mine, given = _mine(stay)
        sql = f"""
          SELECT day_s, CAST(SUM(uj) AS DECIMAL(38,0)), CAST(SUM(ms) AS DECIMAL(38,0)) FROM (
            SELECT {_DAY} AS day_s, SUM(energy_uj) AS uj, MAX(seen_ms) AS ms,
              MAX(CASE WHEN {_SOMEBODY} AND use <> 'held' AND energy_uj > 0 THEN 1 ELSE 0 END) AS used
            FROM energy WHERE {mine} GROUP BY start_s, length_s) w
          WHERE used = 1 GROUP BY day_s"""
        found += [Busy(*map(int, row)) for row in connection.execute(sql, given).fetchall()]
    return sorted(found)


def sensed(connection: Any, stays: Iterable[Stay]) -> list[Sensed]:
    """Which sensors the joules come from, sorted."""
    found: list[Sensed] = []
    for stay in stays:
        mine, given = _mine(stay)
        sql = (
            "SELECT component, device_model, method, CAST(SUM(energy_uj) AS DECIMAL(38,0)) FROM energy"
            f" WHERE {mine} GROUP BY component, device_model, method"
        )
        found += [Sensed._make((*row[:3], int(row[3]))) for row in connection.execute(sql, given).fetchall()]
    return sorted(found)


def left_out(connection: Any, stays: Iterable[Stay]) -> int:
    """How many jobs are left out because their runs stretch over several hosts."""
    jobs: set[str] = set()
    for stay in stays:
        mine, given = _mine(stay)
        sql = f"SELECT DISTINCT job FROM energy WHERE {mine} AND {_SOMEBODY} AND NOT {_ONE_HOST}"
        jobs |= {row[0] for row in connection.execute(sql, given).fetchall()}
    return len(jobs)


def _alike(connection: Any, stay: Stay) -> tuple[str, list[Any]]:
    """The stay's devices and those beside them of the same component, among which a workload's work is divided."""
    if not stay.device:
        return _mine(stay)
    sql = "SELECT MIN(component) FROM energy WHERE device = ?"
    component = stay.component or connection.execute(sql, [stay.device]).fetchall()[0][0] or ""
    return _mine(stay._replace(device="", component=component))


def _mine(stay: Stay) -> tuple[str, list[Any]]:
    parts = [(f"{name} = ?", value) for name, value in zip(Stay._fields[:3], stay[:3], strict=True) if value]
    return " AND ".join([*(part for part, _ in parts), _when(stay)]), [value for _, value in parts]


def _when(stay: Stay) -> str:
    parts: Sequence[str] = [
        *([f"start_s >= {stay.from_s:d}"] if stay.from_s is not None else []),
        *([f"start_s < {stay.to_s:d}"] if stay.to_s is not None else []),
    ]
    return " AND ".join(parts) or "1 = 1"
