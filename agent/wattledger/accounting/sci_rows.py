"""SCI scores of what is in the books, as plain data (schema ``wattledger.sci/1``): every input of the formula beside its score.

A line has a score of its own and no sum is made of them: per token of one model and per token of another are two things.  What is
not known is absent, and ``why`` says so.
"""

from collections.abc import Iterable
from math import inf
from typing import Any, NamedTuple

from wattledger.accounting import sci
from wattledger.accounting.report_ask import HOUR_S, Ask, Rules
from wattledger.accounting.report_rows import names, row
from wattledger.accounting.report_sums import UJ_PER_KWH, parts
from wattledger.accounting.reports import Line, Report, iso_time, report
from wattledger.accounting.sci import UNITS, Boundary, Intensity, unit_of
from wattledger.accounting.sci_hours import metered_s
from wattledger.core.facts import RunFact
from wattledger.core.uncertainty import Quantity
from wattledger.ledger import query, query_hours
from wattledger.ledger.books import Books
from wattledger.ledger.query import Scope

SCHEMA = "wattledger.sci/1"
BASIS = {"average": "operational", "marginal": "marginal"}
SAID = {"average": "location-based average, at the price of the hour", "marginal": "location-based marginal, as providers say it"}
NOTHING = Quantity(0.0, 0.0, 0.0)
NOT_OF_SCORES = ("market-based:", "water:")  # notes of a report that say nothing of its scores


NO_M = (
    "M, the embodied carbon, is not known, and a score without it is no SCI score: say what the machines are "
    "(wattledger asset add, [embodied]), or leave it out and have the answer say so (--no-embodied)"
)


class NoEmbodied(ValueError):
    """A score was asked for, and M is not known.  The message is one line and says what to do."""


class Per(NamedTuple):
    """Per what, and per how many of it (``times``).  ``units``: how many there were, where the asker says it (``name``: of what,
    for custom ones).

    ``effective``: that count leaves failed or repeated work out; what the books count is gross.
    """

    unit: str
    boundary: Boundary
    units: float | None = None
    name: str = ""
    effective: bool = False
    intensity: Intensity = "average"
    embodied: bool = True
    times: int = 1

    @property
    def told(self) -> str:
        """As people read it: ``token``, ``1000 tokens``."""
        one, many = (self.name, self.name) if self.name else (UNITS[self.unit].one, UNITS[self.unit].many)
        return one if self.times == 1 else f"{self.times} {many}"


def per(unit: str, boundary: Boundary | None = None, **more: Any) -> Per:
    """Per a unit of ``sci.UNITS`` or a number of them (``1000-token``), of its own boundary where none is asked.  Raises ValueError
    with one line for what cannot be."""
    one, times = unit_of(unit)
    asked = Per(one, boundary or UNITS[one].boundary, **more, times=times)
    if asked.units is None and not UNITS[one].counted:
        raise ValueError(f"the books do not count {UNITS[one].many}: --count N says how many there were")
    if asked.units is not None and not asked.units >= 0:
        raise ValueError(f"--count {asked.units:g}: a count is 0 or more")
    if asked.units is None and asked.effective:
        raise ValueError("the books count all that was done (gross): an effective count is yours to say (--count N)")
    if asked.name and one != "custom":
        raise ValueError(f"--unit names a custom unit, and this is per {one}: --per custom --unit {asked.name!r}")
    return asked


def scores(books: Books, ask: Ask, rules: Rules, asked: Per) -> dict[str, Any]:
    """The scores of a report's jobs or models.  Raises NoEmbodied, and what ``report`` raises."""
    if asked.units is not None and ask.name is None:
        raise ValueError(f"--count says how many {UNITS[asked.unit].many} one job or model had: name it")
    rules = rules._replace(embodied=rules.embodied and asked.embodied)
    found = report(books, ask._replace(marginal=asked.intensity == "marginal"), rules)
    # What nobody worked for has no functional unit; its energy is in the report.
    lines = [line for line in found.lines if ask.name is not None or not line.group[0].startswith("(")]
    said: dict[str, Any] = {"schema": SCHEMA, "kind": ask.kind, "formula": sci.FORMULA, "standard": sci.STANDARD}
    times = {"from": ask.from_s, "to": ask.to_s, "as_of": ask.as_of_s}
    said |= {word: iso_time(time_s) for word, time_s in times.items() if time_s is not None}
    said |= {"name": ask.name} if ask.name is not None else {}
    said |= {"per": asked.told, "boundary": asked.boundary, "covers": sci.BOUNDARIES[asked.boundary]}
    said["rows"] = [_score(books, found, line, asked) for line in lines]
    if asked.embodied and lines and all(each.get("why") == NO_M for each in said["rows"]):
        raise NoEmbodied(NO_M)
    others = [note for note in found.notes if not note.startswith(NOT_OF_SCORES)]
    return said | {"notes": [*_notes(asked, len(lines) < len(found.lines)), *others]}


def _score(books: Books, found: Report, line: Line, asked: Per) -> dict[str, Any]:
    """One line: its score with every input, or why there is none."""
    said, whole = dict[str, Any](names(found, line)), row(found, line)
    if not line.sums.facts:
        return said | {"why": "its energy is not known: nothing was metered"}
    inputs, operated, why = _operated(line, asked)
    made, none_made = _embodied(whole, asked)
    inputs |= made
    unit, count = _unit(books, found.ask, line, asked)
    inputs["functional_unit"] = unit
    said["inputs"] = inputs
    why = why or none_made or ("" if count > 0 else f"there were no {unit['units']}: a score per none is not known")
    if why:
        return said | {"why": why}
    embodied_g = Quantity(*(made["embodied_g"][end] for end in Quantity._fields)) if "embodied_g" in made else NOTHING
    return {**names(found, line), "sci_g": sci.per_unit([operated, embodied_g], count / asked.times).to_dict(), "inputs": inputs}


