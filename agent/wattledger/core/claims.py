"""Who is who: claims of several ranks on processes, groups, containers, pods and jobs become one workload each.

Names form a tree (a process in a control group, that in a container, the container in a pod), and a claim on one holds for all
that is part of it.  The strongest rank that says a job names it, likewise the model; labels are united, and those that the kernel
vouches for cannot be set by a program: charge-back uses them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import get_args

from wattledger.core.model import OTHER, RESERVED, Claim, Member, Rank, Workload

RANKS: dict[Rank, int] = {rank: i for i, rank in enumerate(get_args(Rank))}
VOUCHING: tuple[Rank, ...] = ("slurm", "pod", "cgroup")

# Labels that only the kernel's word sets (contract.md, Metrics: identity and mere claims are kept apart).
VOUCHED = frozenset({
    "container_id", "k8s_container_name", "k8s_namespace_name", "k8s_pod_name", "k8s_pod_uid", "slurm_cluster", "slurm_job_id",
    "slurm_partition", "slurm_step_id", "systemd_unit", "user", "vm",
})  # fmt: skip

MOST_NAMED = 4096

Said = tuple[Rank, Workload]


def merge(said: Iterable[Said]) -> Workload | None:
    """One workload from claims, nearest first within a rank; ``None`` when nobody says a job."""
    ordered = sorted(said, key=lambda claim: RANKS[claim[0]])
    job = next((_own_name(rank, w.job) for rank, w in ordered if w.job), "")
    if not job:
        return None
    model = next((w.model for _, w in ordered if w.model is not None), None)
    labels: dict[str, str] = {}
    for rank, workload in [c for c in ordered if c[0] in VOUCHING] + [c for c in ordered if c[0] not in VOUCHING]:
        for key, value in workload.labels:
            if rank in VOUCHING or key not in VOUCHED:
                labels.setdefault(key, value)
    return Workload(job, model, tuple(sorted(labels.items())))


def _own_name(rank: Rank, job: str) -> str:
    """Names that begin with "(" are the meter's own, whoever claims them."""
    return job if rank in VOUCHING or not job.startswith("(") else job.strip("()") or "job"


