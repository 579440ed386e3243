"""``wattledger slurm import``: sacct's jobs beside books made by hand."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_prices import contract
from tests.accounting.made_reports import KWH, books, said, used
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.slurm_place import asked, programs
from tests.ledger.made import NOON_S
from tests.slurm.test_slurm_words import HEAD

from wattledger.accounting.reports import iso_time
from wattledger.core.facts import EnergyFact
from wattledger.ledger.store import Store


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return programs(monkeypatch, tmp_path)


def of(job: str = "12", **more: Any) -> dict[str, Any]:
    """What the key of a Slurm job's energy is."""
    labels = {"slurm_cluster": "loop", "slurm_job_id": job, "user": "ada", **more.pop("labels", {})}
    return {"labels": tuple(sorted(labels.items())), "run": f"slurm-loop-{job}", "host": "gpu-7.site.org", **more}


def minutes(count: int, first: int = 0, **key: Any) -> list[EnergyFact]:
    """A kWh in each of so many minutes after noon."""
    return [used(1, hour=(first + n) / 60, **key) for n in range(count)]


def row(job: str = "12", start_s: float = 0, length_s: int | None = 120, **more: str) -> str:
    """A line of sacct's, by seconds after noon."""
    end = "Unknown" if length_s is None else iso_time(int(NOON_S + start_s + length_s))
    given = {"JobIDRaw": job, "JobID": job, "JobName": "tune", "Cluster": "loop", "User": "ada", "State": "COMPLETED"}
    given |= {"Start": iso_time(int(NOON_S + start_s)), "End": end, "NodeList": "gpu-7", "AllocTRES": "cpu=8,gres/gpu=2"}
    given |= more
    return "|".join(given.get(name, "") for name in HEAD.split("|"))


def imported(front: Front, place: Path, *rows: str, words: tuple[str, ...] = ("--dry-run",)) -> Any:
    Path("jobs").write_text("\n".join([HEAD, *rows]) + "\n")
    got = front("slurm", "import", "--from", "jobs", "--ledger", str(place), "--json", *words)
    assert got.status == 0, got.err
    return json.loads(got.out)


def test_a_jobs_figures_are_those_of_the_report(front: Front, tmp_path: Path) -> None:
    mine, other = minutes(2, **of(), job="tune"), minutes(2, **of("13"), job="other")
    place = books(tmp_path, [*mine, *other, *minutes(2, job="nobody", host="gpu-7.site.org"), said(0, 100)])
    [job] = imported(front, place, row())["jobs"]
    report = json.loads(front("report", "job", "tune", "--ledger", str(place), "--json").out)["rows"][0]
    assert job["energy_uj"] == 2 * KWH
    # What made the machines is shared among all that was on them, whoever asks: that is the report's.
    del report["emissions_g"]["embodied"]
    for name in ("energy_j", "emissions_g", "measured_fraction", "held_j"):
        assert job[name] == report[name]
    assert (job["user"], job["name"], job["allocated"]) == ("ada", "tune", {"cpu": "8", "gres/gpu": "2"})
    assert (job["whole"], job["covered"]) == (True, 1.0)


def test_runs_of_one_id_are_told_apart_by_their_time(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [*minutes(2, **of()), *minutes(3, 5, **of()), *minutes(1, 60 * 24 * 3, **of())])
    found = imported(front, place, row(State="REQUEUED"), row(start_s=300, length_s=180))
    assert [job["energy_uj"] for job in found["jobs"]] == [2 * KWH, 3 * KWH]
    assert found["total"]["energy_uj"] == 5 * KWH


def test_parts_of_a_job_on_several_hosts_and_in_its_spans_are_one(front: Front, tmp_path: Path) -> None:
    there = of(host="gpu-8", meter="agent:gpu-8")
    facts = [*minutes(2, **of()), *minutes(2, **there, job="span"), *minutes(2, **of(labels={"team": "x"}))]
    [job] = imported(front, books(tmp_path, facts), row(NodeList="gpu-[7-8]"))["jobs"]
    assert (job["energy_uj"], job["hosts"], job["whole"]) == (6 * KWH, 2, True)


def test_programs_that_metered_themselves_are_found_by_their_run(front: Front, tmp_path: Path) -> None:
    key: dict[str, Any] = {"labels": (), "run": "slurm-loop-12", "meter": "run:1", "host": "gpu-7"}
    [job] = imported(front, books(tmp_path, minutes(2, **key)), row())["jobs"]
    assert job["energy_uj"] == 2 * KWH


def test_the_same_id_in_another_cluster_is_another_job(front: Front, tmp_path: Path) -> None:
    [job] = imported(front, books(tmp_path, minutes(2, **of())), row(Cluster="other"))["jobs"]
    assert "energy_j" not in job
    assert "no energy is booked" in job["partial"]


