"""What ``track`` promises of every kind of use: identities, contexts, footprints, on a machine whose power is known."""

import sys
from pathlib import Path

import pytest
from tests.runtime.programs import SOURCES, blind, environ, python, rigged, run


def test_a_block_has_a_footprint_live_then_final_and_then_unchanged(tmp_path: Path) -> None:
    live, after, again, state = python("""
with track(job="eval", model="m", labels={"team": "search"}) as run:
    time.sleep(0.3)
    live = run.footprint
after = final(run)
with track(job="other"):
    time.sleep(0.05)
out([live.to_dict(), after.to_dict(), run.footprint.to_dict(), [run.footprint is after, repr(run).endswith("ended>")]])
""", rigged(tmp_path)).value
    assert state == [True, True]
    assert after == again
    assert 0.25 < live["duration_s"] <= after["duration_s"]
    assert live["energy_j"]["value"] <= after["energy_j"]["value"] + 1e-9 or live["energy_j"]["low"] <= after["energy_j"]["value"]
    assert (after["job"], after["model"], after["labels"]) == ("eval", "m", {"team": "search"})


def test_the_json_is_the_contracts(tmp_path: Path) -> None:
    found = python("""
with track(job="f", scope="host") as run:
    run.add_tokens(prompt=812, generated=64, cached=3, requests=1)
    time.sleep(0.3)
out(final(run).to_dict())
""", rigged(tmp_path, NODE_NAME="gpu-7", WATTLEDGER_GRID_ZONE="DE")).value
    assert found["schema"] == "wattledger.footprint/1"
    assert found["hosts"] == ["gpu-7"]
    assert found["parent_run_id"] is None
    assert found["scope"] == "host"
    assert found["work"] == {"prompt_tokens": 812, "cached_tokens": 3, "generated_tokens": 64, "requests": 1}
    assert {d["kind"]: d["method"] for d in found["devices"]} == {"gpu": "counter", "cpu": "counter", "dram": "counter"}
    assert found["measured_fraction"] == 1.0
    assert set(found["energy_j"]) == {"value", "low", "high"}
    assert found["energy_j"]["value"] == pytest.approx(sum(d["energy_j"]["value"] for d in found["devices"]))
    assert found["energy_j"]["low"] <= found["energy_j"]["value"] <= found["energy_j"]["high"]
    assert set(found["rest_of_host"]) == {"idle_j", "other_workloads_j", "unattributed_j", "agent_j"}
    assert {f["zone"] for f in found["factors"] if f["kind"] == "grid"} == {"DE"}
    grams = found["emissions_g"]["location_based"]
    assert grams["low"] < grams["value"] < grams["high"]
    assert found["start"].endswith("Z")
    assert found["start"] < found["end"]


def test_process_scope_and_the_rest_of_the_host_are_the_whole_host(tmp_path: Path) -> None:
    found = python("""
with track(job="f") as run:
    burn(0.5)
out(final(run).to_dict())
""", rigged(tmp_path)).value
    ours = found["energy_j"]["value"]
    whole = sum(d["device_energy_j"] for d in found["devices"])
    assert 0 < ours < whole
    assert ours + sum(found["rest_of_host"].values()) == pytest.approx(whole, rel=1e-6)


def test_a_child_run_is_inside_its_parent_and_own_energy_adds_up(tmp_path: Path) -> None:
    parent, one, two = python("""
with track(job="p") as parent:
    burn(0.2)
    with track(job="one") as one:
        burn(0.3)
    with track(job="two") as two:
        burn(0.3)
out([final(run).to_dict() for run in (parent, one, two)])
""", rigged(tmp_path)).value
    assert one["parent_run_id"] == two["parent_run_id"] == parent["run_id"]
    owns = [run["own_energy_j"]["value"] for run in (parent, one, two)]
    assert sum(owns) == pytest.approx(parent["energy_j"]["value"], rel=1e-6)
    assert one["own_energy_j"]["value"] == pytest.approx(one["energy_j"]["value"])
    assert min(owns) > 0


def test_tokens_of_a_child_are_its_parents_too(tmp_path: Path) -> None:
    parent, child = python("""
with track(job="p") as parent:
    parent.add_tokens(prompt=1)
    with track(job="c") as child:
        child.add_tokens(prompt=10, generated=5, requests=2)
out([final(parent).to_dict()["work"], final(child).to_dict()["work"]])
""", rigged(tmp_path)).value
    assert child == {"prompt_tokens": 10, "cached_tokens": 0, "generated_tokens": 5, "requests": 2}
    assert parent == {"prompt_tokens": 11, "cached_tokens": 0, "generated_tokens": 5, "requests": 2}


