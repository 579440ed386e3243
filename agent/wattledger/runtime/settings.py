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
    "agent.readers": Key(
        "services", "services|operators|anyone",
        "who on this machine reads the pages over loopback: services (system accounts), root and operators; these two; or anyone",
    ),
    "agent.requests": Key(True, "bool", "take records of requests (OpenTelemetry spans by OTLP/HTTP at /v1/traces)"),
    "agent.fine_boundaries": Key(False, "bool", "read the sensors at every span boundary (single-user nodes only: a side channel)"),
    "grid.zone": Key("", "str", "grid zone, e.g. DE or US-CAMX; empty: the cloud region in the environment, else the world"),
    "grid.provider": Key("", "str", "who is asked for live intensities, in order, e.g. \"neso,electricitymaps\"; empty: none"),
    "grid.period_s": Key(300.0, "float", "seconds between two questions to a provider"),
    "grid.settle_h": Key(72.0, "float", "hours after which an intensity is not asked for again, and what it priced is settled"),
    "tariff.per_kwh": Key(0.0, "float", "price of a kWh, in the currency below; 0: not known, no cost is said"),
    "tariff.hours": Key("", "str", "prices by local hour, e.g. \"22-6:0.21,6-22:0.34\"; the rest of the day costs per_kwh"),
    "tariff.timezone": Key("UTC", "str", "whose hours those are, e.g. Europe/Berlin"),
    "tariff.file": Key("", "str", "CSV of prices by time: start,end,price_per_kwh (ISO times with zone); goes before the others"),
    "tariff.currency": Key("EUR", "str", "ISO 4217 code of the currency"),
    "facility.pue": Key(0.0, "float", "power usage effectiveness of the building; 0: not known, not applied"),
    "facility.wue": Key(0.0, "float", "litres of water that the site evaporates per kWh of IT energy; 0: not known, not applied"),
    "facility.rest": Key("on", "on|off", "whether fans, board and losses are estimated into energy_j"),
    "facility.wall_gain": Key(0.0, "float", "from a wall meter: wall = gain x measured parts + offset; 0: not calibrated"),
    "facility.wall_offset_w": Key(0.0, "float", "watts of that offset"),
}

# [embodied] and [water]
MATERIAL_KEYS = {
    "embodied.enabled": Key(True, "bool", "whether runs carry their share of the carbon that made the machine"),
    "embodied.host": Key("auto", "auto|server|workstation|desktop|laptop|vm|none", "what the host is, where no passport says it"),
    "embodied.host_kg": Key(0.0, "float", "kg CO2e that made the host without its accelerators; 0: estimated"),
    "embodied.host_life_y": Key(5.0, "float", "service life of a host in years, where no passport says it"),
    "embodied.gpu_life_y": Key(4.0, "float", "service life of an accelerator in years, where no passport says it"),
    "embodied.footprints": Key("", "str", "your own product footprints: CSV, JSON or PACT v3; goes before the package's figures"),
    "embodied.boavizta_url": Key("", "str", "a BoaviztAPI that you run, e.g. http://127.0.0.1:5000; empty: not asked"),
    "water.hydro": Key("allocate", "allocate|exclude", "whether what reservoirs evaporate is counted as water of hydro power"),
}

