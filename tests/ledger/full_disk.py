"""A store on a small disk of its own, which fills up, is freed, and is made read-only.

Run as a program in a mount namespace of its own: FOLDER, an empty one, → a line of JSON.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.ledger.made import NOON_S, minute, verified

from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store


def mounted(folder: Path, *words: str) -> None:
    subprocess.run(["mount", *words, str(folder)], check=True, capture_output=True)


def refused(write: Callable[[], object]) -> str:
    """What it was refused with, or nothing."""
    try:
        write()
    except LedgerError as wrong:
        return str(wrong)
    return ""


def journal_on(store: Store) -> None:
    for _ in range(20):
        store.journal(minute(1600), NOON_S)


def main(disk: Path) -> dict[str, object]:
    """What happened, in order."""
    mounted(disk, "-t", "tmpfs", "-o", "size=3m", "none")
    (disk / "other").write_bytes(b"x" * 1_500_000)
    folder = disk / "ledger"
    store = Store.open(folder, instance="a")
    acknowledged: list[str] = []
    full = ""
    for i in range(100):
        try:
            acknowledged += store.append(minute(500, start_s=NOON_S + 60 * i), NOON_S + i)
        except LedgerError as wrong:
            full = str(wrong)
            break
    said: dict[str, object] = {"full": full, "acknowledged": len(acknowledged)}
    said["journal"] = refused(lambda: journal_on(store))
    said["whole"] = [known.id for known in store.known()] == acknowledged and verified(store) == store.head().seq
    filled = disk / "ballast"
    with suppress(OSError), filled.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 4096)
    said["new"] = refused(lambda: Store.open(disk / "second"))
    filled.unlink(missing_ok=True)
    (disk / "other").unlink()
    later = store.append(minute(3, start_s=NOON_S + 6000), NOON_S + 6000)
    said["later"] = [known.id for known in store.known()] == acknowledged + later and verified(store) == store.head().seq
    store.close()
    mounted(disk, "-o", "remount,ro")
    said["read_only"] = refused(lambda: Store.open(folder))
    reader = Store.open(folder, readonly=True)
    said["read"] = [known.id for known in reader.known()] == acknowledged + later
    reader.close()
    return said


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
