"""An agent in the test's own process, on a clock that the test turns, and programs that speak to it by hand."""

from collections.abc import Callable, Iterator

import pytest
from tests.runtime.control_rig import Caller, Node, place

from wattledger.testing import FakeClock

Dial = Callable[[], Caller]


@pytest.fixture
def now() -> FakeClock:
    return FakeClock()


@pytest.fixture
def node(now: FakeClock) -> Iterator[Node]:
    with place() as folder:
        node = Node(str(folder / "a.sock"), now=now)
        yield node
        node.stop()


@pytest.fixture
def dial(node: Node, now: FakeClock) -> Iterator[Dial]:
    callers: list[Caller] = []

    def make() -> Caller:
        callers.append(Caller(node, now))
        return callers[-1]

    yield make
    for caller in callers:
        caller.close()


@pytest.fixture
def caller(dial: Dial) -> Caller:
    caller = dial()
    assert caller.hello()["ok"] is True
    return caller