class Claims:
    """State: claims by name and rank, what each name is part of and its parts, whose each tree is (``trees``), and what was
    resolved already: answers go with the names that they rest on, so that a process that comes or goes costs its own only.
    """

    def __init__(self) -> None:
        self._said: dict[str, dict[Rank, Workload]] = {}
        self._of: dict[str, str] = {}
        self._parts: dict[str, dict[str, None]] = {}
        self.trees: dict[Workload, str] = {}
        self._withdrawn: dict[tuple[str, Rank], None] = {}
        self._ended: dict[str, None] = {}
        self._known: dict[str, Workload] = {}
        self._named: dict[tuple[Workload, Workload], Workload] = {}

    def claim(self, sample: Claim) -> None:
        """A rank's word from now on; one that is withdrawn holds until the cell has been paid for."""
        key = sample.who, sample.rank
        if sample.workload is None:
            self._withdrawn[key] = None
            return
        self._withdrawn.pop(key, None)
        said = self._said.setdefault(sample.who, {})
        if said.get(sample.rank) == sample.workload:
            return
        if sample.rank == "tree":
            self._fell(said.get("tree"), sample.who)
            self.trees[sample.workload] = sample.who
        said[sample.rank] = sample.workload
        self._forget_answers(sample.who)

    def _fell(self, tree: Workload | None, who: str) -> None:
        """This tree is nobody's, if it was his."""
        self._named = {}
        if tree is not None and self.trees.get(tree) == who:
            del self.trees[tree]

    def join(self, sample: Member) -> None:
        """What a name is part of, from now on; one that has ended is forgotten when the cell has been paid for."""
        if sample.of is None:
            self._ended[sample.who] = None
        elif self._of.get(sample.who) != sample.of:
            self._leave(sample.who)
            self._of[sample.who] = sample.of
            self._parts.setdefault(sample.of, {})[sample.who] = None
            self._forget_answers(sample.who)

    def _leave(self, who: str) -> None:
        of = self._of.pop(who, None)
        if of is not None:
            del self._parts[of][who]
            if not self._parts[of]:
                del self._parts[of]

    def return_of(self, who: str, forget: Callable[[str], None]) -> None:
        """A name that ended in the open cell is borne again: by somebody else, who inherits nothing."""
        if who in self._ended or self._silent(who):
            forget(who)
            self._drop(who)

    def _silent(self, who: str) -> bool:
        """Whether every claim on a name that is part of nothing has been withdrawn."""
        said = self._said.get(who)
        return bool(said) and who not in self._of and all((who, rank) in self._withdrawn for rank in said or ())

    def workload(self, who: str) -> Workload:
        """Whom a name works for: a reserved workload, a tree, what its claims come to, or ``(other)``."""
        found = self._known.get(who)
        if found is None:
            found = RESERVED.get(who) or self._resolve(who)
            if self.knows(who):  # of whom nobody has spoken, nobody will say that he has gone
                self._known[who] = found
        return found

    def _resolve(self, who: str) -> Workload:
        said = list(self._chain(who))
        tree = next((workload for rank, workload in said if rank == "tree"), None)
        return tree or merge(said) or OTHER

    def named(self, workload: Workload, tree: Workload) -> Workload:
        """A span's workload, or what is left of its tree, with what the kernel says of the tree's process."""
        if len(self._named) > MOST_NAMED:
            self._named = {}  # a program may name each of a million spans anew
        key = workload, tree
        found = self._named.get(key)
        if found is None:
            who = self.trees.get(tree, "")
            said = [claim for claim in self._chain(who) if claim[0] != "tree"]
            if workload != tree:
                said.append(("program", workload))
                # The span's own words go before what the program said of itself as a whole.
                said.sort(key=lambda claim: claim[1] is not workload)
            found = self._named[key] = merge(said) or workload
        return found

    def shown(self, workload: Workload) -> Workload:
        """What a tree without spans is called; everybody else is called what he is."""
        # To look a workload up costs as much as all the rest here, and mostly nobody has a tree.
        return self.named(workload, workload) if self.trees and workload in self.trees else workload

    def knows(self, who: str) -> bool:
        """Whether anybody has said anything of a name."""
        return who in self._said or who in self._of

    def is_part(self, who: str, of: str) -> bool:
        """Whether one name is part of another, however deep."""
        seen: set[str] = set()
        at = self._of.get(who)
        while at is not None and at != of and at not in seen:
            seen.add(at)
            at = self._of.get(at)
        return at == of

    def live(self) -> set[Workload]:
        """Everybody that somebody works for now."""
        found = {self.workload(who) for who in {*self._said, *self._of}}
        return {self.shown(workload) for workload in found}

    def close(self, forget: Callable[[str], None]) -> None:
        """The cell is paid for: withdrawn claims and ended names go.  ``forget`` is told of every name that is nobody's from now
        on, while it still resolves."""
        if not self._withdrawn and not self._ended:
            return
        ended = dict.fromkeys([*self._ended, *(who for who, _ in self._withdrawn if self._silent(who))])
        for who in ended:
            forget(who)
        for who, rank in self._withdrawn:
            self._forget_answers(who)
            workload = self._said.get(who, {}).pop(rank, None)
            if rank == "tree":
                self._fell(workload, who)
            if not self._said.get(who, True):
                del self._said[who]
        self._withdrawn = {}
        for who in ended:
            self._drop(who)
        self._ended = {}

    def _drop(self, who: str) -> None:
        self._forget_answers(who)
        for workload in self._said.pop(who, {}).values():
            if self.trees.get(workload) == who:
                del self.trees[workload]
        self._leave(who)
        self._ended.pop(who, None)
        for rank in RANKS:
            self._withdrawn.pop((who, rank), None)

    def _chain(self, who: str) -> Iterator[Said]:
        """Claims on a name and on all that it is part of, nearest first."""
        seen: set[str] = set()
        at: str | None = who
        while at is not None and at not in seen:
            seen.add(at)
            yield from self._said.get(at, {}).items()
            at = self._of.get(at)

    def _forget_answers(self, who: str) -> None:
        """Of a name and of all that is part of it."""
        seen, waiting = {who}, [who]
        while waiting:
            at = waiting.pop()
            fresh = self._parts.get(at, {}).keys() - seen
            seen |= fresh
            waiting += fresh
            self._known.pop(at, None)
            if "tree" in self._said.get(at, ()):
                self._named = {}
