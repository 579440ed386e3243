"""The ledger's facts: what is written once and never changed.  Grams, litres and money are views over them.

Units last in every name; energies, volumes and intensities are ints (microjoules, watt-hours, micrograms per kWh), because sums of
floats depend on their order.  Times are seconds since the epoch, UTC; a window is half-open, ``[start_s, start_s + length_s)``.
"""

from typing import Literal, NamedTuple

Signal = Literal["average", "marginal"]
Instrument = Literal["eac", "ppa", "supplier"]
Verdict = Literal["pass", "fail", "unknown"]

# The eight quality criteria of the GHG Protocol's Scope 2 Guidance (2015), table 7.1, in its order.
CRITERIA = (
    "conveys_emission_rate",
    "sole_claim",
    "tracked_and_retired",
    "near_consumption_period",
    "same_market",
    "supplier_rate_is_of_delivered_electricity",
    "direct_contract_claims_are_exclusive",
    "residual_mix_is_available",
)


class Key(NamedTuple):
    """What an amount of energy or work is of; said once a day in each chain, and then meant by a number.

    ``meter`` says who metered: ``agent:…``, ``track:…`` or ``run:…``, unique to one process.  ``zone`` is the grid it was drawn
    from and ``pue_milli`` the building's PUE in thousandths (0: not known).  ``run`` joins a job's processes on all its hosts.
    Work has no device.  Empty text is "not known".
    """

    meter: str
    host: str
    zone: str = ""
    pue_milli: int = 0
    device: str = ""
    component: str = ""
    device_model: str = ""
    method: str = ""
    use: str = ""
    run: str = ""
    job: str = ""
    model: str = ""
    labels: tuple[tuple[str, str], ...] = ()


class EnergyFact(NamedTuple):
    """Energy that a key got in a window.

    ``seen_ms``: over how much of the window the device was metered; the same for all keys of one device, and so the window's
    coverage.  ``spread_uj``: how much of it may be another's, by the way the device was shared (95 %).
    """

    key: Key
    start_s: int
    length_s: int
    seen_ms: int
    energy_uj: int
    spread_uj: int = 0


class WorkFact(NamedTuple):
    """Work done in a window; the three kinds of token are disjoint (``prompt``: computed, without cache hits)."""

    key: Key
    start_s: int
    length_s: int
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    requests: int = 0
    steps: int = 0


class AllocationFact(NamedTuple):
    """How a served workload's energy in a window was divided among its tokens; or what one ``request`` got of that.

    The key names the energy facts that it divides: those of the same meter, host, run, job, model, labels, component and method,
    on whichever device (``device``, ``device_model`` and ``use`` are empty), of the same window; where one process serves several
    models, its energy facts name none.  What an engine did across a minute's end stands in the minute in which that was known.
    Over all windows the four sum to the energy facts.  A request's key has no component and no method: it is of all; its energy is
    part of the windows' prompt and generated energy, never added to it. ``spread_uj``: how much of a request's energy may be
    another's (95 %).  ``weak``: the prices stood on a prior, the data could not tell prompt from generated tokens.
    """

    key: Key
    start_s: int
    length_s: int
    prompt_uj: int = 0
    generated_uj: int = 0
    standby_uj: int = 0
    overhead_uj: int = 0
    spread_uj: int = 0
    weak: bool = False
    request: str = ""
    tenant: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0


class GapFact(NamedTuple):
    """A time in which a device drew nobody knows what: the energy was not invented, and coverage counts it as unseen."""

    meter: str
    host: str
    device: str
    start_ms: int
    end_ms: int
    reason: str


class IntensityFact(NamedTuple):
    """What one provider said of one zone's grid in one window: micrograms CO2e per kWh.

    A provider that says it anew has made a new version: the one learnt last holds.  ``boundary``: ``direct`` (the plants' own),
    ``lifecycle``, ``upstream`` (the difference of one source's pair), ``residual`` (what certificates leave over).  ``estimated``
    is the provider's own word; ``forecast``: said before the window ended, about a time to come.
    """

    zone: str
    start_s: int
    length_s: int
    ug_per_kwh: int
    provider: str
    signal: Signal = "average"
    boundary: str = "direct"
    version: str = ""
    estimated: bool = False
    forecast: bool = False


class ContractFact(NamedTuple):
    """A contractual instrument: so many watt-hours at this rate, for consumption in these zones and this time.

    ``volume_wh`` of ``None``: all that is consumed (a supplier's rate).  ``criteria``: (criterion, verdict, evidence) for each of
    ``CRITERIA``; one that is not named is unknown.
    """

    contract: str
    instrument: Instrument
    zones: tuple[str, ...]
    start_s: int
    end_s: int
    volume_wh: int | None
    ug_per_kwh: int
    criteria: tuple[tuple[str, Verdict, str], ...] = ()
    technology: str = ""
    registry: str = ""
    serials: str = ""
    beneficiary: str = ""


class AssetFact(NamedTuple):
    """An event in the life of a machine or a part: made, moved, installed, repaired, swapped, second life, retired."""

    asset: str
    event: str
    at_s: int
    emitted_g: int | None = None
    inside: str = ""
    evidence: str = ""
    details: tuple[tuple[str, str], ...] = ()


class PurchaseFact(NamedTuple):
    """AI services bought: tokens, requests or money (millionths of the currency)."""

    supplier: str
    service: str
    start_s: int
    length_s: int
    region: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    generated_tokens: int | None = None
    requests: int | None = None
    cost_micro: int | None = None
    currency: str = ""
    evidence: str = ""


class RunFact(NamedTuple):
    """A meter, or a run of a program, began or ended: on which host, by which version and configuration.

    ``clock_offset_ms``: how far the kernel holds the wall clock to be off, ``None`` where nobody disciplines it.  ``energy_uj``:
    of a run that ended, all that it used, its inner runs included; ``reserved``: for how many nanoseconds each device (or ``host``)
    was its, which a program's own books do not tell otherwise.
    """

    what: Literal["began", "ended"]
    meter: str
    host: str
    at_ms: int
    run: str = ""
    parent: str = ""
    job: str = ""
    model: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    scope: str = ""
    version: str = ""
    system: str = ""
    clock_offset_ms: int | None = None
    config: tuple[tuple[str, str], ...] = ()
    energy_uj: int | None = None
    reserved: tuple[tuple[str, int], ...] = ()


Fact = EnergyFact | WorkFact | AllocationFact | GapFact | IntensityFact | ContractFact | AssetFact | PurchaseFact | RunFact


class Correction(NamedTuple):
    """A new fact that takes the place of an old one, named by its id; without a fact the old one is withdrawn."""

    corrects: str
    reason: str
    fact: Fact | None = None


class Known(NamedTuple):
    """A fact as the books have it: its id (``WRITER:SEQ``), when it was learnt, and what it corrects."""

    id: str
    recorded_s: int
    fact: Fact
    corrects: str = ""
    reason: str = ""


def fits(fact: object) -> bool:
    """Whether every whole number in a fact is one of 64 bits: what is beyond can be written down, but never sealed.

    A minute of a planet's power is not; only a count that somebody made up is.
    """
    if isinstance(fact, tuple):
        return all(map(fits, fact))
    return not isinstance(fact, int) or -(1 << 63) <= fact < 1 << 63
