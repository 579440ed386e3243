"""The chart, rendered by real Helm over its defaults and all its switches: valid objects, and no right that no source asked for."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.chart_toggles import CASES, switched
from tests.deploy.charts import KUBERNETES, README, VALUES, Charts, agent, every, rights
from tests.deploy.operator_schema import SCHEMAS

from wattledger.runtime import config
from wattledger.runtime.web.listen import address

LABELS = ("name", "instance", "version", "component", "managed-by")

# --- every object is one -------------------------------------------------------------------------------------------------


@every
def test_every_object_is_valid_and_closed(charts: Charts, case: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed").validate
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    found = charts.of(case).objects
    assert {"DaemonSet", "ConfigMap"} <= {one["kind"] for one in found}
    for one in found:
        if one["kind"] in SCHEMAS:
            jsonschema.validate(one, SCHEMAS[one["kind"]])
        else:
            validate(one, KUBERNETES, strict=True)


@every
def test_every_object_has_its_place_and_its_labels(charts: Charts, case: str) -> None:
    names = set()
    for one in charts.of(case).objects:
        meta = one["metadata"]
        names.add((one["kind"], meta["name"]))
        assert meta["labels"].keys() >= {f"app.kubernetes.io/{key}" for key in LABELS}
        assert ("namespace" in meta) != one["kind"].startswith("Cluster")
    assert len(names) == len(charts.of(case).objects)


@every
def test_the_configuration_is_one_that_the_agent_takes(charts: Charts, case: str, tmp_path: Path) -> None:
    text = next(one["data"]["wattledger.toml"] for one in charts.of(case).of("ConfigMap") if "wattledger.toml" in one["data"])
    (tmp_path / "wattledger.toml").write_text(text)
    environ = {one["name"]: one.get("value", "secret") for one in agent(charts.pod(case))["env"]}
    environ = {name: value.replace("$(POD_IP)", "fd00::7" if "[" in value else "10.0.0.7") for name, value in environ.items()}
    found = config.load(environ, file=str(tmp_path / "wattledger.toml"), here=False)
    assert found.warnings == ()
    assert address(str(found["agent.listen"]))[0] in ("10.0.0.7", "fd00::7")
    assert (found["paths.sysfs"], found["paths.procfs"]) == ("/host/sys", "/host/proc")
    for section, keys in CASES[case].get("config", {}).items():
        for key, value in keys.items():
            if not isinstance(value, dict):
                assert found[f"{section}.{key}"] == ("on" if value is True else value)


@every
def test_whoever_the_configuration_names_is_mounted(charts: Charts, case: str) -> None:
    """A path that the agent is told of lies in a volume, and every volume is mounted."""
    pod = charts.pod(case)
    mounts = {one["mountPath"]: one["name"] for one in agent(pod)["volumeMounts"]}
    assert sorted(mounts.values()) == sorted(one["name"] for one in pod["volumes"])
    text = next(one["data"]["wattledger.toml"] for one in charts.of(case).of("ConfigMap") if "wattledger.toml" in one["data"])
    token = "/var/run/secrets/kubernetes.io/serviceaccount"
    inside = [*mounts, token, *(["/host/log"] if {"/host/log/pods", "/host/log/containers"} <= mounts.keys() else [])]
    for path in _paths(tomllib.loads(text)):
        assert any(path == at or path.startswith(f"{at}/") for at in inside), path


def _paths(tree: dict[str, Any]) -> Iterator[str]:
    for value in tree.values():
        if isinstance(value, dict):
            yield from _paths(value)
        elif isinstance(value, str) and value.startswith("/"):
            yield value


# --- rights ----------------------------------------------------------------------------------------------------------------


@every
def test_nobody_is_ever_privileged_and_nothing_is_writable_but_books_and_socket(charts: Charts, case: str) -> None:
    pod = charts.pod(case)
    security = agent(pod)["securityContext"]
    assert security["privileged"] is security["allowPrivilegeEscalation"] is pod["hostIPC"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"]["drop"] == ["ALL"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["runAsNonRoot"] is (pod["securityContext"]["runAsUser"] != 0)
    writable = {one["mountPath"] for one in agent(pod)["volumeMounts"] if not one.get("readOnly")}
    wanted = {"/tmp", "/var/lib/wattledger"} | ({"/run/wattledger"} if switched(case, "socket", "enabled") else set())
    assert writable - {"/more"} == wanted


@every
def test_host_pids_and_network_are_there_only_for_who_asked(charts: Charts, case: str) -> None:
    nvml = switched(case, "sources", "nvml", "enabled") and switched(case, "sources", "nvml", "processes")
    groups = switched(case, "sources", "cgroup", "enabled") and (
        switched(case, "sources", "cgroup", "processes") or switched(case, "sources", "cgroup", "environ")
    )
    assert charts.pod(case)["hostPID"] is bool(nvml or groups or switched(case, "socket", "enabled"))
    assert charts.pod(case)["hostNetwork"] is switched(case, "security", "hostNetwork")
    assert ("hostPID" in rights(charts, case)) is charts.pod(case)["hostPID"]


@every
def test_a_capability_is_there_only_for_its_source_and_reaches_it(charts: Charts, case: str) -> None:
    pod = charts.pod(case)
    added = set(agent(pod)["securityContext"]["capabilities"].get("add", ()))
    on = switched(case, "sources", "cgroup", "enabled")
    wanted = {"PERFMON": "cycles", "SYS_PTRACE": "environ", "DAC_READ_SEARCH": "environ"}
    assert added == {name for name, switch in wanted.items() if on and switched(case, "sources", "cgroup", switch)}
    assert not added or pod["securityContext"]["runAsUser"] == 0  # others would not get it: Kubernetes has no ambient ones
    for name in added:
        assert re.search(rf"# RIGHT .*\bCAP_{name}\b", VALUES)
        assert f"`CAP_{name}`" in README
        assert f"CAP_{name} (" in rights(charts, case)


@every
def test_uid_0_is_there_only_where_something_is_roots_alone(charts: Charts, case: str) -> None:
    pod = charts.pod(case)
    rapl = switched(case, "sources", "rapl", "enabled") and switched(case, "sources", "rapl", "group") is None
    socket = switched(case, "sources", "kubernetes", "enabled") and switched(case, "sources", "kubernetes", "podResources")
    needed = rapl or socket or switched(case, "socket", "enabled") or agent(pod)["securityContext"]["capabilities"].get("add")
    own = switched(case, "security", "runAsUser")
    assert pod["securityContext"]["runAsUser"] == (own if own is not None else 0 if needed else 65532)
    assert ("uid 0 (" in rights(charts, case)) is (pod["securityContext"]["runAsUser"] == 0)


def test_the_defaults_have_no_right_but_to_read_what_is_roots(charts: Charts) -> None:
    assert rights(charts, "defaults").count("(") == rights(charts, "defaults").count("uid 0 (") == 2
    assert rights(charts, "least") == "none"
    assert charts.of("defaults").notes == "" or rights(charts, "defaults") in charts.of("defaults").notes  # a program has none
    assert charts.pod("least")["securityContext"]["supplementalGroups"] == [988]


@every
def test_folders_of_the_host_are_those_of_sources_that_are_on(charts: Charts, case: str) -> None:
    on = switched(case, "sources", "kubernetes", "enabled")
    wanted = {"/proc", "/sys", "/sys/fs/cgroup"}
    wanted |= {"/var/log/pods", "/var/log/containers"} if on and switched(case, "sources", "kubernetes", "logs") else set()
    wanted |= {"/var/lib/kubelet/pod-resources"} if on and switched(case, "sources", "kubernetes", "podResources") else set()
    wanted |= {"/run/wattledger"} if switched(case, "socket", "enabled") else set()
    wanted |= {"/var/lib/wattledger"} if switched(case, "state", "type") == "hostPath" else set()
    assert {one["hostPath"]["path"] for one in charts.pod(case)["volumes"] if "hostPath" in one} == wanted
    for path in wanted:
        assert f"`{path}`" in README


def test_control_groups_stay_read_only_where_a_mount_cannot_be_recursive(charts: Charts) -> None:
    mounts = {one["mountPath"]: one for one in agent(charts.pod("all on"))["volumeMounts"]}
    for path in ("/host/proc", "/host/sys", "/host/sys/fs/cgroup"):
        assert (mounts[path]["readOnly"], mounts[path]["recursiveReadOnly"]) == (True, "IfPossible")


@every
def test_a_token_is_there_only_for_the_pod_list_and_may_get_nothing_else(charts: Charts, case: str) -> None:
    asked = switched(case, "sources", "kubernetes", "enabled") and switched(case, "sources", "kubernetes", "podList", "enabled")
    assert charts.pod(case)["automountServiceAccountToken"] is bool(asked)
    roles = charts.of(case).of("ClusterRole")
    right = switched(case, "sources", "kubernetes", "podList", "right")
    resources = ["nodes/pods" if right == "auto" else right]
    assert [role["rules"] for role in roles] == ([[{"apiGroups": [""], "resources": resources, "verbs": ["get"]}]] if asked else [])
    assert all(one["automountServiceAccountToken"] is False for one in charts.of(case).of("ServiceAccount"))


@every
def test_no_object_holds_a_secret(charts: Charts, case: str) -> None:
    assert charts.of(case).of("Secret") == []
    for one in agent(charts.pod(case))["env"]:
        if re.search("KEY|TOKEN|PASSWORD|SECRET|HEADERS", one["name"]):
            assert "value" not in one
            assert one["valueFrom"].keys() == {"secretKeyRef"}
