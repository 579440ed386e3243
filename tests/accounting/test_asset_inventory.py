"""A CSV inventory and its mapping become facts of all its machines, or one line for each row that is wrong."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_passports import details, outcome

from wattledger.accounting.assets import inventory, mapping
from wattledger.accounting.assets.passport import Parsed
from wattledger.accounting.assets.passport_fields import BadPassport
from wattledger.accounting.assets.rules import check

MAP = """
schema = "wattledger.mapping/1"
[columns]
"Asset tag" = "id"
"Type" = "kind"
"Product" = "model"
"S/N" = "serial"
"In service" = "commissioned"
"Weight" = "mass_kg"
"Parent" = "inside"
"CO2" = "kg"
[constants]
owner = "research"
site = "Frankfurt"
[kinds]
"*node*" = "server"
"accel*" = "gpu"
"patch panel" = "skip"
[footprints]
"PowerEdge*" = { kg = 1313, method = "pcf", source = "Dell" }
[format]
date = "%d.%m.%Y"
decimal = ","
delimiter = ";"
host = "id"
[units]
mass = "g"
footprint = "t"
"""
HEAD = "Asset tag;Type;Product;S/N;In service;Weight;Parent;CO2;Remarks\n"
ROWS = HEAD + """\
n1;GPU node;PowerEdge XE9680;S-1;31.01.2025;108.500,5;;;old
n1-0;Accelerator;NVIDIA H100 80GB HBM3;;;;n1;;
n2;Compute Node;Custom;S-2;01.02.2025;n/a;;1,5;
pp;Patch panel;;;;;;;
"""


def read(text: str, words: str = MAP) -> Parsed:
    return inventory.read(text, mapping.read(words, "map.toml"), "rooms.csv")


def refused(text: str, words: str = MAP) -> tuple[str, ...]:
    with pytest.raises(BadPassport) as caught:
        read(text, words)
    return caught.value.lines


def test_rows_become_machines_in_their_units_and_forms() -> None:
    found = read(ROWS).facts
    made = {fact.asset: fact for fact in found if fact.event == "make"}
    assert {name: (fact.emitted_g, fact.inside, details(fact)["kind"]) for name, fact in made.items()} == {
        "n1": (1_313_000, "", "server"), "n1-0": (164_000, "n1", "gpu"), "n2": (1_500_000, "", "server"),
    }  # fmt: skip
    assert details(made["n1"])["mass_g"] == "108500"
    placed = next(fact for fact in found if (fact.asset, fact.event) == ("n1", "commission"))
    assert placed.at_s == int(datetime(2025, 1, 31, tzinfo=UTC).timestamp())
    assert details(placed) == {"host": "n1", "owner": "research", "site": "Frankfurt"}
    assert "S-1" not in repr(found)


def test_constants_are_the_machines_and_not_their_parts() -> None:
    part = next(fact for fact in read(ROWS).facts if fact.asset == "n1-0")
    assert not {"owner", "site"} & details(part).keys()


def test_the_books_take_what_was_read() -> None:
    facts = read(ROWS).facts
    assert all("lower" not in line for line in check([], facts))


def test_our_own_words_need_no_mapping() -> None:
    text = "id,kind,made,kg,scrapped\na,server,2020-01-01,1000,2025-01-01\n"
    found = inventory.read(text, mapping.NOTHING, "a.csv").facts
    assert [(fact.event, fact.emitted_g) for fact in found] == [("make", 1_000_000), ("scrap", None)]


def test_every_bad_row_is_named_and_nothing_is_taken() -> None:
    bad = HEAD + """\
