"""After every tick: one frozen snapshot, which everybody reads and nobody changes."""

from collections.abc import Callable, Mapping

from wattledger.core.model import Instant
from wattledger.core.pipeline import Pipeline
from wattledger.core.totals import Sent, Snapshot, State, led_in, powered


class Publisher:
    """State: the snapshot that is shown, the two made last, and when; references that are replaced, never mutated.

    ``label_names``: labels exported beside job and model; ``sent``: how the exporters fare.
    """

    def __init__(self, label_names: tuple[str, ...], sent: Callable[[], Mapping[str, Sent]]) -> None:
        self._label_names, self._sent = label_names, sent
        self._last: Snapshot | None = None
        self.shown: Snapshot | None = None
        self.at: Instant | None = None
        self._pair: tuple[Snapshot, Snapshot, int] | None = None

    def publish(self, pipeline: Pipeline, state: State, at: Instant) -> None:
        """Make and show the next one, with what ``state`` says beside the sums; called under the sampler's lock."""
        state = state._replace(grid=pipeline.factors.get("grid"), sent=self._sent(), label_names=self._label_names)
        now = pipeline.totals.snapshot(state)
        if self._last is not None and self.at is not None and at.mono_ns > self.at.mono_ns:
            self._pair = self._last, now, at.mono_ns - self.at.mono_ns
        self.shown, self._last, self.at = now if self._last is None else led_in(self._last, now), now, at

    def powered(self) -> Snapshot | None:
        """The newest, with the power of each share over the last cell; made on the caller's thread, and ``None`` before there are
        two."""
        pair = self._pair
        return None if pair is None else powered(*pair)

    @property
    def final(self) -> Snapshot | None:
        """Everything that was metered, for the last delivery."""
        return self._last
