"""The questions that reports ask of the books, in standard SQL, so that a distributed engine can answer them too.

A connection has ``execute(sql, parameters)`` and ``fetchall()`` on what that returns.  The tables are those of ``books``:
``energy``, ``work``, and ``slots``, which reports fill: what each window's joules are multiplied by.  Sums are of integers as
DECIMAL(38,0), exact whatever the order; who divides them does so once, at the end.
"""

from typing import Any, NamedTuple

# What a report may be of → the columns that name its rows.  A day's rows are named by the slots' bucket.
GROUPS: dict[str, tuple[str, ...]] = {
    "job": ("job",),
    "model": ("model",),
    "device": ("host", "device", "component", "device_model"),
    "host": ("host",),
    "day": (),
}
NAMED = {"job": "job", "model": "model", "device": "device", "host": "host"}  # the column that a NAME is looked for in
BASES = ("operational", "inventory", "upstream", "market", "marginal", "cost")

SLOT_COLUMNS = {"zone": "VARCHAR", "start_s": "BIGINT", "length_s": "BIGINT", "combo": "INTEGER", "den": "BIGINT", "part": "BIGINT"}
SLOTS = {**SLOT_COLUMNS, **dict.fromkeys(BASES, "BIGINT")}

# 28 GWh of one group in one window, and the dirtiest price over a year's seconds: both fit.
_EXACT = "CAST(SUM(CAST({0} AS DECIMAL(20,0)) * CAST({1} AS DECIMAL(18,0))) AS DECIMAL(38,0))"


class Scope(NamedTuple):
    """Which rows: windows that touch ``[from_s, to_s)`` (``None``: without end), of one ``name`` where one is given."""

    kind: str
    name: str | None = None
    from_s: int | None = None
    to_s: int | None = None

    def where(self) -> tuple[str, list[Any]]:
        """The condition and its parameters."""
        parts: list[str] = []
        given: list[Any] = []
        if self.from_s is not None:
            parts.append("start_s + length_s > ?")
            given.append(self.from_s)
        if self.to_s is not None:
            parts.append("start_s < ?")
            given.append(self.to_s)
        if self.name is not None and self.kind in NAMED:
            parts.append(f"{NAMED[self.kind]} = ?")
            given.append(self.name)
        return " AND ".join(parts) or "1 = 1", given


class Window(NamedTuple):
    """A window in which energy of a zone is booked."""

    zone: str
    start_s: int
    length_s: int


class Priced(NamedTuple):
    """Energy of one group, sensor and price class.

    All sums are over ``den``: ``energy`` and ``spread`` in microjoules, each of ``BASES`` in uJ x ug/kWh (money: millionths/kWh),
    PUE not applied.  ``priced_by``: of days that were rolled up, the cause of the prices that they brought with them, else empty.
    ``rows``: how many of the books; their windows lie in ``[first_s, last_s)``.
    """

    group: tuple[str, ...]
    component: str
    device_model: str
    method: str
    use: str
    pue_milli: int
    combo: int
    den: int
    priced_by: str
    energy: int
    spread: int
    bases: tuple[int, ...]
    rows: int
    first_s: int
    last_s: int


def windows(connection: Any, scope: Scope) -> list[Window]:
    """The windows of the scope, sorted."""
    where, given = scope.where()
    sql = f"SELECT DISTINCT zone, start_s, length_s FROM energy WHERE {where} ORDER BY 1, 2, 3"
    return [Window(*row) for row in connection.execute(sql, given).fetchall()]


def priced(connection: Any, scope: Scope) -> list[Priced]:
    """The energy of the scope, joined with ``slots``, sorted.  Slots cut windows at the scope's ends and at each bucket."""
    found = _priced(connection, scope, rolled=False)
    if connection.execute("SELECT 1 FROM energy WHERE priced_by IS NOT NULL LIMIT 1").fetchall():
        found += _priced(connection, scope, rolled=True)
    return found


