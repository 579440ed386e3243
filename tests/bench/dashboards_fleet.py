"""Series of a made-up fleet as OpenMetrics text: what its agents said, and what the recording rules made of it.

Each node: 8 GPUs, 2 CPUs, 2 memories, the rest of the host, and 10 jobs that are others every day; two of them serve tokens.
Raw series are a scrape a minute (an operator's may be 15 s; a query over days looks at steps of half an hour and more, and the last
day's cost grows with the scrapes).  Recorded ones are what ``deploy/prometheus/rules.yml`` would have written, by construction:
promtool's backfill of rules reads what it writes nowhere, so that it cannot chain them.  Values drift and jitter like real ones,
to six decimals: a straight line would compress to nothing and be read for nothing.
"""

from collections.abc import Iterator
from typing import NamedTuple, TextIO

import numpy as np

NODES, GPUS, JOBS, SERVING, DAYS = 200, 8, 10, 2, 30
MODELS, NAMESPACES, TEAMS, TENANTS = 20, 12, 8, 6
ZONES = ("DE", "SE", "US-CAMX")
HOUR_S, DAY_S = 3_600, 86_400
SCRAPE_S = 60
NOISE = np.random.default_rng(7).random(4_099)


class Series(NamedTuple):
    """Its name and labels as written; how fast it grows, or (a gauge) what it stands about; when it is there, and how often."""

    text: str
    rate: float
    counter: bool
    begin_s: int
    end_s: int
    step_s: int = SCRAPE_S


class Window(NamedTuple):
    """A stretch that becomes one block or few."""

    begin_s: int
    end_s: int


def labelled(name: str, **labels: object) -> str:
    pairs = ",".join(f'{key}="{value}"' for key, value in labels.items() if value != "")
    return f"{name}{{{pairs}}}"


def target(node: int) -> dict[str, object]:
    return {"job": "wattledger", "cluster": f"c{node % 2}", "instance": f"node-{node:03}:9909"}


def devices(node: int) -> Iterator[tuple[str, str, float]]:
    """Id, component, watts."""
    for n in range(GPUS):
        yield f"GPU-{node:03}-{n}", "gpu", 300.0 + 20 * n
    for n in range(2):
        yield f"package-{n}", "cpu", 150.0
        yield f"dram-{n}", "dram", 20.0
    yield "rest", "rest", 350.0


def whose(node: int, day: int, job: int) -> dict[str, object]:
    """The labels of one of a day's jobs."""
    number = (node * DAYS + day) * JOBS + job
    model = f"model-{number % MODELS}" if job < GPUS else ""
    return {"job_name": f"job-{day}-{node}-{job}", "model_name": model, "k8s_namespace_name": f"ns-{number % NAMESPACES}",
            "k8s_pod_name": f"job-{day}-{node}-{job}-0", "team": f"team-{number % TEAMS}"}  # fmt: skip


def raw_of_node(node: int, begin_s: int, end_s: int, days: range, first_s: int) -> Iterator[Series]:
    """All that one agent exports in a time; ``days``: whose jobs; ``first_s``: when day 0 began."""
    at = target(node)

    def gauge(name: str, value: float, **labels: object) -> Series:
        return Series(labelled(name, **at, **labels), value, False, begin_s, end_s)

    def counter(name: str, rate: float, **labels: object) -> Series:
        return Series(labelled(name, **at, **labels), rate, True, begin_s, end_s)

    for device, component, watts in devices(node):
        one = {"device": device, "component": component}
        method = "estimated" if component == "rest" else "counter"
        yield counter("wattledger_device_energy_joules_total", watts, **one, device_model=f"made-up {component}", method=method)
        yield gauge("wattledger_device_power_watts", watts, **one)
        yield gauge("wattledger_device_power_limit_watts", 700, **one)
        yield gauge("wattledger_attribution_residual_joules", 0, device=device)
        yield counter("wattledger_retired_energy_joules_total", watts, **one)
        if component == "gpu":
            yield gauge("wattledger_device_temperature_celsius", 60, **one)
        else:
            for who in ("(idle)", "(agent)"):
                said = {"job_name": who, **one, "method": method, "use": "held" if who == "(idle)" else "active"}
                yield counter("wattledger_energy_joules_total", watts / 10, **said)
    for who in ("(idle)", "(agent)", "(retired)"):
        yield from _priced(counter, {"job_name": who}, 0.01)
    for source in ("nvml", "rapl", "cgroup", "kubernetes"):
        yield gauge("wattledger_source_up", 1, source=source)
        yield gauge("wattledger_coverage_ratio", 1, source=source)
        yield gauge("wattledger_source_read_seconds", 0.01, source=source)
        yield counter("wattledger_source_errors_total", 0.0001, source=source)
    for outcome in ("delivered", "failed"):
        yield counter("wattledger_exports_total", 0.02, exporter="otlp", outcome=outcome)
    yield gauge("wattledger_tick_late_seconds", 0.0002)
    yield gauge("wattledger_ledger_lag_seconds", 5)
    yield gauge("wattledger_build_info", 1, version="0.1.0")
    zone = {"grid_zone": ZONES[node % len(ZONES)], "provider": "made up"}
    for basis in ("average", "marginal"):
        yield gauge("wattledger_grid_carbon_intensity_grams_per_kwh", 300, **zone, basis=basis, quality="live")
    yield gauge("wattledger_grid_carbon_intensity_age_seconds", 600, **zone)
    for hour in range(1, 25):
        yield gauge("wattledger_grid_carbon_intensity_forecast_grams_per_kwh", 300, **zone, hours_ahead=f"{hour:02}")
    for day in days:
        there = max(begin_s, first_s + day * DAY_S), min(end_s, first_s + (day + 1) * DAY_S)
        for job in range(JOBS):
            yield from (series._replace(begin_s=there[0], end_s=there[1]) for series in _job(counter, gauge, (node, day, job)))


