"""The life of a machine or a part as people read it: each fact, each pace, and the balance."""

from collections.abc import Iterator, Sequence

from wattledger.accounting.assets.life import HOUR_S, UG_PER_G, Balance, Movement, Period, Place
from wattledger.accounting.explain_asset import AssetStory, Effect, Step, rate_g_per_h, sources
from wattledger.accounting.reports import iso_time
from wattledger.core.figures import digits, gram

FORMULA = "booked = carried x hours / hours of life left (TE x time share; r = C / (EL - age))"
SIGNS = {"made": "+", "added": "+", "transferred-in": "+", "written-off": "-", "transferred-out": "-"}
SHOWN = 24  # events and periods
SHOWN_CHANGES = 12


def asset_lines(found: AssetStory, *, every: bool) -> Iterator[str]:
    """An asset."""
    yield from _passport(found)
    yield f"  formula       {FORMULA}"
    yield "  events"
    yield from _some([line for step in found.steps for line in _step(step)], every, "events")
    periods = [period for period in found.life.periods if period.start_s < found.until_s]
    yield f"  booked        until {iso_time(found.until_s)}" if periods else "  booked        nothing: it was not in service"
    yield from _some([_period(period, found.until_s) for period in periods], every, "periods")
    yield from (f"  left out      {word(line)}" for line in found.refused)
    yield from _balance(found.balance)
    if not found.is_equal:
        yield "  NOT EQUAL: what was counted here is not what the fold carries: a bug; please report it"


def effect_lines(found: Effect) -> Iterator[str]:
    """What one fact does to the lives of machines."""
    if found.why_none:
        yield f"  effect        none: {found.why_none}"
    for step in found.steps:
        yield from (f"  {word(step.asset)}: {line.strip()}" for line in list(_step(step))[:1])
    for line in found.breaks[:SHOWN_CHANGES]:
        yield f"  without it    this could not have happened: {word(line)}"
    if not found.changes and not found.why_none:
        yield f"  moves         nothing that was booked until {iso_time(found.until_s)} (--to looks further)"
    for each in found.changes[:SHOWN_CHANGES]:
        where = f"on {word(each.host)}" if each.host else "in stock"
        much = f"{kilos(each.with_ug)}, without it {kilos(each.without_ug)}"
        yield f"  moves         {word(each.asset)} {where}: {much}, in embodied reports from {iso_time(each.from_s)} on"
    if rest := found.changes[SHOWN_CHANGES:]:
        yield f"  and {len(rest)} more (--json lists them)"


def _passport(found: AssetStory) -> Iterator[str]:
    life = found.life
    passport = life.passport
    named = " ".join(text for text in (passport.kind, passport.vendor, passport.model) if text)
    yield f"asset {word(passport.asset)}: {word(named)}{f', device {word(passport.device)}' if passport.device else ''}"
    ends = [None if end is None else kilos(end * UG_PER_G) for end in (passport.low_g, passport.high_g)]
    interval = f" ({ends[0]} to {ends[1]})" if all(ends) else ""
    said = sources(passport)
    where = ", ".join(f"licence {word(value)}" if name == "licence" else word(value) for name, value in said.items())
    made = f"{kilos(passport.made_g * UG_PER_G)} CO2e{interval}" if passport.made_known else "not known, and in no sum"
    yield f"  made          {made}: {where or 'nobody said by what source'}"
    stated = "stated" if life.el_stated else "assumed, nobody stated it"
    yield f"  life          {digits(life.el_s / HOUR_S)} h ({stated}), {digits(life.age_s / HOUR_S)} h of it used"
    yield f"  now           {life.status}, {_place(life.place)}"
    if life.parts:
        yield f"  parts         {', '.join(word(part) for part in life.parts)}"


def _step(step: Step) -> Iterator[str]:
    fact = step.fact
    moved = ", ".join(_moved(each) for each in step.moved) or "no carbon moves"
    of = "" if fact.asset == step.asset else f" of {word(fact.asset)}"
    head = f"    {iso_time(fact.at_s)}  {fact.event + of:<11} {moved}; it carries {kilos(step.carried_ug)} then"
    yield f"{head}, {_place(step.place)}: {step.known.id}"
    if step.known.corrects:
        yield f"      in place of {step.known.corrects}, because: {word(step.known.reason) or 'no reason is given'}"
    words = [f"{name}={value}" for name, value in fact.details] + ([f"evidence={fact.evidence}"] if fact.evidence else [])
    if words and fact.event != "make":
        yield f"      {word(', '.join(words))}"


def _moved(each: Movement) -> str:
    return f"{SIGNS[each.cause]}{kilos(each.ug)} {each.cause}"


def _period(period: Period, until_s: int) -> str:
    end = "on" if period.end_s is None else iso_time(period.end_s)
    pace = f"{kilos(period.carried_ug)} / {digits(period.life_left_s / HOUR_S)} h = {digits(rate_g_per_h(period))} g/h"
    booked = kilos(period.booked_ug(period.start_s, until_s))
    return f"    {iso_time(period.start_s)} to {end}  {_place(period.place)}: {pace}, booked {booked}"


def _balance(balance: Balance) -> Iterator[str]:
    came = ("made", "added", "transferred_in")
    went = ("booked", "carried", "written_off", "transferred_out")
    sides = [[_amount(balance, name) for name in side] for side in (came, went)]
    verdict = "exactly" if not balance.residual_ug else f"NOT EQUAL, {balance.residual_ug} ug off: a bug; please report it"
    yield f"  balance, ug   {' + '.join(sides[0])}"
    yield f"              = {' + '.join(sides[1])}: {verdict}"


def _amount(balance: Balance, name: str) -> str:
    return f"{getattr(balance, f'{name}_ug'):,} {name}".translate(str.maketrans(",_", "  "))


def _place(place: Place) -> str:
    words = [f"inside {word(place.inside)}"] if place.inside else []
    words += [f"on {word(place.host)}"] if place.host else []
    words += [f"at {word(place.site)}"] if place.site else []
    return ", ".join(words) or "on no host"


def _some(lines: Sequence[str], every: bool, what: str) -> Iterator[str]:
    shown = len(lines) if every or len(lines) <= SHOWN else SHOWN - 1
    yield from lines[:shown]
    if rest := len(lines) - shown:
        yield f"    {rest} more lines of {what} (--all lists them)"


def kilos(ug: int) -> str:
    """Machines are weighed in kilograms, however many."""
    grams = ug / UG_PER_G
    return f"{digits(grams / 1000)} kg" if abs(grams) >= 999.5 else gram(grams)


def word(text: str) -> str:
    """A user's word: it commands no terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
