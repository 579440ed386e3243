"""The decorator leaves a function what it was: results, exceptions, signatures, contexts."""

import asyncio
import inspect
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wattledger import track


@pytest.fixture(scope="module", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


class MineError(Exception):
    pass


def test_a_function_keeps_result_name_and_signature() -> None:
    @track(job="f")
    def add(a: int, b: int = 2) -> int:
        """Adds."""
        return a + b

    assert add(1) == 3
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert str(inspect.signature(add)) == "(a: int, b: int = 2) -> int"


def test_an_exception_passes_unchanged_with_its_traceback() -> None:
    error = MineError("x")

    @track
    def bad() -> None:
        raise error

    with pytest.raises(MineError) as caught:
        bad()
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "raise error" in "".join(traceback.format_exception(caught.value))
    assert bad.last_run.footprint.identity.job == "bad"  # type: ignore[attr-defined]


def test_a_block_swallows_nothing() -> None:
    for kind in (MineError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration):
        with pytest.raises(kind), track(job="b") as run:
            raise kind
        assert repr(run).endswith("ended>")


def test_methods_of_every_kind_keep_their_binding() -> None:
    class Model:
        def __init__(self) -> None:
            self.n = 3

        @track
        def plain(self, k: int) -> int:
            return self.n * k

        @classmethod
        @track
        def of_class(cls) -> str:
            return cls.__name__

        @staticmethod
        @track
        def static(k: int) -> int:
            return k

        @property
        @track
        def size(self) -> int:
            return self.n

    model = Model()
    assert (model.plain(2), Model.of_class(), Model.static(4), model.size) == (6, "Model", 4, 3)


def test_recursion_nests_and_each_call_is_a_run_of_its_own() -> None:
    seen: list[Any] = []

    @track(job="r")
    def down(n: int) -> int:
        seen.append(down.last_run)  # type: ignore[attr-defined]
        return 0 if n == 0 else 1 + down(n - 1)

    assert down(3) == 3
    assert [run.parent for run in seen] == [None, *seen[:3]]


def test_a_coroutine_stays_one_and_keeps_result_and_exception() -> None:
    @track(job="c")
    async def good(n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    @track(job="c")
    async def bad() -> None:
        await asyncio.sleep(0)
        raise MineError

    assert inspect.iscoroutinefunction(good)
    assert asyncio.run(good(1)) == 2
    with pytest.raises(MineError):
        asyncio.run(bad())


def test_cancellation_reaches_the_coroutine() -> None:
    done: list[str] = []

    @track(job="c")
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            done.append("cleaned")

    async def main() -> None:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert done == ["cleaned"]


def test_one_tracker_object_serves_many_entries_nested_and_again() -> None:
    spec = track(job="s")
    with spec as outer, spec as inner:
        pass
    with spec as later:
        pass
    assert inner.parent is outer
    assert later.parent is None
    assert len({outer.run_id, inner.run_id, later.run_id}) == 3


def test_a_context_that_is_left_in_another_task_still_ends_its_run() -> None:
    # An async fixture enters in one task and leaves in another.
    async def main() -> None:
        spec = track(job="s")
        run = await asyncio.create_task(spec.__aenter__())
        await asyncio.create_task(spec.__aexit__(None, None, None))
        assert repr(run).endswith("ended>")

    asyncio.run(main())


def test_a_footprint_reads_the_same_after_the_program_has_let_go(tmp_path: Path) -> None:
    with track(job="x") as run:
        pass
    assert run.footprint.to_dict()["run_id"] == run.run_id
