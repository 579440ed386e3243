"""A span that the agent measures, as its program keeps it: what the agent said of it so far, and the times when it was away."""

from collections.abc import Mapping

from wattledger.core.accounts import SpanAccount, merge
from wattledger.core.model import Boundary, Device, Gap, Instant

AWAY = "the agent was away, or heard of it late"
LATE_NS = 5_000_000  # less is the way of a line through the socket


class Held:
    """State: the last account the agent gave and its time, pieces from before it went away, and the holes between them.

    ``dark``: since when nothing is known, while the agent is away; ``told``: it was told of this span at all.
    """

    __slots__ = ("_at", "_holes", "_last", "_pieces", "_since", "boundary", "dark", "left", "told")

    def __init__(self, boundary: Boundary, *, told: bool) -> None:
        self.boundary, self.told = boundary, told
        self.left: Instant | None = None
        self.dark: Instant | None = None
        self._last: SpanAccount | None = None
        self._at = self._since = boundary.at
        self._pieces: list[SpanAccount] = []
        self._holes: list[tuple[Instant, Instant]] = []

    @property
    def entered(self) -> Instant:
        return self.boundary.at

    @property
    def known_until(self) -> Instant:
        """The time of the last account."""
        return self._at

    @property
    def has_account(self) -> bool:
        return self._last is not None or bool(self._pieces)

    def hear(self, account: SpanAccount, at: Instant, *, since: Instant) -> None:
        """The agent's account as of ``at``, of the time ``since`` it was told."""
        if self._last is None and since.mono_ns - self._since.mono_ns > LATE_NS:
            self._holes.append((self._since, since))
        self._last, self._at = account, max(at, self.entered)

    def lost(self) -> None:
        """The agent is away: what it said last is all that it will say of this time."""
        if self.dark is not None:
            return
        if self._last is not None:
            self._last.left = self._at
            self._pieces.append(self._last)
            self._last = None
        self.dark = self._at

    def back(self, at: Instant) -> None:
        """The agent is there again, and has begun anew."""
        if self.dark is not None:
            self._holes.append((self.dark, at))
            self.dark, self._at = None, at
            self._since = at

    def whole(self, devices: Mapping[str, Device], *, now: Instant) -> SpanAccount:
        """One account of all that is known, with a gap for each device where nothing is."""
        end = self.left or now
        holes = [*self._holes, *([(self.dark, end)] if self.dark is not None and self.dark < end else [])]
        first = SpanAccount(self.boundary)
        account = merge([first, *self._pieces, *([self._last] if self._last is not None else [])])
        account.left, account.thread = self.left, self.boundary.thread
        seen = {device_id for device_id, _ in account.lanes}
        for device_id in sorted(seen):
            if devices[device_id].inside is None:
                account.gaps += [Gap(devices[device_id], start, to, AWAY) for start, to in holes]
        return account
