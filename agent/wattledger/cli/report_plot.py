"""Pictures of reports: power over time, bars of lines and of time.  The only file of the commands that knows Matplotlib.

Colours are Okabe and Ito's (2008), told apart by who sees few colours; in black and white hatches, edges and words tell as much.
Equal figures give equal bytes: no date, no random ids, none of the user's own settings.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from io import BytesIO
from typing import Any, Literal, NamedTuple

from wattledger.cli.report_power import Curve, Grid, Layer, Step

Form = Literal["svg", "png", "inline"]
# As the pages' style sheet has them; inside a page they are its own, dark or light.
INK, QUIET, RULE, PAPER = "#16211d", "#4d5a55", "#cfd8d4", "#ffffff"
PAGE = {INK: "var(--ink)", QUIET: "var(--quiet)", RULE: "var(--rule)", PAPER: "var(--paper)"}
ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY = "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7", "#999999"
COMPONENTS = {"gpu": BLUE, "accelerator": SKY, "cpu": ORANGE, "dram": GREEN, "nic": PURPLE, "storage": VERMILION, "rest": GREY}
# Where colours are not seen, neighbours that a sensor told are told apart by these; what a model told is always ESTIMATED.
HATCHES = {"accelerator": "||||", "dram": "----", "nic": "++++", "storage": "...."}
DASHES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)))
ESTIMATED, HELD, UNSEEN = "/////", "\\\\\\\\\\", "xxxx"
WIDTH_IN, DPI = 7.2, 150
STYLE = {
    "font.size": 8, "axes.labelsize": 8, "axes.titlesize": 8, "legend.fontsize": 8, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.facecolor": PAPER, "figure.facecolor": PAPER, "savefig.facecolor": PAPER, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True, "grid.color": RULE, "grid.linewidth": 0.6,
    "axes.linewidth": 0.8, "hatch.linewidth": 0.6, "legend.frameon": False, "legend.handlelength": 1.6, "text.parse_math": False,
    "svg.fonttype": "none", "axes.formatter.useoffset": False, "axes.formatter.limits": (-5, 7), "axes.formatter.use_locale": False,
}  # fmt: skip
UNITS = {
    "W": ((1e6, "MW"), (1e3, "kW"), (1.0, "W"), (1e-3, "mW")),
    "J": ((3.6e12, "GWh"), (3.6e9, "MWh"), (3.6e5, "kWh"), (1e3, "kJ"), (1.0, "J"), (1e-3, "mJ")),
    "g": ((1e6, "t"), (1e3, "kg"), (1.0, "g"), (1e-3, "mg"), (1e-6, "ug")),
    "L": ((1e3, "m3"), (1.0, "L"), (1e-3, "mL"), (1e-6, "uL")),
}
TICKS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
           86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000)  # fmt: skip


class NoPlots(RuntimeError):
    """Matplotlib is not installed.  The message says what to do."""


class Part(NamedTuple):
    """One kind of what is stacked: a value for each bar, ``None`` where it is not known."""

    name: str
    values: Sequence[float | None]
    colour: str
    hatch: str = ""


class Panel(NamedTuple):
    """Stacked bars: what their axis says, in which of ``UNITS``, and each one's interval, where it has one."""

    says: str
    unit: str
    parts: Sequence[Part]
    spans: Sequence[tuple[float, float] | None] = ()


class Said(NamedTuple):
    """A picture in words: its title, what it shows, and the figures to stand above it where it stands alone."""

    title: str
    summary: str
    figures: tuple[str, ...] = ()


def needed(option: str) -> None:
    """Raises NoPlots where there is no Matplotlib."""
    try:
        _library()
    except ImportError:
        raise NoPlots(f"{option} needs matplotlib: pip install 'wattledger[plots]'") from None


def power(curve: Curve, said: Said, form: Form) -> bytes:
    """Watts by component, below them the grid's carbon intensity and the grams an hour, on one axis of time."""
    grams = any(step.emitted_g is not None for step in curve.steps)
    ratios = [4.0, *([1.3] if curve.grid else []), *([1.3] if grams else [])]

    def draw(figure: Any) -> None:
        panels = list(figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0])
        if form != "inline":  # a page has its words beside the picture
            figure.suptitle("\n".join((said.title, *said.figures)), x=0.01, ha="left", fontsize=9, linespacing=1.5)
        _draw_power(panels[0], curve)
        if curve.grid:
            _draw_grid(panels[1], curve.grid)
        if grams:
            _draw_grams(panels[-1], curve.steps)
        _across(panels, curve.steps[0].start_s, curve.steps[-1].end_s)

    return _picture(draw, 1.5 + 0.62 * sum(ratios), said, form)


def lines(labels: Sequence[str], panels: Sequence[Panel], said: Said) -> bytes:
    """A bar across for each label; panels stand side by side.  For a page."""

    def draw(figure: Any) -> None:
        for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
            size, unit = _unit(panel)
            _stack(axes.barh, range(len(labels)), panel, size, {"height": 0.7})
            _whiskers(axes, [*range(len(labels))], panel, size, across=True)
            axes.set(xlabel=f"{panel.says}, {unit}", xlim=(0, None))
            axes.set_yticks(range(len(labels)), labels)
            axes.grid(False, axis="y")
            _legend(axes, panel)
        axes.set_ylim(len(labels) - 0.4, -0.6)

    return _picture(draw, 0.9 + 0.21 * len(labels), said, "inline")


