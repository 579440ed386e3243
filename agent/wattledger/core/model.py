"""The nouns: what enters, what is decided, what is kept.  All frozen, nothing here knows a clock or a file.

LONG: one vocabulary, to be read as one.

Units last in every name: microjoules, microwatts and nanoseconds are ints, so that conservation is ``==``.
The hot nouns are NamedTuples: a frozen slotted dataclass costs 2 ms of import each, and thousands are made a second.
"""

from typing import Literal, NamedTuple

Kind = Literal["gpu", "cpu", "dram", "accelerator", "nic", "storage", "rest", "node"]
Method = Literal["counter", "integrated", "estimated"]
Use = Literal["active", "held"]

# Whose word a claim is, strongest first.  A tree is a process tree whose energy its spans divide; what a program and its
# environment say of themselves goes before what the kernel vouches for (Slurm, the pod, the control group), which adds labels only.
Rank = Literal["tree", "program", "environment", "slurm", "pod", "cgroup"]
By = Literal["allocation", "reservation", "context"]


class Instant(NamedTuple):
    """A moment read once from both clocks: ``mono_ns`` for durations (CLOCK_BOOTTIME), ``wall_ns`` for labels (UTC)."""

    mono_ns: int
    wall_ns: int


class Device(NamedTuple):
    """One thing that draws power and is read by one sensor.

    ``inside`` names what already counts this energy (a core domain inside its package, a MIG slice inside its
    GPU, psys over ``(parts)``): a host total sums only the devices that are inside nothing.  ``refresh_ns`` is how far the
    register may lag behind the truth.  ``cap_uw`` is the most it can really draw (P_cap of design.md section 4).
    """

    id: str
    kind: Kind
    model: str
    inside: str | None = None
    refresh_ns: int = 0
    cap_uw: int | None = None


class EnergyCounter(NamedTuple):
    """A register that grows; ``range_uj`` is where it wraps (``None``: never)."""

    device: Device
    at: Instant
    count_uj: int
    range_uj: int | None


class PowerGauge(NamedTuple):
    """A power to be integrated: a sensor's instantaneous reading, or (``estimated``) a model's answer for the time
    since its last answer."""

    device: Device
    at: Instant
    power_uw: int
    estimated: bool = False


class Condition(NamedTuple):
    """What a device says of itself beside its energy: its temperature (millidegrees Celsius) and the power limit in force, where
    it tells.  To be looked at; no joule depends on it."""

    device_id: str
    at: Instant
    temperature_mc: int | None = None
    limit_uw: int | None = None


class Activity(NamedTuple):
    """Cumulative use of a device by ``who``; ``unit`` says what was counted, and so how good the split is.

    ``device_id`` is a device's id or the pseudo-device of its kind (``cpu`` is all packages: the kernel gives no per-socket
    time).  ``who`` is ``pid:N``, ``cgroup:PATH`` or a reserved workload's name; idle is *said* by a source that sees it.
    ``cycles`` are CPU time by share of cycles: nanoseconds, so that idle time stands beside them.
    """

    device_id: str
    who: str
    at: Instant
    used: int
    unit: Literal["cpu_ns", "cycles", "byte_ns", "sm_ns", "context_ns", "idle_ns"]


class Holding(NamedTuple):
    """``who`` holds ``part`` (0 to 1) of a device from now on, and so pays that part of its idle energy.  0 lets go.

    An allocation (Slurm, PodResources) goes before a reservation (cpuset, quota, request), and that before a context on a GPU: the
    strongest kind that a device has pays all its idle energy.
    """

    device_id: str
    who: str
    at: Instant
    part: float
    by: By = "context"


class Workload(NamedTuple):
    """Whom a joule worked for."""

    job: str
    model: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


def by_name(workload: Workload) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """To sort by: a model that is not known does not compare with one that is."""
    return workload.job, workload.model or "", workload.labels


IDLE = Workload("(idle)")
UNATTRIBUTED = Workload("(unattributed)")
RETIRED = Workload("(retired)")
AGENT = Workload("(agent)")
OTHER = Workload("(other)")
RESERVED = {w.job: w for w in (IDLE, UNATTRIBUTED, RETIRED, AGENT, OTHER)}


class Claim(NamedTuple):
    """From now on ``who`` works for ``workload``, by the word of ``rank``; ``None``: for nobody we know, and ``who`` has ended.

    A job of ``""`` is not said.  Several ranks may claim one ``who``: the strongest names job and model, all add labels.
    """

    who: str
    at: Instant
    workload: Workload | None
    rank: Rank = "tree"


class Member(NamedTuple):
    """From now on ``who`` is part of ``of``, whose claims hold for it too; ``None``: ``who`` has ended.

    Names: ``pid:N``, ``cgroup:PATH``, ``container:ID``, ``pod:UID``, ``slurm:JOB``.  A process is in a control group, that in a
    container or a Slurm job, a container in a pod.
    """

    who: str
    at: Instant
    of: str | None


