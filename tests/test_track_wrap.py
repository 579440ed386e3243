"""The decorator leaves a function what it was: results, exceptions, generator protocol, signatures."""

import asyncio
import inspect
import traceback
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from wattledger import track


@pytest.fixture(scope="module", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


class Mine(Exception):
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
    error = Mine("x")

    @track
    def bad() -> None:
        raise error

    with pytest.raises(Mine) as caught:
        bad()
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "raise error" in "".join(traceback.format_exception(caught.value))
    assert bad.last_run.footprint.identity.job == "bad"  # type: ignore[attr-defined]


def test_a_block_swallows_nothing() -> None:
    for kind in (Mine, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration):
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
        raise Mine

    assert inspect.iscoroutinefunction(good)
    assert asyncio.run(good(1)) == 2
    with pytest.raises(Mine):
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


def test_a_generator_keeps_its_protocol() -> None:
    seen: list[Any] = []

    @track(job="g")
    def talk() -> Generator[int, str, str]:
        for n in range(3):
            try:
                seen.append((yield n))
            except Mine as error:
                seen.append(error)
                yield -1
        return "done"

    assert inspect.isgeneratorfunction(talk)
    talker = talk()
    error = Mine("in")
    assert next(talker) == 0
    assert talker.send("one") == 1
    assert talker.throw(error) == -1
    assert talker.send("two") == 2
    with pytest.raises(StopIteration) as stop:
        next(talker)
    assert stop.value.value == "done"
    assert seen == ["one", error, None]


def test_closing_a_generator_runs_its_finally_at_once() -> None:
    seen: list[str] = []

    @track(job="g")
    def held() -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            seen.append("closed")

    holder = held()
    next(holder)
    holder.close()
    assert seen == ["closed"]
    with pytest.raises(StopIteration):
        next(holder)


def test_a_generator_may_answer_an_exception_with_its_own() -> None:
    @track(job="g")
    def picky() -> Generator[int, None, None]:
        try:
            yield 1
        except Mine as error:
            raise ValueError from error

    picker = picky()
    next(picker)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the type is the point
        picker.throw(Mine())
    assert isinstance(caught.value.__cause__, Mine)


def test_a_generator_can_be_delegated_to() -> None:
    @track(job="g")
    def inner() -> Generator[int, None, int]:
        yield 1
        return 2

    def outer() -> Generator[int, None, int]:
        return (yield from inner())

    walker = outer()
    assert next(walker) == 1
    with pytest.raises(StopIteration) as stop:
        next(walker)
    assert stop.value.value == 2


def test_a_generator_does_not_lend_its_run_to_its_consumer() -> None:
    @track(job="g")
    def numbers() -> Generator[int, None, None]:
        yield from range(2)

    with track(job="consumer") as consumer:
        for _ in numbers():
            with track(job="between") as between:
                pass
            assert between.parent is consumer


def test_an_async_generator_keeps_its_protocol() -> None:
    seen: list[Any] = []

    @track(job="a")
    async def talk() -> AsyncGenerator[int, str]:
        for n in range(3):
            try:
                seen.append((yield n))
            except Mine as error:
                seen.append(error)
                yield -1

    async def main() -> None:
        talker = talk()
        error = Mine("in")
        assert await talker.__anext__() == 0
        assert await talker.asend("one") == 1
        assert await talker.athrow(error) == -1
        assert await talker.asend("two") == 2
        with pytest.raises(StopAsyncIteration):
            await talker.__anext__()
        assert seen == ["one", error, None]

    assert inspect.isasyncgenfunction(talk)
    asyncio.run(main())


def test_closing_an_async_generator_runs_its_finally_at_once() -> None:
    seen: list[str] = []

    @track(job="a")
    async def held() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            seen.append("closed")

    async def main() -> None:
        holder = held()
        await holder.__anext__()
        await holder.aclose()
        assert seen == ["closed"]

    asyncio.run(main())


def test_an_async_generator_is_iterated_like_any_other() -> None:
    @track(job="a")
    async def count() -> AsyncGenerator[int, None]:
        for n in range(3):
            await asyncio.sleep(0)
            yield n

    async def main() -> list[int]:
        return [n async for n in count()]

    assert asyncio.run(main()) == [0, 1, 2]


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
