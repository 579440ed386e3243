"""`explain --basis embodied`: asset by asset and time by time, to the microgram the report's figure."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_explained import BEFORE_S, KG, LIFE_H, machine, ran
from tests.accounting.made_reports import DAY_S, H, asked, books, used
from tests.ledger.made import NOON_S

from wattledger.accounting.assets.words import fact
from wattledger.accounting.explain_embodied import EmbodiedFigure, explain
from wattledger.accounting.explain_embodied_rows import embodied_dict
from wattledger.accounting.explain_embodied_why import because
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.reports import UnknownName
from wattledger.core.facts import RunFact
from wattledger.ledger.books import Books, Span

UG = 1_000_000


def told(place: Path, ask: Ask, rules: Rules | None = None) -> EmbodiedFigure:
    with Books([place], Span(ask.from_s, ask.to_s, ask.as_of_s)) as opened:
        return explain(opened, ask, rules or Rules())


def test_one_job_alone_pays_for_its_minute_of_all_that_was_there(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(), ran("a")])
    found = told(place, Ask("job", "a"))
    # 1,164 kg over 35,040 h for a minute; the part of it that each asset booked is cut to whole micrograms.
    assert sum(found.counted.values()) == pytest.approx(1164 * KG * UG / LIFE_H / 60, abs=2)
    assert found.counted.keys() == {"g1", "s1"}
    assert found.is_equal
    assert found.reported_ug == round(asked(place, Ask("job", "a"))["total"]["emissions_g"]["embodied"]["value"] * UG)


def test_each_part_names_its_pace_and_its_time(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(), ran("a"), ran("b", hour=1)])
    said = embodied_dict(told(place, Ask("job", "a")))
    [gpu] = [asset for asset in said["assets"] if asset["asset"] == "g1"]
    [part] = gpu["parts"]
    assert part["rate_g_per_h"] == pytest.approx(164 * KG / LIFE_H)
    assert (part["ns"], part["of_ns"]) == (60 * 10**9, 3660 * 10**9)
    assert part["booked_ug"] * part["ns"] // part["of_ns"] in (part["ug"], part["ug"] - 1)
    assert (gpu["source"], gpu["method"], gpu["made_g"], gpu["stands_on"]) == ("PCF", "pcf", 164 * KG, "passport")
    assert said["sum"] == said["report"]
    assert said["equal"]


def test_facts_of_the_machine_around_a_part_are_named_too(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(), ran("a")])
    said = embodied_dict(told(place, Ask("job", "a")))
    by_asset = {asset["asset"]: [fact_id.rpartition(":")[2] for fact_id in asset["facts"]] for asset in said["assets"]}
    assert by_asset == {"g1": ["2", "3"], "s1": ["1", "3"]}


def test_a_repair_cuts_the_time_and_raises_the_pace(tmp_path: Path) -> None:
    repair = fact("g1", "repair", at_s=NOON_S + H, emitted_g=10 * KG)
    place = books(tmp_path, [*machine(), repair, ran("a"), ran("a", hour=2)])
    said = embodied_dict(told(place, Ask("job", "a")))
    [gpu] = [asset for asset in said["assets"] if asset["asset"] == "g1"]
    assert [part["from"] for part in gpu["parts"]] == ["2026-09-21T12:00:00Z", "2026-09-21T13:00:00Z"]
    first, second = (part["rate_g_per_h"] for part in gpu["parts"])
    assert second > first
    assert said["equal"]


@pytest.mark.parametrize("method", ["reserved", "time", "physical"])
def test_every_method_adds_up_and_jobs_with_idle_are_all_that_was_metered(tmp_path: Path, method: str) -> None:
    facts = [*machine(), ran("a"), ran("b"), ran("(idle)", use="held"), ran("a", hour=1, use="held")]
    place, rules = books(tmp_path, facts), Rules(allocation=method)
    parts = [told(place, Ask("job", name), rules) for name in ("a", "b")]
    whole = told(place, Ask("host", "h1"), rules)
    assert all(found.is_equal for found in (*parts, whole))
    [by_job] = [asked(place, Ask("job"), rules)]
    rows = {row["job"]: row.get("emissions_g", {}).get("embodied", {}).get("value", 0) for row in by_job["rows"]}
    assert [round(rows[name] * UG) for name in ("a", "b")] == [found.reported_ug for found in parts]
    assert whole.reported_ug == round(sum(rows.values()) * UG)


def test_without_prices_by_price_is_refused_and_with_them_it_adds_up(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(), ran("a"), ran("b")])
    with pytest.raises(ValueError, match="prices"):
        told(place, Ask("job", "a"), Rules(allocation="economic"))
    rules = Rules(allocation="economic", prices=(("a", 3.0), ("b", 1.0)))
    found = told(place, Ask("job", "a"), rules)
    assert found.is_equal
    assert found.reported_ug == pytest.approx(3 * told(place, Ask("job", "b"), rules).reported_ug, abs=4)


def test_what_is_left_out_as_configured_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="left out as configured") as wrong:
        told(books(tmp_path, [*machine(), ran("a")]), Ask("job", "a"), Rules(embodied=False))
    assert "\n" not in str(wrong.value)


def test_a_machine_that_nobody_knows_has_no_zero(tmp_path: Path) -> None:
    bare = [used(1, job="a", host="h9", component="cpu", device="cpu", device_model="x")]
    said = embodied_dict(told(books(tmp_path, bare), Ask("job", "a")))
    assert (said["assets"], said["sum"], said["report"], said["equal"]) == ([], {}, {}, True)


def test_an_unknown_job_names_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        told(books(tmp_path, [*machine(), ran("a")]), Ask("job", "c"))


def test_an_estimate_has_its_figure_and_source(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1, job="a", host="h2")])
    found = told(place, Ask("job", "a"))
    [gpu] = [asset for asset in embodied_dict(found)["assets"] if asset["stands_on"] == "estimate"]
    assert {"item", "kg", "low_kg", "high_kg", "life_h", "source", "boundary", "method"} <= gpu.keys()
    assert gpu["ug"] == found.reported_ug == sum(part["ug"] for part in gpu["parts"])
    assert found.is_equal
    assert gpu["ug"] == pytest.approx(gpu["kg"] * 1e9 / gpu["life_h"] / 60, abs=1)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_whatever_is_asked_the_parts_are_the_report_exactly(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random = Random(seed)
    jobs, devices = ("a", "b", "(idle)", "(unattributed)"), ("GPU-1", "GPU-2")
    facts: list[Any] = [
        *machine(), fact("s2", "make", at_s=BEFORE_S, emitted_g=random.randrange(10**6), kind="server"),
        fact("g2", "make", at_s=BEFORE_S, emitted_g=random.randrange(10**6), kind="gpu", device="GPU-2"),
        fact("g2", "commission", at_s=BEFORE_S, host="h1"), fact("s2", "commission", at_s=BEFORE_S, host="h2"),
        fact("tor", "make", at_s=BEFORE_S, emitted_g=9 * KG, kind="network", spread_over="*", spread_by="hours"),
        fact("tor", "commission", at_s=BEFORE_S),
        fact("ssd", "make", at_s=BEFORE_S, emitted_g=50 * KG, kind="ssd", inside="s1", scheme="work", el_work=10**9,
             work_unit="energy_j"),
    ]  # fmt: skip
    for _ in range(random.randrange(4)):
        at_s, emitted_g = NOON_S + random.randrange(DAY_S), random.randrange(10**4)
        facts.append(fact(random.choice(("g1", "g2", "s1")), "repair", at_s=at_s, emitted_g=emitted_g))
    if random.random() < 0.5:
        facts.append(fact("g2", "move", at_s=NOON_S + random.randrange(DAY_S), host="h2"))
    for _ in range(random.randint(1, 25)):
        where = {"host": random.choice(("h1", "h2")), "device": random.choice(devices), "use": random.choice(("active", "held"))}
        length_s = random.choice((60, H))
        facts.append(ran(random.choice(jobs), hour=random.randrange(24), length_s=length_s, **where))
    place = books(tmp_path_factory.mktemp("books"), facts)
    from_s = NOON_S + random.randrange(0, DAY_S, 7)
    span = random.choice(((None, None), (from_s, from_s + random.randint(1, DAY_S))))
    rules = Rules(allocation=random.choice(("reserved", "time", "physical")))
    for kind, name in (("job", None), ("host", None), ("job", "a"), ("host", "h1"), ("device", "GPU-1"), ("day", "2026-09-21")):
        try:
            found = told(place, Ask(kind, name, *span), rules)
        except (UnknownName, ValueError):
            continue
        assert found.is_equal, (seed, kind, name)


# --- why so much of the time --------------------------------------------------------------------------------------------------


def test_the_time_of_a_job_can_be_worked_out_again_from_its_joules(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(), ran("a"), ran("a", use="held"), ran("b"), ran("(idle)")])
    found = told(place, Ask("job", "a"))
    [pay] = [pay for pay in found.pays if pay.asset == "g1"]
    [why] = pay.whys
    drawn = why.drawn
    assert (drawn.windows, drawn.ns, why.facts) == (1, 60e9, ())
    free = drawn.idle_uj * drawn.mine_used_uj / (drawn.used_uj + drawn.idle_uj)
    assert drawn.ns * (drawn.mine_held_uj + free) / (drawn.held_uj + drawn.idle_uj) == pytest.approx(pay.mine_ns)
    assert because(why, "reserved") == (
        "60 s metered in 1 window: x (held 3.6 MJ + idle 3.6 MJ x used 3.6 MJ / (all used 7.2 MJ + idle 3.6 MJ))"
        " / (all held 3.6 MJ + idle 3.6 MJ)"
    )


def test_a_device_that_nobody_holds_is_divided_by_use_and_idle(tmp_path: Path) -> None:
    found = told(books(tmp_path, [*machine(), ran("a"), ran("b"), ran("(idle)")]), Ask("job", "a"))
    pay = found.pays[0]
    drawn = pay.whys[0].drawn
    assert drawn.ns * drawn.mine_used_uj / (drawn.used_uj + drawn.idle_uj) == pytest.approx(pay.mine_ns)
    assert because(pay.whys[0], "reserved").endswith("x used 3.6 MJ / (all used 7.2 MJ + idle 3.6 MJ); nobody held it")


def test_a_window_that_the_question_cuts_counts_by_its_time(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(), ran("a"), ran("b")])
    pay = told(place, Ask("job", "a", NOON_S, NOON_S + 15)).pays[0]
    assert pay.whys[0].drawn.ns == pytest.approx(15e9)
    assert pay.whys[0].drawn.mine_used_uj == pytest.approx(0.9e12)


def test_a_program_that_metered_itself_is_named_by_the_fact_that_says_what_it_reserved(tmp_path: Path) -> None:
    own = ran("a", meter="run:7", run="r7")
    end = RunFact("ended", "run:7", "h1", (NOON_S + 60) * 1000, run="r7", reserved=(("GPU-1", 30 * 10**9), ("host", 5 * 10**9)))
    place = books(tmp_path, [*machine(), own, end])
    said = embodied_dict(told(place, Ask("job", "a")))
    reserved = {asset["asset"]: asset["parts"][0]["time_by"][0] for asset in said["assets"]}
    assert {name: each["reserved_s"] for name, each in reserved.items()} == {"g1": 30, "s1": 5}
    with Books([place]) as opened:
        [known] = [one.id for one in opened.other if isinstance(one.fact, RunFact)]
    assert [each["said_by"] for each in reserved.values()] == [[known], [known]]
