"""The decorator leaves a generator what it was: what is sent, thrown, closed and returned is between the two sides."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Generator, Iterator
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


def test_a_generator_keeps_its_protocol() -> None:
    seen: list[Any] = []

    @track(job="g")
    def talk() -> Generator[int, str, str]:
        for n in range(3):
            try:
                seen.append((yield n))
            except MineError as error:
                seen.append(error)
                yield -1
        return "done"

    assert inspect.isgeneratorfunction(talk)
    talker = talk()
    error = MineError("in")
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
        except MineError as error:
            raise ValueError from error

    picker = picky()
    next(picker)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the type is the point
        picker.throw(MineError())
    assert isinstance(caught.value.__cause__, MineError)


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
            except MineError as error:
                seen.append(error)
                yield -1

    async def main() -> None:
        talker = talk()
        error = MineError("in")
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