# [ledger]
LEDGER_KEYS = {
    "ledger.enabled": Key(True, "bool", "whether facts are kept"),
    "ledger.path": Key("", "str", "folder of the books; empty: ledger/ in the agent's state folder, or $XDG_STATE_HOME/wattledger"),
    "ledger.commit_interval_s": Key(5.0, "float", "seconds between commits: the most that kill -9 can lose"),
    "ledger.requests": Key(True, "bool", "whether each request's energy is kept, where requests are told"),
    "ledger.lake": Key("", "str", "where sealed segments are shared: a folder or an fsspec URL (s3://…, gs://…); empty: nowhere"),
    "ledger.sign_key_file": Key("", "str", "PEM file of an Ed25519 key that signs segments and tree heads; empty: unsigned"),
    "ledger.keep_minutes_days": Key(30, "int", "days before minute facts are rolled up to the grid's slots (at least 4)"),
    "ledger.keep_slots_days": Key(800, "int", "days before facts by grid slot are rolled up to days; 0: never"),
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
    "engines": {
        "urls": Key("", "str", "serving engines, e.g. \"vllm=http://127.0.0.1:8000/metrics, llamacpp=http://127.0.0.1:8080/metrics\""),
        "discover": Key("off", "off|ports|pods|all", "look for engines: on listeners of this node, in annotated pods, or both"),
        "pods_url": Key("", "str", "the kubelet's pod list, e.g. https://127.0.0.1:10250/pods, for discover = pods"),
        "token_file": Key("/var/run/secrets/kubernetes.io/serviceaccount/token", "str", "bearer token for pods_url"),
        "ca_file": _CA,
        "verify": Key(True, "bool", "whether the kubelet's certificate is checked"),
        "timeout_s": Key(1.0, "float", "seconds that an engine may take to answer"),
    },
    "portable": {},
    "estimate": {
        "cpu_max_w": Key(0.0, "float", "watts of all CPUs at full load; 0: from the table"),
        "cpu_idle_w": Key(0.0, "float", "watts of all CPUs at rest; 0: from the table"),
        "dram_w_per_gb": Key(0.0, "float", "watts per GB of memory; 0: the default"),
    },
}
# [grid.NAME] for each provider; a key is read from the variable or file named here, never from the configuration itself.
_KEY_FILE = Key("", "str", "file that holds the key; else the variable named in the README")
_URL = Key("", "str", "another address of the same service, e.g. a proxy of your own")
GRID_KEYS: dict[str, dict[str, Key]] = {
    "electricitymaps": {
        "key_file": _KEY_FILE,
        "url": _URL,
        "zone": Key("", "str", "the provider's own name of the zone, where ours does not lead to it"),
        "factors": Key("direct", "direct|lifecycle", "which emission factors: direct for scope 2, lifecycle for all stages"),
        "estimations": Key(True, "bool", "whether hours that the provider estimates are taken (marked) until they are measured"),
    },
    "watttime": {
        "user": Key("", "str", "user name"),
        "password_file": Key("", "str", "file that holds the password; else WATTTIME_PASSWORD"),
        "url": _URL,
        "region": Key("", "str", "the provider's own name of the region, e.g. CAISO_NORTH"),
        "signal": Key("co2_moer", "co2_moer|co2_aoer", "marginal (never used for an inventory) or average"),
    },
    "neso": {"url": _URL},
    "energidataservice": {"url": _URL, "area": Key("", "str", "DK1 or DK2, where the zone does not say it")},
    "eco2mix": {"url": _URL},
    "eia": {"key_file": _KEY_FILE, "url": _URL, "respondent": Key("", "str", "the balancing authority, e.g. PJM or CISO")},
    "entsoe": {"key_file": _KEY_FILE, "url": _URL, "domain": Key("", "str", "the area's EIC code, where the zone does not say it")},
    "file": {
        "path": Key("", "str", "CSV or Parquet: zone,start,end,g_per_kwh[,boundary,signal,version,estimated] (ISO times)"),
    },
    "promquery": {
        "url": Key("", "str", "a Prometheus server"),
        "query": Key("", "str", "PromQL that gives g/kWh, one series"),
        "zone": Key("", "str", "the zone it is of"),
        "boundary": Key("direct", "direct|lifecycle", "what its figures hold"),
        "step_s": Key(300.0, "float", "length of its slots in seconds"),
    },
}

ENABLED = Key(True, "bool", "whether this source is used")

# [exporters.NAME]
EXPORTER_KEYS: dict[str, dict[str, Key]] = {
    "compat": {
        "enabled": Key(False, "bool", "serve other exporters' metric names at /metrics/compat, for dashboards that you have"),
        "names": Key("dcgm,kepler,ceems", "str", "whose"),
    },
    "otlp": {"enabled": Key(False, "bool", "send metrics by OTLP; OTEL_* variables say where and how")},
    "pushgateway": {
        "url": Key("", "str", "a Pushgateway for programs measured without an agent; empty: none"),
        "user": _USER,
        "password_file": _PASSWORD,
    },
}


def _known() -> dict[str, Key]:
    """Every setting by its dotted name, sections in the contract's order."""
    found = {**MAIN_KEYS, **MATERIAL_KEYS, **LEDGER_KEYS}
    for provider, keys in GRID_KEYS.items():
        found |= {f"grid.{provider}.{name}": key for name, key in keys.items()}
    for source, keys in SOURCE_KEYS.items():
        found[f"sources.{source}.enabled"] = ENABLED
        found |= {f"sources.{source}.{name}": key for name, key in keys.items()}
    for exporter, keys in EXPORTER_KEYS.items():
        found |= {f"exporters.{exporter}.{name}": key for name, key in keys.items()}
    return found


KEYS = _known()
