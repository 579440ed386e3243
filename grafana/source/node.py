"""*Node & devices*: what each device draws and may draw, whether it adds up, who works there, and how the sensors fare."""

from grafana.source.colours import BAD, BY_COMPONENT, BY_METHOD, BY_NAME, BY_USE, GOOD, GREY, VERMILLION, WATCH
from grafana.source.layout import Page, dashboard, row
from grafana.source.panels import Look, Query, bars, stat, states, table, timeseries
from grafana.source.plots import dashed, over_the_stack
from grafana.source.promql import DEVICES, ENERGY, POWER, increase, rate
from grafana.source.variables import NODE, link, standard, to_job
from grafana_foundation_sdk.models import dashboard as model

HERE = NODE + ',device=~"$device"'
DEVICE = "instance,device,component"
DRAWN, LIMIT = f"{POWER}{{{HERE}}}", f"wattledger_device_power_limit_watts{{{HERE}}}"
TEMPERATURE = f"wattledger_device_temperature_celsius{{{HERE}}}"
RESIDUAL = f"wattledger_attribution_residual_joules{{{HERE}}}"
OF_LIMIT = f"{DRAWN} / on (job,instance,cluster,device,component) {LIMIT}"
ZERO = ((None, GOOD), (1e-6, BAD))  # a microjoule is the smallest that is counted
SENSED, HELD, MINE = ',method!="estimated"', ',use="held"', ',job_name!~"[(].*"'
WHERE = {"instance": "Node", "device": "Device"}


def watts(metric: str, by: str = "") -> str:
    return rate(metric, HERE, by)


def over(metric: str, by: str = "", more: str = "") -> str:
    return increase(metric, HERE + more, by)


def met() -> model.Panel:
    """The one picture of the law: every joule that was measured worked for somebody."""
    made = timeseries(
        "Energy by workload, and the devices' own line",
        "Stacked: what was handed out, by job. Line: what the devices measured. They must meet: idle, unknown and the agent's "
        "own are workloads, too. (A job that has just come shows its first second late.)",
        unit="watt",
        look=Look(width=24, height=10, stack=True, colours={**BY_NAME, "measured": VERMILLION}, low=0, links=[to_job()]),
        queries=[Query(watts(ENERGY, by="job_name"), "{{job_name}}", exemplar=True), Query(watts(DEVICES), "measured")],
    )
    return over_the_stack(made, "measured")


def drawn() -> model.Panel:
    """Power by device, and the limits it may not pass."""
    made = timeseries(
        "Power by device, and its limit",
        "Mean power over the last reading period; dashed: the most that the device may draw now, where it tells.",
        unit="watt",
        look=Look(width=12, height=9, low=0, colours={**BY_NAME, "/^limit/": GREY}),
        queries=[
            Query(f"sum by ({DEVICE}) ({DRAWN})", "{{instance}} {{device}}"),
            Query(f"max by ({DEVICE}) ({LIMIT})", "limit {{instance}} {{device}}"),
        ],
    )
    return dashed(made, "/^limit/")


NOW = row(
    "Now",
    stat(
        "Power",
        "Drawn by every device now, each watt once: what is inside another device is not added.",
        unit="watt",
        queries=[Query(f"sum ({DRAWN})")],
    ),
    stat("Energy", "Energy of every device over the time chosen.", unit="joule", queries=[Query(over(DEVICES))]),
    stat(
        "Measured",
        "Part of that energy that sensors told; the rest is a model's answer.",
        unit="percentunit",
        queries=[Query(f"{over(DEVICES, more=SENSED)} / {over(DEVICES)}")],
    ),
    stat(
        "Nearest to its limit",
        "Power over the limit in force of the device that is nearest to it. At 1 it is held back by its cap.",
        unit="percentunit",
        queries=[Query(f"max ({OF_LIMIT})")],
        look=Look(width=4, height=4, thresholds=((None, GOOD), (0.98, WATCH)), none="no limit told"),
    ),
    stat(
        "Attribution residual",
        "Largest difference between energy measured and handed out, by two sums that never meet. Anything but 0 is a bug.",
        unit="joule",
        queries=[Query(f"max (abs({RESIDUAL}))")],
        look=Look(width=4, height=4, thresholds=ZERO),
    ),
    stat(
        "Sources down",
        "Sources that fail, hang, or are gone: what they read is missing from then on.",
        unit="short",
        queries=[Query(f"count(wattledger_source_up{{{NODE}}}) - sum(wattledger_source_up{{{NODE}}})")],
        look=Look(width=4, height=4, thresholds=((None, GOOD), (1, BAD))),
    ),
)

