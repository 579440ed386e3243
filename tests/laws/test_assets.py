"""Assets: whatever happens to machines and their parts, no microgram is lost or counted twice, and the past stays as it was."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from wattledger.accounting.assets.fold import Fleet, fold
from wattledger.accounting.assets.words import EVENTS, Event, event_of
from wattledger.core.facts import AssetFact

HOUR_S = 3600
END_S = 2000 * HOUR_S
MACHINES = {"rack": "rack", "s1": "server", "s2": "server", "board": "board"}
PARTS = {"g1": "gpu", "g2": "gpu", "g3": "gpu", "d1": "dram", "late": "ssd"}
ASSETS = {**MACHINES, **PARTS}
NAMES = st.sampled_from([*ASSETS])
TIME = st.one_of(st.integers(0, END_S), st.integers(0, 40).map(lambda step: step * 50 * HOUR_S))
LIFE_H = st.sampled_from(["0.001", "1", "37.5", "400", "1000", "35040"])
GRAMS = st.one_of(st.none(), st.sampled_from([0, 1, 7, 164_000]), st.integers(0, 10**7))
METHOD = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["cut-off", "50/50", "time", "economic", "mass"]),
        "price_ratio": st.sampled_from(["0", "0.25", "0.333", "1"]),
        "mass_ratio": st.sampled_from(["0.1", "0.9"]),
        "years_1": st.sampled_from(["4", "0.5"]),
        "years_2": st.sampled_from(["2", "0.3"]),
    }
)
HOSTED = st.fixed_dictionaries({}, optional={"host": st.sampled_from(["h1", "h2"]), "site": st.sampled_from(["A", "B"])})
PROLONGED = st.fixed_dictionaries({}, optional={"el_h": LIFE_H})
PLAIN = st.just(dict[str, str]())
# What each event may say.
SAID: dict[str, st.SearchStrategy[dict[str, str]]] = {
    "acquire": st.fixed_dictionaries({}, optional={"owner": st.sampled_from(["us", "them"])}),
    "commission": st.builds(lambda where, life: {**where, **life}, HOSTED, PROLONGED),
    "move": HOSTED,
    "install": PLAIN,
    "remove": PLAIN,
    "swap": st.fixed_dictionaries({}, optional={"out": NAMES, "in": NAMES}),
    "upgrade": st.fixed_dictionaries({}, optional={"out": NAMES, "in": NAMES, "el_h": LIFE_H}),
    "repair": PROLONGED,
    "refurbish": PROLONGED,
    "degrade": st.fixed_dictionaries({"capacity": st.sampled_from(["1", "0.5", "0.857142"])}),
    "estimate": st.fixed_dictionaries({"el_h": LIFE_H}),
    "transfer": METHOD,
    "second-life": st.builds(lambda terms, where, life: {**terms, **where, **life}, METHOD, HOSTED, PROLONGED),
    "scrap": st.fixed_dictionaries({}, optional={"route": st.sampled_from(["recycle", "harvest"])}),
}


# What happens at any time of a life more often than its end.
OFTEN = (
    "repair",
    "repair",
    "install",
    "install",
    "remove",
    "remove",
    "move",
    "move",
    "degrade",
    "estimate",
    "acquire",
    "refurbish",
)


@st.composite
def happening(draw: st.DrawFn) -> AssetFact:
    """An event that may well be possible."""
    what = draw(st.sampled_from([*SAID, *OFTEN]))
    inside = draw(st.sampled_from([*MACHINES])) if what == "install" or (what == "move" and draw(st.booleans())) else ""
    name = draw(st.sampled_from([*PARTS]) if what in ("install", "remove") else NAMES)
    return AssetFact(name, what, draw(TIME), draw(GRAMS), inside, "", tuple(sorted(draw(SAID[what]).items())))


@st.composite
def swapped(draw: st.DrawFn) -> AssetFact:
    """A part for another, as it is done."""
    out, into = draw(st.permutations([*PARTS]))[:2]
    words = draw(st.sampled_from([{"out": out, "in": into}, {"out": out}, {"in": into}]))
    return AssetFact(draw(st.sampled_from(["s1", "s2"])), "swap", draw(TIME), None, "", "", tuple(sorted(words.items())))


@st.composite
def makings(draw: st.DrawFn) -> list[AssetFact]:
    """All assets, some parts in machines from the first; one is made later."""
    facts = []
    for name, kind in ASSETS.items():
        inside = draw(st.sampled_from(["", "s1", "s2", "board"])) if name in PARTS else ""
        words = {"kind": kind, "eol_g": draw(st.sampled_from(["0", "31"])), **draw(PROLONGED)}
        at_s = 500 * HOUR_S if name == "late" else 0
        facts.append(AssetFact(name, "make", at_s, draw(GRAMS), inside, "", tuple(sorted(words.items()))))
    for name in draw(st.sampled_from([("s1", "s2"), ("s1", "s2", "board", "rack"), ("s1",), ("s2", "g1"), ()])):
        words = {"host": {"s1": "h1", "s2": "h2"}.get(name, ""), **draw(PROLONGED)}
        facts.append(AssetFact(name, "commission", draw(st.integers(0, 99 * HOUR_S)), None, "", "", tuple(sorted(words.items()))))
    return facts


def told(facts: Sequence[AssetFact]) -> list[Event]:
    return [event_of(fact, f"w:{number}", (1, "w", number)) for number, fact in enumerate(facts)]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events that keep all the rules, in any order."""
    events = told(draw(makings()) + draw(st.lists(st.one_of(happening(), happening(), swapped()), min_size=12, max_size=40)))
    refused = {breach.event for breach in fold(events, END_S).refused}
    return [event for event in events if event.id not in refused]