def _priced(counter, who: dict[str, object], grams_s: float) -> Iterator[Series]:  # type: ignore[no-untyped-def]
    yield counter("wattledger_emissions_grams_total", grams_s, **who)
    yield counter("wattledger_embodied_emissions_grams_total", grams_s / 5, **who)
    yield counter("wattledger_water_litres_total", grams_s / 100, **who, source="offsite")
    yield counter("wattledger_cost_total", grams_s / 1000, **who, currency="EUR")


def _job(counter, gauge, number: tuple[int, int, int]) -> Iterator[Series]:  # type: ignore[no-untyped-def]
    node, _, job = number
    who = whose(*number)
    for device, component, watts in devices(node):
        if component == "gpu" and not device.endswith(f"-{job}"):
            continue  # each of eight jobs has a GPU, two have none
        method = "estimated" if component == "rest" else "counter"
        for use in ("active", "held") if component == "gpu" else ("active",):
            said = {**who, "device": device, "component": component, "method": method, "use": use}
            yield counter("wattledger_energy_joules_total", watts / 2, **said)
    yield from _priced(counter, who, 0.02)
    if job < SERVING:
        yield from _engine(counter, gauge, who)


def _engine(counter, gauge, who: dict[str, object]) -> Iterator[Series]:  # type: ignore[no-untyped-def]
    yield counter("wattledger_requests_total", 1, **who)
    yield gauge("wattledger_token_energy_pending_joules", 0.1, **who)
    for kind in ("prompt", "cached", "generated"):
        yield counter("wattledger_tokens_total", 500, **who, kind=kind)
    for kind in ("prompt", "generated", "standby", "overhead"):
        yield counter("wattledger_token_emissions_grams_total", 0.005, **who, kind=kind)
        for component in ("gpu", "cpu", "dram", "rest"):
            said = {**who, "component": component, "method": "estimated" if component == "rest" else "counter", "kind": kind}
            yield counter("wattledger_token_energy_joules_total", 40, **said)
    for kind in ("prompt", "generated"):
        for bound in ("low", "value", "high"):
            yield gauge("wattledger_energy_per_token_joules", 0.3, **who, kind=kind, bound=bound)
        for tenant in range(TENANTS):
            yield counter("wattledger_request_energy_joules_total", 5, **who, tenant=f"tenant-{tenant}", kind=kind)
            yield counter("wattledger_request_tokens_total", 50, **who, tenant=f"tenant-{tenant}", kind=kind)


