"""``wattledger run``: the command is untouched; its status, its streams, its descriptors are its own."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runtime.programs import blind, command, rigged, run, wattledger

PY = sys.executable


@pytest.mark.parametrize(("code", "status"), [
    ("pass", 0), ("raise SystemExit(3)", 3), ("raise SystemExit(255)", 255),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143),
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
    ("import os; os.abort()", 134),
])  # fmt: skip
def test_the_exit_status_is_the_commands(tmp_path: Path, code: str, status: int) -> None:
    done = wattledger(blind(tmp_path), "run", "--", PY, "-c", code)
    assert done.status == status
    assert done.out == ""
    assert "energy" in done.err


def test_output_and_input_pass_byte_for_byte(tmp_path: Path) -> None:
    blob = bytes(range(256)) * 3000 + b"\x00\xff\r\n no newline at the end"
    done = subprocess.run(command("run", "--", "cat"), env=blind(tmp_path), input=blob, capture_output=True, check=True)
    assert done.stdout == blob


def test_standard_error_is_the_commands_and_then_ours(tmp_path: Path) -> None:
    done = wattledger(blind(tmp_path), "run", "--job", "j", "--", "sh", "-c", "echo theirs >&2")
    assert done.err.startswith("theirs\nwattledger: j\n")


def test_arguments_are_untouched(tmp_path: Path) -> None:
    words = ["--json", "-o", "x", "--", "a b", "", "*", "--zone", "é"]
    done = wattledger(blind(tmp_path), "run", "--", PY, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *words)
    assert json.loads(done.out) == words
    plain = wattledger(blind(tmp_path), "run", PY, "-c", "import sys; print(sys.argv[1:])", "--json")
    assert plain.out == "['--json']\n"


def test_environment_is_untouched_but_for_the_runs_name(tmp_path: Path) -> None:
    env = blind(tmp_path, WATTLEDGER_JOB="j")
    done = wattledger(env, "run", "--json", "--", PY, "-c", "import json, os; print(json.dumps(dict(os.environ)))")
    theirs, footprint = map(json.loads, done.out.splitlines())
    assert theirs.pop("WATTLEDGER_RUN_ID") == footprint["run_id"]
    kept = set(theirs) & set(env)
    assert {k: theirs[k] for k in kept} == {k: env[k] for k in kept}
    assert not set(env) - set(theirs)
    assert footprint["job"] == "j"


def test_a_given_run_id_is_kept_and_passed_on(tmp_path: Path) -> None:
    code = "from wattledger import track\nwith track(job='in') as run: pass\nprint(run.footprint.to_dict()['parent_run_id'])"
    done = wattledger(blind(tmp_path, WATTLEDGER_RUN_ID="job-17"), "run", "--json", "--", PY, "-c", code)
    parent, footprint = done.out.splitlines()
    assert parent == "job-17"
    assert json.loads(footprint)["run_id"] == "job-17"


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no /dev/fd")
def test_inherited_descriptors_stay_open(tmp_path: Path) -> None:
    # Process substitution, make's jobserver, socket activation.
    reader, writer = os.pipe()
    os.write(writer, b"handed down")
    os.close(writer)
    done = wattledger(blind(tmp_path), "run", "--", "cat", f"/dev/fd/{reader}", pass_fds=(reader,))
    os.close(reader)
    assert (done.status, done.out) == (0, "handed down")


def test_the_command_gets_no_descriptor_of_ours(tmp_path: Path) -> None:
    code = """
import os
links = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd") if int(n) > 2]
print([os.readlink(link) for link in links if os.path.lexists(link)])
"""
    assert wattledger(rigged(tmp_path), "run", "--", PY, "-c", code).out == "[]\n"


def test_json_is_the_last_line_of_standard_output(tmp_path: Path) -> None:
    done = wattledger(rigged(tmp_path), "run", "--json", "--job", "j", "--label", "a=b=c", "--label", "team=x", "--model", "m",
                      "--scope", "host", "--zone", "DE", "--", "sh", "-c", "echo out; sleep 0.3")  # fmt: skip
    first, last = done.out.splitlines()
    found = json.loads(last)
    assert first == "out"
    assert found["schema"] == "wattledger.footprint/1"
    assert (found["job"], found["model"], found["labels"], found["scope"]) == ("j", "m", {"a": "b=c", "team": "x"}, "host")
    assert {f["zone"] for f in found["factors"] if f["kind"] == "grid"} == {"DE"}
    assert {d["kind"] for d in found["devices"]} == {"gpu", "cpu", "dram"}


@pytest.mark.parametrize(("words", "job"), [
    ([PY, "-u", "train.py"], "train"), ([PY, "-m", "json.tool", "--help"], "json.tool"), (["sh", "-c", "true"], "sh"),
])  # fmt: skip
def test_the_job_is_named_after_the_script(tmp_path: Path, words: list[str], job: str) -> None:
    (tmp_path / "train.py").write_text("")
    done = wattledger(blind(tmp_path), "run", "-o", "f.json", "--", *words, cwd=tmp_path)
    assert done.status == 0
    assert json.loads((tmp_path / "f.json").read_text())["job"] == job


def test_a_big_output_is_not_slowed_or_cut(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(8) * (4 << 20))"
    done = subprocess.run(command("run", "--", PY, "-c", code), env=blind(tmp_path), capture_output=True, check=True)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(bytes(32 << 20)).digest()


def test_grandchildren_that_let_go_of_their_parent_stay_in_the_tree(tmp_path: Path) -> None:
    # The command starts a daemon (its parent ends at once), and then waits for it by a file.
    (tmp_path / "daemon.py").write_text("""
import os, sys, time
if os.fork():
    sys.exit(0)
os.setsid()
if os.fork():
    sys.exit(0)
began = time.process_time()
while time.process_time() - began < 1.2: pass
open("done", "w").close()
""")
    wait = f"{PY} daemon.py; while [ ! -e done ]; do sleep 0.05; done"
    done = wattledger(rigged(tmp_path), "run", "-o", "f.json", "--interval", "0.3", "--", "sh", "-c", wait, cwd=tmp_path)
    assert done.status == 0
    found = json.loads((tmp_path / "f.json").read_text())
    cpu = next(d for d in found["devices"] if d["kind"] == "cpu")
    # 27 W above the idle floor for 1.2 s, less what others on this machine used: the shell alone has half a joule.
    assert cpu["energy_j"]["value"] > 4


def test_a_daemon_that_outlives_the_command_is_not_waited_for(tmp_path: Path) -> None:
    done = wattledger(blind(tmp_path), "run", "--", "sh", "-c", "sleep 20 >/dev/null 2>&1 & exit 4", timeout_s=15)
    assert done.status == 4


def test_a_command_that_ends_at_once_has_a_footprint(tmp_path: Path) -> None:
    found = json.loads(wattledger(rigged(tmp_path), "run", "--json", "--scope", "host", "--", "true").out)
    gpu = next(d for d in found["devices"] if d["kind"] == "gpu")
    assert gpu["energy_j"]["low"] <= 200 * found["duration_s"] <= gpu["energy_j"]["high"]


def test_run_in_run_nests(tmp_path: Path) -> None:
    done = run(command("run", "--json", "--", *command("run", "--json", "--", "sh", "-c", "exit 9")), blind(tmp_path))
    assert done.status == 9
    assert len(done.out.splitlines()) == 2
