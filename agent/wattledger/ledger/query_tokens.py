"""What reports ask about tokens: what a served model's energy went into, and what requests got of it.  Standard SQL.

The tables are ``allocation`` and ``served`` (``open_tables``), and ``allocation_slots`` and ``request_slots``, which reports fill
as they fill ``slots``.  A window's energy is cut at the ends of what is asked; a request counts whole, where it began.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from wattledger.ledger.books import Books
from wattledger.ledger.columns import KEY_COLUMNS, KINDS_UJ, TOKENS, unescaped
from wattledger.ledger.query import GROUPS, Scope, Window

KINDS = ("prompt", "generated", "standby", "overhead")  # in the order of ``KINDS_UJ``
AMOUNTS = ("seen_ms", "spread_uj", *TOKENS, "requests", *KINDS_UJ, "weak")
ALLOCATION = (*KEY_COLUMNS, "tenant", "request", "start_s", "length_s", *AMOUNTS)
SERVED = (*KEY_COLUMNS, "start_s", "length_s", *TOKENS, "requests", "steps")
WHO = ("meter", "host", "run", "job", "model", "labels")  # a workload, as work and allocations have it in common
_EXACT = "CAST(SUM(CAST({0} AS DECIMAL(20,0)) * CAST({1} AS DECIMAL(18,0))) AS DECIMAL(38,0))"
# A program's allocations go where its energy goes: left out where another meter's word is taken for that window.
_COUNTED = (
    "NOT EXISTS (SELECT 1 FROM doubled d WHERE d.host = a.host AND d.meter = a.meter AND d.start_s = a.start_s"
    " AND d.length_s = a.length_s)"
)


class Divided(NamedTuple):
    """Energy of one group, sensor and price class, over ``den``: microjoules by ``KINDS``, and each in uJ x ug/kWh, without PUE.

    ``weak``: how much of it was divided by prices that stood on a prior.  Windows lie in ``[first_s, last_s)``.
    """

    group: tuple[str, ...]
    component: str
    method: str
    pue_milli: int
    combo: int
    den: int
    energy: tuple[int, ...]
    priced: tuple[int, ...]
    weak: int
    first_s: int
    last_s: int


class Asked(NamedTuple):
    """What the requests of one tenant (in one group and price class) got: prompt and generated energy, as in ``Divided``.

    ``spread``: how much of it may be another's.
    """

    group: tuple[str, ...]
    tenant: str
    pue_milli: int
    combo: int
    den: int
    energy: tuple[int, ...]
    priced: tuple[int, ...]
    spread: int
    first_s: int
    last_s: int


class Tenant(NamedTuple):
    """How much a tenant asked of one group: requests, and their tokens."""

    group: tuple[str, ...]
    tenant: str
    requests: int
    prompt_tokens: int
    generated_tokens: int
    cached_tokens: int


class Served(NamedTuple):
    """What served workloads of one group did in one bucket.

    ``batched``: tokens that were generated where ``steps`` were told.  ``worked_ms``: windows in which tokens were worked on, of
    one workload after the other.
    """

    group: tuple[str, ...]
    bucket_s: int
    prompt_tokens: int
    generated_tokens: int
    cached_tokens: int
    batched: int
    steps: int
    worked_ms: int


def open_tables(books: Books) -> bool:
    """Make the tables; whether any energy was divided among tokens at all."""
    books.view("all_allocations", "allocation", ALLOCATION)
    if not books.connection.execute("SELECT 1 FROM all_allocations LIMIT 1").fetchall():
        return False
    books.view("served", "work", SERVED)
    counted = _COUNTED if books.doubled else "1 = 1"
    books.connection.execute(f"CREATE OR REPLACE TEMP VIEW allocation AS SELECT * FROM all_allocations a WHERE {counted}")
    return True


def windows(connection: Any, scope: Scope, *, requests: bool) -> list[Window]:
    """The windows of the scope, sorted: of allocations, or of ``requests``."""
    where, given = _where(scope, requests=requests)
    sql = f"SELECT DISTINCT zone, start_s, length_s FROM allocation WHERE {where} ORDER BY 1, 2, 3"
    return [Window(*row) for row in connection.execute(sql, given).fetchall()]


def divided(connection: Any, scope: Scope) -> list[Divided]:
    """The divided energy of the scope, joined with ``allocation_slots``, sorted."""
    columns = GROUPS[scope.kind]
    keys = [f"a.{name}" for name in (*columns, "component", "method", "pue_milli")] + ["s.combo", "s.den"]
    whole = " + ".join(f"a.{name}" for name in KINDS_UJ)
    sums = [_EXACT.format(f"a.{name}", value) for value in ("s.part", "s.operational") for name in KINDS_UJ]
    sums.append(_EXACT.format(f"CASE WHEN a.weak = 1 THEN {whole} ELSE 0 END", "s.part"))
    n, found = len(columns), _summed(connection, (keys, sums, "allocation_slots"), _where(scope, requests=False))
    return [
        Divided._make((row[:n], *row[n : n + 5], _ints(row[n + 5 : n + 9]), _ints(row[n + 9 : n + 13]),
                       int(row[n + 13]), *row[-2:]))
        for row in found
    ]  # fmt: skip


def asked(connection: Any, scope: Scope) -> list[Asked]:
    """What requests got that began in the scope, by tenant, joined with ``request_slots``, sorted."""
    columns = GROUPS[scope.kind]
    keys = [*(f"a.{name}" for name in columns), "COALESCE(a.tenant, '')", "a.pue_milli", "s.combo", "s.den"]
    sums = [_EXACT.format(f"a.{name}", value) for value in ("s.part", "s.operational") for name in KINDS_UJ[:2]]
    sums.append(_EXACT.format("a.spread_uj", "s.part"))
    n, found = len(columns), _summed(connection, (keys, sums, "request_slots"), _where(scope, requests=True))
    return [
        Asked._make((row[:n], unescaped(row[n]), *row[n + 1 : n + 4], _ints(row[n + 4 : n + 6]), _ints(row[n + 6 : n + 8]),
                     int(row[n + 8]), *row[-2:]))
        for row in found
    ]  # fmt: skip


def tenants(connection: Any, scope: Scope) -> list[Tenant]:
    """The requests that began in the scope, by tenant, sorted."""
    where, given = _where(scope, requests=True)
    keys = (*GROUPS[scope.kind], "COALESCE(tenant, '')")
    # A sum of requests says how many they were.
    counts = ("COALESCE(requests, 1)", "prompt_tokens", "generated_tokens", "cached_tokens")
    found = _grouped(connection, f"allocation WHERE {where}", (keys, counts), given)
    n = len(keys)
    return [Tenant(row[: n - 1], unescaped(row[n - 1]), *_ints(row[n:])) for row in found]


def served(connection: Any, scope: Scope, bucket_s: int | None) -> list[Served]:
    """What the workloads did whose energy was divided; windows that begin in the scope, by bucket where one is asked for."""
    bucket = "0" if bucket_s is None else f"start_s - MOD(start_s, {bucket_s:d})"
    columns, who = ", ".join(GROUPS[scope.kind]), ", ".join(WHO)
    begun, given = scope.where()
    if scope.from_s is not None:
        begun, given = f"{begun} AND start_s >= ?", [*given, scope.from_s]
    same = " AND ".join(f"a.{name} = w.{name}" for name in WHO)
    of = f"served w WHERE {begun} AND EXISTS (SELECT 1 FROM allocation a WHERE {same} AND a.request IS NULL)"
    batched = "CASE WHEN steps > 0 THEN generated_tokens ELSE 0 END"
    counts = ("prompt_tokens", "generated_tokens", "cached_tokens", batched, "steps")
    done = _grouped(connection, of, ((*GROUPS[scope.kind], bucket), counts), given)
    # All components of a workload worked in the same time: the one that was seen longest tells it.
    worked = connection.execute(
        f"""SELECT {columns}, at_s, CAST(SUM(ms) AS DECIMAL(38,0)) FROM (
          SELECT {who}, at_s, MAX(ms) AS ms FROM (
            SELECT {who}, component, method, at_s, SUM(ms) AS ms FROM (
              SELECT {who}, component, method, {bucket} AS at_s, start_s, length_s,
                MAX(CASE WHEN prompt_uj + generated_uj > 0 THEN COALESCE(seen_ms, length_s * 1000) ELSE 0 END) AS ms
              FROM allocation WHERE request IS NULL AND {begun}
              GROUP BY {who}, component, method, start_s, length_s) each_window
            GROUP BY {who}, component, method, at_s) each_component
          GROUP BY {who}, at_s) each_workload
        GROUP BY {columns}, at_s""",
        given,
    ).fetchall()
    ms = {row[:-1]: int(row[-1]) for row in worked}
    n = len(GROUPS[scope.kind])
    return [Served._make((row[:n], int(row[n]), *_ints(row[n + 1 :]), ms.get(row[: n + 1], 0))) for row in done]


def _where(scope: Scope, *, requests: bool) -> tuple[str, list[Any]]:
    where, given = scope.where()
    if requests and scope.from_s is not None:
        where, given = f"{where} AND start_s >= ?", [*given, scope.from_s]
    return f"{where} AND request IS {'NOT ' if requests else ''}NULL", given


def _grouped(
    connection: Any, rows: str, what: tuple[Sequence[str], Sequence[str]], given: Sequence[Any]
) -> list[tuple[Any, ...]]:
    keys, counts = what
    order = ", ".join(str(n + 1) for n in range(len(keys)))
    sums = ", ".join(f"CAST(SUM({name}) AS DECIMAL(38,0))" for name in counts)
    sql = f"SELECT {', '.join(keys)}, {sums} FROM {rows} GROUP BY {order} ORDER BY {order}"
    found: list[tuple[Any, ...]] = connection.execute(sql, given).fetchall()
    return found


def _summed(connection: Any, what: tuple[list[str], list[str], str], where: tuple[str, list[Any]]) -> list[tuple[Any, ...]]:
    keys, sums, slots = what
    order = ", ".join(str(n + 1) for n in range(len(keys)))
    sql = (
        f"SELECT {', '.join(keys)}, {', '.join(sums)}, MIN(a.start_s), MAX(a.start_s + a.length_s)"
        f" FROM (SELECT * FROM allocation WHERE {where[0]}) a JOIN {slots} s"
        f" ON a.zone = s.zone AND a.start_s = s.start_s AND a.length_s = s.length_s GROUP BY {order} ORDER BY {order}"
    )
    found: list[tuple[Any, ...]] = connection.execute(sql, where[1]).fetchall()
    return found


def _ints(values: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
