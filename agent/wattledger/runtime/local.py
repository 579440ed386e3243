"""This process measures itself: a session of its own, behind the surface that ``track`` uses."""

from collections.abc import Callable, Collection, Mapping, Sequence

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Identity
from wattledger.core.model import Boundary, Device, Instant, Work
from wattledger.runtime.books.runs import run_fact
from wattledger.runtime.build import Session
from wattledger.runtime.prices import PriceList
from wattledger.runtime.span_meter import Seen

SHORT_NS = 1_000_000_000
PROVISIONAL = "asked before every sensor had moved since its end: what they had not shown yet is at their last known power"


class LocalMeter:
    """A session as a ``SpanMeter``.  ``said``: why it is not the agent that measures, if that must be said."""

    others_known = True
    settles_late = False

    def __init__(self, session: Session, said: Sequence[str] = ()) -> None:
        self.session = session
        self.tree, self.host = session.tree, session.host
        self.config, self.environ = session.config, session.environ
        self._said = said
        self.stop = session.stop

    def enter(self, make: Callable[[Instant], Boundary]) -> None:
        self.session.sampler.enter(make)

    def leave(self, make: Callable[[Instant], Boundary]) -> None:
        self.session.sampler.leave(make)

    def is_gone(self, now: Instant) -> bool:
        return False

    def put(self, work: Work) -> None:
        self.session.sampler.put([work])

    def settle(self, spans: Collection[int], *, ended: bool) -> None:
        """Close the cell if it is long enough; passports that are still being read are waited for, as the agent's cell is."""
        if ended:
            self.session.materials.close()
        if spans and self.session.sampler.ripe():
            self.session.sampler.tick()

    def look(self, spans: Collection[int]) -> Seen:
        """A copy whose cell is closed now, without disturbing anything."""
        pipeline, at = self.session.sampler.view()
        return Seen([a for span in sorted(spans) if (a := pipeline.spans.find(span)) is not None], at, PROVISIONAL)

    def ended(self, who: Identity, account: SpanAccount) -> None:
        """A run is over: a fact of the books, unless it was so short that there may be thousands a second."""
        keeper, left = self.session.keeper, account.left
        if keeper is None or left is None:
            return
        if left.mono_ns - account.entered.mono_ns >= SHORT_NS:
            keeper.note([run_fact(who, account, keeper.meter)])
        else:
            for binding, ns in account.reserved_ns.items():
                keeper.unsaid_ns[binding] = keeper.unsaid_ns.get(binding, 0.0) + ns

    def devices(self) -> Mapping[str, Device]:
        return self.session.pipeline.totals.devices

    def prices(self) -> PriceList:
        """Those in force: the grid may have changed since the session was opened."""
        return self.session.prices

    def notes(self, account: SpanAccount) -> Sequence[str]:
        return (*self._said, *self.session.all_notes())

    def forked(self) -> None:
        """The sensors, threads and locks are the parent's: nothing is touched."""
