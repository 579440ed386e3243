"""A training loop that is written by hand, measured while somebody iterates over it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from wattledger import Footprint
from wattledger.integrations._training import Training

T = TypeVar("T")


class Loop(Generic[T]):
    """What ``iterate`` and ``loop`` give: iterate over it once, ask it for ``footprint`` and ``metrics``.

    State: the training, and the metrics of the last epoch.  A ``break`` or an exception ends the run.
    """

    def __init__(self, loader: Iterable[T], training: Training, *, epochs: int, tokens: Callable[[T], int] | None) -> None:
        self.training = training
        self.metrics: Mapping[str, float] = {}
        self._loader, self._epochs, self._tokens = loader, epochs, tokens

    @property
    def footprint(self) -> Footprint | None:
        """Live while it runs, final after; ``None`` before the first step."""
        return self.training.footprint

    def evaluation(self) -> AbstractContextManager[None]:
        """``with loop.evaluation(): ...`` within the loop: its energy is told apart from the training's."""
        return self.training.evaluation()

    def _items(self) -> Iterator[tuple[int, T]]:
        self.training.begin()
        try:
            for epoch in range(self._epochs):
                for batch in self._loader:
                    yield epoch, batch
                    self.training.step(tokens=self._count(batch))
                self.metrics = self.training.epoch(left=self._epochs - epoch - 1)
        finally:
            self.training.end()

    def _count(self, batch: T) -> int:
        return self._tokens(batch) if self._tokens is not None else 0


class Epochs(Loop[T]):
    """Gives ``(epoch, batch)``."""

    def __iter__(self) -> Iterator[tuple[int, T]]:
        return self._items()


class Steps(Loop[T]):
    """Gives what the loader gives."""

    def __iter__(self) -> Iterator[T]:
        items: Any = self._items()
        try:
            for _, item in items:
                yield item
        finally:
            items.close()
