"""Who used a GPU and who held it, as NVML lists them."""

from pathlib import Path

import pytest
from tests.rig.rig import Gpu, Process, load_constant
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


AGENT = """
source, seconds = nvml.open(host(roots=())), Seconds()
told = []
for there in {looks}:
    runs(*there)
    told.append(said(source.read(seconds.next(), True)))
out(told)
"""


def test_who_came_and_went_between_two_looks_keeps_its_time(tmp_path: Path) -> None:
    looks = "([(0, 41, 50)], [(0, 41, 20), (0, 42, 60, 'ended')], [(0, 41, 20)])"
    first, second, third = python(AGENT.format(looks=looks), machine(tmp_path, Gpu(STEADY, refresh_ms=0)))
    assert held(first) == {"pid:41": 1.0}
    assert held(second) == held(third) == {}
    assert used(second) == {"pid:41": (SECOND_NS // 5, "sm_ns"), "pid:42": (SECOND_NS * 3 // 5, "sm_ns")}
    # Its use is differenced, so it begins with nothing at the look before.
    begins = [(s["at"]["mono_ns"], s["used"]) for s in of(second, "Activity") if s["who"] == "pid:42"]
    assert begins == [(SECOND_NS, 0), (2 * SECOND_NS, SECOND_NS * 3 // 5)]
    assert set(used(third)) == {"pid:41"}


def test_who_came_and_went_on_an_empty_gpu_is_not_called_idle(tmp_path: Path) -> None:
    looks = "([], [(0, 42, 30, 'ended')], [])"
    _, second, third = python(AGENT.format(looks=looks), machine(tmp_path, Gpu(STEADY, refresh_ms=0)))
    assert used(second) == {"pid:42": (SECOND_NS * 3 // 10, "sm_ns")}
    assert used(third) == {"(idle)": (SECOND_NS, "idle_ns")}


def test_the_last_of_a_process_may_be_told_a_look_late(tmp_path: Path) -> None:
    looks = "([(0, 41, 50)], [(0, 41, 50)], [(0, 41, 50, 'ended')], [(0, 41, 10, 'ended')])"
    *_, third, fourth = python(AGENT.format(looks=looks), machine(tmp_path, Gpu(STEADY, refresh_ms=0)))
    assert held(third) == {"pid:41": 0.0}
    assert used(third)["pid:41"] == (SECOND_NS, "sm_ns")
    assert used(fourth)["pid:41"] == (SECOND_NS * 11 // 10, "sm_ns")


def test_a_program_alone_on_its_gpu_asks_for_no_samples(tmp_path: Path) -> None:
    crowd = (Process(pid=41, sm_pct=20), Process(pid=42, sm_pct=60, ended=True))
    _, second, _ = python(TWO_LOOKS.format(host=""), machine(tmp_path, Gpu(STEADY, refresh_ms=0, processes=crowd)))
    assert used(second) == {"pid:41": (SECOND_NS, "context_ns")}


def test_samples_from_before_the_last_look_are_not_counted(tmp_path: Path) -> None:
    # Alone until the second look, so that nobody asked for samples; all there are were taken before it.
    code = """
source = nvml.open(host())
runs((0, 41, 50))
source.read(now, True), source.read(now, True)
runs((0, 41, 0), (0, 42, 0), (0, 43, 90, 'ended'))
out(said(source.read(now, True)))
"""
    told = python(code, machine(tmp_path, Gpu(STEADY, refresh_ms=3_600_000)))
    assert {(s["who"], s["unit"]) for s in of(told, "Activity")} == {("pid:41", "context_ns"), ("pid:42", "context_ns")}


def test_the_clients_of_shared_contexts_share_what_they_did_together(tmp_path: Path) -> None:
    (tmp_path / "proc/40").mkdir(parents=True)
    (tmp_path / "proc/40/comm").write_text("nvidia-cuda-mps\n")
    crowd = (Process(pid=40, sm_pct=50), Process(pid=41, sm_pct=90, client=True), Process(pid=42, sm_pct=60, client=True))
    where = f"procfs={str(tmp_path / 'proc')!r}"
    rig = machine(tmp_path, Gpu(STEADY, refresh_ms=0, processes=crowd))
    first, second, _ = python(TWO_LOOKS.format(host=where), rig)
    assert held(first) == {"pid:41": 0.5, "pid:42": 0.5}
    # 150 % of one GPU: the clients' kernels overlap.  The server's own percent is theirs too, and not told apart.
    assert used(second) == {"pid:41": (SECOND_NS * 3 // 5, "sm_ns"), "pid:42": (SECOND_NS * 2 // 5, "sm_ns")}


def test_clients_whose_use_is_told_of_the_server_only_share_equally(tmp_path: Path) -> None:
    (tmp_path / "proc/40").mkdir(parents=True)
    (tmp_path / "proc/40/comm").write_text("nvidia-cuda-mps\n")
    crowd = (Process(pid=40, sm_pct=50), Process(pid=41, client=True), Process(pid=42, client=True))
    where = f"procfs={str(tmp_path / 'proc')!r}"
    rig = machine(tmp_path, Gpu(STEADY, refresh_ms=0, processes=crowd))
    _, second, _ = python(TWO_LOOKS.format(host=where), rig)
    assert used(second) == dict.fromkeys(("pid:41", "pid:42"), (SECOND_NS // 2, "context_ns"))


def test_an_agent_that_cannot_match_pids_names_nobody_and_says_so(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(STEADY, processes=(Process(pid=4_000_000),)))
    first, second, notes = python(TWO_LOOKS.format(host="roots=(), pids_match=False"), rig)
    assert not of(first + second, "Activity")
    assert not of(first + second, "Holding")
    assert len(of(first + second, "EnergyCounter")) == 2
    assert "nobody is said to use a GPU" in notes[0]


def test_more_processes_than_there_was_room_for_are_all_seen(tmp_path: Path) -> None:
    looks = "([(0, pid, 1) for pid in range(100, 160)], [(0, pid, 1) for pid in range(100, 160)])"
    crowd = tuple(Process(pid=pid, sm_pct=1) for pid in range(200, 204))
    first, second = python(AGENT.format(looks=looks), machine(tmp_path, Gpu(STEADY, refresh_ms=0, processes=crowd)))
    assert len(held(first)) == 64
    assert {who: ns for who, (ns, _) in used(second).items()} == dict.fromkeys(held(first), SECOND_NS // 100)