def test_threads_keep_their_contexts_apart(tmp_path: Path) -> None:
    main_id, rows = python("""
rows, gate = [], threading.Barrier(6)
outer = track(job="shared")
def work(n):
    gate.wait()
    with outer as run:
        with track(job=f"in{n}") as inner:
            burn(0.01)
        rows.append([run.footprint.identity.parent_run_id, inner.footprint.identity.parent_run_id == run.run_id, run.run_id])
threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
with track(job="main") as main:
    [t.start() for t in threads]
    [t.join() for t in threads]
out([main.run_id, rows])
""", rigged(tmp_path)).value
    # None of the six is in another's context; all are the main thread's work.
    assert [row[:2] for row in rows] == [[main_id, True]] * 6
    assert len({row[2] for row in rows}) == 6


def test_tasks_keep_their_contexts_apart(tmp_path: Path) -> None:
    main_id, rows = python("""
shared = track(job="shared")
async def work(n):
    async with shared as run:
        await asyncio.sleep(0.01)
        async with track(job=f"in{n}") as inner:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.01)
        return [run.footprint.identity.parent_run_id, inner.footprint.identity.parent_run_id == run.run_id, run.run_id]
async def main():
    async with track(job="main") as run:
        rows = await asyncio.gather(*(work(n) for n in range(6)))
    out([run.run_id, rows])
asyncio.run(main())
""", rigged(tmp_path)).value
    assert [row[:2] for row in rows] == [[main_id, True]] * 6
    assert len({row[2] for row in rows}) == 6


def test_concurrent_runs_share_each_instant(tmp_path: Path) -> None:
    whole, parts = python("""
gate = threading.Barrier(3)
runs = []
def work():
    gate.wait()
    with track(job="part") as run:
        runs.append(run)
        gate.wait()
        burn(0.2)
        gate.wait()
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(2)]
[t.start() for t in threads]
with track(job="whole", scope="process") as whole:
    gate.wait(), gate.wait(), gate.wait()
gate.wait()
[t.join() for t in threads]
out([final(whole).own_energy_j.value, [final(run).own_energy_j.value for run in runs]])
""", rigged(tmp_path)).value
    assert all(part > 0 for part in parts)
    assert whole > 0
    assert max(parts) < 2 * min(parts)


def test_a_span_shorter_than_a_refresh_says_so_and_holds_the_truth(tmp_path: Path) -> None:
    found = python("""
with track(job="warm"):
    time.sleep(0.25)
time.sleep(0.25)
with track(job="s", scope="host") as run:
    time.sleep(0.005)
f = final(run)
out([f.duration_s, f.to_dict()["devices"]])
""", rigged(tmp_path)).value
    duration_s, devices = found
    gpu = next(d for d in devices if d["kind"] == "gpu")["energy_j"]
    assert gpu["low"] <= 200 * duration_s <= gpu["high"]
    assert gpu["high"] - gpu["low"] >= 0.1 * 200  # one refresh period x its power: no less is honest


def test_job_and_host_defaults(tmp_path: Path) -> None:
    (tmp_path / "train_it.py").write_text("""
from wattledger import track
with track() as run: pass
@track
def plain(): return 1
@track()
def called(): return 2
@track(job="mine")
def named(): return 3
assert (plain(), called(), named()) == (1, 2, 3)
print([run.job, plain.last_run.job, called.last_run.job, named.last_run.job])
""")
    done = run([sys.executable, str(tmp_path / "train_it.py")], blind(tmp_path))
    assert (done.out.strip(), done.err) == ("['train_it', 'plain', 'called', 'mine']", "")


def test_without_any_sensor_the_cpu_is_a_models_answer_and_says_so(tmp_path: Path) -> None:
    found = python("""
with track(job="f") as run:
    burn(0.3)
out(final(run).to_dict())
""", blind(tmp_path)).value
    assert found["energy_j"]["value"] > 0
    assert {d["method"] for d in found["devices"]} == {"estimated"}
    assert found["measured_fraction"] == 0.0
    assert any("modelled, not measured" in note for note in found["notes"])


def test_without_sensor_and_model_energy_is_absent_and_never_zero(tmp_path: Path) -> None:
    off = {f"WATTLEDGER_SOURCES_{name.upper()}_ENABLED": "false" for name in SOURCES}
    found, line = python("""
with track(job="f") as run:
    burn(0.05)
out([run.footprint.to_dict(), str(run.footprint)])
""", environ(tmp_path, **off)).value
    assert "energy_j" not in found
    assert "own_energy_j" not in found
    assert found["emissions_g"] == {}
    assert "unknown" in line


def test_the_import_loads_no_meter(tmp_path: Path) -> None:
    loaded = python("""
meter = ("wattledger.runtime", "wattledger.sources", "wattledger.factors", "wattledger.core.pipeline", "wattledger.core.model")
out([name for name in sys.modules if name.startswith(meter)])
""", blind(tmp_path)).value
    assert loaded == []


def test_a_command_and_the_runs_inside_it_are_one_tree(tmp_path: Path) -> None:
    found = python("""
with track(job="f") as run: pass
out(run.footprint.to_dict()["parent_run_id"])
""", blind(tmp_path, WATTLEDGER_RUN_ID="abc123")).value
    assert found == "abc123"
