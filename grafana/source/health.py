"""*Agent health*: which agents run, whether they keep time, read and deliver, and what they cost the nodes that they watch."""

from grafana.source.colours import BAD, BY_NAME, GOOD, WATCH
from grafana.source.layout import Page, dashboard, row
from grafana.source.panels import Look, Query, stat, states, table, timeseries
from grafana.source.promql import DEVICES, ENERGY, increase, rate
from grafana.source.variables import NODE, link, standard, to_node

BUILD = f"wattledger_build_info{{{NODE}}}"
# Prometheus's own metrics tell of every target: of an agent are those of a target that has said which version it is.
SEEN = f"group by (job,instance,cluster) (max_over_time({BUILD}[$__range]))"
AGENTS_UP = f"up{{{NODE}}} and on (job,instance,cluster) {SEEN}"
SERIES = f"scrape_samples_scraped{{{NODE}}} and on (job,instance,cluster) {BUILD}"
SCRAPE = f"scrape_duration_seconds{{{NODE}}} and on (job,instance,cluster) {BUILD}"
ERRORS, EXPORTS = "wattledger_source_errors_total", "wattledger_exports_total"
LATE, LAG = f"wattledger_tick_late_seconds{{{NODE}}}", f"wattledger_ledger_lag_seconds{{{NODE}}}"
ON_TIME = ((None, GOOD), (0.1, WATCH), (1, BAD))  # a tick a second: from 1 s on one is missed
COMMITTED = ((None, GOOD), (120, WATCH), (300, BAD))  # a commit is due once a minute at least
NEW_ERROR = ((None, GOOD), (1e-9, BAD))  # one is one too many
LITTLE = ((None, GOOD), (0.01, WATCH))  # the meter is to be lost in the noise of the sensors


def watts(job: str, by: str = "") -> str:
    return rate(ENERGY, f'{NODE},job_name="{job}"', by)


def part_of_all(job: str, by: str = "instance") -> str:
    """Its part of what the devices used, which is all that was handed out; 0 where nobody is under that name: that is known."""
    everything = rate(DEVICES, NODE, by)  # the same joules by a tenth of the series
    return f"({watts(job, by)} or 0 * {everything}) / {everything}"


NOW = row(
    "Now",
    stat("Agents up", "Agents that answered the last scrape.", unit="short", queries=[Query(f"sum ({AGENTS_UP})")]),
    stat(
        "Agents down",
        "Agents that were seen in the time chosen and do not answer any more.",
        unit="short",
        queries=[Query(f"count ({AGENTS_UP}) - sum ({AGENTS_UP})")],
        look=Look(width=4, height=4, thresholds=((None, GOOD), (1, BAD))),
    ),
    stat(
        "Latest tick",
        "How late the last background reading of the latest agent began. From 1 s on a tick is missed.",
        unit="s",
        queries=[Query(f"max ({LATE})")],
        look=Look(width=4, height=4, thresholds=ON_TIME),
    ),
    stat(
        "Failed reads",
        "Reads of sources that failed over the time chosen.",
        unit="short",
        look=Look(width=4, height=4, thresholds=NEW_ERROR),
        queries=[Query(increase(ERRORS, NODE))],
    ),
    stat(
        "Failed deliveries",
        "Deliveries of exporters that did not arrive, over the time chosen. No value: nothing is sent, only scraped.",
        unit="short",
        look=Look(width=4, height=4, thresholds=NEW_ERROR, none="none sends"),
        queries=[Query(increase(EXPORTS, NODE + ',outcome="failed"'))],
    ),
    stat(
        "Own power",
        "What the agents themselves draw: (agent), a workload like any other.",
        unit="watt",
        queries=[Query(watts("(agent)"))],
    ),
)

AGENTS = row(
    "Agents",
    states(
        "Up",
        "Whether the agent answered each scrape.",
        unit="short",
        queries=[Query(AGENTS_UP, "{{instance}}")],
        look=Look(mappings={"1": ("up", GOOD), "0": ("down", BAD)}, links=[to_node()]),
    ),
    table(
        "Versions",
        "Agents by the version that they run: after an upgrade there is one.",
        queries=[Query(f"count by (version) ({BUILD})", "Agents", "short")],
        look=Look(width=4, columns={"version": "Version"}, sort="Agents"),
    ),
    table(
        "Agents",
        "Of each agent now: version, ticks, failed reads, coverage, size of its page, how far its books are behind. Click a node.",
        queries=[
            Query(f"max by (instance,version) ({BUILD})", "Up", "short"),
            Query(f"max by (instance) ({LATE})", "Late", "s"),
            Query(increase(ERRORS, NODE, "instance"), "Failed reads", "short"),
            Query(f"min by (instance) (wattledger_coverage_ratio{{{NODE}}})", "Coverage", "percentunit"),
            Query(f"max by (instance) ({SERIES})", "Series", "short"),
            Query(f"max by (instance) ({SCRAPE})", "Scrape", "s"),
            Query(f"max by (instance) ({LAG})", "Books behind", "s"),
        ],
        look=Look(
            width=8,
            columns={"instance": "Node", "version": "Version"},
            sort="Failed reads",
            links=[link("Open this node", "wattledger-node", column="Node", instance="${__value.raw}")],
        ),
    ),
)

