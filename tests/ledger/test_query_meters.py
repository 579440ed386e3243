"""One joule, one meter: an agent before trackers, the outer program before the inner, and neighbours both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.made import NOON_S, began, energy, key

from wattledger.core.facts import EnergyFact, Known, RunFact
from wattledger.ledger.books import Books
from wattledger.ledger.query_meters import outer_meters
from wattledger.ledger.store import Store


def booked(folder: Path, facts: Sequence[Any]) -> dict[str, int]:
    """meter → what is counted of it."""
    store = Store.open(folder)
    store.append(facts, NOON_S + 3600)
    store.close()
    with Books([folder]) as books:
        found = books.connection.execute("SELECT meter, SUM(energy_uj) FROM energy GROUP BY meter").fetchall()
        assert books.doubled == len(facts) - len(births(facts)) - sum(
            n for (n,) in books.connection.execute("SELECT COUNT(*) FROM energy").fetchall()
        )
    return {meter: int(uj) for meter, uj in found}


def births(facts: Sequence[Any]) -> list[RunFact]:
    return [fact for fact in facts if isinstance(fact, RunFact)]


def of(meter: str, uj: int, minute: int = 0, **more: Any) -> EnergyFact:
    return energy(of=key(meter=meter, **more), start_s=NOON_S + 60 * minute, uj=uj)


def inside(meter: str, outer: str) -> RunFact:
    return began(meter=meter, parent=outer)


def test_an_agents_word_goes_before_a_trackers_on_the_same_device_and_minute(tmp_path: Path) -> None:
    facts = [of("agent:a", 10), of("track:t", 7), of("track:t", 5, 1), of("track:t", 3, device="GPU-else")]
    assert booked(tmp_path, facts) == {"agent:a": 10, "track:t": 5 + 3}


def test_an_agent_on_another_host_says_nothing_of_this_one(tmp_path: Path) -> None:
    assert booked(tmp_path, [of("agent:a", 10), of("track:t", 7, host="gpu-8")]) == {"agent:a": 10, "track:t": 7}


def test_a_trackers_estimate_of_a_component_gives_way_to_whoever_measured_it(tmp_path: Path) -> None:
    guess: dict[str, Any] = {"component": "cpu", "device": "model of this tracker", "method": "estimated"}
    facts = [of("agent:a", 10, component="cpu", device="package-0"), of("track:t", 7, **guess)]
    assert booked(tmp_path, facts) == {"agent:a": 10}


@pytest.mark.parametrize(
    ("start_s", "length_s", "left"), [(-60, 60, 7), (-60, 61, 0), (3599, 60, 0), (3600, 60, 7), (-9000, 20_000, 0)]
)
def test_windows_of_any_length_that_touch_are_of_one_time(tmp_path: Path, start_s: int, length_s: int, left: int) -> None:
    tracker = of("track:t", 7)._replace(start_s=NOON_S + start_s, length_s=length_s)
    found = booked(tmp_path, [of("agent:a", 10)._replace(length_s=3600), tracker])
    assert found == {"agent:a": 10, **({"track:t": left} if left else {})}


def test_two_trackers_side_by_side_both_count(tmp_path: Path) -> None:
    facts = [of("track:a", 10), of("track:b", 7), inside("track:a", "run:gone"), inside("track:b", "run:gone")]
    assert booked(tmp_path, facts) == {"track:a": 10, "track:b": 7}


def test_the_outer_program_holds_the_inners_joules_at_any_depth(tmp_path: Path) -> None:
    births = [inside("run:inner", "track:middle"), inside("track:middle", "run:outer"), inside("run:outer", "")]
    facts = [of("run:outer", 10), of("run:inner", 7), of("run:inner", 5, 1), *births]
    # The middle one metered nothing; in the minute that the outer one has no joule of, the inner one's word is taken.
    assert booked(tmp_path, facts) == {"run:outer": 10, "run:inner": 5}


def test_an_outer_programs_word_is_taken_of_every_device(tmp_path: Path) -> None:
    # What its share of a device was rounded to nothing for is no joule that the inner one may add.
    facts = [of("run:outer", 10, device="package-0", component="cpu"), of("track:t", 7), inside("track:t", "run:outer")]
    assert booked(tmp_path, facts) == {"run:outer": 10}


def test_with_an_agent_beside_both_the_agents_word_alone_counts(tmp_path: Path) -> None:
    facts = [of("agent:a", 20), of("run:o", 10), of("track:t", 7), inside("track:t", "run:o"), inside("run:o", "agent:a")]
    assert booked(tmp_path, facts) == {"agent:a": 20}


def test_a_runs_own_parent_is_no_meters(tmp_path: Path) -> None:
    """A ``began`` of a run carries its parent run: it says nothing of meters."""
    facts = [of("run:o", 10), of("track:t", 7), began(meter="track:t", parent="run:o", job="train")]
    assert booked(tmp_path, facts) == {"run:o": 10, "track:t": 7}


def test_meters_in_a_ring_both_count(tmp_path: Path) -> None:
    facts = [of("run:a", 10), of("run:b", 7), inside("run:a", "run:b"), inside("run:b", "run:a")]
    assert booked(tmp_path, facts) == {"run:a": 10, "run:b": 7}


@given(st.dictionaries(st.integers(0, 8), st.integers(0, 8)))
def test_no_two_meters_are_each_inside_the_other(parents: dict[int, int]) -> None:
    facts = [inside(f"run:{meter}", f"run:{outer}") for meter, outer in parents.items()]
    found = outer_meters(Known(f"00000000000000aa:{n}", 0, fact) for n, fact in enumerate(facts, 1))
    assert not {(outer, meter) for meter, outer in found} & found
    for meter, outer in parents.items():
        assert (f"run:{meter}", f"run:{outer}") in found or _reaches(outer, meter, parents)


def _reaches(at: int, goal: int, parents: dict[int, int]) -> bool:
    seen = set[int]()
    while at != goal and at in parents and at not in seen:
        seen.add(at)
        at = parents[at]
    return at == goal
