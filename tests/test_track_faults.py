"""The program is sacred: whatever is wrong with the meter or its words is one warning, and never the program's."""

from pathlib import Path

import pytest
from tests.runtime.programs import PRELUDE, blind, environ, python, rigged, run

BODY = """
with track(job="ok") as before:
    burn(0.02)
with track(**{"job": "x", **WORDS}) as run:
    burn(0.02)
@track(**{"job": "x", **WORDS})
def f():
    return 5
assert f() == 5
found = final(run)
found.to_dict(), str(found), repr(run), run.add_tokens(prompt=1)
with track(job="after") as after:
    burn(0.02)
out([found.energy_j is not None, final(after).energy_j is not None])
"""


@pytest.mark.parametrize("words", [
    {"zone": "Atlantis"}, {"zone": 5}, {"labels": 5}, {"labels": [1]}, {"labels": {"a": ["b"], 3: None}}, {"job": 5},
    {"job": "(idle)"}, {"job": "("}, {"model": ["x"]}, {"model": 7}, {"scope": "hst"}, {"sync": "sometimes"},
], ids=repr)  # fmt: skip
def test_wrong_words_are_at_most_one_warning_and_the_run_is_measured(tmp_path: Path, words: dict[str, object]) -> None:
    done = python(f"WORDS = {words!r}\n{BODY}", blind(tmp_path))
    assert done.value == [True, True]
    lines = done.err.splitlines()
    assert len(lines) <= 1
    assert all(line.startswith("wattledger: ") for line in lines)


@pytest.mark.parametrize(("words", "named"), [
    ({"zone": "Atlantis"}, "Atlantis"), ({"labels": 5}, "labels"), ({"scope": "hst"}, "hst"), ({"sync": "sometimes"}, "sometimes"),
    ({"job": "(idle)"}, "(idle)"),
], ids=repr)  # fmt: skip
def test_wrong_words_are_named(tmp_path: Path, words: dict[str, object], named: str) -> None:
    assert named in python(f"WORDS = {words!r}\n{BODY}", blind(tmp_path)).err


@pytest.mark.parametrize(("config", "named"), [
    ({"grid.zon": "DE"}, "grid.zon"), ({"grid.zon": "DE"}, "grid.zone"), ({"zone": "DE"}, "zone"),
    ({"grid.zone": "Atlantis"}, "Atlantis"), ({"agent.interval_s": "often"}, "often"),
    ("/no/such/file.toml", "/no/such/file.toml"), ({"facility.pue": 0.2}, "0.2"),
    (5, "config"),
], ids=repr)  # fmt: skip
def test_a_bad_configuration_is_one_warning_and_the_defaults(tmp_path: Path, config: object, named: str) -> None:
    done = python(f"WORDS = {{}}\n{BODY}".replace('track(job="ok")', f'track(job="ok", config={config!r})'), blind(tmp_path))
    assert done.value == [True, True]
    assert len(done.err.splitlines()) == 1
    assert named in done.err


def test_a_bad_environment_is_one_warning_and_the_defaults(tmp_path: Path) -> None:
    done = python("WORDS = {}\n" + BODY, blind(tmp_path, WATTLEDGER_AGENT_INTERVAL_S="often"))
    assert done.value == [True, True]
    assert len(done.err.splitlines()) == 1
    assert "WATTLEDGER_AGENT_INTERVAL_S" in done.err


