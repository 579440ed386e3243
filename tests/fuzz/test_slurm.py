"""Slurm's words: environments that its users set, folders that prologs keep, what sacct and the agents' own pages say."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import bent_bytes, bent_text, fuzzed, is_count, is_label, raw, taken, texts
from tests.sources.slurm_node import ONE, V1, V2, Node

from wattledger.core.model import Claim, Holding, Sample
from wattledger.runtime.slurm import comment, live, nodelist, sacct
from wattledger.sources.slurm.gpus import gpus_of
from wattledger.sources.slurm.jobs import MOST_CHARACTERS, Word, workload_of

KEYS = ("SLURM_JOB_ID", "SLURM_HET_SIZE", "SLURM_JOB_ID_HET_GROUP_0", "SLURM_JOB_NAME", "SLURM_CLUSTER_NAME", "SLURM_JOB_GPUS",
"SLURM_STEP_GPUS",
        "CUDA_VISIBLE_DEVICES", "SLURM_NODEID", "SLURM_JOB_PARTITION", "SLURM_JOB_USER", "SLURM_JOB_UID")  # fmt: skip
values = texts.map(lambda text: text.replace("\0", "").encode("utf-8", "replace").decode()) | st.sampled_from(
    ["²", "0", "1", "9", f"{ONE},{ONE}", "0,1,²"]
)
environs = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)


def sane(samples: list[Sample]) -> None:
    for sample in samples:
        match sample:
            case Holding(device_id=device, part=part):
                assert 0.0 <= part <= 1.0
                assert is_label(device, 100)
            case Claim(workload=workload) if workload is not None:
                assert not workload.job.startswith("(")
                assert is_label(workload.job, MOST_CHARACTERS)
                assert all(is_label(value, 3 * MOST_CHARACTERS) for _, value in workload.labels)


@fuzzed(2)
@given(environs)
@example({"SLURM_JOB_NAME": "(idle)", "SLURM_CLUSTER_NAME": "a\nb"})
def test_whatever_a_job_says_it_has_a_name_and_gpus_or_none(environ: dict[str, str]) -> None:
    found = workload_of("12", Word(0, environ))
    assert not found.job.startswith("(")
    assert all(is_label(word, 3 * MOST_CHARACTERS) for word in (found.job, *(value for _, value in found.labels)))
    assert all(word == ONE or (word.isascii() and word.isdigit()) for word in gpus_of([environ]))


@fuzzed()
@given(
    st.sampled_from([V1, V2]),
    environs,
    raw,
    raw | bent_bytes(b"Model: \t\t NVIDIA\nGPU UUID: \t " + ONE.encode() + b"\nDevice Minor: \t 0\n"),
    raw,
)
@example(V1, {"SLURM_JOB_ID": "7", "SLURM_HET_SIZE": "²"}, b"", b"", b"")
@example(V1, {}, b"x\n", b"", b"")
@example(V1, {}, b"1 2\n", f"GPU UUID: {ONE}\nDevice Minor: ²\n".encode(), b"")
def test_a_node_of_slurms_is_read_whatever_is_in_it(
    layout: str, environ: dict[str, str], procs: bytes, gpu: bytes, mapped: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder), layout)
        node.step(12, **environ)
        pid = node.step(13)
        node.gpu("0000:01:00.0", 0, ONE)
        (node.proc / "driver/nvidia/gpus/0000:01:00.0/information").write_bytes(gpu)
        jobs = Path(folder) / "gpus"
        jobs.mkdir()
        (jobs / "0").write_bytes(mapped)
        (jobs / "0.1").write_bytes(b"13\n")
        for options in ({}, {"gpu_jobs": str(jobs)}):
            source = node.open(**options)
            sane(node.read(source))
            sane(node.read(source, 11))
            source.close()
        next(iter((node.sys / "fs/cgroup").glob("**/job_13/**/cgroup.procs"))).write_bytes(procs)
        (node.proc / str(pid) / "environ").write_bytes(procs)
        source = node.open()
        sane(node.read(source))
        source.close()


@fuzzed()
@given(raw | bent_bytes(b"slurmstepd: [12.0]\0"), raw | bent_bytes(b"101 102"), raw)
@example(b"slurmstepd: [" + b"9" * 4_000 + b".0]", b"x y", b"")
def test_a_slurmstepd_is_known_by_its_title_or_not(cmdline: bytes, children: bytes, comm: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        job = node.process("python")
        stepd = node.process("slurmstepd", "slurmstepd: [12.0]", children=(job,))
        node.process("slurmd")
        source = node.open()
        sane(node.read(source))
        (node.proc / str(stepd) / "cmdline").write_bytes(cmdline)
        (node.proc / str(stepd) / "task" / str(stepd) / "children").write_bytes(children)
        (node.proc / str(job) / "comm").write_bytes(comm)
        sane(node.read(source, 11))
        source.close()


# --- sacct ------------------------------------------------------------------------------------------------------------------

TABLE = (
    "JobIDRaw|JobID|JobName|Cluster|User|Account|Partition|State|Start|End|NodeList|AllocTRES\n"
    "12|12|train|loop|ann|ml|main|COMPLETED|2026-01-01T00:00:00|2026-01-01T01:00:00|gpu[01-04]|cpu=4,gres/gpu=8\n"
    "13|12_3|a|b c|loop|bob|ml|main|RUNNING|2026-01-01T00:00:00|Unknown|gpu1|\n"
    "12.0|12.0|step|loop|||main|COMPLETED|2026-01-01T00:00:00|2026-01-01T01:00:00|gpu1|\n"
)


def utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


@fuzzed(5)
@given(texts | bent_text(TABLE) | raw.map(lambda data: data.decode("utf-8", "replace")), st.sampled_from(["|", "\x1f", "||"]))
@example(TABLE.replace("12|12|", "²|²|"), "|")
@example(TABLE.replace("2026-01-01T00:00:00", "9" * 12), "|")
@example(TABLE.replace("2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59"), "|")
@example(TABLE.replace("2026-01-01T00:00:00", "٣٣٣"), "|")
@example(TABLE.replace("gpu[01-04]", "g[0-60000][0-60000][0-60000]"), "|")
@example(TABLE.replace("gpu[01-04]", "g[" + "0-9," * 20_000 + "1]"), "|")
@example(TABLE.replace("gpu[01-04]", "[1-2]" * 3_000), "|")
def test_any_table_is_jobs_and_warnings_or_no_table(text: str, delimiter: str) -> None:
    found = taken(lambda: sacct.read(text, delimiter=delimiter, to_utc=utc), sacct.BadTable)
    if found is None:
        return
    assert len(found.warnings) <= sacct.MOST_WARNINGS + 1
    assert all(len(line) < 300 and "\n" not in line for line in found.warnings)
    for job in found.jobs:
        assert is_count(job.start_s, 1 << 40)
        assert job.end_s is None or job.start_s <= job.end_s < 1 << 40
        assert job.raw.isdecimal()
        assert len(job.nodes) <= nodelist.MOST


@fuzzed(5)
@given(texts | bent_text("gpu[01-04,7],login,rack[0-1]n[1-2]"))
@example("[" * 5_000)
@example("a[1]" * 5_000)
@example("[0-9]" * 12)
@example("[1-" + "9" * 12 + "]")
def test_any_list_of_hosts_is_hosts_or_none(text: str) -> None:
    found = taken(lambda: nodelist.expanded(text), nodelist.BadList)
    assert found is None or (len(found) <= nodelist.MOST and all(found))


PAGE = (
    'wattledger_energy_joules_total{job_name="a",slurm_job_id="12",device="d",component="cpu",method="counter",use="active"} 5.5\n'
    'wattledger_device_energy_joules_total{device="d",component="cpu",device_model="x",method="counter"} 100\n'
    'wattledger_emissions_grams_total{job_name="a",slurm_job_id="12"} 0.5\n'
)


@fuzzed(5)
@given(texts | bent_text(PAGE) | raw.map(lambda data: data.decode("utf-8", "replace")))
@example(PAGE.replace("5.5", "x"))
@example(PAGE.replace("5.5", "NaN").replace("0.5", "1e999"))
@example(PAGE.replace("5.5", "-1"))
@example(PAGE.replace('"12"', '"' + "\\" * 100_000))
def test_any_agents_page_is_joules_that_can_be(text: str) -> None:
    seen = live.seen(text, "12")
    assert all(0.0 <= joules < float("inf") for joules in seen.job_j.values())
    assert 0.0 <= seen.spread_j < float("inf")
    assert seen.grams is None or 0.0 <= seen.grams < float("inf")
    found = live.together([seen], 60.0)
    assert found is None or is_label(comment.footprint(found), 400)


@fuzzed(2)
@given(texts, texts)
def test_a_comment_of_ours_replaces_only_ours(before: str, ours: str) -> None:
    said = comment.OURS + ours.replace(comment.APART, "")
    once = comment.merged(before, said)
    assert comment.merged(once, said) == once
    assert comment.merged(once, "").split(comment.APART) == [
        part for part in before.split(comment.APART) if part and not part.startswith(comment.OURS)
    ] or [""]
