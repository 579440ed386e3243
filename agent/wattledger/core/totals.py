"""Cumulative totals → Snapshot.  Totals only grow; reading a snapshot changes nothing."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from wattledger.core.model import RETIRED, Condition, Device, Factor, Method, Use, Work, Workload
from wattledger.core.pricing import grams
from wattledger.core.units import NS_PER_S, joules, kwh

EnergyKey = tuple[Workload, str, Method, Use]
ShareKey = tuple[Workload, str, Use]  # by whatever method
DeviceKey = tuple[str, Method]
STALE_NS = 5_000_000_000  # a power that is older, and older than two cells, is not what a device draws
STALE_NODE_NS = 30_000_000_000  # a BMC answers each ten seconds
TokenKey = tuple[Workload, str, str, str]  # workload, component, method, kind
RequestKey = tuple[Workload, str, str]  # workload, tenant, kind
TOKEN_KINDS = ("prompt", "generated", "standby", "overhead")
COUNTED = (  # a snapshot's counters
    "energy_uj", "device_energy_uj", "subdevice_energy_uj", "retired_uj", "emissions_g", "work", "embodied_g", "water_l", "cost",
)  # fmt: skip
WATER = {"onsite": "water_onsite", "offsite": "water_offsite"}  # where it evaporates → kind of factor


class Health(NamedTuple):
    """How one source fares: ``up``, seconds of its last read, reads that failed, and a line about the last failure.

    ``coverage``: of the time since it was opened, what part it has been read over; ``None`` where nobody asked it yet.
    """

    up: bool
    read_s: float
    errors: int
    last_error: str = ""
    coverage: float | None = None


class Sent(NamedTuple):
    """How an exporter's deliveries fare: how many arrived, how many did not, and a line about the last that did not."""

    delivered: int
    failed: int
    last_error: str = ""


class State(NamedTuple):
    """What a snapshot says beside sums: the grid in force and the age of its figure, sources, exporters, how late the tick began,
    labels to export, grams by (day, basis, state) as the ledger has them, the marginal intensity of now, what a provider expects
    of the grid by hours ahead, and how long the books have not had everything (``None``: none are kept)."""

    grid: Factor | None = None
    health: Mapping[str, Health] = MappingProxyType({})
    sent: Mapping[str, Sent] = MappingProxyType({})
    late_s: float | None = None
    label_names: tuple[str, ...] = ()
    grid_age_s: float | None = None
    settled_g: Mapping[tuple[str, str, str], float] = MappingProxyType({})
    marginal: Factor | None = None
    forecast: Mapping[int, Factor] = MappingProxyType({})
    ledger_lag_s: float | None = None


class Tokens(NamedTuple):
    """What serving engines' energy went into, as sums.

    ``token_uj`` by (workload, component, method, kind) and ``token_pending_uj``, not divided yet: together they are the
    workload's energy.  ``token_g``: their grams by kind; ``token_price``: joules per token as of late by (workload, kind, bound:
    value, low, high); ``request_uj`` and ``request_tokens``: of requests that are settled, by (workload, tenant, kind).
    ``engines``: by address (``host:port``), whose they are; ``weak_tokens``: whose prices stand on a prior.
    """

    token_uj: Mapping[TokenKey, int] = MappingProxyType({})
    token_g: Mapping[tuple[Workload, str], float] = MappingProxyType({})
    token_pending_uj: Mapping[Workload, int] = MappingProxyType({})
    token_price: Mapping[tuple[Workload, str, str], float] = MappingProxyType({})
    request_uj: Mapping[RequestKey, int] = MappingProxyType({})
    request_tokens: Mapping[RequestKey, int] = MappingProxyType({})
    engines: Mapping[str, Workload] = MappingProxyType({})
    weak_tokens: frozenset[Workload] = frozenset()


NO_TOKENS = Tokens()


class Snapshot(NamedTuple):
    """Everything an exporter may say, frozen: microjoules by (workload, device, method, use) and by device, work, grams, health.

    ``residual_uj`` compares two accumulators that never meet: what the meter measured and what attribution handed out.  It must
    read zero for every device.  ``retired_uj``: by device, what ended workloads used whose series are gone.  ``label_names``:
    labels exported beside the contract's own.  ``cost``: money by (workload, currency), at the tariffs in force.
    ``share_uw``: mean power of late by (workload, device, use); only where somebody asked for it (``powered``).
    """

    devices: Mapping[str, Device]
    energy_uj: Mapping[EnergyKey, int]
    device_energy_uj: Mapping[DeviceKey, int]
    subdevice_energy_uj: Mapping[DeviceKey, int]
    power_uw: Mapping[str, int]
    residual_uj: Mapping[str, int]
    emissions_g: Mapping[Workload, float]
    work: Mapping[Workload, Work]
    grid: Factor | None
    health: Mapping[str, Health]
    retired_uj: Mapping[str, int] = MappingProxyType({})
    sent: Mapping[str, Sent] = MappingProxyType({})
    late_s: float | None = None
    label_names: tuple[str, ...] = ()
    grid_age_s: float | None = None
    settled_g: Mapping[tuple[str, str, str], float] = MappingProxyType({})
    tokens: Tokens = NO_TOKENS
    embodied_g: Mapping[Workload, float] = MappingProxyType({})
    water_l: Mapping[tuple[Workload, str], float] = MappingProxyType({})
    cost: Mapping[tuple[Workload, str], float] = MappingProxyType({})
    conditions: Mapping[str, Condition] = MappingProxyType({})
    marginal: Factor | None = None
    forecast: Mapping[int, Factor] = MappingProxyType({})
    ledger_lag_s: float | None = None
    share_uw: Mapping[ShareKey, int] = MappingProxyType({})


