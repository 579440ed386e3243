"""Every setting there is: its name, default, what it accepts, and a line of help.  A table, and nothing else."""

from typing import Any, NamedTuple


class Key(NamedTuple):
    """One setting: its default, what it accepts, and a line for ``config default``."""

    default: Any
    kind: str  # "str", "float", "int", "bool", or "a|b|c"
    help: str


MAIN_KEYS: dict[str, Key] = {
    "paths.sysfs": Key("/sys", "str", "where the kernel's sysfs is mounted (a container mounts the host's elsewhere)"),
    "paths.procfs": Key("/proc", "str", "where procfs is mounted"),
    "agent.interval_s": Key(1.0, "float", "seconds between background readings"),
    "agent.listen": Key("127.0.0.1:9909", "str", "where the agent serves /metrics, /healthz and /readyz"),
    "agent.socket": Key("/run/wattledger/agent.sock", "str", "the agent's socket, which track() looks for; empty: none"),
    "agent.web_config": Key("", "str", "TLS and basic auth for the agent's web server: a Prometheus web configuration file"),
    "agent.state": Key("", "str", "folder for what the agent learns; empty: $STATE_DIRECTORY, else $XDG_STATE_HOME/wattledger"),
    "agent.series": Key(1000, "int", "workloads with series of their own; further ones are (other)"),
    "agent.series_keep_s": Key(900.0, "float", "seconds that an ended workload's series stay"),
    "agent.labels": Key("", "str", "labels exported beside job and model, e.g. \"team,run_id\""),
    "agent.operators": Key("", "str", "group whose members may ask the agent for anybody's figures, beside root"),
    "agent.fine_boundaries": Key(False, "bool", "read the sensors at every span boundary (single-user nodes only: a side channel)"),
    "grid.zone": Key("", "str", "grid zone, e.g. DE or US-CAMX; empty: the cloud region in the environment, else the world"),
    "facility.pue": Key(0.0, "float", "power usage effectiveness of the building; 0: not known, not applied"),
    "facility.rest": Key("on", "on|off", "whether fans, board and losses are estimated into energy_j"),
    "facility.wall_gain": Key(0.0, "float", "from a wall meter: wall = gain x measured parts + offset; 0: not calibrated"),
    "facility.wall_offset_w": Key(0.0, "float", "watts of that offset"),
}

_PERIOD = Key(10.0, "float", "seconds between two questions")
_CA = Key("", "str", "file of the authority that signed the server's certificate; empty: the system's")
_USER = Key("", "str", "user name")
_PASSWORD = Key("", "str", "file that holds the password")
_TOKEN = Key("", "str", "file that holds a bearer token")

# [sources.NAME] for each built-in source, beside `enabled`.
SOURCE_KEYS: dict[str, dict[str, Key]] = {
    "rapl": {},
    "hwmon": {},
    "nvml": {
        "dcgm_url": Key("", "str", "a dcgm-exporter, e.g. http://127.0.0.1:9400/metrics: how busy MIG slices are, before Hopper"),
    },
    "amdsmi": {},
    "jetson": {},
    "redfish": {
        "url": Key("", "str", "the BMC, e.g. https://10.0.0.7; empty: not asked"),
        "user": _USER,
        "password_file": _PASSWORD,
        "ca_file": _CA,
        "verify": Key(True, "bool", "whether the BMC's certificate is checked"),
        "period_s": _PERIOD,
    },
    "ipmi": {
        "command": Key("ipmitool dcmi power reading", "str", "what prints the DCMI power reading"),
        "period_s": _PERIOD,
    },
    "promquery": {
        "url": Key("", "str", "a Prometheus server, e.g. http://127.0.0.1:9090; empty: not asked"),
        "query": Key("", "str", "PromQL that gives this node's power in watts, one series"),
        "user": _USER,
        "password_file": _PASSWORD,
        "token_file": _TOKEN,
        "ca_file": _CA,
        "period_s": _PERIOD,
    },
    "procfs": {},
    "cgroup": {
        "hierarchy": Key("auto", "auto|v1|v2", "which cgroup hierarchy counts CPU time"),
        "cycles": Key("auto", "auto|off", "share the CPU by perf cycles where perf may be read"),
        "environ": Key(True, "bool", "read WATTLEDGER_* and SLURM_* of processes where permitted"),
    },
    "kubernetes": {
        "podresources": Key("/var/lib/kubelet/pod-resources/kubelet.sock", "str", "the kubelet's PodResources socket"),
        "logs": Key("/var/log", "str", "where the kubelet keeps containers' logs, whose names name pods"),
        "pods_url": Key("", "str", "the kubelet's pod list, e.g. https://127.0.0.1:10250/pods; empty: not asked"),
        "token_file": Key("/var/run/secrets/kubernetes.io/serviceaccount/token", "str", "bearer token for pods_url"),
        "ca_file": _CA,
        "verify": Key(True, "bool", "whether the kubelet's certificate is checked"),
        "period_s": _PERIOD,
    },
    "slurm": {"gpu_jobs": Key("", "str", "folder with a file for each GPU index that names its jobs (as DCGM's HPC mapping)")},
    "portable": {},
    "estimate": {
        "cpu_max_w": Key(0.0, "float", "watts of all CPUs at full load; 0: from the table"),
        "cpu_idle_w": Key(0.0, "float", "watts of all CPUs at rest; 0: from the table"),
        "dram_w_per_gb": Key(0.0, "float", "watts per GB of memory; 0: the default"),
    },
}
ENABLED = Key(True, "bool", "whether this source is used")

# [exporters.NAME]
EXPORTER_KEYS: dict[str, dict[str, Key]] = {
    "otlp": {"enabled": Key(False, "bool", "send metrics by OTLP; OTEL_* variables say where and how")},
    "pushgateway": {
        "url": Key("", "str", "a Pushgateway for programs measured without an agent; empty: none"),
        "user": _USER,
        "password_file": _PASSWORD,
    },
}


def _known() -> dict[str, Key]:
    """Every setting by its dotted name, sections in the contract's order."""
    found = dict(MAIN_KEYS)
    for source, keys in SOURCE_KEYS.items():
        found[f"sources.{source}.enabled"] = ENABLED
        found |= {f"sources.{source}.{name}": key for name, key in keys.items()}
    for exporter, keys in EXPORTER_KEYS.items():
        found |= {f"exporters.{exporter}.{name}": key for name, key in keys.items()}
    return found


KEYS = _known()
