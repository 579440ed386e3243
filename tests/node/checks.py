"""What tests of a running agent share: the machine, its groups, what was said and how often, and sums that close."""

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from tests.node.agents import Agent, Row, total
from tests.node.groups import Groups, NoGroups, groups, hierarchies
from tests.rig.build import NoCompiler
from tests.rig.rig import Gpu, Rig, Zone, load_constant, load_square, sockets

ENERGY, DEVICE, RETIRED = (f"wattledger_{name}_joules_total" for name in ("energy", "device_energy", "retired_energy"))
UP, ERRORS, LATE = "wattledger_source_up", "wattledger_source_errors_total", "wattledger_tick_late_seconds"
TICK_S = 1.0


def until(check: Callable[[], object], patience_s: float = 20) -> bool:
    """Wait for something that comes by itself; whether it came."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.1)
    return bool(check())


@contextlib.contextmanager
def real_groups() -> Iterator[Groups]:
    """Control groups of the machine, or the test is skipped with the reason."""
    try:
        with groups() as made:
            yield made
    except NoGroups as reason:
        pytest.skip(str(reason))


def remove(path: str) -> None:
    """End a group of ours that nobody is in."""
    for top in hierarchies():
        (top / path.strip("/")).rmdir()


def machine(folder: Path, *gpus: Gpu, zones: Sequence[Zone] = ()) -> Rig:
    """The simulated machine, its loads begin now; the test is skipped where there is no compiler."""
    usual = sockets(2, package=load_square(0.3, 40, 120), dram=load_constant(12))
    try:
        found = Rig(gpus, tuple(zones) or usual).write(folder)
        found.env()
    except NoCompiler as reason:
        pytest.skip(str(reason))
    return found


def crossable(folder: Path) -> Path:
    """A folder that other users can reach: pytest keeps its own to itself."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in (folder, *folder.parents):
        if place == Path(tempfile.gettempdir()):
            break
        place.chmod(0o755)
    return folder


def closes(rows: list[Row]) -> list[Row]:
    """For every device, what was handed out is what was measured, to the microjoule of the text."""
    devices = {labels["device"] for name, labels, _ in rows if name == DEVICE}
    assert devices
    for device in devices:
        handed_out = total(rows, ENERGY, device=device) + total(rows, RETIRED, device=device)
        assert handed_out == total(rows, DEVICE, device=device), device
    assert {value for name, _, value in rows if name == "wattledger_attribution_residual_joules"} == {Decimal(0)}
    return rows


def said(running: Agent, *words: str) -> list[str]:
    """The lines of the log that hold all these words."""
    return [line for line in running.log.splitlines() if all(word in line for word in words)]


def nothing_twice(running: Agent) -> None:
    """No line of the log is there a second time, and no traceback: what goes on is said once, not each tick."""
    assert [line for line, times in Counter(running.log.splitlines()).items() if times > 1] == []
    assert "Traceback" not in running.log


def drawn_j(rig: Rig, device_id: str, start_ns: int, end_ns: int) -> float:
    """The truth, by a zone's key or a GPU's UUID."""
    return rig.truth_uj(device_id, start_ns, end_ns) / 1e6
