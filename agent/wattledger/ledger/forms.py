"""The two forms of a file of the books: with the columns of allocations, and, written before these were kept, without.

Queries that need none of those columns read files of both forms as one list; only who needs them has to look which has them.
"""

from collections.abc import Collection, Sequence
from typing import Any

from wattledger.ledger.columns import COLUMNS, LATER


def as_now(name: str, *, older: bool) -> str:
    """SQL for a column of today, read from a file of either form."""
    if not older or name not in LATER:
        return name
    # No step was counted then; 0 is what a fact says that names none.
    value = "CASE WHEN fact = 'work' THEN 0 END" if name == "steps" else "NULL"
    return f"CAST({value} AS {COLUMNS[name]}) AS {name}"


def later(engine: Any, addresses: Sequence[str]) -> set[str]:
    """Those of the Parquet files that have the columns of allocations; looks at the end of each file, and nowhere else."""
    if not addresses:
        return set()
    sql = f"SELECT file_name FROM parquet_schema([{_listed(addresses)}]) WHERE name = '{LATER[-1]}'"
    return {row[0] for row in engine.execute(sql).fetchall()}


def rows_sql(engine: Any, addresses: Sequence[str], columns: Collection[str]) -> str:
    """A SELECT of these columns from all rows of the files, of whichever form each is; at least one."""
    newer = later(engine, addresses)
    parts = []
    for older in (False, True):
        listed = _listed([address for address in addresses if (address not in newer) is older])
        chosen = ", ".join(as_now(name, older=older) for name in columns)
        parts += [f"SELECT {chosen} FROM read_parquet([{listed}], hive_partitioning = false)"] if listed else []
    return " UNION ALL ".join(parts)


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join("'" + address.replace("'", "''") + "'" for address in addresses)
