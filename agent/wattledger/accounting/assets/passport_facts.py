"""Things as a passport or an inventory names them → the facts of their making, purchase and coming into service.

The carbon of an asset is its own, without its parts'.  Where a footprint is of the whole (``includes_parts``), the container gets
what the parts leave over, and never less than nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from wattledger.accounting.assets.passport_fields import G_PER_KG, Mistake, Problem, nearest, pairs
from wattledger.accounting.assets.passport_figures import Figure, Reading, Thing, Told, figure, heavy
from wattledger.accounting.assets.passport_words import OVERHEAD, RENTED, details, life
from wattledger.core.facts import AssetFact

# What goes into the fact of the making, beside the figure; what into that of the purchase; what into that of going into service.
MADE = ("vendor", "model", "serial_hash", "device", "mass_kg", "end_of_life_kg", "life_h", "life_work", "work_unit", "scheme",
        "spread_by", "cores", "capacity_gb", "memory_gb")  # fmt: skip
BOUGHT = ("price", "currency", "condition", "supplier")
PLACED = ("host", "site")
DEEPEST = 20  # things inside things: a die in a module in a board in a server in a rack in a room is six


class Node(NamedTuple):
    """A thing to be: its name, what it is ``inside`` of (a name, or empty), its values as read, and where they stand."""

    asset: str
    kind: str
    inside: str
    path: str
    values: Mapping[str, Any]
    figure: Figure | None = None


def checked(node: Node, told: Told) -> Node:
    """The node with its values in the ledger's words; what does not go together goes to ``told``."""
    found = dict(node.values)
    try:
        life(found)
    except Mistake as mistake:
        told.problems.append(Problem(node.path, str(mistake)))
    if "serial" in found and found.setdefault("serial_hash", found["serial"]) != found.pop("serial"):
        told.problems.append(Problem(f"{node.path}.serial_hash", "it is not the hash of 'serial'"))
    if ("price" in found) != ("currency" in found):
        told.problems.append(Problem(node.path, "a 'price' needs its 'currency', and a 'currency' its 'price'"))
    if ("spread_over" in found) != ("spread_by" in found):
        told.problems.append(Problem(node.path, "'spread_over' (hosts, or \"*\") and 'spread_by' go together"))
    elif "spread_over" in found and node.kind not in OVERHEAD:
        told.problems.append(Problem(f"{node.path}.spread_over", f"a {node.kind} is not spread: it works for who runs on it"))
    if "mass_kg" in found:
        heavy(found["mass_kg"], node.kind, f"{node.path}.mass_kg", told)
    _dated(node.path, found, told)
    return node._replace(values=found)


def _dated(path: str, found: dict[str, Any], told: Told) -> None:
    made_s = found.get("made")
    for word in ("purchased", "commissioned"):
        if made_s is not None and found.get(word, made_s) < made_s:
            told.problems.append(Problem(f"{path}.{word}", f"it is {word} before it is made"))
    for word, day in (("freight_kg", "purchased"), ("supplier", "purchased"), ("transport_kg", "commissioned")):
        if word in found and day not in found:
            told.problems.append(Problem(f"{path}.{word}", f"{word!r} needs the day: {day!r}"))


def made_at(node: Node) -> int | None:
    """When it was made, as far as it is known: not after it was bought or used."""
    known = [node.values[word] for word in ("made", "purchased", "commissioned") if word in node.values]
    return known[0] if "made" in node.values else min(known, default=None)


def inside_first(nodes: Sequence[Node], told: Told) -> list[Node]:
    """Containers before their parts, else as they stand; what is inside itself, or of a name twice, goes to ``told``."""
    by_name: dict[str, Node] = {}
    for node in nodes:
        if by_name.setdefault(node.asset, node) is not node:
            told.problems.append(Problem(node.path, f"there is an asset {node.asset!r} already, at {by_name[node.asset].path}"))
    ordered: dict[str, Node] = {}
    for node in nodes:
        chain: list[Node] = []
        at: Node | None = node
        while at is not None and at.asset not in ordered and len(chain) <= DEEPEST:
            chain.append(at)
            at = by_name.get(at.inside)
        if len(chain) > DEEPEST:
            told.problems.append(Problem(node.path, f"{node.asset!r} is inside itself, or inside more than {DEEPEST} others"))
            return list(nodes)
        ordered.update((each.asset, each) for each in reversed(chain))
    return list(ordered.values())


def with_figures(nodes: Sequence[Node], reading: Reading, told: Told) -> list[Node]:
    """The nodes with what each emitted itself; without, where something is wrong with any."""
    parts: dict[str, list[Node]] = {}
    for node in nodes:
        if node.inside:
            parts.setdefault(node.inside, []).append(node)
    figures: dict[str, Figure] = {}
    for node in nodes:
        found = node.values
        thing = Thing(
            node.kind, found.get("vendor", ""), found.get("model", ""), found.get("mass_kg"), found.get("cores"),
            found.get("capacity_gb", found.get("memory_gb")), tuple(part.kind for part in parts.get(node.asset, ())),
            found.get("purchased", found.get("made")),
        )  # fmt: skip
        said = found.get("footprint")
        got = figure(said, thing, reading, path=f"{node.path}.footprint", told=told)
        if got is not None:
            figures[node.asset] = got
    if told.problems:
        return list(nodes)
    return [node._replace(figure=_own(node, figures, parts, told)) for node in nodes]


