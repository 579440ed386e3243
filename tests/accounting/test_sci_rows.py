"""Scores of what is in the books: the standard's formula over the books' own figures, every input in the answer."""

from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_reports import H, asked, books, said, used
from tests.ledger.made import NOON_S, key

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.sci_rows import NoEmbodied, Per, per, scores
from wattledger.core.facts import AssetFact, WorkFact
from wattledger.ledger.books import Books, Span

YEAR_S = 365 * 86_400
GPU_G, LIFE_H = 164_000, 35_040
WORKED = key(device="", component="", device_model="", method="", use="")


def work(prompt: int = 800, cached: int = 900, generated: int = 200, requests: int = 3, **more: Any) -> WorkFact:
    return WorkFact(WORKED._replace(**more), NOON_S, 60, prompt, cached, generated, requests)


def machine() -> list[AssetFact]:
    """A server with one GPU, both with passports, in service on the host for a year."""
    was_s = NOON_S - YEAR_S
    life = ("el_h", f"{LIFE_H}")
    card = (("device", key().device), ("kind", "gpu"), ("method", "pcf"))
    return [
        AssetFact("server", "make", was_s, 0, details=(("kind", "server"), ("method", "declared"))),
        AssetFact("gpu", "make", was_s, GPU_G, inside="server", details=card),
        AssetFact("server", "commission", was_s, details=(life, ("host", "gpu-7"))),
        AssetFact("gpu", "commission", was_s, details=(life, ("host", "gpu-7"))),
    ]


def scored(place: Path, what: Per, ask: Ask | None = None, rules: Rules | None = None) -> dict[str, Any]:
    ask = ask or Ask("job")
    with Books([place], Span(ask.from_s, ask.to_s, ask.as_of_s)) as opened:
        return scores(opened, ask, rules or Rules(), what)


def operational(unit: str, **more: Any) -> Per:
    return per(unit, embodied=False, **more)


# --- the formula over the books --------------------------------------------------------------------------------------------


def test_a_score_is_operational_and_embodied_grams_per_unit_with_every_input(tmp_path: Path) -> None:
    """An hour alone on a GPU of 164 kg and 35,040 h: M is example 20's 4.680 g."""
    place = books(tmp_path, [used(2, length_s=H, pue_milli=1200), work(), said(0, 100), *machine()])
    [row] = scored(place, per("token"))["rows"]
    inputs = row["inputs"]
    assert inputs["embodied_g"]["value"] == pytest.approx(4.680, abs=5e-4)
    assert inputs["embodied_g"]["stands_on"]["quality"] == {"passport": 1.0}
    assert (inputs["it_energy_kwh"], inputs["pue"]) == (2, pytest.approx(1.2))
    assert inputs["energy_kwh"]["value"] == pytest.approx(2.4)
    assert inputs["intensity_g_per_kwh"]["value"] == pytest.approx(100)
    assert inputs["functional_unit"]["count"] == 1000
    made = (2.4 * 100 + inputs["embodied_g"]["value"]) / 1000
    assert row["sci_g"]["value"] == pytest.approx(made, rel=1e-12)
    assert row["sci_g"]["low"] < made < row["sci_g"]["high"]


def test_the_inputs_make_the_score(tmp_path: Path) -> None:
    facts = [used(n + 1, hour=n, pue_milli=1100 + 100 * n) for n in range(3)]
    place = books(tmp_path, [*facts, work(), said(0, 100), said(1, 500)])
    [row] = scored(place, operational("request"))["rows"]
    inputs = row["inputs"]
    e, i, r = inputs["energy_kwh"]["value"], inputs["intensity_g_per_kwh"]["value"], inputs["functional_unit"]["count"]
    assert e * i == pytest.approx(inputs["operational_g"]["value"], rel=1e-12)
    assert row["sci_g"]["value"] == pytest.approx(e * i / r, rel=1e-12)
    grams = asked(place, Ask("job"), Rules(embodied=False))["rows"][0]["emissions_g"]["location_based"]
    assert row["sci_g"]["value"] * r == pytest.approx(grams["value"], rel=1e-12)
    assert row["sci_g"]["low"] * r == pytest.approx(grams["low"], rel=1e-9)
    assert row["sci_g"]["high"] * r == pytest.approx(grams["high"], rel=1e-9)


