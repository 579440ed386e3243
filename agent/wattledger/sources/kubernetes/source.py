"""The source: three places asked every period, put together, and what changed since."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from wattledger.core.model import Claim, Device, Holding, Instant, Sample, Workload
from wattledger.core.ports import Host, Now, SourceFailed, SourceGone
from wattledger.sources.kubernetes.gpus import Gpus
from wattledger.sources.kubernetes.holdings import Held, allotted, changes, reserved
from wattledger.sources.kubernetes.logs import Listed, changed_ns, read_logs
from wattledger.sources.kubernetes.names import Names
from wattledger.sources.kubernetes.podresources import Allotment, lister
from wattledger.sources.kubernetes.pods import PodList

NAME = "kubernetes"
KEEP_NS = 600_000_000_000  # a kubelet restarts within seconds and a node's update takes minutes; its containers run on meanwhile
AT_ONCE = 12  # a container that comes is named within a twelfth of the period: of 10 s, that is less than a tick

T = TypeVar("T")


def open_node(host: Host) -> "Kubernetes":
    socket, logs = str(host.options.get("podresources", "")), str(host.options.get("logs", ""))
    url = host.options.get("pods_url")
    if not url and not _is_there(f"{logs}/pods") and not (socket and (_is_there(socket) or _is_there(os.path.dirname(socket)))):
        raise SourceGone(
            f"kubernetes: not a Kubernetes node (neither {socket or 'a PodResources socket'} nor {logs}/pods is there); "
            "in a pod, mount the node's folders, or set [sources.kubernetes] podresources and logs"
        )
    return Kubernetes(host)


class Place(Generic[T]):
    """Somewhere to ask.  State: its last answer and when that was, and whether it fails now."""

    def __init__(self, ask: Callable[[], T], nothing: T) -> None:
        self._ask = ask
        self._nothing = nothing
        self._answer: T | None = None
        self._at_ns = 0
        self.fails = False

    def look(self, at: Instant) -> str:
        """Ask again; gives what went wrong, once for each time that it begins to."""
        try:
            self._answer, self._at_ns, self.fails = self._ask(), at.mono_ns, False
        except SourceFailed as failure:
            failed_before, self.fails = self.fails, True
            return "" if failed_before else str(failure)
        return ""

    def known(self) -> T:
        """The last answer, however old: names do not change."""
        return self._nothing if self._answer is None else self._answer

    def fresh(self, at: Instant) -> bool:
        """Whether the last answer is recent enough to go by."""
        return self._answer is not None and at.mono_ns - self._at_ns <= KEEP_NS


class Kubernetes:
    """Read by one thread.  State: the places, what was said of whom and of what is held, and what waits behind a failure.

    Between two periods a read costs one look at a folder's date and gives nothing.  Who has ended is withdrawn here; that it is
    part of nothing any more is left to the control groups, which outlive the kubelet's word.
    """

    name = NAME
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        self._period_ns = int(float(str(host.options.get("period_s", 10.0))) * 1e9)
        self._logs_folder = logs = str(host.options.get("logs", ""))
        self._cpus = count_cpus(host.procfs)
        self._gpus = Gpus(host.procfs)
        self._missing: tuple[str, ...] = ()
        pod_list = PodList(host)
        self._pods: Place[Listed] = Place(pod_list.read if pod_list.url else lambda: ([], []), ([], []))
        self._logs: Place[Listed] = Place(lambda: read_logs(logs), ([], []))
        self._allotments: Place[list[Allotment]] = Place(self._lister(str(host.options.get("podresources", ""))), [])
        self._notes: tuple[str, ...] = ()
        self._claimed: dict[str, Workload] = {}
        self._held: Held = {}
        self._asked_ns: int | None = None
        self._seen_ns = 0
        self._waiting: list[Sample] = []

    def _lister(self, socket: str) -> Callable[[], list[Allotment]]:
        if not socket:
            return list
        try:
            return lister(socket)
        except SourceGone as gone:
            self._missing = (str(gone),)
            return list

    @property
    def notes(self) -> tuple[str, ...]:
        """What cannot be told, and why."""
        return self._missing + self._notes

    @property
    def failing(self) -> bool:
        """Whether a place did not answer when it was asked last."""
        return any(place.fails for place in (self._pods, self._logs, self._allotments))

    def devices(self) -> tuple[Device, ...]:
        return ()

    def close(self) -> None:
        """Nothing is held open between two reads."""

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """What changed.  A place that begins to fail is said once; what the others told then comes with the next read."""
        if not full:
            return ()
        at = now()
        samples, self._waiting = self._waiting, []
        if not self._is_due(at):
            return samples
        failures = [what for place in (self._pods, self._logs, self._allotments) if (what := place.look(at))]
        samples += self._changes(at)
        if failures:
            self._waiting = samples
            raise SourceFailed("; ".join(failures))
        return samples

    def _is_due(self, at: Instant) -> bool:
        changed_at_ns = changed_ns(self._logs_folder)
        wait_ns = self._period_ns if changed_at_ns == self._seen_ns else self._period_ns // AT_ONCE
        if self._asked_ns is not None and at.mono_ns - self._asked_ns < wait_ns:
            return False
        self._asked_ns, self._seen_ns = at.mono_ns, changed_at_ns
        return True

    def _changes(self, at: Instant) -> Iterator[Sample]:
        # The pod list knows best, as long as it answers: a pod may have come back under another uid since.
        places = (self._pods, self._logs) if self._pods.fails else (self._logs, self._pods)  # best last
        (pods, containers), (better_pods, better_containers) = (place.known() for place in places)
        names = Names([*pods, *better_pods], [*containers, *better_containers])
        claims = names.workloads()
        yield from (Claim(who, at, None, "pod") for who in self._claimed if who not in claims)
        yield from (Claim(who, at, to, "pod") for who, to in claims.items() if self._claimed.get(who) != to)
        held: Held = reserved(names, self._cpus) if self._pods.fresh(at) else {}
        given = allotted(self._allotments.known() if self._allotments.fresh(at) else (), names, self._gpus, self._cpus)
        held |= given.held
        for (device_id, who), (part, by) in changes(self._held, held):
            yield Holding(device_id, who, at, part, by)
        self._claimed, self._held = claims, held
        self._notes = tuple(_words(given.unknown_devices, given.unknown_owners))


def _words(devices: tuple[str, ...], owners: tuple[str, ...]) -> Iterator[str]:
    """One note for each cause, with one example."""
    if devices:
        yield f"kubernetes: {len(devices)} allotted GPUs cannot be told by their ids ({devices[0]}), so nobody holds them"
    if owners:
        why = "give the agent the node's /var/log or set [sources.kubernetes] pods_url"
        yield f"kubernetes: {len(owners)} containers with devices have no known id ({owners[0]}), so they hold nothing; {why}"


def count_cpus(procfs: str) -> int:
    """The machine's CPUs; 0 where that cannot be known, and then nothing is said of parts of them."""
    try:
        with open(f"{procfs}/stat", "rb") as file:
            return sum(line[:3] == b"cpu" and line[3:4].isdigit() for line in file)
    except OSError:
        return 0


def _is_there(path: str) -> bool:
    """Also where it is somebody else's to see: then a read says so."""
    try:
        os.stat(path)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
