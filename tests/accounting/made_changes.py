"""What somebody does to sealed books who may not."""

from pathlib import Path

from wattledger.ledger.engine import connect


def rewrite(file: Path, change: str) -> None:
    """Change a sealed file: ``change`` follows ``SELECT *``."""
    engine = connect()
    other = file.with_suffix(".changed")
    engine.execute(f"COPY (SELECT * {change} FROM read_parquet('{file}', hive_partitioning = false)) TO '{other}' (FORMAT parquet)")
    engine.close()
    other.replace(file)
