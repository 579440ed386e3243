"""The refresher: whom it asks, when, what it hands on; a server's silence costs nobody anything."""

import threading
from itertools import pairwise

import pytest
from tests.runtime.grid.said import HOUR, PERIOD, T0, Ears, Rig, Scripted, hour

from wattledger.core.facts import IntensityFact
from wattledger.core.ports import BadStatus, SourceFailed, SourceGone
from wattledger.runtime.config import Config, Value
from wattledger.runtime.grid.feed import feed_of


def test_the_first_question_is_for_all_that_is_not_settled() -> None:
    """72 hours back, in whole slots, and the one that is under way."""
    provider = Scripted()
    provider.facts = [hour(T0 - 24 * HOUR, 100), hour(T0, 200)]
    rig = Rig(provider).after(60)
    assert provider.asked == [(T0 - 72 * HOUR, T0 + HOUR)]
    assert rig.ears.learnt == provider.facts
    assert [factors[0].value for factors in rig.ears.stood] == [200.0]
    assert rig.ears.lines == []


def test_at_most_one_question_a_period_the_newest_hours_and_hourly_the_rest() -> None:
    provider = Scripted()
    provider.facts = [hour(T0 + i * HOUR, 100 + i) for i in range(-72, 3)]
    rig = Rig(provider).after(0)
    for _ in range(12 * 5 + 1):
        rig.after(60)
    assert [end - start for start, end in provider.asked] == [73 * HOUR, *[4 * HOUR] * 11, 73 * HOUR]


def test_a_hole_is_asked_for_from_where_it_began() -> None:
    provider = Scripted()
    provider.facts = [hour(T0 - 10 * HOUR, 100)]
    rig = Rig(provider).after(0)
    rig.after(PERIOD)
    assert provider.asked[1] == (T0 - 9 * HOUR, T0 + HOUR)


def test_a_fact_is_handed_on_when_it_is_new_or_says_something_else() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 100, estimated=True)]
    rig = Rig(provider).after(0).after(PERIOD)
    provider.facts = [hour(T0, 100, version="said again, later", estimated=True)]
    rig.after(PERIOD)
    assert len(rig.ears.learnt) == 1
    provider.facts = [hour(T0, 100)]
    rig.after(PERIOD)
    provider.facts = [hour(T0, 107)]
    rig.after(PERIOD)
    provider.facts = [hour(T0, 90, forecast=True)]
    rig.after(PERIOD)
    assert [(fact.ug_per_kwh, fact.estimated) for fact in rig.ears.learnt] == [(10**8, True), (10**8, False), (107 * 10**6, False)]
    assert [factors[0].value for factors in rig.ears.stood] == [100.0, 100.0, 107.0]


def test_what_the_books_hold_is_in_force_before_anybody_is_asked_and_not_learnt_again() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 100)]
    rig = Rig(provider, known=(hour(T0, 100),))
    assert rig.step == "live"
    rig.after(1)
    assert (provider.asked, rig.ears.learnt) == ([], [])
    rig.after(PERIOD)
    assert len(provider.asked) == 1
    assert rig.ears.learnt == []


def test_offline_it_steps_down_to_the_annual_average_and_says_each_step_once() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 100)]
    rig = Rig(provider).after(0)
    provider.failure = SourceFailed("https://grid.example/v3: no answer within 20 s")
    steps = [rig.after(HOUR).step for _ in range(9)]
    assert steps == ["live", *["last-known"] * 6, "country-annual", "country-annual"]
    assert len(rig.ears.lines) == 3
    assert "no answer within 20 s" in rig.ears.lines[0]
    assert "the last known value stands in, 6 h at most" in rig.ears.lines[1]
    assert "the annual average stands in" in rig.ears.lines[2]
    provider.failure, provider.facts = None, [hour(T0 + 10 * HOUR, 90)]
    assert rig.after(2 * HOUR).step == "live"
    assert rig.ears.lines[3:] == ["grid first: answers again", "grid DE: live again, by first"]


def test_a_server_that_fails_is_asked_ever_more_seldom() -> None:
    provider = Scripted()
    provider.failure = BadStatus("https://grid.example: HTTP 500 Internal Server Error", 500)
    rig = Rig(provider)
    times = []
    for minute in range(6 * 60):
        n = len(provider.asked)
        rig.after(60)
        if len(provider.asked) > n:
            times.append(minute)
    assert [b - a for a, b in pairwise(times)] == [10, 20, 40, 60, 60, 60, 60]
    assert len([line for line in rig.ears.lines if "500" in line]) == 1
    (state,) = rig.feed.health()
    assert (state.up, state.questions, state.failures) == (False, 8, 8)


def test_the_servers_word_on_when_to_ask_again_is_kept() -> None:
    provider = Scripted()
    provider.failure = BadStatus("https://grid.example: HTTP 429 Too Many Requests", 429, 7_200.0)
    rig = Rig(provider).after(0)
    provider.failure = None
    rig.after(7_199)
    assert len(provider.asked) == 1
    rig.after(1)
    assert len(provider.asked) == 2


def test_jitter_never_asks_before_its_time() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 100)]
    rig = Rig(provider, rand=0.99).after(0).after(PERIOD)
    assert len(provider.asked) == 1
    rig.after(0.1 * PERIOD)
    assert len(provider.asked) == 2