def _operated(line: Line, asked: Per) -> tuple[dict[str, Any], Quantity, str]:
    """E and I, E x I, and why that is not known."""
    sums, basis = line.sums, BASIS[asked.intensity]
    it_kwh = float(sums.energy_uj() / UJ_PER_KWH)
    inputs: dict[str, Any] = {"energy_kwh": sums.drawn_kwh(shared=True).to_dict(), "it_energy_kwh": it_kwh}
    pues = {pue: uj for pue, uj in sums.of("pue").items() if uj}
    if pues and all(pues):
        inputs["pue"] = inputs["energy_kwh"]["value"] / it_kwh
    else:
        inputs["pue_known_of"] = float(sum(uj for pue, uj in pues.items() if pue) / sums.energy_uj()) if pues else 0.0
    known, missing = sums.of(f"{basis} energy"), sums.missing(basis)
    if not known or missing:
        of = f"{1 - float(missing / sums.energy_uj()):.0%}" if sums.energy_uj() else "none"
        return inputs, NOTHING, f"I is not known: {asked.intensity} intensities are known of {of} of the energy"
    stands = {"quality": parts(known, "quality"), "boundary": parts(known, "boundary")}
    intensity = sums.intensity_g_per_kwh(basis).to_dict()
    inputs["intensity_g_per_kwh"] = {**intensity, "signal": SAID[asked.intensity], "stands_on": stands}
    operated = sums.emissions_g(basis, shared=True)
    return inputs | {"operational_g": operated.to_dict()}, operated, ""


def _embodied(whole: dict[str, Any], asked: Per) -> tuple[dict[str, Any], str]:
    """M, or why it is not there."""
    if not asked.embodied:
        return {"embodied_left_out": True}, ""
    grams = whole.get("emissions_g", {}).get("embodied")
    if grams is None:
        return {}, NO_M
    return {"embodied_g": {**grams, "stands_on": whole.get("stands_on", {}).get("embodied", {})}}, ""


def _unit(books: Books, ask: Ask, line: Line, asked: Per) -> tuple[dict[str, Any], float]:
    """The functional unit's record, and how many there were."""
    unit = UNITS[asked.unit]
    declared = asked.units is not None
    count = asked.units if asked.units is not None else _counted(books, ask, line, asked.unit)
    start_s, end_s = _span(books, ask, line)
    said: dict[str, Any] = {"unit": asked.name or unit.one, "units": asked.name or unit.many, "count": count}
    said |= {"per": asked.times} if asked.times != 1 else {}
    said |= {"counted_by": "declared (--count)" if declared else f"the books: {unit.counted}"}
    said |= {"counted": "effective" if asked.effective else "gross", "includes_failed": not asked.effective}
    return said | {"numerator_boundary": asked.boundary, "window": {"from": iso_time(start_s), "to": iso_time(end_s)}}, count


def _counted(books: Books, ask: Ask, line: Line, unit: str) -> float:
    prompt, _, generated, requests = line.work
    if unit == "hour":
        return metered_s(query_hours.windows(books.connection, _scope(ask, line)), ask.from_s, ask.to_s) / HOUR_S
    counts = {"token": prompt + generated, "prompt-token": prompt, "generated-token": generated, "request": requests}
    return counts[unit] if unit in counts else line.runs or _told_runs(books, ask, line)


def _told_runs(books: Books, ask: Ask, line: Line) -> int:
    """Of a program that metered itself outside of any job: its energy is of no run, and each of its runs has a fact."""
    ended = (one.fact for one in books.holding if isinstance(one.fact, RunFact) and one.fact.what == "ended")
    from_ms, to_ms = (ask.from_s or 0) * 1000, inf if ask.to_s is None else ask.to_s * 1000
    mine = (fact for fact in ended if from_ms <= fact.at_ms < to_ms)
    return sum((fact.job if ask.kind == "job" else fact.model) == line.group[0] for fact in mine)


def _span(books: Books, ask: Ask, line: Line) -> tuple[int, int]:
    """From when to when it was metered, within what was asked."""
    windows = query.windows(books.connection, _scope(ask, line))
    start_s, end_s = min(w.start_s for w in windows), max(w.start_s + w.length_s for w in windows)
    return max(start_s, ask.from_s or start_s), min(end_s, ask.to_s or end_s)


def _scope(ask: Ask, line: Line) -> Scope:
    return Scope(ask.kind, line.group[0], ask.from_s, ask.to_s)


def _notes(asked: Per, left_out: bool) -> Iterable[str]:
    other = next(name for name in sci.BOUNDARIES if name != asked.boundary)
    covers = sci.BOUNDARIES[asked.boundary]
    yield f"{asked.boundary} boundary ({covers}); a {other} score is another figure: the two are never added"
    if not asked.embodied:
        yield "M is left out, as asked (--no-embodied): this is the operational part, not an SCI score"
    if asked.effective:
        yield "R is an effective count: failed or repeated work is in E and M, and not in R"
    if left_out:
        yield "(idle), (unattributed) and the like have no score: nobody they worked for has functional units"
