"""MIG: a slice's part of the energy is its size times its activity, and what nobody holds is nobody's."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rig.rig import AMPERE, Gpu, Mig, Process, load_constant
from tests.sources.nvml_rig import Told, machine, of, python

from wattledger.core.model import Claim, Device, Holding, Instant, Member, Workload
from wattledger.core.usage import Usage
from wattledger.sources.nvml.driver import Slice
from wattledger.sources.nvml.mig import Seat, members, places, use_percent

STEADY = load_constant(200)
SECOND_NS = 10**9
THREE, TWO, ONE = (f"MIG-00000000-0000-5000-8000-00000000000{n}" for n in (1, 2, 3))
SLICES = (Mig(1, 3, 40_000, THREE), Mig(2, 2, 20_000, TWO))
CROWD = (Process(pid=41, sm_pct=50, gi=1), Process(pid=42, sm_pct=60, gi=2), Process(pid=43, sm_pct=40, gi=2))

TWO_LOOKS = """
source, seconds = nvml.open(host({host})), Seconds()
first = said(source.read(seconds.next(), True))
second = said(source.read(seconds.next(), True))
out([first, second, source.notes])
"""


def used(told: Told) -> dict[str, tuple[int, str]]:
    return {s["who"]: (s["used"], s["unit"]) for s in of(told, "Activity")}


def near(parts: dict[str, float], unit: str) -> dict[str, tuple[object, str]]:
    return {who: (pytest.approx(part * SECOND_NS, abs=2), unit) for who, part in parts.items()}


# The formula.


@given(
    st.lists(st.tuples(st.integers(1, 3), st.lists(st.integers(1, 9), max_size=3), st.floats(0, 1)), max_size=2),
    st.lists(st.integers(1, 9), max_size=3),
)
def test_slices_never_use_more_than_there_is_and_share_by_size_and_activity(
    cut: list[tuple[int, list[int], float]], before: list[int]
) -> None:
    now = {f"MIG-{i}": Seat(size / 7, i, tuple(sorted({10 * i + pid for pid in pids}))) for i, (size, pids, _) in enumerate(cut)}
    activity = {i: busy for i, (_, _, busy) in enumerate(cut)}
    was = {"MIG-0": now["MIG-0"]._replace(pids=tuple(sorted({90 + pid for pid in before})))} if now else {}
    use = use_percent(was, now, activity, {})
    assert use is not None
    assert sum(use.values()) <= 100.001
    expected = sum(100 * size / 7 * busy for size, _, busy in cut)
    assert sum(use.values()) == pytest.approx(expected)


def test_the_activity_of_a_gpu_instance_is_divided_among_its_compute_instances_by_size() -> None:
    now = {"a": Seat(1 / 7, 5, (41,)), "b": Seat(2 / 7, 5, (42,)), "c": Seat(1 / 7, 5, ())}
    use = use_percent(now, now, {5: 0.7}, {})
    assert use == pytest.approx({"pid:41": 10, "pid:42": 20})


def test_a_slice_that_worked_with_nobody_in_it_is_unattributed() -> None:
    now = {"a": Seat(1 / 7, 5, ()), "b": Seat(2 / 7, 6, (42,))}
    assert use_percent(now, now, {5: 0.7, 6: 0.0}, {}) == pytest.approx({"(unattributed)": 10, "pid:42": 0})


def test_who_left_and_who_came_each_stand_for_half_of_the_time() -> None:
    before, now = {"a": Seat(1.0, 5, (41,))}, {"a": Seat(1.0, 5, (42, 43))}
    assert use_percent(before, now, {5: 1.0}, {}) == {"pid:41": 50.0, "pid:42": 25.0, "pid:43": 25.0}


def test_within_a_slice_what_the_driver_saw_goes_before_equal_parts() -> None:
    now = {"a": Seat(0.5, 5, (41, 42))}
    assert use_percent(now, now, {5: 1.0}, {"a": {"pid:41": 10.0, "pid:42": 30.0}}) == {"pid:41": 12.5, "pid:42": 37.5}


def test_an_activity_that_is_not_known_of_one_makes_all_unknown() -> None:
    now = {"a": Seat(1 / 7, 5, (41,)), "b": Seat(2 / 7, 6, (42,))}
    assert use_percent(now, now, {5: 0.7}, {}) is None
    assert use_percent({}, {"a": Seat(1 / 7, 5, ())}, {}, {}) == {}


def test_only_what_changed_of_the_places_is_told() -> None:
    at = Instant(5, 5)
    assert members({}, {"device:MIG-1": "device:GPU-0@0.5"}, at) == [Member("device:MIG-1", at, "device:GPU-0@0.5")]
    assert members({"device:MIG-1": "device:GPU-0@0.5"}, {"device:MIG-1": "device:GPU-0@0.5"}, at) == []
    assert members({"device:MIG-1": "device:GPU-0@0.5"}, {}, at) == [Member("device:MIG-1", at, None)]


# Through the driver.


def test_slices_share_by_size_and_activity_where_the_driver_tells_it(tmp_path: Path) -> None:
    first, second, notes = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY, migs=SLICES, processes=CROWD)))
    parts = {"pid:41": 3 / 7, "pid:42": 1 / 7, "pid:43": 1 / 7}
    assert {s["who"]: s["part"] for s in of(first, "Holding")} == pytest.approx(parts)
    assert used(second) == near({"pid:41": 3 / 7 * 0.5, "pid:42": 1 / 7, "pid:43": 1 / 7}, "sm_ns")
    assert notes == []


def test_slices_that_all_rest_are_said_to_be_idle_though_they_are_held(tmp_path: Path) -> None:
    resting = tuple(Process(pid=40 + gi, gi=gi) for gi in (1, 2))
    first, second, _ = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY, migs=SLICES, processes=resting)))
    assert sum(s["part"] for s in of(first, "Holding")) == pytest.approx(5 / 7)
    assert used(second) == {"(idle)": (SECOND_NS, "idle_ns")}


def test_within_a_slice_processes_share_by_their_use_where_the_driver_tells_it(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(STEADY, refresh_ms=0, migs=SLICES, processes=CROWD, mig_util=True))
    _, second, _ = python(TWO_LOOKS.format(host=""), rig)
    assert used(second) == near({"pid:41": 1.5 / 7, "pid:42": 2 / 7 * 0.6, "pid:43": 2 / 7 * 0.4}, "sm_ns")


def test_two_compute_instances_share_the_activity_of_their_gpu_instance(tmp_path: Path) -> None:
    cut = (Mig(1, 3, 40_000, ONE, ci=0, compute_slices=1), Mig(1, 3, 40_000, TWO, ci=1, compute_slices=2))
    crowd = (Process(pid=41, sm_pct=30, gi=1, ci=0), Process(pid=42, sm_pct=40, gi=1, ci=1))
    _, second, _ = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY, migs=cut, processes=crowd)))
    assert used(second) == near({"pid:41": 1 / 7 * 0.7, "pid:42": 2 / 7 * 0.7}, "sm_ns")


@pytest.mark.parametrize("quiet", [{"arch": AMPERE}, {"gpm_code": 4}], ids=["before Hopper", "denied"])
def test_slices_share_by_size_where_nobody_tells_their_activity(tmp_path: Path, quiet: dict[str, int]) -> None:
    rig = machine(tmp_path, Gpu(STEADY, migs=SLICES, processes=CROWD, **quiet))  # type: ignore[arg-type]
    first, second, notes = python(TWO_LOOKS.format(host=""), rig)
    parts = {"pid:41": 3 / 7, "pid:42": 1 / 7, "pid:43": 1 / 7}
    assert {s["who"]: s["part"] for s in of(first, "Holding")} == pytest.approx(parts)
    assert used(second) == near(parts, "context_ns")
    assert "dcgm_url" in notes[0]


def test_slices_say_once_which_part_of_which_gpu_they_are(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(STEADY, migs=SLICES))
    first, second, _ = python(TWO_LOOKS.format(host="pids_match=False"), rig)
    gpu = rig.gpus[0].uuid
    assert [(s["who"], s["of"]) for s in of(first, "Member")] == [
        (f"device:{THREE}", f"device:{gpu}@0.428571"),
        (f"device:{TWO}", f"device:{gpu}@0.285714"),
    ]
    assert of(second, "Member") == []


CHANGES = """
class Slowly(Seconds):
    # Each read is long after the last: slices are listed anew at each.
    def next(self):
        self.at += 31
        return self

