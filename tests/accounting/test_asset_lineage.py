"""Where parts were: a graph that is true to the stays, and text that nobody's names can break."""

import pytest

from wattledger.accounting.assets.fold import Fleet, fold
from wattledger.accounting.assets.lineage import Edge, Node, dot, lineage, mermaid, tree_text
from wattledger.accounting.assets.words import event_of, fact

DAY_S = 86_400


def fleet(gpu: str = "g") -> Fleet:
    facts = [
        fact("r", "make", at_s=0, kind="rack"), fact("s", "make", at_s=0, kind="server", inside="r"),
        fact("t", "make", at_s=0, kind="server"),
        fact(gpu, "make", at_s=0, kind="gpu", inside="s"), fact("d", "make", at_s=0, kind="dram", inside="t"),
        fact("s", "commission", at_s=DAY_S, host="h1"), fact("t", "commission", at_s=DAY_S, host="h2"),
        fact(gpu, "remove", at_s=10 * DAY_S), fact(gpu, "install", at_s=20 * DAY_S, inside="t"),
        fact("s", "scrap", at_s=30 * DAY_S),
    ]  # fmt: skip
    found = fold([event_of(one, f"w:{n}", (1, "w", n)) for n, one in enumerate(facts)], 40 * DAY_S)
    assert found.refused == ()
    return found


def test_a_part_that_moved_is_told_with_both_machines_and_their_hosts() -> None:
    graph = lineage(fleet(), "g")
    assert graph.nodes[0] == Node("g", "g", "gpu", "service")
    assert {node.id for node in graph.nodes} == {"g", "s", "t", "r", "host:h2"}
    assert graph.edges == (
        Edge("g", "s", 0, 10 * DAY_S), Edge("s", "r", 0, 30 * DAY_S), Edge("t", "host:h2", DAY_S, None),
        Edge("g", "t", 20 * DAY_S, None),
    )  # fmt: skip


def test_a_machine_is_told_with_all_that_was_ever_inside_it_and_where_that_went() -> None:
    graph = lineage(fleet(), "s")
    assert tree_text(graph).splitlines() == [
        "s (server, scrapped): in r 1970-01-01 to 1970-01-31",
        "└─ g (gpu, service): in s 1970-01-01 to 1970-01-11; in t 1970-01-21 to now",
    ]
    assert tree_text(lineage(fleet(), "r")).splitlines()[2].startswith("   └─ g (gpu, service)")


def test_a_ring_in_time_is_drawn_once() -> None:
    facts = [
        fact("a", "make", at_s=0, kind="board"), fact("b", "make", at_s=0, kind="board", inside="a"),
        fact("b", "remove", at_s=5 * DAY_S), fact("a", "install", at_s=6 * DAY_S, inside="b"),
    ]  # fmt: skip
    found = fold([event_of(one, f"w:{n}", (1, "w", n)) for n, one in enumerate(facts)], 9 * DAY_S)
    assert [line.strip("└─ ")[0] for line in tree_text(lineage(found, "a")).splitlines()] == ["a", "b", "a"]


def test_drawings_show_what_is_past() -> None:
    graph = lineage(fleet(), "g")
    there = [node.id for node in graph.nodes].index("s")
    assert f'n0 -> n{there} [label="1970-01-01 to 1970-01-11", style=dashed];' in dot(graph)
    assert 'label="1970-01-21 to now"];' in dot(graph)
    assert f'n0 -.->|"1970-01-01 to 1970-01-11"| n{there}\n' in mermaid(graph)
    assert 'n0 -->|"1970-01-21 to now"| n' in mermaid(graph)


@pytest.mark.parametrize("name", ['a"]; evil -> x; [', "a\\", 'end"|-->', "<script>", "subgraph", "#quot;"])
def test_no_name_breaks_a_drawing(name: str) -> None:
    graph = lineage(fleet(name), name)
    for line in dot(graph).splitlines()[3:-1]:
        plain = line.replace("\\\\", "").replace('\\"', "")
        assert plain.count('"') in (2, 4)
    for line in mermaid(graph).splitlines()[1:]:
        assert line.count('"') == 2
        assert not set(line.split('"')[1]) & set("<>|[]{}")


def test_an_asset_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        lineage(fleet(), "nobody")
