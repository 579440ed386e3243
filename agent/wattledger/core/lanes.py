"""A device's cumulative energy as a curve in time, so that any stretch between two instants can be cut out of it exactly."""

from wattledger.core.model import Device, Interval, Method
from wattledger.core.units import NS_PER_S


class EnergyCurve:
    """Knots (time, cumulative microjoules) of one device and method over the open cell; straight lines in between.

    A register that did not move since the last reading adds no knot: the energy that lands later belongs to the whole time since it
    last moved, so a span shorter than the refresh period gets its share by time.  Cutting is telescopic: stretches that cover the
    cell sum to it, as ints.
    """

    __slots__ = ("_cums", "_flat_ns", "_times", "device", "known_uw", "method")

    def __init__(self, interval: Interval) -> None:
        self.device: Device = interval.device
        self.method: Method = interval.method
        self.known_uw: int | None = None  # the latest trustworthy mean power, for stretches too short to see
        self._times: list[int] = [interval.start.mono_ns]
        self._cums: list[int] = [0]
        self._flat_ns: int | None = None

    def add(self, interval: Interval) -> None:
        """Append an interval; one that does not begin where the last ended leaves a flat hole (unknown, not invented)."""
        if interval.start.mono_ns > self.end_ns:
            self._knot(interval.start.mono_ns, 0)
        if not interval.energy_uj and interval.method == "counter":
            self._flat_ns = interval.end.mono_ns
        else:
            self._knot(interval.end.mono_ns, interval.energy_uj)

    def _knot(self, at_ns: int, rise_uj: int) -> None:
        if self._flat_ns is not None and not rise_uj and at_ns > self._flat_ns:
            self._times.append(self._flat_ns)
            self._cums.append(self._cums[-1])
        self._flat_ns = None
        total_uj = self._cums[-1] + rise_uj
        if len(self._times) > 1 and self.method == "counter" and at_ns - self._times[-1] < self.device.refresh_ns:
            # Two moves within one refresh period are one stretch: what landed in 10 ms was drawn over 100.
            self._times.pop()
            self._cums.pop()
        self._times.append(at_ns)
        self._cums.append(total_uj)

    @property
    def end_ns(self) -> int:
        """When the last reading was taken."""
        return self._times[-1] if self._flat_ns is None else self._flat_ns

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
        """End the cell at the last reading.  Where the register has rested for less than its refresh period, what landed last is spread
        up to now: it belongs to a time we can only tell within that period, and a span in it gets its share by time."""
        if self._flat_ns is None:
            return
        if len(self._times) > 1 and self._flat_ns - self._times[-1] < self.device.refresh_ns:
            self._times[-1], self._flat_ns = self._flat_ns, None
        else:
            self._knot(self._flat_ns, 0)

    def restart(self) -> None:
        """Begin the next cell where this one ended."""
        if self.span_ns >= max(self.device.refresh_ns, 1) and self.energy_uj:
            self.known_uw = self.mean_uw()
        self._times, self._cums, self._flat_ns = [self.end_ns], [0], None