@pytest.mark.parametrize(("unit", "count"), [("token", 1000), ("prompt-token", 800), ("generated-token", 200), ("request", 3)])
def test_the_books_count_tokens_and_requests(tmp_path: Path, unit: str, count: int) -> None:
    [row] = scored(books(tmp_path, [used(1), work()]), operational(unit))["rows"]
    found = row["inputs"]["functional_unit"]
    assert (found["count"], found["counted"], found["includes_failed"]) == (count, "gross", True)
    assert found["counted_by"].startswith("the books: ")
    assert found["window"]["from"] == "2026-09-21T12:00:00Z"


def test_the_books_count_runs_and_the_hours_that_were_metered(tmp_path: Path) -> None:
    facts = [used(1, run="a"), used(1, hour=2, run="b", length_s=H), used(1, hour=2, run="b", device="other", length_s=H)]
    place = books(tmp_path, facts)
    assert scored(place, operational("run"))["rows"][0]["inputs"]["functional_unit"]["count"] == 2
    hours = scored(place, operational("hour"))["rows"][0]["inputs"]["functional_unit"]["count"]
    assert hours == pytest.approx(1 + 1 / 60)  # each instant once, however many devices
    cut = Ask("job", from_s=NOON_S + 2 * H, to_s=NOON_S + 2 * H + H // 2)
    found = scored(place, operational("hour"), cut)["rows"][0]["inputs"]["functional_unit"]
    assert found["count"] == 0.5
    assert found["window"] == {"from": "2026-09-21T14:00:00Z", "to": "2026-09-21T14:30:00Z"}


def test_a_declared_count_goes_before_the_books_and_says_what_it_is(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), work(), said(0, 100)])
    [row] = scored(place, operational("token", units=500, effective=True), Ask("job", "job-0"))["rows"]
    assert row["sci_g"]["value"] == pytest.approx(100 / 500)
    found = row["inputs"]["functional_unit"]
    assert (found["count"], found["counted"], found["counted_by"], found["includes_failed"]) == (
        500, "effective", "declared (--count)", False)  # fmt: skip
    [row] = scored(place, operational("custom", units=4, name="image"), Ask("job", "job-0"))["rows"]
    assert (row["inputs"]["functional_unit"]["unit"], row["sci_g"]["value"]) == ("image", pytest.approx(25))


def test_each_line_has_a_score_and_nothing_is_summed(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), used(3, job="b"), work(), work(job="b"), used(1, job="(idle)"), said(0, 100)])
    found = scored(place, operational("token"))
    assert [row["job"] for row in found["rows"]] == ["b", "job-0"]
    assert [row["sci_g"]["value"] for row in found["rows"]] == pytest.approx([0.3, 0.1])
    assert "total" not in found
    assert any("(idle)" in note for note in found["notes"])


# --- boundaries ------------------------------------------------------------------------------------------------------------


def test_consumer_and_provider_are_two_answers_and_each_says_which_it_is(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), work()])
    consumer, provider = (scored(place, operational("token", boundary=side)) for side in ("consumer", "provider"))
    assert (consumer["boundary"], provider["boundary"]) == ("consumer", "provider")
    assert "inference" in consumer["covers"]
    assert "training" in provider["covers"]
    for found in (consumer, provider):
        assert any("never added" in note for note in found["notes"])
    assert per("flop", units=1).boundary == "provider"
    assert per("token").boundary == "consumer"


# --- what is not known -----------------------------------------------------------------------------------------------------


def test_without_embodied_carbon_there_is_no_score_unless_it_is_left_out_on_purpose(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), work(), said(0, 100)])
    with pytest.raises(NoEmbodied, match="--no-embodied"):
        scored(place, per("token"), rules=Rules(embodied=False))
    found = scored(place, operational("token"))
    assert found["rows"][0]["inputs"]["embodied_left_out"] is True
    assert "embodied_g" not in found["rows"][0]["inputs"]
    assert any("not an SCI score" in note for note in found["notes"])


def test_per_no_unit_a_score_is_absent_with_the_reason(tmp_path: Path) -> None:
    [row] = scored(books(tmp_path, [used(1)]), operational("token"))["rows"]
    assert "sci_g" not in row
    assert "there were no tokens" in row["why"]
    assert row["inputs"]["energy_kwh"]["value"] == 1


