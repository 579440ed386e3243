"""After every tick: one frozen snapshot, which everybody reads and nobody changes."""

from collections.abc import Callable, Mapping

from wattledger.core.model import Instant
from wattledger.core.pipeline import Pipeline
from wattledger.core.totals import STALE_NS, Growth, Sent, Snapshot, State, led_in, powered

FORGOTTEN_NS = 120_000_000_000


class Publisher:
    """State: the snapshot that is shown, the one made last, and when; of each device when its energy grew last, and with which
    snapshots; references that are replaced, never mutated, but for ``_grew``, which only ``publish`` knows.

    ``label_names``: labels exported beside job and model; ``sent``: how the exporters fare.
    """

    def __init__(self, label_names: tuple[str, ...], sent: Callable[[], Mapping[str, Sent]]) -> None:
        self._label_names, self._sent = label_names, sent
        self._last: Snapshot | None = None
        self.shown: Snapshot | None = None
        self.at: Instant | None = None
        self._grew: dict[str, tuple[Snapshot, int]] = {}
        self._growths: Mapping[str, Growth] = {}

    def publish(self, pipeline: Pipeline, state: State, at: Instant) -> None:
        """Make and show the next one, with what ``state`` says beside the sums; called under the sampler's lock."""
        state = state._replace(grid=pipeline.factors.get("grid"), sent=self._sent(), label_names=self._label_names)
        now = pipeline.totals.snapshot(state)
        self._growths = self._grown(now, at.mono_ns)
        self.shown, self._last, self.at = now if self._last is None else led_in(self._last, now), now, at

    def _grown(self, now: Snapshot, at_ns: int) -> Mapping[str, Growth]:
        """What has not grown for twice as long as it usually takes draws nobody knows what; and its snapshots are let go."""
        before = {} if self._last is None else self._last.device_energy_uj
        self._grew = {device: (then, ns) for device, (then, ns) in self._grew.items() if at_ns - ns <= FORGOTTEN_NS}
        ages_ns = {device: at_ns - ns for device, (_, ns) in self._grew.items()}
        known = self._growths.items()
        found = {of: g for of, g in known if ages_ns.get(of, FORGOTTEN_NS) <= max(STALE_NS, 2 * g.elapsed_ns)}
        for device in {device for (device, method), uj in now.device_energy_uj.items() if uj != before.get((device, method))}:
            earlier = self._grew.get(device)
            if earlier is not None and at_ns > earlier[1]:
                found[device] = Growth(earlier[0], now, at_ns - earlier[1])
            self._grew[device] = now, at_ns
        return found

    def powered(self) -> Snapshot | None:
        """What is shown, with the power of each share of late; made on the caller's thread, and ``None`` before there is one."""
        shown, growths = self.shown, self._growths
        return None if shown is None else powered(shown, growths)

    @property
    def final(self) -> Snapshot | None:
        """Everything that was metered, for the last delivery."""
        return self._last
