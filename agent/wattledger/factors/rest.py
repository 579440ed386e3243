"""What no sensor covers (fans, board, conversion losses), as factors of the parts that are measured, until a BMC tells.

Form and figures: wall = 1.20 x software + 17 to 45 W, which left 0.7 to 3.9 % error on 318 runs with software and wall readings
(the 2509.22092 data set, our computation).  Desktops and small servers: a site that has had a wall meter on the machine says its
own gain and offset, one that wants none sets [facility] rest = "off".
"""

from wattledger.core.model import Factor

SOURCE = "fit over 318 runs with wall meters (arXiv 2509.22092 data)"

SHARE = Factor("rest_share", "", 0.20, "1", "rest of host", SOURCE, "2025", "model", 1.40)
# The middle of the fitted offsets; only where the whole machine is ours: a virtual machine's host is not its guests' to count.
OFFSET = Factor("rest_offset", "", 31.0, "W", "rest of host", SOURCE, "2025", "model", 1.40)

# Its presence says that the rest is left out, measured or not; among the factors, so that a capture replays the same.
OFF = Factor("rest_off", "", 1.0, "1", "rest of host", "switched off in the configuration", "", "configured", 1.0)

CALIBRATED = "calibrated here"
WALL_ERROR = 0.039  # the worst of the fits, taken as the 95 % bound of a wall reading that is computed


def rest(whole_machine: bool, *, wall_gain: float = 0.0, wall_offset_w: float = 0.0) -> tuple[Factor, ...]:
    """The factors that apply here.

    ``wall_gain`` and ``wall_offset_w`` are the site's own wall = gain x parts + offset; a gain of 0: not calibrated.  ValueError in
    one line where they cannot be.
    """
    if wall_gain or wall_offset_w:
        return _calibrated(wall_gain, wall_offset_w)
    return (SHARE, OFFSET) if whole_machine else (SHARE,)


def _calibrated(gain: float, offset_w: float) -> tuple[Factor, ...]:
    if not gain:
        raise ValueError(f"facility.wall_offset_w = {offset_w:g} without facility.wall_gain: say both, or neither")
    if gain < 1:
        raise ValueError(f"facility.wall_gain = {gain:g}: at the wall there is no less than in the parts; expected 1 or more")
    # The error is the wall's, and falls on the rest alone: a twentieth of the whole may be a fifth of the difference.
    g95 = min(SHARE.g95, 1 + WALL_ERROR * gain / (gain - 1)) if gain > 1 else SHARE.g95
    share = Factor("rest_share", "", gain - 1, "1", "rest of host", CALIBRATED, "", "calibrated", g95)
    offset = Factor("rest_offset", "", offset_w, "W", "rest of host", CALIBRATED, "", "calibrated", g95)
    return (share, offset) if offset_w else (share,)
