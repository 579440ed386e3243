"""All processes of a job, on all its hosts, name one run."""

import pytest

from wattledger.runtime.identity import job_run_id


@pytest.mark.parametrize(("environ", "expected"), [
    ({"WATTLEDGER_RUN_ID": "mine", "SLURM_JOB_ID": "1"}, "mine"),
    ({"SLURM_JOB_ID": "1", "SLURM_CLUSTER_NAME": "c"}, "slurm-c-1"),
    ({"SLURM_JOB_ID": "1", "WATTLEDGER_K8S_JOB_UID": "u"}, "slurm-cluster-1"),
    ({"WATTLEDGER_K8S_JOB_UID": "u"}, "k8s-u"),
    ({"WATTLEDGER_RUN_ID": "", "SLURM_JOB_ID": ""}, None),
    ({}, None),
])  # fmt: skip
def test_all_hosts_of_a_job_name_one_run(environ: dict[str, str], expected: str | None) -> None:
    assert job_run_id(environ) == expected
