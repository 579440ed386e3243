"""Much at once under a running agent: groups and processes that come and go between two ticks, and more workloads than series."""

import os
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from tests.node.agents import Row, agent, total
from tests.node.checks import ENERGY, ERRORS, RETIRED, closes, machine, nothing_twice, real_groups, remove, until
from tests.node.groups import hierarchies

pytestmark = [pytest.mark.slow, pytest.mark.soak]
OURS = f"/system.slice/wl{os.getpid()}"
SPIN = "i=0; while [ $i -lt 8000 ]; do i=$((i+1)); done"
# Two at a time, 200 in all, each burns 50 ms and ends.
SHORT = """
import os, time
for _ in range(100):
    pair = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            end = time.process_time() + 0.05
            while time.process_time() < end:
                pass
            os._exit(0)
        pair.append(pid)
    for pid in pair:
        os.waitpid(pid, 0)
time.sleep(60)
"""
FILL = "import sys, time; kept = bytearray(b'x') * (int(sys.argv[1]) << 20); time.sleep(60)"


def jobs(rows: list[Row]) -> set[str]:
    """Who has series of his own."""
    return {labels["job_name"] for name, labels, _ in rows if name == ENERGY and not labels["job_name"].startswith("(")}


def of_cpu(rows: list[Row], job: str) -> float:
    return float(total(rows, ENERGY, job_name=job, component="cpu", use="active"))


def test_groups_that_live_for_less_than_a_tick_trouble_nobody(tmp_path: Path) -> None:
    with real_groups() as made, agent(tmp_path / "agent", rig=machine(tmp_path / "rig")) as running:
        steady = f"{OURS}-steady.service"
        made.start(steady, 0.1)
        assert until(lambda: of_cpu(running.scrape(), Path(steady).name) > 0)
        time.sleep(1.2)
        begun, log = time.monotonic(), running.log
        for n in range(150):
            path = f"{OURS}-brief-{n}.service"
            made.make(path)
            pid = made.run(path, ["/bin/sh", "-c", SPIN])
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            made.end(pid)
            remove(path)
            if n % 25 == 0:
                closes(running.scrape())
        assert time.monotonic() - begun < 12, "not within a few ticks, so this shows nothing"
        before = of_cpu(running.scrape(), Path(steady).name)
        assert until(lambda: of_cpu(running.scrape(), Path(steady).name) > before)
        rows = running.scrape()
        closes(rows)
        assert total(rows, ERRORS) == 0
        assert running.log == log


def test_processes_that_end_between_two_ticks_have_their_joules_in_their_group(tmp_path: Path) -> None:
    short, steady = f"{OURS}-short.service", f"{OURS}-long.service"
    with real_groups() as made, agent(tmp_path / "agent", rig=machine(tmp_path / "rig")) as running:
        made.make(short)
        # Both begin and end together: the rig's power does not follow the load, so who is alone gets a whole second's joules.
        pid = made.start(steady, 0.5)
        made.run(short, [sys.executable, "-S", "-c", SHORT])
        assert until(lambda: made.cpu_ns(short) > 9.9e9, 60)
        made.end(pid)
        time.sleep(3.2)
        cpu_ns = made.cpu_ns(short), made.cpu_ns(steady)
        rows = running.scrape()
        closes(rows)
        joules = [of_cpu(rows, Path(path).name) for path in (short, steady)]
        # At either end one of them is alone for a part of a tick, of the ten and more that this takes.
        assert joules[0] / joules[1] == pytest.approx(cpu_ns[0] / cpu_ns[1], rel=0.3)
        nothing_twice(running)


def test_who_fills_the_memory_pays_for_it(tmp_path: Path) -> None:
    hog, modest = f"{OURS}-hog.service", f"{OURS}-modest.service"
    with real_groups() as made, agent(tmp_path / "agent", rig=machine(tmp_path / "rig")) as running:
        for path, mb in ((hog, 400), (modest, 40)):
            made.make(path)
            made.run(path, [sys.executable, "-S", "-c", FILL, str(mb)])

        def of_memory(path: str) -> float:
            return float(total(running.scrape(), ENERGY, job_name=Path(path).name, component="dram", use="active"))

        assert until(lambda: of_memory(hog) > 0 and of_memory(modest) > 0)
        before = of_memory(hog), of_memory(modest)
        time.sleep(4.2)
        grown = of_memory(hog) - before[0], of_memory(modest) - before[1]
        assert 400 / 55 < grown[0] / grown[1] < 400 / 35, "by size, an interpreter's own 5 to 10 MB included"
        closes(running.scrape())


def test_more_workloads_than_series_are_other_and_who_ended_is_retired_whole(tmp_path: Path) -> None:
    config = "[agent]\nseries = 50\nseries_keep_s = 3\n"
    paths = [f"{OURS}-{n}.service" for n in range(1_200)]
    with real_groups() as made, agent(tmp_path / "agent", rig=machine(tmp_path / "rig"), config=config) as running:
        for path in paths:
            made.make(path)
        pid = made.start(paths[0], 1.0)
        for path in paths:
            made.put(path, pid)
            time.sleep(0.002)
        time.sleep(2.2)
        rows = running.scrape()
        closes(rows)
        ours = {job for job in jobs(rows) if job.startswith(Path(OURS).name)}
        assert 0 < len(ours) <= len(jobs(rows)) <= 50
        assert total(rows, ENERGY, job_name="(other)", component="cpu", use="active") > 0
        used = sum((total(rows, ENERGY, job_name=job) for job in ours), Decimal(0))
        retired_before = total(rows, RETIRED)
        made.end(pid)
        for path in paths:
            remove(path)
        assert until(lambda: not ours & jobs(running.scrape()))
        rows = running.scrape()
        closes(rows)
        assert total(rows, RETIRED) >= retired_before + used
        late = [f"{OURS}-late-{n}.service" for n in range(4)]  # others on this machine may come at the same moment
        for path in late:
            made.start(path, 0.1)
            if until(lambda path=path: of_cpu(running.scrape(), Path(path).name) > 0, 4):  # type: ignore[misc]
                break
        assert {Path(path).name for path in late} & jobs(running.scrape()), f"no room again: {jobs(running.scrape())}"
        closes(running.scrape())
        nothing_twice(running)


def test_groups_made_for_a_test_are_gone_after_it() -> None:
    with real_groups() as made:
        made.make(f"{OURS}-last.service")
    assert [path for top in hierarchies() for path in (top / "system.slice").glob(f"{Path(OURS).name}*")] == []
