"""How much of what an engine counted its request records explain, and its energy on the way to them, in ints."""

from wattledger.core.units import NS_PER_S, seconds

HALF_LIFE_S = 300.0
WHOLE = 0.98  # rounding and timing: records that explain so much explain all
LEAD = 0.97  # by how much, at most, records may lead the counter: a long stretch is no excuse for all that was not told
CARRIED_NS = 60 * NS_PER_S  # so long energy waits for a record to have weight before it is nobody's


class Coverage:
    """Tokens of one kind, by records and by the engine's counter, over the last minutes (both forgetting alike)."""

    __slots__ = ("_counted", "_recorded")

    def __init__(self) -> None:
        self._counted = self._recorded = 0.0

    def part(self, recorded: float, counted: float, duration_ns: int, *, leeway: float = 0.0) -> float:
        """kappa of a stretch: 1 where records explain everything lately, else as many of its tokens as they have, from 0 to 1.

        ``leeway``: tokens by which records in progress may still be behind the counter.  Records may also lead it by a stretch: a
        prompt is counted when it has been computed.
        """
        kept = 0.5 ** (seconds(duration_ns) / HALF_LIFE_S)
        self._recorded = self._recorded * kept + recorded
        self._counted = self._counted * kept + counted
        if not self._counted or (self._recorded and self._recorded + leeway >= WHOLE * max(kept, LEAD) * self._counted):
            return 1.0
        return min(1.0, recorded / counted) if counted else 0.0


class Purse:
    """The pool of one kind of token on its way to records, in ints; nothing in it is ever lost or made.

    ``owed_uj``: given to records in progress, who have not landed; ``carried_uj``: waiting for a record with weight, since
    ``since_ns``; ``nobody_uj``: what no record explains.  ``part``: the fraction of a microjoule that rounding still owes.
    """

    __slots__ = ("carried_uj", "nobody_uj", "owed_uj", "part", "since_ns", "tokens")

    def __init__(self) -> None:
        self.owed_uj = self.carried_uj = self.nobody_uj = self.since_ns = 0
        self.part = self.tokens = 0.0

    def fill(self, pool_uj: int, tokens: float, kappa: float, *, weighed: bool, end_ns: int) -> int:
        """Take in a stretch's pool, of which records explain ``kappa``; returns what they share in it now."""
        mine_uj = min(pool_uj, round(pool_uj * kappa))
        self.nobody_uj += pool_uj - mine_uj
        self.tokens += tokens * (1 - kappa)
        if not self.carried_uj:
            self.since_ns = end_ns
        self.carried_uj += mine_uj
        if weighed:
            mine_uj, self.carried_uj = self.carried_uj, 0
            self.owed_uj += mine_uj
            return mine_uj
        if end_ns - self.since_ns > CARRIED_NS:
            self.nobody_uj, self.carried_uj = self.nobody_uj + self.carried_uj, 0
        return 0

    def pay(self, exact_uj: float) -> int:
        """Whole microjoules for a request; what rounding took or gave, the next one feels."""
        exact_uj = max(0.0, exact_uj + self.part)
        paid_uj = min(self.owed_uj, round(exact_uj))
        self.part = min(0.5, exact_uj - paid_uj)
        self.owed_uj -= paid_uj
        return paid_uj

    def rest(self) -> None:
        """Nobody is in progress: what rounding left goes to the next who are."""
        self.carried_uj, self.owed_uj = self.carried_uj + self.owed_uj, 0

    def close(self) -> None:
        """Nobody will come any more."""
        self.nobody_uj += self.owed_uj + self.carried_uj
        self.owed_uj = self.carried_uj = 0

    def empty(self) -> tuple[int, int]:
        """Microjoules and tokens that no record explains, taken out."""
        tokens, self.tokens = int(self.tokens), self.tokens % 1.0
        nobody_uj, self.nobody_uj = self.nobody_uj, 0
        return nobody_uj, tokens

    @property
    def pending_uj(self) -> int:
        """What has come in and not been paid out."""
        return self.owed_uj + self.carried_uj + self.nobody_uj


class Recent:
    """What a kind of token cost as of late: energy over tokens, halved each minute, as long as such tokens come."""

    __slots__ = ("_at_ns", "_tokens", "_uj")

    def __init__(self) -> None:
        self._uj = self._tokens = 0.0
        self._at_ns = 0

    def add(self, energy_uj: int, tokens: float, at_ns: int) -> None:
        """A stretch more; one without such tokens tells nothing."""
        if tokens > 0:
            kept = 0.5 ** max(0.0, seconds(at_ns - self._at_ns) / 60)
            self._uj, self._tokens, self._at_ns = self._uj * kept + energy_uj, self._tokens * kept + tokens, at_ns

    @property
    def price_uj(self) -> float | None:
        """Microjoules for each token."""
        return self._uj / self._tokens if self._tokens else None
