"""A CodeCarbon script with its import line changed: it runs, and its ``emissions.csv`` is what its readers expect."""

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runtime.programs import Done, blind, python, rigged, run

from wattledger.compat._countries import country
from wattledger.compat._emissions_csv import write
from wattledger.compat.codecarbon import EmissionsTracker
from wattledger.core.emissions_row import COLUMNS

# What a user has; only the first line is another's.
SCRIPT = """
import time
from {module} import EmissionsTracker, OfflineEmissionsTracker, track_emissions

def work():
    return sum(i * i for i in range(2_000_000))

tracker = OfflineEmissionsTracker(
    project_name="mine", country_iso_code="FRA", measure_power_secs=1, output_dir=".", log_level="error", save_to_file=True
)
tracker.start()
time.sleep(1.3)
emissions = tracker.stop()
assert isinstance(emissions, float) and emissions == tracker.final_emissions == tracker.final_emissions_data.emissions

with OfflineEmissionsTracker(country_iso_code="FRA", log_level="error") as tracker:
    work()

@track_emissions(offline=True, country_iso_code="FRA", log_level="error")
def decorated():
    return work()

assert decorated() == work()
data = tracker.final_emissions_data
print(f"{{data.energy_consumed:.9f}} kWh, {{data.duration:.3f}} s, {{data.country_name}}, {{data.tracking_mode}}")
"""


def script(folder: Path, module: str, env: dict[str, str]) -> list[dict[str, str]]:
    done = run([sys.executable, "-c", SCRIPT.format(module=module)], env, cwd=folder)
    assert done.status == 0, done.err
    assert done.out.rstrip().endswith("s, France, machine")
    return read(folder / "emissions.csv")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def program(code: str, folder: Path) -> Done:
    done = python("from wattledger.compat.codecarbon import *\n" + code, rigged(folder), cwd=folder)
    assert done.status == 0, done.err
    return done


def test_a_script_runs_with_its_import_line_changed(tmp_path: Path) -> None:
    rows = script(tmp_path, "wattledger.compat.codecarbon", rigged(tmp_path))
    assert tuple(rows[0]) == COLUMNS
    assert [row["project_name"] for row in rows] == ["mine", "codecarbon", "codecarbon"]
    assert {row["country_iso_code"] for row in rows} == {"FRA"}
    # One GPU of 200 W, one socket of 60 W with 8 W of memory: the whole machine, as CodeCarbon's default is.
    row = rows[0]
    assert float(row["energy_consumed"]) == pytest.approx(float(row["duration"]) * 268 / 3.6e6, rel=0.25)
    parts = sum(float(row[f"{part}_energy"]) for part in ("cpu", "gpu", "ram"))
    assert parts == pytest.approx(float(row["energy_consumed"]))
    assert float(row["gpu_power"]) == pytest.approx(200, rel=0.25)
    assert float(row["emissions_rate"]) * float(row["duration"]) == pytest.approx(float(row["emissions"]))


def test_the_columns_are_codecarbons_own(tmp_path: Path) -> None:
    """The real one writes a file, and ours is then appended to it: it fits, column by column."""
    if importlib.util.find_spec("codecarbon") is None:
        pytest.skip("codecarbon is not installed here")
    theirs = script(tmp_path, "codecarbon", blind(tmp_path))
    assert tuple(theirs[0]) == COLUMNS
    both = script(tmp_path, "wattledger.compat.codecarbon", rigged(tmp_path))
    assert both[:3] == theirs
    assert len(both) == 6
    assert not (tmp_path / "emissions.csv.bak").exists()


def test_what_is_not_taken_is_one_line_and_no_secret(tmp_path: Path) -> None:
    done = program("""
for _ in range(2):
    tracker = EmissionsTracker("mine", gpu_ids=[0], save_to_api=True, api_key="hunter2", electricitymaps_api_token="hunter3",
                               country_iso_code="DEU", nonsense=1, pue="much", tracking_mode="all", log_level="debug",
                               save_to_logger=False, allow_multiple_runs=True,
                               output_methods=[OutputMethod.CSV, OutputMethod.LOGFIRE])
    tracker.start()
    tracker.stop()
""", tmp_path)
    [line] = done.err.splitlines()
    named = (
        "gpu_ids (CUDA_VISIBLE_DEVICES", "save_to_api (", "api_key (", "ELECTRICITYMAPS_API_KEY", "nonsense (", "pue (a number",
        "tracking_mode (", "output_methods (no logfire",
    )  # fmt: skip
    assert [word for word in named if word not in line] == []
    assert "hunter" not in line
    assert "log_level" not in line
    assert "save_to_logger" not in line
    assert "allow_multiple_runs" not in line
    assert len(read(tmp_path / "emissions.csv")) == 2


