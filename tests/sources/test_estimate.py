"""What no sensor covers: a model's answer, of the part that is ours, and it says that it is one."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from wattledger.core.model import IdleFloor, Instant, PowerGauge
from wattledger.core.ports import Host, SourceFailed, SourceGone
from wattledger.sources import estimate, procfs
from wattledger.sources.estimate import table

S = 1_000_000_000


class Load(NamedTuple):
    busy_ns: int
    cpus: float
    all_cpus: int
    memory_bytes: int


def cpuinfo(name: str, *, cpus: int, sockets: int = 1, family: int = 6, model: int = 106, flags: str = "fpu") -> str:
    vendor = "AuthenticAMD" if "AMD" in name else "GenuineIntel"
    return "\n".join(
        f"processor\t: {n}\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {name}\n"
        f"stepping\t: 6\nphysical id\t: {n % sockets}\ncore id\t\t: {n // sockets // 2}\nflags\t\t: {flags}\n"
        for n in range(cpus)
    )


def make(base: Path, text: str, *, cpus: int, gb: int = 64) -> None:
    proc = base / "proc"
    proc.mkdir()
    (proc / "cpuinfo").write_text(text)
    (proc / "meminfo").write_text(f"MemTotal: {gb * 10**9 // 1024} kB\nMemFree: 1 kB\nMemAvailable: 1 kB\n")
    busy(base, 0, cpus)


def busy(base: Path, ticks: int, cpus: int) -> None:
    each = "".join(f"cpu{n} {ticks // cpus} 0 0 0 0 0 0 0 0 0\n" for n in range(cpus))
    (base / "proc" / "stat").write_text(f"cpu  {ticks} 0 0 0 0 0 0 5 0 0\n{each}")


def host(base: Path, roots: tuple[int, ...] = (), **options: object) -> Host:
    return Host(str(base / "sys"), str(base / "proc"), {}, roots, True, options)


def loads(*busy_s: float, cpus: float = 4, all_cpus: int = 4, gb: int = 64) -> Iterator[Load]:
    return (Load(int(s * S), cpus, all_cpus, gb * S) for s in busy_s)


def watts(source: estimate.Estimate, at_s: float, device: str = "cpu") -> float:
    found = [
        s.power_uw
        for s in source.read(lambda: Instant(int(at_s * S), 0), full=True)
        if isinstance(s, PowerGauge) and s.device.id == device and s.estimated
    ]
    assert len(found) == 1
    return found[0] / 1e6


ICELAKE = "Intel(R) Xeon(R) Platinum 8358 CPU @ 2.60GHz"


def test_bare_metal_follows_the_tdp_of_all_sockets(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=4, sockets=2), cpus=4)
    source = estimate.open(host(tmp_path))
    assert watts(source, 0) == pytest.approx(500 * 0.12)
    busy(tmp_path, 200, 4)  # 2 CPU-seconds of 4 possible
    assert watts(source, 1) == pytest.approx(500 * 0.75)
    busy(tmp_path, 1000, 4)
    assert watts(source, 3) == pytest.approx(500 * 1.02)
    assert source.devices()[0].model == ICELAKE


def test_the_first_answer_is_the_idle_one_and_names_its_floor(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=4), cpus=4)
    busy(tmp_path, 10**6, 4)  # work from before we looked is not ours to price
    source = estimate.open(host(tmp_path))
    samples = list(source.read(lambda: Instant(0, 0), full=True))
    assert IdleFloor("cpu", "empty", 30_000_000, None, 0) in samples
    assert not [s for s in source.read(lambda: Instant(S, 0), full=True) if isinstance(s, IdleFloor)]


def test_a_guest_is_charged_by_virtual_cpu_and_microarchitecture(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=4, sockets=2, flags="fpu hypervisor"), cpus=4)
    source = estimate.open(host(tmp_path))
    one = table.virtual_cpu("ice lake")
    assert one.idle_w is not None
    assert watts(source, 0) == pytest.approx(4 * one.idle_w, abs=1e-5)
    busy(tmp_path, 400, 4)
    assert watts(source, 1) == pytest.approx(4 * one.max_w, abs=1e-5)
    assert "ice lake class" in source.notes[0]


def test_epyc_turin_has_a_stand_in_and_says_so(tmp_path: Path) -> None:
    text = cpuinfo("AMD EPYC", cpus=2, family=26, model=2, flags="fpu hypervisor")
    make(tmp_path, text, cpus=2)
    source = estimate.open(host(tmp_path))
    assert "2 vCPUs, epyc 5th gen class, by the figures of epyc 4th gen" in source.notes[0]
    assert 1 < watts(source, 0) < 3


def test_an_unknown_guest_gets_the_median_and_says_so() -> None:
    rating = table.virtual_cpu(None)
    assert rating.how.startswith("unknown class, median of ")
    assert table.virtual_cpu("epyc 2nd gen").max_w < rating.max_w < table.virtual_cpu("sandy bridge").max_w


def test_a_nameless_processor_is_charged_by_its_cores(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo("", cpus=4), cpus=4)
    source = estimate.open(host(tmp_path))
    assert "unknown name" in source.notes[0]
    assert watts(source, 0) == pytest.approx(2 * 14.4 * 0.12)


def test_a_container_is_charged_its_part_at_the_load_within_it(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=128, sockets=2), cpus=128, gb=512)
    given_load = loads(0, 2, cpus=2, all_cpus=128, gb=4)
    first = next(given_load)
    answers = iter([first, first, *given_load])
    source = estimate.open(host(tmp_path, load=lambda: next(answers)))
    cpu, dram = source.devices()
    assert cpu.model == f"{ICELAKE} (2 of 128 cpus)"
    assert watts(source, 0) == pytest.approx(2 / 128 * 500 * 0.12)
    assert watts(source, 2) == pytest.approx(2 / 128 * 500 * 0.75)  # half of its two CPUs, however busy the host is
    assert dram.model == "4 GB"


def test_procfs_tells_the_model_the_containers_limits(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=128, sockets=2), cpus=128, gb=512)
    proc, group = tmp_path / "proc", tmp_path / "sys" / "fs" / "cgroup"
    (proc / "7").mkdir()
    (proc / "7" / "cgroup").write_text("0::/\n")
    (proc / "self").mkdir()
    (proc / "self" / "mountinfo").write_text("30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    group.mkdir(parents=True)
    for name, text in {"cpu.max": "200000 100000", "memory.max": "4000000000", "cpu.stat": "usage_usec 0"}.items():
        (group / name).write_text(text + "\n")
    place = host(tmp_path, roots=(7,))
    source = estimate.open(place._replace(options={"load": procfs.load(place)}))
    assert watts(source, 0) == pytest.approx(2 / 128 * 500 * 0.12)
    (group / "cpu.stat").write_text("usage_usec 1000000\n")
    busy(tmp_path, 10**6, 128)
    assert watts(source, 1) == pytest.approx(2 / 128 * 500 * 0.75)
    assert watts(source, 2, "dram") == pytest.approx(4 * 0.284)


def test_only_what_no_sensor_covers_is_modelled(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=4), cpus=4)
    source = estimate.open(host(tmp_path, measured=frozenset({"cpu"})))
    assert [d.id for d in source.devices()] == ["dram"]
    assert len(source.notes) == 1
    assert watts(source, 0, "dram") == pytest.approx(64 * 0.284, rel=1e-3)
    with pytest.raises(SourceGone, match="nothing is left to model"):
        estimate.open(host(tmp_path, measured=frozenset({"cpu", "dram"})))


def test_configured_watts_override_the_table(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=4), cpus=4)
    source = estimate.open(host(tmp_path, cpu_max_w=102, cpu_idle_w=20, dram_w_per_gb=0.5))
    assert watts(source, 0) == pytest.approx(20)
    busy(tmp_path, 400, 4)
    assert watts(source, 1) == pytest.approx(102)
    assert watts(source, 2, "dram") == pytest.approx(32, rel=1e-3)
    assert "configured" in source.notes[0]


def test_a_bad_option_is_named(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=4), cpus=4)
    with pytest.raises(SourceFailed, match="cpu_max_w must be a number of watts, not 'much'"):
        estimate.open(host(tmp_path, cpu_max_w="much"))


def test_a_model_draws_at_most_what_its_own_interval_allows_and_claims_no_refresh(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=4), cpus=4)
    source = estimate.open(host(tmp_path, cpu_max_w=100.0, cpu_idle_w=20.0))
    assert [(d.kind, d.cap_uw, d.inside) for d in source.devices()] == [("cpu", 180_000_000, None), ("dram", None, None)]


def test_the_doctor_hears_that_it_is_an_estimate(tmp_path: Path) -> None:
    make(tmp_path, cpuinfo(ICELAKE, cpus=4), cpus=4)
    findings = list(estimate.examine(host(tmp_path)))
    assert [(f.sensor, f.state) for f in findings] == [("cpu", "estimate"), ("dram", "estimate")]
    (tmp_path / "proc" / "stat").unlink()
    assert [f.state for f in estimate.examine(host(tmp_path))] == ["absent"]


def test_without_proc_a_load_handed_in_is_enough(tmp_path: Path) -> None:
    answers = iter([Load(0, 8, 8, 16 * S)] * 2 + [Load(8 * S, 8, 8, 16 * S)])
    source = estimate.open(host(tmp_path, load=lambda: next(answers)))
    assert 0 < watts(source, 0) < watts(source, 1)
