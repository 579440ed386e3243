"""Where checks run: here, or shared among processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from wattledger.ledger.segment_check import first_differing

LOOK_S = 120.0  # how long a damaged file is read for its first bad row


@contextmanager
def executor(processes: int) -> Iterator[Callable[..., Callable[[], Any]]]:
    """Runs checks: here, when their answer is asked for, or in processes of their own."""
    if processes < 2:
        yield lambda check, given: lambda: check(given)
        return
    import multiprocessing

    # Spawned: a forked copy of an engine's threads would be none.
    pool: Executor = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))

    def run(check: Callable[..., Any], given: Any) -> Callable[[], Any]:
        future: Future[Any] = pool.submit(check, given)
        return lambda: future.result(LOOK_S if check is first_differing else None)

    try:
        yield run
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
