"""Events that cannot have happened are refused with the rule they break; the books stay as they were."""

from datetime import UTC, datetime

import pytest

from wattledger.accounting.assets import transport
from wattledger.accounting.assets.rules import BrokenRule, check, check_correction, magnitude
from wattledger.accounting.assets.words import fact
from wattledger.core.facts import AssetFact, Known

T = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
UUID = "GPU-12345678-1234-1234-1234-123456789abc"
DAY_S = 86_400


def make(name: str, kind: str = "server", at_s: int = T, **words: str | int) -> AssetFact:
    return fact(name, "make", at_s=at_s, emitted_g=300_000, **{"kind": kind, "el_h": 40_000, **words})


HELD = (
    make("s1"), make("s2"), make("g1", "gpu", inside="s1", device=UUID), make("g2", "gpu", inside="s1"), make("spare", "gpu"),
    make("old"), make("sold"), make("other", "gpu"),
    fact("s1", "commission", at_s=T, host="h1"), fact("s2", "commission", at_s=T, host="h2"),
    fact("other", "commission", at_s=T, host="h3"),
    fact("old", "scrap", at_s=T + 5), fact("sold", "transfer", at_s=T + 5, method="50/50"),
)  # fmt: skip
KNOWN = tuple(Known(f"w:{number}", T, one) for number, one in enumerate(HELD, 1))
LATER = T + 100 * DAY_S


def later(name: str, what: str, emitted_g: int | None = None, **words: str | int | float) -> AssetFact:
    made = fact(name, "repair", at_s=LATER, emitted_g=emitted_g, **words)
    return made._replace(event=what)


