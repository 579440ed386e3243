"""The rig's own laws, NVML on a shared node: slices and their monitor, who has ended, who shares, what comes and goes."""

from pathlib import Path

import pytest
from tests.rig.probe import NVML, ask
from tests.rig.rig import AMPERE, Fault, Gpu, Mig, NoCompiler, Process, Rig, boottime_ns, build, load_constant

STEADY = load_constant(200)
GPM = """
def sample(gi, gpu=0):
    s = p.nvmlGpmSampleAlloc()
    return p.nvmlGpmMigSampleGet(gpus[gpu], gi, s)
def busy(first, second, metric=1):
    q = p.c_nvmlGpmMetricsGet_t(version=p.NVML_GPM_METRICS_GET_VERSION, numMetrics=1, sample1=first, sample2=second)
    q.metrics[0].metricId = metric
    p.nvmlGpmMetricsGet(q)
    return [q.metrics[0].nvmlReturn, q.metrics[0].value]
"""


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    try:
        build()
    except NoCompiler as reason:
        pytest.skip(str(reason))


def test_two_samples_of_the_monitor_tell_how_busy_an_instance_was(tmp_path: Path) -> None:
    crowd = (Process(11, sm_pct=30, gi=3), Process(12, sm_pct=40, gi=3), Process(13, sm_pct=90, gi=5))
    gpu = Gpu(STEADY, migs=(Mig(3, 2, 19_968, "MIG-a"), Mig(5, 1, 9_856, "MIG-b")), processes=crowd)
    got = ask(Rig(gpus=(gpu,)).write(tmp_path), NVML, GPM, """
first = {gi: sample(gi) for gi in (3, 5)}
second = {gi: sample(gi) for gi in (3, 5)}
print(json.dumps([p.nvmlGpmQueryDeviceSupport(gpus[0]).isSupportedDevice, [busy(first[gi], second[gi]) for gi in (3, 5)],
    busy(first[3], second[3], 999)[0], seen(lambda: busy(second[3], first[3]))[1], seen(lambda: sample(4))[1]]))
for s in (*first.values(), *second.values()):
    p.nvmlGpmSampleFree(s)""")  # fmt: skip
    bad = "NVMLError_InvalidArgument:"
    assert got == [1, [[0, pytest.approx(70)], [0, pytest.approx(90)]], 3, bad, bad]


def test_the_monitor_is_as_the_architecture_has_it_or_as_declared(tmp_path: Path) -> None:
    cut = (Mig(3, 2, 19_968, "MIG-a"),)
    old, denied = Gpu(STEADY, arch=AMPERE, migs=cut), Gpu(STEADY, gpm_code=4, migs=cut)
    got = ask(
        Rig(gpus=(old, denied)).write(tmp_path),
        NVML,
        GPM,
        """print(json.dumps([
    [p.nvmlGpmQueryDeviceSupport(g).isSupportedDevice, seen(lambda: sample(3, i))[1]] for i, g in enumerate(gpus)]))""",
    )
    assert got == [[0, "NVMLError_NotSupported:"], [1, "NVMLError_NoPermission:"]]


def test_one_that_has_ended_is_in_no_list_but_its_samples_are_kept(tmp_path: Path) -> None:
    crowd = (Process(11, sm_pct=30), Process(12, sm_pct=40, ended=True), Process(13, sm_pct=20, client=True))
    got = ask(
        Rig(gpus=(Gpu(STEADY, processes=crowd),)).write(tmp_path),
        NVML,
        """print(json.dumps([
    [q.pid for q in p.nvmlDeviceGetComputeRunningProcesses(gpus[0])],
    [q.pid for q in p.nvmlDeviceGetMPSComputeRunningProcesses(gpus[0])],
    [[s.pid, s.smUtil] for s in p.nvmlDeviceGetProcessUtilization(gpus[0], 0)]]))""",
    )
    assert got == [[11], [13], [[11, 30], [12, 40], [13, 20]]]


def test_a_board_that_is_plugged_in_is_seen_by_an_nvml_that_starts_later(tmp_path: Path) -> None:
    for lead_s in (1, 4, 16, 64):  # a busy machine may start the reader only after the board is there
        gpus = (Gpu(STEADY), Gpu(STEADY, plugged_s=lead_s))
        rig = Rig(gpus=gpus, epoch_ns=boottime_ns()).write(tmp_path)
        got = ask(
            rig,
            NVML,
            f"""
uuid = {rig.gpus[1].uuid!r}
before = [p.nvmlDeviceGetCount(), seen(lambda: p.nvmlDeviceGetHandleByUUID(uuid))[1], now()]
while now() < {rig.epoch_ns + lead_s * 10**9}: time.sleep(0.05)
running = p.nvmlDeviceGetCount()
p.nvmlShutdown(), p.nvmlInit()
new = p.nvmlDeviceGetHandleByIndex(1)
print(json.dumps([before, running, p.nvmlDeviceGetCount(), p.nvmlDeviceGetUUID(new) == uuid]))""",
        )
        if got[0][2] < rig.epoch_ns + lead_s * 10**9:
            break
    assert got[0][:2] == [1, "NVMLError_NotFound:"]
    assert got[1:] == [1, 2, True]


def test_what_fell_off_the_bus_stays_lost_until_nvml_starts_anew(tmp_path: Path) -> None:
    rig = Rig(gpus=(Gpu(STEADY, faults=(Fault("lost", 0, for_s=1.5),)),), epoch_ns=boottime_ns()).write(tmp_path)
    got = ask(
        rig,
        f"""
import pynvml as p
p.nvmlInit()
lost = lambda: seen(lambda: p.nvmlDeviceGetUUID(p.nvmlDeviceGetHandleByIndex(0)))[1]
first, at = lost(), now()
while now() < {rig.epoch_ns} + 1.5e9: time.sleep(0.05)
second = lost()
p.nvmlShutdown(), p.nvmlInit()
print(json.dumps([at < {rig.epoch_ns} + 1.5e9, first, second, lost()]))""",
    )
    if not got[0]:
        pytest.skip("this machine was too busy to start the reader before the board was back")
    assert got[1:] == ["NVMLError_GpuIsLost:", "NVMLError_GpuIsLost:", rig.gpus[0].uuid]


def test_slices_come_and_go(tmp_path: Path) -> None:
    was, will_be = Mig(1, 3, 40_000, "MIG-a", to_s=0.001), Mig(3, 1, 9_000, "MIG-c", from_s=9999)
    cut = (was, Mig(2, 2, 20_000, "MIG-b", compute_slices=1), will_be)
    got = ask(
        Rig(gpus=(Gpu(STEADY, migs=cut),)).write(tmp_path),
        NVML,
        """
time.sleep(0.01)
only = p.nvmlDeviceGetMigDeviceHandleByIndex(gpus[0], 0)
size = p.nvmlDeviceGetAttributes(only)
print(json.dumps([p.nvmlDeviceGetUUID(only), size.gpuInstanceSliceCount, size.computeInstanceSliceCount,
    seen(lambda: p.nvmlDeviceGetMigDeviceHandleByIndex(gpus[0], 1))[1],
    [seen(lambda: p.nvmlDeviceGetHandleByUUID(u))[1] for u in ("MIG-a", "MIG-c")]]))""",
    )
    assert got == ["MIG-b", 2, 1, "NVMLError_NotFound:", ["NVMLError_NotFound:"] * 2]
