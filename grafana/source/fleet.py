"""Fleet overview: where the watts, grams, litres and money go, over all nodes."""

from dataclasses import replace

from grafana.source.colours import BAD, BLUE, BY_COMPONENT, BY_METHOD, BY_NAME, BY_PLACE, GOOD, GREY, ORANGE, RESERVED, WATCH
from grafana.source.layout import Page, dashboard, row
from grafana.source.panels import Look, Query, bars, geomap, stat, table, timeseries
from grafana.source.promql import (
    COST,
    DEVICES,
    EMBODIED,
    ENERGY,
    GRAMS,
    INTENSITY,
    POWER,
    REQUESTS,
    WATER,
    hourly,
    increase,
    or_none,
    rate,
    recorded,
    summed,
    wh,
)
from grafana.source.variables import JOBS, NODE, choice, link, standard, to_job, to_model

# Devices are chosen by cluster and instance; what workloads did, by namespace and model as well.
WHOSE = NODE + ',k8s_namespace_name=~"$namespace",model_name=~"$model"'
SOMEBODY, HELD, AT_WORK = (WHOSE + f',job_name=~"{JOBS}"' + use for use in ("", ',use="held"', ',use="active"'))
NOBODY, RESERVE = NODE + ',job_name="(idle)"', NODE + ',job_name=~"[(].*"'
SENSED, AVERAGE = NODE + ',method!="estimated"', NODE + ',basis="average"'

TODAY = "since midnight (or in the range above, where that names fixed times)"
DAY = Look(width=4, height=4, since="now/d", decimals=1)
TOP, LIST = Look(width=8, since="now/d", decimals=2), Look(width=12, height=6, sort="Power", decimals=2)
CELL = '${__data.fields["%s"]}'
KEY = "job_name, k8s_namespace_name, model_name"

# The zone that prices a node's energy: one series a node, so that joining it counts nothing twice.
ZONE_OF = f"on (job, instance) group_left (grid_zone) group by (job, instance, grid_zone) ({INTENSITY}{{{AVERAGE}}})"
NODE_POWER = summed(f"{POWER}{{{NODE}}}", "job, instance")
ZONE_POWER = f"{NODE_POWER} * {ZONE_OF}"
ZONE_GRAMS = f"{hourly(GRAMS, NODE, 'job, instance')} * {ZONE_OF}"
COUNTRY = f'label_replace({ZONE_POWER}, "country", "$1", "grid_zone", "([A-Z]{{2}})(?:-.*)?")'


# To rank a fleet's jobs is to read all their series; the rules have done so each minute (deploy/prometheus), and kept no node.
CLUSTER = 'cluster=~"$cluster"'
RECORDED = CLUSTER + f',k8s_namespace_name=~"$namespace",model_name=~"$model",job_name=~"{JOBS}"'
NAMED, JOB_POWER = RECORDED + ',model_name!=""', "workload:wattledger_energy_joules:rate5m"
ALL_NODES = "From the rates that the rules recorded (rules.yml), so of all nodes, whichever are chosen."
TOP_JOBS = f"topk(20, {recorded(JOB_POWER, RECORDED, KEY)})"


def of_top(rate5m: str) -> str:
    """Of the twenty jobs with most energy, from what was recorded of the workloads."""
    return f"({recorded(rate5m, RECORDED, KEY)} and on ({KEY}) {TOP_JOBS})"


def hours_of_top(per_hour: str) -> str:
    """The same of what was recorded for an hour."""
    return f"{of_top(f'{per_hour}_per_hour:rate5m')} / 3600"


