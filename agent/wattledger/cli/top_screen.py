"""What ``wattledger top`` draws: a view → lines no wider and no more than the terminal has.  Pure.

A job is one line: a name that is too long is cut in its middle, because names differ at both ends, and columns go where there is no
room, the figures last.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from wattledger.cli.top_view import Job, Part, View
from wattledger.core.figures import digits, gram, joule
from wattledger.core.model import RESERVED

GAP = "  "
FRAME = 5  # lines that are neither a job nor a device: the sum, two headings, two blank ones
FEWEST = 3  # jobs, and devices, however low the terminal


class Column(NamedTuple):
    """``least``: cells below which a text is not cut; 0 for a figure, which is never cut.  ``rank``: the highest goes first."""

    title: str
    rank: int = 0
    least: int = 0


class Line(NamedTuple):
    """One line of the screen; a heading or not."""

    text: str
    heading: bool = False


JOB = (
    Column("job", least=20), Column("model", 5, least=16), Column("power"), Column("held", 3), Column("CO2e/h", 1),
    Column("energy", 2), Column("CO2e", 4), Column("labels", 6, least=30),
)  # fmt: skip
DEVICE = (
    Column("device", least=16), Column("kind", 2, least=4), Column("power"), Column("energy", 1), Column("how", 3, least=9),
    Column("what", 4, least=12),
)  # fmt: skip


def lines(view: View, width: int, height: int = 0, *, show_all: bool = False) -> list[Line]:
    """Jobs over devices, at most ``height`` lines (0: as many as there are; below twelve it is taken for twelve).

    ``show_all``: jobs that draw nothing now, too.
    """
    drawing = [job for job in view.jobs if show_all or job.draws]
    nothing = len(view.jobs) - len(drawing)
    parts, jobs = list(view.devices), drawing
    if height:
        room = max(height - FRAME, 0)
        parts = _first(parts, max(room - min(len(drawing) + bool(nothing), room // 2), FEWEST))
        left = room - len(parts) - (len(parts) < len(view.devices))
        jobs = _fitting(drawing, max(left, FEWEST), nothing > 0)
    known = [part.power_w for part in view.devices if part.power_w is not None]
    found = [Line(f"wattledger top: {watts(sum(known)) if known else 'no power known'}"), Line("")]
    found += _table(JOB, [_job_cells(job) for job in jobs], width)
    found += [Line(_cut(text, width)) for text in _left_out(len(drawing) - len(jobs), nothing)]
    found += [Line(""), *_table(DEVICE, [_part_cells(part) for part in parts], width)]
    if len(parts) < len(view.devices):
        found.append(Line(_cut(f"+ {len(view.devices) - len(parts)} more; a higher terminal shows them", width)))
    return found


def watts(power_w: float | None) -> str:
    """Three digits; nothing for what is not known."""
    return "" if power_w is None else f"{digits(power_w)} W"


def _first(parts: list[Part], room: int) -> list[Part]:
    return parts if len(parts) <= room else parts[: max(room - 1, FEWEST)]


def _fitting(jobs: list[Job], room: int, said: bool) -> list[Job]:
    """Those that draw most; the agent's own kinds stay below them, on half of the lines at most.  ``said``: one is taken anyway."""
    room -= said
    if len(jobs) <= room:
        return jobs
    room -= not said  # how many are left out is said, too
    own = [job for job in jobs if job.name in RESERVED][: room // 2]
    named = [job for job in jobs if job.name not in RESERVED][: max(room - len(own), 1)]
    return named + own


def _left_out(more: int, nothing: int) -> list[str]:
    said = [f"{more} more for a higher terminal"] if more else []
    if nothing:
        said.append(f"{nothing} that draw nothing; --all shows them" if nothing > 1 else "1 that draws nothing; --all shows it")
    return [f"+ {', '.join(said)}"] if said else []


def _job_cells(job: Job) -> tuple[str, ...]:
    labels = dict(job.who)
    name, model = labels.pop("job_name", ""), labels.pop("model_name", "")
    rate, grams = (gram(value) if value is not None else "" for value in (job.g_per_h, job.emissions_g))
    said = " ".join(f"{key}={value}" for key, value in labels.items())
    return name, model, watts(job.power_w), watts(job.held_w), rate, joule(job.energy_j), grams, said


def _part_cells(part: Part) -> tuple[str, ...]:
    return part.device, part.component, watts(part.power_w), joule(part.energy_j), part.method, part.model


# --- a table ------------------------------------------------------------------------------------------------------------------


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    """A heading and a line for each row."""
    clean = [[_printable(cell) for cell in row] for row in rows]
    natural = {c: max(map(_cells, (c.title, *(row[i] for row in clean)))) for i, c in enumerate(columns)}
    filled = [c for i, c in enumerate(columns) if not c.rank or any(row[i] for row in clean)]
    widths = _widths(filled, natural, width)

    def line(cells: Sequence[str]) -> str:
        padded = (_padded(cell, widths[c], right=not c.least) for c, cell in zip(columns, cells, strict=True) if c in widths)
        return _cut(GAP.join(padded).rstrip(), width)

    return [Line(line([c.title for c in columns]), heading=True), *(Line(line(row)) for row in clean)]


def _widths(columns: Sequence[Column], natural: Mapping[Column, int], width: int) -> dict[Column, int]:
    """Cells of each column that stays: figures whole, texts at their least, and what is over to the texts in their order."""
    least = {c: min(natural[c], c.least or natural[c]) for c in columns}
    over = width - sum(least.values()) - len(GAP) * (len(least) - 1)
    for column in sorted((c for c in columns if c.rank), key=lambda c: -c.rank):
        if over >= 0:
            break
        over += least.pop(column) + len(GAP)
    for column in least:
        more = max(min(natural[column] - least[column], over), 0)
        least[column] += more
        over -= more
    if over < 0:  # even a name and its watts do not fit
        name = next(iter(least))
        least[name] = max(least[name] + over, 1)
    return least


def _padded(text: str, width: int, *, right: bool) -> str:
    text = _cut(text, width)
    space = " " * (width - _cells(text))
    return space + text if right else text + space


def _cut(text: str, width: int) -> str:
    """At most ``width`` cells, an ellipsis in the middle where some are missing."""
    if _cells(text) <= width:
        return text
    head = _taking(text, width // 2)
    tail = _taking(text[::-1], width - 1 - _cells(head))[::-1]
    return f"{head}…{tail}"[: max(width, 0)]


def _taking(text: str, width: int) -> str:
    """Its first characters, as many as fit into ``width`` cells."""
    end = 0
    while end < len(text) and (width := width - _cells(text[end])) >= 0:
        end += 1
    return text[:end]


def _printable(text: str) -> str:
    """A name cannot move the cursor or break the line."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _cells(text: str) -> int:
    """Terminal cells: two for what East Asia writes wide, none for what stands on the letter before."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 1 + (east_asian_width(char) in "WF") for char in text)
