"""Figures of the package's own table: which emissions it took to make a thing by its name.

The table is read once, when it is first asked.  ``data/compile_hardware.py`` writes it and says what may ship.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from os.path import dirname, join
from typing import NamedTuple

from wattledger.factors.hardware.figure import Embodied

TABLE = join(dirname(dirname(__file__)), "data", "hardware.csv")
CARD_LIFE_H, SERVER_LIFE_H = 35_040.0, 43_800.0  # 4 and 5 years of 365 days (carbon.md 3.1): stated assumptions
CLASS_G95 = 3.0  # carbon.md 8.3
FAMILY = re.compile(r"([a-z]+)(\d+)[a-z]*$")


class _Record(NamedTuple):
    """One row of the table, in the order of its columns."""

    keys: str
    item: str
    kind: str
    model: str
    value: str
    low: str
    high: str
    unit: str
    boundary: str
    method: str
    source: str
    year: str
    licence: str
    check: str
    default: str
    inputs: str
    note: str


def accelerator(device_model: str, *, life_h: float = CARD_LIFE_H) -> Embodied:
    """The whole card that a driver calls so (``NVIDIA H100 80GB HBM3``; of a MIG slice, its card's); never raises.

    One that is not in the table is held to be like the nearest of its family, else like any accelerator; ``method`` and ``note`` say
    so, and the interval is wide.
    """
    words = folded(device_model)
    found = _named(words) or _kindred(words)
    if found is not None:
        return found._replace(life_h=life_h)
    cards = [row for row in _defaults().values() if row.kind == "accelerator"]
    lows, highs = min(float(row.low) for row in cards), max(float(row.high) for row in cards)
    source, note = f"middle of {len(cards)} accelerators in the table", f"{device_model or 'no name'!r} is not in the table"
    middle = sorted(float(row.value) for row in cards)
    kg = middle[len(middle) // 2]
    return Embodied(
        "an accelerator", "accelerator", kg, lows, highs, "cradle-to-gate", "class", source, "2026", "ours; of cited facts", life_h, note
    )


def sources(item: str) -> tuple[Embodied, ...]:
    """Every figure that was published of an item, the default first; empty for one that is not in the table."""
    return tuple(_embodied(row) for row in _rows() if row.item == item)


def items() -> Mapping[str, Embodied]:
    """The default of each item, by its name in the table."""
    return {item: _embodied(row) for item, row in _defaults().items()}


def processor(model: str) -> Embodied | None:
    """The processor that the kernel calls so (``AMD EPYC 9654 96-Core Processor``); ``None``: of no family in the table."""
    words = " ".join(folded(model))
    for row in _defaults().values():
        if row.kind == "cpu" and any(re.search(key, words) for key in _patterns(row)):
            return _embodied(row)
    return None


def folded(name: str) -> tuple[str, ...]:
    """A product's name in words: small letters and digits, without its maker and what it is a slice of."""
    text = re.sub(r"\bmig\b.*", "", name.casefold().replace("(r)", " ").replace("(tm)", " "))
    words = re.sub(r"[^a-z0-9.]+", " ", text).split()
    return tuple(word for word in words if word not in ("nvidia", "amd", "tesla", "instinct", "corporation", "inc."))


def _named(words: Sequence[str]) -> Embodied | None:
    """The item with the longest name that the words hold."""
    best: tuple[int, _Record] | None = None
    for row in _defaults().values():
        for key in _names(row) if row.kind == "accelerator" else ():
            if _holds(words, key) and (best is None or len(key) > best[0]):
                best = len(key), row
    return None if best is None else _embodied(best[1])


def _kindred(words: Iterable[str]) -> Embodied | None:
    """The nearest number of the same letters: an H150 is held to be like an H100."""
    for word in words:
        match = FAMILY.match(word)
        if match is None:
            continue
        near = [
            (abs(int(kin[2]) - int(match[2])), row.item, row)
            for row in _defaults().values()
            for key in (_names(row) if row.kind == "accelerator" else ())
            if (kin := FAMILY.match(key[0])) is not None and kin[1] == match[1]
        ]
        if near:
            row = min(near)[2]
            found = _embodied(row)
            low, high = min(found.low_kg, found.kg / CLASS_G95), max(found.high_kg, found.kg * CLASS_G95)
            note = f"{word!r} is not in the table: {row.model} stands in for it"
            return found._replace(low_kg=low, high_kg=high, method="nearest", note=note)
    return None


def _holds(words: Sequence[str], key: Sequence[str]) -> bool:
    return any(tuple(words[n : n + len(key)]) == tuple(key) for n in range(len(words) - len(key) + 1))


def _names(row: _Record) -> list[tuple[str, ...]]:
    return [tuple(name.split()) for name in row.keys.strip("|").split("|") if name]


def _patterns(row: _Record) -> list[str]:
    return [row.keys[1:-1]] if row.keys else []


def _embodied(row: _Record) -> Embodied:
    life_h = CARD_LIFE_H if row.kind == "accelerator" else SERVER_LIFE_H
    note = "; ".join(part for part in (row.note, row.inputs) if part)
    return Embodied(
        row.model, row.kind, float(row.value), float(row.low), float(row.high), row.boundary, row.method, row.source, row.year,
        row.licence, life_h, note,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _rows() -> tuple[_Record, ...]:
    """No field holds a comma (the table's compiler refuses them), so a split will do."""
    with open(TABLE, encoding="utf-8") as table:
        lines = [line.rstrip("\n").split(",") for line in table if not line.startswith("#")]
    return tuple(_Record(*line) for line in lines[1:])


@lru_cache(maxsize=1)
def _defaults() -> Mapping[str, _Record]:
    return {row.item: row for row in _rows() if row.default == "1"}
