"""Writes ``cpu_power.csv`` from the project's sheet of hardware ratings; run by hand when the sheet changes.

    python -m wattledger.sources.estimate.compile_cpu_power SHEET.csv

Only rows whose licence lets them ship are taken, keyed as the look-up will ask for them; one row a key, by order of
trust.
"""

import csv
import statistics
import sys
from collections.abc import Iterable, Mapping

from wattledger.sources.estimate.table import TABLE, core_key, normalise

MAY_SHIP = {
    "MIT": "MIT",
    "mlco2/impact MIT": "MIT",
    "Apache-2.0": "Apache-2.0",
    "Green Algorithms CC BY 4.0": "CC-BY-4.0",
}
# The largest sheet first: where two differ on a part (E5-2650: 95 or 105 W), it is the one that agrees with the maker.
ORIGINS = ("CodeCarbon 3.3.2 (2026)", "Green Algorithms (2023)", "mlco2/impact (2023)", "CCF/SPECpower 2026-03")
IMPLAUSIBLE = {"epyc 5th gen"}
HEAD = """\
# Rated power of processors (TDP of one socket, W) and of virtual CPUs (W each at full load, and idle).
# Made by compile_cpu_power.py; keys as table.normalise() makes them.
# Boundary: TDP is the processor alone. "vcpu ..." are medians over clouds of Cloud Carbon Footprint's coefficients from
# SPECpower, which meters whole servers at the wall (board, fans, their memory included), divided by threads.
# "core of ...": median W per core of Green Algorithms' rows with up to 8, up to 16 and more cores.
# The year stands in the origin.
# Left out: vcpu EPYC 5th gen, 8.96 W and idle 3.68 W: 4 times its predecessor and 3 times the TDP per thread of the
# fastest 64-core part of its line (EPYC 9575F: 400 W, 128 threads); a sample of small servers, then, not of a cloud's.
"""


def compile_rows(sheet: Iterable[Mapping[str, str]]) -> list[str]:
    found: dict[str, tuple[int, str]] = {}
    clouds: dict[str, list[tuple[float, float]]] = {}
    per_core: dict[str, list[float]] = {}
    for row in sheet:
        licence = MAY_SHIP.get(row["licence"])
        if licence is None:
            continue
        if row["kind"] == "cpu_vcpu":
            name = row["name"].partition(": ")[2].removesuffix(" per vCPU").lower()
            clouds.setdefault(name, []).append((float(row["tdp_watts"]), float(row["idle_watts"])))
        elif row["kind"] == "cpu":
            key, trust = normalise(row["name"]), _trust(row)
            if row["tdp_watts"].count(".") > 1 or not float(row["tdp_watts"]):
                # "27.29.5": which of its two readings is right nobody can tell; and a zero means unknown.
                print(f"left out: {row['name']} {row['tdp_watts']}", file=sys.stderr)
                continue
            if row["watts_per_core"]:
                watts = float(row["watts_per_core"])
                per_core.setdefault(core_key(round(float(row["tdp_watts"]) / watts)), []).append(watts)
            # A bare number ("6140") names an Opteron, an Athlon or nothing: no kernel would ask for it.
            if key and not key[0].isdigit() and (key not in found or trust < found[key][0]):
                found[key] = trust, f"{key},{float(row['tdp_watts']):g},,{ORIGINS[trust]},{licence}"
    lines = [line for _, line in found.values()]
    for name, figures in clouds.items():
        if name not in IMPLAUSIBLE:
            most, idle = (statistics.median(column) for column in zip(*figures, strict=True))
            lines.append(f"vcpu {name},{most:.4g},{idle:.4g},{ORIGINS[3]},Apache-2.0")
    lines += (f"{key},{statistics.median(watts):g},,{ORIGINS[1]},CC-BY-4.0" for key, watts in per_core.items())
    return sorted(lines)


def _trust(row: Mapping[str, str]) -> int:
    if row["source"].startswith("codecarbon"):
        return 0
    return 1 if row["licence"].startswith("Green") else 2


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        lines = compile_rows(csv.DictReader(line for line in file if not line.startswith("#")))
    with open(TABLE, "w", encoding="utf-8", newline="\n") as out:
        out.write(HEAD + "key,max_w,idle_w,origin,licence\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
