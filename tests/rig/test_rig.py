"""The rig's own laws, NVML: what the real pynvml reads is the truth, or exactly the lie that was asked for.

Each reading is bracketed by two looks at the clock in the process that reads, so nothing here depends on timing.
"""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rig.probe import NVML, ask
from tests.rig.rig import (
    Fault,
    Gpu,
    Load,
    Mig,
    NoCompiler,
    Process,
    Rig,
    Zone,
    boottime_ns,
    build,
    load_burst,
    load_constant,
    load_square,
)

ROOT = Path(__file__).parents[2]
SQUARE = load_square(0.3, 80, 600)


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    try:
        build()
    except NoCompiler as reason:
        pytest.skip(str(reason))


def energies_mj(rig: Rig, uuid: str, before_ns: int, after_ns: int) -> set[int]:
    """What a counter without faults may say between two moments: the truth at its refresh points."""
    points = (rig.refreshed_ns(uuid, t) for t in (before_ns, after_ns))
    return {rig.truth_uj(uuid, rig.epoch_ns, t) // 1000 for t in points}


# The truth.

loads = st.builds(
    Load,
    st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 10**9)), min_size=1, max_size=5).map(tuple),
    st.booleans(),
)
times = st.integers(-(10**9), 10**11)


@given(loads, times, times, times)
def test_windows_sum_to_the_window_they_cover(load: Load, a: int, b: int, c: int) -> None:
    start, middle, end = sorted((a, b, c))
    rig = Rig(zones=(Zone("intel-rapl:0", "package-0", load),), epoch_ns=0)
    parts = rig.truth_uj("intel-rapl:0", start, middle) + rig.truth_uj("intel-rapl:0", middle, end)
    assert parts == rig.truth_uj("intel-rapl:0", start, end)


@given(loads, st.integers(0, 10**4))
def test_energy_grows_by_the_power_of_the_step(load: Load, t_ns: int) -> None:
    total_ns, elapsed = sum(d for d, _ in load.steps), t_ns
    if load.repeat:
        elapsed = t_ns % total_ns
    for duration_ns, power_uw in load.steps:  # noqa: B007 - the step that holds at `elapsed` is what the loop finds
        if elapsed < duration_ns:
            break
        elapsed -= duration_ns
    assert load.energy_fj(t_ns + 1) - load.energy_fj(t_ns) == power_uw


def test_a_burst_is_its_own_joules_above_the_floor() -> None:
    rig = Rig(gpus=(Gpu(load_burst(1, 0.4, 50, 450)),), epoch_ns=0)
    assert rig.truth_uj(rig.gpus[0].uuid, 0, 3 * 10**9) == 3 * 50_000_000 + 160_000_000


# NVML, through the real pynvml.


def test_eight_counters_equal_the_truth_at_their_refresh_points(tmp_path: Path) -> None:
    gpus = tuple(Gpu(load_square(0.01 * (i + 1), 70, 500 + i), phase_ms=11 * i) for i in range(8))
    rig = Rig(gpus=gpus).write(tmp_path)
    for uuid, *rounds in ask(rig, NVML, """print(json.dumps([
        [p.nvmlDeviceGetUUID(g), *(seen(lambda: energy(g)) for _ in range(50))] for g in gpus]))"""):
        for before_ns, mj, after_ns in rounds:
            assert mj in energies_mj(rig, uuid, before_ns, after_ns)


def test_power_is_the_mean_over_its_window(tmp_path: Path) -> None:
    gpu = Gpu(SQUARE, usage_window_ms=300, instant_window_ms=0, refresh_ms=0)
    rig = Rig(gpus=(gpu,), epoch_ns=boottime_ns() - 10**9).write(tmp_path)
    usage_mw, (code, instant_mw) = ask(rig, NVML, "print(json.dumps([power(gpus[0]), field(gpus[0], 186)]))")
    assert (usage_mw, code) == (340_000, 0)
    assert instant_mw in (80_000, 600_000)


def test_what_a_board_lacks_is_not_supported(tmp_path: Path) -> None:
    plain = Gpu(load_constant(30), counter=False, usage_window_ms=None, average_window_ms=None)
    answers = ask(Rig(gpus=(plain,)).write(tmp_path), NVML, """print(json.dumps([
        seen(lambda: energy(gpus[0]))[1], seen(lambda: power(gpus[0]))[1],
        field(gpus[0], 185)[0], field(gpus[0], 83)[0], field(gpus[0], 186, 1)[0], field(gpus[0], 186)]))""")
    assert answers == ["NVMLError_NotSupported:", "NVMLError_NotSupported:", 3, 3, 3, [0, 30_000]]


