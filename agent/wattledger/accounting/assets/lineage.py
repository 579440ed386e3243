"""Where a machine's parts were, and where they went: the stays of assets in containers and on hosts, as a graph with dates."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wattledger.accounting.assets.fold import Fleet
from wattledger.accounting.assets.fold_judge import shown, time_text
from wattledger.accounting.assets.life import Status, Stay


class Node(NamedTuple):
    """An asset, or a host (``kind`` is ``host``), with the state it is in now."""

    id: str
    name: str
    kind: str
    status: Status | str = ""


class Edge(NamedTuple):
    """``part`` (a node's id) was in ``container`` (another's) from then till then; ``end_s`` of ``None``: it still is."""

    part: str
    container: str
    start_s: int
    end_s: int | None


class Graph(NamedTuple):
    """Nodes by id, ``root`` first; edges by time.  An asset's id is its name, a host's ``host:NAME`` (no asset has a colon)."""

    root: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def lineage(fleet: Fleet, asset: str) -> Graph:
    """The asset, all that was ever inside it and where else that was, and all that it was ever inside.  KeyError: no such asset."""
    down = {asset: None}
    inside = _inside(fleet)
    queue = [asset]
    for name in queue:
        fresh = [part for part in inside.get(name, ()) if part not in down]
        down |= dict.fromkeys(fresh)
        queue.extend(fresh)
    edges = {edge for name in down for edge in _edges(fleet, name)}
    up = [edge.container for edge in edges if edge.part == asset]
    for name in up:  # grows: what it was inside of was in something itself
        if name in fleet.lives:
            fresh_edges = set(_edges(fleet, name)) - edges
            edges |= fresh_edges
            up.extend(edge.container for edge in fresh_edges)
    names = dict.fromkeys([*down, *sorted(end for edge in edges for end in (edge.part, edge.container))])
    nodes = tuple(_node(fleet, name) for name in names)
    return Graph(asset, nodes, tuple(sorted(edges, key=lambda edge: (edge.start_s, edge.part, edge.container))))


def _inside(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """Container → what was ever inside it."""
    found: dict[str, dict[str, None]] = {}
    for name, life in fleet.lives.items():
        for stay in life.stays:
            if stay.place.inside:
                found.setdefault(stay.place.inside, {})[name] = None
    return {container: tuple(sorted(parts)) for container, parts in found.items()}


def _edges(fleet: Fleet, asset: str) -> Iterator[Edge]:
    """Stays of one asset; those that follow each other in one container are one."""
    last: Edge | None = None
    for stay in fleet.lives[asset].stays:
        container = _container(stay)
        if last is not None and last.container == container and last.end_s == stay.start_s:
            last = last._replace(end_s=stay.end_s)
            continue
        if last is not None:
            yield last
        last = Edge(asset, container, stay.start_s, stay.end_s) if container else None
    if last is not None:
        yield last


def _container(stay: Stay) -> str:
    if stay.status in ("transferred", "scrapped"):
        return ""
    return stay.place.inside or (f"host:{stay.place.host}" if stay.place.host else "")


def _node(fleet: Fleet, name: str) -> Node:
    if name in fleet.lives:
        life = fleet.lives[name]
        return Node(name, name, life.passport.kind, life.status)
    return Node(name, name.removeprefix("host:"), "host")


def tree_text(graph: Graph) -> str:
    """The asset with the times it was elsewhere, and below it what was ever inside it, likewise; one line each."""
    nodes = {node.id: node for node in graph.nodes}
    inside: dict[str, list[str]] = {}
    stays: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        stays.setdefault(edge.part, []).append(edge)
        if edge.part not in inside.setdefault(edge.container, []):
            inside[edge.container].append(edge.part)
    lines = []
    drawn: set[str] = set()
    stack = [(graph.root, "", "")]
    while stack:
        name, first, rest = stack.pop()
        lines.append(first + _line(nodes[name], stays.get(name, ()), nodes))
        # What was in two of these in turn is said in both; what is inside it, in the first alone.
        parts = sorted(inside.get(name, ())) if name not in drawn else []
        drawn.add(name)
        for part in reversed(parts):
            last = part == parts[-1]
            stack.append((part, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")))
    return "\n".join(lines)


def _line(node: Node, stays: Iterable[Edge], nodes: dict[str, Node]) -> str:
    where = "; ".join(f"{_called(nodes[edge.container])} {_span(edge)}" for edge in stays)
    return f"{shown(node.name)} ({node.kind}, {node.status})" + (f": {where}" if where else "")


def _called(node: Node) -> str:
    return f"{'on host' if node.kind == 'host' else 'in'} {shown(node.name)}"


def _span(edge: Edge) -> str:
    return f"{_day(edge.start_s)} to {'now' if edge.end_s is None else _day(edge.end_s)}"


def _day(at_s: int) -> str:
    return time_text(at_s).partition("T")[0]


def dot(graph: Graph) -> str:
    """Graphviz: an arrow from a part to each container, with its dates; dashed where that is past."""
    ids = _ids(graph)
    lines = ["digraph lineage {", "  rankdir=BT;", "  node [shape=box];"]
    for node in graph.nodes:
        shape = ", shape=house" if node.kind == "host" else ""
        lines.append(f"  {ids[node.id]} [label={_quoted(node.name)}{shape}, tooltip={_quoted(_kind(node))}];")
    for edge in graph.edges:
        style = "" if edge.end_s is None else ", style=dashed"
        lines.append(f"  {ids[edge.part]} -> {ids[edge.container]} [label={_quoted(_span(edge))}{style}];")
    return "\n".join([*lines, "}"])


def mermaid(graph: Graph) -> str:
    """Mermaid: the same arrows, dotted where they are past."""
    ids = _ids(graph)
    lines = ["flowchart BT"]
    for node in graph.nodes:
        left, right = ("{{", "}}") if node.kind == "host" else ("[", "]")
        lines.append(f'  {ids[node.id]}{left}"{_entities(f"{node.name} ({_kind(node)})")}"{right}')
    for edge in graph.edges:
        arrow = "-->" if edge.end_s is None else "-.->"
        lines.append(f'  {ids[edge.part]} {arrow}|"{_entities(_span(edge))}"| {ids[edge.container]}')
    return "\n".join(lines)


def _kind(node: Node) -> str:
    return f"{node.kind}, {node.status}" if node.status else node.kind


def _ids(graph: Graph) -> dict[str, str]:
    """Short names that need no quotes: what people call assets may be a keyword of the language."""
    return {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}


def _quoted(text: str) -> str:
    plain = shown(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _entities(text: str) -> str:
    """All but letters, digits and a few signs as numbers, which is how Mermaid escapes."""
    return "".join(sign if sign.isalnum() or sign in " .,-_()" else f"#{ord(sign)};" for sign in shown(text))
