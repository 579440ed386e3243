"""Ratings by name, virtual CPUs by microarchitecture, and the shape between idle and full load."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.sources.estimate import compile_cpu_power, table
from wattledger.sources.estimate.power import SERVER_CURVE, TDP_CURVE, CpuModel, interpolate, parse_cpuinfo


@given(load=st.floats(-1, 2), more=st.floats(0, 1))
def test_more_load_never_draws_less_and_stays_between_idle_and_full(load: float, more: float) -> None:
    for curve in (TDP_CURVE, SERVER_CURVE):
        model = CpuModel(10.0, 90.0, curve, "")
        assert 10 <= model.watts(load) <= model.watts(load + more) <= 90.0000001


@pytest.mark.parametrize("curve", [TDP_CURVE, SERVER_CURVE])
def test_a_curve_goes_through_its_points(curve: tuple[tuple[float, float], ...]) -> None:
    assert [interpolate(curve, x) for x, _ in curve] == pytest.approx([y for _, y in curve])


@pytest.mark.parametrize(
    ("name", "tdp_w"),
    [
        ("Intel(R) Xeon(R) CPU E5-2650 v2 @ 2.60GHz", 95),
        ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", 115),
        ("Intel(R) Xeon(R) CPU E3-1240 V2 @ 3.40GHz", 69),
        ("AMD EPYC 7763 64-Core Processor", 280),
        ("11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", 28),
        ("AMD Ryzen 7 5800H with Radeon Graphics", 45),
        ("AMD Ryzen Threadripper PRO 5975WX 32-Cores", 280),
        ("INTEL(R) XEON(R) PLATINUM 8592+", 350),
        ("AMD Opteron(tm) Processor 6272", 115),
        ("Apple M2 Pro", 35),
    ],
)
def test_a_kernels_name_finds_the_tables_row(name: str, tdp_w: float) -> None:
    rating = table.processor(name)
    assert rating is not None
    assert (rating.max_w, rating.how) == (tdp_w, "rated")
    assert rating.origin
    assert rating.licence


def test_an_unlisted_part_gets_the_median_of_its_relatives() -> None:
    rating = table.processor("AMD EPYC 9R45")
    assert rating is not None
    assert rating.how.startswith("median of ")
    assert 100 < rating.max_w < 500


@pytest.mark.parametrize("name", ["AMD EPYC", "", "Common KVM processor", "Intel Xeon Processor (Skylake, IBRS)"])
def test_a_name_that_says_nothing_finds_nothing(name: str) -> None:
    assert table.processor(name) is None


@pytest.mark.parametrize(
    ("cpuid", "family"),
    [
        (("AuthenticAMD", 26, 2, 1), "epyc 5th gen"),
        (("AuthenticAMD", 25, 1, 1), "epyc 3rd gen"),
        (("AuthenticAMD", 25, 17, 1), "epyc 4th gen"),
        (("GenuineIntel", 6, 85, 4), "skylake"),
        (("GenuineIntel", 6, 85, 7), "cascade lake"),
        (("GenuineIntel", 6, 143, 8), "sapphire rapids"),
        (("ARM", 0, 0xD40, 0), "graviton3"),
        (("GenuineIntel", 15, 6, 1), None),
    ],
)
def test_a_microarchitecture_is_read_from_cpuid(cpuid: tuple[str, int, int, int], family: str | None) -> None:
    assert table.microarchitecture(*cpuid) == family


def test_an_arm_is_known_by_implementer_and_part() -> None:
    text = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"
    processor = parse_cpuinfo(text, 2)
    assert (processor.vendor, processor.model, processor.sockets, processor.cores) == ("ARM", 0xD0C, 1, 2)


def test_every_row_says_whose_figure_it_is_and_that_it_may_ship() -> None:
    lines = [line for line in Path(table.TABLE).read_text().splitlines() if not line.startswith("#")][1:]
    assert len(lines) > 4000
    keys = set()
    for line in lines:
        key, max_w, _, origin, licence = line.split(",")
        keys.add(key)
        assert float(max_w) > 0
        assert origin in compile_cpu_power.ORIGINS
        assert licence in compile_cpu_power.MAY_SHIP.values()
    assert len(keys) == len(lines)


def test_the_table_takes_only_what_may_ship_and_the_trusted_of_two() -> None:
    blank = {"idle_watts": "", "watts_per_core": "", "note": ""}
    rows = [
        {"name": "Xeon E5-2650", "kind": "cpu", "tdp_watts": "105", "source": "ark", "licence": "mlco2/impact MIT"},
        {"name": "Intel Xeon E5-2650", "kind": "cpu", "tdp_watts": "95.0", "source": "codecarbon", "licence": "MIT"},
        {"name": "Secret 9", "kind": "cpu", "tdp_watts": "1", "source": "x", "licence": "AGPL-3.0"},
        {"name": "H100", "kind": "gpu", "tdp_watts": "700", "source": "x", "licence": "MIT"},
        {"name": "6140", "kind": "cpu", "tdp_watts": "115", "source": "codecarbon", "licence": "MIT"},
    ]
    clouds = [
        {
            "name": f"{c}: Skylake per vCPU",
            "kind": "cpu_vcpu",
            "tdp_watts": w,
            "idle_watts": "1",
            "licence": "Apache-2.0",
        }
        for c, w in (("aws", "3"), ("gcp", "5"), ("azure", "4"))
    ]
    assert compile_cpu_power.compile_rows([blank | row for row in rows + clouds]) == [
        "vcpu skylake,4,1,CCF/SPECpower 2026-03,Apache-2.0",
        "xeon e5-2650,95,,CodeCarbon 3.3.2 (2026),MIT",
    ]
