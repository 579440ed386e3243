"""AMD GPUs through a stand-in for the ``amdsmi`` library, put on the path of a fresh Python: the boundary that is not ours."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wattledger.sources.amdsmi import visible

# The functions that the source calls, by the names and shapes that ROCm's py-interface/README.md gives them; each die is a
# dict, and a value that is the word "fail" raises.
LIBRARY = """
class AmdSmiException(Exception):
    pass

DIES = []

def amdsmi_init():
    if not DIES:
        raise AmdSmiException("driver not loaded")

def amdsmi_shut_down():
    pass

def amdsmi_get_processor_handles():
    return list(range(len(DIES)))

def _of(handle, key, default=None):
    value = DIES[handle].get(key, default)
    if value == "fail":
        raise AmdSmiException("AMDSMI_STATUS_BUSY")
    return value

def amdsmi_get_gpu_device_uuid(handle):
    return _of(handle, "uuid", f"uuid-{handle}")

def amdsmi_get_gpu_device_bdf(handle):
    return f"0000:0{handle}:00.0"

def amdsmi_get_gpu_asic_info(handle):
    return {"market_name": _of(handle, "model", "AMD Instinct MI250X")}

def amdsmi_get_power_cap_info(handle):
    return {"power_cap": _of(handle, "cap_uw", 500_000_000)}

def amdsmi_get_energy_count(handle):
    return {_of(handle, "key", "energy_accumulator"): _of(handle, "ticks", "N/A"), "counter_resolution": 15.25, "timestamp": 1}

def amdsmi_get_power_info(handle):
    return {"average_socket_power": _of(handle, "average", "N/A"), "current_socket_power": _of(handle, "current", "N/A")}

def amdsmi_get_gpu_process_list(handle):
    return [{"pid": pid, "memory_usage": {"vram_mem": mem}} for pid, mem in _of(handle, "pids", [])]
"""

PRELUDE = """
import json, os, sys
import amdsmi as library
from wattledger.core.model import Instant
from wattledger.core.ports import Host, SourceGone
from wattledger.sources import amdsmi

class Seconds:
    at = 0
    def __call__(self):
        return Instant(self.at * 10**9, self.at * 10**9)

now = Seconds()

def read(source, full=True):
    now.at += 1
    told = []
    for s in source.read(now, full):
        one = {k: v._asdict() if hasattr(v, "_asdict") else v for k, v in s._asdict().items()}
        told.append({"type": type(s).__name__, "id": one["device"]["id"] if "device" in one else one["device_id"], **one})
    return told

def host(roots=(7,), pids_match=True):
    return Host("/sys", "/proc", os.environ, roots, pids_match, {})

def out(value):
    print(json.dumps(value))
"""


def python(home: Path, code: str, *dies: dict[str, Any], env: dict[str, str] | None = None) -> Any:
    """Run it against these dies; gives the JSON that it prints."""
    (home / "amdsmi").mkdir(exist_ok=True)
    (home / "amdsmi" / "__init__.py").write_text(LIBRARY.replace("DIES = []", f"DIES = {list(dies)!r}"))
    path = os.pathsep.join([str(home), *(p for p in sys.path if p)])
    clean = {k: v for k, v in os.environ.items() if not k.endswith("VISIBLE_DEVICES")}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        env={**clean, "PYTHONPATH": path, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def of(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [s for s in told if s["type"] == kind]


READ = """
source = amdsmi.open(host())
out([read(source), [d._asdict() for d in source.devices()], source.period_ns])
"""


def test_the_accumulator_is_ticks_times_their_size(tmp_path: Path) -> None:
    old = {"ticks": 2000, "average": 90, "key": "power", "uuid": "N/A"}
    told, devices, period_ns = python(tmp_path, READ, {"ticks": 1000, "average": 100}, old)
    assert [(s["id"], s["count_uj"]) for s in of(told, "EnergyCounter")] == [("uuid-0", 15_250), ("0000:01:00.0", 30_500)]
    assert [s["power_uw"] for s in of(told, "PowerGauge")] == [100_000_000, 90_000_000]
    assert [d["cap_uw"] for d in devices] == [650_000_000, 650_000_000]
    assert period_ns is None


def test_the_second_die_of_a_card_is_inside_the_first(tmp_path: Path) -> None:
    first, second = {"ticks": 1000, "average": 100, "pids": [[1, 5]]}, {"ticks": 0, "average": 0, "pids": [[2, 5]]}
    told, devices, _ = python(tmp_path, READ, first, second, first | {"pids": []}, second | {"pids": []})
    assert [(d["id"], d["inside"]) for d in devices] == [
        ("uuid-0", None), ("uuid-1", "uuid-0"), ("uuid-2", None), ("uuid-3", "uuid-2"),
    ]  # fmt: skip
    assert [s["id"] for s in of(told, "EnergyCounter")] == ["uuid-0", "uuid-2"]
    assert {(s["id"], s["who"], s["part"]) for s in of(told, "Holding")} == {("uuid-0", "pid:1", 0.5), ("uuid-0", "pid:2", 0.5)}


def test_a_card_without_an_accumulator_is_polled(tmp_path: Path) -> None:
    code = "source = amdsmi.open(host())\nout([read(source, False), source.period_ns])"
    told, period_ns = python(tmp_path, code, {"current": 120})
    assert [(s["type"], s["power_uw"]) for s in told] == [("PowerGauge", 120_000_000)]
    assert period_ns == 20_000_000


def test_an_accumulator_that_stands_still_under_power_is_not_believed_until_it_moves(tmp_path: Path) -> None:
    code = """
