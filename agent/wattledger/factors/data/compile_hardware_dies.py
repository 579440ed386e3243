"""What accelerators and processors without a published footprint are made of: inputs of the bottom-up formulas.

Not imported by the package: ``compile_hardware.py`` makes rows of it.  Areas and memories are facts of public specifications
(makers' white papers, Hot Chips, die measurements), written down from memory and not read at their source again: the rows say so,
and the formulas' own error is larger.  "reticle": the maker has said nothing, the die is taken as large as one can be exposed
(858 mm2).
"""

from typing import NamedTuple

RETICLE = 858.0


class Made(NamedTuple):
    """An accelerator: its compute dies, its memory, and whose word the area is.  ``board``: ``card`` (the formula's default card)
    or ``small`` (a module of 0.3 kg).  ``like``: of a kin with a maker's or a measured footprint, whose item.  ``devices``: what a
    driver shows of one board as so many, which share it."""

    item: str
    names: str
    model: str
    dies_mm2: tuple[float, ...]
    memory_gb: float
    memory_dies: int
    area_of: str
    hbm: bool = False
    board: str = "card"
    like: str = ""
    devices: int = 1


HOPPER = "NVIDIA GH100 (H100 white paper)"
BLACKWELL = "as Boavizta has the B200 (2 x 800 mm2)"
GA100, GA102 = "NVIDIA GA100 (A100 white paper)", "NVIDIA GA102 (white paper)"
AD = "NVIDIA Ada (white paper)"
MI300 = "AMD CDNA 3 (8 XCD of 115 and 4 IOD of 370 mm2)"
MI300_DIES = (115.0,) * 8 + (370.0,) * 4
NV, RTX, TESLA, AMD = "NVIDIA ", "NVIDIA GeForce RTX ", "NVIDIA Tesla ", "AMD Instinct "

