"""How long a report takes over a year of a fleet's compacted hours, and in what memory.

``python tests/bench/ledger.py --rows 1000000 --rows 10000000``: a lake as ``ledger compact`` leaves one (a file and a manifest of
every source a day, the segments' own manifests beside them), 10 jobs an hour on each of so many hosts for a year, made by the
engine itself.  Then, as people ask, each in a process of its own: one job and all jobs over a month, a year by model.
``--days 31`` with 1,000 hosts (7.4 M rows) is the month at the size that it has in the whole year of 88 M.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from wattledger.core.facts import IntensityFact
from wattledger.ledger.body import day_of, encode
from wattledger.ledger.compact_rows import ROW_GROUP
from wattledger.ledger.compaction import Compaction, Source
from wattledger.ledger.engine import connect
from wattledger.ledger.rollup import ALL_COLUMNS, ORDER, midnight_s, text

HOURS, DAY_S = 24, 86_400
JOBS = 10  # a host's at a time
HOSTS_OF_A_JOB = 10
FIRST_S = midnight_s("2025-01-01")
ZONES = ("DE", "FR", "GB", "PL")
FLEET_ROWS = 1000 * JOBS * HOURS * 365
TARGETS = {"one job, a month": 2.0, "all jobs, a month": 2.0, "models, a year": 10.0}
TRIES = 3


def rows_sql(day_s: int, hosts: int, live_hosts: int) -> str:
    """A day's rows, energy first and then what ``live_hosts`` wrote down of their zone's grid."""
    zones = f"[{', '.join(map(text, ZONES))}]"
    given = {
        "recorded_s": f"{day_s} + h * 3600 + 3660",
        "fact": "'energy'",
        "meter": "'agent:node-' || n",
        "host": "'node-' || n",
        "zone": f"{zones}[n % {len(ZONES)} + 1]",
        "pue_milli": "1200",
        "device": "'GPU-' || LPAD(CAST(n AS VARCHAR), 8, '0')",
        "component": "'gpu'",
        "device_model": "'NVIDIA H100 80GB HBM3'",
        "method": "'counter'",
        "use": "'active'",
        "run": f"'run-' || n // {HOSTS_OF_A_JOB} || '-' || j",
        "job": f"'job-' || n // {HOSTS_OF_A_JOB} || '-' || j",
        "model": "'model-' || (n * 7 + j) % 20",
        "labels": "''",
        "start_s": f"{day_s} + h * 3600",
        "length_s": "3600",
        "seen_ms": "3600000",
        "energy_uj": f"30000000000 + hash(n, j, h, {day_s}) % 80000000000",
        "spread_uj": f"hash(h, j, n, {day_s}) % 1000000000",
    }
    energy = ", ".join(f"CAST({given.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in ALL_COLUMNS.items())
    said = {
        "writer": "LPAD(CAST(n AS VARCHAR), 16, '0')",
        "seq": "h + 1",
        "recorded_s": "at_s",
        "fact": "'intensity'",
        "zone": "zone",
        "start_s": "start_s",
        "length_s": "3600",
        "body": "body",
    }
    grid = ", ".join(f"CAST({said.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in ALL_COLUMNS.items())
    order = ", ".join(f"{name} NULLS LAST" for name in ORDER)
    return f"""SELECT * FROM (
        SELECT {energy} FROM range({hosts}) a(n), range({JOBS}) b(j), range({HOURS}) c(h)
        UNION ALL SELECT {grid} FROM grid g, range({live_hosts}) a(n) WHERE g.place = n % {len(ZONES)}) r ORDER BY {order}"""


def intensities(day_s: int) -> list[tuple[int, int, str, int, int, str]]:
    """(place of the zone, hour, zone, start, when learnt, body) of a day's hours."""
    found = []
    for place, zone in enumerate(ZONES):
        for hour in range(HOURS):
            start_s, g_per_kwh = day_s + hour * 3600, 50 + (place * 211 + hour * 17 + day_s // DAY_S * 7) % 600
            fact = IntensityFact(zone, start_s, 3600, g_per_kwh * 1_000_000, "entsoe", version="1")
            found.append((place, hour, zone, start_s, start_s + 3900, encode(fact, start_s + 3900)))
    return found


def make(folder: Path, *, hosts: int, days: int, live_hosts: int) -> int:
    """The lake; how many rows it has."""
    engine, rows = connect(memory_mb=1200), 0
    try:
        for day_s in range(FIRST_S, FIRST_S + days * DAY_S, DAY_S):
            rows += make_day(engine, folder, day_s, hosts, live_hosts)
    finally:
        engine.close()
    return rows


def make_day(engine: object, folder: Path, day_s: int, hosts: int, live_hosts: int) -> int:
    """A day's file, its manifest, and the names of the segments' manifests (readers look at no more of those)."""
    ask = engine.execute  # type: ignore[attr-defined]
    ask("CREATE OR REPLACE TEMP TABLE grid (place INT, h BIGINT, zone VARCHAR, start_s BIGINT, at_s BIGINT, body VARCHAR)")
    said = intensities(day_s)
    ask(f"INSERT INTO grid VALUES {', '.join('(?, ?, ?, ?, ?, ?)' for _ in said)}", [value for row in said for value in row])
    day = day_of(day_s)
    place = folder / "compact" / f"day={day}"
    place.mkdir(parents=True)
    file = place / "slots.parquet"
    shape = f"FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE {ROW_GROUP}"
    ask(f"COPY ({rows_sql(day_s, hosts, live_hosts)}) TO {text(str(file))} ({shape})")
    [(rows, energy_uj)] = ask(f"SELECT COUNT(*), SUM(energy_uj) FROM read_parquet({text(str(file))})").fetchall()
    each_uj = int(energy_uj) // hosts
    sources = {}
    for n in range(hosts):
        digest = sha256(f"{day} {n}".encode()).hexdigest()
        rest_uj = int(energy_uj) - each_uj * hosts if n == 0 else 0
        sources[digest] = Source(f"{n:016d}", f"node-{n}", each_uj + rest_uj, digest)
        home = folder / f"day={day}" / f"host=node-{n}"
        home.mkdir(parents=True)
        (home / f"{n:016d}.json").touch()
    size, digest = file.stat().st_size, sha256(file.read_bytes()).hexdigest()
    made = Compaction(day, "slots", sources, rows, int(energy_uj), digest, size)
    (folder / made.written).write_text(made.text(), encoding="utf-8")
    return int(rows)


def questions(days: int) -> dict[str, list[str]]:
    """What is asked, as words of the command line."""
    month = max(0, min(days - 31, 180))
    span = [day_of(FIRST_S + (month + n) * DAY_S) for n in (0, min(31, days))]
    a_month = ["--from", span[0], "--to", span[1]]
    asked = {"one job, a month": ["job", "job-0-3", *a_month], "all jobs, a month": ["job", *a_month]}
    if days == 365:
        asked["models, a year"] = ["model", "--from", "2025-01-01", "--to", "2026-01-01"]
    return asked


def ask(words: Sequence[str], lake: Path) -> tuple[float, float, int]:
    """Seconds from the start of the process to its end, its peak memory in MB, and the rows of its answer."""
    out = lake.parent / "answer.json"
    program = "from wattledger.cli import main; main()"
    command = [sys.executable, "-c", program, "report", *words, "--ledger", str(lake), "--json"]
    before = time.perf_counter()
    with open(out, "wb") as file:
        child = os.posix_spawn(sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1)])
        _, status, usage = os.wait4(child, 0)
    took_s = time.perf_counter() - before
    if status:
        raise SystemExit(f"report {' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return took_s, usage.ru_maxrss / 1024, len(json.loads(out.read_bytes())["rows"])


def measure(hosts: int, days: int, live_hosts: int, folder: Path) -> Iterator[dict[str, object]]:
    """A line for each question over one lake, which is gone afterwards."""
    lake = folder / "lake"
    before = time.perf_counter()
    rows = make(lake, hosts=hosts, days=days, live_hosts=live_hosts)
    size = sum(file.stat().st_size for file in lake.rglob("*.*") if file.is_file())
    yield {"rows": rows, "hosts": hosts, "days": days, "made_in_s": round(time.perf_counter() - before, 1), "mb": size // 2**20}
    for name, words in questions(days).items():
        found = [ask(words, lake) for _ in range(TRIES)]
        times = [one[0] for one in found]
        line = {"rows": rows, "asked": name, "best_s": round(min(times), 2), "median_s": round(statistics.median(times), 2)}
        yield line | {"target_s": TARGETS[name], "peak_mb": round(max(one[1] for one in found)), "answer_rows": found[0][2]}
    shutil.rmtree(lake)


def extrapolated(lines: Sequence[dict[str, object]]) -> Iterator[dict[str, object]]:
    """A straight line through the smallest and the largest lake, drawn on to the whole fleet's year."""
    for name in TARGETS:
        points = sorted((float(str(one["rows"])), float(str(one["best_s"]))) for one in lines if one.get("asked") == name)
        if len(points) > 1 and points[0][0] < points[-1][0]:
            (x0, y0), (x1, y1) = points[0], points[-1]
            slope = (y1 - y0) / (x1 - x0)
            yield {"asked": name, "at_88_M_s": round(y1 + slope * (FLEET_ROWS - x1), 2), "us_per_1000_rows": round(slope * 1e9, 1)}


def main() -> None:
    """A line of JSON for each lake made, each question, and each extrapolation."""
    parser = argparse.ArgumentParser(description="Reports over a fleet's compacted hours: time and memory.")
    parser.add_argument("--rows", type=int, action="append", help="about so many rows (repeatable; default 1000000)")
    parser.add_argument("--days", type=int, default=365, help="how many days (365: fewer hosts for fewer rows)")
    parser.add_argument("--live-hosts", type=int, default=len(ZONES), help="how many hosts wrote their grid's intensities down")
    parser.add_argument("--keep", metavar="FOLDER", help="make the (first) lake there, ask nothing")
    given = parser.parse_args()
    sizes = [max(len(ZONES), round(rows / (JOBS * HOURS * given.days))) for rows in given.rows or [1_000_000]]
    if given.keep:
        print(make(Path(given.keep), hosts=sizes[0], days=given.days, live_hosts=min(given.live_hosts, sizes[0])))
        return
    lines = []
    with tempfile.TemporaryDirectory(prefix="wattledger-bench-") as folder:
        for hosts in sizes:
            for line in measure(hosts, given.days, min(given.live_hosts, hosts), Path(folder)):
                lines.append(line)
                print(json.dumps(line), flush=True)
    for line in extrapolated(lines):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
