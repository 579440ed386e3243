"""What each window's joules are multiplied by: price lists cut to windows, as rows of the table ``slots`` of the query layer.

A window within one step of all its prices is one row.  One that crosses steps becomes a row for each class of prices in it, its
energy held to be even over its time: ``part`` of ``den`` of the energy, and for each basis the sum of seconds x price, over ``den``
too.  So nothing is divided, and nothing rounded, before the sums are made.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import gcd
from typing import Generic, NamedTuple, TypeVar

from wattledger.accounting.price import Price, Rate
from wattledger.accounting.report_ask import Ask
from wattledger.accounting.water import DRY, Both
from wattledger.ledger.query import Window

T = TypeVar("T", Price, Rate)
PRICED = ("operational", "inventory", "upstream", "market", "marginal")


class Lists(NamedTuple):
    """A zone's prices by basis, sorted and disjoint, and the rates of money; where a list has a hole, that basis is not known.

    ``water``: what a kWh takes, at any time.
    """

    operational: Sequence[Price] = ()
    inventory: Sequence[Price] = ()
    upstream: Sequence[Price] = ()
    market: Sequence[Price] = ()
    marginal: Sequence[Price] = ()
    cost: Sequence[Rate] = ()
    water: Both = DRY

    def timed(self) -> tuple[Sequence[Price], ...]:
        """The lists of prices, in the order of ``PRICED``."""
        return self.operational, self.inventory, self.upstream, self.market, self.marginal


class Combo(NamedTuple):
    """What the energy of one slot has in common: when (``None``: not asked), and for each of ``PRICED`` the price's class.

    A class is a price without its time and value.  ``currency``: empty where the cost is not known.  ``water`` does not change with
    time, so it stands here with its value, and no slot has to be multiplied by it.
    """

    bucket_s: int | None
    classes: tuple[Price | None, ...]
    currency: str
    water: Both = DRY


class Cell(NamedTuple):
    """A step in which no price changes: its combo, and the prices in the order of ``query.BASES`` (0 where not known)."""

    combo: int
    values: tuple[int, ...]


class Slots(NamedTuple):
    """Rows for the table ``slots``, and what their ``combo`` numbers mean.  ``prices``: by combo, where each step has its own."""

    rows: list[tuple[object, ...]]
    combos: list[Combo]
    prices: list[tuple[Price | None, ...]]


def slots(windows: Iterable[Window], lists: Mapping[str, Lists], ask: Ask, *, apart: bool = False) -> Slots:
    """Cut the prices of each zone (by the name that the windows have) to its windows.  ``apart``: a combo for each step of prices,
    for who must name every price."""
    made = Slots([], [], [])
    numbers: dict[Combo, int] = {}
    by_zone: dict[str, list[Window]] = {}
    for window in windows:
        by_zone.setdefault(window.zone, []).append(window)
    for zone, mine in sorted(by_zone.items()):
        begin_s = min(window.start_s for window in mine)
        end_s = max(window.start_s + max(1, window.length_s) for window in mine)
        steps = _Steps(begin_s, end_s, lists[zone], ask, apart)
        edges, cells = steps.cells(made, numbers)
        for window in mine:
            made.rows.extend((*window, *rest) for rest in _cut(window, ask, edges, cells))
    return made


def _cut(window: Window, ask: Ask, edges: Sequence[int], cells: Sequence[Cell]) -> Iterator[tuple[int, ...]]:
    """(combo, den, part, values…) of one window; less than the whole where the report begins or ends within it."""
    start_s, end_s = window.start_s, window.start_s + max(1, window.length_s)
    begin_s = start_s if ask.from_s is None else max(start_s, ask.from_s)
    stop_s = end_s if ask.to_s is None else min(end_s, ask.to_s)
    at = bisect_right(edges, begin_s) - 1
    if begin_s == start_s and stop_s == end_s <= edges[at + 1]:
        yield (cells[at].combo, 1, 1, *cells[at].values)
        return
    sums: dict[int, list[int]] = {}
    while begin_s < stop_s:
        until_s = min(stop_s, edges[at + 1])
        sum_ = sums.setdefault(cells[at].combo, [0] * (1 + len(cells[at].values)))
        for place, value in enumerate((1, *cells[at].values)):
            sum_[place] += (until_s - begin_s) * value
        begin_s, at = until_s, at + 1
    for combo, sum_ in sorted(sums.items()):
        common = gcd(end_s - start_s, *sum_)
        yield (combo, (end_s - start_s) // common, *(each // common for each in sum_))


class _Steps(NamedTuple):
    """One zone's time, with what is known of it."""

    begin_s: int
    end_s: int
    lists: Lists
    ask: Ask
    apart: bool

    def cells(self, made: Slots, numbers: dict[Combo, int]) -> tuple[list[int], list[Cell]]:
        """The edges of all steps, and what holds between each and the next."""
        edges = self._edges()
        cells = []
        cursors = [_Cursor(prices) for prices in self.lists.timed()]
        money = _Cursor(self.lists.cost)
        for edge_s in edges[:-1]:
            prices = [cursor.at(edge_s) for cursor in cursors]
            rate = money.at(edge_s)
            bucket = self.ask.bucket_s
            classes = tuple(_class(price, basis) for price, basis in zip(prices, PRICED, strict=True))
            bucket_s = None if bucket is None else edge_s - edge_s % bucket
            combo = Combo(bucket_s, classes, rate.currency if rate else "", self.lists.water)
            values = (*(price.ug_per_kwh if price else 0 for price in prices), rate.micro_per_kwh if rate else 0)
            number = len(made.combos) if self.apart else numbers.setdefault(combo, len(made.combos))
            if number == len(made.combos):
                made.combos.append(combo)
                made.prices.append(tuple(prices))
            cells.append(Cell(number, values))
        return edges, cells

    def _edges(self) -> list[int]:
        edges = {self.begin_s, self.end_s}
        windows = [(each.start_s, each.length_s) for timed in self.lists.timed() for each in timed]
        for start_s, length_s in (*windows, *((rate.start_s, rate.length_s) for rate in self.lists.cost)):
            edges.update((start_s, start_s + length_s))
        if self.ask.bucket_s is not None:
            first_s = self.begin_s - self.begin_s % self.ask.bucket_s
            edges.update(range(first_s, self.end_s, self.ask.bucket_s))
        return sorted(edge for edge in edges if self.begin_s <= edge <= self.end_s)


class _Cursor(Generic[T]):
    """Walks a sorted list forward.  State: where it is."""

    def __init__(self, timed: Sequence[T]) -> None:
        self._timed: Sequence[T] = timed
        self._at = 0

    def at(self, time_s: int) -> T | None:
        """What holds at a time; times never go back."""
        while self._at < len(self._timed) and self._timed[self._at].start_s + self._timed[self._at].length_s <= time_s:
            self._at += 1
        found = self._timed[self._at] if self._at < len(self._timed) else None
        return found if found is not None and found.start_s <= time_s else None


def _class(price: Price | None, basis: str) -> Price | None:
    """A price without its time and value.

    An annual average keeps its length, on which it depends how far it may be from a short time's mix."""
    if price is None:
        return None
    length_s = price.length_s if basis == "operational" and not price.facts else 0
    version = price.version if not price.facts else ""
    return price._replace(start_s=0, length_s=length_s, ug_per_kwh=0, facts=(), version=version)