def _priced(connection: Any, scope: Scope, *, rolled: bool) -> list[Priced]:
    columns = GROUPS[scope.kind]
    keys = [f"e.{name}" for name in (*columns, "component", "device_model", "method", "use", "pue_milli")]
    keys += ["s.combo", "s.den", "e.priced_by" if rolled else "''", "s.part" if rolled else "1"]
    sums = [_EXACT.format("e.energy_uj", "s.part"), _EXACT.format("e.spread_uj", "s.part")]
    sums += [_EXACT.format("e.energy_uj", f"s.{basis}") for basis in BASES]
    if rolled:
        # What a day was priced at is a product already, too wide to be multiplied again here.
        sums[2] = "CAST(SUM(e.priced) AS DECIMAL(38,0))"
    where, given = scope.where()
    listed = ", ".join(keys)
    order = ", ".join(str(n + 1) for n in range(len(keys)))
    own = (*columns, "component", "device_model", "method", "use", "pue_milli", "priced_by", "zone", "start_s", "length_s")
    by_window = ", ".join(dict.fromkeys(own))
    # First by window: a fleet's rows are a hundred times as many, and none of them needs a join and wide products of its own.  All
    # jobs of a fleet are too many for that to pay.
    few = scope.kind != "job" or scope.name is not None
    summed = "SUM(energy_uj) AS energy_uj, SUM(spread_uj) AS spread_uj, SUM(priced) AS priced, COUNT(*) AS facts"
    amounts, grouped = (summed, f"GROUP BY {by_window}") if few else ("energy_uj, spread_uj, priced, 1 AS facts", "")
    sql = (
        f"SELECT {listed}, {', '.join(sums)}, CAST(SUM(e.facts) AS BIGINT), MIN(e.start_s), MAX(e.start_s + e.length_s) FROM"
        f" (SELECT {by_window}, {amounts} FROM energy"
        f" WHERE priced_by IS {'NOT ' if rolled else ''}NULL AND {where} {grouped}) e JOIN slots s"
        f" ON e.zone = s.zone AND e.start_s = s.start_s AND e.length_s = s.length_s GROUP BY {order} ORDER BY {order}"
    )
    return [_made(row, len(columns)) for row in connection.execute(sql, given).fetchall()]


def _made(row: tuple[Any, ...], n: int) -> Priced:
    part, energy, spread, operational, *others = (int(value) for value in row[n + 8 : -3])
    component, device_model, method, use, pue_milli, combo, den, priced_by = row[n : n + 8]
    sensor = component, device_model, method, use
    bases = operational * part, *others
    return Priced(row[:n], *sensor, pue_milli, combo, int(den), priced_by, energy, spread, bases, row[-3], row[-2], row[-1])


class Used(NamedTuple):
    """Energy of a zone in a window, over all who used it."""

    zone: str
    start_s: int
    length_s: int
    energy_uj: int
    pue_milli: int


def consumption(connection: Any, from_s: int | None, to_s: int | None) -> list[Used]:
    """What was consumed, zone by zone and window by window, sorted: what contracts are held against."""
    where, given = Scope("host", None, from_s, to_s).where()
    sql = (
        "SELECT zone, start_s, length_s, CAST(SUM(energy_uj) AS DECIMAL(38,0)), pue_milli FROM energy"
        f" WHERE {where} GROUP BY zone, start_s, length_s, pue_milli ORDER BY 1, 2, 3, 5"
    )
    return [Used(row[0], row[1], row[2], int(row[3]), row[4]) for row in connection.execute(sql, given).fetchall()]


def hosts(connection: Any, scope: Scope) -> list[tuple[Any, ...]]:
    """(group…, host), distinct, sorted."""
    return _distinct(connection, scope, "host")


def runs(connection: Any, scope: Scope) -> list[tuple[Any, ...]]:
    """(group…, run), distinct, sorted, where a run is known."""
    return [row for row in _distinct(connection, scope, "run") if row[-1]]


