"""What a served model's tokens cost: its energy by kind (prompt, generated, standby, overhead), per token, and who asked for it.

The divided energy is priced by the same price lists as energy facts, hour by hour, so where all of a model's energy was divided its
kinds' grams sum to its grams.  Intervals are those of the energy: of its sensors, and of how devices were shared.  How sure the
division into kinds is, they do not say; where it stood on a prior it is ``weak``.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import sqrt
from typing import NamedTuple

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.report_prices import price_lists
from wattledger.accounting.report_slots import Combo, slots
from wattledger.accounting.report_sums import UG_PER_G, UJ_PER_J, Sums
from wattledger.core.uncertainty import Quantity
from wattledger.factors import gains
from wattledger.ledger import query_tokens as query
from wattledger.ledger.books import Books
from wattledger.ledger.query import SLOTS, Priced, Scope, Window
from wattledger.ledger.query_tokens import KINDS, Served

Group = tuple[str, ...]
Place = tuple[Group, int | None]  # a line of a report, or a piece of it by its start
UNRECORDED = "(unrecorded)"  # tokens whose requests nobody told
NO_WORK = Served((), 0, 0, 0, 0, 0, 0, 0)


class Tokens:
    """State: of one line, the energy by kind, how much of it was divided weakly, and what was done with it."""

    def __init__(self) -> None:
        self.kinds = {kind: Sums() for kind in KINDS}
        self.weak_uj = Fraction(0)
        self.done = NO_WORK

    def add(self, row: query.Divided, combo: Combo, whole: Sums) -> None:
        """What the books say of one sensor and price class; ``whole``: the line's energy, which this is a part of."""
        model, spread = _device_model(whole, row), _spread(whole)
        for kind, uj, priced in zip(KINDS, row.energy, row.priced, strict=True):
            self.kinds[kind].add(_as_energy(row, model, (uj, priced), int(uj * spread)), combo)
        self.weak_uj += Fraction(row.weak, row.den)

    def merge(self, other: "Tokens") -> None:
        """Add another piece of the same line."""
        for kind, sums in other.kinds.items():
            self.kinds[kind].merge(sums)
        self.weak_uj += other.weak_uj
        self.count(other.done)

    def count(self, done: Served) -> None:
        """Add work."""
        self.done = Served((), 0, *(a + b for a, b in zip(self.done[2:], done[2:], strict=True)))

    def energy_uj(self) -> Fraction:
        """All kinds together."""
        return sum((sums.energy_uj() for sums in self.kinds.values()), Fraction(0))

    def tokens(self, kind: str) -> int:
        """How many of them."""
        return {"prompt": self.done.prompt_tokens, "generated": self.done.generated_tokens}[kind]


class Share(NamedTuple):
    """What one tenant asked of a line, and got: tokens and joules by kind (prompt, generated), the grams of both, as far as known.

    ``requests`` of ``None``: of tokens whose requests nobody told.
    """

    tenant: str
    requests: int | None
    tokens: Mapping[str, int]
    energy_j: Mapping[str, Quantity]
    emissions_g: Quantity | None
    cached_tokens: int | None = None


class Found(NamedTuple):
    """Tokens by line or piece, and tenants by line, where they were asked for."""

    tokens: Mapping[Place, Tokens]
    shares: Mapping[Group, tuple[Share, ...]]


NOTHING = Found({}, {})


def tokens_of(books: Books, ask: Ask, rules: Rules, sums: Mapping[Place, Sums]) -> Found:
    """Of a report of models; ``sums``: the energy of its lines and pieces."""
    if ask.kind != "model" or not query.open_tables(books):
        return NOTHING
    connection, scope = books.connection, Scope(ask.kind, ask.name, ask.from_s, ask.to_s)
    combos = _price(books, ask, rules, "allocation_slots", query.windows(connection, scope, requests=False))
    found: dict[Place, Tokens] = {}
    for row in query.divided(connection, scope):
        place = row.group, combos[row.combo].bucket_s
        found.setdefault(place, Tokens()).add(row, combos[row.combo], sums.get(place, Sums()))
    for done in query.served(connection, scope, ask.bucket_s):
        found.setdefault((done.group, done.bucket_s if ask.bucket_s is not None else None), Tokens()).count(done)
    if ask.by != "tenant":
        return Found(found, {})
    return Found(found, _shares(books, ask, rules, found))


def _price(books: Books, ask: Ask, rules: Rules, table: str, windows: Sequence[Window]) -> list[Combo]:
    """Fill a table of slots for these windows."""
    now = ask._replace(as_of_s=ask.as_of_s if ask.as_of_s is not None else books.last_s)
    lists = price_lists(windows, (), books.other, now, rules).lists if windows else {}
    made = slots(windows, lists, ask)
    books.fill(table, SLOTS, made.rows)
    return made.combos


def _as_energy(row: query.Divided | query.Asked, device_model: str, amounts: tuple[int, int], spread: int) -> Priced:
    component, method = (row.component, row.method) if isinstance(row, query.Divided) else ("", "")
    bases = amounts[1], *[0] * 5
    return Priced(
        row.group, component, device_model, method, "", row.pue_milli, row.combo, row.den, "", amounts[0], spread, bases,
        1, row.first_s, row.last_s,
    )  # fmt: skip