class IdleFloor(NamedTuple):
    """What a device draws while it does nothing: ``empty``, or with a resident ``context``.

    ``n`` background intervals taught it; 0 means it comes from a table and has never been seen here.
    """

    device_id: str
    state: Literal["empty", "context"]
    power_uw: int
    learnt_at: Instant | None
    n: int


class Boundary(NamedTuple):
    """A span of the program begins or ends, or (``mark``, at the edges of a cell) its CPU clock is noted.

    ``span`` is its id, ``parent`` the span that was open around it, ``within`` the workload (the process tree's) whose energy
    it divides.  ``cpu_ns`` and ``thread_cpu_ns`` are the process's and the thread's own CPU clocks, ``None`` where unknown.  A mark
    with span 0 is the process's; one with an open span's id notes that span's thread.
    """

    span: int
    at: Instant
    edge: Literal["enter", "leave", "mark"]
    workload: Workload
    within: Workload
    parent: int | None = None
    cpu_ns: int | None = None
    thread: int | None = None
    thread_cpu_ns: int | None = None


class Work(NamedTuple):
    """Work done, as an increment; the three kinds of token are disjoint (``prompt``: computed, without cache hits).

    ``span``: the span in which it was done, if in one.  ``steps``: of a serving engine, each over all that it had in its batch.
    """

    workload: Workload
    at: Instant
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    requests: int = 0
    span: int | None = None
    steps: int = 0


class Served(NamedTuple):
    """What one model in a serving engine has done since the engine began: cumulative counts, in the engine's own words.

    ``engine`` names the replica, stable while it runs (``vllm 127.0.0.1:8000``), ``address`` is where it answers (``host:port``),
    ``who`` whose energy it draws (``pid:N``; empty: nobody's here, and then only tokens are counted).  ``prompt_tokens``:
    computed, without cache hits.  ``steps``: engine steps, ``None`` where it does not tell; ``running``: requests in progress,
    likewise. ``setup``: what prices learnt rest on (version, parallelism, start); another text, and they are forgotten.
    """

    engine: str
    model: str
    address: str
    who: str
    at: Instant
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    requests: int
    steps: int | None = None
    running: int | None = None
    setup: str = ""


class Request(NamedTuple):
    """One request to a model, told when it has ended.

    ``address``: the server that answered it (``host:port``), empty where that is not known: then any engine of that model.
    ``computed``: prompt tokens without cache hits.  ``tenant``: whom it is charged to, empty: not said.
    """

    id: str
    model: str
    scheduled: Instant
    first_token: Instant
    end: Instant
    computed: int
    cached: int
    generated: int
    address: str = ""
    tenant: str = ""


class Fault(NamedTuple):
    """A source could not read: ``device_id`` is ``None`` when the whole source failed; ``gone`` means it will not come back."""

    source: str
    device_id: str | None
    at: Instant
    what: str
    gone: bool


class Resume(NamedTuple):
    """The machine slept for ``asleep_ns`` and woke: powers read before do not tell of the time since."""

    at: Instant
    asleep_ns: int


class Factor(NamedTuple):
    """A number that multiplies energy, with where it came from: a number never travels without its origin.

    ``g95`` is the multiplicative half-width of its 95 % interval: the truth lies in [value / g95, value * g95], or up to
    value * ``g95_high`` where that is given (a grid may be fifteen times cleaner than the world's average, but not dirtier).
    ``valid_from`` and ``valid_to`` are ISO dates or empty.
    """

    kind: str
    zone: str
    value: float
    unit: str
    boundary: str
    origin: str
    version: str
    quality: str
    g95: float
    valid_from: str = ""
    valid_to: str = ""
    licence: str = ""
    g95_high: float = 0.0


Sample = (
    EnergyCounter | PowerGauge | Condition | Activity | Holding | Claim | Member | IdleFloor | Boundary | Work | Served | Request
    | Fault | Resume | Factor
)  # fmt: skip


class Batch(NamedTuple):
    """What was read at one tick.  A ``full`` tick closes the cell: activity has been read, energy can be shared out."""

    at: Instant
    full: bool
    samples: tuple[Sample, ...]


class Interval(NamedTuple):
    """Energy of one device between two instants, and how it was got."""

    device: Device
    start: Instant
    end: Instant
    energy_uj: int
    method: Method


class Gap(NamedTuple):
    """A time whose energy is not known and was not invented: reset, refused reading, too long without one."""

    device: Device
    start: Instant
    end: Instant
    reason: str


class Finding(NamedTuple):
    """What ``wattledger doctor`` says of one sensor: usable or not, why, and the one command that would mend it."""

    source: str
    sensor: str
    state: Literal["usable", "denied", "absent", "broken", "estimate"]
    why: str
    remedy: str = ""
