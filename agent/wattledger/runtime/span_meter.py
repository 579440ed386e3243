"""What ``track`` needs of whoever measures: this process's own session (``local.py``) or the node's agent (``remote.py``)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Identity
from wattledger.core.model import Boundary, Device, Instant, Work, Workload
from wattledger.runtime.config import Config
from wattledger.runtime.prices import PriceList

WHOLE_HOST = "the whole machine's energy is told to root and the operators' group only; scope='process' is answered"


class Seen(NamedTuple):
    """Accounts as they stand at an instant; ``note``: what must be said if their run has ended."""

    accounts: Sequence[SpanAccount]
    at: Instant
    note: str


class SpanMeter(Protocol):
    """Measures the spans of this process.

    ``tree``: the workload whose energy they divide.  ``others_known``: whether accounts say what others used.
    ``settles_late``: whether a footprint that is asked for too early stays provisional for ever, or may be asked for again.
    """

    tree: Workload
    host: str
    config: Config
    environ: Mapping[str, str]
    others_known: bool
    settles_late: bool

    def enter(self, make: Callable[[Instant], Boundary]) -> None: ...

    def leave(self, make: Callable[[Instant], Boundary]) -> None: ...

    def is_gone(self, now: Instant) -> bool:
        """Whether nobody measures any more, so that the next run needs another meter."""
        ...

    def put(self, work: Work) -> None: ...

    def settle(self, spans: Collection[int], *, ended: bool) -> None:
        """Do what can be done now so that the spans' accounts are settled; settled ones are handed to the tracker."""
        ...

    def look(self, spans: Collection[int]) -> Seen:
        """The accounts of spans that are not settled, as they stand."""
        ...

    def ended(self, who: Identity, account: SpanAccount) -> None:
        """An outermost run is over: for the books, where this process keeps its own."""
        ...

    def devices(self) -> Mapping[str, Device]: ...

    def prices(self) -> PriceList: ...

    def notes(self, account: SpanAccount) -> Sequence[str]: ...

    def stop(self) -> None: ...

    def forked(self) -> None:
        """In a forked child: let go of what is the parent's."""
        ...
