"""Tokens in the report of models: each figure equals a hand's, kinds sum to the whole, and what is not known is absent."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.accounting.made_reports import DAY_S, LEARNT_S, H, add, asked, books, grams, said, used
from tests.ledger.made import NOON_S, divided, energy, key, work
from tests.ledger.made import asked as request

from wattledger.accounting.report_ask import Ask
from wattledger.cli.report_csv import csv_text
from wattledger.cli.report_view import table
from wattledger.core.facts import AllocationFact, Correction, Key, WorkFact
from wattledger.ledger import compact
from wattledger.ledger.compact import Plan
from wattledger.ledger.manifest import manifests
from wattledger.ledger.segments import seal

J = 1_000_000
SERVED = key(device="", component="", device_model="", method="", use="")
MODEL = Ask("model")


def tokens(prompt: int, generated: int, steps: int = 0, *, start_s: int = NOON_S, of: Key = SERVED) -> WorkFact:
    return WorkFact(of, start_s, 60, prompt, 0, generated, 1, steps)


def minute(*joules: int, start_s: int = NOON_S, weak: bool = False) -> list[Any]:
    """A minute whose energy was divided whole, on a GPU."""
    return [energy(uj=sum(joules) * J, start_s=start_s), divided(*(j * J for j in joules), start_s=start_s, weak=weak)]


def one(place: Path, ask: Ask = MODEL) -> dict[str, Any]:
    [row] = asked(place, ask)["rows"]
    return dict(row)


# --- by hand ----------------------------------------------------------------------------------------------------------------


def test_a_token_costs_its_kinds_joules_and_grams(tmp_path: Path) -> None:
    facts = [*minute(20, 50, 20, 10), *minute(30, 60, 5, 5, start_s=NOON_S + H), said(0, 100), said(1, 300)]
    found = one(books(tmp_path, [*facts, tokens(1000, 100, 10), tokens(1500, 120, 20, start_s=NOON_S + H)]))["tokens"]
    assert found["prompt"]["energy_per_token_j"]["value"] == pytest.approx(50 / 2500, rel=1e-12)
    assert found["generated"]["energy_per_token_j"]["value"] == pytest.approx(110 / 220, rel=1e-12)
    assert (found["standby"]["energy_j"]["value"], found["overhead"]["energy_j"]["value"]) == (25, 15)
    prompt_g = 1.2 * (20 * 100 + 30 * 300) / 3.6e6
    assert found["prompt"]["emissions_g"]["value"] == pytest.approx(prompt_g, rel=1e-12)
    assert found["prompt"]["emissions_g_per_million"]["value"] == pytest.approx(prompt_g / 2500 * 1e6, rel=1e-12)
    assert found["generated"]["emissions_g_per_million"]["value"] == pytest.approx(1.2 * 23_000 / 3.6e6 / 220 * 1e6, rel=1e-12)
    assert found["mean_batch"] == pytest.approx(220 / 30)
    assert (found["prompt_per_s"], found["generated_per_s"]) == (2500 / 120, 220 / 120)
    assert (found["weak"], found["weak_fraction"], found["divided_fraction"]) == (False, 0.0, 1.0)


def test_all_components_of_a_model_are_in_its_tokens_price(tmp_path: Path) -> None:
    on_cpu = divided()._replace(key=divided().key._replace(component="cpu", method="estimated"), generated_uj=4 * J)
    cpu = energy(2, uj=4 * J, of=key(component="cpu", method="estimated"))
    found = one(books(tmp_path, [*minute(2, 6), cpu, on_cpu, tokens(10, 10)]))["tokens"]
    assert found["generated"]["energy_per_token_j"]["value"] == 1.0
    # A model's answer is off by more than a sensor, and the two are independent: near their errors' quadrature.
    assert found["generated"]["energy_j"]["low"] == pytest.approx(10 - ((6 / 11) ** 2 + (4 - 4 / 1.8) ** 2) ** 0.5, rel=0.005)
    assert found["generated"]["energy_j"]["high"] == pytest.approx(10 + (0.6**2 + 3.2**2) ** 0.5, rel=0.005)


def test_what_may_be_anothers_widens_a_tokens_price(tmp_path: Path) -> None:
    shared = energy(uj=100 * J)._replace(spread_uj=50 * J)
    found = one(books(tmp_path, [shared, divided(40 * J, 60 * J), tokens(10, 10)]))
    assert found["tokens"]["prompt"]["energy_j"]["high"] == pytest.approx(40 + (4**2 + 20**2) ** 0.5)
    alone = one(books(tmp_path, [energy(uj=100 * J), divided(40 * J, 60 * J), tokens(10, 10)]))
    assert alone["tokens"]["prompt"]["energy_per_token_j"]["high"] == pytest.approx(4.4)


def test_a_division_that_stood_on_a_prior_is_weak_and_says_for_how_much(tmp_path: Path) -> None:
    place = books(tmp_path, [*minute(10, 20), *minute(5, 4, 1, start_s=NOON_S + 60, weak=True), tokens(10, 10)])
    found = asked(place, MODEL)
    assert (found["rows"][0]["tokens"]["weak"], found["rows"][0]["tokens"]["weak_fraction"]) == (True, 0.25)
    assert any(note.startswith("weak (~)") for note in found["notes"])
    [line] = [line for line in table(found) if line.startswith("m ") and "~" in line]
    assert line.split().count("~1.5") == 1
    assert not any("weak" in line for line in table(asked(books(tmp_path, [*minute(1, 2), tokens(1, 1)]), MODEL)))


def test_models_without_tokens_show_no_such_figures(tmp_path: Path) -> None:
    idle = [*minute(0, 0, 30, 5)]
    found = one(books(tmp_path, idle))["tokens"]
    assert set(found) == {"standby", "overhead", "weak", "weak_fraction", "divided_fraction"}
    counted = one(books(tmp_path, [*idle, tokens(5, 0)]))["tokens"]
    assert "prompt" not in counted  # no joules of theirs are known
    assert "prompt_per_s" not in counted
    none = asked(books(tmp_path, [used(1), work()]), MODEL)
    assert "tokens" not in none["rows"][0]
    assert not any("token" in line and "a prompt" in line for line in table(none))
    text = json.dumps([found, counted, none])
    assert "Infinity" not in text
    assert "NaN" not in text


def test_only_a_model_has_such_prices(tmp_path: Path) -> None:
    place = books(tmp_path, [*minute(1, 2), tokens(1, 1), request("r", J)])
    for kind in ("job", "device", "host", "day"):
        found = asked(place, Ask(kind))
        assert not any("tokens" in row for row in found["rows"])
    assert "tokens" not in asked(place, MODEL)["total"]


def test_tokens_of_clients_are_not_counted_among_the_engines(tmp_path: Path) -> None:
    """A program that counts its usage books the same tokens under the model's name."""
    client = tokens(1000, 1000, of=SERVED._replace(meter="track:1", job="client", run="other"))
    found = one(books(tmp_path, [*minute(10, 20), tokens(10, 20), client]))
    assert found["tokens"]["prompt"]["tokens"] == 10
    assert found["work"]["prompt_tokens"] == 1010


