"""Exporters that send: found by name, none of them in the meter's way, and the last totals of a program that ends."""

import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.programs import blind, python, wattledger
from tests.servers.otlp_receiver import Receiver, receiver

from wattledger.core.totals import Sent, State, Totals
from wattledger.runtime import clock
from wattledger.runtime.config import Config, Value
from wattledger.runtime.exporters import End, open_pushers

SNAPSHOT = Totals().snapshot(State())
BOTH = {"exporters.otlp.enabled": True, "exporters.pushgateway.url": "http://gw:9091"}

# What somebody else may install under our names: it notes what it is told, and misbehaves as it is asked to.
OUTSIDE = """
import threading
from wattledger.core.totals import Sent

made = []
faults = {}
let_go = threading.Event()

class Noting:
    name = "noting"

    def __init__(self, options, *, now, started):
        self.options, self.started, self.told = options, started, []
        self.faults = faults.get("url" in options, ())
        made.append(self)
        if "made" in self.faults:
            raise ZeroDivisionError("its own bug")
        if "words" in self.faults:
            raise ValueError("a line about a word")

    def push(self, snapshot):
        if "push" in self.faults:
            raise ZeroDivisionError("its own bug")
        self.told.append(snapshot)

    def sent(self):
        return Sent(len(self.told), 0)

    def close(self, timeout_s):
        if "close" in self.faults:
            raise ZeroDivisionError("its own bug")
        if "hang" in self.faults:
            let_go.wait(30)
        self.told.append(timeout_s)
"""


def install(folder: Path, points: str) -> Path:
    """A distribution with entry points, as pip leaves it."""
    info = folder / "wattledger_outside-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wattledger-outside\nVersion: 1.0\n", encoding="ascii")
    (info / "entry_points.txt").write_text(f"[wattledger.exporters]\n{points}\n", encoding="ascii")
    return folder


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the exporters from outside, installed before ours."""
    install(tmp_path, "otlp = outside_exporter:Noting\npushgateway = outside_exporter:Noting")
    (tmp_path / "outside_exporter.py").write_text(OUTSIDE, encoding="ascii")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("outside_exporter")
    yield module
    module.let_go.set()
    del sys.modules["outside_exporter"]


def config(values: dict[str, Any]) -> Config:
    return Config({name: Value(value, "the test") for name, value in values.items()})


def test_nothing_asked_for_loads_nothing(tmp_path: Path) -> None:
    code = """
from wattledger.runtime.config import Config
from wattledger.runtime.exporters import open_pushers
pushers = open_pushers(Config({}), {})
pushers.push(None)
pushers.close(1.0)
out([bool(pushers), pushers.sent(), sorted({"importlib.metadata", "opentelemetry", "requests", "grpc"} & set(sys.modules))])
"""
    assert python(code, blind(tmp_path)).value == [False, {}, []]


def test_each_is_told_its_settings_the_host_and_when_the_totals_began(outside: Any) -> None:
    began = clock.now()
    open_pushers(config({"exporters.otlp.enabled": True}), {"NODE_NAME": "node-3"}, started=began)
    [otlp] = outside.made
    assert (dict(otlp.options), otlp.started) == ({"enabled": True, "host": "node-3"}, began)


def test_an_agent_has_no_pushgateway(outside: Any) -> None:
    assert list(open_pushers(config(BOTH), {}).sent()) == ["otlp"]


def test_at_a_programs_end_each_has_its_part_of_the_time_and_the_job(outside: Any) -> None:
    pushers = open_pushers(config(BOTH), {}, end=End("train", 4.0))
    pushers.push(SNAPSHOT)
    pushers.close_here(4.0)
    assert [(made.options["job"], made.options["at_exit_s"]) for made in outside.made] == [("train", 2.0)] * 2
    assert [made.told for made in outside.made] == [[SNAPSHOT, 2.0]] * 2


def test_each_gets_every_snapshot_and_says_how_it_fares(outside: Any) -> None:
    pushers = open_pushers(config(BOTH), {}, end=End("train"))
    pushers.push(SNAPSHOT)
    pushers.push(SNAPSHOT)
    assert pushers.sent() == {"otlp": Sent(2, 0), "pushgateway": Sent(2, 0)}


@pytest.mark.parametrize("close_here", [True, False])
@pytest.mark.parametrize("fault", ["push", "close"])
def test_one_that_raises_keeps_nothing_from_the_other(outside: Any, fault: str, close_here: bool) -> None:
    outside.faults[False] = {fault}
    pushers = open_pushers(config(BOTH), {}, end=End("train", 2.0))
    pushers.push(SNAPSHOT)
    if close_here:
        pushers.close_here(2.0)
    else:
        pushers.close(1.0)
    assert outside.made[1].told == [SNAPSHOT, 1.0]


@pytest.mark.parametrize(("fault", "why"), [("made", "ZeroDivisionError('its own bug')"), ("words", "a line about a word")])
def test_one_that_cannot_be_made_is_a_failure_with_its_reason_and_the_other_goes_on(outside: Any, fault: str, why: str) -> None:
    outside.faults[False] = {fault}
    pushers = open_pushers(config(BOTH), {}, end=End("train"))
    pushers.push(SNAPSHOT)
    assert pushers.sent() == {"otlp": Sent(0, 1, why), "pushgateway": Sent(1, 0)}


def test_one_that_hangs_holds_up_neither_the_end_nor_the_other(outside: Any) -> None:
    outside.faults[False] = {"hang"}
    pushers = open_pushers(config(BOTH), {}, end=End("train"))
    before = clock.elapsed_ns()
    pushers.close(0.1)
    assert (clock.elapsed_ns() - before) / 1e9 < 3.0
    assert outside.made[1].told == [0.1]


def test_an_exporter_that_is_not_installed_is_one_line(tmp_path: Path) -> None:
    """A name that nobody answers to: here all that is installed is out of sight."""
    code = """
