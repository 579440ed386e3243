"""Who is who, told: claims and memberships of units and processes, as they come and go."""

from collections.abc import Iterator

from wattledger.core.model import Claim, Instant, Member, Sample, Workload
from wattledger.sources.cgroup.environ import NOTHING, Said, claims, stepd_job
from wattledger.sources.cgroup.groups import Group
from wattledger.sources.cgroup.hierarchy import uid_of
from wattledger.sources.cgroup.paths import Identity

Labels = tuple[tuple[str, str], ...]


class Names:
    """State: what each name told is part of, how many are part of each container, for whom each has spoken, users by number."""

    def __init__(self, procfs: str) -> None:
        self._procfs = procfs
        self._users: dict[int, str] = {}
        self._of: dict[str, str] = {}
        self._parts: dict[str, int] = {}
        self._said: dict[str, str] = {}

    def unit(self, group: Group, at: Instant, uid: int | None = None) -> Iterator[Sample]:
        """A group that is a unit.  ``uid``: its processes', where its path does not tell."""
        identity, who = group.identity, group.who
        if identity.uid is None:
            identity = identity._replace(uid=uid)
        yield Claim(who, at, Workload(identity.name, None, self.labels(identity)), "cgroup")
        if identity.kind == "pod":
            yield Member(who, at, f"pod:{identity.pod}")
        elif identity.kind == "slurm":
            yield from self._join(who, at, f"slurm:{identity.slurm}")
        elif identity.kind == "container":
            container = f"container:{identity.container}"
            yield from self._join(who, at, container)
            if identity.pod:
                yield Member(container, at, f"pod:{identity.pod}")
            elif identity.slurm:
                yield from self._join(container, at, f"slurm:{identity.slurm}")

    def spoken(self, who: str, at: Instant, said: Said, slurm_job: str) -> Iterator[Sample]:
        """What somebody says of himself, or in the name of his unit: then of the whole container or job, because what that was
        allotted is to go by the same name.
        """
        spoken_for = self._of.get(who, who) if who.startswith("cgroup:") else who
        for claim in claims(spoken_for, at, said, slurm_job):
            self._said[who] = spoken_for
            yield claim

    def process(self, pid: int, at: Instant, group: Group, said: Said, name: str) -> Iterator[Sample]:
        """A process that is a unit of its own; outside of any group it goes by its command's name."""
        who = f"pid:{pid}"
        job = stepd_job(self._procfs, pid) if said.slurm_job else ""
        uid = uid_of(self._procfs, pid)
        user = self._user(uid) if uid is not None else ""
        labels = tuple((key, value) for key, value in (("slurm_job_id", job), ("user", user)) if value)
        if job:
            name = f"slurm-{job}"
        yield Claim(who, at, Workload("" if group.named else name, None, labels), "cgroup")
        if job and not group.named:
            yield from self._join(who, at, f"slurm:{job}")
        elif group.named:
            yield from self._join(who, at, group.who)
        if said != NOTHING:
            yield from self.spoken(who, at, said, job)

    def inside(self, pid: int, at: Instant, outer: int) -> Iterator[Sample]:
        """A client in another client's tree."""
        yield from self._join(f"pid:{pid}", at, f"pid:{outer}")

    def ended(self, who: str, at: Instant) -> Iterator[Sample]:
        """It, and what it was the last part of."""
        yield Claim(who, at, None, "cgroup")
        if who in self._said:
            yield Claim(self._said.pop(who), at, None, "environment")
        yield Member(who, at, None)
        yield from self._leave(who, at)

    def labels(self, identity: Identity) -> Labels:
        user = self._user(identity.uid) if identity.uid is not None else ""
        found = {
            "container_id": identity.container,
            "k8s_pod_uid": identity.pod,
            "slurm_job_id": identity.slurm,
            "systemd_unit": identity.unit,
            "user": user,
            "vm": identity.vm,
        }
        return tuple((key, value) for key, value in found.items() if value)

    def _join(self, who: str, at: Instant, of: str) -> Iterator[Sample]:
        if self._of.get(who) != of:
            yield from self._leave(who, at)
            self._of[who] = of
            self._parts[of] = self._parts.get(of, 0) + 1
        yield Member(who, at, of)

    def _leave(self, who: str, at: Instant) -> Iterator[Sample]:
        """A container ends with its last part; a pod is the kubelet's to end, and a job Slurm's."""
        of = self._of.pop(who, "")
        if not of:
            return
        self._parts[of] -= 1
        if not self._parts[of]:
            del self._parts[of]
            if of.startswith("container:"):
                yield Member(of, at, None)
                yield from self._leave(of, at)

    def _user(self, uid: int) -> str:
        """By name where the accounts are this machine's own; inside a container they would be its image's."""
        if uid not in self._users:
            self._users[uid] = _user_name(uid) if self._procfs == "/proc" else str(uid)
        return self._users[uid]


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)