def test_engines_that_tell_no_steps_are_not_in_the_mean_batch(tmp_path: Path) -> None:
    other = SERVED._replace(host="gpu-8")
    theirs = [energy(uj=J, of=key(host="gpu-8")), divided(J, of=divided().key._replace(host="gpu-8"))]
    found = one(books(tmp_path, [*minute(1, 2), tokens(10, 40, 10), *theirs, tokens(10, 400, 0, of=other)]))["tokens"]
    assert found["mean_batch"] == 4.0
    assert found["generated_per_s"] == 440 / 120  # of one of the two hosts


def test_windows_are_cut_where_the_report_ends_and_by_its_hours(tmp_path: Path) -> None:
    facts = [minute(4, 8, start_s=NOON_S + n * H) for n in range(3)]
    place = books(tmp_path, [*(f for each in facts for f in each), *(tokens(1, 2, start_s=NOON_S + n * H) for n in range(3))])
    found = one(place, Ask("model", from_s=NOON_S + 30, to_s=NOON_S + H + 30))
    assert found["tokens"]["prompt"]["energy_j"]["value"] == 4  # halves of two
    [row] = asked(place, Ask("model", by="hour"))["rows"]
    assert [piece["tokens"]["prompt"]["energy_per_token_j"]["value"] for piece in row["by"]] == [4, 4, 4]
    assert row["tokens"]["prompt"] == one(place)["tokens"]["prompt"]


# --- laws -------------------------------------------------------------------------------------------------------------------


