"""`explain`: every figure of a report taken apart adds up to it, exactly, and a fact is followed to its grams and its hash."""

from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_changes import rewrite
from tests.ledger.made import DAY_S, NOON_S, energy, gap, intensity, key, verified, work

from wattledger.accounting.explain import explain, total
from wattledger.accounting.explain_fact import story
from wattledger.accounting.explain_rows import figure_dict
from wattledger.accounting.report_ask import KINDS, Ask, Rules
from wattledger.accounting.report_slots import PRICED
from wattledger.accounting.reports import UnknownName
from wattledger.core.facts import Correction, Fact
from wattledger.ledger.books import Books
from wattledger.ledger.chain import link
from wattledger.ledger.compact import Plan, compact
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store

H = 3600
RULES = Rules(providers=("eea",))
LATER_S = NOON_S + 2000 * DAY_S


def books(folder: Path, *batches: tuple[int, list[Fact | Correction]]) -> list[str]:
    """Books with these facts, learnt at these times; their ids."""
    store = Store.open(folder)
    try:
        return [fact_id for at_s, facts in batches for fact_id in store.append(facts, at_s)]
    finally:
        store.close()


def some_hours(folder: Path, hours: int = 3) -> list[str]:
    """A job's minute in each of so many hours, of which all but the last have an intensity."""
    facts: list[Fact | Correction] = []
    for n in range(hours):
        facts += [energy(start_s=NOON_S + n * H, uj=1_000_003 + n), energy(17, start_s=NOON_S + n * H, uj=7)]
        facts += [intensity(NOON_S + n * H, g_per_kwh=300 + n)] if n < hours - 1 else []
    return books(folder, (NOON_S + hours * H, facts))


