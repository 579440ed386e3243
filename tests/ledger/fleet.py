"""A small fleet's lake, and an object store that fails when it is told to."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from tests.ledger.made import DAY_S, NOON_S, energy, intensity, key, work

from wattledger.ledger import lake
from wattledger.ledger.books import Books
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store

LATER_S = NOON_S + 2000 * DAY_S  # everything is due
NUMBERS = itertools.count()


def host(folder: Path, name: str, *, days: int = 1, minutes: int = 70) -> Path:
    """The sealed books of one host: two jobs on a GPU, some tokens, an hour's intensity, from ``NOON_S`` on."""
    store = Store.open(folder / name)
    for day in range(days):
        for m in range(minutes):
            at_s = NOON_S + day * DAY_S + 60 * m
            keys = [key(i, host=name, meter=f"agent:{name}") for i in (0, 16)]
            facts = [energy(of=of, start_s=at_s, uj=1_000_000 + 17 * m + n) for n, of in enumerate(keys)]
            store.append([*facts, work(start_s=at_s), *([intensity(at_s)] if m % 60 == 0 else [])], at_s + 60)
    store.close()
    seal(folder / name, LATER_S)
    return folder / name


def shared(folder: Path, url: str | Path, hosts: int = 2, days: int = 1) -> str | Path:
    """A lake with the segments of so many hosts."""
    for n in range(hosts):
        lake.share(host(folder, f"gpu-{n}", days=days), url, silent)
    return url


def silent(_: str) -> None:
    """Nobody listens."""


def joules(*places: str | Path) -> dict[Any, Any]:
    """(host, job) → energy, as a report would sum it; and the tokens under ``work``."""
    with Books(places) as books:
        found = books.connection.execute("SELECT host, job, SUM(energy_uj) FROM energy GROUP BY 1, 2").fetchall()
        tokens = books.connection.execute("SELECT SUM(generated_tokens) FROM work").fetchall()
    return {(name, job): int(uj) for name, job, uj in found} | {"work": tokens[0][0]}


class Failing(MemoryFileSystem):  # type: ignore[misc]  # fsspec says no types
    """fsspec's object store in memory that does ``allowed`` more writes and deletions, and then none."""

    protocol = "failing"
    store: dict[str, Any] = {}  # noqa: RUF012  (fsspec's own way)
    pseudo_dirs: list[str] = [""]  # noqa: RUF012
    allowed = 10**9

    def _spend(self) -> None:
        if Failing.allowed <= 0:
            raise OSError("the bucket is gone")
        Failing.allowed -= 1

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> Any:
        self._spend()
        return super().pipe_file(path, value, mode, **more)

    def put_file(self, lpath: str, rpath: str, *given: Any, **more: Any) -> Any:
        self._spend()
        return super().put_file(lpath, rpath, *given, **more)

    def rm_file(self, path: str) -> None:
        if not self.exists(path):
            raise FileNotFoundError(path)
        self._spend()
        super().rm_file(path)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("failing://", "memory://")))

    def unstrip_protocol(self, name: str) -> str:
        return f"failing://{name}"


def failing() -> str:
    """The URL of an empty place in the store that fails."""
    fsspec.register_implementation("failing", Failing, clobber=True)
    return f"failing://lake{next(NUMBERS)}"


def memory() -> str:
    """The URL of an empty place in memory."""
    return f"memory://lake{next(NUMBERS)}"


def until_it_works(do: Callable[[], object]) -> Iterator[int]:
    """Let ``do`` fail at its first write, then at its second, and so on; yields after each failure, and ends when it succeeds."""
    for allowed in itertools.count():
        Failing.allowed = allowed
        try:
            do()
        except LedgerError as wrong:
            if "the bucket is gone" not in str(wrong):
                raise
        else:
            return
        finally:
            Failing.allowed = 10**9
        yield allowed
