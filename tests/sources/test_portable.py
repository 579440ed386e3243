"""Where there is no ``/proc``: the same answers by psutil."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from wattledger.core.model import Activity, Claim, Instant, Sample, Workload
from wattledger.core.ports import Host, SourceGone
from wattledger.sources import estimate, portable

S = 1_000_000_000


class FakeProcess:
    """As psutil shows one on macOS: own times only, nothing of reaped children."""

    def __init__(self, system: "FakePsutil", pid: int) -> None:
        if pid not in system.table:
            raise system.Error(f"no process {pid}")
        self.pid, self._system, self._birth = pid, system, system.table[pid]["birth"]

    def _row(self) -> dict[str, Any]:
        row = self._system.table.get(self.pid)
        if row is None or row["birth"] != self._birth:
            raise self._system.Error(f"no process {self.pid}")
        return row

    def oneshot(self) -> nullcontext[None]:
        return nullcontext()

    def cpu_times(self) -> SimpleNamespace:
        return SimpleNamespace(user=self._row()["cpu_s"], system=0.0)

    def memory_info(self) -> SimpleNamespace:
        return SimpleNamespace(rss=self._row()["rss"])

    def create_time(self) -> float:
        return float(self._row()["birth"])

    def is_running(self) -> bool:
        row = self._system.table.get(self.pid)
        return row is not None and row["birth"] == self._birth

    def children(self, recursive: bool) -> list["FakeProcess"]:
        found: list[FakeProcess] = []
        for pid, row in self._system.table.items():
            if row["ppid"] == self.pid:
                child = FakeProcess(self._system, pid)
                found += [child, *child.children(recursive=True)]
        return found


class FakePsutil:
    """A stand-in for the library, which is not ours."""

    __version__ = "0"

    class Error(Exception):
        pass

    def __init__(self) -> None:
        self.table: dict[int, dict[str, Any]] = {}
        self.times = SimpleNamespace(user=100.0, system=20.0, idle=1000.0, interrupt=5.0, dpc=5.0)

    def add(self, pid: int, ppid: int, cpu_s: float, birth: int = 1, rss: int = 0) -> None:
        self.table[pid] = {"ppid": ppid, "cpu_s": cpu_s, "birth": birth, "rss": rss}

    def Process(self, pid: int) -> FakeProcess:  # noqa: N802 - psutil calls it so
        return FakeProcess(self, pid)

    def pid_exists(self, pid: int) -> bool:
        return pid in self.table

    def cpu_times(self) -> SimpleNamespace:
        return self.times

    def cpu_count(self) -> int:
        return 8

    def virtual_memory(self) -> SimpleNamespace:
        return SimpleNamespace(total=1000, available=400)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> FakePsutil:
    fake = FakePsutil()
    fake.add(10, 1, 1.0)
    monkeypatch.setitem(sys.modules, "psutil", fake)
    return fake


def host(*roots: int, **options: object) -> Host:
    return Host("/none", "/none", {}, roots, True, options)


@pytest.fixture
def clock() -> Iterator[int]:
    return iter(range(S, 10_000 * S, S))


def read(source: portable.Portable, clock: Iterator[int]) -> list[Sample]:
    at = Instant(next(clock), 0)
    return list(source.read(lambda: at, full=True))


def used(samples: list[Sample], who: str, device: str = "cpu") -> int:
    found = [s.used for s in samples if isinstance(s, Activity) and (s.device_id, s.who) == (device, who)]
    assert len(found) == 1
    return found[0]


def test_what_an_ended_child_used_stays(system: FakePsutil, clock: Iterator[int]) -> None:
    source = portable.open(host(10))
    system.add(20, 10, 2.0)
    assert used(read(source, clock), "pid:10") == 3 * S
    del system.table[20]
    system.table[10]["cpu_s"] = 1.5
    assert [used(read(source, clock), "pid:10") for _ in range(2)] == [3.5 * S, 3.5 * S]


def test_a_reused_number_is_another_process(system: FakePsutil, clock: Iterator[int]) -> None:
    source = portable.open(host(10, workload=Workload("train")))
    system.add(20, 10, 2.0)
    first = read(source, clock)
    assert {s.who for s in first if isinstance(s, Claim)} == {"pid:10", "pid:20"}
    system.add(20, 1, 500.0, birth=2)
    second = read(source, clock)
    assert used(second, "pid:10") == 3 * S
    assert [(s.who, s.workload) for s in second if isinstance(s, Claim)] == [("pid:20", None)]


def test_an_orphan_still_belongs(system: FakePsutil, clock: Iterator[int]) -> None:
    source = portable.open(host(10))
    system.add(20, 10, 2.0)
    system.add(30, 20, 4.0)
    read(source, clock)
    del system.table[20]
    system.table[30].update(ppid=1, cpu_s=5.0)
    assert used(read(source, clock), "pid:10") == 8 * S


def test_a_root_that_ended_leaves_its_last_value(system: FakePsutil, clock: Iterator[int]) -> None:
    source = portable.open(host(10))
    read(source, clock)
    del system.table[10]
    assert used(read(source, clock), "pid:10") == 1 * S


def test_the_machine_is_tree_and_agent_and_others_and_idle(system: FakePsutil, clock: Iterator[int]) -> None:
    system.add(5, 1, 0.5)
    source = portable.open(host(10, agent_pid=5))
    first = read(source, clock)
    system.table[10]["cpu_s"] = 3.0
    system.table[5]["cpu_s"] = 0.75
    system.times = SimpleNamespace(user=104.0, system=21.0, idle=1007.0, interrupt=6.0, dpc=6.0)
    second = read(source, clock)
    grown = {who: used(second, who) - used(first, who) for who in ("pid:10", "(agent)", "(other)", "(idle)")}
    assert grown == {"pid:10": 2 * S, "(agent)": S // 4, "(other)": 3 * S - S // 4, "(idle)": 7 * S}


def test_memory_over_time_adds_up_to_all_of_it(system: FakePsutil, clock: Iterator[int]) -> None:
    system.table[10]["rss"] = 250
    source = portable.open(host(10))
    read(source, clock)
    samples = read(source, clock)
    assert [used(samples, who, "dram") for who in ("pid:10", "(other)", "(idle)")] == [250 * S, 350 * S, 400 * S]


def test_the_model_takes_its_load_from_here_where_there_is_no_proc(system: FakePsutil) -> None:
    place = host(10)
    source = estimate.open(place._replace(options={"load": portable.load(place)}))
    assert [d.id for d in source.devices()] == ["cpu", "dram"]


def test_without_psutil_the_source_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(SourceGone, match="psutil is not installed"):
        portable.open(host())
    assert [f.state for f in portable.examine(host())] == ["absent"]


BURN = """
import os, sys, time
pid = os.fork()
while time.process_time() < 0.1: pass
print("up", flush=True)
sys.stdin.readline()
if pid: os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4 for the truth")
def test_real_processes_add_up_to_what_the_kernel_accounts(clock: Iterator[int]) -> None:
    pytest.importorskip("psutil")
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as root:
        assert root.stdin is not None
        assert root.stdout is not None
        source = portable.open(host(root.pid))
        assert [root.stdout.readline() for _ in range(2)] == ["up\n", "up\n"]
        seen = used(read(source, clock), f"pid:{root.pid}")
        root.stdin.close()
        _, _, usage = os.wait4(root.pid, 0)
        root.returncode = 0
    truth = int((usage.ru_utime + usage.ru_stime) * S)
    # Between the look and the end the two only woke up to leave: a few clock ticks of 10 ms each.
    assert 0.2 * S * 0.9 <= seen <= truth + 4 * 10_000_000
