"""Figures of the package's own table: which emissions it took to make a thing by its name.

The table is read once, when it is first asked.  ``data/compile_hardware.py`` writes it and says what may ship.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from os.path import dirname, join
from typing import NamedTuple

from wattledger.factors.hardware.figure import Embodied

TABLE = join(dirname(dirname(__file__)), "data", "hardware.csv")
CARD_LIFE_H, SERVER_LIFE_H = 35_040.0, 43_800.0  # 4 and 5 years of 365 days (carbon.md 3.1): stated assumptions
CLASS_G95 = 3.0  # carbon.md 8.3
KIN_TIMES = 4  # a T1000 is no T4, though its letters are the same
FAMILY = re.compile(r"([a-z]+)(\d{1,5})([a-z]*)")
MEMORY = re.compile(r"\d+gb?\b")
NO_FAMILY = ("hbm", "sxm", "gen", "ddr", "gddr", "pcie")
OTHERS = {"laptop", "mobile", "ti", "super"}  # another die, or more of it, under the plain card's name
MAKERS = ("nvidia", "amd", "intel", "apple", "google", "huawei", "qualcomm", "arm")


class Record(NamedTuple):
    """One row of the table, in the order of its columns; its compiler writes these."""

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
    inputs: str = ""
    note: str = ""


def accelerator(device_model: str, *, life_h: float = CARD_LIFE_H) -> Embodied:
    """The whole card that a driver calls so (``NVIDIA H100 80GB HBM3``; of a MIG slice, its card's); never raises.

    One that is not in the table is held to be like the nearest of its family, else like any accelerator; ``method`` and ``note``
    say so, and the interval is wide.
    """
    words = folded(device_model)
    found = _named(device_model, words) or _kindred(device_model, words)
    if found is not None:
        return found._replace(life_h=life_h)
    return _any(device_model, life_h)


def sources(item: str) -> tuple[Embodied, ...]:
    """Every figure of an item, the default first; empty for one that is not in the table.

    ``item``: its name in the table (``h100-sxm-80gb``), or what ``accelerator`` found (``NVIDIA H100 SXM 80GB``).
    """
    named = {row.item for row in _defaults().values() if item in (row.item, row.model)}
    return tuple(_embodied(row) for row in _rows() if row.item in named)


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


def _any(name: str, life_h: float) -> Embodied:
    """The middle of all accelerators, as unsure as the table is wide."""
    cards = _accelerators()
    kgs = sorted(float(row.value) for row in cards)
    low, high = min(float(row.low) for row in cards), max(float(row.high) for row in cards)
    words = "cradle-to-gate", "class", f"middle of {len(cards)} accelerators in the table", "2026", "ours; of cited facts"
    note = f"{name or 'no name'!r} is not in the table"
    return Embodied("an accelerator", "accelerator", kgs[len(kgs) // 2], low, high, *words, life_h, note)


def _named(name: str, words: Sequence[str]) -> Embodied | None:
    """The item with the longest name whose words are all there; with another memory or in a laptop it is another card."""
    spoken = set(words)
    best: tuple[int, Record, tuple[str, ...]] | None = None
    for row in _accelerators():
        for key in _names(row):
            if spoken.issuperset(key) and (best is None or len(key) > best[0]):
                best = len(key), row, key
    if best is None:
        return None
    _, row, key = best
    sizes = {word for word in words if MEMORY.fullmatch(word)} - set(key)
    own = set(MEMORY.findall(row.model.casefold()))
    other = (sizes - own if own else set()) | (spoken & OTHERS) - set(key)
    return _like(row, f"{name!r} ({' '.join(sorted(other))})") if other else _embodied(row)


def _kindred(name: str, words: Sequence[str]) -> Embodied | None:
    """The nearest number of the same letters and maker, by its plainest name: an H150 is held to be like an H100."""
    maker = _maker(name)
    for letters, number, tail in _families(words):
        near = [
            (len(str(kin)) != len(str(number)), abs(kin - number), kin_tail != tail, len(key), row.item, row)
            for row in _accelerators()
            if maker in ("", _maker(row.model))
            for key in _names(row)
            for kin_letters, kin, kin_tail in _families(key)
            if kin_letters == letters and max(kin, number) <= KIN_TIMES * min(kin, number)
        ]
        if near:
            return _like(min(near)[-1], repr(name))
    return None


def _like(row: Record, what: str) -> Embodied:
    found = _embodied(row)
    low, high = min(found.low_kg, found.kg / CLASS_G95), max(found.high_kg, found.kg * CLASS_G95)
    note = f"{what} is not in the table: {row.model} stands in for it"
    return found._replace(low_kg=low, high_kg=high, method="nearest", note=note)


def _families(words: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Letters, number and what comes after it in a product's name: of ``mi300x`` and of ``rtx 4090``; what is counted in GB or by
    bus is none."""
    for word, after in zip(words, (*words[1:], ""), strict=False):
        for text in (word, word + after if word.isalpha() and after[:1].isdigit() and not MEMORY.fullmatch(after) else ""):
            if (match := FAMILY.fullmatch(text)) and match[1] not in NO_FAMILY:
                yield match[1], int(match[2]), match[3]


def _maker(name: str) -> str:
    """Who made it, where its name says so."""
    return next((word for word in re.findall("[a-z]+", name.casefold()) if word in MAKERS), "")


def _names(row: Record) -> list[tuple[str, ...]]:
    return [tuple(name.split()) for name in row.keys.strip("|").split("|") if name]


def _patterns(row: Record) -> list[str]:
    return [row.keys[1:-1]] if row.keys else []


def _embodied(row: Record) -> Embodied:
    life_h = CARD_LIFE_H if row.kind == "accelerator" else SERVER_LIFE_H
    note = "; ".join(part for part in (row.note, row.inputs) if part)
    return Embodied(
        row.model, row.kind, float(row.value), float(row.low), float(row.high), row.boundary, row.method, row.source, row.year,
        row.licence, life_h, note,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _rows() -> tuple[Record, ...]:
    """No field holds a comma (the table's compiler refuses them), so a split will do."""
    with open(TABLE, encoding="utf-8") as table:
        lines = [line.rstrip("\n").split(",") for line in table if not line.startswith("#")]
    return tuple(Record(*line) for line in lines[1:])


def _accelerators() -> list[Record]:
    return [row for row in _defaults().values() if row.kind == "accelerator"]


@lru_cache(maxsize=1)
def _defaults() -> Mapping[str, Record]:
    return {row.item: row for row in _rows() if row.default == "1"}
