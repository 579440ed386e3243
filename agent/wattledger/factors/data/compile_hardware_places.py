"""Which thing each row of ``hardware_embodied.csv`` is a figure of.

Not imported by the package: ``compile_hardware.py`` makes rows of it.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """Where a row of the sheet goes: its item, kind, names, whether it is the item's default, how it was got."""

    item: str
    kind: str
    method: str
    keys: str = ""
    default: bool = False
    hbm: bool = False
    model: str = ""
    like: str = ""  # a kin's item: this figure is kept, and the default is the kin's, scaled
    devices: int = 1  # that a driver shows of one board: the figure is shared out


A100, H100, B200 = "a100-sxm-40gb", "h100-sxm-80gb", "b200"
B = "boavizta."
# fmt: off
PLACES = {
    "nvidia.hgx_h100": Place("hgx-h100", "board", "pcf", "hgx h100", True),
    "nvidia.hgx_b200": Place("hgx-b200", "board", "pcf", "hgx b200", True),
    "nvidia.h100_share": Place(H100, "accelerator", "pcf", "h100|h100 sxm|h100 sxm5|h100 80gb", True, True, "NVIDIA H100 SXM 80GB"),
    "ecologits.gpu": Place(H100, "accelerator", "published"),
    B + "nvidia_h100_sxm_80gb": Place(H100, "accelerator", "bottom-up"),
    "nvidia.b200_share": Place(B200, "accelerator", "pcf", "b200|b200 180gb", True, True, "NVIDIA B200 180GB"),
    B + "nvidia_b200_180gb": Place(B200, "accelerator", "bottom-up"),
    "falk.a100_sxm_40": Place(A100, "accelerator", "published", "a100|a100 sxm4|a100 sxm4 40gb|a100 40gb", True, True),
    "chien.a100": Place(A100, "accelerator", "published"),
    B + "nvidia_a100_sxm4_40gb": Place(A100, "accelerator", "bottom-up"),
    B + "nvidia_a100_sxm4_80gb": Place("a100-sxm-80gb", "accelerator", "bottom-up", "a100 80gb|a100 sxm4 80gb|a100 sxm 80gb",
                                       hbm=True, like=A100),
    "bloom.gpu": Place("a100-sxm-80gb", "accelerator", "published"),
    B + "nvidia_a100_pcie_40gb": Place("a100-pcie-40gb", "accelerator", "bottom-up", "a100 pcie|a100 pcie 40gb", hbm=True,
                                       like=A100),
    B + "nvidia_a100_pcie_80gb": Place("a100-pcie-80gb", "accelerator", "bottom-up", "a100 pcie 80gb|a100 80gb pcie", hbm=True,
                                       like=A100),
    B + "nvidia_h100_pcie_80gb": Place("h100-pcie-80gb", "accelerator", "bottom-up", "h100 pcie|h100 pcie 80gb", hbm=True,
                                       like=H100),
    B + "nvidia_h100_nvl_94gb": Place("h100-nvl-94gb", "accelerator", "bottom-up", "h100 nvl|h100 94gb|h100 nvl 94gb", hbm=True,
                                      like=H100),
    B + "nvidia_h200_sxm_141gb": Place("h200-141gb", "accelerator", "bottom-up", "h200|h200 141gb|h200 nvl|h200 143gb", hbm=True,
                                       like=H100),
    B + "nvidia_b300_288gb": Place("b300", "accelerator", "bottom-up", "b300|b300 288gb|b300 275gb", hbm=True, like=B200),
    B + "amd_instinct_mi300x_192gb": Place("mi300x", "accelerator", "bottom-up", "mi300x|mi300", True, True),
    B + "nvidia_p100": Place("p100", "accelerator", "bottom-up", "p100|p100 16gb", True, True),
    B + "nvidia_l4": Place("l4", "accelerator", "bottom-up", "l4", True),
    B + "nvidia_l40s_48gb": Place("l40s", "accelerator", "bottom-up", "l40s", True),
    B + "nvidia_t4": Place("t4", "accelerator", "bottom-up", "t4|t4g", True),
    B + "nvidia_a10": Place("a10", "accelerator", "bottom-up", "a10|a10g", True),
    B + "nvidia_tesla_p4": Place("p4", "accelerator", "bottom-up", "p4", True),
    B + "nvidia_tesla_m60": Place("m60", "accelerator", "bottom-up", "m60", True, devices=2),
    B + "nvidia_tesla_v100_sxm2_16gb": Place("v100-sxm2-16gb", "accelerator", "bottom-up",
                                           "v100|v100 sxm2|v100 sxm2 16gb|v100 16gb", True, True),
    B + "nvidia_tesla_v100_sxm2_32gb": Place("v100-sxm2-32gb", "accelerator", "bottom-up",
                                           "v100 32gb|v100 sxm2 32gb|v100 sxm3 32gb|v100 dgxs 32gb", True, True),
    B + "nvidia_tesla_v100_pcie_16gb": Place("v100-pcie-16gb", "accelerator", "bottom-up", "v100 pcie|v100 pcie 16gb", True, True),
    B + "nvidia_tesla_v100_pcie_32gb": Place("v100-pcie-32gb", "accelerator", "bottom-up", "v100 pcie 32gb", True, True),
    B + "nvidia_tesla_v100s_pcie_32gb": Place("v100s-pcie-32gb", "accelerator", "bottom-up", "v100s", True, True),
    B + "nvidia_gtx_1080_ti": Place("gtx-1080-ti", "accelerator", "bottom-up", "gtx 1080 ti", True),
    B + "nvidia_titan_rtx": Place("titan-rtx", "accelerator", "bottom-up", "titan rtx", True),
    B + "nvidia_rtx_a4500": Place("rtx-a4500", "accelerator", "bottom-up", "a4500", True),
    B + "nvidia_quadro_rtx_5000": Place("quadro-rtx-5000", "accelerator", "bottom-up", "quadro rtx 5000", True),
    B + "nvidia_rtx_pro_6000_blackwell_server_edition_96gb": Place("rtx-pro-6000", "accelerator", "bottom-up",
                                                                     "rtx pro 6000", True),
    B + "nvidia_rtx_pro_4500_blackwell_server_edition_32gb": Place("rtx-pro-4500", "accelerator", "bottom-up",
                                                                     "rtx pro 4500", True),
    B + "amd_radeon_pro_v710": Place("radeon-pro-v710", "accelerator", "bottom-up", "v710", True),
    B + "amd_radeon_pro_v520": Place("radeon-pro-v520", "accelerator", "bottom-up", "v520", True),
    B + "amd_radeon_pro_v620": Place("radeon-pro-v620", "accelerator", "bottom-up", "v620", True),
    B + "amd_radeon_instinct_mi25": Place("mi25", "accelerator", "bottom-up", "mi25", True, True),
    "bloom.server": Place("server", "server", "published"),
    "ecologits.server": Place("server", "server", "published"),
    "ccf.base": Place("server", "server", "published"),
    "ademe.server": Place("server", "server", "published"),
    B + "inst.dellR740": Place("server", "server", "bottom-up"),
    B + "inst.platform_compute_medium": Place("server", "server", "bottom-up"),
    B + "inst.p5.48xlarge": Place("p5.48xlarge", "instance", "bottom-up", "p5.48xlarge", True),
    B + "inst.p4d.24xlarge": Place("p4d.24xlarge", "instance", "bottom-up", "p4d.24xlarge", True),
    B + "inst.p3dn.24xlarge": Place("p3dn.24xlarge", "instance", "bottom-up", "p3dn.24xlarge", True),
    B + "inst.m5.xlarge": Place("m5.xlarge", "instance", "bottom-up", "m5.xlarge", True),
    B + "hdd": Place("hdd", "hdd", "bottom-up", "hdd", True),
    B + "rack_case": Place("chassis-rack", "chassis", "bottom-up", "rack", True),
    B + "blade_case": Place("chassis-blade", "chassis", "bottom-up", "blade", True),
    B + "motherboard": Place("board", "board", "bottom-up", "board", True),
    B + "assembly": Place("assembly", "assembly", "bottom-up", "assembly", True),
}
# fmt: on
# Rows that are figures of no one thing: constants of a formula (they stand in bottom_up.py), and what a square centimetre took.
LEFT_OUT = {B + part for part in ("cpu_die", "cpu_base", "ram_die", "ram_base", "ssd_die", "ssd_base", "psu")}
LEFT_OUT |= {"llmcarbon.cpa_a100", "llmcarbon.cpa_h100"}
