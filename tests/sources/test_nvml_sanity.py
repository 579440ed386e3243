"""Which power readings are believed."""

from hypothesis import given
from hypothesis import strategies as st

from wattledger.sources.nvml.sanity import Gate, Reading, expected_uw, judge

CAP_UW = 910_000_000
SECOND_NS = 10**9


def through(*readings: Reading, cap_uw: int | None = CAP_UW) -> list[str]:
    gate = Gate()
    verdicts: list[str] = []
    for reading in readings:
        gate = judge(gate, reading, cap_uw)
        verdicts.append(gate.verdict)
    return verdicts


def frozen(seconds: int, *, warmer_c: int = 0, power_uw: int = 46_190_000) -> list[Reading]:
    return [Reading(s * SECOND_NS, power_uw, 32 + warmer_c * s // seconds) for s in range(seconds)]


def test_a_constant_power_while_it_warms_up_is_stuck_within_a_minute() -> None:
    # 46.19 W for 12.4 minutes while the temperature went from 32 to 60 °C (science.md section 1.5).
    verdicts = through(*frozen(744, warmer_c=28))
    assert verdicts[:30] == ["good"] * 30
    assert "stuck" in verdicts[:120]
    assert set(verdicts[120:]) == {"stuck"}


def test_utilisation_or_clock_alone_gives_a_frozen_sensor_away() -> None:
    by_use = [Reading(s * SECOND_NS, 1, used_percent=s % 50) for s in range(40)]
    by_clock = [Reading(s * SECOND_NS, 1, clock_mhz=210 if s < 20 else 1980) for s in range(40)]
    assert through(*by_use)[-1] == through(*by_clock)[-1] == "stuck"


def test_a_resting_card_with_a_coarse_sensor_is_believed() -> None:
    resting = [Reading(s * SECOND_NS, 9_000_000, 40 + s % 2, 300, s % 3) for s in range(600)]
    assert set(through(*resting)) == {"good"}


def test_a_sensor_asked_too_rarely_is_not_called_stuck() -> None:
    rare = [Reading(s * 20 * SECOND_NS, 9_000_000, 30 + 10 * s) for s in range(4)]
    assert through(*rare) == ["good"] * 4


def test_unknown_conditions_never_accuse() -> None:
    assert set(through(*(Reading(s * SECOND_NS, 5) for s in range(600)))) == {"good"}


def test_a_sensor_that_moves_is_believed_at_once() -> None:
    stuck = frozen(744, warmer_c=28)
    assert through(*stuck, Reading(745 * SECOND_NS, 47_000_000, 60))[-1] == "good"


def test_one_impossible_reading_is_a_glitch_and_two_are_a_broken_sensor() -> None:
    low, high, negative = (Reading(0, uw) for uw in (100_000_000, CAP_UW + 1, -1))
    assert through(low, high, low) == ["good", "suspect", "good"]
    assert through(low, high, negative, high, low) == ["good", "suspect", "impossible", "impossible", "good"]


def test_without_a_known_limit_nothing_is_too_much() -> None:
    assert through(Reading(0, 10**15), cap_uw=None) == ["good"]


@given(st.integers(0, 100), st.integers(10**6, 10**9), st.none() | st.integers(0, 10**9))
def test_an_estimate_lies_between_nothing_and_the_limit(used: int, limit_uw: int, lowest_uw: int | None) -> None:
    expected = expected_uw(Gate(lowest_uw=lowest_uw), limit_uw, used)
    assert expected is not None
    assert 0 <= expected <= limit_uw
    assert (expected == limit_uw) or used < 100


def test_what_is_not_known_is_not_estimated() -> None:
    assert expected_uw(Gate(), None, 50) is None
    assert expected_uw(Gate(), 700_000_000, None) is None
