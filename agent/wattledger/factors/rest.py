"""What no sensor covers (fans, board, conversion losses), as factors of the parts that are measured, until a BMC tells.

Form and figures: wall = 1.20 x software + 17 to 45 W, which left 0.7 to 3.9 % error on 318 runs with software and wall readings
(the 2509.22092 data set, our computation).  Desktops and small servers: a site that knows better sets [facility] rest = "off".
"""

from wattledger.core.model import Factor

SOURCE = "fit over 318 runs with wall meters (arXiv 2509.22092 data)"

SHARE = Factor("rest_share", "", 0.20, "1", "rest of host", SOURCE, "2025", "model", 1.40)
# The middle of the fitted offsets; only where the whole machine is ours: a virtual machine's host is not its guests' to count.
OFFSET = Factor("rest_offset", "", 31.0, "W", "rest of host", SOURCE, "2025", "model", 1.40)


def rest(whole_machine: bool) -> tuple[Factor, ...]:
    """The factors that apply here."""
    return (SHARE, OFFSET) if whole_machine else (SHARE,)
