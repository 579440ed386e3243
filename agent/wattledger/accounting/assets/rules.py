"""Whether new events may enter the books: they may not break a rule that what is known does not break already.

Which rules there are stands in fold_judge.  Nothing is written here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from wattledger.accounting.assets.books import events_of
from wattledger.accounting.assets.fold import Fleet, fold
from wattledger.accounting.assets.fold_judge import NEVER_MADE, Breach, shown
from wattledger.accounting.assets.life import UG_PER_G
from wattledger.accounting.assets.passport_fields import nearest
from wattledger.accounting.assets.transport import SOURCE as BY_WAY
from wattledger.accounting.assets.words import KINDS, Event, event_of
from wattledger.core.facts import AssetFact, Fact, Known

FOREVER_S = 2**62
G_PER_KG = 1000
# What happens to a thing emits less than making it anew, or little at all: beyond both of these it is doubted.
MOST_MADE, LITTLE_KG = 2, 50


class Range(NamedTuple):
    """Kilograms between which the making of one kind of thing may be believed: an order of magnitude beyond what was published."""

    low_kg: float
    high_kg: float


# Published footprints (Boavizta's formulas, makers' product footprints): cards 80 to 2,500 kg, servers 800 to 13,000, a CPU 15, a
# module of memory 5 to 100, a drive 20 to 500, boards and chassis 66 and 150.  Of a building no bound tells grams from kilograms.
PLAUSIBLE: Final[Mapping[str, Range]] = {
    "gpu": Range(8, 25_000), "accelerator": Range(4, 25_000), "server": Range(50, 130_000), "cpu": Range(1, 1_000),
    "dram": Range(0.5, 5_000), "ssd": Range(0.6, 5_000), "hdd": Range(2, 1_000), "storage": Range(2, 200_000),
    "nic": Range(0.5, 2_000), "psu": Range(1, 2_000), "board": Range(2, 30_000), "chassis": Range(5, 10_000),
    "rack": Range(10, 100_000),
}  # fmt: skip


class BrokenRule(ValueError):
    """New events cannot have happened; the message is one line: the rule, the asset, the time, and what is wrong."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(breach.message)
        self.breach = breach


def check(held: Iterable[Known], fresh: Sequence[AssetFact]) -> tuple[str, ...]:
    """BrokenRule where the fold of old and new breaks a rule that the old alone did not; else what must be said of the new, one
    line each: kilograms that look like grams or the other way round, what is not known, what stands on a default."""
    before = events_of(held)
    learnt_s = max((event.learnt[0] for event in before), default=0) + 1
    news = [event_of(fact, f"new:{number}", (learnt_s, "", number)) for number, fact in enumerate(fresh, 1)]
    after = _folded(before, [*before, *news])
    return tuple(dict.fromkeys(line for event in news for line in _doubts(event, after)))


def check_correction(held: Iterable[Known], corrects: str, fact: Fact | None) -> tuple[str, ...]:
    """The same of a fact that takes the place of one that is held, or (``None``) of withdrawing it."""
    known = tuple(held)
    later_s = max((one.recorded_s for one in known), default=0) + 1
    left = known if fact is not None else [one for one in known if one.id != corrects]
    later = events_of([*left, *([Known("new:1", later_s, fact, corrects)] if fact is not None else [])])
    after = _folded(events_of(known), later)
    return tuple(dict.fromkeys(line for event in later if event.id == "new:1" for line in _doubts(event, after)))


def _folded(before: Sequence[Event], later: Sequence[Event]) -> Fleet:
    """The fleet of the later events; BrokenRule where one breaks a rule that those before did not."""
    already = {(each.rule, each.event) for each in fold(before, FOREVER_S).refused}
    after = fold(later, FOREVER_S)
    for breach in after.refused:
        if (breach.rule, breach.event) not in already:
            hint = nearest(breach.asset, list(after.lives), given=False) if breach.rule == NEVER_MADE else ""
            raise BrokenRule(breach._replace(text=breach.text + hint))
    return after


def _doubts(event: Event, fleet: Fleet) -> Iterator[str]:
    name = shown(event.asset)
    kind = fleet.lives[event.asset].passport.kind if event.asset in fleet.lives else "other"
    if event.emitted_ug is not None:
        doubt = magnitude(kind, event.what, event.emitted_ug / UG_PER_G / G_PER_KG, made_kg=_made_kg(event, fleet))
        if doubt:
            yield f"{name}: {doubt}"
        if "energy_kwh" in event.numbers and "g_per_kwh" not in event.words:
            yield f"{name}: {event.what} says kg and energy_kwh: kg holds, and the energy's emissions are taken to be in it"
    if event.what != "make":
        return
    low_g, high_g = event.numbers.get("low_g"), event.numbers.get("high_g")
    made_g = (event.emitted_ug or 0) / UG_PER_G
    if event.emitted_ug is None:
        yield f"{name}: the carbon of its making is not known; it is in no sum"
    elif (low_g is not None and low_g > made_g) or (high_g is not None and high_g < made_g):
        yield f"{name}: its carbon lies outside its own interval, {float(low_g or 0):g} to {float(high_g or made_g):g} g"
    if not fleet.lives[event.asset].el_stated:
        yield f"{name}: no service life said (life_years); {fleet.lives[event.asset].el_s / 3600:.0f} hours are assumed"


def _made_kg(event: Event, fleet: Fleet) -> float:
    """What it took to make the thing that an event is about; 0 where that tells nothing of the event."""
    # A way that was computed by its distance was not typed in any unit, and a machine's takes its parts along.
    if event.what == "make" or event.asset not in fleet.lives or event.words.get("source") == BY_WAY:
        return 0.0
    return fleet.lives[event.asset].passport.made_g / G_PER_KG


def magnitude(kind: str, what: str, kg: float, *, made_kg: float = 0.0) -> str:
    """What is odd about so many kilograms for such a thing, which it took ``made_kg`` (0: not known) to make; or empty."""
    if what != "make" and made_kg > 0 and kg > max(MOST_MADE * made_kg, LITTLE_KG):
        times = f"{kg / made_kg:,.0f} times what it took to make it ({made_kg:,.10g} kg)"
        return f"{what} of {kg:,.10g} kg is {times}; {kg / G_PER_KG:g} kg, typed as grams?"
    likely = PLAUSIBLE.get(kind)
    if likely is None or kg <= 0 or kind not in KINDS:
        return ""
    if kg > likely.high_kg:
        hint = f"; {kg / G_PER_KG:g} kg, typed as grams?" if likely.low_kg <= kg / G_PER_KG <= likely.high_kg else ""
        return f"{what} of {kg:,.10g} kg is more than a {kind} ever took{hint}"
    if what == "make" and kg < likely.low_kg:
        hint = f"; {kg * G_PER_KG:g} kg, typed as if it were grams?" if likely.low_kg <= kg * G_PER_KG <= likely.high_kg else ""
        return f"make of {kg:,.10g} kg is less than a {kind} ever took{hint}"
    return ""