class Totals:
    """The sums since the pipeline began.  State: ints that only grow."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.energy_uj: dict[EnergyKey, int] = {}
        self.device_energy_uj: dict[DeviceKey, int] = {}
        self.subdevice_energy_uj: dict[DeviceKey, int] = {}
        self.power_uw: dict[str, int] = {}
        self.emissions_g: dict[Workload, float] = {}
        self.embodied_g: dict[Workload, float] = {}
        self.water_l: dict[tuple[Workload, str], float] = {}
        self.cost: dict[tuple[Workload, str], float] = {}
        self.conditions: dict[str, Condition] = {}  # what each device said of itself last
        self.work: dict[Workload, Work] = {}
        self.retired_uj: dict[str, int] = {}
        self.tokens: Tokens | None = None  # of an agent beside serving engines; replaced each cell, never mutated

    def add(self, key: EnergyKey, energy_uj: int) -> None:
        """A share is handed out; who got nothing has no row."""
        if energy_uj:
            self.energy_uj[key] = self.energy_uj.get(key, 0) + energy_uj

    def add_made(self, workload: Workload, grams: float) -> None:
        """A part of what it took to make the machine."""
        self.embodied_g[workload] = self.embodied_g.get(workload, 0.0) + grams

    def price(self, energy_uj: Mapping[Workload, int], factors: Mapping[str, Factor]) -> None:
        """What a cell's energy came to by workload, at the factors in force: grams, and litres and money where they are known."""
        grid, pue = factors.get("grid"), factors["pue"].value if "pue" in factors else 1.0
        if grid is not None:
            for workload, uj in energy_uj.items():
                self.emissions_g[workload] = self.emissions_g.get(workload, 0.0) + grams(uj, grid.value, pue)
        for source, kind in WATER.items():
            if kind in factors and factors[kind].quality != "unknown":
                # What evaporates on the site is counted by the kWh of IT energy, PUE is in it already.
                each = factors[kind].value * (pue if source == "offsite" else 1.0)
                for workload, uj in energy_uj.items():
                    key = workload, source
                    self.water_l[key] = self.water_l.get(key, 0.0) + kwh(joules(uj)) * each
        tariff = factors.get("tariff")
        if tariff is not None and tariff.quality != "unknown":
            currency, each = tariff.unit.partition("/")[0], tariff.value * pue  # the building is paid for, too
            for workload, uj in energy_uj.items():
                self.cost[workload, currency] = self.cost.get((workload, currency), 0.0) + kwh(joules(uj)) * each

    def add_work(self, work: Work) -> None:
        """Tokens and requests, by workload."""
        old = self.work.get(work.workload)
        if old is not None:
            sums = [a + b for a, b in zip(old[2:6], work[2:6], strict=True)]
            work = Work(work.workload, work.at, *sums)._replace(steps=old.steps + work.steps)
        self.work[work.workload] = work

    def silence(self, ages_ns: Mapping[str, int], cell_ns: int) -> None:
        """Devices that were last read so long ago draw nobody knows what: no power, rather than their last."""
        for device, age_ns in ages_ns.items():
            node = device in self.devices and self.devices[device].kind == "node"
            if age_ns > max(STALE_NODE_NS if node else STALE_NS, 2 * cell_ns):
                self.power_uw.pop(device, None)
                self.conditions.pop(device, None)

    def retire(self, gone: Collection[Workload]) -> None:
        """Workloads that ended long ago lose their series; their sums stay: joules by device, the rest under ``(retired)``."""
        ended = frozenset(gone)
        for key in [key for key in self.energy_uj if key[0] in ended]:
            self.retired_uj[key[1]] = self.retired_uj.get(key[1], 0) + self.energy_uj.pop(key)
        for workload in ended:
            for sums in (self.emissions_g, self.embodied_g):
                if workload in sums:
                    sums[RETIRED] = sums.get(RETIRED, 0.0) + sums.pop(workload)
            if workload in self.work:
                self.add_work(self.work.pop(workload)._replace(workload=RETIRED))
        for of in (self.water_l, self.cost):
            for workload, what in [key for key in of if key[0] in ended]:
                of[RETIRED, what] = of.get((RETIRED, what), 0.0) + of.pop((workload, what))

    def residual_uj(self) -> dict[str, int]:
        """Per device: measured minus handed out."""
        rest: dict[str, int] = {}
        for (device, _), uj in self.device_energy_uj.items():
            rest[device] = rest.get(device, 0) + uj
        for (_, device, _, _), uj in self.energy_uj.items():
            rest[device] = rest.get(device, 0) - uj
        for device, uj in self.retired_uj.items():
            rest[device] = rest.get(device, 0) - uj
        return rest

    def snapshot(self, state: State) -> Snapshot:
        """A frozen copy."""
        return Snapshot(
            dict(self.devices),
            dict(self.energy_uj),
            dict(self.device_energy_uj),
            dict(self.subdevice_energy_uj),
            dict(self.power_uw),
            self.residual_uj(),
            dict(self.emissions_g),
            dict(self.work),
            state.grid,
            state.health,
            dict(self.retired_uj),
            state.sent,
            state.late_s,
            state.label_names,
            state.grid_age_s,
            state.settled_g,
            self.tokens or NO_TOKENS,
            dict(self.embodied_g),
            dict(self.water_l),
            dict(self.cost),
            dict(self.conditions),
            state.marginal,
            state.forecast,
            state.ledger_lag_s,
        )


