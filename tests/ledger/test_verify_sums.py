"""Verification of allocations: less than was metered is fine, more is not; and requests have their part of what tokens got."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.made import DAY_S, NOON_S, asked, divided, energy, key, store_of

from wattledger.core.facts import Correction
from wattledger.ledger import compact
from wattledger.ledger.compact import Plan
from wattledger.ledger.manifest import manifests
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store
from wattledger.ledger.verify import verify

NAMED = "job-0 on gpu-7, gpu by counter (agent:gpu-7)"


def written(folder: Path, facts: Sequence[Any], at_s: int = NOON_S + 60) -> Path:
    store = Store.open(folder)
    store.append(facts, at_s)
    store.close()
    return folder


def problems(folder: Path) -> list[str]:
    return [problem.what for problem in verify(folder).problems]


def test_allocations_within_what_was_metered_are_clean(tmp_path: Path) -> None:
    """On whichever of the job's devices, and later than it was drawn."""
    facts = [energy(0, uj=60), energy(1, uj=40), divided(50, 20, 10, 10), asked("r", 30, 20), energy(uj=9, start_s=NOON_S + 60)]
    late = [divided(4, start_s=NOON_S + 120), asked("s", 20, 4)]
    assert problems(written(tmp_path, [*facts, *late])) == []


def test_more_than_was_metered_is_found_and_named(tmp_path: Path) -> None:
    facts = [energy(0, uj=100), energy(2, uj=50, of=key(2, component="cpu")), divided(50, 30, 20, 1)]
    assert problems(written(tmp_path, facts)) == [f"{NAMED}: 1 uJ more went into tokens, standby and overhead than were metered"]


@pytest.mark.parametrize("whose", [{"method": "estimated"}, {"host": "gpu-8"}, {"meter": "agent:2"}, {"labels": (("a", "b"),)}])
def test_energy_of_another_is_not_there_to_be_divided(tmp_path: Path, whose: dict[str, Any]) -> None:
    facts = [energy(of=key()._replace(**whose), uj=100), energy(uj=1), divided(2)]
    assert problems(written(tmp_path, facts)) == [f"{NAMED}: 1 uJ more went into tokens, standby and overhead than were metered"]


def test_an_engine_of_several_models_divides_the_energy_of_its_process(tmp_path: Path) -> None:
    two = divided(40)._replace(key=divided().key._replace(model="m-2"))
    assert problems(written(tmp_path, [energy(uj=100), divided(60), two])) == []
    [line] = problems(written(tmp_path, [two]))
    assert line.startswith(f"{NAMED}: 40 uJ more")


def test_requests_that_got_more_than_the_tokens_are_found(tmp_path: Path) -> None:
    facts = [energy(uj=100), divided(50, 30, 15, 5), asked("r", 50, 30), asked("s", 1)]
    assert problems(written(tmp_path, facts)) == ["job-0 on gpu-7 (agent:gpu-7): requests got 1 uJ more than went into its tokens"]


def test_a_correction_of_one_of_them_makes_the_others_no_less_right(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    ids = store.append([energy(uj=100), divided(60, 40), asked("r", 60, 40)], NOON_S + 60)
    store.append([Correction(ids[0], "sensor", energy(uj=50)), Correction(ids[1], "half", divided(30, 20))], NOON_S + 90)
    store.append([Correction(ids[2], "not his")], NOON_S + 99)
    store.close()
    assert problems(tmp_path) == []


def test_sealed_and_compacted_facts_are_held_against_each_other_too(tmp_path: Path) -> None:
    facts = [energy(uj=100), divided(50, 30, 20), asked("r", 30), asked("s", 20)]
    written(tmp_path, facts)
    written(tmp_path, [energy(uj=1, start_s=NOON_S + DAY_S)], NOON_S + DAY_S)
    seal(tmp_path, NOON_S + DAY_S)
    assert problems(tmp_path) == []
    written(tmp_path, [divided(2)], NOON_S + DAY_S)
    [line] = problems(tmp_path)
    assert line.startswith(f"{NAMED}: 1 uJ more")
    written(tmp_path, [energy(uj=1)], NOON_S + DAY_S)
    assert compact.compact(tmp_path, manifests(tmp_path)[0].segment.day, Plan("slots", drop=True), now_s=NOON_S + 99 * DAY_S)
    assert problems(tmp_path) == []
    written(tmp_path, [divided(0, 0, 0, 1)], NOON_S + DAY_S)
    [line] = problems(tmp_path)
    assert line.startswith(f"{NAMED}: 1 uJ more")


def test_of_books_that_are_broken_only_that_is_said(tmp_path: Path) -> None:
    written(tmp_path, [divided(1)])
    store_of(tmp_path, days=2).close()
    seal(tmp_path, NOON_S + DAY_S)
    [manifest] = manifests(tmp_path)
    manifest.path.write_bytes(manifest.path.read_bytes()[:-1])
    [problem] = verify(tmp_path).problems
    assert problem.where == str(manifest.path)