def zones(connection: Any, scope: Scope) -> list[str]:
    """Zones of the scope, sorted."""
    where, given = scope.where()
    return [row[0] for row in connection.execute(f"SELECT DISTINCT zone FROM energy WHERE {where} ORDER BY 1", given).fetchall()]


def _distinct(connection: Any, scope: Scope, column: str) -> list[tuple[Any, ...]]:
    where, given = scope.where()
    listed = ", ".join((*GROUPS[scope.kind], column))
    order = ", ".join(str(n + 1) for n in range(len(GROUPS[scope.kind]) + 1))
    found: list[tuple[Any, ...]] = connection.execute(
        f"SELECT DISTINCT {listed} FROM energy WHERE {where} ORDER BY {order}", given
    ).fetchall()
    return found


class Worked(NamedTuple):
    """Work of one group in one bucket: tokens and requests."""

    group: tuple[str, ...]
    bucket_s: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    requests: int


def work(connection: Any, scope: Scope, bucket_s: int | None) -> list[Worked]:
    """Work of windows that begin in the scope, which has no part of a device; by bucket where one is asked for."""
    if scope.kind == "device":
        return []
    columns = GROUPS[scope.kind]
    bucket = "0" if bucket_s is None else f"start_s - MOD(start_s, {bucket_s:d})"
    counts = ("prompt_tokens", "cached_tokens", "generated_tokens", "requests")
    sums = ", ".join(f"CAST(SUM({c}) AS DECIMAL(38,0))" for c in counts)
    where, given = scope.where()
    if scope.from_s is not None:
        where, given = f"{where} AND start_s >= ?", [*given, scope.from_s]
    keys = ", ".join((*columns, bucket))
    order = ", ".join(str(n + 1) for n in range(len(columns) + 1))
    sql = f"SELECT {keys}, {sums} FROM work WHERE {where} GROUP BY {order} ORDER BY {order}"
    n = len(columns)
    return [Worked(row[:n], row[n], *map(int, row[n + 1 :])) for row in connection.execute(sql, given).fetchall()]


def names(connection: Any, kind: str) -> list[str]:
    """What a report of this kind can be asked by name, sorted."""
    column = NAMED[kind]
    tables = ("energy", "work") if kind in ("job", "model", "host") else ("energy",)
    sql = " UNION ".join(f"SELECT DISTINCT {column} FROM {table}" for table in tables)
    return [row[0] for row in connection.execute(f"SELECT * FROM ({sql}) n ORDER BY 1").fetchall() if row[0]]


def rows(connection: Any, scope: Scope) -> int:
    """How many rows of energy."""
    where, given = scope.where()
    return int(connection.execute(f"SELECT COUNT(*) FROM energy WHERE {where}", given).fetchall()[0][0])


class Seen(NamedTuple):
    """Over how long a meter saw a device: ``seen_ms`` of windows that are ``windows_s`` long together."""

    host: str
    device: str
    meter: str
    seen_ms: int
    windows_s: int
    first_s: int
    last_s: int


def seen(connection: Any, scope: Scope) -> list[Seen]:
    """By host, device and meter, sorted.  A device's keys all say the same of one window, so the window counts once.

    Windows that are left to another meter are there too: the meter that had them is expected to have seen them."""
    where, given = scope.where()
    sql = (
        "SELECT host, device, meter, CAST(SUM(seen_ms) AS DECIMAL(38,0)), CAST(SUM(length_s) AS DECIMAL(38,0)), MIN(start_s),"
        " MAX(start_s + length_s) FROM (SELECT host, device, meter, start_s, length_s, MAX(seen_ms) AS seen_ms FROM metered"
        f" WHERE {where} GROUP BY host, device, meter, start_s, length_s) w GROUP BY host, device, meter ORDER BY 1, 2, 3"
    )
    found = connection.execute(sql, given).fetchall()
    return [Seen(row[0], row[1], row[2], int(row[3]), int(row[4]), row[5], row[6]) for row in found]