NOW = row(
    "Now and today",
    stat("Power now", "What all devices draw now, by their sensors or a model of them; each watt is counted once.", unit="watt",
         queries=[Query(f"sum({POWER}{{{NODE}}})")], look=Look(width=4, height=4, decimals=1)),
    stat("Energy today", f"What the devices used {TODAY}, by their own counters.", unit="watth",
         queries=[Query(wh(increase(DEVICES, NODE)))], look=DAY),
    stat("CO2e today", f"Location-based grams of the energy {TODAY}, as first priced; reports may restate them.", unit="massg",
         queries=[Query(increase(GRAMS, WHOSE))], look=DAY),
    stat("Embodied today", f"What making the machines emitted, for the time {TODAY}; no part of the CO2e beside it.", unit="massg",
         queries=[Query(increase(EMBODIED, WHOSE))], look=DAY),
    stat("Cost today", f"Money for the energy {TODAY}, at the tariff in force; needs [tariff] on the agents.", unit="none",
         queries=[Query(increase(COST, WHOSE, "currency"), "{{currency}}")], look=replace(DAY, decimals=2, none="no tariff")),
    stat("Water today", f"Litres that evaporated {TODAY}: onsite in cooling (needs [facility] wue), offsite in power plants.",
         unit="litre", queries=[Query(increase(WATER, WHOSE, "source"), "{{source}}")], look=replace(DAY, colours=BY_PLACE)),
    stat("Measured fraction", f"Part of the energy {TODAY} that a sensor measured; the rest is a model's answer.",
         unit="percentunit", look=replace(DAY, low=0, high=1),
         queries=[Query(f"{or_none(increase(DEVICES, SENSED))} / {increase(DEVICES, NODE)}")]),
    stat("Nodes", "Agents that answered the last scrape.", unit="none", look=Look(width=4, height=4),
         queries=[Query(f"count(wattledger_build_info{{{NODE}}})")]),
    stat("Idle waste today", f"Energy {TODAY} that no work asked for: of devices nobody held, and of what jobs held idle.",
         unit="watth", look=replace(DAY, width=8, colours={"nobody's": GREY, "held by jobs": ORANGE}),
         queries=[Query(wh(increase(ENERGY, NOBODY)), "nobody's"), Query(wh(increase(ENERGY, HELD)), "held by jobs")]),
    stat("Idle part", f"Idle waste over all energy {TODAY}; from 40 % on, look at what is reserved and not used.",
         unit="percentunit", look=replace(DAY, low=0, high=1, thresholds=[(None, GOOD), (0.4, WATCH)]),
         queries=[Query(f"({increase(ENERGY, NOBODY)} + {or_none(increase(ENERGY, HELD))}) / {increase(DEVICES, NODE)}")]),
    stat("Sources in trouble", "Sensors that fail, hang or are gone now, as the agents say; from one on, see their health.",
         unit="none", queries=[Query(f"count(wattledger_source_up{{{NODE}}} == 0) or vector(0)")],
         look=Look(width=4, height=4, thresholds=[(None, GOOD), (1, BAD)], links=[link("Agent health", "wattledger-health")])),
)  # fmt: skip

WHERE = row(
    "Where the power goes",
    timeseries("Power by component", "Watts by kind of device: the increase of all devices' energy counters over time.",
               unit="watt", look=Look(stack=True, colours=BY_COMPONENT),
               queries=[Query(rate(DEVICES, NODE, "component"), "{{component}}")]),
    timeseries("Power by what it was for", "Watts of jobs at work, of what they held idle, and of what is nobody's job, as "
               "attributed: together all of it; dots are runs.",
               unit="watt", look=Look(stack=True, colours={"jobs at work": BLUE, "held by jobs": ORANGE, **RESERVED}),
               queries=[Query(rate(ENERGY, AT_WORK), "jobs at work", exemplar=True), Query(rate(ENERGY, HELD), "held by jobs"),
                        Query(rate(ENERGY, RESERVE, "job_name"), "{{job_name}}")]),
    timeseries("Power by how it was got", "Watts by method: an energy counter, power integrated, or a model's estimate.",
               unit="watt", look=Look(stack=True, colours=BY_METHOD),
               queries=[Query(rate(DEVICES, NODE, "method"), "{{method}}")]),
    timeseries("Power of the ten largest jobs", f"Watts of the jobs that used most in this range, as attributed. {ALL_NODES}",
               unit="watt", look=Look(colours=BY_NAME, links=[to_job()]), queries=[
                   Query(f"sum by (job_name) ({JOB_POWER}{{{RECORDED}}}) and on (job_name) "
                         f"topk(10, sum by (job_name) (sum_over_time({JOB_POWER}{{{RECORDED}}}[$__range] @ end())))",
                         "{{job_name}}")]),
)  # fmt: skip

