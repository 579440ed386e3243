"""The fleet as the books have it: corrections applied, and every event with the id of its fact."""

from collections.abc import Iterable

from wattledger.accounting.assets.fold import Fleet, fold
from wattledger.accounting.assets.words import Event, event_of
from wattledger.accounting.prices_live import standing
from wattledger.core.facts import AssetFact, Known


def events_of(known: Iterable[Known], as_of_s: int | None = None) -> list[Event]:
    """The events that hold as of then (``None``: all that is known), in the order they were learnt.

    A correction takes the place of the fact it corrects, among events of one second too; one that puts a fact of another sort there
    withdraws it.
    """
    found = []
    # A correction of an asset's event may be anything; only such facts as can matter here are looked at.
    known = tuple(known)
    mine = {one.id for one in known if isinstance(one.fact, AssetFact)}
    for each in standing((one for one in known if one.id in mine or one.corrects in mine), as_of_s):
        fact = each.known.fact
        if isinstance(fact, AssetFact):
            found.append(event_of(fact, each.known.id, each.learnt))
    return found


def fleet_of(known: Iterable[Known], *, until_s: int | None = None, as_of_s: int | None = None) -> Fleet:
    """The fleet of what is known of assets, at ``until_s`` (``None``: at the last event)."""
    events = events_of(known, as_of_s)
    return fold(events, max((event.at_s for event in events), default=0) if until_s is None else until_s)
