"""Why so much of a machine's time is somebody's: the joules that it was divided by, or what a program said that it reserved."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from wattledger.accounting.embodied.methods import Method
from wattledger.accounting.report_ask import Ask
from wattledger.core.facts import RunFact
from wattledger.core.figures import digits, joule
from wattledger.core.units import UJ_PER_J
from wattledger.ledger.books import Books
from wattledger.ledger.query_embodied import HOST, Segment
from wattledger.ledger.query_embodied_why import Drawn, drawn

NS_PER_S = 1e9


class Why(NamedTuple):
    """``facts``: of a program that metered itself, the runs that said for how long the device (or host) was theirs."""

    drawn: Drawn
    facts: tuple[str, ...] = ()


def whys_of(books: Books, ask: Ask) -> Mapping[Segment, tuple[Why, ...]]:
    """Of the segments that were gathered last."""
    said: dict[tuple[str, str], list[str]] = {}
    for one in books.holding:
        if isinstance(one.fact, RunFact) and one.fact.what == "ended":
            for device, _ in one.fact.reserved:
                said.setdefault((one.fact.meter, device), []).append(one.id)
    return {
        segment: tuple(Why(each, tuple(said.get((each.tracker, segment.binding.device or HOST), ()))) for each in found)
        for segment, found in drawn(books.connection, ask.kind, ask.name).items()
    }


def because(why: Why, method: Method) -> str:
    """In numbers, so that one can work it out again: of one window by its formula; of more, each divided by itself, the sums."""
    found = why.drawn
    seconds = f"{digits(found.ns / NS_PER_S)} s"
    if found.tracker:
        return f"{seconds}: the program metered itself and said what it had reserved"
    if found.windows == 1:
        return f"{seconds} metered in 1 window: {_formula(found, method)}"
    mine = f"held {_joules(found.mine_held_uj)}, used {_joules(found.mine_used_uj)}"
    whole = f"held {_joules(found.held_uj)}, used {_joules(found.used_uj)}, idle {_joules(found.idle_uj)}"
    return f"{seconds} metered in {found.windows} windows, each divided by itself (--from, --to show one): {mine}; of all: {whole}"


def _formula(found: Drawn, method: Method) -> str:
    held, used, idle = map(_joules, (found.held_uj, found.used_uj, found.idle_uj))
    my_held, my_used = map(_joules, (found.mine_held_uj, found.mine_used_uj))
    if method == "time":
        return f"shared equally by {found.jobs} job{'' if found.jobs == 1 else 's'} at most at a time"
    if method == "physical":
        return f"x (used {my_used} + held {my_held}) / (all: used {used} + held {held} + idle {idle})"
    price = ", then weighed by its price" if method == "economic" else ""
    if not found.held_uj:
        return f"x used {my_used} / (all used {used} + idle {idle}); nobody held it{price}"
    if not found.idle_uj and not found.used_uj:
        return f"x held {my_held} / all held {held}{price}"
    if not found.idle_uj:
        return f"x held {my_held} / all held {held}; nothing of it was idle{price}"
    mine = f"held {my_held} + idle {idle} x used {my_used} / (all used {used} + idle {idle})"
    return f"x ({mine}) / (all held {held} + idle {idle}){price}"


def _joules(uj: float) -> str:
    return joule(uj / UJ_PER_J) if uj else "0 J"


def why_dict(why: Why) -> dict[str, Any]:
    """As JSON: joules together, of windows that are divided one by one."""
    found = why.drawn
    said: dict[str, Any] = {"windows": found.windows, "metered_s": found.ns / NS_PER_S}
    if found.tracker:
        return {"windows": found.windows, "reserved_s": found.ns / NS_PER_S, "said_by": list(why.facts), "meter": found.tracker}
    names = ("mine_held_uj", "mine_used_uj", "held_uj", "used_uj", "idle_uj")
    return said | {f"{name.removesuffix('_uj')}_j": getattr(found, name) / UJ_PER_J for name in names}
