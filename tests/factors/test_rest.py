"""The rest of the host as factors: the default, and a site's own wall calibration."""

import pytest

from wattledger.factors import rest


def values(factors: tuple[object, ...]) -> dict[str, float]:
    return {getattr(f, "kind", ""): getattr(f, "value", 0.0) for f in factors}


def test_a_machine_of_ones_own_has_a_constant_part_and_a_guest_has_none() -> None:
    assert values(rest.rest(True)) == {"rest_share": 0.2, "rest_offset": 31.0}
    assert values(rest.rest(False)) == {"rest_share": 0.2}


@pytest.mark.parametrize("whole_machine", [True, False])
def test_a_calibration_says_what_the_wall_has_beyond_the_parts(whole_machine: bool) -> None:
    share, offset = rest.rest(whole_machine, wall_gain=1.25, wall_offset_w=40)
    assert (share.kind, share.value, share.unit) == ("rest_share", 0.25, "1")
    assert (offset.kind, offset.value, offset.unit) == ("rest_offset", 40, "W")
    assert {share.origin, offset.origin} == {"calibrated here"}


def test_a_calibration_without_a_constant_has_none() -> None:
    assert values(rest.rest(True, wall_gain=1.25)) == {"rest_share": 0.25}
    assert values(rest.rest(True, wall_gain=1.0, wall_offset_w=25)) == {"rest_share": 0.0, "rest_offset": 25}


def test_the_walls_error_falls_on_the_rest() -> None:
    """3.9 % of a wall of 125 is 4.9, which is a fifth of the 25 that are not the parts."""
    share, _ = rest.rest(True, wall_gain=1.25, wall_offset_w=40)
    assert share.g95 == pytest.approx(1 + 0.039 * 125 / 25)
    assert share.g95 < rest.SHARE.g95


@pytest.mark.parametrize("gain", [1.0, 1.001, 1.1])
def test_a_calibration_is_never_less_sure_than_none(gain: float) -> None:
    assert all(f.g95 == rest.SHARE.g95 for f in rest.rest(True, wall_gain=gain, wall_offset_w=1))


@pytest.mark.parametrize(
    ("gain", "offset_w", "why"),
    [(0.9, 0, r"facility\.wall_gain = 0\.9: .*1 or more"), (0, 30, r"facility\.wall_offset_w = 30 without facility\.wall_gain")],
)
def test_a_calibration_that_cannot_be_is_refused_in_one_line(gain: float, offset_w: float, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        rest.rest(True, wall_gain=gain, wall_offset_w=offset_w)
    assert "\n" not in str(refused.value)