BROKEN = [
    (
        fact("s1", "repair", at_s=T - 1),
        "event before manufacture: s1, 2025-12-31T23:59:59Z: repair, but it was made 2026-01-01T00:00:00Z",
    ),
    (later("g1", "install", inside="s2"), "part in two places at once: g1, 2026-04-11T00:00:00Z: into s2, but it is inside s1"),
    (
        later("other", "install", inside="s2"),
        "part in two places at once: other, 2026-04-11T00:00:00Z: into s2 on h2, but it is in service on h3",
    ),
    (
        later("g1", "commission", host="h2"),
        "part in two places at once: g1, 2026-04-11T00:00:00Z: host h2, but it is inside s1 on host h1",
    ),
    (later("s2", "swap", in_="g1"), "part in two places at once: s2, 2026-04-11T00:00:00Z: g1 into s2, but it is inside s1"),
    (make("twin", "gpu", LATER, device=UUID), "part in two places at once: twin, 2026-04-11T00:00:00Z: g1 has the same device"),
    (later("s1", "swap", out="spare"), "swap of a part that is not there: s1, 2026-04-11T00:00:00Z: spare is not inside it"),
    (later("s2", "swap", out="g1"), "swap of a part that is not there: s2, 2026-04-11T00:00:00Z: g1 is not inside it"),
    (later("s1", "swap", in_="nobody"), "swap of a part that is not there: s1, 2026-04-11T00:00:00Z: nobody was never made"),
    (later("s1", "swap"), "swap of a part that is not there: s1, 2026-04-11T00:00:00Z: swap names neither"),
    (later("spare", "install", inside="spare"), "asset inside itself: spare, 2026-04-11T00:00:00Z: it cannot be its own container"),
    (
        later("g1", "move", inside="g2"),
        "part inside a part: g1, 2026-04-11T00:00:00Z: g2 is a gpu, which holds nothing; a part is inside a board, building,",
    ),
    (later("spare", "install", inside="g1"), "part inside a part: spare, 2026-04-11T00:00:00Z: g1 is a gpu, which holds nothing"),
    (later("other", "swap", in_="spare"), "part inside a part: other, 2026-04-11T00:00:00Z: spare other is a gpu"),
    (make("n", "nic", LATER, inside="spare"), "part inside a part: n, 2026-04-11T00:00:00Z: spare is a gpu"),
    (later("s1", "move", inside="g1"), "asset inside itself: s1, 2026-04-11T00:00:00Z: g1 is inside it: that is a ring"),
    (make("a", inside="a"), "asset inside itself: a"),
    (later("s1", "repair", -1), "negative kilograms: s1, 2026-04-11T00:00:00Z: repair emitted -1000000 micrograms"),
    (make("a", low_g=-3), "negative kilograms: a, 2026-01-01T00:00:00Z: low_g = -3"),
    (later("s1", "move", km=-3), "negative number: s1, 2026-04-11T00:00:00Z: km = -3"),
    (later("g1", "degrade", capacity=1.2), "share over 1: g1, 2026-04-11T00:00:00Z: capacity = 1.2 is not between 0 and 1"),
    (later("s1", "transfer", method="economic", price_ratio=1.01), "share over 1: s1, 2026-04-11T00:00:00Z: price_ratio = 1.01"),
    (later("g1", "degrade", capacity=0), "capacity of zero: g1, 2026-04-11T00:00:00Z: what can do nothing is scrapped"),
    (later("g1", "degrade"), "capacity of zero: g1, 2026-04-11T00:00:00Z: degrade says no capacity"),
    (make("a", el_h=0), "lifetime of zero: a, 2026-01-01T00:00:00Z: life_h = 0"),
    (later("s1", "estimate"), "lifetime of zero: s1, 2026-04-11T00:00:00Z: estimate says no life_years"),
    (
        later("s1", "estimate", el_h=2399),
        "service life that is over: s1, 2026-04-11T00:00:00Z: life_h = 2399, but it has served for 2400 hours",
    ),
    (later("s1", "explode"), "unknown event: s1, 2026-04-11T00:00:00Z: explode is none of acquire, commission,"),
    (make("a", "toaster"), "unknown kind: a, 2026-01-01T00:00:00Z: toaster is none of accelerator,"),
    (make("a", scheme="weeks"), "unknown scheme: a, 2026-01-01T00:00:00Z: weeks is none of hours-on, lifetime, work"),
    (later("ghost", "repair"), "asset never made: ghost, 2026-04-11T00:00:00Z: repair of what no 'make' tells of"),
    (later("old", "repair"), "event after scrap: old, 2026-04-11T00:00:00Z: repair: it was scrapped before"),
    (later("sold", "repair"), "event after transfer: sold, 2026-04-11T00:00:00Z: repair: it was transferred before"),
    (later("s1", "commission"), "commissioned twice: s1, 2026-04-11T00:00:00Z: it is in service already"),
    (later("s1", "second-life"), "commissioned twice: s1, 2026-04-11T00:00:00Z: its first life has not ended"),
    (later("spare", "install", inside="cellar"), "unknown container: spare, 2026-04-11T00:00:00Z: cellar was never made"),
    (later("spare", "install", inside="old"), "unknown container: spare, 2026-04-11T00:00:00Z: old was scrapped before"),
    (later("spare", "install"), "unknown container: spare, 2026-04-11T00:00:00Z: install names nothing that it goes inside"),
    (later("spare", "remove"), "not inside anything: spare, 2026-04-11T00:00:00Z: it cannot be removed: it is in stock already"),
    (make("s1", at_s=LATER), "made twice: s1, 2026-04-11T00:00:00Z: it is made already; correct that fact instead"),
    (make("a:b"), "bad name: a:b, 2026-01-01T00:00:00Z: a name is 1 to 128 printable characters without ':'"),
    (make("a" * 129), f"bad name: {'a' * 125}..., 2026-01-01T00:00:00Z"),
    (make("a\nb"), "bad name: 'a\\nb', 2026-01-01T00:00:00Z"),
    (make("a", el_h="five"), "not a number: a, 2026-01-01T00:00:00Z: el_h = five"),
    (make("a", el_h="1e999999999"), "not a number: a"),
    (
        later("s1", "transfer", method="both"),
        "unknown method: s1, 2026-04-11T00:00:00Z: both is none of 50/50, cut-off, economic, mass, time",
    ),
    (later("s1", "transfer", method="time", years_1=4), "shares of two lives: s1, 2026-04-11T00:00:00Z: method time needs years_2"),
    (
        later("sold", "second-life", method="cut-off"),
        "shares of two lives: sold, 2026-04-11T00:00:00Z: it went by 50/50, and comes back by cut-off",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "message"), BROKEN, ids=[message.partition(",")[0] for _, message in BROKEN])
def test_what_cannot_have_happened_is_refused_with_its_rule(wrong: AssetFact, message: str) -> None:
    with pytest.raises(BrokenRule) as refused:
        check(KNOWN, [wrong])
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_what_can_have_happened_is_not_refused() -> None:
    fresh = [
        later("g1", "move", 900, host="h9"), later("spare", "install", inside="s1"), later("s1", "repair", 5_000, el_h=60_000),
        fact("sold", "second-life", at_s=LATER, host="h4", el_h=100), make("new", at_s=LATER), later("s2", "remove"),
    ]  # fmt: skip
    assert check(KNOWN, fresh) == ()
    assert check((), HELD) == ()


def test_an_event_that_makes_a_later_one_impossible_is_refused() -> None:
    with pytest.raises(BrokenRule, match=r"^event after scrap: sold, .*: transfer: it was scrapped before"):
        check(KNOWN, [fact("sold", "scrap", at_s=T + 1)])