# fmt: off
ACCELERATORS = (
    Made("gh200", "gh200|gh200 480gb|gh200 120gb|gh200 96gb", NV + "GH200 96GB", (814,), 96, 6, HOPPER, hbm=True,
         like="h100-sxm-80gb"),
    Made("gh200-144gb", "gh200 144g|gh200 144gb", NV + "GH200 144GB", (814,), 144, 6, HOPPER, hbm=True, like="h100-sxm-80gb"),
    Made("h800", "h800|h800 80gb", NV + "H800 80GB", (814,), 80, 6, HOPPER, hbm=True, like="h100-sxm-80gb"),
    Made("h20", "h20|h20 96gb", NV + "H20 96GB", (814,), 96, 6, HOPPER, hbm=True, like="h100-sxm-80gb"),
    Made("b100", "b100", NV + "B100 192GB", (800, 800), 192, 8, BLACKWELL, hbm=True, like="b200"),
    Made("gb200", "gb200", NV + "GB200 (one GPU) 186GB", (800, 800), 186, 8, BLACKWELL, hbm=True, like="b200"),
    Made("gb300", "gb300", NV + "GB300 (one GPU) 288GB", (800, 800), 288, 8, BLACKWELL, hbm=True, like="b200"),
    Made("a800", "a800|a800 80gb", NV + "A800 80GB", (826,), 80, 6, GA100, hbm=True, like="a100-sxm-40gb"),
    Made("a100-64gb", "a100 64gb|a100 sxm 64gb|a100 sxm4 64gb", NV + "A100 SXM 64GB", (826,), 64, 4, GA100, hbm=True,
         like="a100-sxm-40gb"),
    Made("a30", "a30", NV + "A30 24GB", (826,), 24, 3, GA100, hbm=True, like="a100-sxm-40gb"),
    Made("a40", "a40", NV + "A40 48GB", (628.4,), 48, 24, GA102),
    Made("a16", "a16", NV + "A16 64GB", (200,) * 4, 64, 32, "NVIDIA GA107", devices=4),
    Made("a2", "a2", NV + "A2 16GB", (200,), 16, 8, "NVIDIA GA107", board="small"),
    Made("l40", "l40", NV + "L40 48GB", (608.5,), 48, 24, AD),
    Made("l20", "l20", NV + "L20 48GB", (608.5,), 48, 24, AD),
    Made("rtx-6000-ada", "rtx 6000 ada", NV + "RTX 6000 Ada 48GB", (608.5,), 48, 24, AD),
    Made("rtx-a6000", "a6000", NV + "RTX A6000 48GB", (628.4,), 48, 24, GA102),
    Made("rtx-a5000", "a5000", NV + "RTX A5000 24GB", (628.4,), 24, 24, GA102),
    Made("rtx-a4000", "a4000", NV + "RTX A4000 16GB", (392.5,), 16, 8, "NVIDIA GA104"),
    Made("p40", "p40", TESLA + "P40 24GB", (471,), 24, 24, "NVIDIA GP102"),
    Made("k80", "k80", TESLA + "K80 24GB", (561, 561), 24, 48, "NVIDIA GK210 (taken as GK110)", devices=2),
    Made("rtx-5090", "rtx 5090", RTX + "5090 32GB", (750,), 32, 16, "NVIDIA GB202 (white paper)"),
    Made("rtx-5080", "rtx 5080", RTX + "5080 16GB", (378,), 16, 8, "NVIDIA GB203 (white paper)"),
    Made("rtx-5070", "rtx 5070", RTX + "5070 12GB", (263,), 12, 6, "NVIDIA GB205 (white paper)"),
    Made("rtx-4090", "rtx 4090", RTX + "4090 24GB", (608.5,), 24, 12, AD),
    Made("rtx-4080", "rtx 4080", RTX + "4080 16GB", (378.6,), 16, 8, AD),
    Made("rtx-4070", "rtx 4070", RTX + "4070 12GB", (294.5,), 12, 6, AD),
    Made("rtx-4060", "rtx 4060", RTX + "4060 8GB", (158.7,), 8, 4, "NVIDIA AD107"),
    Made("rtx-3090", "rtx 3090", RTX + "3090 24GB", (628.4,), 24, 24, GA102),
    Made("rtx-3080", "rtx 3080", RTX + "3080 10GB", (628.4,), 10, 10, GA102),
    Made("rtx-3070", "rtx 3070", RTX + "3070 8GB", (392.5,), 8, 8, "NVIDIA GA104"),
    Made("rtx-3060", "rtx 3060", RTX + "3060 12GB", (276,), 12, 6, "NVIDIA GA106"),
    Made("rtx-2080-ti", "rtx 2080 ti", RTX + "2080 Ti 11GB", (754,), 11, 11, "NVIDIA TU102 (white paper)"),
    Made("jetson-agx-orin", "orin", NV + "Jetson AGX Orin 64GB", (455,), 64, 8, "NVIDIA Orin (press)", board="small"),
    Made("jetson-orin-nx", "orin nx|orin nano", NV + "Jetson Orin NX 16GB", (455,), 16, 4, "NVIDIA Orin (press)", board="small"),
    Made("jetson-agx-xavier", "xavier", NV + "Jetson AGX Xavier 32GB", (350,), 32, 8, "NVIDIA Xavier (Hot Chips 2018)",
         board="small"),
    Made("mi355x", "mi355x|mi350x|mi355|mi350", AMD + "MI355X 288GB", MI300_DIES, 288, 8, f"taken as {MI300}", hbm=True),
    Made("mi325x", "mi325x|mi325", AMD + "MI325X 256GB", MI300_DIES, 256, 8, MI300, hbm=True),
    Made("mi300a", "mi300a", AMD + "MI300A 128GB", (115,) * 6 + (71,) * 3 + (370,) * 4, 128, 8, "AMD CDNA 3 and Zen 4", hbm=True),
    Made("mi250x", "mi250x", AMD + "MI250X 128GB", (724, 724), 128, 8, "AMD CDNA 2", hbm=True),
    Made("mi250", "mi250", AMD + "MI250 128GB", (724, 724), 128, 8, "AMD CDNA 2", hbm=True),
    Made("mi210", "mi210", AMD + "MI210 64GB", (724,), 64, 4, "AMD CDNA 2", hbm=True),
    Made("mi100", "mi100", AMD + "MI100 32GB", (750,), 32, 4, "AMD CDNA", hbm=True),
    Made("mi50", "mi50|mi60", AMD + "MI50 16GB", (331,), 16, 4, "AMD Vega 20", hbm=True),
    Made("rx-7900-xtx", "rx 7900 xtx|w7900", "AMD Radeon RX 7900 XTX 24GB", (304.4,) + (37.5,) * 6, 24, 12, "AMD Navi 31"),
    Made("gaudi3", "gaudi3|gaudi 3|hl 325|hl 325l|hl 328|hl 338", "Intel Gaudi 3 128GB", (RETICLE, RETICLE), 128, 8, "reticle",
         hbm=True),
    Made("gaudi2", "gaudi2|gaudi 2|hl 225|hl 225h|hl 225b|hl 225c", "Intel Gaudi 2 96GB", (RETICLE,), 96, 6, "reticle", hbm=True),
)


