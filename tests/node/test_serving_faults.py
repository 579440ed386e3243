"""A bad day of seven engines beside one agent (``bad_day``): whatever they do, the others go on, every page adds up, and the books
are right."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.cli.front import Front, own_place
from tests.node.agents import total
from tests.node.bad_day import BURSTS, HANG_S, IMPOSSIBLE, RECORDS, STUBS, TENANTS, WORK, Day, Seen, lived
from tests.node.checks import DEVICE, ERRORS, LATE, UP, closes
from tests.servers import llama
from tests.servers.load import ASKED, CLIENTS, ENERGY, GOT, KINDS, MOST_TOKENS, PRICE, by_kind, identity

from wattledger.core.facts import AllocationFact, EnergyFact
from wattledger.core.units import UJ_PER_J

pytestmark = pytest.mark.slow
ALL = (*STUBS, llama.ALIAS)
KEPT_MB = 100


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    with lived(tmp_path_factory.mktemp("day")) as found:
        yield found


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


# --- every page -------------------------------------------------------------------------------------------------------------------


def test_on_every_page_each_engine_s_kinds_and_pending_are_its_energy(day: Day) -> None:
    assert len(day.pages) > 40
    for page in day.pages:
        for model in ALL:
            divided, energy = identity(page.rows, model)
            assert divided == energy, f"{model} at {page.at_s - day.at_s['began']:.1f} s"
        closes(page.rows)
    assert all(identity(day.pages[-1].rows, model)[1] > 0 for model in ALL)


def test_nothing_is_negative_and_no_counter_falls(day: Day) -> None:
    before: dict[tuple[str, frozenset[tuple[str, str]]], Decimal] = {}
    for page in day.pages:
        now = {(name, frozenset(labels.items())): value for name, labels, value in page.rows if name.endswith("_total")}
        assert all(value >= 0 for _, _, value in page.rows)
        assert [key for key, value in before.items() if now.get(key, Decimal(-1)) < value] == []
        before = now


def test_ticks_are_never_late_and_the_other_sources_go_on(day: Day) -> None:
    late_s = max(total(page.rows, LATE) for page in day.pages)
    print(f"a tick was at most {late_s * 1000:.0f} ms late")
    assert late_s < 1
    for page in day.pages:
        up = {labels["source"]: value for name, labels, value in page.rows if name == UP}
        assert up == {"cgroup": 1, "engines": 1, "estimate": 1}
        assert {labels["source"] for name, labels, value in page.rows if name == ERRORS and value} <= {"engines"}


def test_each_failure_is_said_once(day: Day) -> None:
    for model, words in (("hung", "no answer within 1 s"), ("odd", "web page (HTML)"), (llama.ALIAS, "connection refused")):
        assert len(day.lines(f"127.0.0.1:{day.ports[model]}", words)) == 1, day.log
    assert day.lines("engines: reads again")
    # A machine that stalls may let an engine fail for a moment more, which ends again.
    twice = [line for line, times in Counter(day.log.splitlines()).items() if times > 1]
    assert [line for line in twice if "reads again" not in line] == []
    assert len(day.log.splitlines()) < 25, "not a line each tick"


# --- each engine's own troubles ---------------------------------------------------------------------------------------------------


def test_while_one_engine_hangs_the_others_are_counted(day: Day) -> None:
    pages = [page for page in day.between("hangs", "over") if 3 < page.at_s - day.at_s["hangs"] < HANG_S]
    assert len({page.tokens("hung") for page in pages}) == 1
    for model in ("odd", "back", "swapped", llama.ALIAS):
        assert pages[-1].tokens(model) > pages[0].tokens(model) + 200


@pytest.mark.parametrize("kind", ["prompt", "generated"])
@pytest.mark.parametrize("model", ["hung", "odd", "back", "swapped", "flood"])
def test_no_token_is_lost_or_counted_twice_whatever_an_engine_does(day: Day, model: str, kind: str) -> None:
    assert day.after("settled").tokens(model, kind) == day.whole(model, kind) > 0


def test_what_an_engine_did_while_it_hung_is_counted_when_it_answers(day: Day) -> None:
    hung = [page for page in day.pages if page.at_s < day.at_s["hangs"] + HANG_S][-1]
    assert day.after("settled").tokens("hung") - hung.tokens("hung") > 0.8 * HANG_S * WORK["rate"]


def test_an_engine_with_no_tokens_has_standby_and_no_price(day: Day) -> None:
    pages = day.between("began", "settled")
    assert [row for page in pages for row in page.rows if row[0] == PRICE and row[1]["model_name"] == "quiet"] == []
    standby = [page.joules("quiet", "standby") for page in (pages[0], day.after("swapped"), day.after("settled"))]
    assert 0 <= standby[0] < standby[1] < standby[2]
    assert pages[-1].joules("quiet", "prompt") == pages[-1].joules("quiet", "generated") == 0


def test_another_model_under_the_same_name_has_a_price_of_its_own(day: Day) -> None:
    def price(page: Seen) -> float:
        return float(total(page.rows, PRICE, model_name="swapped", kind="generated", bound="value"))

    before, after = day.between("began", "swapping")[-1], day.between("swapped", "over")[-1]
    assert 0 < 2.5 * price(before) < price(after), "six times the CPU, of which idle is a part"


def test_the_real_engine_killed_under_load_is_counted_on(day: Day) -> None:
    first, second = day.loads
    down, again, end = day.after("down"), day.after("up again"), day.after("settled")
    # What was read right before it was killed may be on the page after the next; and nothing is counted twice when it is back.
    assert 0 < down.tokens(llama.ALIAS) <= again.tokens(llama.ALIAS) <= first.generated + CLIENTS * MOST_TOKENS
    assert second.generated > 0
    assert end.tokens(llama.ALIAS) - again.tokens(llama.ALIAS) == second.generated
    assert end.tokens(llama.ALIAS, "prompt") - again.tokens(llama.ALIAS, "prompt") == second.prompt


# --- the flood --------------------------------------------------------------------------------------------------------------------


def test_ten_thousand_requests_in_progress_at_once_are_taken_settled_and_kept(day: Day) -> None:
    assert day.answers[:BURSTS] == [(200, {})] * BURSTS
    rows = day.after("settled").rows
    told = {kind: sum(getattr(each.counts, kind) for each in day.records) for kind in ("prompt", "generated")}
    unrecorded = by_kind(rows, ASKED, "prompt", "generated", model_name="flood", tenant="(unrecorded)")
    whole = by_kind(rows, ASKED, "prompt", "generated", model_name="flood")
    assert {kind: whole[kind] - unrecorded[kind] for kind in whole} == told
    tenants = {labels["tenant"] for name, labels, _ in rows if name == GOT and labels["model_name"] == "flood"}
    assert "(other)" in tenants
    assert len(tenants) < TENANTS
    kept = [fact for fact in allocations(day, "flood") if fact.request]
    assert len(kept) == len({fact.request for fact in kept}) == RECORDS
    assert {fact.tenant for fact in kept} == {each.tenant for each in day.records}
    assert sum(fact.generated_tokens for fact in kept) == told["generated"]


def test_requests_never_have_more_than_tokens_got(day: Day) -> None:
    for page in day.pages:
        got = by_kind(page.rows, GOT, "prompt", "generated", model_name="flood")
        assert all(0 <= uj <= page.joules("flood", kind) for kind, uj in got.items())
    assert total(day.after("settled").rows, GOT, model_name="flood", kind="generated") > 0


def test_a_flood_of_records_costs_memory_that_is_bounded(day: Day) -> None:
    before, after = day.between("began", "flood")[-1].rss_mb, max(page.rss_mb for page in day.pages)
    posted_s = day.at_s["flooded"] - day.at_s["flood"]
    print(f"{RECORDS} records posted in {posted_s:.2f} s: {before:.0f} MB before, at most {after:.0f} MB after")
    assert after - before < KEPT_MB


def test_a_record_that_cannot_be_is_refused_in_one_line(day: Day) -> None:
    refused = day.answers[BURSTS : BURSTS + len(IMPOSSIBLE)]
    assert len(refused) == len(IMPOSSIBLE)
    for status, answer in refused:
        assert status == 200
        assert answer["partialSuccess"]["rejectedSpans"] == "1"
        assert "token count" in answer["partialSuccess"]["errorMessage"]
    assert len(day.lines("token count")) == 1


def test_who_asked_nobody_here_or_the_impossible_has_no_energy(day: Day) -> None:
    assert day.answers[-1] == (200, {})  # it may be another agent's
    assert [row for page in day.pages for row in page.rows if row[1].get("tenant") == "impossible"] == []
    assert [fact for fact in allocations(day) if fact.tenant == "impossible"] == []


# --- the end, and the books -------------------------------------------------------------------------------------------------------


def test_an_agent_ended_while_engines_are_busy_ends_in_order(day: Day) -> None:
    assert day.status == 0
    assert day.stop_s < 5
    assert day.log.splitlines()[-1] == "wattledger: stopped"
    assert "Traceback" not in day.log


def test_its_books_verify(day: Day, front: Front) -> None:
    said = front("ledger", "verify", "--ledger", str(day.books), "--json")
    assert (said.status, said.err) == (0, "")


@pytest.mark.parametrize("model", ALL)
def test_its_books_hold_the_last_page_and_what_came_after(day: Day, model: str) -> None:
    energies, last = [fact for fact in day.facts if isinstance(fact, EnergyFact)], day.pages[-1]
    drawn_uj = sum(fact.energy_uj for fact in energies if fact.key.model == model)
    open_uj = sum(fact.energy_uj for fact in energies) - microjoules(total(last.rows, DEVICE))
    assert 0 <= drawn_uj - microjoules(total(last.rows, ENERGY, model_name=model)) <= open_uj
    windows = [fact for fact in allocations(day, model) if not fact.request]
    got_uj = {kind: sum(getattr(fact, f"{kind}_uj") for fact in windows) for kind in KINDS}
    assert all(uj >= microjoules(last.joules(model, kind)) for kind, uj in got_uj.items())
    assert 0 <= drawn_uj - sum(got_uj.values()) <= open_uj
    asked = [fact for fact in allocations(day, model) if fact.request]
    assert sum(fact.prompt_uj for fact in asked) <= got_uj["prompt"]
    assert sum(fact.generated_uj for fact in asked) <= got_uj["generated"]


def microjoules(joules: Decimal) -> int:
    return int(joules * UJ_PER_J)


def allocations(day: Day, model: str | None = None) -> list[AllocationFact]:
    return [fact for fact in day.facts if isinstance(fact, AllocationFact) and model in (None, fact.key.model)]
