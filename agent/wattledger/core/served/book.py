"""Every serving engine of a node: whose it is, and what its energy went into, as sums for the snapshot and shares for the
ledger."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from wattledger.core.accounts import Lane
from wattledger.core.model import OTHER, RESERVED, Fault, Instant, Request, Served, Work, Workload
from wattledger.core.posted import Posted
from wattledger.core.pricing import grams
from wattledger.core.served.counts import Growth
from wattledger.core.served.workload import Divided, OfRequest, Serving
from wattledger.core.totals import TOKEN_KINDS, Tokens

UNRECORDED = "(unrecorded)"
OTHER_TENANTS = "(other)"
MOST_TENANTS = 100  # with series of their own, for each workload
ROUTED = 250  # requests that a tick takes, or a quarter of those that wait
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "0.0.0.0")  # one and the same from within the host


class House(NamedTuple):
    """What the book is told of the pipeline it works in.

    ``whose``: the workload of a process; ``series``: under which name a workload is shown.  ``price``: g/kWh and PUE in force, if
    anybody knows.
    """

    whose: Callable[[str], Workload]
    series: Callable[[Workload], Workload]
    price: Callable[[], tuple[float, float] | None]
    posted: Posted


class TokenBook:
    """State: served workloads, which replica is whose, what was told since the last cell, and the sums."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.serving: dict[Workload, Serving] = {}
        self.faults: list[Fault] = []
        self._told: list[Served] = []
        self._requests: list[Request] = []
        self._engines: dict[tuple[str, str], Served] = {}
        self._token_uj: dict[tuple[Workload, str, str, str], int] = {}
        self._token_g: dict[tuple[Workload, str], float] = {}
        self._request_uj: dict[tuple[Workload, str, str], int] = {}
        self._request_tokens: dict[tuple[Workload, str, str], int] = {}

    def hear(self, sample: Served | Request) -> None:
        """A reading of an engine, or a request that has ended; taken when the cell is closed."""
        if isinstance(sample, Served):
            self._told.append(sample)
        else:
            self._requests.append(sample)

    def begin(self) -> list[Work]:
        """A cell is being closed: gives what the engines did since they were last read."""
        told, self._told = self._told, []
        works: list[Work] = []
        by_owner: dict[Workload, list[Served]] = {}
        for reading in told:
            owner = self._house.whose(reading.who) if reading.who else Workload(reading.engine.partition(" ")[0], reading.model)
            if owner.job in RESERVED:
                what = f"{reading.engine}: nobody knows whose its process is ({reading.who}), so its tokens are not counted"
                self.faults.append(Fault("engines", reading.engine, reading.at, what, gone=False))
                continue
            by_owner.setdefault(owner, []).append(reading)
            self._engines[reading.engine, reading.model] = reading
        for owner, readings in by_owner.items():
            serving = self._of(owner, readings)
            for reading, growth in serving.read(readings):
                works.append(self._work(serving, reading, growth))
        return [work for work in works if any(work[2:6]) or work.steps]

    def _of(self, owner: Workload, readings: Iterable[Served]) -> Serving:
        """The owner's serving; replicas that went by another name until now (a claim has come) go on under the new one."""
        serving = self.serving.get(owner)
        if serving is None:
            serving = self.serving[owner] = Serving(owner)
        for reading in readings:
            for other in self.serving.values():
                if other is not serving and other.has(reading):
                    serving.adopt(reading, other)
        return serving

    def _work(self, serving: Serving, reading: Served, growth: Growth) -> Work:
        if growth.wrong:
            self.faults.append(Fault("engines", reading.engine, reading.at, growth.wrong, gone=False))
        counts = growth.prompt, growth.cached, growth.generated, growth.requests
        return Work(serving.named(reading.model), reading.at, *counts, steps=growth.steps or 0)

    def energy(self, workload: Workload, key: Lane, kind: str, cell: tuple[int, int], energies_uj: tuple[int, int]) -> None:
        """What a served workload got of a device over the cell, and how much of it for holding it idle, where its idle draw has
        been seen."""
        self.serving[workload].energy(key, kind, cell, energies_uj)

    def close(self, at: Instant) -> list[OfRequest]:
        """Divide what can be divided, and settle requests; gives those that are final."""
        # A delivery of thousands at once is taken bit by bit, so that no tick waits for it.
        self._route(max(ROUTED, len(self._requests) // 4))
        settled: list[OfRequest] = []
        for serving in self.serving.values():
            for divided in serving.divide(at):
                self._post(serving, divided)
            found = serving.settle(at.mono_ns)
            settled += found
        for of in settled:
            self._settle(of)
        return settled

    def flush(self) -> list[OfRequest]:
        """Nothing follows: whoever waits is settled with what there is."""
        self._route(len(self._requests))
        settled = [of for serving in self.serving.values() for of in serving.flush()]
        for of in settled:
            self._settle(of)
        return settled

    def retire(self, gone: Iterable[Workload]) -> None:
        """These have no series any more, under any name; who is still served begins anew."""
        ended = frozenset(gone)
        if not ended:
            return
        self._token_uj = {key: uj for key, uj in self._token_uj.items() if key[0] not in ended}
        self._token_g = {key: g for key, g in self._token_g.items() if key[0] not in ended}
        self._request_uj = {key: uj for key, uj in self._request_uj.items() if key[0] not in ended}
        self._request_tokens = {key: n for key, n in self._request_tokens.items() if key[0] not in ended}
        for owner in [o for o in self.serving if any(o.job == w.job and o.model == w.model for w in ended)]:
            if self._house.series(owner) == OTHER:
                del self.serving[owner]
        self._engines = {key: r for key, r in self._engines.items() if any(s.has(r) for s in self.serving.values())}

    def shown(self) -> Tokens:
        """For the snapshot: copies."""
        prices: dict[tuple[Workload, str, str], float] = {}
        pending: dict[Workload, int] = {}
        weak: set[Workload] = set()
        for serving in self.serving.values():
            shown = self._house.series(serving.workload)
            pending[shown] = pending.get(shown, 0) + serving.pending_uj
            for i, model in enumerate(serving.models):
                name = self._house.series(serving.named(model))
                weak |= {name} if serving.weak else set()
                if name != OTHER:  # prices of several have no sum
                    prices |= {(name, *key): value for key, value in _prices(serving, i).items()}
        owned = [(r, serving) for r in self._engines.values() for serving in self.serving.values() if serving.has(r)]
        told = [(r.address, self._house.series(serving.named(r.model))) for r, serving in owned]
        engines = {address: shown for address, shown in told if shown != OTHER}  # one that has done nothing yet has no name
        sums = dict(self._token_uj), dict(self._token_g), pending, prices, dict(self._request_uj), dict(self._request_tokens)
        return Tokens(*sums, engines, frozenset(weak))

    # --- within -----------------------------------------------------------------------------------------------------------

    def _post(self, serving: Serving, divided: Divided) -> None:
        division = divided.division
        by_workload: dict[Workload, list[int]] = {serving.workload: [0, 0, division.standby_uj, division.overhead_uj]}
        for model, prompt_uj, generated_uj in zip(serving.models, division.prompt_uj, division.generated_uj, strict=True):
            sums = by_workload.setdefault(serving.named(model), [0, 0, 0, 0])
            sums[0] += prompt_uj
            sums[1] += generated_uj
        price = self._house.price()
        for workload, energies_uj in by_workload.items():
            if not any(energies_uj):
                continue
            self._house.posted.tokens((workload, *divided.component), divided.at, energies_uj, weak=divided.weak)
            shown = self._house.series(workload)
            for kind, uj in zip(TOKEN_KINDS, energies_uj, strict=True):
                key = (shown, *divided.component, kind)
                self._token_uj[key] = self._token_uj.get(key, 0) + uj
                if price is not None:
                    self._token_g[shown, kind] = self._token_g.get((shown, kind), 0.0) + grams(uj, *price)

    def _settle(self, of: OfRequest) -> None:
        shown, settled = self._house.series(of.workload), of.settled
        tenant = UNRECORDED if settled.request is None else settled.request.tenant
        tenant = self._tenant(shown, tenant)
        for kind, uj, n in (
            ("prompt", settled.prompt_uj, settled.prompt_tokens),
            ("generated", settled.generated_uj, settled.generated_tokens),
        ):
            key = shown, tenant, kind
            self._request_uj[key] = self._request_uj.get(key, 0) + uj
            self._request_tokens[key] = self._request_tokens.get(key, 0) + n

    def _tenant(self, shown: Workload, tenant: str) -> str:
        if (shown, tenant, "prompt") in self._request_uj or tenant == UNRECORDED:
            return tenant
        known = sum(1 for workload, _, kind in self._request_uj if workload == shown and kind == "prompt")
        return tenant if known < MOST_TENANTS else OTHER_TENANTS

    def _route(self, most: int) -> None:
        """So many requests to their engines."""
        due, self._requests = self._requests[:most], self._requests[most:]
        served = {(owner, r.model): r for r in self._engines.values() for owner, s in self.serving.items() if s.has(r)}
        for request in due:
            found = _meant(request, served)
            if len(found) == 1:
                owner, model = found[0]
                wrong = self.serving[owner].request(model, request)
            else:
                whom = f"to model {request.model!r} at {request.address or 'no address'}"
                wrong = f"a request {whom}: {'several engines' if found else 'no engine here'} can be meant, so it gets no energy"
            if wrong:
                self.faults.append(Fault("engines", None, request.end, wrong, gone=False))


def _meant(request: Request, served: Mapping[tuple[Workload, str], Served]) -> list[tuple[Workload, str]]:
    """The engine at its address, else (through a gateway, or of an engine that does not say where it is) all that serve its
    model."""
    found = [key for key, reading in served.items() if _is_at(reading.address, request.address)]
    return found if len(found) == 1 else [key for key in found or served if request.model in ("", key[1])]


def _is_at(here: str, told: str) -> bool:
    """Whether an engine's address is the one that a request names."""
    host, _, port = told.rpartition(":")
    our_host, _, our_port = here.rpartition(":")
    return bool(told) and port == our_port and (host == our_host or host in LOOPBACK or our_host in LOOPBACK)


def _prices(serving: Serving, i: int) -> Mapping[tuple[str, str], float]:
    """Joules per token of all components together; their errors are added, because they may have one cause."""
    found: dict[tuple[str, str], float] = {}
    for j, kind in enumerate(TOKEN_KINDS[:2]):
        told = [price for fit in serving.fits.values() if (price := fit.price(i)[j]) is not None]
        if told:
            for bound in ("value", "low", "high"):
                found[kind, bound] = sum(getattr(price, bound) for price in told)
    return found
