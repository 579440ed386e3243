"""``wattledger run`` keeps books: its facts are its footprint's own energy, and no fault of the disk reaches the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runtime.books.read import BOOKS, by_device, by_job, energies, once, runs, uj
from tests.runtime.programs import ROOT, Done, command, rigged, run, wattledger

PY = sys.executable
BURN = "import time\nb = time.process_time()\nwhile time.process_time() - b < 0.3: pass"
CHILDREN = f"{PY} -c '{BURN}' & {PY} -c '{BURN}'; wait; sleep 0.2"


def books(folder: Path) -> Path:
    return folder / "XDG_STATE_HOME" / BOOKS


def test_the_facts_are_the_footprints_energy_children_and_all(tmp_path: Path) -> None:
    done = wattledger(rigged(tmp_path), "run", "--json", "--job", "j", "--", "sh", "-c", CHILDREN)
    found = energies(books(tmp_path))
    once(found)
    assert by_job(found) == {"j": uj(done.value["energy_j"]["value"])}
    [ended] = runs(books(tmp_path))
    assert (ended.energy_uj, ended.run) == (uj(done.value["energy_j"]["value"]), done.value["run_id"])
    assert {fact.key.run for fact in found} == {done.value["run_id"]}
    assert {fact.key.meter.partition(":")[0] for fact in found} == {"run"}


def test_a_run_of_the_whole_host_gets_everything(tmp_path: Path) -> None:
    done = wattledger(rigged(tmp_path), "run", "--json", "--job", "j", "--scope", "host", "--", "sh", "-c", CHILDREN)
    found = energies(books(tmp_path))
    once(found)
    devices = {device["id"]: uj(device["energy_j"]["value"]) for device in done.value["devices"]}
    assert by_job(found).keys() == {"j"}
    # Beside the footprint, what was metered before the command began and after it ended: 200 ms at most.
    sums, watts = by_device(found), {"cpu": 60, "dram": 8, "gpu": 200}
    assert sums.keys() == devices.keys()
    for device in done.value["devices"]:
        assert 0 <= sums[device["id"]] - devices[device["id"]] <= watts[device["kind"]] * 200_000


def test_a_run_in_a_run_has_books_of_its_own_in_the_same_folder(tmp_path: Path) -> None:
    inner = command("run", "--json", "--job", "inner", "--", PY, "-c", BURN)
    done = run(command("run", "--json", "--job", "outer", "--", *inner), rigged(tmp_path))
    both = [json.loads(line) for line in done.out.splitlines()]
    sums = by_job(energies(books(tmp_path)))
    assert sums == {footprint["job"]: uj(footprint["energy_j"]["value"]) for footprint in both}


FAILS = ("run", "--json", "--job", "j", "--", "sh", "-c", "echo theirs; exit 3")


def untouched(done: Done) -> str:
    """The command's status and output are its own, the footprint is there; our one line on standard error."""
    theirs, footprint = done.out.splitlines()
    assert (done.status, theirs, json.loads(footprint)["schema"]) == (3, "theirs", "wattledger.footprint/1")
    [line] = [line for line in done.err.splitlines() if "books:" in line]
    assert "Traceback" not in done.err
    return line


def test_a_file_in_the_way_of_the_books_costs_the_books_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("")
    line = untouched(wattledger(rigged(tmp_path, WATTLEDGER_LEDGER_PATH=str(tmp_path / "in-the-way")), *FAILS))
    assert "in-the-way: File exists" in line or "in-the-way: Not a directory" in line or "in-the-way/open.db" in line
    assert "not in the books" in line


def test_a_python_without_sqlite_costs_the_books_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sqlite3.py").write_text("raise ImportError('no _sqlite3 here')")
    env = rigged(tmp_path)
    line = untouched(wattledger({**env, "PYTHONPATH": f"{tmp_path / 'site'}:{env['PYTHONPATH']}"}, *FAILS))
    assert "this Python has no SQLite" in line


def test_a_foreign_file_where_the_books_should_be_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "ledger"
    place.mkdir()
    (place / "open.db").write_bytes(b"not a database at all, but somebody's own file" * 100)
    before = (place / "open.db").read_bytes()
    assert "not a ledger" in untouched(wattledger(rigged(tmp_path, WATTLEDGER_LEDGER_PATH=str(place)), *FAILS))
    assert (place / "open.db").read_bytes() == before


def on_a_disk_of_its_own(folder: Path, words: str, prepare: str) -> Done:
    """The command line in a mount namespace in which the ledger's folder is a small disk in a bad state."""
    folder.mkdir()
    script = f"mount -t tmpfs -o {words} none {folder} && {prepare} && exec \"$@\""
    env = {**rigged(folder.parent), "WATTLEDGER_LEDGER_PATH": str(folder / "ledger")}
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this user may not mount a small disk")
    return run(["unshare", "-m", "sh", "-c", script, "sh", *command(*FAILS)], env, cwd=ROOT)


def test_a_full_disk_costs_the_books_and_one_line(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    line = untouched(on_a_disk_of_its_own(disk, "size=64k", f"(cat /dev/zero > {disk}/filler 2>/dev/null || true)"))
    assert "the disk is full" in line or "No space left" in line


def test_a_read_only_disk_costs_the_books_and_one_line(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    line = untouched(on_a_disk_of_its_own(disk, "size=1m", f"mount -o remount,ro {disk}"))
    assert "Read-only file system" in line


def test_a_command_that_cannot_start_leaves_no_books(tmp_path: Path) -> None:
    done = wattledger(rigged(tmp_path), "run", "--", str(tmp_path / "nothing"))
    assert done.status == 127
    assert not books(tmp_path).exists()