def test_what_is_broken_already_is_not_held_against_the_new() -> None:
    broken = (*KNOWN, Known("w:99", T, fact("ghost", "repair", at_s=T)))
    assert check(broken, [later("s1", "repair", 1000)]) == ()
    with pytest.raises(BrokenRule, match=r"^asset never made: ghost"):
        check(broken, [later("ghost", "repair")])


def test_kilograms_typed_as_grams_are_pointed_out() -> None:
    found = check(KNOWN, [make("a", "gpu")._replace(emitted_g=164_000_000)])
    assert found == ("a: make of 164,000 kg is more than a gpu ever took; 164 kg, typed as grams?",)
    found = check(KNOWN, [make("a", "gpu")._replace(emitted_g=164)])
    assert found == ("a: make of 0.164 kg is less than a gpu ever took; 164 kg, typed as if it were grams?",)
    assert magnitude("gpu", "make", 164) == magnitude("building", "make", 10**7) == magnitude("gpu", "repair", 0.01) == ""
    assert magnitude("gpu", "make", 10**9) == "make of 1,000,000,000 kg is more than a gpu ever took"


def test_what_happens_to_a_thing_emits_no_multiple_of_its_making() -> None:
    [doubt] = check(KNOWN, [later("g1", "repair", 12_000_000)])
    assert doubt == "g1: repair of 12,000 kg is 40 times what it took to make it (300 kg); 12 kg, typed as grams?"
    assert check(KNOWN, [later("g1", "repair", 600_000), later("s1", "refurbish", 600_000)]) == ()
    assert "typed as grams?" in check(KNOWN, [later("s1", "scrap", 600_001)])[0]
    small = magnitude("nic", "move", 50, made_kg=3), magnitude("nic", "move", 51, made_kg=3)
    assert (small[0], "17 times" in small[1]) == ("", True)


def test_a_way_that_was_computed_is_not_held_to_be_typed_wrong() -> None:
    way: dict[str, str | int] = {"mode": "air", "km": 6000, "site": "Lyon"}
    assert check(KNOWN, [later("s1", "move", 1_646_000, source=transport.SOURCE, **way)]) == ()
    assert len(check(KNOWN, [later("s1", "move", 1_646_000, **way)])) == 1


def test_of_kilograms_beside_an_energy_it_is_said_which_hold() -> None:
    [doubt] = check(KNOWN, [later("g1", "refurbish", 5_000, energy_kwh=12)])
    assert doubt == "g1: refurbish says kg and energy_kwh: kg holds, and the energy's emissions are taken to be in it"
    assert check(KNOWN, [later("g1", "refurbish", 5_000, energy_kwh=12, g_per_kwh=400)]) == ()


def test_what_is_not_known_is_said() -> None:
    found = check(
        (), [fact("g", "make", at_s=T, kind="gpu"), fact("h", "make", at_s=T, emitted_g=300_000, kind="gpu", low_g=400_000)]
    )
    assert found == (
        "g: the carbon of its making is not known; it is in no sum",
        "g: no service life said (life_years); 35040 hours are assumed",
        "h: its carbon lies outside its own interval, 400000 to 300000 g",
        "h: no service life said (life_years); 35040 hours are assumed",
    )


PART = next(one for one in KNOWN if one.fact == make("g1", "gpu", inside="s1", device=UUID))
WRONG_CORRECTIONS = [
    (make("g1", "gpu", inside="s1")._replace(emitted_g=-5), "negative kilograms: g1"),
    (make("g1", "gpu", inside="s1", el_h=0), "lifetime of zero: g1"),
    (make("s1", "gpu", LATER), "made twice: s1"),
    (make("g1", "gpu", inside="cellar"), "unknown container: g1"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "message"), WRONG_CORRECTIONS, ids=[message for _, message in WRONG_CORRECTIONS])
def test_a_correction_that_cannot_have_been_is_refused_with_its_rule(wrong: AssetFact, message: str) -> None:
    with pytest.raises(BrokenRule) as refused:
        check_correction(KNOWN, PART.id, wrong)
    assert str(refused.value).startswith(message)


def test_what_later_events_need_is_not_withdrawn_and_what_none_needs_is() -> None:
    with pytest.raises(BrokenRule, match=r"^asset never made: old"):
        check_correction(KNOWN, next(one.id for one in KNOWN if one.fact == make("old")), None)
    assert check_correction(KNOWN, KNOWN[-1].id, None) == ()
    assert check_correction(KNOWN, PART.id, None) == ()


def test_a_correction_is_weighed_as_a_new_fact_is() -> None:
    right = make("g1", "gpu", inside="s1", device=UUID)
    assert check_correction(KNOWN, PART.id, right._replace(emitted_g=200_000)) == ()
    [doubt] = check_correction(KNOWN, PART.id, right._replace(emitted_g=164_000_000))
    assert "typed as grams?" in doubt
