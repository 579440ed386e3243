"""Rows of an inventory → facts: each row is a thing in a passport's words, all of them or none."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wattledger.accounting.assets import passport_estimate
from wattledger.accounting.assets.passport import Parsed
from wattledger.accounting.assets.passport_facts import Node, births, checked, inside_first, with_figures
from wattledger.accounting.assets.passport_fields import BadPassport, Field, Fields, Problem, name, values, when
from wattledger.accounting.assets.passport_figures import Estimate, Reading, Told
from wattledger.accounting.assets.passport_words import ASSET, FOOTPRINT
from wattledger.core.facts import AssetFact

# Of a footprint, what a row of a table can say.
FIGURE = ("kg", "low_kg", "high_kg", "boundary", "method", "source", "year", "licence", "includes_parts")
ROW: Fields = {
    **{word: field for word, field in ASSET.items() if word != "footprint"}, **{word: FOOTPRINT[word] for word in FIGURE},
    "inside": Field(name), "scrapped": Field(when),
}  # fmt: skip
MOST_ROWS = 200_000
WARNED = 20  # of one import; the rest are counted

_INDEX = re.compile(r"row\[(\d+)\]")


class Row(NamedTuple):
    """Where it stands (``inventory.csv:12``), and what it says in the words of ``ROW``."""

    place: str
    table: Mapping[str, Any]


def facts_of(rows: Sequence[Row], name: str, *, boavizta: Estimate | None = None) -> Parsed:
    """The facts of all rows, containers first.  Raises BadPassport, which names every bad row; then nothing is used.

    What a row is ``inside`` of may also be an asset that the books have already: then its own day is needed.
    """
    if not rows:
        raise BadPassport([f"{name}: holds no machines"])
    if len(rows) > MOST_ROWS:
        raise BadPassport([f"{name}: more than {MOST_ROWS} rows"])
    told = Told([], [])
    nodes = [checked(_node(row, f"row[{n}]", told), told) for n, row in enumerate(rows)]
    ordered = nodes if told.problems else inside_first(nodes, told)
    reading = Reading(boavizta or passport_estimate.boavizta, _kept(passport_estimate.guess))
    nodes = with_figures(ordered, reading, told)
    facts = [] if told.problems else births(nodes, told)
    facts += [AssetFact(node.asset, "scrap", node.values["scrapped"]) for node in nodes if "scrapped" in node.values]
    _refuse(told, rows)
    return Parsed(facts, _warnings(told, rows))


def _node(row: Row, path: str, told: Told) -> Node:
    found = values(ROW, row.table, path, told.problems)
    said = {word: row.table[word] for word in FIGURE if row.table.get(word) not in ("", None)}
    own = {word: value for word, value in found.items() if word not in FIGURE}
    if said:
        # Read again as the table that a passport would have: with its own rules.
        own["footprint"] = said
    if own.get("scrapped", own.get("made", 0)) < own.get("made", 0):
        told.problems.append(Problem(f"{path}.scrapped", "it is scrapped before it is made"))
    return Node(own.get("id", path), own.get("kind", "other"), own.get("inside", ""), path, own)


def _kept(guess: Estimate) -> Estimate:
    """An inventory has thousands of the same thing: each is estimated once."""
    held: dict[object, Any] = {}

    def guessed(thing: Any, inputs: Mapping[str, Any]) -> Any:
        if inputs:
            return guess(thing, inputs)
        thing = thing._replace(bought_s=None)
        if thing not in held:
            try:
                held[thing] = guess(thing, inputs)
            except ValueError as wrong:
                held[thing] = wrong
        if isinstance(held[thing], ValueError):
            raise held[thing]
        return held[thing]

    return guessed


def _refuse(told: Told, rows: Sequence[Row]) -> None:
    if told.problems:
        raise BadPassport(list(dict.fromkeys(f"{_place(path, rows)}: {_said(what, rows)}" for path, what in told.problems)))


def _place(path: str, rows: Sequence[Row]) -> str:
    found = _INDEX.match(path)
    return rows[int(found[1])].place if found else path


def _said(what: str, rows: Sequence[Row]) -> str:
    return _INDEX.sub(lambda found: rows[int(found[1])].place if int(found[1]) < len(rows) else found[0], what)


def _warnings(told: Told, rows: Sequence[Row]) -> list[str]:
    lines = [f"{_place(path, rows)}: {what}" for path, what in dict.fromkeys(told.warnings)]
    return lines if len(lines) <= WARNED else [*lines[:WARNED], f"… and {len(lines) - WARNED} warnings more like these"]
