"""What a driver or the kernel calls a thing, and the figure it gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.factors.hardware import table

H100, ANY = "NVIDIA H100 SXM 80GB", "an accelerator"
# As NVML, ROCm and Habana's libraries say them, and whose figure each gets.
KNOWN = {
    "NVIDIA H100 80GB HBM3": H100,
    "NVIDIA H100 PCIe": "NVIDIA H100 PCIe 80GB",
    "NVIDIA H100 NVL": "NVIDIA H100 NVL 94GB",
    "NVIDIA H100 80GB HBM3 MIG 1g.10gb": H100,
    "NVIDIA H200": "NVIDIA H200 SXM 141GB",
    "NVIDIA H800": "NVIDIA H800 80GB",
    "NVIDIA H20": "NVIDIA H20 96GB",
    "NVIDIA GH200 480GB": "NVIDIA GH200 96GB",
    "NVIDIA GH200 480GB module": "NVIDIA GH200 96GB",
    "NVIDIA GH200 144G HBM3e": "NVIDIA GH200 144GB",
    "NVIDIA B200": "NVIDIA B200 180GB",
    "NVIDIA B300 SXM6 AC": "NVIDIA B300 288GB",
    "NVIDIA GB200": "NVIDIA GB200 (one GPU) 186GB",
    "NVIDIA GB300": "NVIDIA GB300 (one GPU) 288GB",
    "NVIDIA A100-SXM4-40GB": "NVIDIA A100 SXM 40GB",
    "NVIDIA A100-SXM4-40GB MIG 3g.20gb": "NVIDIA A100 SXM 40GB",
    "NVIDIA A100-SXM4-80GB": "NVIDIA A100 SXM4 80GB",
    "A100-SXM-80GB": "NVIDIA A100 SXM4 80GB",
    "NVIDIA A100-PCIE-40GB": "NVIDIA A100 PCIe 40GB",
    "NVIDIA A100 80GB PCIe": "NVIDIA A100 PCIe 80GB",
    "NVIDIA A100-SXM-64GB": "NVIDIA A100 SXM 64GB",
    "NVIDIA A800-SXM4-80GB": "NVIDIA A800 80GB",
    "NVIDIA A30": "NVIDIA A30 24GB",
    "NVIDIA A10G": "NVIDIA A10",
    "NVIDIA A16": "NVIDIA A16 64GB (one of 4)",
    "NVIDIA L4": "NVIDIA L4",
    "NVIDIA L40": "NVIDIA L40 48GB",
    "NVIDIA L40S": "NVIDIA L40S 48GB",
    "Tesla T4": "NVIDIA T4",
    "Tesla V100-SXM2-16GB": "NVIDIA Tesla V100 SXM2 16GB",
    "Tesla V100-SXM3-32GB": "NVIDIA Tesla V100 SXM2 32GB",
    "Tesla V100-PCIE-32GB": "NVIDIA Tesla V100 PCIe 32GB",
    "Tesla V100S-PCIE-32GB": "NVIDIA Tesla V100S PCIe 32GB",
    "Tesla P100-PCIE-16GB": "NVIDIA P100",
    "Tesla K80": "NVIDIA Tesla K80 24GB (one of 2)",
    "NVIDIA GeForce RTX 4090": "NVIDIA GeForce RTX 4090 24GB",
    "NVIDIA GeForce GTX 1080 Ti": "NVIDIA GTX 1080 Ti",
    "NVIDIA TITAN RTX": "NVIDIA Titan RTX",
    "NVIDIA RTX A6000": "NVIDIA RTX A6000 48GB",
    "NVIDIA RTX 6000 Ada Generation": "NVIDIA RTX 6000 Ada 48GB",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "NVIDIA RTX PRO 6000 Blackwell Server Edition 96GB",
    "Orin (nvgpu)": "NVIDIA Jetson AGX Orin 64GB",
    "NVIDIA Jetson Orin Nano Developer Kit": "NVIDIA Jetson Orin NX 16GB",
    "AMD Instinct MI300X": "AMD Instinct MI300X 192GB",
    "AMD Instinct MI300A": "AMD Instinct MI300A 128GB",
    "AMD Instinct MI250X": "AMD Instinct MI250X 128GB",
    "AMD INSTINCT MI250 (MCM) OAM AC MBA": "AMD Instinct MI250 128GB",
    "AMD Instinct MI355X": "AMD Instinct MI355X 288GB",
    "AMD Radeon RX 7900 XTX": "AMD Radeon RX 7900 XTX 24GB",
    "HL-225H": "Intel Gaudi 2 96GB",
    "HL-325L": "Intel Gaudi 3 128GB",
}
# Not in the table, but of a family that is.
KIN = {
    "NVIDIA H150": H100,
    "NVIDIA GeForce RTX 2070 SUPER": "NVIDIA GeForce RTX 2080 Ti 11GB",
    "NVIDIA GeForce RTX 3080 Ti": "NVIDIA GeForce RTX 3080 10GB",
    "NVIDIA GeForce RTX 4090 Laptop GPU": "NVIDIA GeForce RTX 4090 24GB",
    "NVIDIA RTX A2000 12GB": "NVIDIA RTX A4000 16GB",
    "NVIDIA RTX PRO 4000 Blackwell": "NVIDIA RTX PRO 4500 Blackwell Server Edition 32GB",
    "Quadro RTX 8000": "NVIDIA RTX 6000 Ada 48GB",
    "GRID A100X-40C": "NVIDIA A100 SXM 40GB",
    "AMD Instinct MI308X": "AMD Instinct MI300X 192GB",
    "HL-205": "Intel Gaudi 2 96GB",
}
STRANGERS = (
    "", "   ", "TPU v5e", "Trainium2", "Apple M2 Ultra", "Intel Arc A770", "NVIDIA T1000", "NVIDIA GB10", "NVIDIA TITAN V",
    "\x00\n!",
)  # fmt: skip
PROCESSORS = {
    "Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz": "cpu-sandy-bridge",
    "Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz": "cpu-broadwell",
    "Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz": "cpu-skylake",
    "Intel(R) Xeon(R) Gold 5218R CPU @ 2.10GHz": "cpu-cascade-lake",
    "Intel(R) Xeon(R) Platinum 8480+": "cpu-sapphire-rapids",
    "Intel(R) Xeon(R) CPU Max 9480": "cpu-sapphire-rapids",
    "INTEL(R) XEON(R) PLATINUM 8592+": "cpu-emerald-rapids",
    "Intel(R) Xeon(R) 6980P": "cpu-granite-rapids",
    "AMD EPYC 7R13 Processor": "cpu-milan",
    "AMD EPYC 9654 96-Core Processor": "cpu-genoa",
    "AMD EPYC 9R14": "cpu-genoa",
    "AMD EPYC 9754 128-Core Processor": "cpu-bergamo",
    "AMD EPYC 9965 192-Core Processor": "cpu-turin",
    "AMD Ryzen 9 7950X 16-Core Processor": "cpu-ryzen",
    "AMD Ryzen Threadripper PRO 5995WX 64-Cores": "cpu-threadripper",
    "13th Gen Intel(R) Core(TM) i9-13900K": "cpu-core",
}


@pytest.mark.parametrize(("name", "model"), KNOWN.items())
def test_what_a_driver_says_finds_its_item(name: str, model: str) -> None:
    found = table.accelerator(name)
    assert found.item == model
    assert found == next(item for item in table.items().values() if item.item == model), "as the table has it"


@pytest.mark.parametrize(("name", "model"), KIN.items())
def test_one_of_a_known_family_is_like_its_nearest_and_says_so(name: str, model: str) -> None:
    found = table.accelerator(name)
    assert (found.item, found.method) == (model, "nearest")
    assert f"is not in the table: {model} stands in for it" in found.note
    assert found.high_kg >= 3 * found.kg
    assert found.low_kg <= found.kg / 3


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_is_like_any_accelerator(name: str) -> None:
    found = table.accelerator(name)
    assert (found.item, found.method) == (ANY, "class")
    assert "is not in the table" in found.note
    assert found.high_kg / found.low_kg > 100


def test_the_h100_is_nvidias_figure_within_all_that_were_published() -> None:
    found = table.accelerator("NVIDIA H100 80GB HBM3")
    assert (found.kg, found.method, found.boundary) == (164, "pcf", "cradle-to-gate")
    assert found.low_kg == pytest.approx(110, rel=0.01)
    assert found.high_kg == pytest.approx(575, rel=0.001)
    assert sorted(round(one.kg, 1) for one in table.sources("h100-sxm-80gb")) == [164, 273, 575.1]
    assert table.sources(found.item)[0].kg == 164
    assert table.accelerator("NVIDIA B200").kg == 284.25


def test_a_life_is_as_asked() -> None:
    assert table.accelerator("NVIDIA H100 80GB HBM3").life_h == 4 * 8760
    for name in ("NVIDIA H100 80GB HBM3", "NVIDIA H150", "nothing"):
        assert table.accelerator(name, life_h=8760).life_h == 8760


def test_nothing_is_found_of_an_item_that_is_not_there() -> None:
    assert table.sources("h150") == ()


@given(st.text(max_size=60) | st.tuples(st.sampled_from([*KNOWN, *KIN]), st.text(max_size=5)).map("".join))
def test_no_name_raises(name: str) -> None:
    found = table.accelerator(name)
    assert 0 < found.low_kg <= found.kg <= found.high_kg
    assert found.method in ("pcf", "published", "bottom-up", "nearest", "class")
    assert found.source
    assert "\n" not in found.note
    cpu = table.processor(name)
    assert cpu is None or cpu.kind == "cpu"


@pytest.mark.parametrize(("name", "item"), PROCESSORS.items())
def test_what_the_kernel_says_finds_its_family(name: str, item: str) -> None:
    assert table.processor(name) == table.items()[item]


@pytest.mark.parametrize("name", ["", "Neoverse-V2", "POWER10", "Intel(R) Pentium(R) 4 CPU 3.00GHz"])
def test_a_processor_of_no_family_is_none(name: str) -> None:
    assert table.processor(name) is None