source = amdsmi.open(host())
told = [read(source, False) for _ in range(6)]
library.DIES[0]["ticks"] += 1
out([told, read(source, False), source.period_ns])
"""
    told, moved, period_ns = python(tmp_path, code, {"ticks": 1000, "average": 100})
    kinds = [[s["type"] for s in tick] for tick in told]
    assert kinds[:3] == [["EnergyCounter"]] * 3
    assert kinds[3:] == [["Fault", "PowerGauge"], ["PowerGauge"], ["PowerGauge"]]
    assert "stuck" in told[3][0]["what"]
    assert [s["type"] for s in moved] == ["EnergyCounter"]
    assert period_ns == 20_000_000


def test_a_sleeping_card_is_not_called_stuck(tmp_path: Path) -> None:
    code = "source = amdsmi.open(host())\nout([read(source, False) for _ in range(6)])"
    told = python(tmp_path, code, {"ticks": 1000, "average": 0})
    assert [[s["type"] for s in tick] for tick in told] == [["EnergyCounter"]] * 6


def test_one_cards_failure_is_its_own_and_never_a_zero(tmp_path: Path) -> None:
    code = """
source = amdsmi.open(host())
library.DIES[0].update(ticks="fail", pids="fail")
out(read(source))
"""
    told = python(tmp_path, code, {"ticks": 1000, "average": 100}, {"ticks": 1000, "average": 100})
    assert {(f["id"], f["gone"]) for f in of(told, "Fault")} == {("uuid-0", False)}
    assert "AMDSMI_STATUS_BUSY" in of(told, "Fault")[0]["what"]
    assert [s["id"] for s in of(told, "EnergyCounter")] == ["uuid-1"]


def test_an_impossible_power_does_not_leave(tmp_path: Path) -> None:
    told, *_ = python(tmp_path, READ, {"ticks": 1000, "average": 12_572_969})
    assert of(told, "PowerGauge") == []


def test_time_is_split_among_those_with_memory_on_the_card(tmp_path: Path) -> None:
    code = """
source = amdsmi.open(host())
first = read(source)
library.DIES[0]["pids"] = [[1, 5]]
out([first, read(source), read(source)])
"""
    first, second, third = python(tmp_path, code, {"ticks": 1, "average": 9, "pids": [[1, 5], [2, 5], [3, 0]]})
    assert {(s["who"], s["part"]) for s in of(first, "Holding")} == {("pid:1", 0.5), ("pid:2", 0.5)}
    assert {(s["who"], s["part"]) for s in of(second, "Holding")} == {("pid:1", 1.0), ("pid:2", 0.0)}
    assert {(s["who"], s["used"]) for s in of(second, "Activity")} == {("pid:1", 5 * 10**8), ("pid:2", 5 * 10**8)}
    assert {(s["who"], s["used"]) for s in of(third, "Activity")} == {("pid:1", 15 * 10**8)}


def test_in_a_pid_namespace_the_run_uses_and_holds_what_it_sees(tmp_path: Path) -> None:
    code = "source = amdsmi.open(host(pids_match=False))\nout([read(source), source.notes])"
    told, notes = python(tmp_path, code, {"ticks": 1, "average": 9, "pids": [[4_000_000, 5]]})
    assert [(s["who"], s["part"]) for s in of(told, "Holding")] == [("pid:7", 1.0)]
    assert notes[0].startswith("PID namespace")


def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    code = """
try:
    amdsmi.open(host())
except SourceGone as gone:
    out([str(gone), [f._asdict() for f in amdsmi.examine(host())]])
"""
    driver, (finding,) = python(tmp_path, code)
    assert driver.startswith("amdsmi: the AMD driver does not answer")
    assert finding["state"] == "absent"
    nothing, (finding,) = python(tmp_path, code, {"ticks": "N/A"})
    assert nothing.startswith("amdsmi: no AMD GPU with a sensor is visible here")
    assert finding["state"] == "broken"
    hidden, findings = python(tmp_path, code, {"ticks": 5}, env={"HIP_VISIBLE_DEVICES": ""})
    assert hidden == nothing
    assert findings == []


@given(st.integers(0, 8), st.lists(st.integers(-1, 9), max_size=4), st.lists(st.integers(-1, 9), max_size=4))
def test_hip_chooses_among_what_rocr_shows(count: int, rocr: list[int], hip: list[int]) -> None:
    environ = {"ROCR_VISIBLE_DEVICES": ",".join(map(str, rocr)), "HIP_VISIBLE_DEVICES": ",".join(map(str, hip))}
    shown = visible(count, {"ROCR_VISIBLE_DEVICES": environ["ROCR_VISIBLE_DEVICES"]})
    chosen = visible(count, environ)
    assert set(chosen) <= set(shown) <= set(range(count))
    assert chosen == [shown[i] for i in hip[: len(chosen)]]
    if len(chosen) < len(hip):
        assert not 0 <= hip[len(chosen)] < len(shown)
