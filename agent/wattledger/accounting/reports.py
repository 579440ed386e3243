"""Reports: what a job, a model, a device, a host or a day cost.  Views over facts: the same facts give the same answer.

The books do the sums (``ledger.query``); here prices are laid beside them, and lines made of them.  No clock: the newest fact says
when now is, or ``as_of_s``.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import NamedTuple

from wattledger.accounting import made_up
from wattledger.accounting.embodied.booking import Embodieds, embodied
from wattledger.accounting.embodied.made import Made, together
from wattledger.accounting.report_ask import BUCKETS_S, DAY_S, Ask, Rules, of_day
from wattledger.accounting.report_coverage import Coverage, coverage
from wattledger.accounting.report_prices import PriceLists, contract_time, has_market, price_lists
from wattledger.accounting.report_slots import Slots, slots
from wattledger.accounting.report_sums import Sums
from wattledger.accounting.report_tokens import Found, Share, Tokens, tokens_of
from wattledger.ledger import query
from wattledger.ledger.books import Books
from wattledger.ledger.query import Priced, Scope, Worked

Group = tuple[str, ...]
Place = tuple[Group, int | None]  # a line, or a piece of it by its start
NO_WORK = (0, 0, 0, 0)


class UnknownName(ValueError):
    """Nothing of that name is in the books; ``names``: what is."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = names


class Line(NamedTuple):
    """One row: of a ``group`` or, with ``bucket_s``, of a piece of its time.  ``work`` in the order of ``WorkFact``'s counts.

    ``tokens``: of a model whose energy was divided among them; ``shares``: by tenant, where that was asked for.  ``made``: its part
    of what it took to make the machines, ``None`` where that is not known.
    """

    group: Group
    bucket_s: int | None
    sums: Sums
    work: tuple[int, ...]
    hosts: tuple[str, ...] = ()
    runs: int = 0
    pieces: tuple["Line", ...] = ()
    tokens: Tokens | None = None
    shares: tuple[Share, ...] = ()
    made: Made | None = None


class Report(NamedTuple):
    """The answer.  ``coverage``: ``None`` where not worked out; ``true_up_ug``: inventory less operational, of whole years."""

    ask: Ask
    lines: tuple[Line, ...]
    total: Line
    coverage: Coverage | None
    true_up_ug: Fraction | None
    why_no_market: str
    notes: tuple[str, ...]
    embodied: Embodieds | None = None


class Counted(NamedTuple):
    """What the books said of a report's scope."""

    slots: Slots
    lists: PriceLists
    rows: Sequence[Priced]


def report(books: Books, ask: Ask, rules: Rules | None = None) -> Report:
    """Work a report out.  Raises UnknownName, LedgerError, and ValueError for a span that ends before it begins."""
    rules, ask = rules or Rules(), of_day(ask)
    if ask.from_s is not None and ask.to_s is not None and ask.from_s >= ask.to_s:
        raise ValueError("the report would end before it begins: --from must be before --to")
    if ask.by == "tenant" and ask.kind != "model":
        raise ValueError(f"tenants ask models, and no {ask.kind} is divided among them: report model --by tenant")
    scope = Scope(ask.kind, ask.name, ask.from_s, ask.to_s)
    counted = count(books, scope, ask, rules)
    work = query.work(books.connection, scope, ask.bucket_s)
    sums = _sums(ask, counted)
    tokens = tokens_of(books, ask, rules, sums)
    if ask.name is not None and not counted.rows and not work and not tokens.tokens:
        _check_name(books, ask)
    made = embodied(books, ask, rules) if rules.embodied else None
    lines = _lines(ask, sums, work, (tokens, made.lines() if made is not None else {}), books)
    total = _total(lines)
    covered = _coverage(books, scope, rules)
    notes = (*_notes(books, ask, counted, covered, rules), *_token_notes(lines), *(made.notes if made is not None else ()))
    return Report(ask, lines, total, covered, _true_up(ask, total.sums), counted.lists.why_no_market, notes, made)


