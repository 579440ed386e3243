"""Who computes on a GPU, and how much: the driver's lists and samples become one account for each device."""

from collections.abc import Sequence

from wattledger.core.model import Fault, Instant, Sample
from wattledger.core.ports import Host, SourceFailed
from wattledger.sources.nvml.calls import UseSample
from wattledger.sources.nvml.contexts import MPS_SERVER, WATCHERS, parts
from wattledger.sources.nvml.dcgm import Dcgm
from wattledger.sources.nvml.driver import Driver, NvmlError
from wattledger.sources.nvml.gpu import Gpu
from wattledger.sources.nvml.mig import NO_INSTANCE, Seat, Seats, use_percent

WHOLE = ""  # the one seat of a GPU that is not cut


class Processes:
    """State: the names of the processes seen at this look and at the last."""

    def __init__(self, host: Host, driver: Driver) -> None:
        self._host, self._driver = host, driver
        url = str(host.options.get("dcgm_url") or "")
        self.dcgm = Dcgm(url, host.fetch) if url else None
        self._names: dict[int, str] = {}
        self._names_before: dict[int, str] = {}

    def begin(self) -> None:
        """A new look at all GPUs."""
        self._names_before, self._names = self._names, {}

    def look(self, gpu: Gpu, at: Instant) -> list[Sample]:
        """Activity since the last look and holdings that changed; raises NvmlError."""
        samples = gpu.told_slices(at)
        if not self._host.pids_match:
            # A run pays for every GPU that it sees; an agent that cannot name anybody names nobody.
            ours = {f"pid:{pid}": 1.0 for pid in self._host.roots[:1]}
            return samples + gpu.contexts.look(at, ours) if ours else samples
        try:
            seats = self._seats(gpu)
        except NvmlError as error:
            if error.trouble in ("unsupported", "denied"):
                return samples  # unknown stays unknown: nobody is said to hold it, nor that it was idle
            raise
        there = parts((seat.part, seat.pids) for seat in seats.values())
        use = self._use(gpu, seats[WHOLE]) if gpu.slices is None else self._slice_use(gpu, at, seats, samples)
        gpu.seats = seats
        return samples + gpu.contexts.look(at, there, use)

    def _seats(self, gpu: Gpu) -> Seats:
        if gpu.slices is None:
            return {WHOLE: Seat(1.0, NO_INSTANCE, self._workers(gpu.handle))}
        try:
            return self._slice_seats(gpu)
        except NvmlError as error:
            if error.trouble != "passing":
                raise
        gpu.relist(self._driver)  # a slice was taken away since they were listed
        return self._slice_seats(gpu) if gpu.slices is not None else self._seats(gpu)

    def _slice_seats(self, gpu: Gpu) -> Seats:
        return {s.uuid: Seat(s.part, s.gpu_instance, self._workers(s.handle)) for s in gpu.slices or ()}

    def _workers(self, handle: object) -> tuple[int, ...]:
        pids = set(self._driver.processes(handle))
        if any(self._comm(pid) == MPS_SERVER for pid in pids):
            pids.update(self._driver.clients(handle))
        return tuple(sorted(pid for pid in pids if self._comm(pid) not in WATCHERS))

    def _comm(self, pid: int) -> str:
        """A process's name, looked up when it is first seen; empty where it is hidden or has ended."""
        if pid not in self._names:
            known = self._names_before.get(pid)
            self._names[pid] = self._read_comm(pid) if known is None else known
        return self._names[pid]

    def _read_comm(self, pid: int) -> str:
        try:
            with open(f"{self._host.procfs}/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                return comm.read().strip()
        except OSError:
            return ""

    # --- how much -------------------------------------------------------------------------------------------------------

    def _use(self, gpu: Gpu, seat: Seat) -> dict[str, float] | None:
        """SM use by process where it is needed: when several share a GPU, and always where everybody is to be named, because
        only this names who came and went between two looks.  ``None`` where nothing is known of it."""
        before = gpu.seats[WHOLE].pids if WHOLE in gpu.seats else ()
        needed = not self._host.roots or len({*before, *seat.pids}) > 1
        asked, gpu.seen_us = gpu.seen_us, {}
        return self._mean_use(gpu, WHOLE, gpu.handle, asked) or None if needed else None

    def _slice_use(self, gpu: Gpu, at: Instant, seats: Seats, samples: list[Sample]) -> dict[str, float] | None:
        asked, gpu.seen_us = gpu.seen_us, {}
        within = {}
        for one in gpu.slices or ():
            if gpu.tells_use and len(seats[one.uuid].pids) > 1:
                within[one.uuid] = self._mean_use(gpu, one.uuid, one.handle, asked)
        try:
            return use_percent(gpu.seats, seats, self._activity(gpu, at), within)
        except SourceFailed as failed:
            what = f"{gpu.name} {gpu.uuid}: its MIG slices share it by size: {failed}"
            samples.append(Fault("nvml", gpu.device.id, at, what, False))
            return None

    def _activity(self, gpu: Gpu, at: Instant) -> dict[int, float]:
        """By GPU instance, since the last look; empty where nobody tells."""
        if gpu.gpm is not None:
            try:
                return gpu.gpm.look({one.gpu_instance for one in gpu.slices or ()})
            except NvmlError as error:
                if error.trouble not in ("unsupported", "denied"):
                    raise
                gpu.release()
        return dict(self.dcgm.activity(at.mono_ns).get(gpu.uuid, {})) if self.dcgm is not None else {}

    def _mean_use(self, gpu: Gpu, seat: str, handle: object, asked: dict[str, int]) -> dict[str, float]:
        """Each process's mean SM use since the last look, without those that did nothing."""
        if gpu.contexts.at is None or not gpu.tells_use:
            return {}
        # Whoever was not asked at the last look has gathered samples since long before.
        since_us = asked.get(seat, gpu.contexts.at.wall_ns // 1000)
        samples = self._driver.process_use(handle, since_us)
        if samples is None:
            gpu.tells_use = False
            return {}
        gpu.seen_us[seat] = max((sample.at_us for sample in samples), default=since_us)
        return self._means(samples)

    def _means(self, samples: Sequence[UseSample]) -> dict[str, float]:
        """The process with most samples was there all the time; where another has none, it did nothing."""
        seen: dict[int, list[int]] = {}
        for sample in samples:
            seen.setdefault(sample.pid, []).append(sample.sm_percent)
        most = max(map(len, seen.values()), default=1)
        # What the server of the Multi-Process Service did was done for its clients, and for which ones is not told.
        return {f"pid:{pid}": sum(p) / most for pid, p in seen.items() if any(p) and self._comm(pid) != MPS_SERVER}
