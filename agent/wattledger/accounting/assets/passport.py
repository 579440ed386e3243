"""A machine's passport, schema ``wattledger.passport/1``: the machine, its parts and what happened to them, TOML or JSON → facts.

People write kilograms, years and ISO dates.  All of a passport or nothing: every mistake is one line that says where it stands,
what is wrong, and the nearest right word.  A serial number becomes a hash as it is read.  What has no footprint gets an estimate
that says so.  ``passport_write`` has the way back and a template.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wattledger.accounting.assets import passport_estimate
from wattledger.accounting.assets.passport_events import fact, unknown
from wattledger.accounting.assets.passport_facts import Node, births, checked, inside_first, known_inside, with_figures
from wattledger.accounting.assets.passport_fields import BadPassport as BadPassport
from wattledger.accounting.assets.passport_fields import Problem, clipped, nearest, values
from wattledger.accounting.assets.passport_fields import hashed_serial as hashed_serial
from wattledger.accounting.assets.passport_figures import Estimate, Reading, Told
from wattledger.accounting.assets.passport_places import Document, Form, parsed
from wattledger.accounting.assets.passport_words import ASSET, COMPONENT, SCHEMA
from wattledger.core.facts import AssetFact

MOST_PARTS = 20_000
TABLES = ("schema", "asset", "component", "event")


class Parsed(NamedTuple):
    """The facts in the order in which they are to be written, and one line for each thing that a reader must be told."""

    facts: list[AssetFact]
    warnings: list[str]


def read(
    text: str, form: Form, name: str, *, opened: Callable[[str], str] | None = None, boavizta: Estimate | None = None
) -> Parsed:
    """The facts of a passport.  Raises BadPassport with every mistake; nothing of a wrong passport is used.

    ``name``: the file's, for messages.  ``opened``: the text of a file that the passport names (a PACT footprint), by the path as
    it is written there.  ``boavizta``: who answers ``estimate = "boavizta"``; else the formulas of ``factors.hardware``.
    """
    document = parsed(text, form, name)
    told = Told([], [])
    _schema(document)
    odd = [key for key in document.tree if key not in TABLES]
    told.problems.extend(Problem(key, f"there is no {clipped(key)} here{nearest(key, TABLES)}") for key in odd)
    reading = Reading(boavizta or passport_estimate.boavizta, passport_estimate.guess, opened)
    nodes = _nodes(document.tree, told)
    if not told.problems:
        known_inside(nodes, told)
        nodes = inside_first([checked(node, told) for node in nodes], told)
    nodes = with_figures(nodes, reading, told)
    # What does not go together is asked of values that could be read: one mistake is said once.
    facts = [] if told.problems else births(nodes, told)
    facts += _events(document.tree.get("event", []), nodes, facts, told)
    if told.problems:
        raise BadPassport(list(dict.fromkeys(f"{document.at(path)}: {what}" for path, what in told.problems)))
    return Parsed(facts, [f"{document.at(path)}: {what}" for path, what in dict.fromkeys(told.warnings)])


def _schema(document: Document) -> None:
    said = document.tree.get("schema")
    if said != SCHEMA:
        what = "says no 'schema'" if said is None else f"schema = {clipped(said)} is not read here"
        hint = f': the first line must be schema = "{SCHEMA}"'
        raise BadPassport([f"{document.at('schema') if said is not None else document.name + ':1'}: {what}{hint}"])


def _nodes(tree: Mapping[str, Any], told: Told) -> list[Node]:
    """The machine, then its parts in the order of the file."""
    found = values(ASSET, tree.get("asset"), "asset", told.problems) if "asset" in tree else {}
    if "asset" not in tree:
        told.problems.append(Problem("", "there is no [asset] table: which machine is it?"))
    root = found.get("id", "?")
    nodes = [Node(root, found.get("kind", "server"), "", "asset", found)]
    for n, table in enumerate(_list(tree, "component", told)):
        path = f"component[{n}]"
        part = values(COMPONENT, table, path, told.problems)
        if "kind" in part:
            nodes += _each(part, root, path, told)
        if len(nodes) > MOST_PARTS:
            told.problems.append(Problem(path, f"more than {MOST_PARTS} parts"))
            break
    names = {node.asset for node in nodes}
    return [node._replace(inside=_full(node.inside, root, names)) if node.inside else node for node in nodes]


def _list(tree: Mapping[str, Any], key: str, told: Told) -> Sequence[Any]:
    found = tree.get(key, [])
    if not isinstance(found, list):
        told.problems.append(Problem(key, f"write [[{key}]], one for each (in JSON, a list)"))
        return []
    return found


def _each(part: dict[str, Any], root: str, path: str, told: Told) -> Iterator[Node]:
    """A component as the assets it stands for."""
    lists = {word: part.pop(word) for word in ("devices", "serials") if word in part}
    count = part.pop("count", max((len(given) for given in lists.values()), default=1))
    for word, given in lists.items():
        if len(given) != count:
            told.problems.append(Problem(f"{path}.{word}", f"{len(given)} {word} for {count} of them"))
    for single in ("device", "serial", "serial_hash", "name"):
        if count > 1 and single in part:
            hint = f"; there is a list {f'{single}s'!r}" if single in ("device", "serial") else ""
            told.problems.append(Problem(f"{path}.{single}", f"{count} of them cannot have one {single}{hint}"))
    if told.problems:
        count = min(count, 1)
    own, inside = part.pop("id", part["kind"]), "" if part.pop("spare", False) else part.pop("inside", root)
    for n in range(count):
        said = {**part, **{word.removesuffix("s"): given[n] for word, given in lists.items() if n < len(given)}}
        asset = said.pop("name", f"{root}/{own}" if count == 1 else f"{root}/{own}-{n}")
        yield Node(asset, part["kind"], inside, path, said)


def _full(name: str, root: str, names: set[str]) -> str:
    """An asset's full name: parts of this machine may be called by their id alone."""
    return f"{root}/{name}" if f"{root}/{name}" in names else name


def _events(tables: object, nodes: Sequence[Node], made: Sequence[AssetFact], told: Told) -> list[AssetFact]:
    """The facts of the events, in the order of the file."""
    if not isinstance(tables, list):
        told.problems.append(Problem("event", "write [[event]], one for each (in JSON, a list)"))
        return []
    root, names = nodes[0].asset, {node.asset for node in nodes}
    masses = {node.asset: node.values.get("mass_kg") for node in nodes}
    made_s = {each.asset: each.at_s for each in made if each.event == "make"}
    found = []
    for n, table in enumerate(tables):
        path = f"event[{n}]"
        one = fact(table, path, told.problems, lambda name: _full(name, root, names) if name else root, masses.get)
        if one is None:
            continue
        if one.asset not in names and made:
            told.problems.append(Problem(f"{path}.asset", unknown(one.asset, [name.removeprefix(f"{root}/") for name in names])))
        elif one.at_s < made_s.get(one.asset, one.at_s):
            told.problems.append(Problem(f"{path}.at", f"{one.event} of {one.asset!r} before it was made"))
        found.append(one)
    return found
