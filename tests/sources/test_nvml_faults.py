"""What NVML refuses is a fault and never a number; one GPU's trouble is its own."""

from pathlib import Path

from tests.rig.rig import Fault, Gpu, load_constant, load_square
from tests.sources.nvml_rig import machine, of, python

STEADY = load_constant(200)

READ_UNTIL_A_FAULT = """
source = begun()
first = said(source.read(now, False))
hit = []
while not any(s["type"] == "Fault" for s in hit):
    hit = said(source.read(now, False))
    time.sleep(0.02)
after = said(source.read(now, False))
out([first, hit, after])
"""


def test_a_lost_gpu_is_gone_and_the_others_go_on(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(STEADY), Gpu(STEADY, faults=(Fault("lost", at_s=0.5),)))
    first, hit, after = python(READ_UNTIL_A_FAULT, rig)
    well, lost = (gpu.uuid for gpu in rig.gpus)
    assert len(first) == 2
    assert [(f["device_id"], f["gone"]) for f in of(hit, "Fault")] == [(lost, True)]
    assert lost in of(hit, "Fault")[0]["what"]
    assert [s["device_id"] for s in of(hit, "EnergyCounter")] == [well]
    assert [(s["type"], s["device_id"]) for s in after] == [("EnergyCounter", well)]


def test_an_unknown_error_is_passing_and_never_a_zero(tmp_path: Path) -> None:
    rig = machine(tmp_path, Gpu(STEADY), Gpu(STEADY, faults=(Fault("error", at_s=0.5, n=1, value=999),)))
    _, hit, after = python(READ_UNTIL_A_FAULT, rig)
    assert [(f["device_id"], f["gone"]) for f in of(hit, "Fault")] == [(rig.gpus[1].uuid, False)]
    assert [s["device_id"] for s in of(hit, "EnergyCounter")] == [rig.gpus[0].uuid]
    assert len(of(after, "EnergyCounter")) == 2
    assert all(s["count_uj"] > 0 for s in of(after, "EnergyCounter"))


def test_when_every_gpu_is_lost_the_source_is_gone(tmp_path: Path) -> None:
    code = """
source = begun()
told = []
try:
    while True:
        told = said(source.read(now, False)) or told
        time.sleep(0.02)
except SourceGone as gone:
    out([told, str(gone)])
"""
    told, gone = python(code, machine(tmp_path, Gpu(STEADY, faults=(Fault("lost", at_s=0.5),))))
    assert [s["gone"] for s in of(told, "Fault")] == [True]
    assert gone.startswith("nvml: every GPU is lost")


def test_a_driver_that_went_away_is_found_again_at_a_full_read(tmp_path: Path) -> None:
    code = """
source = begun()
hit = []
while not hit or hit[0]["type"] != "Fault":
    hit = said(source.read(now, False))
    time.sleep(0.02)
try:
    source.read(now, False)
    edge = ""
except SourceFailed as failed:
    edge = str(failed)
full = []
while not full:
    try:
        full = said(source.read(now, True))
    except SourceFailed:
        time.sleep(0.02)
out([hit, edge, full])
"""
    rig = machine(tmp_path, Gpu(STEADY, faults=(Fault("error", at_s=0.5, for_s=0.5, value=1),)))
    hit, edge, full = python(code, rig)
    assert [(f["device_id"], f["gone"]) for f in hit] == [(None, False)]
    assert edge.startswith("nvml: the driver went away (Uninitialized)")
    assert [s["device_id"] for s in of(full, "EnergyCounter")] == [rig.gpus[0].uuid]


def test_a_register_that_turns_out_unsupported_makes_way_for_power(tmp_path: Path) -> None:
    # Code 3 is NVML_ERROR_NOT_SUPPORTED, and only the first call after that time gets it: the register's.
    code = """
source = begun()
before = source.period_ns
told = said(source.read(now, False))
while told:
    told = said(source.read(now, False))
    time.sleep(0.02)
out([before, source.period_ns, said(source.read(now, False)), source.notes])
"""
    before, period_ns, after, notes = python(
        code, machine(tmp_path, Gpu(STEADY, faults=(Fault("error", at_s=0.5, n=1, value=3),)))
    )
    assert (before, period_ns) == (None, 20_000_000)
    assert [(s["type"], s["power_uw"], s["estimated"]) for s in after] == [("PowerGauge", 200_000_000, False)]
    assert "no energy register" in notes[0]


STUCK = """
source, seconds = begun(), Seconds()
told = []
for _ in range(60):
    told.append(said(source.read(seconds.next(), True)))
    time.sleep(0.02)
edge = said(source.read(seconds, False))
out([told, edge])
"""


def test_a_power_sensor_that_freezes_while_the_gpu_warms_up_is_not_believed(tmp_path: Path) -> None:
    frozen = Gpu(load_square(0.2, 60, 600), refresh_ms=10, faults=(Fault("stuck_power", value=46_190),))
    told, edge = python(STUCK, machine(tmp_path, frozen, Gpu(load_square(0.3, 60, 600), refresh_ms=10)))
    faults = [(second, f) for second, tick in enumerate(told) for f in of(tick, "Fault")]
    assert len(faults) == 1
    when, fault = faults[0]
    device_id = frozen.uuid or fault["device_id"]
    assert 30 <= when <= 60
    assert (fault["gone"], "stuck at 46.19 W" in fault["what"]) == (False, True)
    for tick in told[when + 1 :]:
        assert not of(tick, "EnergyCounter", device_id)
        assert all(s["estimated"] for s in of(tick, "PowerGauge", device_id))
    watts = [s["power_uw"] / 1e6 for tick in told[when:] for s in of(tick, "PowerGauge", device_id)]
    assert min(watts) >= 46.19
    assert max(watts) > 300
    assert [s["estimated"] for s in of(edge, "PowerGauge", device_id)] == [True]
    assert len(of(edge, "EnergyCounter")) == 1


def test_an_impossible_power_never_leaves_as_a_measurement(tmp_path: Path) -> None:
    mobile = Gpu(load_constant(20), limit_w=35, util_pct=50, faults=(Fault("absurd_power", value=588_000),))
    told, _ = python(STUCK, machine(tmp_path, mobile))
    gauges = [s for tick in told for s in of(tick, "PowerGauge")]
    assert gauges
    assert {(s["estimated"], s["power_uw"]) for s in gauges} == {(True, 3_500_000 + 31_500_000 // 2)}
    (fault,) = [f for tick in told for f in of(tick, "Fault")]
    assert "impossible at 588 W" in fault["what"]


def test_a_sensor_that_moves_again_is_believed_again(tmp_path: Path) -> None:
    code = """
source, seconds = begun(), Seconds()
doubted = believed = False
for _ in range(2000):
    told = said(source.read(seconds.next(), True))
    gauges = [s["estimated"] for s in told if s["type"] == "PowerGauge"]
    doubted = doubted or gauges == [True]
    believed = doubted and gauges == [False]
    if believed:
        break
    time.sleep(0.005)
out([doubted, believed, said(source.read(seconds, False))])
"""
    fault = Fault("stuck_power", for_s=3, value=46_190)
    rig = machine(tmp_path, Gpu(load_square(0.2, 60, 600), refresh_ms=10, faults=(fault,)))
    doubted, believed, edge = python(code, rig)
    assert (doubted, believed) == (True, True)
    assert [s["type"] for s in edge] == ["EnergyCounter"]
