"""After every tick: one frozen snapshot, which everybody reads and nobody changes."""

from collections.abc import Callable, Mapping

from wattledger.core.model import Instant
from wattledger.core.pipeline import Pipeline
from wattledger.core.totals import Health, Sent, Snapshot, State, led_in


class Publisher:
    """State: the snapshot that is shown, the one made last, and when; references that are replaced, never mutated.

    ``label_names``: labels exported beside job and model; ``sent``: how the exporters fare.
    """

    def __init__(self, label_names: tuple[str, ...], sent: Callable[[], Mapping[str, Sent]]) -> None:
        self._label_names, self._sent = label_names, sent
        self._last: Snapshot | None = None
        self.shown: Snapshot | None = None
        self.at: Instant | None = None

    def publish(self, pipeline: Pipeline, health: Mapping[str, Health], *, at: Instant, late_s: float) -> None:
        """Make and show the next one; called under the sampler's lock."""
        state = State(pipeline.factors.get("grid"), health, self._sent(), late_s, self._label_names)
        now = pipeline.totals.snapshot(state)
        self.shown, self._last, self.at = now if self._last is None else led_in(self._last, now), now, at

    @property
    def final(self) -> Snapshot | None:
        """Everything that was metered, for the last delivery."""
        return self._last
