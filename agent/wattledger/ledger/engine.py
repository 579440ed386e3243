"""The SQL engine of sealing and of reports: DuckDB, in memory, within bounds.  The only file that knows it.

Queries keep to standard SQL, so that a distributed engine can run them; what is DuckDB's own (files, limits) stays here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MEMORY_MB = 1500  # of the 2 GB that a report may take in all


class LedgerError(Exception):
    """The books cannot be read or written; the message is one line: what, where, what to do."""


def connect(*, memory_mb: int = MEMORY_MB, threads: int | None = None) -> Any:
    """A connection to an engine of our own; close it.  Raises LedgerError where DuckDB is not installed."""
    try:
        import duckdb
    except ImportError:
        raise LedgerError("sealing and reports need DuckDB: pip install 'wattledger[books]'") from None
    settings: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    settings["memory_limit"] = f"{memory_mb}MB"
    connection = duckdb.connect(":memory:", config=settings)
    if threads is not None:
        connection.execute(f"SET threads = {threads}")
    connection.execute("SET preserve_insertion_order = true")
    connection.execute("SET enable_progress_bar = false")  # it would be drawn on standard output, into the report
    return connection


@contextmanager
def told(what: str) -> Iterator[None]:
    """The engine's errors become a LedgerError: one line that begins with ``what`` was read or written."""
    import duckdb

    try:
        yield
    except (duckdb.Error, RuntimeError, UnicodeError, OverflowError, MemoryError) as wrong:
        why = str(wrong).strip().partition("\n")[0][:300] or type(wrong).__name__
        raise LedgerError(f"{what}: {''.join(sign if sign.isprintable() else '?' for sign in why)}") from None
