"""Whose time machines were for: what the carbon that made them is divided by.  Standard SQL over the table ``energy``.

A binding is a device of a host, all of its devices of one component, or all of them together.  In each window of a binding the time
that was metered goes to those who used it, by a method, in whole nanoseconds; what rounding leaves is lost here, because these are
weights: who divides kilograms by them does it exactly.  Of a program that meters itself, whose books hold its own energy alone, the
time is what its run says that it reserved (``Paid``).

The tables are ``embodied_bindings``, ``embodied_segments``, ``embodied_paid``, ``embodied_prices`` (filled here) and, made of them,
``embodied_rows`` and ``embodied_windows``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from wattledger.ledger.books import Books
from wattledger.ledger.query import GROUPS
from wattledger.ledger.query_embodied_sql import BOUND, PPM, SHARES, WINDOWS, Method, columns, cut, rows
from wattledger.ledger.query_meters import AFTER_AGENTS

HOST = "host"  # what a run calls the time of all that is no device of its own


class Binding(NamedTuple):
    """A device of a host, its devices of one component, or (both empty) all of them."""

    host: str
    device: str = ""
    component: str = ""


class Segment(NamedTuple):
    """A time of a binding."""

    binding: Binding
    from_s: int
    to_s: int


class Paid(NamedTuple):
    """A program's run reserved ``ns`` of a device (or ``host``) in the time that its meter saw.

    Books that are opened for a time need not have what was recorded before ``cut_s``; where they have not, the meter had seen it
    for ``before_ns`` till then.
    """

    meter: str
    run: str
    device: str
    ns: int
    before_ns: int = 0
    cut_s: int = 0


class Taken(NamedTuple):
    """Time of a segment (its place in the list) that one job and group pays for, in the bucket that begins then, and its energy."""

    segment: int
    bucket_s: int | None
    job: str
    group: tuple[str, ...]
    ns: int
    energy_uj: int


class Metered(NamedTuple):
    """A device that was metered, and when: its windows lie in ``[first_s, last_s)``."""

    host: str
    device: str
    component: str
    device_model: str
    first_s: int
    last_s: int


class Worked(NamedTuple):
    """Work that a job and group did in a window of a host."""

    host: str
    start_s: int
    job: str
    group: tuple[str, ...]
    tokens: int
    requests: int


def metered(connection: Any, from_s: int | None, to_s: int | None) -> list[Metered]:
    """The devices with windows that touch the time, sorted."""
    where, given = _touching(from_s, to_s)
    sql = (
        "SELECT host, device, component, MAX(device_model), MIN(start_s), MAX(start_s + length_s) FROM energy"
        f" WHERE {where} AND energy_uj > 0 GROUP BY host, device, component ORDER BY 1, 2, 3"
    )
    return [Metered(*row) for row in connection.execute(sql, given).fetchall()]


def hosts_of(connection: Any, column: str, name: str) -> list[str]:
    """Where there is energy of that job, model, device or host."""
    assert column in ("job", "model", "device", "host")
    sql = f"SELECT DISTINCT host FROM energy WHERE {column} = ? ORDER BY 1"
    return [row[0] for row in connection.execute(sql, [name]).fetchall()]


def rows_on(books: Books, hosts: Iterable[str], from_s: int, to_s: int) -> int:
    """How many rows of these hosts touch the time."""
    where, given = _touching(from_s, to_s)
    books.fill("embodied_hosts", {"host": "VARCHAR"}, [(host,) for host in sorted(hosts)])
    sql = f"SELECT COUNT(*) FROM energy WHERE {where} AND host IN (SELECT host FROM embodied_hosts)"
    return int(books.connection.execute(sql, given).fetchall()[0][0])


def gather(books: Books, segments: Sequence[Segment], kind: str, paid: Iterable[Paid] = ()) -> None:
    """Fill the tables for these segments, by the groups of a report of this kind."""
    bindings = {binding: n for n, binding in enumerate(dict.fromkeys(segment.binding for segment in segments))}
    named = {"binding": "INTEGER", "host": "VARCHAR", "device": "VARCHAR", "component": "VARCHAR"}
    books.fill("embodied_bindings", named, ((n, *binding) for binding, n in bindings.items()))
    timed = {"segment": "INTEGER", "binding": "INTEGER", "from_s": "BIGINT", "to_s": "BIGINT"}
    books.fill("embodied_segments", timed, ((n, bindings[s.binding], s.from_s, s.to_s) for n, s in enumerate(segments)))
    _make(books.connection, "embodied_rows", rows(kind), _span(segments))
    books.fill("embodied_paid", _PAID, _paid(books.connection, list(paid)))
    _make(books.connection, "embodied_windows", WINDOWS, [])


def times(
    books: Books, kind: str, method: Method, *, bucket_s: int | None = None, prices: Mapping[str, int] | None = None
) -> list[Taken]:
    """Who pays for how much of each segment, sorted; ``prices``: by job, in parts per million of the highest (``economic``)."""
    books.fill("embodied_prices", {"job": "VARCHAR", "ppm": "BIGINT"}, sorted((prices or {}).items()))
    beside = columns(kind)
    sql = cut(f"({SHARES[method]})", ("job", *beside), bucket_s)
    found = books.connection.execute(sql).fetchall()
    known = {name: 3 + at for at, name in enumerate(beside)}
    places = [known.get(name, 2) for name in GROUPS[kind]]  # a report of jobs has them once
    return [
        Taken(row[0], row[1] if bucket_s else None, row[2], tuple(row[at] for at in places), int(row[-2] or 0), int(row[-1]))
        for row in found
        if row[-2] or row[-1]
    ]


def jobs(books: Books) -> list[str]:
    """The jobs that were there, sorted."""
    return [row[0] for row in books.connection.execute("SELECT DISTINCT job FROM embodied_rows ORDER BY 1").fetchall()]


def unsaid(books: Books) -> int:
    """Of how many runs that metered themselves nothing is known of what they reserved."""
    sql = "SELECT COUNT(*) FROM (SELECT DISTINCT tracker, run FROM embodied_windows WHERE ns IS NULL) w"
    return int(books.connection.execute(sql).fetchall()[0][0])


def worked(connection: Any, kind: str, from_s: int, to_s: int) -> list[Worked]:
    """Work of windows that begin in the time, by host and window, sorted.  A device's is not known: its groups are empty."""
    beside = columns(kind) if kind != "device" else ()
    keys = ", ".join(dict.fromkeys(("host", "start_s", "job", *beside)))
    sql = (
        f"SELECT {keys}, CAST(SUM(prompt_tokens + generated_tokens) AS BIGINT), CAST(SUM(requests) AS BIGINT) FROM work"
        f" WHERE start_s >= ? AND start_s < ? GROUP BY {keys} ORDER BY {keys}"
    )
    names = keys.split(", ")
    found = []
    for row in connection.execute(sql, [from_s, to_s]).fetchall():
        group = tuple(row[names.index(name)] for name in GROUPS[kind] if name in names)
        found.append(Worked(row[0], row[1], row[2], group, row[-2], row[-1]))
    return found


