"""CodeCarbon's arguments → ours; what we do not take is named in one line, with what to use instead, and never an exception."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from wattledger.compat._countries import country
from wattledger.compat._emissions_csv import memory_gb

# In the order in which CodeCarbon 3.3.2 takes them by position.
NAMES = (
    "project_name", "measure_power_secs", "api_call_interval", "api_endpoint", "api_key", "output_dir", "output_file",
    "output_methods", "save_to_file", "save_to_api", "save_to_logger", "logging_logger", "save_to_prometheus", "save_to_logfire",
    "prometheus_url", "output_handlers", "gpu_ids", "emissions_endpoint", "experiment_id", "experiment_name",
    "electricitymaps_api_token", "co2_signal_api_token", "tracking_mode", "log_level", "on_csv_write", "logger_preamble",
    "force_cpu_power", "force_ram_power", "pue", "wue", "force_carbon_intensity_g_co2e_kwh", "force_mode_cpu_load",
    "allow_multiple_runs", "rapl_include_dram", "rapl_prefer_psys", "metadata",
)  # fmt: skip
# The decorator has the offline tracker's words in its middle.
OFFLINE = ("offline", "country_iso_code", "region", "cloud_provider", "cloud_region", "country_2letter_iso_code")
_at = NAMES.index("force_cpu_power")
# The last of them are not the decorator's.
DECORATOR_NAMES = (*NAMES[:_at], *OFFLINE, *(name for name in NAMES[_at:-1] if name != "force_mode_cpu_load"))

# Taken without a word: what happens anyway (DRAM is metered, CPU load is read) or what asks for quiet (log_level and its like).
_LOG = "print(tracker.footprint), or wattledger.integrations"
_LIVE = "WATTLEDGER_GRID_PROVIDER=electricitymaps with the key in ELECTRICITYMAPS_API_KEY"
INSTEAD = {
    "api_endpoint": "nothing is sent to CodeCarbon's service",
    "api_key": "nothing is sent to CodeCarbon's service",
    "save_to_api": "nothing is sent to CodeCarbon's service; the ledger keeps the run: wattledger report job",
    "emissions_endpoint": "exporters: OTLP by [exporters.otlp], or the agent's /metrics",
    "save_to_logger": _LOG,
    "logging_logger": _LOG,
    "save_to_logfire": "[exporters.otlp] enabled = true",
    "output_handlers": _LOG,
    "gpu_ids": "CUDA_VISIBLE_DEVICES with tracking_mode=\"process\"",
    "electricitymaps_api_token": _LIVE,
    "co2_signal_api_token": _LIVE,
    "wue": "water is not counted yet",
    "force_carbon_intensity_g_co2e_kwh": "[grid] provider = \"file\" with [grid.file] path",
    "allow_multiple_runs": "several runs may be open at once: no joule is counted twice",
    "rapl_prefer_psys": "psys is shown as a device that holds the others, and never summed with them",
    "metadata": "labels of wattledger.track",
    "cloud_provider": "AWS_REGION, GOOGLE_CLOUD_REGION or AZURE_REGION in the environment, or country_iso_code",
}
# Canada's grids go by province; the states of the USA do not go by grid.
PROVINCES = {"quebec": "CA-QC", "ontario": "CA-ON", "alberta": "CA-AB", "british columbia": "CA-BC"}
METHODS = frozenset({"csv", "prometheus"})

_said: set[str] = set()


class Asked(NamedTuple):
    """What a tracker was asked for, in our words; ``csv`` is ``None`` where no file is wanted, ``row`` goes into it as it is."""

    job: str
    labels: Mapping[str, str]
    zone: str | None
    scope: Literal["process", "host"]
    config: Mapping[str, Any]
    csv: Path | None
    update: bool
    experiment_name: str
    row: Mapping[str, str]


def say_once(message: str) -> None:
    """One line on standard error, and never the same again."""
    if message in _said or sys.stderr is None:
        return
    _said.add(message)
    try:
        print(f"wattledger: {message}", file=sys.stderr)
    except (OSError, ValueError, AttributeError):
        return  # a closed standard error is the user's wish


def understood(given: Sequence[Any], named: Mapping[str, Any], *, names: Sequence[str] = NAMES) -> Asked:
    """Make the best of what was given, and say in one line what was not taken."""
    words = {name: value for name, value in {**dict(zip(names, given, strict=False)), **named}.items() if value is not None}
    left: dict[str, str] = {}
    if len(given) > len(names):
        left[f"{len(given) - len(names)} more by position"] = "there are no such arguments"
    for name in sorted(words.keys() - {*NAMES, *OFFLINE}):
        left[name] = "CodeCarbon 3.3 has no such argument"
    left |= {name: why for name, why in INSTEAD.items() if name in words and _wants(name, words[name])}
    asked = Asked(
        job=str(words.get("project_name", "codecarbon")),
        labels={"experiment_id": str(words["experiment_id"])} if "experiment_id" in words else {},
        zone=_zone(words, left),
        scope=_scope(words, left),
        config=_config(words, left),
        csv=_csv(words, left),
        update=words.get("on_csv_write") == "update",
        experiment_name=str(words.get("experiment_name", "base")).replace("/", "_").replace(os.sep, "_"),
        row=_row(words),
    )
    settings = sorted(name for name in os.environ if name.startswith("CODECARBON_"))
    left |= dict.fromkeys(settings, "give it to the tracker") if settings else {}
    if left:
        say_once("not taken of CodeCarbon's arguments: " + "; ".join(f"{name} ({why})" for name, why in left.items()))
    return asked


def _wants(name: str, value: Any) -> bool:
    """Whether it asks for something: a plain "no" is met by doing nothing, but for the one argument whose "yes" is."""
    if name == "allow_multiple_runs":
        return value is False
    return not isinstance(value, bool | int | float | str | list | tuple | dict) or bool(value)


def _zone(words: Mapping[str, Any], left: dict[str, str]) -> str | None:
    named = {name: str(words[name]) for name in ("country_iso_code", "country_2letter_iso_code") if name in words}
    places = {name: country(code) for name, code in named.items()}
    left |= {name: f"no country is called {named[name]!r}" for name, place in places.items() if place is None}
    place = next((place for place in places.values() if place is not None), None)
    if place is None:
        return None
    left.pop("cloud_provider", None)  # the place is known without it
    region = str(words.get("region", "")).strip()
    if place.alpha_2 == "CA" and region.lower() in PROVINCES:
        return PROVINCES[region.lower()]
    if region:
        left["region"] = f"the grid zone is {place.alpha_2}; name a smaller one by WATTLEDGER_GRID_ZONE (wattledger grid zones)"
    return place.alpha_2


def _scope(words: Mapping[str, Any], left: dict[str, str]) -> Literal["process", "host"]:
    mode = words.get("tracking_mode", "machine")
    if mode not in ("machine", "process"):
        left["tracking_mode"] = "\"machine\" or \"process\"; taken as \"machine\""
    return "process" if mode == "process" else "host"


def _config(words: Mapping[str, Any], left: dict[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {}

    def put(name: str, key: str, of: Callable[[float], float]) -> None:
        if name not in words:
            return
        try:
            if (value := float(words[name])) > 0:
                config[key] = of(value)
        except (TypeError, ValueError):
            left[name] = "a number is wanted"

    # 1 s is what we read at anyway: a longer wait would only lose what a power sensor shows in between.
    put("measure_power_secs", "agent.interval_s", lambda wait_s: min(wait_s, 1.0))
    put("pue", "facility.pue", lambda pue: pue)
    put("force_cpu_power", "sources.estimate.cpu_max_w", lambda power_w: power_w)
    if gb := memory_gb():
        put("force_ram_power", "sources.estimate.dram_w_per_gb", lambda power_w: power_w / gb)
    if words.get("save_to_prometheus") or "prometheus" in _methods(words):
        url = str(words.get("prometheus_url", "localhost:9091"))
        config["exporters.pushgateway.url"] = url if "://" in url else f"http://{url}"
    return config


def _methods(words: Mapping[str, Any]) -> set[str]:
    """Values of OutputMethod, of a list or of one text with commas."""
    methods = words.get("output_methods", ())
    methods = methods.split(",") if isinstance(methods, str) else methods if isinstance(methods, list | tuple | set) else ()
    return {str(getattr(method, "value", method)).strip().lower() for method in methods}


def _csv(words: Mapping[str, Any], left: dict[str, str]) -> Path | None:
    methods = _methods(words)
    if others := sorted(methods - METHODS):
        left["output_methods"] = f"no {', '.join(others)} here; there are csv and prometheus"
    if words.get("on_csv_write") not in (None, "append", "update"):
        left["on_csv_write"] = "\"append\" or \"update\"; taken as \"append\""
    wanted = "csv" in methods if "output_methods" in words else bool(words.get("save_to_file", True))
    return Path(str(words.get("output_dir", "."))) / str(words.get("output_file", "emissions.csv")) if wanted else None


def _row(words: Mapping[str, Any]) -> dict[str, str]:
    row = {name: str(words[name]) for name in ("experiment_id", "region", "cloud_provider", "cloud_region") if name in words}
    return row | ({"on_cloud": "Y"} if "cloud_provider" in words else {})
