"""NVML through the real pynvml against simulated GPUs whose true energy is known."""

from pathlib import Path

import pytest
from tests.rig.rig import HOPPER, VOLTA, Fault, Gpu, Mig, load_constant, load_square
from tests.sources.nvml_rig import machine, of, python

BUSY = load_square(0.2, 100, 500)

FULL_AND_EDGE = """
source = nvml.open(host())
full, edge = said(source.read(now, True)), said(source.read(now, False))
devices = [d._asdict() for d in source.devices()]
out([full, edge, devices, source.period_ns, source.notes])
"""


def test_a_register_says_what_was_truly_drawn(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(BUSY), Gpu(load_constant(77.7), start_mj=5_000_000, phase_ms=30))
    full, edge, *_ = python(FULL_AND_EDGE, rig)
    for gpu, start_uj in zip(rig.gpus, (0, 5_000_000_000), strict=True):
        for read in (full, edge):
            (counter,) = of(read, "EnergyCounter", gpu.uuid)
            at_ns = counter["at"]["mono_ns"]
            # Stamped right before the call: the register may have moved once in between, not more.
            since = [rig.refreshed_ns(gpu.uuid, at_ns + late_ns) for late_ns in (0, 100_000_000)]
            truth_uj = [start_uj + rig.truth_uj(gpu.uuid, rig.epoch_ns, ns) for ns in since]
            assert truth_uj[0] - 1000 <= counter["count_uj"] <= truth_uj[1]
            assert counter["range_uj"] is None


def test_an_edge_reads_registers_and_nothing_else(tmp_path: Path) -> None:
    full, edge, *_ = python(FULL_AND_EDGE, machine(tmp_path, Gpu(BUSY), Gpu(BUSY)))
    assert [s["type"] for s in edge] == ["EnergyCounter", "EnergyCounter"]
    assert len(of(full, "PowerGauge")) == 2


def test_a_device_says_its_limits_and_its_lag(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(BUSY, name="NVIDIA H100", limit_w=700), Gpu(BUSY, arch=VOLTA, limit_w=250))
    *_, devices, period_ns, notes = python(FULL_AND_EDGE, rig)
    assert [d["id"] for d in devices] == [g.uuid for g in rig.gpus]
    assert [d["cap_uw"] for d in devices] == [910_000_000, 325_000_000]
    assert [d["refresh_ns"] for d in devices] == [100_000_000, 20_000_000]
    assert [d["inside"] for d in devices] == [None, None]
    assert (period_ns, notes) == (None, [])


def test_a_card_without_a_register_is_polled(tmp_path: Path) -> None:
    old = Gpu(load_constant(60), name="Tesla P100", arch=4, counter=False, instant_window_ms=None, usage_window_ms=10)
    full, edge, devices, period_ns, notes = python(FULL_AND_EDGE, machine(tmp_path, old, Gpu(BUSY)))
    assert period_ns == 20_000_000
    assert "Tesla P100" in notes[0]
    for read in (full, edge):
        assert [s["power_uw"] for s in of(read, "PowerGauge", devices[0]["id"])] == [60_000_000]
        assert not of(read, "EnergyCounter", devices[0]["id"])


def test_the_instant_power_is_preferred_to_the_average_of_a_second(tmp_path: Path) -> None:
    quick = Gpu(load_square(0.02, 100, 500), refresh_ms=1, instant_window_ms=0, usage_window_ms=1000)
    full, *_ = python(FULL_AND_EDGE, machine(tmp_path, quick))
    (power_uw,) = [s["power_uw"] for s in of(full, "PowerGauge")]
    assert power_uw in (100_000_000, 500_000_000)  # the average of a second is 300 W