EACH = row(
    "Devices",
    drawn(),
    timeseries(
        "Part of the limit",
        "Power over the limit in force. At 1 the device is held back by its cap, and takes longer for the same work.",
        unit="percentunit",
        queries=[Query(f"max by ({DEVICE}) ({OF_LIMIT})", "{{instance}} {{device}}")],
        look=Look(width=6, height=9, low=0, thresholds=((None, GOOD), (0.98, WATCH))),
    ),
    timeseries(
        "Temperature",
        "Of the devices that tell. No line is drawn: what is too hot is for the maker to say.",
        unit="celsius",
        queries=[Query(f"max by ({DEVICE}) ({TEMPERATURE})", "{{instance}} {{device}}")],
        look=Look(colours=BY_NAME, width=6, height=9),
    ),
    timeseries(
        "Power by component, and how it was got",
        "From the counters. counter: an energy register; integrated: measured power; estimated: a model.",
        unit="watt",
        queries=[Query(watts(DEVICES, by="component,method"), "{{component}} {{method}}")],
        look=Look(stack=True, colours=BY_COMPONENT, low=0),
    ),
    table(
        "Devices over the time chosen",
        "Energy by its counter and mean power; power, limit and temperature now; residual, which must be 0.",
        queries=[
            Query(over(DEVICES, by="instance,device,component,device_model,method"), "Energy", "joule"),
            Query(f"sum by ({DEVICE}) (avg_over_time({DRAWN}[$__range]))", "Mean power", "watt"),
            Query(f"sum by ({DEVICE}) ({DRAWN})", "Power", "watt"),
            Query(f"max by ({DEVICE}) ({LIMIT})", "Limit", "watt"),
            Query(f"max by ({DEVICE}) ({TEMPERATURE})", "Temperature", "celsius"),
            Query(f"max by (instance,device) (abs({RESIDUAL}))", "Residual", "joule"),
        ],
        look=Look(columns={**WHERE, "component": "Component", "device_model": "Model", "method": "Method"}, sort="Energy"),
    ),
    bars(
        "How the energy was got",
        "Energy of the time chosen by method: only the first two are a sensor's word.",
        unit="joule",
        queries=[Query(over(DEVICES, by="method"), "{{method}}")],
        look=Look(width=8, height=6, colours=BY_METHOD),
    ),
    timeseries(
        "Inside other devices",
        "Domains that another device already counts (core in package, slice in GPU): never to be added to the above, "
        "nor to each other. Empty where no sensor looks inside.",
        unit="watt",
        look=Look(colours=BY_NAME, width=16, height=6, low=0, none="nothing looks inside"),
        queries=[
            Query(
                watts("wattledger_subdevice_energy_joules_total", by="instance,device,inside"),
                "{{instance}}: in {{inside}}: {{device}}",
            )
        ],
    ),
)