def test_scopes_are_meters_of_their_own(tmp_path: Path) -> None:
    gpu = Gpu(load_constant(500), module=load_constant(800), memory=load_constant(80))
    got = ask(Rig(gpus=(gpu,)).write(tmp_path), NVML, "print(json.dumps([field(gpus[0], 186, s) for s in range(4)]))")
    assert got == [[0, 500_000], [0, 800_000], [0, 80_000], [3, 0]]


def test_identity_is_what_was_declared(tmp_path: Path) -> None:
    rig = Rig(gpus=(Gpu(load_constant(1), name="NVIDIA A100-PCIE-40GB", arch=7, limit_w=250, temp_c=41, util_pct=7),))
    got = ask(rig.write(tmp_path), NVML, """
g = p.nvmlDeviceGetHandleByUUID(p.nvmlDeviceGetUUID(gpus[0]))
print(json.dumps([p.nvmlDeviceGetName(g), p.nvmlDeviceGetArchitecture(g), p.nvmlDeviceGetEnforcedPowerLimit(g),
    p.nvmlDeviceGetTemperature(g, 0), p.nvmlDeviceGetTemperatureV(g, 0), p.nvmlDeviceGetUtilizationRates(g).gpu,
    p.nvmlDeviceGetIndex(g), p.nvmlDeviceGetPciInfo(g).busId, p.nvmlSystemGetDriverVersion(),
    p.nvmlDeviceGetMemoryInfo(g).total, p.nvmlDeviceGetMemoryInfo(g, p.nvmlMemory_v2).total]))""")
    assert got == ["NVIDIA A100-PCIE-40GB", 7, 250_000, 41, 41, 7, 0, "00000000:10:00.0", "580.95.05", *[80 << 30] * 2]


def test_processes_come_and_go_with_the_control_file(tmp_path: Path) -> None:
    rig = Rig(gpus=(Gpu(SQUARE, processes=(Process(4242, sm_pct=30, mem_bytes=5),)), Gpu(SQUARE))).write(tmp_path)
    code = """
util = lambda g: sorted((s.pid, s.smUtil) for s in p.nvmlDeviceGetProcessUtilization(g, 0))
resident = lambda g: [(q.pid, q.usedGpuMemory) for q in p.nvmlDeviceGetComputeRunningProcesses(g)]
print(json.dumps([os.getpid(), [resident(g) for g in gpus], *(seen(lambda: util(g))[1] for g in gpus)]))"""
    assert ask(rig, NVML, code)[1:] == [[[[4242, 5]], []], [[4242, 30]], "NVMLError_NotFound:"]
    rig.processes({0: [Process(sm_pct=60, mem_bytes=6)]})
    pid, resident, util, _ = ask(rig, NVML, code)
    assert resident == [[[4242, 5], [pid, 6]], []]
    assert util == sorted([[4242, 30], [pid, 60]])


def test_a_sample_is_not_given_twice(tmp_path: Path) -> None:
    rig = Rig(gpus=(Gpu(SQUARE, refresh_ms=3_600_000, processes=(Process(7, sm_pct=9),)),)).write(tmp_path)
    got = ask(rig, NVML, """first = p.nvmlDeviceGetProcessUtilization(gpus[0], 0)[0]
print(json.dumps(seen(lambda: p.nvmlDeviceGetProcessUtilization(gpus[0], first.timeStamp))[1]))""")
    assert got == "NVMLError_NotFound:"


def test_mig_slices_share_a_board_that_alone_has_sensors(tmp_path: Path) -> None:
    migs = (Mig(3, 2, 19_968, "MIG-a"), Mig(5, 1, 9_856, "MIG-b"))
    gpu = Gpu(SQUARE, migs=migs, processes=(Process(11, gi=3), Process(12, gi=5)))
    got = ask(Rig(gpus=(gpu,)).write(tmp_path), NVML, """
slices = [p.nvmlDeviceGetMigDeviceHandleByIndex(gpus[0], i) for i in range(2)]
board = p.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slices[1])
print(json.dumps([p.nvmlDeviceGetMigMode(gpus[0]), p.nvmlDeviceGetUUID(board) == p.nvmlDeviceGetUUID(gpus[0]),
    [[p.nvmlDeviceGetUUID(s), p.nvmlDeviceGetGpuInstanceId(s), p.nvmlDeviceGetAttributes(s).gpuInstanceSliceCount,
      [q.pid for q in p.nvmlDeviceGetComputeRunningProcesses(s)]] for s in slices],
    [[q.pid, q.gpuInstanceId] for q in p.nvmlDeviceGetComputeRunningProcesses(gpus[0])],
    seen(lambda: power(slices[0]))[1], seen(lambda: p.nvmlDeviceGetProcessUtilization(gpus[0], 0))[1],
    seen(lambda: p.nvmlDeviceGetMigDeviceHandleByIndex(gpus[0], 2))[1]]))""")
    assert got == [[1, 1], True, [["MIG-a", 3, 2, [11]], ["MIG-b", 5, 1, [12]]], [[11, 3], [12, 5]],
                   "NVMLError_NotSupported:", "NVMLError_NotSupported:", "NVMLError_NotFound:"]  # fmt: skip


