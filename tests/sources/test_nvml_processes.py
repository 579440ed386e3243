"""Who used a GPU and who held it, as NVML lists them."""

from pathlib import Path

import pytest
from tests.rig.rig import Gpu, Mig, Process, load_constant
from tests.sources.nvml_rig import machine, of, python

STEADY = load_constant(200)
SECOND_NS = 10**9

TWO_LOOKS = """
source, seconds = nvml.open(host({host})), Seconds()
first = said(source.read(seconds.next(), True))
second = said(source.read(seconds.next(), True))
out([first, second, source.notes])
"""


def used(told: list[dict[str, object]]) -> dict[object, tuple[object, object]]:
    return {s["who"]: (s["used"], s["unit"]) for s in of(told, "Activity")}


def held(told: list[dict[str, object]]) -> dict[object, object]:
    return {s["who"]: s["part"] for s in of(told, "Holding")}


def test_one_context_has_all_the_time_and_holds_the_gpu(tmp_path: Path) -> None:
    first, second, _ = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY, processes=(Process(pid=41),))))
    assert (used(first), held(first)) == ({"pid:41": (0, "context_ns")}, {"pid:41": 1.0})
    assert (used(second), held(second)) == ({"pid:41": (SECOND_NS, "context_ns")}, {})


def test_several_contexts_share_by_what_the_multiprocessors_did(tmp_path: Path) -> None:
    crowd = (Process(pid=41, sm_pct=20), Process(pid=42, sm_pct=60), Process(pid=43, sm_pct=0))
    first, second, _ = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY, refresh_ms=0, processes=crowd)))
    assert held(first) == {f"pid:{pid}": pytest.approx(1 / 3) for pid in (41, 42, 43)}
    assert used(second) == {"pid:41": (SECOND_NS // 5, "sm_ns"), "pid:42": (SECOND_NS * 3 // 5, "sm_ns")}


def test_overlapping_kernels_never_use_more_than_the_gpu_has(tmp_path: Path) -> None:
    crowd = (Process(pid=41, sm_pct=90), Process(pid=42, sm_pct=90))
    _, second, _ = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY, refresh_ms=0, processes=crowd)))
    assert {who: ns for who, (ns, _) in used(second).items()} == {"pid:41": SECOND_NS // 2, "pid:42": SECOND_NS // 2}


def test_a_gpu_without_contexts_is_said_to_be_idle(tmp_path: Path) -> None:
    first, second, _ = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY)))
    assert (used(second), held(first) | held(second)) == ({"(idle)": (SECOND_NS, "idle_ns")}, {})


def test_who_leaves_lets_go_and_is_paid_to_the_end(tmp_path: Path) -> None:
    code = """
source, seconds = nvml.open(host()), Seconds()
told = []
for there in ([(0, 41, 50)], [(0, 41, 50), (0, 42, 0)], [(0, 42, 0)], []):
    runs(*there)
    told.append(said(source.read(seconds.next(), True)))
out(told)
"""
    alone, joined, left, empty = python(code, machine(tmp_path, Gpu(STEADY, refresh_ms=0)))
    assert held(alone) == {"pid:41": 1.0}
    assert held(joined) == {"pid:41": 0.5, "pid:42": 0.5}
    assert held(left) == {"pid:41": 0.0, "pid:42": 1.0}
    assert held(empty) == {"pid:42": 0.0}
    assert used(joined)["pid:41"] == (SECOND_NS // 2, "sm_ns")
    # Nobody reports SM use of the one who left, nor did the other compute: contexts are counted, half for each end.
    assert used(left) == {
        "pid:41": (SECOND_NS // 2 + SECOND_NS // 4, "context_ns"),
        "pid:42": (SECOND_NS // 4 + SECOND_NS // 2, "context_ns"),
    }
    assert used(empty)["pid:42"] == (SECOND_NS * 7 // 4, "context_ns")


def test_in_a_pid_namespace_the_run_uses_and_holds_what_it_sees(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(STEADY, processes=(Process(pid=4_000_000),)), Gpu(STEADY))
    first, second, notes = python(TWO_LOOKS.format(host="roots=(7,), pids_match=False"), rig)
    assert [(s["who"], s["part"]) for s in of(first, "Holding")] == [("pid:7", 1.0)] * 2
    assert [(s["who"], s["used"]) for s in of(second, "Activity")] == [("pid:7", SECOND_NS)] * 2
    assert notes[0].startswith("PID namespace")


def test_the_server_of_shared_contexts_and_watchers_hold_nothing(tmp_path: Path) -> None:
    for pid, name in ((41, "nvidia-cuda-mps"), (42, "nv-hostengine"), (43, "python3")):
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        (tmp_path / "proc" / str(pid) / "comm").write_text(f"{name}\n")
    crowd = tuple(Process(pid=pid) for pid in (41, 42, 43))
    where = f"procfs={str(tmp_path / 'proc')!r}"
    first, _, _ = python(TWO_LOOKS.format(host=where), machine(tmp_path, Gpu(STEADY, processes=crowd)))
    assert held(first) == {"pid:43": 1.0}


def test_mig_slices_share_by_their_size_and_the_free_rest_is_nobodys(tmp_path: Path) -> None:
    slices = (Mig(1, 3, 40_000, "MIG-00000000-0000-5000-8000-000000000001"),
              Mig(2, 2, 20_000, "MIG-00000000-0000-5000-8000-000000000002"))  # fmt: skip
    crowd = (Process(pid=41, gi=1), Process(pid=42, gi=2), Process(pid=43, gi=2))
    first, second, _ = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY, migs=slices, processes=crowd)))
    parts = {"pid:41": 3 / 7, "pid:42": 1 / 7, "pid:43": 1 / 7}
    assert held(first) == pytest.approx(parts)
    assert {who: ns for who, (ns, _) in used(second).items()} == pytest.approx(
        {who: part * SECOND_NS for who, part in parts.items()}, abs=2
    )