def columns(starts_s: Sequence[float], step_s: float, panels: Sequence[Panel], said: Said) -> bytes:
    """A bar upwards for each step of time; panels stand one below the other.  For a page."""

    def draw(figure: Any) -> None:
        all_axes = list(figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0])
        for axes, panel in zip(all_axes, panels, strict=True):
            size, unit = _unit(panel)
            _stack(axes.bar, starts_s, panel, size, {"width": step_s * 0.86, "align": "edge"})
            _whiskers(axes, [start_s + step_s * 0.43 for start_s in starts_s], panel, size, across=False)
            axes.set(ylabel=f"{panel.says},\n{unit}", ylim=(0, None))
            axes.grid(False, axis="x")
            _legend(axes, panel)
        _across(all_axes, starts_s[0] - step_s * 0.07, starts_s[-1] + step_s)

    return _picture(draw, 0.6 + 1.6 * len(panels), said, "inline")


def _draw_power(axes: Any, curve: Curve) -> None:
    size, unit = _size(max(step.total_w for step in curve.steps), "W")
    below = [0.0] * len(curve.steps)
    for layer in layers(curve.steps):
        above = [low + step.power_w.get(layer, 0.0) / size for low, step in zip(below, curve.steps, strict=True)]
        colour = COMPONENTS.get(layer.component, PURPLE)
        face, edge = (_paler(colour), colour) if layer.estimated else (colour, INK)
        look = {"facecolor": face, "edgecolor": edge, "hatch": ESTIMATED if layer.estimated else HATCHES.get(layer.component)}
        for n, (start, stop) in enumerate(_unbroken(curve.steps)):
            times = [at for step in curve.steps[start:stop] for at in (step.start_s, step.end_s)]
            ends = ([value for value in side[start:stop] for _ in (0, 1)] for side in (below, above))
            words = f"{layer.component}, estimated (a model)" if layer.estimated else f"{layer.component}, measured"
            axes.fill_between(times, *ends, linewidth=0, label=words if n == 0 else None, **look)
            axes.plot(times, [value for value in above[start:stop] for _ in (0, 1)], color=INK, linewidth=0.3)
        below = above
    for spans, hatch, words in ((curve.holes, "", "nothing booked"), (curve.unseen, UNSEEN, "a device not seen")):
        for n, span in enumerate(spans):
            name = words if n == 0 else None
            axes.axvspan(*span, facecolor=RULE, edgecolor=QUIET, hatch=hatch, linewidth=0, alpha=0.6, label=name)
    axes.set(ylabel=f"power, {unit}", ylim=(0, None))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2, columnspacing=1.2)


def _draw_grid(axes: Any, grids: Sequence[Grid]) -> None:
    for grid, dash in zip(grids, DASHES, strict=False):
        times = [at_s for step in grid.steps for at_s in step[:2]]
        values = [step[2] for step in grid.steps for _ in (0, 1)]
        axes.plot(times, values, color=VERMILION, linestyle=dash, linewidth=1.4, label=f"{grid.zone} ({grid.quality})")
    top = max((value for grid in grids for _, _, value in grid.steps), default=0.0)
    axes.set(ylabel="grid,\ngCO2e/kWh", ylim=(0, top * 1.15 or 1))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.1, handlelength=3)


def _draw_grams(axes: Any, steps: Sequence[Step]) -> None:
    size, unit = _size(max(step.g_per_h or 0.0 for step in steps), "g")
    for start, stop in _unbroken(steps):
        times = [at for step in steps[start:stop] for at in (step.start_s, step.end_s)]
        paces = [float("nan") if step.g_per_h is None else step.g_per_h / size for step in steps[start:stop] for _ in (0, 1)]
        axes.fill_between(times, paces, facecolor=_paler(INK), linewidth=0)
        axes.plot(times, paces, color=INK, linewidth=1)
    axes.set(ylabel=f"emitted,\n{unit}CO2e/h", ylim=(0, None))


def layers(steps: Sequence[Step]) -> list[Layer]:
    """From below upwards."""
    order = {name: n for n, name in enumerate(COMPONENTS)}
    return sorted({layer for step in steps for layer in step.power_w}, key=lambda layer: (order.get(layer.component, 99), layer))


def _unbroken(steps: Sequence[Step]) -> Iterator[tuple[int, int]]:
    """From which to which step (exclusive) nothing is missing between."""
    start = 0
    for n in range(1, len(steps) + 1):
        if n == len(steps) or steps[n].start_s > steps[n - 1].end_s:
            yield start, n
            start = n