@pytest.mark.parametrize(
    "failure",
    [BadStatus("x: HTTP 401 Unauthorized", 401), BadStatus("x: HTTP 403 Forbidden", 403), SourceGone("no key; set FIRST_KEY")],
)
def test_who_is_refused_does_not_knock_again(failure: Exception) -> None:
    provider, second = Scripted(), Scripted("second")
    provider.failure = failure
    second.facts = [hour(T0, 50, "second")]
    rig = Rig(provider, second).after(0).after(10 * HOUR)
    assert len(provider.asked) == 1
    assert len([line for line in rig.ears.lines if "not asked again until the next start" in line]) == 1


def test_the_next_in_line_is_asked_where_the_first_does_not_speak_of_now() -> None:
    first, second = Scripted(), Scripted("second")
    first.facts, second.facts = [hour(T0 - 3 * HOUR, 100)], [hour(T0, 50, "second"), hour(T0 + HOUR, 60, "second")]
    rig = Rig(first, second).after(0)
    assert rig.feed.current().factors[0].origin == "second"
    first.facts = [hour(T0 + HOUR, 100)]
    rig.after(HOUR + 60)
    asked = len(second.asked)
    assert rig.feed.current().factors[0].origin == "first"
    rig.after(600)
    assert len(second.asked) == asked


def test_a_marginal_signal_is_learnt_beside_the_average_and_never_in_force() -> None:
    average, marginal = Scripted(), Scripted("moer", "marginal")
    average.facts, marginal.facts = [hour(T0, 100)], [hour(T0, 400, "moer", signal="marginal")]
    rig = Rig(marginal, average).after(0)
    assert {fact.provider for fact in rig.ears.learnt} == {"first", "moer"}
    assert rig.feed.current().factors[0].value == 100.0


def test_another_zones_answer_is_not_taken() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 100, zone="FR")]
    rig = Rig(provider).after(0)
    assert (rig.ears.learnt, rig.step) == ([], "country-annual")


def test_who_does_not_know_the_zone_is_not_asked() -> None:
    provider = Scripted(zones=("GB",))
    rig = Rig(provider).after(0)
    assert provider.asked == []
    assert rig.ears.lines[0] == "grid first: does not know DE, and is not asked"


def test_a_full_disk_loses_nothing() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 100)]
    rig = Rig(provider)
    rig.ears.full = OSError("No space left on device")
    rig.after(0)
    assert rig.step == "live"
    rig.ears.full = None
    rig.after(PERIOD)
    assert rig.ears.learnt == [hour(T0, 100)]


def test_a_bug_in_a_provider_is_one_traceback_and_stops_that_provider_alone(capsys: pytest.CaptureFixture[str]) -> None:
    provider = Scripted("buggy")
    provider.failure = ZeroDivisionError("in the provider")
    rig = Rig(provider).after(0).after(HOUR)
    assert len(provider.asked) == 1
    assert capsys.readouterr().err.count("ZeroDivisionError") == 1
    assert rig.step == "country-annual"


def test_a_clock_that_is_set_back_does_not_stop_the_questions() -> None:
    provider = Scripted()
    provider.facts = [hour(T0 + i * HOUR, 100) for i in range(-72, 2)]
    rig = Rig(provider).after(0)
    rig.clock.wall_s -= 24 * HOUR
    rig.after(PERIOD)
    assert len(provider.asked) == 2


class Unsure(Scripted):
    """Does not even know what it knows."""

    def covers(self, zone: str) -> bool:
        raise ValueError("in covers")


def test_a_provider_that_does_not_know_what_it_knows_is_not_asked() -> None:
    provider = Unsure()
    rig = Rig(provider).after(0)
    assert (provider.asked, rig.step) == ([], "country-annual")
    assert "in covers" in rig.ears.lines[0]


class Slow(Scripted):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> list[IntensityFact]:
        self.reached.set()
        self.go.wait(20)
        return super().read(zone, start_s, end_s, now_s)


def test_a_server_that_does_not_answer_holds_up_nobody() -> None:
    """``start``, ``current`` and ``close`` return while the question is under way."""
    provider = Slow()
    provider.facts = [hour(T0, 100)]
    rig = Rig(provider)
    rig.feed.start()
    assert provider.reached.wait(20)
    assert rig.step == "country-annual"
    assert [factors[0].quality for factors in rig.ears.stood] == ["country-annual"]
    assert rig.ears.lines == []
    rig.feed.close()
    assert not provider.go.is_set()
    provider.go.set()
    rig.feed.close(20.0)
    assert rig.step == "live"


def config(**values: object) -> Config:
    return Config({name.replace("__", "."): Value(value, "test") for name, value in values.items()})


def test_without_a_provider_or_a_zone_there_is_no_feed() -> None:
    ears = Ears()
    assert feed_of(config(), {}, ears.outlets(), zone="DE") is None
    assert ears.lines == []
    assert feed_of(config(grid__provider="neso"), {}, ears.outlets(), zone=None) is None
    assert "no zone is known" in ears.lines[0]


def test_a_provider_without_its_key_is_one_line_that_names_the_variable() -> None:
    ears = Ears()
    assert feed_of(config(grid__provider="eia"), {}, ears.outlets(), zone="US-CAMX") is None
    (line,) = ears.lines
    assert "EIA_API_KEY" in line
    assert feed_of(config(grid__provider="eia"), {"EIA_API_KEY": "x"}, ears.outlets(), zone="US-CAMX") is not None