source, seconds, told = begun(), Slowly(), []
while sum(s["type"] == "Member" for s in told) < 4:
    told += said(source.read(seconds.next(), True))
    time.sleep(0.02)
out(told)
"""


def test_slices_that_are_made_and_destroyed_are_seen(tmp_path: Path) -> None:
    cut = (Mig(1, 3, 40_000, THREE), Mig(2, 2, 20_000, TWO, to_s=0.4), Mig(2, 1, 10_000, ONE, from_s=0.4))
    told = python(CHANGES, machine(tmp_path, Gpu(STEADY, migs=cut)))
    changes = [(s["who"].removeprefix("device:"), s["of"] and s["of"][-9:]) for s in of(told, "Member")]
    assert changes == [(THREE, "@0.428571"), (TWO, "@0.285714"), (TWO, None), (ONE, "@0.142857")]
    assert not of(told, "Fault")


def test_a_slice_that_is_taken_away_between_two_listings_is_no_fault(tmp_path: Path) -> None:
    code = CHANGES.replace("< 4", "< 3").replace("+= 31", "+= 1")
    told = python(code, machine(tmp_path, Gpu(STEADY, migs=(SLICES[0], Mig(2, 2, 20_000, TWO, to_s=0.4)))))
    assert of(told, "Member")[2]["who"] == f"device:{TWO}"
    assert not of(told, "Fault")


# Through a dcgm-exporter.


@pytest.fixture
def exporter() -> Iterator[tuple[str, dict[str, object]]]:
    """Its address, and what it answers: ``text`` and ``status``; ``asked`` counts."""
    state: dict[str, object] = {"text": "", "status": 200, "asked": 0}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state["asked"] = int(str(state["asked"])) + 1
            self.send_response(int(str(state["status"])))
            self.end_headers()
            self.wfile.write(str(state["text"]).encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metrics", state
    server.shutdown()
    thread.join()
    server.server_close()


def exported(uuid: str, active: dict[int, float]) -> str:
    lines = [
        f'DCGM_FI_PROF_GR_ENGINE_ACTIVE{{gpu="0",UUID="{uuid}",GPU_I_PROFILE="1g.5gb",GPU_I_ID="{gi}",hostname="n1"}} {busy}'
        for gi, busy in active.items()
    ]
    return "\n".join(["# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge", *lines, ""])


def test_before_hopper_a_dcgm_exporter_tells_the_activity(tmp_path: Path, exporter: tuple[str, dict[str, object]]) -> None:
    url, state = exporter
    rig = machine(tmp_path, Gpu(STEADY, arch=AMPERE, migs=SLICES, processes=CROWD))
    state["text"] = exported(rig.gpus[0].uuid, {1: 0.25, 2: 1.0})
    _, second, notes = python(TWO_LOOKS.format(host=f"dcgm_url={url!r}"), rig)
    assert used(second) == near({"pid:41": 3 / 7 * 0.25, "pid:42": 1 / 7, "pid:43": 1 / 7}, "sm_ns")
    assert (notes, state["asked"]) == ([], 2)


def test_an_exporter_that_fails_is_one_fault_and_slices_share_by_size(
    tmp_path: Path, exporter: tuple[str, dict[str, object]]
) -> None:
    url, state = exporter
    state["status"] = 503
    rig = machine(tmp_path, Gpu(STEADY, arch=AMPERE, migs=SLICES, processes=CROWD))
    first, second, _ = python(TWO_LOOKS.format(host=f"dcgm_url={url!r}"), rig)
    (fault,) = of(first + second, "Fault")
    assert (fault["device_id"], fault["gone"]) == (rig.gpus[0].uuid, False)
    assert "share it by size" in fault["what"]
    assert "503" in fault["what"]
    assert used(second) == near({"pid:41": 3 / 7, "pid:42": 1 / 7, "pid:43": 1 / 7}, "context_ns")
    assert state["asked"] == 1


def test_where_the_driver_tells_no_exporter_is_asked(tmp_path: Path, exporter: tuple[str, dict[str, object]]) -> None:
    url, state = exporter
    python(TWO_LOOKS.format(host=f"dcgm_url={url!r}"), machine(tmp_path, Gpu(STEADY, migs=SLICES, processes=CROWD)))
    assert state["asked"] == 0


# What others make of it.


def test_who_was_allocated_a_slice_holds_its_part_of_the_gpu() -> None:
    usage, at = Usage(), Instant(5, 5)
    cut = places("GPU-0", [Slice(None, 3 / 7, THREE, 1), Slice(None, 2 / 7, TWO, 2)])
    for member in members({}, cut, at):
        usage.join(member)
    usage.claim(Claim("pod:a", at, Workload("a"), "pod"))
    usage.hold(Holding(THREE, "pod:a", at, 1.0, "allocation"))
    assert usage.parts_ppm(Device("GPU-0", "gpu", "H100")) == {Workload("a"): 428_571}


def test_the_doctor_says_how_slices_share(tmp_path: Path) -> None:
    code = "out([f.why for f in nvml.examine(host())])"
    new, old = python(code, machine(tmp_path, Gpu(STEADY, migs=SLICES), Gpu(STEADY, arch=AMPERE, migs=SLICES)))
    assert new.endswith("its MIG slices share it by size and activity")
    assert "dcgm_url" in old
