"""RAPL's power limits, for who looks at a node."""

from pathlib import Path

import pytest
from tests.sources.rapl_tree import LIMITS, host_with, zone

from wattledger.core.model import Condition, Instant
from wattledger.sources import rapl


class Clock:
    """State: seconds since it was made."""

    def __init__(self) -> None:
        self.at_s = 0

    def __call__(self) -> Instant:
        return Instant(self.at_s * 10**9, self.at_s * 10**9)


def limits(folder: Path, *, steady: bool, **files: str) -> list[list[tuple[str, int | None]]]:
    """What is told at a full read, at one right after, and a minute later."""
    tree = {"intel-rapl:0": zone("package-0", 100, **{**LIMITS, **files}), "intel-rapl:0:0": zone("core", 60, **LIMITS)}
    host = host_with(folder, tree)
    source, clock, told = rapl.open(host._replace(options={"steady": steady})), Clock(), []
    for at_s in (0, 1, 61):
        clock.at_s = at_s
        told.append([(s.device_id, s.limit_uw) for s in source.read(clock, True) if isinstance(s, Condition)])
    source.close()
    return told


def test_a_sockets_long_term_limit_is_told_once_a_minute(tmp_path: Path) -> None:
    assert limits(tmp_path, steady=True) == [[("rapl:package-0", 350_000_000)], [], [("rapl:package-0", 350_000_000)]]


def test_a_program_has_no_use_for_it(tmp_path: Path) -> None:
    assert limits(tmp_path, steady=False) == [[], [], []]


@pytest.mark.parametrize("files", [{"enabled": "0"}, {"constraint_0_power_limit_uw": "0"}, {"constraint_0_name": "other"}])
def test_a_limit_that_is_off_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    assert limits(tmp_path, steady=True, **files) == [[], [], []]
