"""What Slurm prints: lists of hosts, sacct's tables with whatever a job's name holds; and a footprint as a comment."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.uncertainty import Quantity
from wattledger.runtime.slurm.comment import footprint, merged
from wattledger.runtime.slurm.live import Found, agent_began_s, seen, together
from wattledger.runtime.slurm.nodelist import BadList, expanded
from wattledger.runtime.slurm.sacct import BadTable, read

HEAD = "JobIDRaw|JobID|JobName|Cluster|User|Account|Partition|State|Start|End|NodeList|AllocTRES"
T0_S = int(datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp())


def utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def line(raw: str = "12", *, shown: str = "", name: str = "tune", state: str = "COMPLETED", start: str = "2026-11-22T10:00:00",
         end: str = "2026-11-22T10:05:00", nodes: str = "gpu-1") -> str:  # fmt: skip
    return f"{raw}|{shown or raw}|{name}|loop|ada|physics|main|{state}|{start}|{end}|{nodes}|billing=8,cpu=8,gres/gpu=2,mem=64G"


@pytest.mark.parametrize(("text", "hosts"), [
    ("gpu-1", ("gpu-1",)),
    ("gpu[01-03,7]", ("gpu01", "gpu02", "gpu03", "gpu7")),
    ("gpu[09-11]", ("gpu09", "gpu10", "gpu11")),
    ("a[1-2],b3,login", ("a1", "a2", "b3", "login")),
    ("rack[0-1]n[1-2]-ib", ("rack0n1-ib", "rack0n2-ib", "rack1n1-ib", "rack1n2-ib")),
    ("None assigned", ()), ("(null)", ()), ("", ()),
])  # fmt: skip
def test_a_list_of_hosts_is_expanded_as_slurm_means_it(text: str, hosts: tuple[str, ...]) -> None:
    assert expanded(text) == hosts


@pytest.mark.parametrize(
    "text", ["gpu[1-2", "gpu]1[", "gpu[1-x]", "gpu[[1]]", "gpu[1-99999999999]", "a[1-300]b[1-300]", "a,,b", "a b"]
)
def test_what_is_no_list_of_hosts_or_too_long_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(BadList) as wrong:
        expanded(text)
    assert "\n" not in str(wrong.value)
    assert len(str(wrong.value)) < 100


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20, unique=True), st.integers(1, 4))
def test_expanding_names_every_host_once(numbers: list[int], width: int) -> None:
    text = f"n[{','.join(f'{n:0{width}d}' for n in numbers)}]"
    assert expanded(text) == tuple(f"n{n:0{width}d}" for n in numbers)


def test_a_jobs_words_are_read() -> None:
    [job] = read(f"{HEAD}\n{line(nodes='gpu[1-2]')}\n", to_utc=utc).jobs
    assert (job.id, job.raw, job.name, job.user, job.cluster, job.state) == ("12", "12", "tune", "ada", "loop", "COMPLETED")
    assert (job.start_s, job.end_s, job.nodes) == (T0_S, T0_S + 300, ("gpu1", "gpu2"))
    assert dict(job.tres)["gres/gpu"] == "2"
    assert job.run_id == "slurm-loop-12"


@pytest.mark.parametrize("name", ["a|b", "|", "||x||", "a\nb", "a\nb|c", "", "sweep\n13|7"])
def test_a_name_may_hold_the_delimiter_and_line_feeds(name: str) -> None:
    found = read(f"{HEAD}\n{line(name=name)}\n{line('13')}\n", to_utc=utc)
    assert [job.raw for job in found.jobs] == ["12", "13"]
    assert found.jobs[0].name == name.replace("\n", " ").strip()
    assert found.warnings == ()


def test_a_name_that_forges_a_line_makes_no_job_where_the_delimiter_is_not_known() -> None:
    mark = "\x1f5be2\x1f"
    forged = f"x\n{line('99')}\nx"
    text = "\n".join(each.replace("|", mark) for each in (HEAD, line(name="NAME"))).replace("NAME", forged)
    assert [job.raw for job in read(text, delimiter=mark, to_utc=utc).jobs] == ["12"]


def test_steps_and_waiting_jobs_are_left_out_and_a_running_job_has_no_end() -> None:
    waits = line("14", start="Unknown", end="Unknown", state="PENDING", nodes="None assigned")
    runs = line("15", end="Unknown", state="RUNNING")
    lines = [line(), line("12.batch"), line("12.0"), waits, runs, line("16", state="CANCELLED by 1000")]
    found = read("\n".join([HEAD, *lines]), to_utc=utc)
    assert [(job.raw, job.end_s is None, job.state) for job in found.jobs] == [
        ("12", False, "COMPLETED"), ("15", True, "RUNNING"), ("16", False, "CANCELLED"),
    ]  # fmt: skip
    assert found.waiting == 1


def test_tasks_of_arrays_and_parts_of_heterogeneous_jobs_keep_the_number_that_they_are_metered_by() -> None:
    found = read("\n".join([HEAD, line("21", shown="20_3"), line("31", shown="30+1")]), to_utc=utc)
    said = [(job.id, job.raw, job.run_id) for job in found.jobs]
    assert said == [("20_3", "21", "slurm-loop-21"), ("30+1", "31", "slurm-loop-30")]


def test_a_requeued_job_is_as_many_runs_as_it_had() -> None:
    again = line(start="2026-11-22T11:00:00", end="2026-11-22T11:05:00")
    assert len(read("\n".join([HEAD, line(state="REQUEUED"), again, again]), to_utc=utc).jobs) == 2


@pytest.mark.parametrize(("wrong", "words"), [
    (line(start="yesterday"), "no time"), (line(nodes="gpu[1-"), "brackets"), (line("12_[1-3]"), "no job's id"),
    (line(end="2026-11-22T09:00:00"), "ended before it began"), (line("12_3"), "JobIDRaw"), ("12|12", "2 columns"),
])  # fmt: skip
def test_a_line_that_cannot_be_read_is_named_and_the_others_are_read(wrong: str, words: str) -> None:
    found = read(f"{HEAD}\n{wrong}\n{line('13')}\n", to_utc=utc)
    assert [job.raw for job in found.jobs] == ["13"]
    assert words in found.warnings[0]
    assert found.warnings[0].startswith("line 2: ")


@pytest.mark.parametrize("text", ["", "no table", "JobID|User\n1|ada"])
def test_what_is_no_table_is_refused_with_the_command_that_makes_one(text: str) -> None:
    with pytest.raises(BadTable, match="sacct -a -X -P"):
        read(text)


@given(st.text(alphabet="12|_+.\nTZ:-[],ab \x1e", max_size=300))
def test_whatever_the_lines_reading_ends_with_jobs_or_warnings(text: str) -> None:
    found = read(f"{HEAD}\n{text}\n{line('13')}\n", to_utc=utc)
    assert all(job.end_s is None or job.end_s >= job.start_s for job in found.jobs)
    assert all("\n" not in warning for warning in found.warnings)


def test_times_with_a_zone_or_as_seconds_need_no_zone() -> None:
    lines = [line(start="2026-11-22T11:00:00+01:00", end=str(T0_S + 60))]
    [job] = read("\n".join([HEAD, *lines])).jobs
    assert (job.start_s, job.end_s) == (T0_S, T0_S + 60)


# --- the comment ----------------------------------------------------------------------------------------------------------


def found(value_j: float, *, grams: float | None = 411.0, measured: float = 0.8, nodes: int = 1, asked: int = 1) -> Found:
    return Found(Quantity(value_j, 0.92 * value_j, 1.088 * value_j), measured, grams, nodes, asked)


def test_a_comment_is_one_short_line_with_its_interval() -> None:
    assert footprint(found(4.5e6)) == "wattledger: 1.25 kWh (1.15 to 1.36), 411 g CO2e, 80 % measured"
    assert footprint(found(200.0, grams=None, measured=1.0)) == "wattledger: 200 J (184 to 218), 100 % measured"


def test_a_part_is_never_called_the_whole() -> None:
    assert "1 of 2 nodes" in footprint(found(1e6, nodes=1, asked=2))
    assert ", 2 nodes" in footprint(found(1e6, nodes=2, asked=2))
    assert footprint(found(4.5e6), late=True).startswith("wattledger: at least 1.25 kWh")
    assert footprint(found(1e6), so_far=True).endswith("so far")
    assert "99.9 % measured" in footprint(found(1e6, measured=0.9991))


@pytest.mark.parametrize("value_j", [1e-3, 5.0, 1e5, 1e8, 1e12])
def test_its_units_mean_the_same_in_lower_case(value_j: float) -> None:
    said = footprint(found(value_j, grams=value_j))
    assert not {"M", "G"} & set(said.replace("CO2e", ""))


@pytest.mark.parametrize("before", ["", "mine", "mine; yours", "Wattledger is fine"])
def test_the_users_words_stay_and_ours_are_there_once(before: str) -> None:
    once = merged(before, "wattledger: 1 J")
    assert once == (f"{before}; wattledger: 1 J" if before else "wattledger: 1 J")
    assert merged(once, "wattledger: 2 J") == once.replace("1 J", "2 J")


# --- what agents say ------------------------------------------------------------------------------------------------------


def page(component: str, mine: float, others: float) -> str:
    """A device that a job and others used."""
    device = f'device="d",component="{component}"'
    return "".join(
        f'wattledger_energy_joules_total{{job_name="j",{who}{device},method="counter",use="active"}} {joules}\n'
        for who, joules in (('slurm_job_id="12",', mine), ("", others))
    ) + f'wattledger_device_energy_joules_total{{{device},device_model="NVIDIA H100",method="counter"}} {mine + others}\n'


def width(component: str, others: float, *, gpus_shared: bool = False) -> float:
    said = together([seen(page(component, 100.0, others), "12", gpus_shared=gpus_shared)], 60.0)
    assert said is not None
    assert said.energy_j.value == 100.0
    return said.energy_j.high - said.energy_j.low


def test_a_shared_device_makes_the_interval_wider() -> None:
    assert width("cpu", 50.0) > width("cpu", 0.0)
    assert width("gpu", 50.0) == width("gpu", 0.0)  # one after the other, unless Slurm gave parts of it
    assert width("gpu", 50.0, gpus_shared=True) > width("gpu", 50.0)


def test_grams_that_one_agent_does_not_know_are_not_summed() -> None:
    known = seen(page("cpu", 1.0, 0.0) + 'wattledger_emissions_grams_total{slurm_job_id="12"} 2\n', "12")
    both = together([known, seen(page("cpu", 1.0, 0.0), "12"), "no answer"], 60.0)
    assert both is not None
    assert (both.grams, both.nodes, both.asked, both.why) == (None, 2, 3, "no answer")
    assert together([seen(page("cpu", 1.0, 0.0), "13"), "no answer"], 60.0) is None


def test_whatever_an_agent_answers_a_page_that_is_none_knows_no_job() -> None:
    mine = 'wattledger_energy_joules_total{slurm_job_id="12"}'
    for text in ("", "<html>", "wattledger_energy_joules_total{ 1", f"{mine} x y", f"{mine} x", f"{mine} NaN", f"{mine} -1"):
        assert not seen(text, "12").known


def test_when_the_agent_began_is_told_by_who_listens_on_its_socket(tmp_path: Path) -> None:
    place = tmp_path / "s"
    assert agent_began_s(str(place)) is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listens:
        listens.bind(str(place))
        listens.listen()
        began_s = agent_began_s(str(place))
    booted = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    mine = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    assert began_s == booted + mine
