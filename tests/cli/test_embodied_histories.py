"""Whatever two hosts and their parts go through, and whatever ran meanwhile: sealed or not, each report's micrograms are the same
ones, by every method, and all that came into the books is somewhere in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.accounting.made_machines import METHODS, PRICES, at, card, event, ran, server
from tests.accounting.made_reports import NUMBERS, add
from tests.ledger.made import DAY_S, NOON_S

from wattledger.accounting.assets.rules import BrokenRule, check
from wattledger.accounting.embodied.methods import Method
from wattledger.accounting.embodied.rows import amortised, inventoried
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.reports import report
from wattledger.core.facts import AssetFact, Known
from wattledger.ledger.books import Books
from wattledger.ledger.segments import seal

HOSTS = {"one": "gpu-7", "two": "b-1"}
CARDS = {"c1": "GPU-1", "c2": "GPU-2"}
FLEET = [made for name, host in HOSTS.items() for made in server(name, host=host, g=1_000_003)] + [
    made for name, device in CARDS.items() for made in card(name, inside="one", device=device)
]
ENDS_H = 60
JOB = st.sampled_from(["job-0", "b", "", "(idle)", "(unattributed)"])


@st.composite
def happening(draw: st.DrawFn) -> AssetFact:
    """Something that may befall a part or a machine in these days."""
    hours = draw(st.integers(-300, ENDS_H * 10)) / 10
    grams = draw(st.sampled_from([None, 0, 1, 7_003]))
    part, host, machine = (draw(st.sampled_from([*of])) for of in (CARDS, HOSTS.values(), HOSTS))
    return draw(st.sampled_from([
        event(part, "move", hours, grams, inside=machine), event(part, "move", hours, host=host), event(part, "remove", hours),
        event(part, "install", hours, inside=machine), event(part, "repair", hours, grams, el_h="40000"),
        event(part, "scrap", hours, grams), event(machine, "repair", hours, grams), event(machine, "scrap", hours, route="harvest"),
        event(machine, "transfer", hours, method="50/50"), event(part, "estimate", hours, el_h="900"),
        event(machine, "swap", hours, out=part), event(part, "degrade", hours, capacity="0.5"),
    ]))  # fmt: skip


@st.composite
def running(draw: st.DrawFn) -> list[Any]:
    """Some minutes of a job on a host's card or CPU."""
    first = draw(st.integers(0, ENDS_H * 60))
    device, component = draw(st.sampled_from([*((device, "gpu") for device in (*CARDS.values(), "GPU-9")), ("package-0", "cpu")]))
    more: dict[str, Any] = {
        "job": draw(JOB), "use": draw(st.sampled_from(["active", "held"])), "seen_ms": draw(st.sampled_from([60_000, 41_999])),
    }  # fmt: skip
    host = draw(st.sampled_from([*HOSTS.values()]))
    minutes = range(first, first + draw(st.integers(1, 90)))
    return ran(draw(st.integers(1, 9_999)) / 7, minutes=minutes, host=host, device=device, component=component, **more)


def possible(events: list[AssetFact]) -> list[AssetFact]:
    """The fleet, and of these events those that do not break a rule."""
    held = [Known(f"w:{n}", 0, fact) for n, fact in enumerate(FLEET, 1)]
    for one in events:
        try:
            check(held, [one])
        except BrokenRule:
            continue
        held.append(Known(f"w:{len(held) + 1}", 0, one))
    return [one.fact for one in held if isinstance(one.fact, AssetFact)]


def views(place: Path, ask: Ask, method: Method) -> Mapping[str, Any]:
    """What each command shows of these books."""
    rules = Rules(allocation=method, prices=tuple(PRICES.items()))
    with Books([place]) as books:
        lines = report(books, ask, rules).lines
        return {
            "amortised": amortised(books, ask._replace(kind="embodied"), rules, method),
            "inventory": inventoried(books, ask._replace(kind="embodied")),
            "jobs": {line.group: line.made.ug for line in lines if line.made is not None and line.made.ug},
        }


def adds_up(found: Mapping[str, Any], method: Method) -> None:
    """Each asset's account, the sum of what was charged, and the report of jobs."""
    said = found["amortised"]
    assert [row["residual_ug"] for row in said["assets"]] == [0] * len(said["assets"])
    total = said["total"]
    charged = sum(total[f"{name}_ug"] for name in ("jobs", "idle", "unattributed", "unmetered", "true_up"))
    assert charged == sum(row["passport_ug"] for row in said["jobs"])
    assert said["charged_ug"][method] == sum(row["embodied_ug"] for row in said["jobs"])
    by_job = {(row["job"],): row["embodied_ug"] for row in said["jobs"] if row["job"] not in ("(unmetered)", "(true-up)")}
    assert found["jobs"] == {job: ug for job, ug in by_job.items() if ug}


@given(
    events=st.lists(happening(), max_size=8), runs=st.lists(running(), min_size=1, max_size=5), whole=st.booleans(),
    span_h=st.tuples(st.integers(-50, ENDS_H), st.integers(1, 90)), method=st.sampled_from(METHODS),
)  # fmt: skip
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_microgram_is_lost_between_the_views_sealed_or_not(
    tmp_path: Path, events: list[AssetFact], runs: list[list[Any]], whole: bool, span_h: tuple[int, int], method: Method
) -> None:
    place = tmp_path / f"books-{next(NUMBERS)}"
    facts = possible(events)
    # Some of it is written down on a day of its own.
    add(place, facts[: len(FLEET)], NOON_S - 2 * DAY_S)
    add(place, [one for run in runs for one in dict.fromkeys(run)], NOON_S + 3 * DAY_S)
    add(place, facts[len(FLEET) :], NOON_S + 5 * DAY_S)
    first_s = at(span_h[0])
    ask = Ask("job") if whole else Ask("job", from_s=first_s, to_s=first_s + span_h[1] * 3600)
    open_books = views(place, ask, method)
    adds_up(open_books, method)
    if whole:
        made_ug = sum(fact.emitted_g or 0 for fact in facts) * 1_000_000
        total = open_books["amortised"]["total"]
        assert total["opening_ug"] + total["made_ug"] + total["added_ug"] == made_ug
        assert open_books["inventory"]["total_ug"] == made_ug
    assert seal(place, NOON_S + 4 * DAY_S)
    assert views(place, ask, method) == open_books
    seal(place, NOON_S + 7 * DAY_S)
    assert views(place, ask, method) == open_books