def seen(books: Books, *, bucket_s: int | None = None) -> dict[tuple[int, int | None], int]:
    """(segment, bucket) → nanoseconds of it that were metered."""
    sql = cut("(SELECT binding, start_s, length_s, ns, 0 AS uj FROM embodied_windows)", (), bucket_s)
    return {(row[0], row[1] if bucket_s else None): int(row[-2] or 0) for row in books.connection.execute(sql).fetchall()}


def _touching(from_s: int | None, to_s: int | None) -> tuple[str, list[int]]:
    parts = [("start_s + length_s > ?", from_s), ("start_s < ?", to_s)]
    return " AND ".join(["1 = 1", *(text for text, at_s in parts if at_s is not None)]), [s for _, s in parts if s is not None]


def _span(segments: Sequence[Segment]) -> list[int]:
    return [min((s.from_s for s in segments), default=0), max((s.to_s for s in segments), default=0)]


def _make(connection: Any, table: str, sql: str, given: Sequence[object]) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {sql}", given)


_PAID = {"binding": "INTEGER", "tracker": "VARCHAR", "run": "VARCHAR", "paid_ns": "BIGINT", "of_ns": "BIGINT"}


def _paid(connection: Any, paid: Sequence[Paid]) -> list[tuple[object, ...]]:
    """For each run and binding: how much of the time that its meter saw it had reserved.  A run that said nothing has none."""
    if not connection.execute("SELECT 1 FROM embodied_rows WHERE tracker <> '' LIMIT 1").fetchall():
        return []
    # Over all of its time in these books, of which a report may have a part.
    sql = (
        "SELECT binding, device, meter, run, SUM(seen_ms), MIN(start_s) FROM ("
        "SELECT u.binding, b.device, meter, run, start_s, length_s,"
        f" MAX(seen_ms) AS seen_ms FROM ({BOUND}) u JOIN embodied_bindings b ON b.binding = u.binding"
        f" WHERE meter >= '{AFTER_AGENTS}' AND energy_uj > 0 GROUP BY u.binding, b.device, meter, run, start_s, length_s) w"
        " GROUP BY binding, device, meter, run ORDER BY 1, 3, 4"
    )
    said = {(one.meter, one.run, one.device): one for one in paid}
    found: list[tuple[object, ...]] = []
    for binding, device, meter, run, seen_ms, first_s in connection.execute(sql).fetchall():
        one = said.get((meter, run, device or HOST))
        if one is not None and seen_ms:
            of_ns = int(seen_ms) * PPM + (one.before_ns if first_s >= one.cut_s else 0)
            found.append((binding, meter, run, min(one.ns, of_ns), of_ns))
    return found