def test_settings_reach_the_meter(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[grid]\nzone = "FR"\n')
    zones = python(f"""
with track(job="a", config={str(tmp_path / "my.toml")!r}) as run: burn(0.05)
with track(job="b", zone="DE") as other: burn(0.05)
out([[f.zone for f in final(r).factors if f.kind == "grid"] for r in (run, other)])
""", blind(tmp_path)).value
    assert zones == [["FR"], ["DE"]]


def test_wrong_token_counts_are_one_warning_and_are_not_counted(tmp_path: Path) -> None:
    done = python("""
with track(job="t") as run:
    run.add_tokens(prompt=-1)
    run.add_tokens(prompt=1.5)
    run.add_tokens(prompt="7")
    run.add_tokens(prompt=2)
out(final(run).to_dict()["work"])
""", blind(tmp_path))
    assert done.value["prompt_tokens"] == 2
    assert len(done.err.splitlines()) == 1


def test_a_closed_standard_error_is_no_error_and_spoils_no_output(tmp_path: Path) -> None:
    import shlex
    import sys

    code = PRELUDE + 'with track(job="x", zone="Atlantis") as run: burn(0.02)\nrun.footprint\nprint("mine")'
    done = run(["sh", "-c", f"exec {sys.executable} -c {shlex.quote(code)} 2>&-"], blind(tmp_path))
    assert (done.status, done.out) == (0, "mine\n")


def test_a_folder_that_takes_no_state_stops_nothing(tmp_path: Path) -> None:
    # As HOME=/root in a container that runs as another user: a floor is learnt in a quiet second and cannot be kept.
    (tmp_path / "file").write_text("")
    env = rigged(tmp_path, WATTLEDGER_AGENT_INTERVAL_S="1") | {"XDG_STATE_HOME": str(tmp_path / "file")}
    done = python("""
with track(job="x") as run:
    time.sleep(2.5)
out([t.name for t in threading.enumerate() if t.name == "wattledger-sampler"])
""", env)
    [line] = done.err.splitlines()  # floors can be learnt again; books that cannot be kept are worth a line
    assert line.startswith("wattledger: books: ")
    assert done.value == ["wattledger-sampler"]


def test_a_run_left_open_at_the_end_ends_quietly(tmp_path: Path) -> None:
    done = python("track(job='x').__enter__()\nburn(0.05)\nprint('end')", rigged(tmp_path))
    assert (done.status, done.out, done.err) == (0, "end\n", "")


def test_a_footprint_asked_at_exit_is_still_there(tmp_path: Path) -> None:
    done = python("""
import atexit
atexit.register(lambda: out(run.footprint.to_dict()))
with track(job="x", scope="host") as run:
    time.sleep(0.2)
""", rigged(tmp_path))
    found = done.value
    gpu = next(d["energy_j"] for d in found["devices"] if d["kind"] == "gpu")
    assert gpu["low"] <= 200 * found["duration_s"] <= gpu["high"]
    assert done.err == ""
    assert not [note for note in found["notes"] if "nvml" in note or "rapl" in note]


def test_a_run_entered_at_exit_raises_nothing(tmp_path: Path) -> None:
    done = python("""
import atexit
def last():
    with track(job="late") as late: pass
    out(late.footprint.to_dict()["job"])
atexit.register(last)
with track(job="x") as run: pass
""", rigged(tmp_path))
    assert done.value == "late"
    assert done.err == ""


def test_an_unknown_environment_key_is_one_warning_and_kubernetes_ones_are_none(tmp_path: Path) -> None:
    kubernetes = {"WATTLEDGER_PORT": "tcp://10.0.0.1:9909", "WATTLEDGER_SERVICE_HOST": "10.0.0.1", "WATTLEDGER_PORT_9909_TCP": "x"}
    done = python("""
for _ in range(3):
    with track(job="x"): pass
""", environ(tmp_path, WATTLEDGER_GRID_ZOEN="DE", **kubernetes))
    assert done.err.count("\n") == 1
    assert "WATTLEDGER_GRID_ZOEN" in done.err
    assert "WATTLEDGER_GRID_ZONE" in done.err


@pytest.mark.parametrize("inside", ["@track\ndef walk():\n    yield 1", "def walk():\n    with track(job='w'):\n        yield 1"])
def test_a_generator_left_suspended_at_the_end_is_closed_quietly(tmp_path: Path, inside: str) -> None:
    done = python(f"{inside}\nwalker = walk()\nnext(walker)\nprint('end')", rigged(tmp_path))
    assert (done.status, done.out, done.err) == (0, "end\n", "")


def test_a_meter_that_cannot_be_loaded_is_one_line_and_the_program_goes_on(tmp_path: Path) -> None:
    done = python("""
sys.modules["wattledger.runtime.tracker"] = None
@track(job="f")
def f(x): return x + 1
with track() as run:
    run.add_tokens(prompt=1)
    with track(): pass
out([f(1), run.footprint.to_dict()["notes"], str(run.footprint), run.footprint.energy_j])
""", environ(tmp_path))  # fmt: skip
    result, notes, text, energy_j = done.value
    assert (result, notes, energy_j) == (2, [text], None)
    assert python("""
sys.modules["wattledger.runtime.tracker"] = None
sys.stderr = None
with track(): pass
out(1)
""", environ(tmp_path)).out == "1\n"  # fmt: skip
    assert "not measured" in text
    assert done.err.count("\n") == 1