WHOM = row(
    "Whose it is today",
    table("Top jobs", f"The twenty jobs with most energy {TODAY}, as attributed; held is what they reserved and left idle of it. "
          + ALL_NODES,
          look=Look(width=16, height=10, since="now/d", sort="Energy", decimals=2,
                    columns={"job_name": "Job", "k8s_namespace_name": "Namespace", "model_name": "Model"},
                    links=[link("Open this job", "wattledger-job", column="Job", job_name=CELL % "Job"),
                           link("Open this model", "wattledger-models", column="Model", model=CELL % "Model")]),
          queries=[Query(wh(TOP_JOBS), "Energy", "watth"),
                   Query(wh(of_top("workload:wattledger_energy_held_joules:rate5m")), "Held", "watth"),
                   Query(hours_of_top("workload:wattledger_emissions_grams"), "CO2e", "massg"),
                   Query(hours_of_top("workload:wattledger_embodied_emissions_grams"), "Embodied", "massg"),
                   Query(hours_of_top("workload_source:wattledger_water_litres"), "Water", "litre"),
                   Query(hours_of_top("workload:wattledger_cost"), "Cost", "none")]),
    bars("Top models", f"Energy {TODAY} of the ten models with most, as attributed. {ALL_NODES}", unit="watth",
         look=replace(TOP, height=10, links=[to_model()]), queries=[
             Query(wh(f"sort_desc(topk(10, {recorded(JOB_POWER, NAMED, 'model_name')}))"), "{{model_name}}")]),
    bars("Jobs by $owner", f"Energy of jobs {TODAY} by the label chosen above; the kernel vouches for namespace, user and "
         "Slurm job, programs say the others. Needs no rules.", unit="watth", look=TOP,
         queries=[Query(wh(f"sort_desc(topk(10, {increase(ENERGY, SOMEBODY, '$owner')}))"), "{{$owner}}")]),
    bars("No job's", f"Energy {TODAY} that is no job's: what nobody held (idle), whom nobody could name (unattributed), jobs "
         "past the number of series (other), our own (agent).", unit="watth", look=replace(TOP, colours=RESERVED),
         queries=[Query(wh(f"sort_desc({increase(ENERGY, RESERVE, 'job_name')})"), "{{job_name}}")]),
    bars("Tenants of serving engines", f"Energy of requests {TODAY} by tenant, where records of requests are sent: part of the "
         "jobs' energy, never to be added to it.", unit="watth", look=TOP,
         queries=[Query(wh(f"sort_desc(topk(10, {increase(REQUESTS, WHOSE, 'tenant')}))"), "{{tenant}}")]),
)  # fmt: skip

PLACES = row(
    "Grid and places",
    stat("Grid intensity now", "Grams CO2e for a kWh in each zone, in force for the emissions, by the provider or table named.",
         unit="suffix: g/kWh", look=Look(width=8, height=4, decimals=0, links=[link("Grid and carbon", "wattledger-grid")]),
         queries=[Query(f"avg by (grid_zone, provider, quality) ({INTENSITY}{{{AVERAGE}}})",
                        "{{grid_zone}}, {{provider}}, {{quality}}")]),
    stat("Age of the live figure", "Time since the end of what the provider's figure speaks of; past 6 h the agents put the "
         "year's average in its place.", unit="s", queries=[
             Query(f"max by (grid_zone) (wattledger_grid_carbon_intensity_age_seconds{{{NODE}}})", "{{grid_zone}}")],
         look=Look(width=4, height=4, none="no live figure", thresholds=[(None, GOOD), (3600, WATCH), (21600, BAD)])),
    timeseries("CO2e an hour by zone", "Grams an hour of the nodes in each grid zone, as first priced.", unit="suffix: g/h",
               look=Look(height=12, stack=True, colours=BY_NAME),
               queries=[Query(summed(ZONE_GRAMS, "grid_zone"), "{{grid_zone}}")]),
    geomap("Map", "Power now by country of the grid zone, at the country's middle; who has the world's average has no place.",
           unit="watt", queries=[Query(summed(COUNTRY, "country"))]),
    table("Zones", "Power now, grams an hour and the intensity that prices them, by grid zone.",
          look=replace(LIST, columns={"grid_zone": "Zone"}), queries=[
              Query(summed(ZONE_POWER, "grid_zone"), "Power", "watt"),
              Query(summed(ZONE_GRAMS, "grid_zone"), "CO2e", "suffix: g/h"),
              Query(f"avg by (grid_zone) ({INTENSITY}{{{AVERAGE}}})", "Intensity", "suffix: g/kWh"),
              Query(f"count by (grid_zone) ({ZONE_POWER})", "Nodes", "none")]),
    table("Nodes now", "Power, and grams an hour, by node.",
          look=replace(LIST, columns={"instance": "Node"},
                    links=[link("Open this node", "wattledger-node", column="Node", instance=CELL % "Node")]), queries=[
              Query(summed(f"{POWER}{{{NODE}}}", "instance"), "Power", "watt"),
              Query(hourly(GRAMS, NODE, "instance"), "CO2e", "suffix: g/h")]),
)  # fmt: skip