def test_a_lost_gpu_answers_nothing_and_its_neighbour_everything(tmp_path: Path) -> None:
    rig = Rig(gpus=(Gpu(SQUARE), Gpu(SQUARE, faults=(Fault("lost", 0.0),)))).write(tmp_path)
    got = ask(rig, """
import pynvml as p
p.nvmlInit()
print(json.dumps([seen(lambda i=i: p.nvmlDeviceGetUUID(p.nvmlDeviceGetHandleByIndex(i)))[1] for i in range(2)]))""")
    assert got == [rig.gpus[0].uuid, "NVMLError_GpuIsLost:"]


def test_an_error_lasts_for_its_number_of_calls(tmp_path: Path) -> None:
    gpu = Gpu(load_constant(100), faults=(Fault("error", n=2, value=999), Fault("absurd_power", n=1, value=588_000)))
    rig = Rig(gpus=(gpu,)).write(tmp_path)
    got = ask(rig, NVML, "print(json.dumps([seen(lambda: power(gpus[0]))[1] for _ in range(4)]))")
    assert got == ["NVMLError_Unknown:", "NVMLError_Unknown:", 588_000, 100_000]


def test_a_reset_counter_grows_on_from_its_new_value(tmp_path: Path) -> None:
    gpu = Gpu(SQUARE, start_mj=10**9, faults=(Fault("reset", 0, value=7), Fault("reset", 3600, value=9)))
    rig = Rig(gpus=(gpu,)).write(tmp_path)
    before_ns, mj, after_ns = ask(rig, NVML, "print(json.dumps(seen(lambda: energy(gpus[0]))))")
    assert mj - 7 in energies_mj(rig, rig.gpus[0].uuid, before_ns, after_ns)


def test_a_stuck_sensor_repeats_itself_while_the_truth_goes_on(tmp_path: Path) -> None:
    gpu = Gpu(SQUARE, refresh_ms=0, faults=(Fault("stuck_power", value=46_190), Fault("stuck_energy")))
    rig = Rig(gpus=(gpu,)).write(tmp_path)
    got = ask(rig, NVML, "print(json.dumps([[power(gpus[0]), energy(gpus[0])] for _ in range(9)]))")
    assert got == [[46_190, 0]] * 9


def test_a_hung_call_returns_when_the_driver_does(tmp_path: Path) -> None:
    rig = Rig(gpus=(Gpu(SQUARE, faults=(Fault("hang", 0, for_s=0.7),)),)).write(tmp_path)
    _, _, after_ns = ask(rig, NVML, "print(json.dumps(seen(lambda: power(gpus[0]))))")
    assert after_ns >= rig.epoch_ns + 700_000_000


def test_a_slow_driver_takes_its_time(tmp_path: Path) -> None:
    rig = Rig(gpus=(Gpu(SQUARE, latency_us=20_000),)).write(tmp_path)
    before_ns, _, after_ns = ask(rig, NVML, "print(json.dumps(seen(lambda: power(gpus[0]))))")
    assert after_ns - before_ns >= 20_000_000


def test_one_process_may_visit_several_rigs(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.rig.rig import Gpu, Rig, load_constant
import pynvml as p
for n in (1, 3):
    with Rig(gpus=(Gpu(load_constant(5)),) * n).write(Path({str(tmp_path)!r}, str(n))).activate():
        p.nvmlInit(); print(p.nvmlDeviceGetCount()); p.nvmlShutdown()"""
    assert Rig().write(tmp_path).run([sys.executable, "-c", code], env={"LD_LIBRARY_PATH": ""}).split() == ["1", "3"]