def count(books: Books, scope: Scope, ask: Ask, rules: Rules, *, apart: bool = False) -> Counted:
    """Put the prices of a scope beside its energy in the books, and have it summed."""
    connection = books.connection
    windows = query.windows(connection, scope)
    used = query.consumption(connection, *contract_time(books.other, ask.from_s, ask.to_s)) if has_market(books.other) else []
    now = ask._replace(as_of_s=ask.as_of_s if ask.as_of_s is not None else books.last_s)
    lists = price_lists(windows, used, books.other, now, rules)
    made = slots(windows, lists.lists, ask, apart=apart)
    books.fill("slots", query.SLOTS, made.rows)
    return Counted(made, lists, query.priced(connection, scope))


def _check_name(books: Books, ask: Ask) -> None:
    assert ask.name is not None
    names = query.names(books.connection, ask.kind) if ask.kind in query.NAMED else []
    if ask.name not in names:
        # Of books opened for a time, what was recorded before it was not looked at.
        since = f" since {iso_time(ask.from_s)}" if ask.from_s is not None and ask.kind != "day" else ""
        raise UnknownName(f"no {ask.kind} {ask.name!r} in the books{since}", names)


def _sums(ask: Ask, counted: Counted) -> dict[tuple[Group, int | None], Sums]:
    sums: dict[tuple[Group, int | None], Sums] = {}
    for row in counted.rows:
        combo = counted.slots.combos[row.combo]
        sums.setdefault((_group(ask, row.group, combo.bucket_s), combo.bucket_s), Sums()).add(row, combo)
    return sums


def _lines(
    ask: Ask, sums: Mapping[Place, Sums], work: Sequence[Worked], beside: tuple[Found, Mapping[Place, Made]], books: Books
) -> tuple[Line, ...]:
    tokens, made = beside
    done: dict[tuple[Group, int | None], tuple[int, ...]] = {}
    for each in work:
        bucket = each.bucket_s if ask.bucket_s is not None else None
        key = _group(ask, each.group, bucket), bucket
        done[key] = tuple(a + b for a, b in zip(done.get(key, NO_WORK), each[2:], strict=True))
    hosts = _by_group(ask, query.hosts(books.connection, _scope(ask)))
    runs = _by_group(ask, query.runs(books.connection, _scope(ask)))
    by_group: dict[Group, list[Line]] = {}
    made = {(_group(ask, group, bucket), bucket): each for (group, bucket), each in made.items()}
    for key in sorted({*sums, *done, *tokens.tokens, *made}, key=lambda key: (key[0], key[1] or 0)):
        piece = Line(*key, sums.get(key, Sums()), done.get(key, NO_WORK), tokens=tokens.tokens.get(key), made=made.get(key))
        by_group.setdefault(key[0], []).append(piece)
    lines = []
    for group, pieces in by_group.items():
        whole = _total(pieces)._replace(group=group, tokens=_together(pieces), shares=tokens.shares.get(group, ()))
        shown = tuple(pieces) if ask.by in BUCKETS_S else ()
        lines.append(whole._replace(hosts=hosts.get(group, ()), runs=len(runs.get(group, ())), pieces=shown))
    return tuple(lines)


def _together(pieces: Sequence[Line]) -> Tokens | None:
    there = [piece.tokens for piece in pieces if piece.tokens is not None]
    if len(there) < 2:
        return there[0] if there else None
    whole = Tokens()
    for each in there:
        whole.merge(each)
    return whole


def _scope(ask: Ask) -> Scope:
    return Scope(ask.kind, ask.name, ask.from_s, ask.to_s)


def _group(ask: Ask, group: Group, bucket_s: int | None) -> Group:
    return group if ask.kind != "day" else (iso_day(bucket_s or 0),)


def _by_group(ask: Ask, rows: Sequence[tuple[str, ...]]) -> dict[Group, tuple[str, ...]]:
    """(group…, one) → those by group.  A day's are not told apart."""
    found: dict[Group, list[str]] = {}
    for row in rows if ask.kind != "day" else ():
        found.setdefault(row[:-1], []).append(row[-1])
    return {group: tuple(names) for group, names in found.items()}