LAW = row(
    "It adds up",
    met(),
    timeseries(
        "Attribution residual by device",
        "Energy measured less energy handed out (and retired), as the agent itself sums them: 0, always.",
        unit="joule",
        queries=[Query(RESIDUAL, "{{instance}} {{device}}")],
        look=Look(thresholds=((None, BAD), (-1e-6, GOOD), (1e-6, BAD))),
    ),
    timeseries(
        "Active and held",
        "held: idle energy, paid by who holds the device; what nobody holds is (idle).",
        unit="watt",
        look=Look(stack=True, colours=BY_USE, low=0),
        queries=[Query(watts(ENERGY, by="use"), "{{use}}")],
    ),
)

WHOSE = "job_name,model_name,k8s_namespace_name,k8s_pod_name,k8s_container_name,slurm_job_id"
WORKLOADS = row(
    "Who works here",
    table(
        "Who worked here, by whose word",
        "Over the time chosen: job and model as programs say them, the rest as the kernel vouches for it (for charge-back use "
        "the latter). Held: idle energy of what they hold, in Energy too.",
        queries=[
            Query(over(ENERGY, by=WHOSE, more=MINE), "Energy", "joule"),
            Query(over(ENERGY, by=WHOSE, more=MINE + HELD), "Held", "joule"),
            Query(f"{over(ENERGY, by=WHOSE, more=MINE)} / $__range_s", "Mean power", "watt"),
        ],
        look=Look(
            width=16,
            columns={
                "job_name": "Job",
                "model_name": "Model",
                "k8s_namespace_name": "Namespace",
                "k8s_pod_name": "Pod",
                "k8s_container_name": "Container",
                "slurm_job_id": "Slurm job",
            },
            sort="Energy",
            links=[
                link("Open this job", "wattledger-job", column="Job", job_name="${__value.raw}"),
                link("Open this model", "wattledger-models", column="Model", model="${__value.raw}"),
            ],
        ),
    ),
    bars(
        "Idle energy, by who held it",
        "Over the time chosen; (idle): nobody held the device, so nobody pays.",
        unit="joule",
        queries=[Query(f"topk(12, {over(ENERGY, by='job_name', more=HELD)})", "{{job_name}}")],
        look=Look(width=8, colours=BY_NAME, links=[to_job()]),
    ),
)

SENSORS = row(
    "Sensors",
    states(
        "Sources",
        "Up while the source is read; down while it fails or hangs and once it is gone.",
        unit="short",
        queries=[Query(f"wattledger_source_up{{{NODE}}}", "{{instance}} {{source}}")],
        look=Look(mappings={"1": ("up", GOOD), "0": ("down", BAD)}),
    ),
    timeseries(
        "Coverage",
        "Time over which the source was read, of the time since it was opened. Below 0.99 energy is missing or filled in.",
        unit="percentunit",
        queries=[Query(f"wattledger_coverage_ratio{{{NODE}}}", "{{instance}} {{source}}")],
        look=Look(high=1, thresholds=((None, BAD), (0.9, WATCH), (0.99, GOOD))),
    ),
    timeseries(
        "Length of the last read",
        "Past 20 ms a source is read on a thread of its own, so that it cannot hold up the others.",
        unit="s",
        queries=[Query(f"wattledger_source_read_seconds{{{NODE}}}", "{{instance}} {{source}}")],
        look=Look(low=0, thresholds=((None, GOOD), (0.02, WATCH))),
    ),
    timeseries(
        "Failed reads",
        "Reads that failed, a second. A failed read is not zero: its time is a gap.",
        unit="si:read/s",
        queries=[Query(f"rate(wattledger_source_errors_total{{{NODE}}}[$__rate_interval])", "{{instance}} {{source}}")],
        look=Look(low=0, thresholds=((None, GOOD), (1e-9, BAD))),
    ),
)

PAGE = dashboard(
    Page(
        "wattledger-node",
        "Node & devices",
        "Power and energy of each device, who they worked for, and how the sensors fare.",
        finest=None,  # of one node every scrape is cheap
    ),
    variables=standard("device", one="instance"),
    rows=[NOW, EACH, LAW, WORKLOADS, SENSORS],
)
