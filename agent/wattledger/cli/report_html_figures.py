"""The figures of a report's page: each a picture, its words, and the same numbers as a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wattledger.accounting.report_sums import UJ_PER_J, Sums
from wattledger.accounting.reports import iso_day
from wattledger.cli import report_plot as plot
from wattledger.cli.report_csv import BASES, NAMES
from wattledger.cli.report_embodied import mass
from wattledger.cli.report_plot import BLUE, GREEN, GREY, HELD, ORANGE, SKY, Panel, Part, Said
from wattledger.cli.report_power import Curve, Step
from wattledger.cli.report_view import NO_NAME, fit
from wattledger.core.figures import digits, joule
from wattledger.core.uncertainty import Quantity
from wattledger.core.units import J_PER_KWH
from wattledger.runtime.page import words

TOP = 20  # bars; the others are one
TABLE_STEPS = 120
UNKNOWN = "not known"
LEAST_KWH = 0.1
SHORT_S = 600  # of what is shorter, seconds are said
WATER = {"onsite": ("on-site", BLUE, ""), "offsite": ("off-site", SKY, "/////")}
WATER_HEADS = {"onsite": "water on-site", "offsite": "water off-site"}


Show = Callable[[float], str]


class Figure(NamedTuple):
    """``svg`` is markup; all else is text.  ``id``: its own in the page."""

    id: str
    title: str
    svg: str
    summary: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Over(NamedTuple):
    """A report's time in hours or days (``word``), each with its sums."""

    word: str
    step_s: int
    sums: Mapping[int, Sums]
    shared: bool


def figures(found: Mapping[str, Any], over: Over | None, curve: Curve | None) -> list[Figure]:
    """Those for which there is something to show.  Raises NoPlots."""
    plot.needed("--html")
    made = (_power(curve), _lines(found), _times(over), _bases(found["total"]), _beside(found))
    return [figure for figure in made if figure is not None]


def label(kind: str, row: Mapping[str, Any]) -> str:
    """What the line is of, in full; what signs would do is not done."""
    return words.plain(" ".join(str(row[name]) for name in NAMES[kind][:2]).strip()) or NO_NAME