def _total(lines: Sequence[Line]) -> Line:
    """All lines as one."""
    whole, work = Sums(), NO_WORK
    for line in lines:
        whole.merge(line.sums)
        work = tuple(a + b for a, b in zip(work, line.work, strict=True))  # type: ignore[assignment]
    hosts = sorted({host for line in lines for host in line.hosts})
    return Line((), None, whole, work, tuple(hosts), made=together(line.made for line in lines))


def _coverage(books: Books, scope: Scope, rules: Rules) -> Coverage | None:
    whole = scope._replace(name=scope.name if scope.kind in ("device", "host") else None)
    if query.rows(books.connection, whole) > rules.coverage_rows:
        return None
    return coverage(query.seen(books.connection, whole), books.holding, scope.from_s, scope.to_s)


def _true_up(ask: Ask, total: Sums) -> Fraction | None:
    """Only of whole calendar years, of all energy, and where both bases stand on one boundary."""
    if ask.name is not None or ask.from_s is None or ask.to_s is None or not (_new_year(ask.from_s) and _new_year(ask.to_s)):
        return None
    boundaries = {price.boundary for basis in ("operational", "inventory") for price in total.of(f"{basis} energy")}
    if len(boundaries) != 1:
        return None
    return total.emitted_ug("inventory") - total.emitted_ug("operational")


def _new_year(time_s: int) -> bool:
    return time_s % DAY_S == 0 and iso_day(time_s).endswith("-01-01")


def _notes(books: Books, ask: Ask, counted: Counted, covered: Coverage | None, rules: Rules) -> list[str]:
    notes = [*made_up.notes(made_up.within(books, _scope(ask))), *counted.lists.notes]
    if counted.lists.why_no_market:
        notes.append(f"market-based: not known: {counted.lists.why_no_market}")
    if ask.marginal and not any(lists.marginal for lists in counted.lists.lists.values()):
        notes.append("marginal: not known: no provider said any of these zones and times")
    if any(row.pue_milli == 0 for row in counted.rows):
        notes.append("PUE is not known everywhere and not applied there: those grams are for the IT energy alone ([facility] pue)")
    if "" in counted.lists.lists:
        stands_in = f"{rules.zone} is taken for it, as configured"
        stands_in = stands_in if rules.zone else "the world average stands in (--zone names it)"
        notes.append(f"some energy is of no known grid zone: {stands_in}")
    if books.unfound:
        why = "rolled up since (compact again), or of another chain"
        facts = "1 corrected fact is not in these books by itself" if books.unfound == 1 else (
            f"{books.unfound} corrected facts are not in these books by themselves")  # fmt: skip
        notes.append(f"{facts}: {why}")
    if books.doubled:
        who = "an agent or by the program that started theirs"
        windows = "1 window of a program was" if books.doubled == 1 else f"{books.doubled} windows of programs were"
        notes.append(f"{windows} metered by {who} too: that one's word is counted")
    if books.blurred:
        when = "their hour was rolled up since, and its last fact was learnt later"
        notes.append(f"{books.blurred} sums are left out by --as-of, though part of them was known then: {when}")
    if covered is None:
        notes.append("coverage: not worked out over so many rows; ask for a device, a host or a shorter time")
    elif covered.gaps:
        many = "s" if covered.gaps > 1 else ""
        notes.append(f"{covered.gaps} gap{many}, {covered.gaps_ms / 1000:.1f} s together, in which a device drew nobody knows what")
    return notes


def _token_notes(lines: Sequence[Line]) -> list[str]:
    if not any(line.tokens is not None and line.tokens.weak_uj for line in lines):
        return []
    return ["weak (~): the data could not tell prompt from generated tokens everywhere: there, their prices stand on a prior"]


def iso_day(time_s: int) -> str:
    """The day of a time, UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d")


def iso_time(time_s: int) -> str:
    """A time, UTC, to the second."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
