"""What sealing and verifying cost, and how small a sealed fact is.

    python -m tests.bench.seal [WORKLOADS DEVICES MINUTES]

A part of a day of one node (default 100 workloads on 16 devices, 120 minutes: 192,000 energy facts, and a work fact a workload and
minute): bytes per fact sealed and open, facts a second and peak memory (MB, of a process that does nothing else) of the seal, and
of `verify` over the segment and over the open part.
"""

import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from wattledger.core.facts import EnergyFact, Key, WorkFact
from wattledger.ledger.manifest import manifests
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store
from wattledger.ledger.verify import verify

DAY_S = 86_400
MIDNIGHT_S = 1_790_000_000 // DAY_S * DAY_S
LABELS = (("k8s_namespace_name", "team-a"), ("user", "u-5f3a9c"))


def keys(workloads: int, devices: int) -> list[list[Key]]:
    """Every workload uses every device."""
    of = Key("agent:node-17/4f1c2a", "node-17.cluster.example", "DE", 1180)
    return [
        [of._replace(device=f"GPU-{d:08x}-9d3f-4a5b-8c21-00aa{d:08x}", component="gpu", device_model="NVIDIA H100 80GB HBM3",
                     method="counter", use="active", run=f"slurm-9-{4711 + w}", job=f"train-{w}", model="llm-70b", labels=LABELS)
         for d in range(devices)]
        for w in range(workloads)
    ]  # fmt: skip


def day(workloads: int, devices: int, minutes: int) -> Iterator[tuple[int, list[EnergyFact | WorkFact]]]:
    """(when it is recorded, a minute's facts): energies as a counter gives them, up to 700 W a device, few a bit less."""
    chance, all_keys = random.Random(1), keys(workloads, devices)
    parts = [[chance.random() ** 2 for _ in range(devices)] for _ in range(workloads)]
    for minute in range(minutes):
        start_s = MIDNIGHT_S + 60 * minute
        watts = [chance.uniform(90, 700) for _ in range(devices)]
        seen = [60_000 if chance.random() < 0.97 else 60_000 - chance.randrange(2_000) for _ in range(devices)]
        facts: list[EnergyFact | WorkFact] = []
        for w, row in enumerate(all_keys):
            for d, key in enumerate(row):
                uj = int(watts[d] * seen[d] * 1_000 * parts[w][d] * chance.uniform(0.8, 1.2) / workloads)
                facts.append(EnergyFact(key, start_s, 60, seen[d], uj, uj // 20))
            of = row[0]._replace(device="", component="", device_model="", method="", use="")
            facts.append(WorkFact(of, start_s, 60, chance.randrange(90_000), chance.randrange(9_000), chance.randrange(9_000), 40))
        yield start_s + 61, facts


def apart(word: str, folder: Path) -> dict[str, float]:
    """One of the steps in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "tests.bench.seal", word, str(folder)], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def step(word: str, folder: Path) -> dict[str, float]:
    """Seconds (wall clock), facts, and the process's peak memory."""
    before = time.perf_counter()
    if word == "seal":
        facts = sum(manifest.segment.count for manifest in seal(folder, MIDNIGHT_S + DAY_S))
    else:
        report = verify(folder)
        assert report.clean, report.problems
        facts = report.facts
    took_s = time.perf_counter() - before
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"facts": facts, "s": took_s, "facts_per_s": facts / took_s, "peak_mb": peak_mb}


def main(workloads: int, devices: int, minutes: int) -> dict[str, object]:
    """All figures."""
    with tempfile.TemporaryDirectory() as place:
        folder, count = Path(place, "ledger"), 0
        store = Store.open(folder)
        for now_s, facts in day(workloads, devices, minutes):
            count += len(store.append(facts, now_s))
        store.close()
        opened = (folder / "open.db").stat().st_size
        shutil.copytree(folder, Path(place, "open"))
        found: dict[str, object] = {"minute_facts": count, "open_bytes_per_fact": opened / count}
        found["verify_open"] = apart("verify", Path(place, "open"))
        found["seal"] = apart("seal", folder)
        found["sealed_bytes_per_fact"] = sum(manifest.bytes for manifest in manifests(folder)) / count
        found["verify_sealed"] = apart("verify", folder)
    return found


if __name__ == "__main__":
    if sys.argv[1:2] in (["seal"], ["verify"]):
        print(json.dumps(step(sys.argv[1], Path(sys.argv[2]))))
    else:
        given = [int(word) for word in sys.argv[1:]] or [100, 16, 120]
        print(json.dumps(main(*given), indent=1))