class Silicon(NamedTuple):
    """A family of processors: ``names`` are patterns over the folded model name, ``mm2`` the largest part's silicon, all dies
    together, which has ``cores``."""

    item: str
    names: str
    model: str
    mm2: float
    cores: int
    how: str = ""


METAL = "(platinum|gold|silver|bronze)"
PROCESSORS = (
    Silicon("cpu-sandy-bridge", r"e5 \d{4}l?( 0\b|$)", "Intel Xeon E5 (Sandy Bridge)", 416, 8),
    Silicon("cpu-ivy-bridge", r"e[57] \d{4}l? v2", "Intel Xeon E5 v2 (Ivy Bridge)", 541, 15),
    Silicon("cpu-haswell", r"e[57] \d{4}[al]? v3", "Intel Xeon E5 v3 (Haswell)", 662, 18),
    Silicon("cpu-broadwell", r"e[57] \d{4}[al]? v4", "Intel Xeon E5 v4 (Broadwell)", 456, 24),
    Silicon("cpu-skylake", rf"{METAL} [86543]1\d\d", "Intel Xeon Scalable 1 (Skylake)", 694, 28),
    Silicon("cpu-cascade-lake", rf"{METAL} [86543]2\d\d", "Intel Xeon Scalable 2 (Cascade Lake)", 694, 28),
    Silicon("cpu-ice-lake", rf"{METAL} [86543]3\d\d", "Intel Xeon Scalable 3 (Ice Lake)", 640, 40, "about"),
    Silicon("cpu-sapphire-rapids", rf"{METAL} [86543]4\d\d|max 94\d\d", "Intel Xeon Scalable 4 (Sapphire Rapids)", 1600, 60,
            "4 x 400"),
    Silicon("cpu-emerald-rapids", rf"{METAL} [86543]5\d\d", "Intel Xeon Scalable 5 (Emerald Rapids)", 1526, 64, "2 x 763"),
    Silicon("cpu-granite-rapids", r"xeon (6 )?6\d\d\dp", "Intel Xeon 6 P (Granite Rapids)", 2276, 128, "3 x 598 + 2 x 241"),
    Silicon("cpu-sierra-forest", r"xeon (6 )?6\d\d\de", "Intel Xeon 6 E (Sierra Forest)", 1060, 144, "578 + 2 x 241"),
    Silicon("cpu-naples", r"epyc 7\w\d1", "AMD EPYC 1 (Naples)", 852, 32, "4 x 213"),
    Silicon("cpu-rome", r"epyc 7\w\d2", "AMD EPYC 2 (Rome)", 1008, 64, "8 x 74 + 416"),
    Silicon("cpu-milan", r"epyc 7\w\d3", "AMD EPYC 3 (Milan)", 1061.6, 64, "8 x 80.7 + 416"),
    Silicon("cpu-genoa", r"epyc 9[0-6a-z]\d4", "AMD EPYC 4 (Genoa)", 1192.6, 96, "12 x 66.3 + 397"),
    Silicon("cpu-bergamo", r"epyc 97\d4", "AMD EPYC 4 dense (Bergamo)", 978.6, 128, "8 x 72.7 + 397"),
    Silicon("cpu-turin", r"epyc 9\w\d5", "AMD EPYC 5 (Turin)", 1555.6, 128, "16 x 70.6 + 426"),
    Silicon("cpu-ryzen", r"ryzen (?!threadripper)", "AMD Ryzen (Zen 3 and 4)", 286.4, 16, "2 x 80.7 + 125"),
    Silicon("cpu-threadripper", r"threadripper", "AMD Ryzen Threadripper (Zen 3 and 4)", 1061.6, 64, "as EPYC 3"),
    Silicon("cpu-core", r"core (i\d|ultra|\d)|intel core", "Intel Core (Alder and Raptor Lake)", 257, 24),
)
# fmt: on
