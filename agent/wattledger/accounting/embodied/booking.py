"""What assets book, divided among those who used them: passports to the microgram, estimates by the hour.

Three steps: how much an asset books in a time (``assets.life.Period``); which device's or host's time it is divided by; and whose
that time was, by a method.  What nobody metered is ``(unmetered)``: Σ jobs + (idle) + (unattributed) + (unmetered) == booked.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from wattledger.accounting.assets.books import fleet_of
from wattledger.accounting.assets.fold import Fleet
from wattledger.accounting.assets.life import Period
from wattledger.accounting.embodied import estimates, overhead, work
from wattledger.accounting.embodied.entries import TRUE_UP, UNMETERED, Booked, Due
from wattledger.accounting.embodied.figures import figure_of, words_of
from wattledger.accounting.embodied.made import Figure, Made
from wattledger.accounting.embodied.methods import Method, method_of
from wattledger.accounting.embodied.shares import Cuts, Gathered, Piece, Shares, Span
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.core.attribution import split
from wattledger.ledger import query_embodied as query
from wattledger.ledger.books import Books
from wattledger.ledger.query import GROUPS, NAMED
from wattledger.ledger.query_embodied import Binding, Metered

Group = tuple[str, ...]
MOST_PIECES = 1_000_000  # a host with eight GPUs has nine for each hour, of its own and of each


class Embodieds(NamedTuple):
    """What was booked in ``span``, by one method.  ``fleet``: all machines with passports, as they are at its end."""

    method: Method
    span: Span
    booked: tuple[Booked, ...]
    fleet: Fleet
    figures: Mapping[str, Figure]
    notes: tuple[str, ...]

    def lines(self) -> dict[tuple[Group, int | None], Made]:
        """By the groups of the report and pieces of its time; without what nobody metered."""
        found: dict[tuple[Group, int | None], Made] = {}
        for one in self.booked:
            if one.group is not None:
                found.setdefault((one.group, one.bucket_s), Made()).add(one.figure, one.ug)
        return found

    def apart_ug(self, job: str) -> int:
        """What stands under ``(unmetered)`` or ``(true-up)``."""
        return sum(one.ug for one in self.booked if one.group is None and one.job == job)


class Ready:
    """All that methods are asked of: what is due, and the books' rows.  State: tables of the books."""

    def __init__(self, books: Books, ask: Ask, rules: Rules) -> None:
        devices = query.metered(books.connection, ask.from_s, ask.to_s)
        self.span = _span(books, ask, devices)
        self.fleet = fleet_of(books.other, until_s=self.span.to_s)
        self.words = words_of(books.holding)
        self.figures = {name: figure_of(life) for name, life in self.fleet.lives.items()}
        cuts = Cuts(self.span, _metered_s(devices))
        self._near = near = _near(books, ask, devices)
        self.dues = list(self._due(ask, near, cuts))
        self.spread = list(overhead.dues(self.fleet, self.words, devices, cuts))
        self.guessed = list(estimates.dues(books.holding, self.fleet, rules, near, cuts))
        self.work = work.gather(books, self.dues, self.words, ask.kind, self.span)
        self._gathered = Gathered(books, cuts, ask.kind)

    def too_much(self, rules: Rules) -> str:
        """Why this would take too long for one column of a report, or empty."""
        if self._gathered.pieces > MOST_PIECES:
            return "so many pieces of time: ask for a shorter time, for one name, or without --by"
        if self._gathered.rows() > rules.embodied_rows:
            return "so many rows: ask for one name or a shorter time, or let it take its time (wattledger report embodied)"
        return ""

    def shares(self, method: Method, prices: Mapping[str, float] | None = None) -> Shares:
        """Whose time it was, by a method.  Raises NoPrice."""
        return self._gathered.shares(method, prices)

    def by(self, method: Method, prices: Mapping[str, float] | None = None) -> Embodieds:
        """Booked by a method.  Raises NoPrice."""
        shares = self.shares(method, prices)
        booked = [*self._passports(shares), *overhead.book(self.spread, shares, self.figures)]
        booked += estimates.book(self.guessed, shares)
        return Embodieds(method, self.span, tuple(booked), self.fleet, self.figures, tuple(self._notes()))

    def _due(self, ask: Ask, near: Sequence[Metered], cuts: Cuts) -> Iterator[Due]:
        """The periods of assets that book somewhere by themselves, with whose time they are divided by."""
        metered: dict[str, set[tuple[str, str]]] = {}
        for device in near:
            metered.setdefault(device.host, set()).add((device.device, device.component))
        for period in self.fleet.periods(self.span.from_s, self.span.to_s):
            host = period.place.host
            if overhead.is_spread(period, self.words) or (ask.name is not None and host not in metered):
                continue
            binding = binding_of(period, metered.get(host, set())) if host else None
            if binding is None or cuts.want(binding, period.start_s, period.end_s):
                yield Due(period, binding)

    def _passports(self, shares: Shares) -> Iterator[Booked]:
        for due in self.dues:
            asset = due.period.asset
            scheme = self.words.get(asset, {}).get("scheme", "")
            if due.binding is None:
                for piece in shares.bare(due.period.start_s, due.period.end_s):
                    yield _left(due, self.figures[asset], UNMETERED, piece)
                continue
            for piece in shares.of(due.binding, due.period.start_s, due.period.end_s):
                if scheme == work.SCHEME:
                    yield from work.book(due, self.fleet.lives[asset], self.figures[asset], (piece, self.work))
                else:
                    yield from _book(due, self.figures[asset], piece, TRUE_UP if scheme == "hours-on" else UNMETERED)

    def _notes(self) -> Iterator[str]:
        unknown = sum(1 for life in self.fleet.lives.values() if not life.passport.made_known)
        if unknown:
            whose = f"of {unknown} assets it is" if unknown > 1 else "of an asset it is"
            yield f"embodied: {whose} not known what it took to make them: they stand at nothing here (wattledger asset list)"
        if self.fleet.refused:
            yield f"embodied: {len(self.fleet.refused)} events of assets break a rule and are not counted (wattledger asset list)"
        unsaid = self._gathered.unsaid()
        if unsaid:
            runs = f"{unsaid} runs" if unsaid > 1 else "a run"
            yield f"embodied: {runs} metered by itself did not say how much of the machine it reserved: its share is not known"
        yield from estimates.notes(self.guessed, self.fleet, self._near)