JUNK = st.builds(
    lambda name, what, at_s, grams, inside, words: AssetFact(name, what, at_s, grams, inside, "", tuple(sorted(words.items()))),
    st.one_of(NAMES, st.text(max_size=4)),
    st.one_of(st.sampled_from(sorted(EVENTS)), st.text(max_size=4)),
    st.integers(-(10**12), 10**12),
    st.one_of(GRAMS, st.integers()),
    st.one_of(st.just(""), NAMES),
    st.dictionaries(
        st.sampled_from(["el_h", "host", "in", "out", "capacity", "method", "kind", "price_ratio", "years_1", "years_2", "scheme"]),
        st.sampled_from(["", "h1", "g1", "s1", "0", "1", "-1", "nan", "1e99", "0.5", "time", "gpu", "work", "50/50"]),
    ),
)


def closed(fleet: Fleet, at_s: int) -> None:
    """The books close at this time: for each asset, and for all."""
    for life in fleet.lives.values():
        balance = life.balance(at_s)
        assert balance.residual_ug == 0, (life.passport.asset, balance)
        assert min(balance) >= 0
    assert fleet.balance(at_s).residual_ug == 0
    assert fleet.balance(at_s).carried_ug == sum(life.carried_ug(at_s) for life in fleet.lives.values())


@given(histories(), st.lists(TIME, min_size=1, max_size=6))
def test_what_came_in_is_booked_carried_or_gone_at_any_time(events: list[Event], times: list[int]) -> None:
    fleet = fold(events, END_S)
    assert fleet.refused == ()
    edges = [event.at_s for event in events[-6:]]
    for at_s in (*times, *edges, *(edge + 1 for edge in edges), -1, END_S, 10**12):
        closed(fleet, at_s)


@given(st.lists(JUNK, max_size=12), st.lists(happening(), max_size=12), makings(), TIME)
def test_no_event_whatever_it_says_can_lose_or_double_carbon(
    junk: list[AssetFact], likely: list[AssetFact], made: list[AssetFact], at_s: int
) -> None:
    closed(fold(told([*junk, *made, *likely]), END_S), at_s)