def _own(node: Node, figures: Mapping[str, Figure], parts: Mapping[str, Sequence[Node]], told: Told) -> Figure | None:
    """Its figure without its parts': what they leave over, where it includes them."""
    whole = figures.get(node.asset)
    if whole is None or not whole.includes:
        return whole
    within = parts.get(node.asset, ())
    if not within or any(part.asset not in figures for part in within):
        if not within:
            told.warnings.append(Problem(f"{node.path}.footprint.includes_parts", "no part is named, so all of it is its own"))
        return whole
    theirs_g = sum(_all_of(part, figures, parts) for part in within)
    if theirs_g > whole.g:
        told.problems.append(Problem(
            f"{node.path}.footprint.includes_parts",
            f"its parts come to {theirs_g / G_PER_KG:.10g} kg, more than the {whole.g / G_PER_KG:.10g} kg of the whole they are in;"
            " say the parts' own footprints, or leave includes_parts out",
        ))  # fmt: skip
        return whole
    words = {**whole.words, "whole_g": whole.g}
    low_g = max(0, (whole.low_g or 0) - theirs_g)
    high_g = max(whole.g, whole.high_g or 0) - theirs_g
    return whole._replace(g=whole.g - theirs_g, low_g=low_g, high_g=high_g, words=words)


def _all_of(node: Node, figures: Mapping[str, Figure], parts: Mapping[str, Sequence[Node]]) -> int:
    """A part with its own parts, in grams."""
    figure = figures.get(node.asset)
    own = figure.g if figure else 0
    if figure and figure.includes:
        return own
    return own + sum(_all_of(part, figures, parts) for part in parts.get(node.asset, ()))


def births(nodes: Sequence[Node], told: Told) -> list[AssetFact]:
    """The facts of the making of all, then of purchases, then of going into service; ``nodes``: containers first."""
    here = {node.asset for node in nodes}
    when: dict[str, int] = {}
    rented: set[str] = set()
    makes: list[AssetFact] = []
    later: list[AssetFact] = []
    for node in nodes:
        at_s = made_at(node)
        around_s = when.get(node.inside)
        at_s = around_s if at_s is None else at_s
        if at_s is None and node.inside in here:
            continue  # its container's day is missing, and has been asked for
        if at_s is None:
            told.problems.append(Problem(node.path, "when was it made, purchased or commissioned? One of these days is needed"))
            continue
        when[node.asset] = at_s
        # Made before its container was: it lay in stock till then.
        early = around_s is not None and at_s < around_s
        if node.values.get("condition", RENTED if node.inside in rented else "") == RENTED:
            rented.add(node.asset)
        makes.append(_make(node, at_s, "" if early else node.inside, rented=node.asset in rented))
        if early and around_s is not None:
            later.append(AssetFact(node.asset, "install", around_s, inside=node.inside))
        later += _bought(node)
    return [*makes, *later]


def _make(node: Node, at_s: int, inside: str, *, rented: bool) -> AssetFact:
    found = node.values
    said: dict[str, Any] = {"kind": node.kind, **details({word: found[word] for word in MADE if word in found})}
    if "spread_over" in found:
        said["spread_over"] = found["spread_over"]
    if rented:
        said["condition"] = RENTED
    elif "condition" in found and "purchased" not in found:
        said["condition"] = found["condition"]
    if "commissioned" not in found:
        said |= {word: found[word] for word in PLACED if word in found}
        if "purchased" not in found and "owner" in found:
            said["owner"] = found["owner"]
    own = node.figure
    evidence = [found.get("evidence", ""), own.evidence if own else ""]
    if own is not None:
        said |= {**own.details, "note": "; ".join(filter(None, (found.get("note"), own.words.get("note"))))}
    elif "note" in found:
        said["note"] = found["note"]
    grams = own.g if own is not None else None
    return AssetFact(node.asset, "make", at_s, grams, inside, "; ".join(filter(None, evidence)), pairs(said))


def _bought(node: Node) -> Iterable[AssetFact]:
    found = node.values
    if "purchased" in found:
        said = {word: found[word] for word in (*BOUGHT, "owner") if word in found}
        invoice = found.get("invoice", "")
        yield AssetFact(node.asset, "acquire", found["purchased"], found.get("freight_kg"), "", invoice, pairs(said))
    if "commissioned" in found:
        said = {word: found[word] for word in PLACED if word in found}
        if "purchased" not in found and "owner" in found:
            said["owner"] = found["owner"]
        yield AssetFact(node.asset, "commission", found["commissioned"], found.get("transport_kg"), details=pairs(said))


def known_inside(nodes: Sequence[Node], told: Told) -> None:
    """Every container that is named must be one of them."""
    names = {node.asset for node in nodes}
    for node in nodes:
        if node.inside and node.inside not in names:
            hint = nearest(node.inside, list(names), given=False)
            told.problems.append(Problem(f"{node.path}.inside", f"there is no asset {node.inside!r}{hint}"))