from wattledger.runtime.config import Config, Value
from wattledger.runtime.exporters import open_pushers
sys.path[:] = [p for p in sys.path if "site-packages" not in p]
config = Config({"exporters.otlp.enabled": Value(True, "here")})
out([open_pushers(config, {}).sent() for _ in range(2)])
"""
    done = python(code, blind(tmp_path))
    why = "no exporter of that name is installed (no entry point 'otlp' in wattledger.exporters)"
    assert done.value == [{"otlp": [0, 1, why]}] * 2
    assert done.err == f"wattledger: nothing is sent by otlp: {why}\n"


# --- programs that end ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def ours(folder: Path, **more: str) -> Iterator[tuple[Receiver, dict[str, str]]]:
    """A receiver, and the environment of a program that sends to it at its end."""
    points = "otlp = wattledger_exporters.otlp:Otlp\npushgateway = wattledger_exporters.pushgateway:Pushgateway"
    places = install(folder / "site", points)
    with receiver("http/protobuf") as there:
        env = blind(folder, WATTLEDGER_EXPORTERS_OTLP_ENABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT=there.endpoint, **more)
        yield there, {**env, "PYTHONPATH": f"{env['PYTHONPATH']}{os.pathsep}{places}"}


def sums(there: Receiver, metric: str, attribute: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for point in there.points():
        if point.metric == metric and "hw.parent" not in point.attributes:
            found[point.attributes[attribute]] = found.get(point.attributes[attribute], 0.0) + point.value
    return found


PROGRAM = """
import os, threading
from wattledger.core.model import Workload
from wattledger.runtime import clock
from wattledger.runtime.build import Plan, open_session
from wattledger.runtime.config import load
from wattledger.runtime.exporters import push_at_exit
from wattledger.runtime.opening import Scope
import atexit
session = open_session(load(os.environ), os.environ, Plan(Scope(Workload("train"), (os.getpid(),))))
push_at_exit(session)
atexit.register(session.sampler.stop)
session.sampler.tick()
burn(0.1)
session.sampler.tick()
"""


def test_a_program_that_ends_sends_its_last_totals_once(tmp_path: Path) -> None:
    with ours(tmp_path) as (there, env):
        done = python(PROGRAM + "out(session.pipeline.totals.device_energy_uj['cpu', 'estimated'] / 1e6)", env)
        assert done.err == ""
    assert len(there.requests) == 1
    by_device = sums(there, "wattledger.energy", "hw.id")
    assert by_device == pytest.approx(sums(there, "hw.energy", "hw.id"))
    assert by_device["cpu"] > done.value * 0.999 > 0
    assert sums(there, "wattledger.energy", "wattledger.job.name")["train"] > 0
    [began] = {point.start_ns for point in there.points() if point.kind == "counter"}
    assert all(began < point.at_ns for point in there.points())


def test_a_forked_child_leaves_the_sending_to_its_parent(tmp_path: Path) -> None:
    with ours(tmp_path) as (there, env):
        code = "atexit.unregister(session.sampler.stop)\nchild = os.fork()\nif child:\n    os.waitpid(child, 0)\nsys.exit()"
        assert python(PROGRAM + code, env)[::2] == (0, "")
    assert len(there.requests) == 1


def test_a_measured_command_sends_what_it_used(tmp_path: Path) -> None:
    with ours(tmp_path) as (there, env):
        done = wattledger(env, "run", "--job", "train", "--json", "--", sys.executable, "-c", "sum(range(10**7))")
    assert done.status == 0
    assert len(there.requests) == 1
    jobs = sums(there, "wattledger.energy", "wattledger.job.name")
    by_device = sums(there, "wattledger.energy", "hw.id")
    assert by_device == pytest.approx(sums(there, "hw.energy", "hw.id"))
    energy_j = {d["id"]: d["energy_j"]["value"] for d in done.value["devices"] if d["kind"] != "rest"}
    assert 0 < jobs["train"] <= sum(energy_j.values()) * 1.5


@pytest.mark.parametrize("status", [0, 3])
def test_a_dead_collector_changes_neither_the_commands_status_nor_its_footprint(tmp_path: Path, status: int) -> None:
    dead = {"WATTLEDGER_EXPORTERS_PUSHGATEWAY_URL": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"}
    with ours(tmp_path, **dead) as (there, env):
        there.mood = "refuse"
        done = wattledger(env, "run", "--job", "train", "--", sys.executable, "-c", f"raise SystemExit({status})")
    assert done.status == status
    lines = done.err.splitlines()
    assert lines[0] == "wattledger: train"
    assert lines[-2].startswith("wattledger: otlp: ")
    assert lines[-1] == "wattledger: Pushgateway: not delivered: http://127.0.0.1:1: Connection refused"
    assert not [line for line in lines[:-2] if "deliver" in line]


def test_a_command_that_could_not_be_started_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("not a program", encoding="ascii")
    (tmp_path / "words").chmod(0o755)
    with ours(tmp_path) as (there, env):
        assert wattledger(env, "run", "--", str(tmp_path / "words")).status == 126
    assert there.asked == 0


def test_closing_starts_no_thread_that_stays(outside: Any) -> None:
    before = set(threading.enumerate())
    pushers = open_pushers(config(BOTH), {}, end=End("train"))
    pushers.close(5.0)
    assert set(threading.enumerate()) <= before
