"""A device's cumulative energy as a curve in time, so that any stretch between two instants can be cut out of it exactly."""

from wattledger.core.model import Device, Instant, Interval, Method
from wattledger.core.units import NS_PER_S, energy_uj


class EnergyCurve:
    """Knots (time, cumulative microjoules) of one device and method over the open cell; straight lines in between.

    A register shows energy up to one refresh period after it was drawn, so two of its knots closer than that tell nothing of the
    time between them: ``close`` thins them out, and a span shorter than the period gets its share by time.  Cutting is
    telescopic: stretches that cover the cell sum to it, as ints.
    """

    __slots__ = ("_blind", "_cums", "_holes", "_times", "device", "known_uw", "method")

    def __init__(self, interval: Interval) -> None:
        self.device: Device = interval.device
        self.method: Method = interval.method
        self.known_uw: int | None = None  # the latest trustworthy mean power, for stretches too short to see
        self._times: list[int] = [interval.start.mono_ns]
        self._cums: list[int] = [0]
        self._holes: set[int] = set()  # ends of holes: knots that must stay
        self._blind: list[tuple[int, int]] = []  # the holes themselves

    def add(self, interval: Interval) -> None:
        """Append an interval; one that does not begin where the last ended leaves a flat hole (unknown, not invented)."""
        if interval.start.mono_ns > self.end_ns:
            self._holes |= {self.end_ns, interval.start.mono_ns}
            self._blind.append((self.end_ns, interval.start.mono_ns))
            self._times.append(interval.start.mono_ns)
            self._cums.append(self._cums[-1])
        self._times.append(interval.end.mono_ns)
        self._cums.append(self._cums[-1] + interval.energy_uj)

    def go_on(self, at: Instant, hint_uw: int) -> int:
        """Draw on until ``at`` at the last known power, else at ``hint_uw``; gives that energy, microjoules (provisional)."""
        known_uw = self.known_uw if self.known_uw is not None else hint_uw
        start, end = Instant(self.end_ns, at.wall_ns), Instant(max(at.mono_ns, self.end_ns), at.wall_ns)
        uj = energy_uj(known_uw, end.mono_ns - start.mono_ns + self.span_ns)
        self.add(Interval(self.device, start, end, uj, self.method))
        return uj

    @property
    def end_ns(self) -> int:
        """When the last reading was taken."""
        return self._times[-1]

    @property
    def span_ns(self) -> int:
        """Time covered by readings in the open cell."""
        return self.end_ns - self._times[0]

    @property
    def energy_uj(self) -> int:
        """Energy of the open cell."""
        return self._cums[-1]

    def mean_uw(self) -> int:
        """Mean power over the open cell."""
        return self.energy_uj * NS_PER_S // self.span_ns if self.span_ns else 0

    def seen_ns(self, start_ns: int, end_ns: int) -> int:
        """How much of a stretch that lies within the curve was metered: all of it but the holes."""
        blind = sum(max(0, min(end_ns, until) - max(start_ns, since)) for since, until in self._blind)
        return end_ns - start_ns - blind

    def cut(self, ends_ns: list[int]) -> list[int]:
        """Energy of each stretch ending at ``ends_ns`` (ascending); the first begins with the curve, the last ends with it."""
        times, cums = self._times, self._cums
        last, i, before = len(times) - 1, 0, 0
        parts = []
        for end_ns in ends_ns[:-1]:
            while i < last and times[i + 1] <= end_ns:
                i += 1
            if i == last:
                now = cums[-1]
            elif end_ns <= times[i]:
                now = cums[i]
            else:
                now = cums[i] + (cums[i + 1] - cums[i]) * (end_ns - times[i]) // (times[i + 1] - times[i])
            parts.append(now - before)
            before = now
        parts.append(cums[-1] - before)
        return parts

    def close(self) -> None:
        """Keep the first and the last reading, holes, and knots at least one refresh period apart."""
        if self.method != "counter" or len(self._times) < 3:
            return
        refresh_ns, end_ns = self.device.refresh_ns, self.end_ns
        kept = [0]
        for i in range(1, len(self._times) - 1):
            at_ns = self._times[i]
            far = at_ns - self._times[kept[-1]] >= refresh_ns and end_ns - at_ns >= refresh_ns
            if far or at_ns in self._holes:
                kept.append(i)
        kept.append(len(self._times) - 1)
        self._times = [self._times[i] for i in kept]
        self._cums = [self._cums[i] for i in kept]

    def restart(self) -> None:
        """Begin the next cell where this one ended."""
        if self.span_ns >= max(self.device.refresh_ns, 1) and self.energy_uj:
            self.known_uw = self.mean_uw()
        self._times, self._cums, self._holes, self._blind = [self.end_ns], [0], set(), []
