"""``track``: each span carries its part of the carbon that made the machine, whoever measures, and nothing is counted twice."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.control_rig import Node, place
from tests.runtime.programs import environ, python, rigged, wattledger
from tests.test_run_embodied import PASSPORT, rates

from wattledger.core.model import Factor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
G_PER_H = 3.6e6  # a gram per millisecond of the card's time: digits enough


@pytest.fixture
def node() -> Iterator[Node]:
    with place() as folder:
        node = Node(str(folder / "a.sock"))
        node.sampler.put([Factor("embodied", "card", G_PER_H, "gCO2e/h", "cradle-to-gate", "the maker", "2026", "pcf", 1.5)])
        node.tick_along()
        yield node
        node.stop()


def grams(footprint: Any) -> float:
    return float(footprint["emissions_g"]["embodied"]["value"])


def test_an_agent_and_the_program_itself_count_alike(node: Node, tmp_path: Path) -> None:
    """A job that has the whole card pays for the whole of its time, to which both come."""
    found = python("""
with track(job="j") as run: time.sleep(0.5)
out(final(run).to_dict())
""", environ(tmp_path, WATTLEDGER_AGENT_SOCKET=node.path)).value
    assert grams(found) == pytest.approx(G_PER_H * found["duration_s"] / 3600, rel=0.02)
    own = python("""
with track(job="j", scope="host") as run: time.sleep(0.5)
out(final(run).to_dict())
""", rigged(tmp_path)).value
    assert grams(own) == pytest.approx(sum(rates(own).values()) * own["duration_s"] / 3600, rel=0.02)


def test_an_outer_span_contains_the_inner_and_concurrent_ones_share(node: Node, tmp_path: Path) -> None:
    outer, inner, *threads = python("""
barrier = threading.Barrier(2)
def work(job):
    barrier.wait()
    with track(job=job) as run: time.sleep(0.4)
    found.append(run)
found = []
with track(job="outer") as outer:
    time.sleep(0.1)
    with track(job="inner") as inner: time.sleep(0.2)
    both = [threading.Thread(target=work, args=(job,)) for job in ("one", "two")]
    [thread.start() for thread in both]
    [thread.join() for thread in both]
out([final(run).to_dict() for run in (outer, inner, *found)])
""", environ(tmp_path, WATTLEDGER_AGENT_SOCKET=node.path)).value
    assert grams(outer) == pytest.approx(G_PER_H * outer["duration_s"] / 3600, rel=0.02)
    assert grams(inner) == pytest.approx(G_PER_H * inner["duration_s"] / 3600, rel=0.05)
    for one in threads:
        assert grams(one) == pytest.approx(G_PER_H * one["duration_s"] / 2 / 3600, rel=0.15)
    node.stop_ticking()
    sums = {workload.job: made_g for workload, made_g in node.pipeline.totals.embodied_g.items()}
    # Each gram is the innermost span's.
    assert sum(sums[job] for job in ("outer", "inner", "one", "two")) == pytest.approx(grams(outer), rel=0.02)
    assert sums["inner"] == pytest.approx(grams(inner), rel=0.02)


def test_a_zone_of_its_own_moves_no_machine(node: Node, tmp_path: Path) -> None:
    found = python("""
with track(job="j", zone="FR") as run: time.sleep(0.3)
out(final(run).to_dict())
""", environ(tmp_path, WATTLEDGER_AGENT_SOCKET=node.path)).value
    assert grams(found) == pytest.approx(G_PER_H * found["duration_s"] / 3600, rel=0.05)
    assert [factor["zone"] for factor in found["factors"] if factor["kind"] == "water_offsite"] == ["FR"]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another user")
def test_one_who_may_not_see_what_others_use_gets_his_part(tmp_path: Path) -> None:
    with place() as folder:
        node = Node(str(folder / "a.sock"), stranger=True)
        try:
            node.sampler.put([Factor("embodied", "card", G_PER_H, "gCO2e/h", "cradle-to-gate", "the maker", "2026", "pcf", 1.5)])
            node.tick_along()
            found = python("""
import wattledger.cli.run, wattledger.runtime.remote.meter, wattledger.runtime.assembly, wattledger.runtime.tracker
from wattledger.factors.water import ewif, site  # while its files may still be read
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with track(job="j") as run: time.sleep(0.5)
out(final(run).to_dict())
""", environ(tmp_path, WATTLEDGER_AGENT_SOCKET=node.path)).value
        finally:
            node.stop()
    assert grams(found) == pytest.approx(G_PER_H * found["duration_s"] / 2 / 3600, rel=0.05)
    assert "rest_of_host" not in found
    assert all("device_energy_j" not in device for device in found["devices"])


def test_a_child_and_ranks_of_one_node_count_the_machine_once(tmp_path: Path) -> None:
    """What is forked is the parent's run; a program with a meter of its own beside another's has its own part, never the whole."""
    parent, code = python("""
with track(job="parent") as run:
    pid = os.fork()
    if not pid:
        with track(job="child"): burn(0.3)
        os._exit(0)
    code = os.waitpid(pid, 0)[1]
    burn(0.3)
out([final(run).to_dict(), code])
""", rigged(tmp_path)).value
    assert code == 0
    assert 0 < grams(parent) < sum(rates(parent).values()) * parent["duration_s"] / 3600


def test_a_passport_speaks_in_programs_that_measure_themselves(tmp_path: Path) -> None:
    env = rigged(tmp_path, NODE_NAME="here")
    (tmp_path / "box.toml").write_text(PASSPORT)
    assert wattledger(env, "asset", "add", str(tmp_path / "box.toml")).status == 0
    found = python("""
with track(job="j") as run: burn(1.5)
out(final(run).to_dict())
""", env).value
    assert rates(found)["host"] == pytest.approx(2_500_000 / (5 * 8760), rel=1e-6)


def test_shown_wherever_a_footprint_is_shown(tmp_path: Path) -> None:
    line, card, row = python("""
with track(job="j") as run: burn(0.3)
found = final(run)
out([str(found), found.to_model_card(), found.to_codecarbon_row()])
""", rigged(tmp_path, WATTLEDGER_GRID_ZONE="DE", WATTLEDGER_FACILITY_WUE="0.5")).value
    assert "; embodied " in line
    for name in ("Emissions (embodied in the hardware)", "Water (on site)", "Water (power plants)", "Making of the hardware"):
        assert f"| {name} | " in card
    assert row["emissions"] == pytest.approx(row["energy_consumed"] * 0.329)  # the column is the grid's alone, as CodeCarbon has it
