"""A share → the totals and the ledger: under the name that the claims come to, and for the totals in the series that it was
admitted to, with its grams."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from wattledger.core.accounts import Lane
from wattledger.core.attribution import Split
from wattledger.core.claims import Claims
from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import Factor, Fault, Instant, Request, Served, Work, Workload
from wattledger.core.posted import Minute, Posted
from wattledger.core.series import Series
from wattledger.core.totals import Totals

if TYPE_CHECKING:
    from wattledger.core.served.book import TokenBook
    from wattledger.core.served.workload import OfRequest

T = TypeVar("T")


class Posting:
    """State: when the cell is closed, what a joule costs then, and under which names its shares are shown; sums go to ``totals``,
    and by minute to ``posted``.  ``factors`` are those in force.  ``own_only``: who meters one tree keeps its spans' part alone
    in the ledger.
    """

    def __init__(self, totals: Totals, claims: Claims, series: Series, factors: Mapping[str, Factor]) -> None:
        self._totals, self._claims, self._series, self._factors = totals, claims, series, factors
        self.own_only = False
        self._posted = Posted()
        self._at = Instant(0, 0)
        self._at_ns = 0
        self._shown: dict[Workload, Workload] = {}
        self._cell_uj: dict[Workload, int] = {}
        self._price: tuple[float, float] | None = None
        self._cell, self._seen_idle = ("", (0, 0)), False
        self.tokens: TokenBook | None = None  # until an engine is heard of
        self._bug: Fault | None = None

    def hear(self, sample: Served | Request) -> None:
        """What a serving engine did, or one of its requests."""
        if self._bug is not None:
            return
        if self.tokens is None:
            from wattledger.core.served.book import House, TokenBook  # a program that serves nothing does not load it

            self.tokens = TokenBook(House(self._whose, self._series.seen_as, lambda: self._price, self._posted))
        self.tokens.hear(sample)

    def _whose(self, who: str) -> Workload:
        return self._claims.shown(self._claims.workload(who))

    def begin(self, at: Instant) -> None:
        """A cell is being closed."""
        self._at, self._at_ns = at, at.mono_ns
        self._shown, self._cell_uj = {}, {}
        grid = self._factors.get("grid")
        pue = self._factors["pue"].value if "pue" in self._factors else 1.0
        self._price = None if grid is None else (grid.value, pue)
        for work in self._ask(lambda tokens: tokens.begin()):
            self.work(work, None)

    def lane(self, curve: EnergyCurve, unit: str, *, seen_idle: bool = False) -> None:
        """The device whose energy is handed out next, the unit of activity by which it is divided, and whether its idle draw has
        been seen here (and is not a table's)."""
        self._posted.lane(curve, self._at, unit)
        self._cell = curve.device.kind, (curve.end_ns - curve.span_ns, curve.end_ns)
        self._seen_idle = seen_idle

    def part(
        self, tree: Workload, posted: Mapping[Workload, tuple[int, int]], outside: tuple[int, int], key: Lane
    ) -> None:
        """A tree's part of one device, (active, held) by span, and what it got outside all spans."""
        if any(outside):
            self._hand_out(self._claims.named(tree, tree), key, *outside)
        for workload, (active_uj, held_uj) in posted.items():
            named = self._claims.named(workload, tree)
            self._hand_out(named, key, active_uj, held_uj)
            if self.own_only:
                self._keep(named, key, active_uj, held_uj)

    def split(self, divided: Split, key: Lane) -> None:
        """What is not a tree's with spans in it."""
        for workload, uj in divided.active.items():
            self._hand_out(self._claims.shown(workload), key, uj, 0)
        for workload, uj in divided.held.items():
            self._hand_out(self._claims.shown(workload), key, 0, uj)

    def made(
        self, grams_of: Mapping[Workload, float], spans: Mapping[Workload, tuple[Mapping[Workload, float], float]]
    ) -> None:
        """What it took to make the devices, by whom their time was for; of trees with spans, the parts of it by span's workload and
        outside all spans."""
        for workload, made_g in grams_of.items():
            if workload not in spans:
                self._totals.add_made(self._shown_as(self._claims.shown(workload)), made_g)
                continue
            inside, outside = spans[workload]
            for span, part in (*inside.items(), (workload, outside)):  # a span may bear its tree's own name
                if part:
                    self._totals.add_made(self._shown_as(self._claims.named(span, workload)), made_g * part)

    def work(self, work: Work, tree: Workload | None) -> None:
        """Tokens and requests, done in a span of ``tree``."""
        named = work.workload if tree is None else self._claims.named(work.workload, tree)
        self._posted.work(named, work)
        self._totals.add_work(work._replace(workload=self._series.of(named, self._at_ns)))

    def kept(self) -> dict[int, Minute]:
        """What the cell brought for the ledger, by start of its minute."""
        return self._posted.take()

    def close(self) -> "list[OfRequest]":
        """Everything is handed out: what went into tokens is told, and who ended long ago loses his series; gives the requests that
        are final."""
        self._totals.price(self._cell_uj, self._factors)
        settled = self._ask(lambda tokens: tokens.close(self._at))
        gone = self._series.ended(self._at_ns, self._claims.live)
        self._totals.retire(gone)
        self._ask(lambda tokens: tokens.retire(gone))
        self._ask(self._show)
        return settled

    def end(self) -> "list[OfRequest]":
        """Nothing follows: requests that waited for others are final as they are."""
        settled = self._ask(lambda tokens: tokens.flush())
        self._ask(self._show)
        return settled

    def _show(self, tokens: "TokenBook") -> None:
        self._totals.tokens = tokens.shown()

    def doubts(self) -> tuple[Fault, ...]:
        """What was not believed of engines and requests since the last cell."""
        found = [] if self.tokens is None else self.tokens.faults
        if self.tokens is not None:
            self.tokens.faults = []
        elif self._bug is not None and not self._bug.gone:
            self._bug = self._bug._replace(gone=True)
            return (self._bug,)
        return tuple(found)

    def _ask(self, what: "Callable[[TokenBook], list[T] | None]") -> "list[T]":
        """A mistake of ours in dividing tokens must not end the metering of everything else: then nothing is said of tokens."""
        if self.tokens is None:
            return []
        try:
            return what(self.tokens) or []
        except Exception as bug:
            self.tokens = self._totals.tokens = None
            words = f"energy is not divided among tokens any more, by a bug of ours: {bug!r}"
            self._bug = Fault("engines", None, self._at, words, gone=False)
            return []

    def _hand_out(self, workload: Workload, key: Lane, active_uj: int, held_uj: int) -> None:
        shown = self._shown_as(workload)
        if active_uj:
            self._totals.add((shown, *key, "active"), active_uj)
        if held_uj:
            self._totals.add((shown, *key, "held"), held_uj)
        if not self.own_only:
            self._keep(workload, key, active_uj, held_uj)
        if self.tokens is not None and workload in self.tokens.serving:  # of a thousand workloads one is an engine
            self._gather(workload, key, active_uj + held_uj, held_uj)
        self._cell_uj[shown] = self._cell_uj.get(shown, 0) + active_uj + held_uj

    def _shown_as(self, workload: Workload) -> Workload:
        shown = self._shown.get(workload)
        if shown is None:
            shown = self._shown[workload] = self._series.of(workload, self._at_ns)
        return shown

    def _gather(self, workload: Workload, key: Lane, energy_uj: int, held_uj: int) -> None:
        told = energy_uj, held_uj if self._seen_idle else 0
        self._ask(lambda tokens: tokens.energy(workload, key, *self._cell, told))

    def _keep(self, workload: Workload, key: Lane, active_uj: int, held_uj: int) -> None:
        """For the ledger: under its full name, whether it has a series of its own or not."""
        if active_uj:
            self._posted.add((workload, *key, "active"), active_uj)
        if held_uj:
            self._posted.add((workload, *key, "held"), held_uj)