a;GPU node;X;;31.02.2025;;;1;
b;GPU node;X;;01.02.2025;;;-1;
c;Toaster;X;;01.02.2025;;;1;
d;GPU node;X;;01.02.2025;;;1
e;GPU node;X;;01.02.2025;;;1;
e;GPU node;X;;01.02.2025;;;1;
f;GPU node;X;;;;;1;
g;GPU node;X;;01.02.2025;heavy;;1;
"""
    lines = refused(bad)
    assert [line.split(": ")[0] for line in sorted(lines)] == [f"rooms.csv:{n}" for n in (2, 3, 4, 5, 7, 9)]
    text = "\n".join(lines)
    assert "commissioned = '31.02.2025': is not a day as '%d.%m.%Y' has it" in text
    assert "must not be negative" in text
    assert "its kind is not known from 'Toaster': map it in [kinds]" in text
    assert "8 values for 9 columns" in text
    assert "rooms.csv:7: there is an asset 'e' already, at rooms.csv:6" in text
    assert "rooms.csv:2: when was it made" in refused(HEAD + "f;node;X;;;;;1;\n")[0]


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ('"wattledger.mapping/1"', '"wattledger.mapping/2"', 2, "the first line must be schema"),
        ("[columns]", "[colums]", 3, "did you mean 'columns'?"),
        ('"Asset tag" = "id"', '"Asset tag" = "ids"', 4, "did you mean 'id'?"),
        ('owner = "research"', 'ownr = "research"', 13, "did you mean 'owner'?"),
        ('owner = "research"', 'life_years = 0', 13, "must be more than 0"),
        ('"*node*" = "server"', '"*node*" = "sever"', 16, "did you mean 'server'?"),
        ('{ kg = 1313, method = "pcf", source = "Dell" }', "1313", 20, "expected { kg = "),
        ('date = "%d.%m.%Y"', 'date = "%Y"', 22, "expected a day"),
        ('decimal = ","', 'decimal = ";"', 23, "expected"),
        ('delimiter = ";"', 'delimiter = "::"', 24, "expected"),
        ('mass = "g"', 'mass = "stone"', 27, "is no unit of mass"),
        ('mass = "g"', 'weight = "g"', 27, "there is no 'weight'"),
    ],
)
def test_a_wrong_mapping_says_its_line(old: str, new: str, where: int, what: str) -> None:
    [line] = refused(ROWS, MAP.replace(old, new))
    assert line.startswith(f"map.toml:{where}: ")
    assert what in line


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (HEAD.replace("Asset tag", "Assettag"), "there is no column 'Asset tag'; did you mean 'Assettag'?"),
        (HEAD.replace("Remarks", "Type"), "two columns have one name"),
        ("", "holds no machines"),
        (HEAD, "holds no machines"),
    ],
)
def test_a_wrong_head_is_refused(head: str, what: str) -> None:
    assert what in refused(head)[0]


def test_ten_thousand_rows_are_read() -> None:
    rows = "".join(
        f"n{n};GPU node;PowerEdge XE9680;S-{n};31.01.2025;108500;;;\nn{n}-0;Accelerator;H100;G-{n};;;n{n};;\n" for n in range(5000)
    )
    found = read(HEAD + rows)
    assert len(found.facts) == 15_000


cells = st.lists(st.text("an1;,\"'\n -.|\t0xé", max_size=8), min_size=1, max_size=9)


@settings(max_examples=100, deadline=None)
@given(st.lists(cells, max_size=4), st.sampled_from((HEAD, "id,kind,made,kg\n", "")), st.sampled_from((";", ",")))
def test_whatever_a_table_says_it_is_facts_or_refused(rows: list[list[str]], head: str, sign: str) -> None:
    text = head + "\n".join(sign.join(row) for row in rows)
    found = outcome(lambda: read(text, MAP if head == HEAD else 'schema = "wattledger.mapping/1"'))
    assert found.lines if isinstance(found, BadPassport) else found.facts


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(ROWS)))
def test_a_table_that_breaks_off_is_a_smaller_one_or_refused(end: int) -> None:
    found = outcome(lambda: read(ROWS[:end]))
    assert found.lines if isinstance(found, BadPassport) else {fact.asset for fact in found.facts} <= {"n1", "n1-0", "n2"}
