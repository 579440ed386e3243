"""What programs are told of their spans: accounts as of the last closed cell, settled ones, and the terms they are read by.

The sampler's thread hands over a ``Published`` after each cell; everything else happens on the server's.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from wattledger.core.accounts import SpanAccount
from wattledger.core.model import Device, Factor, Instant, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.totals import EnergyKey
from wattledger.runtime.control import wire
from wattledger.runtime.control.clients import Client
from wattledger.runtime.control.desk import Desk
from wattledger.runtime.control.protocol import Ask, TooMuch, Wrong
from wattledger.runtime.control.wire import Packed

PUSH_NS = 5_000_000_000
FEW = 256  # so many open spans are copied after each cell; of more, only those that somebody asked for
MOST_ASKED = 16_384

Notes = Callable[[], Sequence[str]]
Row = tuple[str, str | None, str, str, str, int]  # job, model, device, method, use, uj


class Published(NamedTuple):
    """One closed cell: accounts of open spans so far, those of ended ones, the terms, and the totals if somebody asked."""

    at: Instant
    open: Mapping[int, Packed]
    settled: Mapping[int, SpanAccount]
    devices: Mapping[str, Device]
    factors: tuple[Factor, ...]
    rates: tuple[Factor, ...]  # what it took to make each device, per hour
    totals: Mapping[EnergyKey, int] | None
    everyone: bool  # every open span is in ``open``
    push: bool


class Terms(NamedTuple):
    """What figures are read by, as it is said to programs."""

    factors: list[dict[str, Any]]
    notes: list[str]
    price_notes: list[str]
    text: str


class Asked(NamedTuple):
    """Who wants totals, and of which process tree where no unit tells."""

    client: Client
    id: int | None
    tree: Workload


class Answers:
    """State: what the last cell published, spans asked for by number, ended ones that nobody has asked for yet (of two cells), asks
    for totals, and the terms in force."""

    def __init__(self, desk: Desk, notes: Notes, price_notes: Notes) -> None:
        self._desk, self._notes, self._price_notes = desk, notes, price_notes
        self._last = Published(Instant(0, 0), {}, {}, {}, (), (), None, False, False)
        self._awaited: dict[int, int | None] = {}  # by the span's number: the id to answer with
        self._recent: dict[int, SpanAccount] = {}
        self._older: dict[int, SpanAccount] = {}
        self._totals: list[Asked] = []
        self._terms = Terms([], [], [], "")
        self._pushed_ns = 0

    # --- the sampler's thread -------------------------------------------------------------------------------------------

    def publish(self, step: Step, pipeline: Pipeline, now: Instant, *, push: bool = False) -> Published:
        """Copy what answers need, while nobody steps the pipeline."""
        push = push or now.mono_ns - self._pushed_ns >= PUSH_NS
        if push:
            self._pushed_ns = now.mono_ns
        accounts = list(pipeline.spans.open_accounts())
        everyone = push or len(accounts) <= FEW
        copies = {a.span: wire.pack(a) for a in accounts if everyone or a.span in self._awaited}
        factors, rates = tuple(pipeline.terms.values()), tuple(pipeline.rates.values())
        totals = dict(pipeline.totals.energy_uj) if self._totals else None
        settled = {account.span: account for account in step.settled}
        return Published(now, copies, settled, dict(pipeline.totals.devices), factors, rates, totals, everyone, push)

    # --- the server's thread --------------------------------------------------------------------------------------------

    def take(self, published: Published) -> None:
        """A cell was closed: answer who waited for it, push where it is time, forget what nobody asked for."""
        self._last = published
        self._renew_terms()
        for number in list(self._awaited):
            if number in published.settled:
                self._answer(number, published.settled[number])
            elif number in published.open:
                self._answer(number, published.open[number])
        self._desk.forget(list(self._older))
        self._older, self._recent = self._recent, {}
        gone = []
        for number, account in published.settled.items():
            owner = self._desk.owners.get(number)
            if owner is not None and owner.client.left.get(owner.span) == number:
                self._recent[number] = account
            elif owner is not None:
                gone.append(number)
        self._desk.forget(gone)
        self._answer_totals()
        if published.push:
            self._push()

    def ask(self, client: Client, ask: Ask) -> None:
        """Answer, now or when the cell is closed.  Raises Wrong."""
        if ask.span is None:
            self._ask_totals(client, ask)
            return
        held = client.spans.get(ask.span)
        number = held.number if held is not None else client.left.get(ask.span)
        if number is None:
            raise Wrong(f"span {ask.span}: not one of yours, or ended too long ago")
        if len(self._awaited) >= MOST_ASKED:
            raise TooMuch("too many are asking: try again")
        self._awaited[number] = ask.id
        account = self._recent.get(number) or self._older.get(number) or (self._last.open.get(number) if held is not None else None)
        if account is not None or (held is not None and self._last.everyone):
            self._answer(number, account)

    def _ask_totals(self, client: Client, ask: Ask) -> None:
        tree = client.tree
        if ask.pid is not None:
            pid = self._desk.may_ask(client, ask.pid)
            tree = Workload(f"pid {pid}")
        if len(self._totals) >= MOST_ASKED:
            raise TooMuch("too many are asking: try again")
        self._totals.append(Asked(client, ask.id, tree))

    def gone(self, client: Client) -> None:
        """Nobody to answer any more."""
        numbers = {number for number in self._awaited if (o := self._desk.owners.get(number)) and o.client is client}
        for number in numbers:
            del self._awaited[number]
        self._totals = [asked for asked in self._totals if asked.client is not client]

    def last_words(self, clients: Iterable[Client]) -> None:
        """Before the agent stops: everybody's open spans as of the last cell."""
        self._push()
        for client in clients:
            client.flush()

    def _renew_terms(self) -> None:
        factors = [f._asdict() for f in (*self._last.factors, *self._last.rates)]
        notes, price_notes = list(self._notes()), list(self._price_notes())
        text = json.dumps([factors, notes, price_notes])
        if text != self._terms.text:
            self._terms = Terms(factors, notes, price_notes, text)

    def _answer(self, number: int, account: SpanAccount | Packed | None) -> None:
        ask_id = self._awaited.pop(number)
        owner = self._desk.owners.get(number)
        if owner is None:
            return
        final = isinstance(account, SpanAccount)
        packed = wire.pack(account) if isinstance(account, SpanAccount) else account
        self._tell_terms(owner.client)
        owner.client.say_later(lambda: self._row(owner.client, owner.span, packed, ask_id, final))

    def _row(
        self, client: Client, span: int, packed: Packed | None, ask_id: int | None = None, final: bool = False
    ) -> dict[str, Any]:
        return {
            **({"op": "account"} if ask_id is None else {"id": ask_id, "ok": True}),
            "span": span,
            "final": final,
            "at": self._last.at,
            "account": None if packed is None else wire.shown(packed, everything=client.operator, factors=self._last.factors),
            "devices": [] if packed is None else wire.devices_shown(packed, self._last.devices),
        }

    def _tell_terms(self, client: Client) -> None:
        terms = self._terms
        if client.told is not terms:
            client.told = terms
            said = {"op": "terms", "factors": terms.factors, "notes": terms.notes, "price_notes": terms.price_notes}
            client.say_later(lambda: said)

    def _push(self) -> None:
        """Accounts so far, to whoever keeps up with them."""
        behind = {owner.client for owner in self._desk.owners.values() if owner.client.busy}
        for number, packed in self._last.open.items():
            owner = self._desk.owners.get(number)
            if owner is not None and owner.client not in behind:
                self._tell_terms(owner.client)
                owner.client.say_later(lambda o=owner, p=packed: self._row(o.client, o.span, p))  # type: ignore[misc]

    def _answer_totals(self) -> None:
        asks, self._totals = self._totals, []
        energy = self._last.totals
        for asked in asks:
            if energy is None:  # asked after the cell was copied
                self._totals.append(asked)
            else:
                rows = _of_unit(asked, energy)
                asked.client.say_later(lambda i=asked.id, r=rows: {"id": i, "ok": True, "energy": r})  # type: ignore[misc]


def _of_unit(asked: Asked, energy: Mapping[EnergyKey, int]) -> list[Row]:
    """A unit's energy by job, device, method and use: of everybody for an operator, else of who has the unit's label, which only
    the kernel's word sets."""
    who = asked.client.peer.vouched
    label = ("k8s_pod_uid", who.pod_uid) if who.pod_uid else ("slurm_job_id", who.slurm_job)
    return [
        (workload.job, workload.model, device, method, use, uj)
        for (workload, device, method, use), uj in energy.items()
        if asked.client.operator or (label[1] and label in workload.labels) or workload == asked.tree
    ]
