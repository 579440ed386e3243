"""Who used and who holds what: activities differenced over the cell, holdings and claims as they stand."""

from collections.abc import Container, Mapping

from wattledger.core.attribution import PPM
from wattledger.core.model import IDLE, OTHER, RESERVED, Activity, Claim, Device, Holding, Workload


class Usage:
    """State: cumulative use at the last look, weights gathered since the cell began, current holders and claims.

    A device's own entry goes before that of its kind: the pseudo-device ``cpu`` stands for all packages.
    """

    def __init__(self) -> None:
        self._claims: dict[str, Workload] = {}
        self._holders: dict[str, dict[str, float]] = {}
        self._used: dict[tuple[str, str], tuple[int, int]] = {}
        self._weights: dict[str, dict[str, int]] = {}
        self._units: dict[str, str] = {}
        self._ended: list[str] = []

    def claim(self, sample: Claim) -> None:
        """From now on a process works for a workload; one that ended is forgotten when the cell has been paid for."""
        if sample.workload is None:
            self._ended.append(sample.who)
            return
        if sample.who in self._ended:
            self._ended.remove(sample.who)
            self._forget(sample.who)
        self._claims[sample.who] = sample.workload

    def use(self, sample: Activity) -> None:
        """Cumulative use becomes weight in this cell; a first look is only a baseline."""
        key = sample.device_id, sample.who
        looked_ns, before = self._used.get(key, (-1, None))
        if sample.at.mono_ns <= looked_ns:
            return  # two looks raced: the newer has been taken
        self._used[key] = sample.at.mono_ns, sample.used
        if sample.unit != "idle_ns":
            self._units[sample.device_id] = sample.unit
        if before is not None and sample.used > before:
            weights = self._weights.setdefault(sample.device_id, {})
            weights[sample.who] = weights.get(sample.who, 0) + sample.used - before

    def hold(self, sample: Holding) -> None:
        """A reservation begins, changes or (0) ends."""
        parts = self._holders.setdefault(sample.device_id, {})
        if sample.part > 0:
            parts[sample.who] = sample.part
        else:
            parts.pop(sample.who, None)

    def weights(self, device: Device) -> Mapping[Workload, int]:
        """Use of a device in this cell by workload, ``(idle)`` included where a source said it."""
        found: dict[Workload, int] = {}
        for who, used in (self._weights.get(device.id) or self._weights.get(device.kind, {})).items():
            workload = self._who(who)
            found[workload] = found.get(workload, 0) + used
        return found

    def parts_ppm(self, device: Device) -> dict[Workload, int]:
        """What each workload holds of a device, parts per million."""
        parts: dict[Workload, int] = {}
        for who, part in (self._holders.get(device.id) or self._holders.get(device.kind, {})).items():
            workload = self._who(who)
            parts[workload] = parts.get(workload, 0) + int(part * PPM)
        return parts

    def unit(self, device: Device) -> str:
        """What the use of a device was counted in."""
        return self._units.get(device.id) or self._units.get(device.kind, "")

    def close(self, paid: Container[str]) -> None:
        """The devices (and kinds) in ``paid`` have yielded energy, which their weights have split; those of others go on
        gathering."""
        self._weights = {device_id: found for device_id, found in self._weights.items() if device_id not in paid}
        for who in self._ended:
            self._claims.pop(who, None)
            self._forget(who)
        self._ended = []

    def _forget(self, who: str) -> None:
        """A process that ended: its id may come back as another's."""
        for device_id in [d for d, known in self._used if known == who]:
            del self._used[device_id, who]
        for parts in self._holders.values():
            parts.pop(who, None)

    def _who(self, who: str) -> Workload:
        return RESERVED.get(who) or self._claims.get(who) or OTHER


def used_of(device: Device, weights: Mapping[Workload, int]) -> dict[Workload, int]:
    """Weights that dynamic energy is split by: CPU idle time is not a use of the CPU, but a free GPU's or free memory's energy is
    ``(idle)``."""
    return {w: used for w, used in weights.items() if w != IDLE or device.kind != "cpu"}
