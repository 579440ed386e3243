"""Do allocations keep within what they divide?  What tokens got, of what was metered; what requests got, of what tokens did.

As it was written: a correction of one fact alone does not make the others wrong.  An allocation may lag behind its energy (what
was drawn last is not divided yet), so less is fine and more is not.
"""

from collections.abc import Iterator
from pathlib import Path

from wattledger.ledger import lake
from wattledger.ledger.books import Books
from wattledger.ledger.columns import KINDS_UJ
from wattledger.ledger.compaction import root_of
from wattledger.ledger.engine import connect, told
from wattledger.ledger.forms import later
from wattledger.ledger.rollup import text

# Without the model: one engine may serve several, and its energy stands under the name that its process has.
_WHO = "meter, host, run, job, labels"
_WRITTEN = "corrects IS NULL AND meter IN (SELECT DISTINCT meter FROM facts_whole WHERE fact = 'allocation')"
_TOKENS = "prompt_uj + generated_uj"


def overdrawn(folder: Path, *, in_open_part: bool) -> list[str]:
    """A line for each workload to which more was allocated than there is; ``in_open_part``: that has allocations.  Raises
    LedgerError.
    """
    return list(_overdrawn(folder)) if in_open_part or _in_files(folder) else []


def _in_files(folder: Path) -> bool:
    """Whether sealed or compacted facts are allocations: nearly all books have none, and then nothing is summed."""
    root = root_of(folder)
    files = [lake.address(root, name) for name in lake.names(root) if name.endswith(".parquet")]
    if not files:
        return False
    engine = connect(memory_mb=400)
    try:
        with told(str(folder)):
            newer = sorted(later(engine, files))
            listed = ", ".join(text(path) for path in newer)
            sql = f"SELECT 1 FROM read_parquet([{listed}], hive_partitioning = false) WHERE fact = 'allocation' LIMIT 1"
            return bool(newer) and bool(engine.execute(sql).fetchall())
    finally:
        engine.close()


def _overdrawn(folder: Path) -> Iterator[str]:
    with Books([folder]) as books, told(str(folder)):
        table = books.whole()
        whole = " + ".join(KINDS_UJ)
        of = ("fact = 'energy'", "energy_uj"), ("fact = 'allocation'", whole)
        sql = _over(table, f"{_WHO}, component, method", "request IS NULL", *of)
        for meter, host, job, component, method, more_uj in books.connection.execute(sql).fetchall():
            who = f"{job} on {host}, {component} by {method} ({meter})"
            yield f"{who}: {more_uj} uJ more went into tokens, standby and overhead than were metered"
        of = ("fact = 'allocation' AND request IS NULL", _TOKENS), ("request IS NOT NULL", _TOKENS)
        sql = _over(table, _WHO, "fact = 'allocation'", *of)
        for meter, host, job, more_uj in books.connection.execute(sql).fetchall():
            yield f"{job} on {host} ({meter}): requests got {more_uj} uJ more than went into its tokens"


def _over(table: str, keys: str, which: str, has: tuple[str, str], got: tuple[str, str]) -> str:
    there, taken = (f"SUM(CAST(CASE WHEN {rows} THEN {uj} ELSE 0 END AS DECIMAL(38,0)))" for rows, uj in (has, got))
    shown = ", ".join(name for name in keys.split(", ") if name not in ("run", "labels"))
    return (
        f"SELECT {shown}, {taken} - {there} FROM {table} WHERE fact IN ('energy', 'allocation') AND {which} AND {_WRITTEN}"
        f" GROUP BY {keys} HAVING {taken} > {there} ORDER BY {keys}"
    )