# Over weeks many nodes' own series are too much to read; what the rules recorded each minute is not (deploy/prometheus).
WEEKS = Look(width=8, stack=True, since="now-30d", interval="1h", colours=BY_NAME)
MONTHS_JOULES, MONTHS_GRAMS = (
    summed(f"last_over_time(top_workload:wattledger_{what}:sum30d{{{CLUSTER}}}[1h])", KEY)
    for what in ("energy_joules", "emissions_grams")
)
MONTH = row(
    "Thirty days (needs the recording rules)",
    timeseries("Power by component, 30 days", "Watts by kind of device, from the rates that Prometheus recorded.", unit="watt",
               look=replace(WEEKS, colours=BY_COMPONENT), queries=[
                   Query(f"sum by (component) (fleet_component_method:wattledger_device_energy_joules:rate5m{{{CLUSTER}}})",
                         "{{component}}")]),
    timeseries("Power by namespace, 30 days", "Watts by Kubernetes namespace, from the rates that Prometheus recorded.",
               unit="watt", look=WEEKS, queries=[
                   Query(f"sum by (k8s_namespace_name) (namespace:wattledger_energy_joules:rate5m{{{CLUSTER}}})",
                         "{{k8s_namespace_name}}")]),
    timeseries("CO2e an hour by zone, 30 days", "Grams an hour by grid zone, from the rates that Prometheus recorded.",
               unit="suffix: g/h", look=WEEKS, queries=[
                   Query(f"sum by (grid_zone) (zone:wattledger_emissions_grams_per_hour:rate5m{{{CLUSTER}}})", "{{grid_zone}}")]),
    timeseries("Measured and held, 30 days", "Parts of the energy that a sensor measured and that jobs held idle, as recorded.",
               unit="percentunit", look=replace(WEEKS, width=24, stack=False, low=0, high=1, colours={"held": ORANGE}), queries=[
                   Query(f"avg(fleet:wattledger_device_energy_measured:ratio_rate5m{{{CLUSTER}}})", "measured"),
                   Query(f"avg(fleet:wattledger_energy_held:ratio_rate5m{{{CLUSTER}}})", "held")]),
    table("Top jobs, 30 days", "The twenty jobs with most energy, and their grams, as Prometheus summed them in the last hour.",
          look=Look(width=24, since="now-30d", sort="Energy", decimals=1,
                    columns={"job_name": "Job", "k8s_namespace_name": "Namespace", "model_name": "Model"},
                    links=[link("Open this job", "wattledger-job", column="Job", job_name=CELL % "Job")]), queries=[
              Query(wh(f"topk(20, {MONTHS_JOULES})"), "Energy", "watth"),
              Query(f"{MONTHS_GRAMS} and on ({KEY}) topk(20, {MONTHS_JOULES})", "CO2e", "massg")]),
    collapsed=True,
)  # fmt: skip

PAGE = dashboard(
    Page("wattledger-fleet", "Fleet overview", "Where the watts, grams, litres and money of all nodes go, and how sure that is."),
    variables=[
        *standard("namespace", "model"),
        choice("owner", "Jobs by", "k8s_namespace_name", "job_name", "team", "user", "slurm_job_id", "run_id", "instance"),
    ],
    rows=[NOW, WHERE, WHOM, PLACES, MONTH],
)
