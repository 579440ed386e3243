"""The chart, rendered by real Helm: what goes out and in, how it is asked, what it packs, and which words it refuses."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.chart_schema import config_schema, written
from tests.deploy.chart_toggles import CASES, switched
from tests.deploy.charts import KUBERNETES, README, VALUES, Charts, agent, every
from tests.deploy.helm_render import CHART, PLAIN, ROOT, Refused, plain

from wattledger.core.version import __version__

# --- network, probes, what others read ---------------------------------------------------------------------------------------


@every
def test_what_goes_out_is_what_was_switched_on(charts: Charts, case: str) -> None:
    policies = charts.of(case).of("NetworkPolicy")
    if not switched(case, "networkPolicy", "enabled"):
        assert policies == []
        return
    (policy,) = policies
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": switched(case, "listen", "port")}]
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    wanted = {443} if (switched(case, "config", "grid") or {}).get("provider") else set()
    if switched(case, "otlp", "enabled"):
        wanted |= {443 if str(switched(case, "otlp", "endpoint")).startswith("https") else 4317}
    wanted |= {10250} if charts.pod(case)["automountServiceAccountToken"] else set()
    wanted |= {8000} if switched(case, "networkPolicy", "extraEgress") else set()
    assert ports == (wanted | {53} if wanted else set())


@every
def test_probes_ask_in_a_way_that_is_answered(charts: Charts, case: str) -> None:
    for name, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        probe = agent(charts.pod(case))[name]
        if switched(case, "web", "guarded"):
            assert probe["tcpSocket"] == {"port": "metrics"}
        else:
            scheme = "HTTPS" if switched(case, "web", "tls") else "HTTP"
            assert probe["httpGet"] == {"path": path, "port": "metrics", "scheme": scheme}


def test_the_dashboards_and_rules_are_the_repositorys(charts: Charts) -> None:
    maps = [one for one in charts.of("dashboards").of("ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
    packed = {name: text for one in maps for name, text in one["data"].items()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "grafana" / "dashboards").glob("*.json")}
    assert kept
    assert {name: json.loads(text) for name, text in packed.items()} == {name: json.loads(text) for name, text in kept.items()}
    files = [ROOT / "deploy" / "prometheus" / name for name in ("rules.yml", "alerts.yml")]
    groups = [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    assert charts.of("rules").the("PrometheusRule")["spec"]["groups"] == groups


# --- words ---------------------------------------------------------------------------------------------------------------


REFUSED: dict[str, dict[str, Any]] = {
    "sorces": {"sorces": {}},
    "privileged": {"security": {"privileged": True}},
    "zon\\b": {"config": {"grid": {"zon": "DE"}}},
    "TOKEN": {"gridKeys": {"TOKEN": {"name": "a", "key": "b"}}},
    "extraEnv.0.value": {"extraEnv": [{"name": "EIA_API_KEY", "value": "0123"}]},
    "twice": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
    "uid 0 only": {"security": {"runAsUser": 900}, "sources": {"cgroup": {"cycles": True}}},
    "podList": {"sources": {"engines": {"pods": True}}},
    "passwordSecret": {"sources": {"redfish": {"url": "https://10.0.0.7", "user": "meter"}}},
    "web.secretName": {"web": {"tls": True}},
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_wrong_is_refused_by_name(charts: Charts, words: str) -> None:
    with pytest.raises(Refused, match=words):
        charts.helm.render(REFUSED[words])


def test_the_schema_has_a_place_for_every_value_and_every_setting() -> None:
    schema = written()
    assert schema["properties"]["config"] == config_schema(), "python -m tests.deploy.helm_render writes it"
    assert schema["properties"].keys() - {"global"} == yaml.safe_load(VALUES).keys()
    assert schema["additionalProperties"] is False
    assert [name for name, part in schema["properties"].items() if "properties" in part and part["additionalProperties"]] == []


def test_the_plain_manifests_are_the_charts_defaults(charts: Charts) -> None:
    kept, made = PLAIN.read_text(encoding="utf-8"), plain(charts.of("defaults"))
    assert list(yaml.safe_load_all(kept)) == list(yaml.safe_load_all(made)), "python -m tests.deploy.helm_render writes them"


def test_the_chart_is_of_this_version_and_can_be_packed(charts: Charts, tmp_path: Path) -> None:
    said = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert said["version"] == said["appVersion"] == __version__
    charts.helm.lint()
    packed = charts.helm.package(tmp_path)
    assert charts.helm.render(CASES["all on"], chart=packed).objects == charts.of("all on").objects


ASKED = {
    ("sources.rapl", "group"): ["uid 0, without any capability"],
    ("sources.nvml", "processes"): ["hostPID"],
    ("sources.cgroup", "cycles"): ["CAP_PERFMON and uid 0"],
    ("sources.cgroup", "processes"): ["hostPID"],
    ("sources.cgroup", "environ"): ["hostPID, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and uid 0"],
    ("sources.kubernetes", "podResources"): ["uid 0"],
    ("sources.kubernetes.podList", "enabled"): ["a service account with a token, and get on the kubelet's own list of its pods"],
    ("socket", "enabled"): ["hostPID", "uid 0"],
    ("security", "hostNetwork"): ["the host's network"],
}


def test_every_right_is_explained_where_it_is_switched_on_and_in_the_table() -> None:
    assert dict(_explained()) == ASKED
    for section, switch in ASKED:
        named = {f"`{section}.{switch}`", f"`{section}`"}  # a source that is switched on as a whole goes by its own name
        assert any(word in README for word in named), named


def _explained() -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Section and key of values.yaml, with the rights that the comment right above speaks of."""
    sections: list[tuple[int, str]] = []
    waiting: list[str] = []
    for line in VALUES.splitlines():
        if found := re.match(r"\s*# RIGHT ([^:]+):", line):
            waiting.append(found[1])
        elif found := re.match(r"( *)(\w+):", line):
            sections = [(depth, name) for depth, name in sections if depth < len(found[1])]
            if waiting:
                yield (".".join(name for _, name in sections), found[2]), waiting
            waiting = []
            sections.append((len(found[1]), found[2]))