def _device_model(whole: Sums, row: query.Divided) -> str:
    """An allocation is of all devices of a component: the sensor that may be off by most stands for them."""
    like = [s.device_model for s in whole.of("energy") if (s.component, s.method) == (row.component, row.method)]
    return max(like, key=lambda model: gains.gain(row.component, model, row.method).g95, default="")  # type: ignore[arg-type]


def _spread(whole: Sums) -> Fraction:
    energy_uj = whole.energy_uj()
    return sum(whole.of("spread").values(), Fraction(0)) / energy_uj if energy_uj else Fraction(0)


# --- who asked --------------------------------------------------------------------------------------------------------------


def _shares(books: Books, ask: Ask, rules: Rules, found: Mapping[Place, Tokens]) -> dict[Group, tuple[Share, ...]]:
    connection, scope = books.connection, Scope(ask.kind, ask.name, ask.from_s, ask.to_s)
    # A request counts whole, where it began: its window is not cut where the report ends.
    whole = ask._replace(from_s=None, to_s=None)
    combos = _price(books, whole, rules, "request_slots", query.windows(connection, scope, requests=True))
    got: dict[tuple[Group, str], dict[str, Sums]] = {}
    for row in query.asked(connection, scope):
        mine = got.setdefault((row.group, row.tenant), {"prompt": Sums(), "generated": Sums()})
        both = sum(row.energy)
        for kind, uj, priced in zip(KINDS, row.energy, row.priced, strict=False):
            mine[kind].add(_as_energy(row, "", (uj, priced), row.spread * uj // both if both else 0), combos[row.combo])
    shares: dict[Group, list[Share]] = {group: [] for group, _ in found}
    left = {group: _Left(tokens) for (group, _), tokens in found.items()}
    for each in query.tenants(connection, scope):
        if each.group in left:
            shares[each.group].append(left[each.group].take(each, got[each.group, each.tenant]))
    for group, rest in left.items():
        shares[group] += rest.unrecorded()
    return {group: tuple(each) for group, each in shares.items()}


class _Left:
    """State: what of a line's prompt and generated energy, grams and tokens no request has got yet."""

    def __init__(self, tokens: Tokens) -> None:
        self._whole = tokens
        self._uj = {kind: tokens.kinds[kind].energy_uj() for kind in KINDS[:2]}
        self._ug = sum((tokens.kinds[kind].emitted_ug("operational") for kind in KINDS[:2]), Fraction(0))
        self._tokens = {kind: tokens.tokens(kind) for kind in KINDS[:2]}

    def take(self, each: query.Tenant, got: Mapping[str, Sums]) -> Share:
        """One tenant's part."""
        tokens = {"prompt": each.prompt_tokens, "generated": each.generated_tokens}
        spread_uj = {kind: sum(sums.of("spread").values(), Fraction(0)) for kind, sums in got.items()}
        uj = {kind: sums.energy_uj() for kind, sums in got.items()}
        ug = sum((sums.emitted_ug("operational") for sums in got.values()), Fraction(0))
        for kind in got:
            self._uj[kind] -= uj[kind]
            self._tokens[kind] -= tokens[kind]
        self._ug -= ug
        part = sum(spread_uj.values(), Fraction(0)) / sum(uj.values()) if any(uj.values()) else Fraction(0)
        energy_j = {kind: self._joules(kind, uj[kind], spread_uj[kind]) for kind in uj if uj[kind]}
        return Share(each.tenant, each.requests, tokens, energy_j, self._grams(ug, ug * part), each.cached_tokens)

    def unrecorded(self) -> list[Share]:
        """What is left; nothing, where requests that crossed the report's ends got more than its windows hold."""
        energy_j = {kind: self._joules(kind, uj, Fraction(0)) for kind, uj in self._uj.items() if uj > 0}
        tokens = {kind: count for kind, count in self._tokens.items() if count > 0}
        return [Share(UNRECORDED, None, tokens, energy_j, self._grams(self._ug, Fraction(0)))] if energy_j else []

    def _joules(self, kind: str, uj: Fraction, spread_uj: Fraction) -> Quantity:
        return _like(uj / UJ_PER_J, spread_uj / UJ_PER_J, self._whole.kinds[kind].energy_j(shared=True))

    def _grams(self, ug: Fraction, spread_ug: Fraction) -> Quantity | None:
        if ug <= 0:
            return None
        both = Sums()
        for kind in KINDS[:2]:
            both.merge(self._whole.kinds[kind])
        return _like(ug / UG_PER_G, spread_ug / UG_PER_G, both.emissions_g("operational", shared=True))


def _like(part: Fraction, spread: Fraction, whole: Quantity) -> Quantity:
    """A part of ``whole``: as far off as it is, and independently of that by its own ``spread``."""
    value, edge = float(part), float(spread)
    if whole.value <= 0:
        return Quantity(value, 0.0, value + edge)
    down, up = (value * abs(end / whole.value - 1) for end in (whole.low, whole.high))
    return Quantity(value, max(0.0, value - sqrt(down**2 + edge**2)), value + sqrt(up**2 + edge**2))