def recorded(begin_s: int, end_s: int) -> Iterator[Series]:
    """The rules' series of few labels, a minute apart and by the hour, and every job's hours."""

    def both(metric: str, value: float, more: str = "", **labels: object) -> Iterator[Series]:
        per_hour = "_per_hour" if more else ""
        for cluster in ("c0", "c1"):
            said = {"cluster": cluster, **labels}
            yield Series(labelled(f"{metric}{per_hour}:rate5m", **said), value, False, begin_s, end_s)
            yield Series(labelled(f"{metric}:increase1h", **said), value * HOUR_S, False, begin_s, end_s, HOUR_S)

    for component in ("gpu", "cpu", "dram", "rest"):
        method = "estimated" if component == "rest" else "counter"
        yield from both("fleet_component_method:wattledger_device_energy_joules", 1e5, component=component, method=method)
        for node in range(NODES):
            said = {**target(node), "component": component, "method": method}
            text = labelled("instance_component_method:wattledger_device_energy_joules:increase1h", **said)
            yield Series(text, 1e6, False, begin_s, end_s, HOUR_S)
    names = {"model": ("model_name", "model", MODELS), "team": ("team", "team", TEAMS),
             "namespace": ("k8s_namespace_name", "ns", NAMESPACES)}  # fmt: skip
    for level, (label, short, many) in names.items():
        for n in range(many):
            yield from both(f"{level}:wattledger_energy_joules", 3e4, **{label: f"{short}-{n}"})
            yield from both(f"{level}:wattledger_emissions_grams", 4.0, "g/h", **{label: f"{short}-{n}"})
    for zone in ZONES:
        yield from both("zone:wattledger_emissions_grams", 30.0, "g/h", grid_zone=zone)
        for basis in ("average", "marginal"):
            said = {"cluster": "c0", "grid_zone": zone, "provider": "made up", "basis": basis, "quality": "live"}
            text = labelled("zone:wattledger_grid_carbon_intensity_grams_per_kwh:avg", **said)
            yield Series(text, 300, False, begin_s, end_s)
    for source in ("onsite", "offsite"):
        yield from both("fleet_source:wattledger_water_litres", 1.0, "l/h", source=source)
    for n in range(MODELS):
        for kind in ("prompt", "generated", "standby", "overhead"):
            model = f"model-{n}"
            yield from both("model_kind:wattledger_token_energy_joules", 100.0, model_name=model, kind=kind)
            yield from both("model_kind:wattledger_engine_tokens", 900.0, model_name=model, kind=kind)
            ratio = "model_kind:wattledger_token_energy_joules_per_token:ratio_rate5m"
            ratio = labelled(ratio, cluster="c0", model_name=model, kind=kind)
            yield Series(ratio, 0.3, False, begin_s, end_s)
    for node in range(NODES):
        for who in ("(idle)", "(agent)"):
            text = labelled("instance_reserved:wattledger_energy_joules:rate5m", **target(node), job_name=who)
            yield Series(text, 50.0, False, end_s - DAY_S, end_s)
        yield from minutes_of_jobs(node, end_s)
    for ratio in ("fleet:wattledger_device_energy_measured:ratio_rate5m", "fleet:wattledger_energy_held:ratio_rate5m"):
        for cluster in ("c0", "c1"):
            yield Series(labelled(ratio, cluster=cluster), 0.5, False, begin_s, end_s)
    for job in range(100):
        owner = whose(job, DAYS - 1, 0)
        del owner["k8s_pod_name"]
        for metric in ("energy_joules", "emissions_grams"):
            text = labelled(f"top_workload:wattledger_{metric}:sum30d", cluster=f"c{job % 2}", **owner)
            yield Series(text, 1e8, False, begin_s, end_s, HOUR_S)
    yield from hours_of_jobs(begin_s)


def hours_of_jobs(first_s: int) -> Iterator[Series]:
    """Every job of the month: a series of a day's hours for what it used."""
    for node in range(NODES):
        for day in range(DAYS):
            there = first_s + day * DAY_S, first_s + (day + 1) * DAY_S
            for job in range(JOBS):
                who = {"cluster": f"c{node % 2}"} | whose(node, day, job)
                del who["k8s_pod_name"]
                for metric, value in (("energy_joules", 1e6), ("energy_held_joules", 1e5), ("emissions_grams", 90.0),
                                      ("embodied_emissions_grams", 9.0), ("cost", 0.1)):  # fmt: skip
                    yield Series(labelled(f"workload:wattledger_{metric}:increase1h", **who), value, False, *there, HOUR_S)
                yield Series(labelled("workload_source:wattledger_water_litres:increase1h", **who, source="offsite"), 1.0, False,
                             *there, HOUR_S)  # fmt: skip


def minutes_of_jobs(node: int, end_s: int) -> Iterator[Series]:
    """The minutes of the last day's jobs."""
    for job in range(JOBS):
        who = {"cluster": f"c{node % 2}"} | whose(node, DAYS - 1, job)
        del who["k8s_pod_name"]
        parts = [("cpu", "active"), ("dram", "active"), ("rest", "active")]
        parts += [("gpu", "active"), ("gpu", "held")] if job < GPUS else []
        texts = [labelled("workload_component_use:wattledger_energy_joules:rate5m", **who, component=component, use=use)
                 for component, use in parts]  # fmt: skip
        names = ("energy_joules", "energy_held_joules", "emissions_grams_per_hour", "embodied_emissions_grams_per_hour")
        texts += [labelled(f"workload:wattledger_{name}:rate5m", **who) for name in names]
        texts.append(labelled("workload:wattledger_cost_per_hour:rate5m", **who, currency="EUR"))
        texts.append(labelled("workload_source:wattledger_water_litres_per_hour:rate5m", **who, source="offsite"))
        yield from (Series(text, 80.0, False, end_s - DAY_S, end_s) for text in texts)


def write(series: list[Series], window: Window, out: TextIO) -> int:
    """Their samples in a window, as text; how many."""
    written = 0
    ticks = {step: [f" {at}\n" for at in range(window.begin_s, window.end_s, step)] for step in (SCRAPE_S, HOUR_S)}
    for text, rate, counter, begin_s, end_s, step_s in series:
        first = -(-max(begin_s, window.begin_s) // step_s) * step_s
        last = min(end_s, window.end_s)
        if first >= last:
            continue
        index = np.arange((first - begin_s) // step_s, -(-(last - begin_s) // step_s))
        jitter = NOISE[(index + len(text) * 31 + begin_s) % NOISE.size]
        values = rate * step_s * (index + jitter) if counter else rate * (0.8 + 0.4 * jitter)
        times = ticks[step_s][(first - window.begin_s) // step_s :]
        out.write("".join([f"{text} {value}{at}" for value, at in zip(np.round(values, 6).tolist(), times, strict=False)]))
        written += len(index)
    return written