def _stack(bar: Callable[..., Any], places: Sequence[float] | range, panel: Panel, size: float, shape: dict[str, Any]) -> None:
    below = [0.0] * len(places)
    side = "left" if "height" in shape else "bottom"
    for part in panel.parts:
        values = [(value or 0.0) / size for value in part.values]
        look = {"facecolor": part.colour, "edgecolor": INK, "hatch": part.hatch, "linewidth": 0.4, "label": part.name}
        bar(places, values, **{side: below}, **shape, **look)
        below = [low + value for low, value in zip(below, values, strict=True)]


def _whiskers(axes: Any, places: Sequence[float], panel: Panel, size: float, *, across: bool) -> None:
    there = [(at, span[0] / size, span[1] / size) for at, span in zip(places, panel.spans, strict=False) if span]
    if there:
        at, lows, highs = zip(*there, strict=True)
        (axes.hlines if across else axes.vlines)(at, lows, highs, color=INK, linewidth=1.2, label="95 % interval")
        if len(there) <= 60:
            for ends in (lows, highs):
                axes.plot(*((ends, at) if across else (at, ends)), "|" if across else "_", color=INK, markersize=5)


def _legend(axes: Any, panel: Panel) -> None:
    if len(panel.parts) > 1 or any(panel.spans):
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, columnspacing=1.2)


def _unit(panel: Panel) -> tuple[float, str]:
    sums = [sum(value or 0.0 for value in bar) for bar in zip(*(part.values for part in panel.parts), strict=True)]
    return _size(max([*sums, *(span[1] for span in panel.spans if span)], default=0.0), panel.unit)


def _size(top: float, unit: str) -> tuple[float, str]:
    """What to divide by so that the highest is a short number, and what it is then in."""
    size, name = next((each for each in UNITS[unit] if top >= each[0]), UNITS[unit][-1] if top > 0 else (1.0, unit))
    return 3.6e6 if name == "kWh" else size, name  # kilowatt-hours from a tenth of one on


def _paler(colour: str) -> str:
    """A third of it on white: still told from white, and dark lines show on it."""
    return "#" + "".join(f"{255 - (255 - int(colour[n : n + 2], 16)) // 3:02x}" for n in (1, 3, 5))


def _across(panels: Sequence[Any], start_s: float, end_s: float) -> None:
    """One axis of time, UTC: hours, with the date where it changes."""
    tick_s = next((each for each in TICKS_S if (end_s - start_s) / each <= 8), TICKS_S[-1])
    places = [n * tick_s for n in range(int(-(-start_s // tick_s)), int(end_s // tick_s) + 1)]
    words, day = [], ""
    for place in places:
        when = datetime.fromtimestamp(place, UTC)
        clock = f"{when:%H:%M:%S}" if tick_s < 60 else f"{when:%H:%M}" if tick_s < 86_400 else ""
        words.append("\n".join(word for word in (clock, f"{when:%Y-%m-%d}" if f"{when:%Y-%m-%d}" != day else "") if word))
        day = f"{when:%Y-%m-%d}"
    panels[-1].set_xlim(start_s, end_s)
    panels[-1].set_xticks(places, words)
    panels[-1].set_xlabel("time, UTC")


def _picture(draw: Callable[[Any], None], height_in: float, said: Said, form: Form) -> bytes:
    with _style(said) as library:
        figure = library.figure.Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        draw(figure)
        made = BytesIO()
        if form == "png":
            about = {"Software": None, "Title": said.title, "Description": said.summary}
            figure.savefig(made, format="png", dpi=DPI, metadata=about)
            return made.getvalue()
        figure.savefig(made, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _described(made.getvalue().decode(), said, inside=form == "inline").encode()


def _described(svg: str, said: Said, *, inside: bool) -> str:
    """With its words; ``inside`` a page, whose ids and colours it must keep, without what makes it a file of its own."""
    svg = re.sub(r"<path [^<>]+>", lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)  # fine enough, and half as long
    words = "".join(f" <{tag}>{escape(text)}</{tag}>\n" for tag, text in (("title", said.title), ("desc", said.summary)))
    svg = svg.replace("<svg ", '<svg role="img" ', 1).replace(" <defs>", f"{words} <defs>", 1)
    if not inside:
        return svg
    own = f"p{sha256(said.title.encode()).hexdigest()[:6]}-"

    def kept(tag: "re.Match[str]") -> str:
        text = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{own}", tag[0])
        return re.sub("|".join(PAGE), lambda colour: PAGE[colour[0]], text)

    svg = re.sub(r"<style.*?</style>", "", svg[svg.index("<svg ") :], flags=re.DOTALL)
    return re.sub(r"<[^<>]+>", kept, re.sub(r'width="[\d.]+pt" height="[\d.]+pt" ', 'class="plot" ', svg, count=1))


@contextmanager
def _style(said: Said) -> Iterator[Any]:
    library = _library()
    with library.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of signs that its font has not: who reads the SVG may have them
        library.rcdefaults()
        library.rcParams.update({**STYLE, "svg.hashsalt": said.title})
        yield library


def _library() -> Any:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its fonts is nothing to say beside a report
    import matplotlib
    import matplotlib.figure

    return matplotlib