def test_a_marginal_score_stands_on_marginal_intensities_alone(tmp_path: Path) -> None:
    facts = [used(1), work(), said(0, 100), said(0, 700, signal="marginal")]
    [row] = scored(books(tmp_path, facts), operational("token", intensity="marginal"))["rows"]
    assert row["sci_g"]["value"] == pytest.approx(0.7)
    assert "marginal" in row["inputs"]["intensity_g_per_kwh"]["signal"]
    [row] = scored(books(tmp_path, [*facts, used(1, hour=1)]), operational("token", intensity="marginal"))["rows"]
    assert "sci_g" not in row
    assert "known of 50% of the energy" in row["why"]


def test_tokens_without_a_joule_have_no_score(tmp_path: Path) -> None:
    rows = scored(books(tmp_path, [used(1), work(job="other")]), operational("token"))["rows"]
    assert ["nothing was metered" in row.get("why", "") for row in rows] == [False, True]


def test_where_pue_is_not_known_the_answer_says_of_how_much(tmp_path: Path) -> None:
    inputs = scored(books(tmp_path, [used(1, pue_milli=0), used(3, hour=1), work()]), operational("token"))["rows"][0]["inputs"]
    assert "pue" not in inputs
    assert inputs["pue_known_of"] == 0.75


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"unit": "epoch"}, "the books do not count epochs"),
        ({"unit": "token", "units": -1.0}, "0 or more"),
        ({"unit": "token", "units": float("nan")}, "0 or more"),
        ({"unit": "token", "effective": True}, "gross"),
        ({"unit": "token", "name": "image"}, "--per custom"),
    ],
)
def test_what_cannot_be_asked_is_refused(words: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        per(**words)


def test_a_count_is_of_one_job(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name it"):
        scored(books(tmp_path, [used(1)]), operational("flop", units=1e15))


# --- hours, and many units at a time -----------------------------------------------------------------------------------------


def seconds(place: Path, ask: Ask | None = None) -> float:
    count = scored(place, operational("hour"), ask)["rows"][0]["inputs"]["functional_unit"]["count"]
    assert isinstance(count, float)
    return count * H


def test_an_hour_counts_the_time_that_was_metered_not_the_windows_length(tmp_path: Path) -> None:
    short = [used(1, device=device)._replace(seen_ms=ms) for device, ms in (("a", 800), ("b", 700))]
    assert seconds(books(tmp_path, short)) == pytest.approx(0.8)  # the longest of its devices
    half = Ask("job", from_s=NOON_S + 30, to_s=NOON_S + 60)
    assert seconds(books(tmp_path, short), half) == pytest.approx(0.4)


def test_programs_in_one_window_were_there_in_turn_and_hosts_at_once(tmp_path: Path) -> None:
    first, second = (used(1, meter=f"run:{n}", run=str(n))._replace(seen_ms=ms) for n, ms in enumerate((800, 900)))
    assert seconds(books(tmp_path, [first, second])) == pytest.approx(1.7)
    far = used(1, meter="run:2", run="2", host="other")._replace(seen_ms=1000)
    assert seconds(books(tmp_path, [first, far])) == pytest.approx(1.0)
    long = [used(1, meter=f"run:{n}", run=str(n))._replace(seen_ms=40_000) for n in range(2)]
    assert seconds(books(tmp_path, long)) == pytest.approx(60)  # never more than the window


def test_a_score_per_a_thousand_is_a_thousand_times_the_one_per_unit(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), work(), said(0, 100)])
    one, many = (scored(place, operational(unit)) for unit in ("token", "1000-tokens"))
    assert (one["per"], many["per"]) == ("token", "1000 tokens")
    assert many["rows"][0]["sci_g"]["value"] == pytest.approx(1000 * one["rows"][0]["sci_g"]["value"])
    unit = many["rows"][0]["inputs"]["functional_unit"]
    assert (unit["count"], unit["per"]) == (1000, 1000)
    assert scored(place, operational("million-token"))["per"] == "1000000 tokens"


@pytest.mark.parametrize("words", ["0-token", "1000-tokn", "-5-token", "1e3-token", "1000000000000000000000-token", "1000-"])
def test_a_number_of_no_units_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"functional unit|a score is per"):
        per(words)
