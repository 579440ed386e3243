"""Who used and who holds what: activities differenced over the cell, holdings and claims as they stand."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import assert_never, get_args

from wattledger.core.attribution import PPM, split
from wattledger.core.claims import Claims
from wattledger.core.model import IDLE, OTHER, RESERVED, Activity, By, Claim, Device, Holding, Member, Workload

SILENT_NS = 600_000_000_000  # strangers who did nothing for so long have gone
MOST_WAITING = 8_192  # names that a register which stands still may keep waiting; the ended ones beyond are ``(other)``
FEW = 64  # so many names are not worth a look for strangers

STRENGTH: dict[By, int] = {by: i for i, by in enumerate(get_args(By))}
DEVICE = "device:"  # a MIG slice is part of its GPU: ``device:MIG-…`` of ``device:GPU-…@0.43``


class Usage:
    """State: claims, cumulative use at the last look, weights gathered since the cell began and by workload, current holders,
    slices of devices, and how many names are enough to look for strangers among them.

    A device's own entry goes before that of its kind: the pseudo-device ``cpu`` stands for all packages.
    """

    def __init__(self) -> None:
        self.claims = Claims()
        self._holders: dict[str, dict[str, tuple[float, By]]] = {}
        self._used: dict[str, dict[str, tuple[int, int]]] = {}
        self._weights: dict[str, dict[str | Workload, int]] = {}
        self._units: dict[str, str] = {}
        self._slices: dict[str, dict[str, float]] = {}
        self._worked: dict[str, Mapping[Workload, int]] = {}
        self._enough = FEW

    def take(self, sample: Activity | Holding | Claim | Member) -> None:
        """One of the four things that can be said of somebody."""
        match sample:
            case Activity():
                self.use(sample)
            case Holding():
                self.hold(sample)
            case Claim():
                self.claim(sample)
            case Member():
                self.join(sample)
            case _:
                assert_never(sample)

    def claim(self, sample: Claim) -> None:
        """From now on somebody works for a workload; one that ended is forgotten when the cell has been paid for."""
        self._worked = {}
        if sample.workload is not None:
            self.claims.return_of(sample.who, self._forget)
        self.claims.claim(sample)

    def join(self, sample: Member) -> None:
        """From now on somebody is part of something, or a slice of a device."""
        if sample.who.startswith(DEVICE):
            self._slice(sample.who.removeprefix(DEVICE), sample.of)
            return
        self._worked = {}
        if sample.of is not None:
            self.claims.return_of(sample.who, self._forget)
        self.claims.join(sample)

    def use(self, sample: Activity) -> None:
        """Cumulative use becomes weight in this cell; a first look is only a baseline."""
        used = self._used.setdefault(sample.who, {})
        looked_ns, before = used.get(sample.device_id, (-1, None))
        if sample.at.mono_ns <= looked_ns:
            return  # two looks raced: the newer has been taken
        used[sample.device_id] = sample.at.mono_ns, sample.used
        if sample.unit != "idle_ns":
            self._units[sample.device_id] = sample.unit
        if before is not None and sample.used > before:
            self._worked = {}
            weights = self._weights.setdefault(sample.device_id, {})
            weights[sample.who] = weights.get(sample.who, 0) + sample.used - before

    def hold(self, sample: Holding) -> None:
        """A reservation begins, changes or (0) ends."""
        parts = self._holders.setdefault(sample.device_id, {})
        if sample.part > 0:
            parts[sample.who] = sample.part, sample.by
        elif sample.who in parts and parts[sample.who][1] == sample.by:
            del parts[sample.who]

    def weights(self, device: Device) -> Mapping[Workload, int]:
        """Use of a device in this cell by workload, ``(idle)`` included where a source said it."""
        key = device.id if self._weights.get(device.id) else device.kind
        known = self._worked.get(key)
        if known is not None:
            return known  # asked for another package: what was said of their kind holds for all
        found: dict[Workload, int] = {}
        for who, used in self._weights.get(key, {}).items():
            workload = self.claims.workload(who) if isinstance(who, str) else who
            found[workload] = found.get(workload, 0) + used
        self._worked[key] = found
        return found

    def parts_ppm(self, device: Device) -> dict[Workload, int]:
        """What each workload holds of a device, parts per million: by the strongest kind of holding that the device has.

        Weaker holdings divide a stronger one that they are part of: a pod's GPU is paid for by its process that has a context
        there.
        """
        held = list(self._held(device))
        strongest = min((STRENGTH[by] for _, _, by in held), default=0)
        weaker = [(who, int(part * PPM)) for who, part, by in held if STRENGTH[by] > strongest]
        parts: dict[Workload, int] = {}
        for who, part, by in held:
            if STRENGTH[by] == strongest:
                inside = [(inner, ppm) for inner, ppm in weaker if self.claims.is_part(inner, who)] or [(who, 1)]
                for (payer, _), ppm in zip(inside, split(int(part * PPM), [n for _, n in inside]), strict=True):
                    workload = self.claims.workload(payer)
                    parts[workload] = parts.get(workload, 0) + ppm
        return parts

    def _held(self, device: Device) -> Iterator[tuple[str, float, By]]:
        for who, (part, by) in (self._holders.get(device.id) or self._holders.get(device.kind, {})).items():
            yield who, part, by
        for slice_id, size in self._slices.get(device.id, {}).items():
            for who, (part, by) in self._holders.get(slice_id, {}).items():
                yield who, part * size, by

    def unit(self, device: Device) -> str:
        """What the use of a device was counted in."""
        return self._units.get(device.id) or self._units.get(device.kind, "")

    def close(self, paid: Container[str], metered: Iterable[Device] | None = None) -> None:
        """The devices (and kinds) in ``paid`` have yielded energy, which their weights have split; those of others go on
        gathering, unless they are none of the ``metered`` (``None``: all are): what nobody meters will never yield."""
        self._worked = {}
        awaited = None if metered is None else {name for device in metered for name in (device.id, device.kind)}
        self._weights = {
            device_id: found
            for device_id, found in self._weights.items()
            if device_id not in paid and (awaited is None or device_id in awaited)
        }
        self.claims.close(self._forget)
        if len(self._used) > self._enough:
            self._forget_strangers()
            self._enough = 2 * len(self._used) + FEW

    def _forget_strangers(self) -> None:
        """Who is part of nothing, holds nothing and has been silent for long: a process that ended before anybody could ask whose
        it was, so that nobody says its end either."""
        looked = {who: max(at_ns for at_ns, _ in used.values()) for who, used in self._used.items()}
        since_ns = max(looked.values()) - SILENT_NS
        for who, at_ns in looked.items():
            known = who in RESERVED or self.claims.knows(who) or any(who in parts for parts in self._holders.values())
            if at_ns < since_ns and not known:
                self._forget(who)

    def _forget(self, who: str) -> None:
        """A process that ended: its id may come back as another's.  What it did on a device that has not yielded energy yet stays
        its workload's."""
        for device_id in self._used.pop(who, {}):
            weights = self._weights.get(device_id, {})
            if who in weights:
                workload = self.claims.workload(who) if len(weights) < MOST_WAITING else OTHER
                weights[workload] = weights.get(workload, 0) + weights.pop(who)
        for parts in self._holders.values():
            parts.pop(who, None)

    def _slice(self, slice_id: str, of: str | None) -> None:
        for slices in self._slices.values():
            slices.pop(slice_id, None)
        whole, at, size = (of or "").removeprefix(DEVICE).rpartition("@")
        if at:
            self._slices.setdefault(whole, {})[slice_id] = float(size)


def used_of(device: Device, weights: Mapping[Workload, int]) -> dict[Workload, int]:
    """Weights that dynamic energy is split by: CPU idle time is not a use of the CPU, but a free GPU's or free memory's energy is
    ``(idle)``."""
    return {w: used for w, used in weights.items() if w != IDLE or device.kind != "cpu"}