def test_arguments_mean_what_they_meant(tmp_path: Path) -> None:
    done = program("""
tracker = EmissionsTracker(output_file="mine.csv", tracking_mode="process", pue=1.5, experiment_id="e1", country_iso_code="CAN",
                           region="Quebec", cloud_provider="gcp", cloud_region="northamerica-northeast1")
tracker.start()
time.sleep(0.3)
tracker.stop()
out([tracker.footprint.to_dict(), tracker.run_id])
""", tmp_path)
    footprint, run_id = done.value
    [row] = read(tmp_path / "mine.csv")
    assert (footprint["scope"], footprint["labels"]) == ("process", {"experiment_id": "e1"})
    assert {f["zone"] for f in footprint["factors"] if f["kind"] == "grid"} == {"CA-QC"}
    assert (row["tracking_mode"], row["pue"], row["experiment_id"], row["run_id"]) == ("process", "1.5", "e1", run_id)
    assert (row["country_name"], row["region"], row["on_cloud"], row["cloud_provider"]) == ("Canada", "Quebec", "Y", "gcp")
    assert float(row["energy_consumed"]) == pytest.approx(1.5 * footprint["energy_j"]["value"] / 3.6e6)
    assert float(row["emissions"]) == pytest.approx(footprint["emissions_g"]["location_based"]["value"] / 1000)
    assert done.err == ""


def test_tasks_have_figures_of_their_own_inside_the_whole(tmp_path: Path) -> None:
    found = program("""
tracker = EmissionsTracker(country_iso_code="DEU", experiment_name="a/b")
tracker.start_task("load")
time.sleep(0.3)
load = tracker.stop_task()
tracker.start_task("train")
time.sleep(0.6)
train = tracker.stop_task("train")
assert tracker.stop_task("nothing") is None
tracker.stop()
out([load.energy_consumed, train.energy_consumed, tracker.final_emissions_data.energy_consumed, tracker.run_id])
""", tmp_path).value
    load, train, whole, run_id = found
    assert 0 < load < train < load + train <= whole * 1.05
    tasks = read(tmp_path / f"emissions_a_b_{run_id}.csv")
    assert [row["task_name"] for row in tasks] == ["load", "train"]
    assert list(tasks[0]) == ["task_name", *(name for name in COLUMNS if name not in ("experiment_id", "pue", "wue"))]
    assert {row["run_id"] for row in tasks} == {run_id}


def test_a_flush_writes_and_goes_on(tmp_path: Path) -> None:
    program("""
for mode in ("append", "update"):
    tracker = EmissionsTracker(country_iso_code="DEU", output_file=f"{mode}.csv", on_csv_write=mode)
    assert tracker.flush() is None
    tracker.start()
    time.sleep(0.3)
    first = tracker.flush()
    time.sleep(0.3)
    assert 0 < first < tracker.stop() == tracker.stop() == tracker.flush()
""", tmp_path)
    appended, updated = read(tmp_path / "append.csv"), read(tmp_path / "update.csv")
    assert len(appended) == 2
    assert float(appended[0]["energy_consumed"]) < float(appended[1]["energy_consumed"])
    assert len(updated) == 1


def test_a_place_that_is_not_said_is_the_worlds_average_and_a_line(tmp_path: Path) -> None:
    done = program("with EmissionsTracker() as tracker: time.sleep(0.3)", tmp_path)
    assert "the world's average stands in: give country_iso_code" in done.err
    [row] = read(tmp_path / "emissions.csv")
    assert (row["country_name"], row["country_iso_code"], row["region"]) == ("", "", "")
    assert float(row["emissions"]) > 0


def test_what_is_not_known_is_an_empty_cell_and_nan(tmp_path: Path) -> None:
    done = python("""
from wattledger.compat.codecarbon import *
with EmissionsTracker(country_iso_code="DEU") as tracker: time.sleep(0.3)
data = tracker.final_emissions_data
said = json.loads(data.toJSON())
out([data.gpu_energy != data.gpu_energy, f"{data.gpu_energy:.3f}", data.region, said["gpu_energy"], list(data.values)])
""", blind(tmp_path), cwd=tmp_path)
    assert done.value == [True, "nan", "", None, list(COLUMNS)]
    [row] = read(tmp_path / "emissions.csv")
    assert (row["gpu_energy"], row["water_consumed"], row["gpu_count"]) == ("", "", "")
    assert "estimated" in row["codecarbon_version"]