def test_each_price_has_its_joules_and_the_sum_is_the_reports(tmp_path: Path) -> None:
    ids = some_hours(tmp_path)
    with Books([tmp_path]) as opened:
        found = explain(opened, Ask("job", "job-0"), RULES)
    assert [int(slot.energy_uj) for slot in found.slots] == [1_000_003, 1_000_004, 1_000_005]
    assert [slot.price and slot.price.ug_per_kwh for slot in found.slots] == [300_000_000, 301_000_000, 301_000_000]
    assert [slot.price and slot.price.facts for slot in found.slots] == [(ids[2],), (ids[5],), (ids[5],)]
    assert [slot.price and slot.price.quality for slot in found.slots] == ["live", "live", "last-known"]
    product = 1_000_003 * 300_000_000 + (1_000_004 + 1_000_005) * 301_000_000
    by_hand = Fraction(3_000_012), Fraction(product * 1200, 1000 * 3_600_000_000_000)
    assert total(found.slots) == by_hand == (found.reported_uj, found.reported_ug)
    assert found.is_equal


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_whatever_is_asked_the_slots_are_the_report_exactly(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random, folder = Random(seed), tmp_path_factory.mktemp("books")
    facts: list[Fact | Correction] = []
    for _ in range(random.randint(1, 25)):
        of = key(random.choice((0, 16)), zone=random.choice(("DE", "FR", "")), pue_milli=random.choice((0, 1200)))
        start_s = NOON_S + random.randrange(0, 2 * DAY_S, 60)
        length_s = random.choice((60, H, 90 * 60))
        facts.append(energy(start_s=start_s, uj=random.randint(0, 10**10), of=of)._replace(length_s=length_s))
    for _ in range(random.randint(0, 12)):
        start_s = NOON_S + random.randrange(0, 2 * DAY_S, 1800)
        facts.append(intensity(start_s, g_per_kwh=random.randint(1, 900), length_s=random.choice((900, H))))
    books(folder, (NOON_S + 3 * DAY_S, facts))
    from_s = NOON_S + random.randrange(0, DAY_S, 7)
    span = random.choice(((None, None), (from_s, None), (from_s, from_s + random.randint(1, DAY_S))))
    with Books([folder]) as opened:
        for kind in KINDS:
            for basis in PRICED:
                found = explain(opened, Ask(kind, None, span[0], span[1], marginal=True), RULES, basis=basis)
                assert found.is_equal, (kind, basis)


def test_a_rolled_up_day_says_what_it_was_priced_by(tmp_path: Path) -> None:
    some_hours(tmp_path)
    seal(tmp_path, LATER_S)
    with Books([tmp_path]) as opened:
        before = explain(opened, Ask("job", "job-0"), RULES)
        priced = [slot.price for slot in before.slots if slot.price is not None]
    day = "2026-09-21"
    compact(tmp_path, day, Plan("slots", drop=True), now_s=LATER_S)
    compact(tmp_path, day, Plan("days", [price._replace(settled=True) for price in priced], drop=True), now_s=LATER_S)
    with Books([tmp_path]) as opened:
        after = explain(opened, Ask("job", "job-0"), RULES)
    assert after.is_equal
    assert {slot.priced_by for slot in after.slots} == {price.cause for price in priced}
    assert after.reported_ug == before.reported_ug
    [live] = [slot for slot in after.slots if slot.priced_by.endswith("|live")]
    assert live.ug_per_kwh == Fraction(1_000_003 * 300_000_000 + 1_000_004 * 301_000_000, 2_000_007)
    assert all(slot.get("rolled_up") for slot in figure_dict(after)["slots"])


def test_a_basis_that_says_nothing_leaves_its_energy_unpriced(tmp_path: Path) -> None:
    some_hours(tmp_path)
    with Books([tmp_path]) as opened:
        found = explain(opened, Ask("job", "job-0", marginal=True), RULES, basis="marginal")
    assert found.is_equal
    [slot] = found.slots
    assert not slot.is_priced
    assert "emitted_ug" not in figure_dict(found)["slots"][0]


def test_an_energy_fact_is_followed_to_its_grams(tmp_path: Path) -> None:
    ids = some_hours(tmp_path)
    found = story([tmp_path], ids[0], RULES)
    [slot] = found.slots
    assert slot.price is not None
    assert slot.price.facts == (ids[2],)
    assert not slot.price.settled
    assert slot.emitted_ug == Fraction(1_000_003 * 300_000_000 * 12, 10 * 3_600_000_000_000)
    assert (found.why_not, found.corrected_by) == ("", ())


def test_without_a_live_price_the_tables_row_is_named(tmp_path: Path) -> None:
    [only] = books(tmp_path, (NOON_S, [energy(uj=5)]))
    [slot] = story([tmp_path], only, RULES).slots
    assert slot.price is not None
    assert slot.price.facts == ()
    assert slot.price.origin
    assert slot.price.version


def test_a_window_across_two_prices_is_cut_in_proportion(tmp_path: Path) -> None:
    across = energy(start_s=NOON_S + H - 20, uj=100)
    ids = books(tmp_path, (NOON_S + 2 * H, [across, intensity(NOON_S, g_per_kwh=300), intensity(NOON_S + H, g_per_kwh=600)]))
    found = story([tmp_path], ids[0], RULES)
    assert [slot.energy_uj for slot in found.slots] == [Fraction(100, 3), Fraction(200, 3)]
    with Books([tmp_path]) as opened:
        figure = explain(opened, Ask("job", "job-0"), RULES)
    assert total(found.slots) == (figure.reported_uj, figure.reported_ug)


@pytest.mark.parametrize("sealed", [False, True])
def test_the_hashes_beside_a_fact_are_the_chains(tmp_path: Path, sealed: bool) -> None:
    ids = some_hours(tmp_path)
    store = Store.open(tmp_path)
    verified(store)
    rows = {row.seq: row for row in store.rows()}
    store.close()
    if sealed:
        seal(tmp_path, LATER_S)
    for fact_id in ids[1:]:
        seq = int(fact_id.rpartition(":")[2])
        place = story([tmp_path], fact_id, RULES).place
        assert (place.sealed, place.holds) == (sealed, True)
        assert (place.before, place.after) == (rows[seq - 1].hash.hex(), rows[seq].hash.hex())
        assert link(bytes.fromhex(place.before), rows[seq].body).hex() == place.after


def test_a_sealed_row_that_was_changed_does_not_hold(tmp_path: Path) -> None:
    ids = some_hours(tmp_path)
    [sealed] = seal(tmp_path, LATER_S)
    rewrite(sealed.path, "REPLACE(REPLACE(body, '1000003', '1000002') AS body)")
    assert not story([tmp_path], ids[0], RULES).place.holds


def test_a_corrected_fact_names_what_took_its_place(tmp_path: Path) -> None:
    [old] = books(tmp_path, (NOON_S + 60, [energy(uj=5)]))
    [new] = books(tmp_path, (NOON_S + 120, [Correction(old, "meter read twice", energy(uj=3))]))
    [gone] = books(tmp_path, (NOON_S + 180, [Correction(new, "it was nobody's")]))
    first, second = story([tmp_path], old, RULES), story([tmp_path], new, RULES)
    assert [(one.id, one.reason, one.withdraws) for one in first.corrected_by] == [(new, "meter read twice", False)]
    assert first.why_not
    assert (second.corrects, second.reason) == (old, "meter read twice")
    assert [(one.id, one.withdraws) for one in second.corrected_by] == [(gone, True)]
    withdrawal = story([tmp_path], gone, RULES)
    assert (withdrawal.columns["fact"], withdrawal.corrects) == ("withdrawal", new)


def test_as_of_then_a_correction_was_not_known(tmp_path: Path) -> None:
    [old] = books(tmp_path, (NOON_S + 60, [energy(uj=5)]))
    [new] = books(tmp_path, (NOON_S + 120, [Correction(old, "meter read twice", energy(uj=3))]))
    then = story([tmp_path], old, RULES, NOON_S + 100)
    assert (then.corrected_by, then.why_not) == ((), "")
    assert not story([tmp_path], new, RULES, NOON_S + 100).known


def test_of_a_revised_intensity_all_versions_are_told_and_one_is_in_force(tmp_path: Path) -> None:
    [first] = books(tmp_path, (NOON_S + H, [intensity(g_per_kwh=329, estimated=True)]))
    [second] = books(tmp_path, (NOON_S + 2 * H, [intensity(g_per_kwh=341, version="2")]))
    found = story([tmp_path], first, RULES)
    assert [(one.ids, one.learnt_s, one.in_force) for one in found.versions] == [
        ((first,), NOON_S + H, False), ((second,), NOON_S + 2 * H, True),
    ]  # fmt: skip
    assert found.in_force == (second,)
    then = story([tmp_path], first, RULES, NOON_S + H + 1)
    assert [one.in_force for one in then.versions] == [True, False]


def test_what_many_hosts_wrote_down_alike_is_one_version(tmp_path: Path) -> None:
    ids = [books(tmp_path / str(n), (NOON_S + H + n, [intensity()]))[0] for n in range(3)]
    found = story([tmp_path / str(n) for n in range(3)], ids[0], RULES)
    [version] = found.versions
    assert version.ids == tuple(ids)
    assert version.in_force


def test_an_energy_that_an_agent_metered_too_is_said_not_to_count(tmp_path: Path) -> None:
    tracked = energy(uj=4, of=key(meter="track:1"))
    mine, agents = books(tmp_path, (NOON_S + 60, [tracked, energy(uj=5)]))
    assert "another meter" in story([tmp_path], mine, RULES).why_not
    assert story([tmp_path], agents, RULES).why_not == ""


def test_every_kind_of_fact_can_be_explained(tmp_path: Path) -> None:
    ids = books(tmp_path, (NOON_S + 60, [work(), gap(), intensity()]))
    assert [story([tmp_path], fact_id, RULES).columns["fact"] for fact_id in ids] == ["work", "gap", "intensity"]


def test_a_fact_that_was_rolled_up_is_said_to_be(tmp_path: Path) -> None:
    ids = some_hours(tmp_path)
    seal(tmp_path, LATER_S)
    compact(tmp_path, "2026-09-21", Plan("slots", drop=True), now_s=LATER_S)
    with pytest.raises(LedgerError, match="was rolled up"):
        story([tmp_path], ids[0], RULES)


def test_an_unknown_fact_names_the_nearest(tmp_path: Path) -> None:
    last = some_hours(tmp_path)[-1]
    writer = last.rpartition(":")[0]
    with pytest.raises(UnknownName) as wrong:
        story([tmp_path], f"{writer}:9999", RULES)
    assert wrong.value.names == [last]