@pytest.mark.parametrize(("line", "why"), [
    (row(length_s=240), "metered over 50%"), (row(NodeList="gpu-[7-9]"), "gpu-8 and 1 more of 3 nodes"),
    (row(length_s=None, State="RUNNING"), "still runs"), (row(NodeList=""), "NodeList"), (row(start_s=-120), "metered over 0%"),
])  # fmt: skip
def test_what_the_books_do_not_cover_is_marked_with_why(front: Front, tmp_path: Path, line: str, why: str) -> None:
    place = books(tmp_path, minutes(2, **of()))
    [job] = imported(front, place, line)["jobs"]
    assert job["whole"] is False
    assert why in job["partial"]
    table = front("slurm", "import", "--from", "jobs", "--dry-run", "--ledger", str(place)).out
    assert f"*12: {job['partial']}" in table


def test_a_job_without_energy_has_no_figure_and_never_a_zero(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, minutes(2, **of()))
    found = imported(front, place, row(), row("99"))
    assert "energy_j" not in found["jobs"][1]
    assert (found["total"]["jobs"], found["total"]["metered"]) == (2, 1)
    got = front("slurm", "import", "--from", "jobs", "--dry-run", "--ledger", str(place), "--csv")
    rows = list(csv.DictReader(io.StringIO(got.out)))
    assert (rows[1]["slurm_job_id"], rows[1]["energy_j"], rows[1]["location_based_g"]) == ("99", "", "")
    assert float(rows[0]["energy_j"]) == 7_200_000


def test_a_name_is_no_formula_and_commands_no_terminal(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, minutes(2, **of()))
    imported(front, place, row(JobName="=cmd|'/c calc'!A1\x1b[2J"))
    words = ("slurm", "import", "--from", "jobs", "--dry-run", "--ledger", str(place))
    [line] = csv.DictReader(io.StringIO(front(*words, "--csv").out))
    assert line["name"].startswith("'=cmd|")
    assert "\x1b" not in front(*words).out


def test_what_was_learnt_is_kept_once_and_its_user_by_a_pseudonym(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, minutes(2, **of()))
    into = ("--into", str(tmp_path / "kept"))
    first = imported(front, place, row(length_s=None, State="RUNNING"), row("99"), words=into)
    assert len(first["kept"]["facts"]) == 1  # of a job that these books know, that it began
    second = imported(front, place, row(), words=into)
    assert (len(second["kept"]["facts"]), second["kept"]["there_already"]) == (1, 1)
    assert imported(front, place, row(), words=into)["kept"] == {"facts": [], "there_already": 2}
    store = Store.open(tmp_path / "kept", readonly=True)
    facts, names = [known.fact for known in store.known(["run"])], store.names()
    store.close()
    labels = [dict(fact.labels) for fact in facts]  # type: ignore[union-attr]
    assert {names[each["user"]] for each in labels} == {"ada"}
    assert labels[1]["slurm_state"] == "COMPLETED"
    # The facts are of no meter and no run of a program: reports over both books say what they said.
    both = json.loads(front("report", "job", "--ledger", str(place), "--ledger", str(tmp_path / "kept"), "--json").out)
    assert both["rows"] == json.loads(front("report", "job", "--ledger", str(place), "--json").out)["rows"]


def test_contracts_are_of_all_that_was_drawn_and_not_of_jobs_alone(front: Front, tmp_path: Path) -> None:
    """A job drew half of the energy: a certificate for half of all covers half of the job's."""
    mix = said(-12, 700, length_s=365 * 86_400, boundary="residual")
    place = books(tmp_path, [*minutes(2, **of(), job="tune"), *minutes(2, job="nobody"), said(0, 100), mix, contract("GO", 2_000)])
    [job] = imported(front, place, row())["jobs"]
    report = json.loads(front("report", "job", "tune", "--ledger", str(place), "--json").out)["rows"][0]
    assert job["emissions_g"]["market_based"] == report["emissions_g"]["market_based"]
    assert job["emissions_g"]["market_based"]["value"] == pytest.approx(700)  # of 2 kWh, one at 700 g


def test_a_table_that_is_none_is_refused_in_a_line(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, minutes(1))
    Path("jobs").write_text("hello\n")
    for words in (("--from", "jobs"), ("--from", "none"), ("--from", "jobs", "--starttime", "2026-11-22"), ("--json", "--csv"),
                  ("--from", "jobs", "--timezone", "Mars/Base")):  # fmt: skip
        got = front("slurm", "import", "--ledger", str(place), *words)
        assert (got.status, is_one_line(got.err)) == (2, True)


def test_sacct_is_asked_for_all_users_jobs_in_utc(front: Front, slurm: Path, tmp_path: Path) -> None:
    got = front("slurm", "import", "--ledger", str(books(tmp_path, minutes(1))), "--starttime", "2026-11-22", "--dry-run")
    assert got.status == 2  # it said nothing: no table
    [words] = asked(slurm, "sacct")
    assert {"--allusers", "--allocations", "--duplicates", "--starttime=2026-11-22T00:00:00"} <= set(words)