def test_the_programs_exception_and_its_values_are_its_own(tmp_path: Path) -> None:
    found = program("""
@track_emissions
def broken(): raise KeyError("mine")

@track_emissions(save_to_file=False, country_iso_code="DEU")
async def later(x): return x + 1

try:
    broken()
except KeyError as error:
    seen = str(error)
out([seen, asyncio.run(later(1)), broken.__name__, later.__name__])
""", tmp_path).value
    assert found == ["'mine'", 2, "broken", "later"]
    assert len(read(tmp_path / "emissions.csv")) == 1


def test_a_folder_that_is_not_there_is_one_line_and_no_exception(tmp_path: Path) -> None:
    done = program("""
for _ in range(2):
    with EmissionsTracker(country_iso_code="DEU", output_dir="nowhere") as tracker: time.sleep(0.2)
    assert tracker.final_emissions > 0
""", tmp_path)
    [line] = done.err.splitlines()
    assert "nowhere/emissions.csv was not written: No such file or directory" in line


def test_a_tracker_that_never_started_has_nothing() -> None:
    tracker = EmissionsTracker(save_to_file=False)
    assert (tracker.stop(), tracker.flush(), tracker.final_emissions, tracker.run_id, tracker.footprint) == (None,) * 5


ROW: dict[str, str | float | None] = {"run_id": "one", "energy": 1.5, "unknown": None}


def test_a_file_of_other_columns_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    for number in range(3):
        path.write_text(f"other{number}\n1\n")
        write(path, ROW)
    assert path.read_text() == "run_id,energy,unknown\none,1.5,\n"
    kept = {name: (tmp_path / f"emissions.csv{name}").read_text()[:6] for name in (".bak", "_0.bak", "_1.bak")}
    assert kept == {".bak": "other0", "_0.bak": "other1", "_1.bak": "other2"}


def test_a_row_is_written_in_the_files_own_order(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    path.write_text("energy,unknown,run_id\n7,8,zero\n")
    write(path, ROW)
    assert path.read_text() == "energy,unknown,run_id\n7,8,zero\n1.5,,one\n"


def test_a_row_that_was_cut_off_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    path.write_text("run_id,energy,unknown\nzero,7")
    write(path, ROW)
    assert path.read_text().splitlines()[1:] == ["zero,7", "one,1.5,"]


def test_an_empty_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    path.touch()
    write(path, ROW)
    assert path.read_text() == "run_id,energy,unknown\none,1.5,\n"
    assert [file.name for file in tmp_path.iterdir()] == ["emissions.csv"]


def test_an_update_takes_the_place_of_the_runs_one_row_only(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    path.write_text("run_id,energy,unknown\none,1,x\nzero,7,\n")
    write(path, ROW, update=True)
    assert path.read_text().splitlines()[1:] == ["zero,7,", "one,1.5,"]
    path.write_text("run_id,energy,unknown\none,1,x\none,2,x\n")
    write(path, ROW, update=True)
    assert path.read_text().splitlines()[1:] == ["one,1,x", "one,2,x", "one,1.5,"]


def test_many_writers_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    write(path, ROW)
    code = (
        "import sys; from pathlib import Path; from wattledger.compat._emissions_csv import write\n"
        "for n in range(50): write(Path(sys.argv[1]), {'run_id': sys.argv[2], 'energy': n, 'unknown': None})"
    )
    env = blind(tmp_path)
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name], env=env) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    rows = read(path)
    assert [sum(row["run_id"] == name for row in rows) for name in ("one", "a", "b")] == [1, 50, 50]


def test_a_country_has_three_letters_two_and_a_name() -> None:
    found = [country(code) for code in ("deu", "DE", " usa ", "XKX")]
    assert [place and (place.alpha_3, place.alpha_2, place.name) for place in found] == [
        ("DEU", "DE", "Germany"), ("DEU", "DE", "Germany"), ("USA", "US", "United States"), ("XKX", "XK", "Kosovo"),
    ]  # fmt: skip
    assert country("nowhere") is country("") is None