def led_in(before: Snapshot, now: Snapshot) -> Snapshot:
    """What to show while ``now`` has series that nobody has seen: the sums of ``before``, and a zero for each of the new ones.

    A counter that is first seen at 5 J has not grown by 5 J as far as ``increase()`` can tell; one that was seen at 0 has.
    """
    if all(getattr(now, sums).keys() <= getattr(before, sums).keys() for sums in COUNTED) and _knows(before.tokens, now.tokens):
        return now
    return now._replace(
        energy_uj={**dict.fromkeys(now.energy_uj, 0), **before.energy_uj},
        device_energy_uj={**dict.fromkeys(now.device_energy_uj, 0), **before.device_energy_uj},
        subdevice_energy_uj={**dict.fromkeys(now.subdevice_energy_uj, 0), **before.subdevice_energy_uj},
        retired_uj={**dict.fromkeys(now.retired_uj, 0), **before.retired_uj},
        emissions_g={**dict.fromkeys(now.emissions_g, 0.0), **before.emissions_g},
        embodied_g={**dict.fromkeys(now.embodied_g, 0.0), **before.embodied_g},
        water_l={**dict.fromkeys(now.water_l, 0.0), **before.water_l},
        cost={**dict.fromkeys(now.cost, 0.0), **before.cost},
        work={**{workload: Work(workload, work.at) for workload, work in now.work.items()}, **before.work},
        tokens=now.tokens._replace(
            token_uj={**dict.fromkeys(now.tokens.token_uj, 0), **before.tokens.token_uj},
            token_g={**dict.fromkeys(now.tokens.token_g, 0.0), **before.tokens.token_g},
            token_pending_uj=before.tokens.token_pending_uj,
            request_uj={**dict.fromkeys(now.tokens.request_uj, 0), **before.tokens.request_uj},
            request_tokens={**dict.fromkeys(now.tokens.request_tokens, 0), **before.tokens.request_tokens},
        ),
        residual_uj=before.residual_uj,
    )


class Growth(NamedTuple):
    """Two snapshots between which a device's energy grew last, and how long before the second it had grown: of one that is read
    each tick, a tick; of one whose energy comes by the ten seconds and at once (a BMC's), ten seconds."""

    before: Snapshot
    after: Snapshot
    elapsed_ns: int


def powered(now: Snapshot, growths: Mapping[str, Growth]) -> Snapshot:
    """``now`` with the mean power of each share while its device's energy grew last; what ended meanwhile has none."""
    sums: dict[ShareKey, int] = {}
    for key in now.energy_uj:
        workload, device, _, use = key
        growth = growths.get(device)
        if growth is not None:
            more_uj = max(0, growth.after.energy_uj.get(key, 0) - growth.before.energy_uj.get(key, 0))
            sums[workload, device, use] = sums.get((workload, device, use), 0) + more_uj * NS_PER_S // growth.elapsed_ns
    return now._replace(share_uw=sums)


def _knows(before: Tokens, now: Tokens) -> bool:
    """Whether no series of the tokens' is new."""
    requests = now.request_uj.keys() <= before.request_uj.keys()  # their tokens come with their energy
    return requests and now.token_uj.keys() <= before.token_uj.keys() and now.token_g.keys() <= before.token_g.keys()
