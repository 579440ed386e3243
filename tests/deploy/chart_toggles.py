"""Every switch of the chart by name, with the values that turn it; alone, all together, and all but one."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from tests.deploy.helm_render import CHART

Values = dict[str, Any]

SECRET = {"name": "a-secret", "key": "word"}
HASH = "sha256:" + "0" * 64

# Those that may ask for a right.
RIGHTS: dict[str, Values] = {
    "rapl off": {"sources": {"rapl": {"enabled": False}}},
    "rapl by group": {"sources": {"rapl": {"group": 988}}},
    "nvml off": {"sources": {"nvml": {"enabled": False}}},
    "nvml processes": {"sources": {"nvml": {"processes": True}}},
    "cgroup off": {"sources": {"cgroup": {"enabled": False}}},
    "cgroup cycles": {"sources": {"cgroup": {"cycles": True}}},
    "cgroup processes": {"sources": {"cgroup": {"processes": True}}},
    "cgroup environ": {"sources": {"cgroup": {"environ": True}}},
    "kubernetes off": {"sources": {"kubernetes": {"enabled": False}}},
    "no logs": {"sources": {"kubernetes": {"logs": False}}},
    "no pod resources": {"sources": {"kubernetes": {"podResources": False}}},
    "pod list": {"sources": {"kubernetes": {"podList": {"enabled": True}}}},
    "pod list of old": {"sources": {"kubernetes": {"podList": {"enabled": True, "right": "nodes/proxy"}}}},
    "socket": {"socket": {"enabled": True}},
    "host network": {"security": {"hostNetwork": True}},
    "least": {
        "sources": {"rapl": {"group": 988}, "kubernetes": {"podResources": False}}, "state": {"type": "emptyDir"},
    },
    "least with a folder": {"sources": {"rapl": {"enabled": False}, "kubernetes": {"enabled": False}}},
}  # fmt: skip

OTHERS: dict[str, Values] = {
    "image by digest": {"image": {"digest": HASH, "repository": "example.org/meter"}, "imagePullSecrets": [{"name": "regcred"}]},
    "runtime class": {"sources": {"nvml": {"runtimeClassName": "nvidia"}}},
    "engines": {"sources": {"engines": {"urls": "vllm=http://vllm.serving:8000/metrics"}}},
    "annotated engines": {"sources": {"engines": {"pods": True}, "kubernetes": {"podList": {"enabled": True}}}},
    "redfish": {"sources": {"redfish": {"url": "https://169.254.0.17", "user": "meter", "passwordSecret": SECRET}}},
    "state in the pod": {"state": {"type": "emptyDir", "sizeLimit": "1Gi"}},
    "security words": {"security": {"seLinuxType": "spc_t", "appArmorProfile": {"type": "Unconfined"}}},
    "a uid of its own": {"security": {"runAsUser": 900, "runAsGroup": 900}},
    "configuration": {
        "config": {
            "grid": {"zone": "DE", "provider": "electricitymaps", "electricitymaps": {"factors": "lifecycle", "url": "https://a.b"}},
            "agent": {"labels": "team", "series": 5000, "interval_s": 2.5}, "facility": {"pue": 1.2, "rest": True},
            "tariff": {"hours": "22-6:0.21", "timezone": "Europe/Berlin"},
        },
        "gridKeys": {"ELECTRICITYMAPS_API_KEY": SECRET},
    },
    "otlp": {"otlp": {"enabled": True, "headersSecret": SECRET, "resourceAttributes": "k8s.cluster.name=prod"}},
    "otlp over https": {"otlp": {"enabled": True, "endpoint": "https://otlp.example.org/v1", "protocol": "http/protobuf"}},
    "IPv6": {"listen": {"ipFamily": "IPv6", "port": 9910}},
    "TLS": {"web": {"secretName": "web", "tls": True}},
    "users": {"web": {"secretName": "web", "guarded": True}},
    "service": {"service": {"enabled": True, "annotations": {"a": "b"}}},
    "pod monitor": {"podMonitor": {"enabled": True, "labels": {"release": "prom"}}},
    "service monitor": {
        "serviceMonitor": {
            "enabled": True, "namespace": "monitoring", "tlsConfig": {"ca": {"secret": SECRET}, "serverName": "agent"},
            "basicAuth": {"username": SECRET, "password": SECRET}, "metricRelabelings": [{"action": "labeldrop", "regex": "x"}],
        },
    },
    "rules": {"prometheusRule": {"enabled": True, "labels": {"release": "prom"}}},
    "dashboards": {"dashboards": {"enabled": True, "annotations": {"grafana_folder": "wattledger"}}},
    "no network policy": {"networkPolicy": {"enabled": False}},
    "wider network policy": {
        "networkPolicy": {
            "extraIngress": [{"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": 9909}]}],
            "extraEgress": [{"to": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": 8000}]}],
        },
    },
    "scheduling": {
        "priorityClassName": "system-node-critical", "nodeSelector": {"gpu": "yes"}, "tolerations": [],
        "updateStrategy": {"type": "OnDelete"},
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]}}},
    },
    "more of everything": {
        "podLabels": {"a": "b"}, "podAnnotations": {"c": "d"},
        "extraEnv": [{"name": "EIA_API_KEY", "valueFrom": {"secretKeyRef": SECRET}}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}], "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    },
    "somebody else's account": {"serviceAccount": {"create": False, "name": "meter"}},
    "other names": {"nameOverride": "meter", "fullnameOverride": "energy"},
}  # fmt: skip

# What cannot be on beside everything else.
APART = {"rapl off", "nvml off", "cgroup off", "kubernetes off", "no logs", "no pod resources", "least", "least with a folder",
         "pod list of old", "a uid of its own", "state in the pod", "otlp over https", "no network policy", "users",
         "somebody else's account", "other names", "pod monitor"}  # fmt: skip


def merged(*several: Mapping[str, Any]) -> Values:
    """One over the other, sections into sections."""
    found: Values = {}
    for values in several:
        for name, value in values.items():
            inside = isinstance(value, Mapping) and isinstance(found.get(name), dict)
            found[name] = merged(found[name], value) if inside else value
    return found


def combinations() -> Iterator[tuple[str, Values]]:
    """Name to values: the defaults, each switch alone, all on, all but one that asks for a right."""
    every = {**RIGHTS, **OTHERS}
    yield "defaults", {}
    yield from every.items()
    together = {name: values for name, values in every.items() if name not in APART}
    yield "all on", merged(*together.values())
    yield "all on, by pods", merged(*together.values(), {"serviceMonitor": {"enabled": False}, "podMonitor": {"enabled": True}})
    for dear in ("dashboards", "rules"):  # long, and the same whatever the rights
        del together[dear]
    for left_out in sorted(RIGHTS.keys() - APART):
        yield f"all but {left_out}", merged(*(values for name, values in together.items() if name != left_out))
    for apart in sorted(RIGHTS.keys() & APART - {"least", "least with a folder"}):
        yield f"all on, {apart}", merged(*_without_engines(together, apart), RIGHTS[apart])


def _without_engines(together: Mapping[str, Values], apart: str) -> Iterator[Values]:
    """Engines in pods are found in the pod list, which goes with its source."""
    for name, values in together.items():
        if not (apart == "kubernetes off" and name == "annotated engines"):
            yield values


CASES: dict[str, Values] = dict(combinations())


def switched(case: str, *path: str) -> Any:
    """The value in force: of the case, else the chart's."""
    for tree in (CASES[case], _defaults()):
        at: Any = tree
        for name in path:
            at = at.get(name) if isinstance(at, dict) else None
        if at is not None:
            return at
    return None


@functools.cache
def _defaults() -> Values:
    found: Values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return found
