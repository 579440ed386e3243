"""Figures of one's own ([embodied] footprints): what things emitted to make, by model; they go before the package's.

CSV with a head, or a JSON list of objects: ``model`` and ``kg``, and as wished ``low_kg, high_kg, boundary, source, year, kind,
life_years, licence``.  Lines of a CSV that begin with # say nothing.  A row without ``kind`` is of an accelerator.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any, Literal

from wattledger.factors.hardware.figure import Embodied
from wattledger.factors.hardware.table import CARD_LIFE_H, folded

NEEDED = ("model", "kg")
COLUMNS = (*NEEDED, "low_kg", "high_kg", "boundary", "source", "year", "kind", "life_years", "licence")
KINDS = (
    "accelerator", "gpu", "server", "cpu", "dram", "ssd", "hdd", "storage", "nic", "network", "psu", "board", "chassis", "rack",
    "other",
)  # fmt: skip
CARDS = ("accelerator", "gpu")
CARD_KG = 5.0, 20_000.0  # an order of magnitude beyond what was published of cards (60 to 2,500 kg)
G95 = 2.0  # where no interval is said: how it was got is not known, so as of a server's footprint (carbon.md 8.3)
H_PER_YEAR = 8760
LONGEST = 200
MOST_LINES = 20

Row = tuple[int, Mapping[str, Any]]


def read(text: str, form: Literal["csv", "json"], name: str) -> tuple[Embodied, ...]:
    """Every figure, in the file's order; ``name`` is the file's.  ``life_h`` is 0 where no service life is said.

    Raises ValueError with a line ``name:LINE: what is wrong`` for each wrong row: of a wrong file nothing is taken.
    """
    wrong: list[str] = []
    text = text.removeprefix("\ufeff")
    found: dict[tuple[str, ...], Embodied] = {}
    for line, row in _csv(text, name, wrong) if form == "csv" else _json(text, name, wrong):
        try:
            figure = _figure(row, name)
            if folded(figure.item) in found:
                raise ValueError(f"model {figure.item!r} has a figure already")
            found[folded(figure.item)] = figure
        except ValueError as mistake:
            wrong.append(f"{name}:{line}: {mistake}")
    if not (found or wrong):
        wrong.append(f"{name}:1: there is no figure in it: expected rows of {', '.join(COLUMNS)}")
    if wrong:
        more = [f"{name}: and {len(wrong) - MOST_LINES} more"] if len(wrong) > MOST_LINES else []
        raise ValueError("\n".join(wrong[:MOST_LINES] + more))
    return tuple(found.values())


def find(figures: Iterable[Embodied], name: str, *, life_h: float = CARD_LIFE_H) -> Embodied | None:
    """The figure of the model that a device's name says: the one with the most words, all of which the name has.

    ``life_h``: the service life where the figure says none.
    """
    words = set(folded(name))
    fits = [one for one in figures if words.issuperset(folded(one.item))]
    best = max(fits, key=lambda one: len(folded(one.item)), default=None)
    return best if best is None or best.life_h else best._replace(life_h=life_h)


def _csv(text: str, name: str, wrong: list[str]) -> Iterator[Row]:
    import csv  # not at every meter's start

    lines = csv.reader(text.splitlines(keepends=True), strict=True)
    head: list[str] = []
    try:
        for cells in lines:
            if not any(map(str.strip, cells)) or cells[0].startswith("#"):
                continue
            if not head:
                head = [cell.strip().casefold() for cell in cells]
                if mistake := _of_columns(head):
                    wrong.append(f"{name}:{lines.line_num}: {mistake}")
                    return
            elif len(cells) != len(head):
                wrong.append(f"{name}:{lines.line_num}: {len(cells)} fields, and the head has {len(head)} columns")
            else:
                yield lines.line_num, dict(zip(head, cells, strict=True))
    except csv.Error as error:
        wrong.append(f"{name}:{lines.line_num}: not CSV: {error}")


def _json(text: str, name: str, wrong: list[str]) -> Iterator[Row]:
    import json

    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        wrong.append(f"{name}:{getattr(error, 'lineno', 1)}: not JSON")
        return
    if not isinstance(tree, list):
        wrong.append(f"{name}:1: expected a list of objects with {', '.join(COLUMNS)}")
        return
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    for _ in tree:
        at = next(n for n in range(at, len(text)) if text[n] not in " \t\r\n,")
        line = text.count("\n", 0, at) + 1
        row, at = decoder.raw_decode(text, at)
        if mistake := _of_columns(row) if isinstance(row, dict) else f"expected an object with {', '.join(NEEDED)}":
            wrong.append(f"{name}:{line}: {mistake}")
        else:
            yield line, row


def _of_columns(columns: Iterable[str]) -> str:
    """What is wrong with the names; empty: nothing."""
    columns = list(columns)
    if columns and ";" in columns[0]:
        return "columns are separated by commas, and numbers written 164.5"
    unknown = next((column for column in columns if column not in COLUMNS), None)
    if unknown is not None:
        return f"there is no column {_clipped(unknown)}: expected {', '.join(COLUMNS)}"
    missing = next((column for column in NEEDED if column not in columns), None)
    twice = len(set(columns)) < len(columns)
    return f"{missing} is missing" if missing else "a column stands there twice" if twice else ""


def _figure(row: Mapping[str, Any], name: str) -> Embodied:
    model, kind = _words(row, "model"), _words(row, "kind") or "accelerator"
    if not folded(model):
        raise ValueError(f"model {model!r} names nothing")
    if kind not in KINDS:
        raise ValueError(f"kind {_clipped(kind)}: expected one of {', '.join(KINDS)}")
    kg = _number(row, "kg", 0.0)
    if kind in CARDS and not CARD_KG[0] <= kg <= CARD_KG[1]:
        raise ValueError(f"an accelerator of {kg:,g} kg: kg, not g? (expected {CARD_KG[0]:g} to {CARD_KG[1]:,g})")
    low_kg, high_kg = _number(row, "low_kg", kg / G95), _number(row, "high_kg", kg * G95)
    if not low_kg <= kg <= high_kg:
        raise ValueError(f"kg = {kg:g} does not lie between low_kg = {low_kg:g} and high_kg = {high_kg:g}")
    life_h = _number(row, "life_years", -1.0) * H_PER_YEAR
    source, year = _words(row, "source") or f"one's own figure ({name})", _words(row, "year")
    return Embodied(
        model, kind, kg, low_kg, high_kg, _words(row, "boundary") or "cradle-to-gate", "declared", source, year,
        _words(row, "licence"), max(0.0, life_h),
    )  # fmt: skip


def _words(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if isinstance(value, (list, dict, bool)):
        raise ValueError(f"{column} is no text")
    text = " ".join(str("" if value is None else value).split())
    if len(text) > LONGEST or not text.isprintable():
        raise ValueError(f"{column} is no text of at most {LONGEST} signs")
    return text


def _number(row: Mapping[str, Any], column: str, absent: float) -> float:
    """Above zero; ``absent`` where there is none, unless that is 0: then it must be there."""
    value = row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        if absent:
            return absent
        raise ValueError(f"{column} is missing")
    number = 0.0
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and "_" not in str(value)[:LONGEST]:
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = 0.0
    if not (isfinite(number) and number > 0):
        raise ValueError(f"{column} = {_clipped(value)}: expected a number above zero, such as 164.5")
    return number


def _clipped(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