@given(histories(), st.lists(TIME, min_size=2, max_size=8))
def test_a_time_is_booked_as_the_sum_of_its_pieces(events: list[Event], cuts: list[int]) -> None:
    fleet = fold(events, END_S)
    cuts = sorted(cuts)
    for life in fleet.lives.values():
        pieces = [life.booked_ug(start_s, end_s) for start_s, end_s in pairwise(cuts)]
        assert min(pieces) >= 0
        assert sum(pieces) == life.booked_ug(cuts[0], cuts[-1])
    whole = fleet.booked_ug(cuts[0], cuts[-1])
    assert whole == sum(life.booked_ug(cuts[0], cuts[-1]) for life in fleet.lives.values())
    hosts = [*fleet.hosts, ""]
    by_host = [p.booked_ug(cuts[0], cuts[-1]) for host in hosts for p in fleet.periods(cuts[0], cuts[-1], host=host)]
    assert sum(by_host) == whole


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_events_are_told_changes_nothing(events: list[Event], draw: Any) -> None:
    shuffled = [*events]
    draw.shuffle(shuffled)
    assert fold(shuffled, END_S).lives == fold(events, END_S).lives


@given(histories(), TIME, st.lists(TIME, min_size=2, max_size=5))
def test_what_was_booked_before_an_event_does_not_depend_on_it(events: list[Event], now_s: int, cuts: list[int]) -> None:
    then, later = fold(events, now_s), fold(events, END_S)
    cuts = sorted(min(cut, now_s) for cut in cuts)
    for name, life in then.lives.items():
        same = later.lives[name]
        assert life.balance(now_s) == same.balance(now_s)
        assert [life.booked_ug(*pair) for pair in pairwise(cuts)] == [same.booked_ug(*pair) for pair in pairwise(cuts)]
        assert life.movements == same.movements[: len(life.movements)]


@given(histories())
def test_an_asset_is_in_one_place_at_a_time(events: list[Event]) -> None:
    for life in fold(events, END_S).lives.values():
        for here, then in pairwise(life.periods):
            assert here.end_s is not None
            assert here.start_s < here.end_s <= then.start_s
        for stay, next_stay in pairwise(life.stays):
            assert stay.start_s < next_stay.start_s == stay.end_s
        for period in life.periods:
            stay = next(s for s in life.stays if s.start_s <= period.start_s and (s.end_s is None or period.start_s < s.end_s))
            assert (stay.status, stay.place) == ("service", period.place)


@given(histories())
def test_a_part_is_where_its_container_is(events: list[Event]) -> None:
    fleet = fold(events, END_S)
    for name, life in fleet.lives.items():
        for part in life.parts:
            inner = fleet.lives[part]
            assert inner.place.inside == name
            assert inner.place.root == (life.place.root or name)
            # A server has a host of its own, and what is in a rack need not be in service.
            if life.status == "service" and name != "rack" and ASSETS[part] != "server":
                assert (inner.status, inner.place.host) == ("service", life.place.host)


@given(histories(), TIME)
def test_what_stays_in_service_books_all_that_it_carries(events: list[Event], at_s: int) -> None:
    fleet = fold(events, END_S)
    far_s = END_S + 60_000 * HOUR_S
    for life in fleet.lives.values():
        if life.status == "service":
            assert life.carried_ug(far_s) == 0
        if life.status == "stock":
            assert life.carried_ug(far_s) == life.carried_ug(END_S)


@given(METHOD, st.integers(0, 10**9), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(1, 900), st.booleans())
def test_two_lives_in_our_books_are_production_refurbishment_and_end_once(
    terms: dict[str, str], made_g: int, refurbished_g: int, ended_g: int, hours: int, away: bool
) -> None:
    assume(made_g > 0)
    words = tuple(sorted(terms.items()))
    facts = [
        AssetFact("g", "make", 0, made_g, "", "", (("el_h", "1000"), ("kind", "gpu"))),
        AssetFact("g", "commission", 0),
        *(
            [AssetFact("g", "transfer", hours * HOUR_S, None, "", "", words)]
            if away
            else [AssetFact("g", "remove", hours * HOUR_S)]
        ),
        AssetFact("g", "second-life", 1000 * HOUR_S, refurbished_g, "", "", tuple(sorted({**terms, "el_h": "500"}.items()))),
        AssetFact("g", "scrap", 1900 * HOUR_S, ended_g),
    ]
    fleet = fold(told(facts), END_S)
    assert fleet.refused == ()
    balance = fleet.balance(END_S)
    assert balance.transferred_in_ug == balance.transferred_out_ug
    assert balance.booked_ug + balance.written_off_ug == (made_g + refurbished_g + ended_g) * 1_000_000