def test_a_grace_hopper_register_is_the_module_and_the_gpu_lies_inside(tmp_path: Path) -> None:
    module = Gpu(load_constant(700), name="NVIDIA GH200 480GB", arch=HOPPER, module=load_constant(700))
    full, edge, devices, _, notes = python(FULL_AND_EDGE, machine(tmp_path, module))
    (whole, gpu) = devices
    assert (whole["kind"], whole["inside"]) == ("accelerator", None)
    assert (gpu["kind"], gpu["inside"]) == ("gpu", whole["id"])
    assert {s["device_id"] for s in of(full + edge, "EnergyCounter")} == {whole["id"]}
    assert {s["device_id"] for s in of(full, "PowerGauge")} == {gpu["id"]}
    assert {s["device_id"] for s in of(full, "Activity")} == {whole["id"]}
    assert "whole module" in notes[0]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [("1", [1]), ("{1}", [1]), ("MIG-c7384736-0000-5000-8000-000000000001", [0]), ("1,9,0", [1])],
)
def test_only_visible_gpus_are_read(tmp_path: Path, listed: str, expected: list[int]) -> None:
    half = Mig(1, 3, 40_000, "MIG-c7384736-0000-5000-8000-000000000001")
    rig = machine(tmp_path, Gpu(BUSY, migs=(half,)), Gpu(BUSY))
    uuids = [gpu.uuid for gpu in rig.gpus]
    *_, devices, _, _ = python(FULL_AND_EDGE, rig, {"CUDA_VISIBLE_DEVICES": listed.format(*uuids)})
    assert [d["id"] for d in devices] == [uuids[index] for index in expected]


def test_nothing_visible_is_said_in_one_line(tmp_path: Path) -> None:
    code = """
try:
    nvml.open(host())
except SourceGone as gone:
    out([str(gone), [f._asdict() for f in nvml.examine(host())]])
"""
    said, findings = python(code, machine(tmp_path, Gpu(BUSY)), {"CUDA_VISIBLE_DEVICES": ""})
    assert said.startswith("nvml: every GPU is hidden")
    assert [f["state"] for f in findings] == ["absent"]


def test_without_a_driver_pynvml_is_never_imported() -> None:
    code = """
import ctypes
try:
    ctypes.CDLL("libnvidia-ml.so.1")
    real = True
except OSError:
    real = False
try:
    nvml.open(host())
    gone = ""
except SourceGone as error:
    gone = str(error)
out([real, gone, "pynvml" in sys.modules, [f._asdict() for f in nvml.examine(host())]])
"""
    real, gone, imported, findings = python(code)
    if real:
        pytest.skip("this machine has an NVIDIA driver")
    assert gone.startswith("nvml: no libnvidia-ml.so.1 here")
    assert not imported
    assert [(f["state"], "driver" in f["remedy"]) for f in findings] == [("absent", True)]


def test_the_doctor_names_each_gpu_and_how_it_is_read(tmp_path: Path) -> None:
    old = Gpu(load_constant(60), name="Tesla P100", arch=4, counter=False)
    code = "out([f._asdict() for f in nvml.examine(host(pids_match=False))])"
    register, power, processes = python(code, machine(tmp_path, Gpu(BUSY), old))
    assert (register["state"], register["why"]) == ("usable", "energy register")
    assert (power["state"], "no energy register" in power["why"]) == ("usable", True)
    assert (processes["state"], "--pid=host" in processes["remedy"]) == ("estimate", True)


def test_a_source_can_be_closed_and_opened_again(tmp_path: Path) -> None:
    code = """
for _ in range(2):
    source = nvml.open(host())
    last = said(source.read(now, False))
    source.close()
out(last)
"""
    assert [s["type"] for s in python(code, machine(tmp_path, Gpu(BUSY)))] == ["EnergyCounter"]


def test_a_gpu_that_is_lost_from_the_start_does_not_hide_the_others(tmp_path: Path) -> None:
    *_, devices, _, notes = python(FULL_AND_EDGE, machine(tmp_path, Gpu(BUSY, faults=(Fault("lost"),)), Gpu(BUSY)))
    assert len(devices) == 1
    assert "GPU 0 cannot be read: GPU is lost" in notes