divisions = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 59), st.lists(st.integers(0, 10**9), min_size=4, max_size=4), st.booleans()),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(divisions, st.booleans())
def test_where_all_was_divided_kinds_sum_to_the_models_joules_and_grams(
    tmp_path: Path, made: list[tuple[int, int, list[int], bool]], live: bool
) -> None:
    facts: list[Any] = [said(hour, 100 + 70 * hour) for hour in range(4)] if live else []
    for hour, at, uj, weak in made:
        start_s = NOON_S + hour * H + at * 60 + 30  # across a minute, and the last of an hour across its price
        facts += [energy(uj=sum(uj), start_s=start_s), divided(*uj, start_s=start_s, weak=weak)]
    row = one(books(tmp_path, facts))
    kinds = [row.get("tokens", {}).get(kind) for kind in ("prompt", "generated", "standby", "overhead")]
    assert sum(kind["energy_j"]["value"] for kind in kinds if kind) == pytest.approx(row["energy_j"]["value"], rel=1e-12)
    emitted = row["emissions_g"]["location_based"]["value"]
    assert sum(kind["emissions_g"]["value"] for kind in kinds if kind) == pytest.approx(emitted, rel=1e-12)


def test_rolled_up_books_say_the_same_of_tokens(tmp_path: Path) -> None:
    facts = [f for n in range(90) for f in minute(n, 2 * n, 1, start_s=NOON_S + 60 * n, weak=n == 80)]
    facts += [tokens(10, 20, 2, start_s=NOON_S + 60 * n) for n in range(90)] + [said(0, 100), said(1, 300)]
    facts += [request(f"r-{n}", n * J // 2, n * J, start_s=NOON_S + 60 * n, tenant=f"t-{n % 2}", spread_uj=n) for n in range(90)]
    place = books(tmp_path, facts, NOON_S + 2 * H)
    add(place, [energy(start_s=NOON_S + DAY_S)], NOON_S + DAY_S)
    asks = [Ask("model", to_s=NOON_S + 3 * H), Ask("model", to_s=NOON_S + 3 * H, by="hour")]
    asks.append(Ask("model", to_s=NOON_S + 3 * H, by="tenant"))

    def rows() -> list[Any]:
        found = [asked(place, ask)["rows"] for ask in asks]
        for line in [line for each in found for row in each for line in (row, *row.get("by", ()))]:
            # An hour that was weak in one of its minutes is weak: how much of it was is not kept.
            line.get("tokens", {}).pop("weak_fraction", None)
        return found

    before = rows()
    seal(place, NOON_S + DAY_S)
    assert rows() == before
    assert compact.compact(place, manifests(place)[0].segment.day, Plan("slots", drop=True), now_s=LEARNT_S + 60 * DAY_S)
    assert rows() == before


def test_corrections_and_as_of_hold_for_allocations(tmp_path: Path) -> None:
    place = books(tmp_path, [energy(uj=100 * J), tokens(10, 10)], LEARNT_S)
    [first] = add(place, [divided(40 * J, 60 * J)], LEARNT_S + 10)
    add(place, [Correction(first, "model swapped", divided(10 * J, 90 * J))], LEARNT_S + 20)
    [extra] = add(place, [divided(start_s=NOON_S + 60)._replace(standby_uj=J)], LEARNT_S + 30)
    add(place, [Correction(extra, "not ours")], LEARNT_S + 40)

    def prompt_j(as_of_s: int | None) -> float | None:
        found = one(place, Ask("model", as_of_s=as_of_s)).get("tokens")
        return None if found is None else found["prompt"]["energy_j"]["value"]

    assert [prompt_j(LEARNT_S + s) for s in (5, 15, 25)] == [None, 40, 10]
    assert prompt_j(None) == 10
    assert "standby" not in one(place)["tokens"]
    assert one(place, Ask("model", as_of_s=LEARNT_S + 35))["tokens"]["standby"]["energy_j"]["value"] == 1


def test_the_energy_of_a_report_does_not_depend_on_allocations(tmp_path: Path) -> None:
    plain = [energy(uj=100 * J), tokens(10, 10), said(0, 100)]
    without = asked(books(tmp_path, plain), MODEL)
    beside = asked(books(tmp_path, [*plain, divided(10 * J), request("r", J, start_s=NOON_S - 40 * DAY_S)]), MODEL)
    assert beside["rows"][0].pop("tokens")
    assert beside == without


# --- tenants ----------------------------------------------------------------------------------------------------------------


def tenants(place: Path, **more: Any) -> dict[str, dict[str, Any]]:
    [row] = asked(place, Ask("model", by="tenant", **more))["rows"]
    return {each["tenant"]: each for each in row["by"]}


def served(*requests: AllocationFact) -> list[Any]:
    return [*minute(40, 60, 5, 5), tokens(100, 200), said(0, 100), *requests]


def test_tenants_and_what_nobody_told_of_sum_to_the_models_tokens(tmp_path: Path) -> None:
    mine = [request("r-1", 5 * J, 10 * J, tenant="acme"), request("r-2", 3 * J, 4 * J, tenant="acme")]
    place = books(tmp_path, served(*mine, request("r-3", J, 2 * J)))
    found = tenants(place)
    assert list(found) == ["", "acme", "(unrecorded)"]
    assert (found["acme"]["requests"], found["acme"]["prompt"]["tokens"], found["acme"]["generated"]["tokens"]) == (2, 20, 40)
    assert found["acme"]["generated"]["energy_per_token_j"]["value"] == 14 / 40
    for kind, joules, count in (("prompt", 40, 100), ("generated", 60, 200)):
        assert sum(each[kind]["energy_j"]["value"] for each in found.values()) == pytest.approx(joules)
        assert sum(each[kind]["tokens"] for each in found.values()) == count
    whole_g = 1.2 * 100 * 100 / 3.6e6
    assert sum(each["emissions_g"]["location_based"]["value"] for each in found.values()) == pytest.approx(whole_g)
    assert "requests" not in found["(unrecorded)"]


def test_where_every_request_was_told_nothing_is_unrecorded(tmp_path: Path) -> None:
    everything = request("r", 40 * J, 60 * J, tenant="acme", prompt_tokens=100, generated_tokens=200)
    assert list(tenants(books(tmp_path, served(everything)))) == ["acme"]
    assert list(tenants(books(tmp_path, served()))) == ["(unrecorded)"]


def test_a_request_counts_whole_where_it_began(tmp_path: Path) -> None:
    across = request("r", 10 * J, start_s=NOON_S + 50, tenant="acme", length_s=20)
    place = books(tmp_path, [*served(across), *minute(5, 5, start_s=NOON_S + 60)])
    assert tenants(place, to_s=NOON_S + 60)["acme"]["prompt"]["energy_j"]["value"] == 10
    assert "acme" not in tenants(place, from_s=NOON_S + 60)


def test_a_requests_own_doubt_widens_its_tenants_share(tmp_path: Path) -> None:
    sure, unsure = request("r-1", 10 * J, tenant="sure"), request("r-2", 10 * J, tenant="unsure", spread_uj=4 * J)
    found = tenants(books(tmp_path, served(sure, unsure)))
    assert found["sure"]["prompt"]["energy_j"]["high"] == pytest.approx(11)
    assert found["unsure"]["prompt"]["energy_j"]["high"] == pytest.approx(10 + (1 + 4**2) ** 0.5)
    assert found["unsure"]["emissions_g"]["location_based"]["high"] > found["sure"]["emissions_g"]["location_based"]["high"]


@pytest.mark.parametrize("kind", ["job", "device", "day", "host"])
def test_only_models_are_asked_by_tenants(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="report model --by tenant"):
        asked(books(tmp_path, [used(1)]), Ask(kind, by="tenant"))


def shown(found: dict[str, Any]) -> Sequence[str]:
    return table(found)


def test_tables_and_csv_say_who_asked(tmp_path: Path) -> None:
    place = books(tmp_path, [*served(request("r-1", 5 * J, 10 * J, tenant="a\x1bb")), used(1, model="other")])
    found = asked(place, Ask("model", by="tenant"))
    lines = shown(found)
    assert "  a\N{REPLACEMENT CHARACTER}b" in "\n".join(lines)
    assert any(line.split()[0] == "(unrecorded)" for line in lines)
    rows = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert {row["model"] for row in rows} == {"m"}
    assert [(row["tenant"], row["prompt_j"]) for row in rows] == [("a\x1bb", "5.0"), ("(unrecorded)", "35.0")]
    plain = list(csv.DictReader(io.StringIO(csv_text(asked(place, MODEL)))))
    assert [row["energy_per_prompt_token_j"] for row in plain] == ["0.4", ""]
    assert "prompt_j" not in csv_text(asked(place, Ask("job")))


def test_one_model_is_told_in_full(tmp_path: Path) -> None:
    place = books(tmp_path, [*served(request("r-1", 5 * J, 10 * J, tenant="acme")), energy(1, uj=10 * J)])
    text = "\n".join(shown(asked(place, Ask("model", "m", by="tenant"))))
    for words in (
        "prompt token    400 mJ (364 mJ to 440 mJ), 13.3 g CO2e a million; 100 of them", "generated token 300 mJ",
        "without tokens  standby 5 J, overhead 5 J", "served          1.67 prompt tokens/s, 3.33 generated tokens/s",
        "divided         91.7% of its energy", "acme",
    ):  # fmt: skip
        assert words in text
    assert grams(asked(place, Ask("model", "m"))) > 0