def embodied(books: Books, ask: Ask, rules: Rules, *, prices: Mapping[str, float] | None = None) -> Embodieds:
    """What the machines of a report's scope booked, by ``rules.allocation``.  Raises ValueError with one line, and LedgerError."""
    method, prices = method_of(rules.allocation), prices or dict(rules.prices)
    if method == "economic" and not prices:
        raise ValueError("to allocate by price needs prices: --prices FILE, rows of JOB,PRICE (per hour)")
    ready = Ready(books, ask, rules)
    why_not = ready.too_much(rules)
    if why_not:
        return Embodieds(method, ready.span, (), ready.fleet, ready.figures, (f"embodied: not worked out over {why_not}",))
    found = ready.by(method, prices)
    if ask.name is None:
        return found
    at = GROUPS[ask.kind].index(NAMED[ask.kind]) if ask.kind in NAMED else None
    mine = found.booked if at is None else tuple(b for b in found.booked if b.group is not None and b.group[at] == ask.name)
    return found._replace(booked=mine)


def _span(books: Books, ask: Ask, devices: Sequence[Metered]) -> Span:
    """What was asked for, else the time in which anything was metered."""
    first_s, last_s = _metered_s(devices)
    from_s = first_s if ask.from_s is None else ask.from_s
    to_s = last_s if ask.to_s is None else ask.to_s
    return Span(from_s, max(from_s, to_s), ask.bucket_s)


def _metered_s(devices: Sequence[Metered]) -> tuple[int, int]:
    """Between when and when anything was metered."""
    first_s = min((device.first_s for device in devices), default=0)
    return first_s, max((device.last_s for device in devices), default=first_s)


def _near(books: Books, ask: Ask, devices: Sequence[Metered]) -> list[Metered]:
    """Of a report of one name, the devices of the hosts where it was."""
    if ask.name is None or ask.kind not in NAMED:
        return list(devices)
    hosts = set(query.hosts_of(books.connection, NAMED[ask.kind], ask.name))
    return [device for device in devices if device.host in hosts]


def binding_of(period: Period, metered: set[tuple[str, str]]) -> Binding:
    """By its device's id; else by its kind, where devices of that kind were metered; else all of the host's devices."""
    host, components = period.place.host, {component for _, component in metered}
    if period.device:
        return Binding(host, period.device)
    kinds = ("dram", "cpu") if period.kind == "dram" else (period.kind,) if period.kind in ("cpu", "gpu", "accelerator") else ()
    return next((Binding(host, "", kind) for kind in kinds if kind in components), Binding(host))


def _book(due: Due, figure: Figure, piece: Piece, rest: str) -> Iterator[Booked]:
    asset = due.period.asset
    parts = split(due.period.booked_ug(piece.from_s, piece.to_s), [*(each.ns for each in piece.taken), piece.unseen_ns])
    for each, ug in zip(piece.taken, parts, strict=False):
        if ug:
            yield Booked(asset, figure, each.job, each.group, piece.bucket_s, ug)
    if parts[-1]:
        yield Booked(asset, figure, rest, None, piece.bucket_s, parts[-1])


def _left(due: Due, figure: Figure, job: str, piece: Piece) -> Booked:
    return Booked(due.period.asset, figure, job, None, piece.bucket_s, due.period.booked_ug(piece.from_s, piece.to_s))