TIME = row(
    "Does it keep time?",
    timeseries(
        "Ticks late",
        "How late the last background reading began. Yellow line: 0.1 s; red: 1 s, from which on a tick is missed.",
        unit="s",
        queries=[Query(f"max by (instance) ({LATE})", "{{instance}}")],
        look=Look(width=8, low=0, thresholds=ON_TIME, links=[to_node()]),
    ),
    timeseries(
        "Length of the last read",
        "The slowest source of each kind. Past 20 ms a source is read on a thread of its own.",
        unit="s",
        queries=[Query(f"max by (source) (wattledger_source_read_seconds{{{NODE}}})", "{{source}}")],
        look=Look(width=8, low=0, thresholds=((None, GOOD), (0.02, WATCH))),
    ),
    timeseries(
        "Books behind",
        "How long the books have not had everything that was measured. Red line: 300 s, five times the longest way between two "
        "commits: the disk refuses or hangs, and what waits is in memory.",
        unit="s",
        queries=[Query(f"max by (instance) ({LAG})", "{{instance}}")],
        look=Look(width=8, low=0, thresholds=COMMITTED, none="no books kept", links=[to_node()]),
    ),
)

READS = row(
    "Does it read and deliver?",
    timeseries(
        "Failed reads by source",
        "A second. A failed read is not zero: its time becomes a gap that is named.",
        unit="si:read/s",
        queries=[Query(rate(ERRORS, NODE, "source"), "{{source}}")],
        look=Look(width=8, low=0, thresholds=NEW_ERROR),
    ),
    timeseries(
        "Coverage by source",
        "The worst agent's: time over which the source was read, of the time since it was opened.",
        unit="percentunit",
        queries=[Query(f"min by (source) (wattledger_coverage_ratio{{{NODE}}})", "{{source}}")],
        look=Look(width=8, high=1, thresholds=((None, BAD), (0.9, WATCH), (0.99, GOOD))),
    ),
    timeseries(
        "Deliveries",
        "Of exporters that send, a second, by what became of them. Empty where Prometheus alone reads.",
        unit="si:delivery/s",
        queries=[Query(rate(EXPORTS, NODE, "exporter,outcome"), "{{exporter}} {{outcome}}")],
        look=Look(width=8, low=0, colours={"/delivered/": GOOD, "/failed/": BAD}),
    ),
)

COST = row(
    "What does it cost?",
    timeseries(
        "The agents' own power",
        "(agent): CPU time of the agent, priced as everybody's.",
        unit="watt",
        queries=[Query(watts("(agent)", "instance"), "{{instance}}")],
        look=Look(low=0, colours=BY_NAME, links=[to_node()]),
    ),
    timeseries(
        "Its part of the node's power",
        "Beyond 1 % the meter would show in what it measures.",
        unit="percentunit",
        queries=[Query(part_of_all("(agent)"), "{{instance}}")],
        look=Look(low=0, thresholds=LITTLE, links=[to_node()]),
    ),
    timeseries(
        "Series",
        "Samples in each agent's page. It grows with workloads times devices, up to agent.series workloads.",
        unit="short",
        queries=[Query(SERIES, "{{instance}}")],
        look=Look(colours=BY_NAME, low=0, links=[to_node()]),
    ),
    timeseries(
        "Length of a scrape",
        "As Prometheus sees it. Red line: its default timeout.",
        unit="s",
        queries=[Query(SCRAPE, "{{instance}}")],
        look=Look(low=0, thresholds=((None, GOOD), (1, WATCH), (10, BAD)), links=[to_node()]),
    ),
)

FOLDED = row(
    "What is folded away",
    timeseries(
        "In (other)",
        "Part of the energy of workloads beyond agent.series, which have no series. No sum changes, but no name is left.",
        unit="percentunit",
        queries=[Query(part_of_all("(other)"), "{{instance}}")],
        look=Look(width=8, low=0, thresholds=LITTLE),
    ),
    timeseries(
        "Of nobody known",
        "Part of the energy that no workload can be named for: (unattributed).",
        unit="percentunit",
        queries=[Query(part_of_all("(unattributed)"), "{{instance}}")],
        look=Look(width=8, low=0, colours=BY_NAME),
    ),
    timeseries(
        "Retired",
        "Energy of workloads that ended 15 minutes ago or more: it moves here when their series go: a sum, no power.",
        unit="joule",
        queries=[
            Query(
                f"sum by (instance) (increase(wattledger_retired_energy_joules_total{{{NODE}}}[$__rate_interval]))", "{{instance}}"
            )
        ],
        look=Look(colours=BY_NAME, width=8, low=0, bars=True),
    ),
)

PAGE = dashboard(
    Page(
        "wattledger-health",
        "Agent health",
        "Which agents run, whether they keep time, read and deliver, and what they themselves draw.",
    ),
    variables=standard(),
    rows=[NOW, AGENTS, TIME, READS, COST, FOLDED],
)