def ranked(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """By energy, as people look for what was most; days in their order."""
    rows: list[Mapping[str, Any]] = list(found["rows"])
    return rows if found["kind"] == "day" else sorted(rows, key=lambda row: -row.get("energy_uj", 0))


def energy(energy_j: float, like_j: float | None = None) -> str:
    """In kilowatt-hours where there is a tenth of one (or in the unit of another), else in joules."""
    kwh = abs(energy_j if like_j is None else like_j) / J_PER_KWH
    if kwh < LEAST_KWH:
        return joule(energy_j) if energy_j else "0 J"
    size, unit = (1000.0, "MWh") if kwh >= 999.5 else (1.0, "kWh")
    return f"{digits(energy_j / J_PER_KWH / size)} {unit}"


def interval(quantity: Quantity, show: Show) -> str:
    """``1.15 to 1.36 kJ``; empty where it is a point."""
    if quantity.low == quantity.high:
        return ""
    low, high = (energy(end, quantity.value) if show is energy else show(end) for end in quantity[1:])
    number, _, unit = low.rpartition(" ")
    return f"{number if high.endswith(f' {unit}') else low} to {high}"


def spanned(quantity: Mapping[str, float] | None, show: Show) -> str:
    """``1.25 kJ (1.15 to 1.36 kJ)``."""
    if quantity is None:
        return UNKNOWN
    ends = interval(Quantity(**quantity), show)
    return show(quantity["value"]) + (f" ({ends})" if ends else "")


def power_said(curve: Curve) -> Said:
    """The words of a power curve."""
    steps = curve.steps
    begin_s, stop_s = steps[0].start_s, steps[-1].end_s
    show = words.date_time if stop_s - begin_s >= SHORT_S else _to_the_second
    start, end = show(begin_s), show(stop_s)
    figures = f"{spanned(curve.energy_j.to_dict(), energy)}"
    grams = curve.location_g
    figures += f"; {spanned(grams.to_dict(), mass)} CO2e, location-based" if grams is not None else "; its CO2e is not known"
    whole_j = sum(step.total_w * step.metered_s for step in steps) or 1.0
    parts: dict[str, float] = {}
    for layer in plot.layers(steps):
        name = f"{layer.component} {'estimated' if layer.estimated else 'measured'}"
        parts[name] = sum(step.power_w.get(layer, 0.0) * step.metered_s for step in steps) / whole_j
    watts = [step.total_w for step in steps]
    mean_w = whole_j / sum(step.metered_s for step in steps)
    said = f"From {start} to {end}, in steps of {words.span(curve.step_s)}: {words.watt(min(watts))} to {words.watt(max(watts))}, "
    said += f"mean {words.watt(mean_w)}. " + ", ".join(f"{name} {words.percent(part)}" for name, part in parts.items()) + "."
    for grid in curve.grid:
        values = [value for _, _, value in grid.steps] or [0.0]
        said += f" Grid {grid.zone}: {min(values):.0f} to {max(values):.0f} gCO2e/kWh ({grid.quality})."
    for spans, what in ((curve.holes, "nothing is booked"), (curve.unseen, "a device drew nobody knows what")):
        seconds = sum(end_s - start_s for start_s, end_s in spans)
        said += f" In {len(spans)} gap{'s' * (len(spans) > 1)}, {words.span(seconds)} together, {what}." if spans else ""
    return Said(f"Power of {curve.who}", said, (f"{figures}; 95 % intervals", f"{start} to {end}"))


def _power(curve: Curve | None) -> Figure | None:
    if curve is None:
        return None
    said = power_said(curve)
    each = -(-len(curve.steps) // TABLE_STEPS)
    rows = [_step(curve.steps[n : n + each], curve) for n in range(0, len(curve.steps), each)]
    heads = ("from", "power", *(f"grid {grid.zone}" for grid in curve.grid), "CO2e an hour")
    return _figure("power", plot.power(curve, said, "inline"), said, heads, rows)


def _step(steps: Sequence[Step], curve: Curve) -> tuple[str, ...]:
    seconds = sum(step.metered_s for step in steps)
    start_s, power_w = steps[0].start_s, sum(step.total_w * step.metered_s for step in steps) / seconds
    grams = [step.emitted_g for step in steps if step.emitted_g is not None]
    grids = (next((value for begin_s, end_s, value in grid.steps if begin_s <= start_s < end_s), None) for grid in curve.grid)
    pace = f"{mass(sum(grams) / seconds * 3600)}" if len(grams) == len(steps) else UNKNOWN
    shown = (UNKNOWN if value is None else f"{value:.0f} g/kWh" for value in grids)
    return (words.date_time(start_s), words.watt(power_w), *shown, pace)


def _lines(found: Mapping[str, Any]) -> Figure | None:
    rows = [row for row in ranked(found) if "energy_j" in row]
    if found["kind"] == "day" or not rows:
        return None  # days are a figure of time
    shown, rest = rows[:TOP], rows[TOP:]
    labels = [fit(label(found["kind"], row)) for row in shown]
    joules = [row["energy_j"]["value"] for row in shown]
    held = [row["held_j"] for row in shown]
    spans: list[tuple[float, float] | None] = [(row["energy_j"]["low"], row["energy_j"]["high"]) for row in shown]
    if rest:
        labels.append(f"the other {len(rest)}")
        joules.append(sum(row["energy_j"]["value"] for row in rest))
        held.append(sum(row["held_j"] for row in rest))
        spans.append(None)
    active = [max(0.0, j - h) for j, h in zip(joules, held, strict=True)]
    summary = f"{labels[0]} used most, {energy(joules[0])} of {energy(sum(joules))}. " if len(labels) > 1 else ""
    said = Said(f"Energy by {found['kind']}", f"{summary}Held is the idle energy of what it holds. Lines are 95 % intervals.")
    panel = Panel("energy", "J", (Part("active", active, BLUE), Part("held", held, ORANGE, HELD)), spans)
    cells = [
        (name, energy(j), _ends(j, span, energy), energy(a), energy(h))
        for name, j, span, a, h in zip(labels, joules, spans, active, held, strict=True)
    ]
    heads = (found["kind"], "energy", "95 % interval", "active", "held")
    return _figure("lines", plot.lines(labels, [panel], said), said, heads, cells)


def _times(over: Over | None) -> Figure | None:
    if over is None or len(over.sums) < 2:
        return None
    energies = [of.energy_j(shared=over.shared) for of in over.sums.values()]
    held = [float(sum(of.of("held").values()) / UJ_PER_J) for of in over.sums.values()]
    known = [bool(of.of("operational energy")) and not of.missing("operational") for of in over.sums.values()]
    grams = [
        of.emissions_g("operational", shared=over.shared) if there else None
        for of, there in zip(over.sums.values(), known, strict=True)
    ]
    active = [max(0.0, j.value - h) for j, h in zip(energies, held, strict=True)]
    parts = Part("active", active, BLUE), Part("held", held, ORANGE, HELD)
    panels = [Panel("energy", "J", parts, [(j.low, j.high) for j in energies])]
    if any(known):
        values = [g and g.value for g in grams]
        panels.append(Panel("CO2e, location-based", "g", (Part("CO2e", values, GREY),), [g and (g.low, g.high) for g in grams]))
    most = max(range(len(energies)), key=lambda n: energies[n].value)
    starts_s = list(over.sums)
    when = words.date_time if over.word == "hour" else iso_day
    summary = f"Most in the {over.word} of {when(starts_s[most])}: {energy(energies[most].value)}."
    said = Said(f"Energy and CO2e by {over.word}", f"{summary} Times are UTC.")
    cells = [
        (when(at_s), *_two(j, energy), energy(h), *(_two(g, mass) if g is not None else (UNKNOWN, "")))
        for at_s, j, h, g in zip(starts_s, energies, held, grams, strict=True)
    ]
    heads = (over.word, "energy", "95 % interval", "held", "CO2e", "95 % interval")
    return _figure("times", plot.columns(starts_s, over.step_s, panels, said), said, heads, cells)


def _bases(total: Mapping[str, Any]) -> Figure | None:
    grams = {basis: total["emissions_g"][basis] for basis in BASES if basis in total.get("emissions_g", {})}
    if not grams:
        return None
    names = [{"location_based_inventory": "location-based, inventory"}.get(basis, BASES[basis].strip()) for basis in grams]
    values = [quantity["value"] for quantity in grams.values()]
    said = Said("CO2e by basis", "Each is another answer to another question: they are never added up. Lines are 95 % intervals.")
    panel = Panel("CO2e", "g", (Part("CO2e", values, GREY),), [(each["low"], each["high"]) for each in grams.values()])
    cells = [(name, *_two(Quantity(**each), mass)) for name, each in zip(names, grams.values(), strict=True)]
    return _figure("bases", plot.lines(names, [panel], said), said, ("basis", "CO2e", "95 % interval"), cells)


def _beside(found: Mapping[str, Any]) -> Figure | None:
    """Embodied carbon and water of the lines with most energy."""
    rows = [row for row in ranked(found) if "embodied" in row.get("emissions_g", {}) or row.get("water_l")][:TOP]
    if not rows:
        return None
    labels = [fit(label(found["kind"], row)) for row in rows]
    made = [row.get("emissions_g", {}).get("embodied") for row in rows]
    litres = {where: [row.get("water_l", {}).get(where) for row in rows] for where in WATER}
    litres = {where: each for where, each in litres.items() if any(each)}
    panels, heads = [], [str(found["kind"])]
    if any(made):
        bar = Part("embodied", [each and each["value"] for each in made], GREEN)
        panels.append(Panel("embodied CO2e", "g", (bar,), [each and (each["low"], each["high"]) for each in made]))
        heads.append("embodied CO2e")
    if litres:
        parts = [Part(WATER[w][0], [each and each["value"] for each in of], *WATER[w][1:]) for w, of in litres.items()]
        ends = [each and (each["low"], each["high"]) for each in next(iter(litres.values()))] if len(parts) == 1 else ()
        panels.append(Panel("water", "L", parts, ends))
        heads += [WATER_HEADS[where] for where in litres]
    cells = [
        (name, *([spanned(made[n], mass)] if any(made) else []), *(spanned(of[n], words.volume) for of in litres.values()))
        for n, name in enumerate(labels)
    ]
    more = len(found["rows"]) - len(rows)
    summary = "What it took to make the machines, by share, and the water that was consumed; lines and brackets are 95 % intervals."
    summary += f" The {len(rows)} lines with most energy; {more} more are in the table of lines." if more > 0 else ""
    said = Said(f"Embodied carbon and water by {found['kind']}", summary)
    return _figure("beside", plot.lines(labels, panels, said), said, tuple(heads), cells)


def _to_the_second(at_s: float) -> str:
    return words.iso_time(at_s).replace("T", " ").replace("Z", " UTC")


def _two(quantity: Quantity, show: Show) -> Iterator[str]:
    yield show(quantity.value)
    yield interval(quantity, show)


def _ends(value: float, span: tuple[float, float] | None, show: Show) -> str:
    return "" if span is None else interval(Quantity(value, *span), show)


def _figure(name: str, svg: bytes, said: Said, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Figure:
    return Figure(name, said.title, svg.decode(), said.summary, heads, tuple(rows))