@pytest.mark.parametrize(("name", "asked"), [("least", "none"), ("gpu", "hostPID (nvml.processes")])
def test_the_example_values_ask_for_what_they_say(charts: Charts, name: str, asked: str) -> None:
    values = yaml.safe_load((CHART / "examples" / f"values-{name}.yaml").read_text(encoding="utf-8"))
    daemons = charts.helm.render(values).the("DaemonSet")["spec"]["template"]
    assert daemons["metadata"]["annotations"]["wattledger.io/rights"].startswith(asked)
    assert agent(daemons["spec"])["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", ["sidecar", "track-pod"])
def test_the_example_pods_are_valid_and_have_no_right(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed").validate
    pod = yaml.safe_load((CHART / "examples" / f"{name}.yaml").read_text(encoding="utf-8"))
    validate(pod, KUBERNETES, strict=True)
    spec = pod["spec"]
    assert not spec.keys() & {"hostPID", "hostNetwork", "hostIPC"}
    assert spec["securityContext"]["runAsNonRoot"] is True
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        security = container["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"]) == (False, True)
    folders = [one["hostPath"]["path"] for one in spec["volumes"] if "hostPath" in one]
    assert folders == ([] if name == "sidecar" else ["/run/wattledger"])  # none: the "restricted" standard takes it


def test_the_plain_manifests_are_valid_whole() -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed").validate
    kinds = []
    for path in sorted(PLAIN.parent.glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            validate(one, KUBERNETES, strict=True)
            kinds.append(one["kind"])
    assert sorted(kinds) == ["ConfigMap", "DaemonSet", "Namespace", "NetworkPolicy", "ServiceAccount"]
