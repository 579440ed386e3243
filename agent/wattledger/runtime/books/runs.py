"""A run that ended, as a fact: who, when, and all that it used."""

from wattledger.core.accounts import SpanAccount
from wattledger.core.facts import RunFact
from wattledger.core.footprint import Identity
from wattledger.runtime import clock
from wattledger.runtime.books.minutes import Meter


def run_fact(who: Identity, account: SpanAccount, meter: Meter) -> RunFact:
    """What the footprint says of its energy, inner runs included; of a run of the whole host, what its own processes used."""
    at = account.left or clock.now()
    return RunFact(
        "ended", meter.id, meter.host, at.wall_ns // 1_000_000, who.run_id, who.parent_run_id or "", who.job, who.model or "",
        tuple(sorted(who.labels.items())), who.scope, energy_uj=account.energy_uj,
        reserved=tuple((binding, round(ns)) for binding, ns in sorted(account.reserved_ns.items())),
    )  # fmt: skip
