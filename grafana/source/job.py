"""A job, or one run of it: its power, energy, grams, water and money, what it held idle, and on which devices."""

from grafana.source.colours import BLUE, BY_COMPONENT, BY_METHOD, BY_NAME, BY_PLACE, BY_TOKEN, BY_USE, ORANGE, PURPLE
from grafana.source.layout import Page, dashboard, row
from grafana.source.panels import Look, Query, stat, table, timeseries
from grafana.source.promql import COST, DEVICES, EMBODIED, ENERGY, GRAMS, INTENSITY, WATER, hourly, increase, or_none, rate, wh
from grafana.source.variables import NODE, WHO, link, standard, to_node

IT = WHO + ',run_id=~"$run_id"'
HELD, SENSED = IT + ',use="held"', IT + ',method!="estimated"'
IDLE_PART = f"({increase(ENERGY, HELD)} / {increase(ENERGY, IT)})"
ON_ITS_NODES = f"and on (job, instance) {rate(ENERGY, IT, 'job, instance')}"
PRICED_THERE = f"and on (job, instance) {rate(GRAMS, IT, 'job, instance')}"  # one series a job, where energy has one a device
SMALL, WASTED = (Look(width=4, height=4, decimals=2, colour=colour) for colour in (BLUE, ORANGE))
HOURS = Look(bars=True, interval="1h", colours={"operational": BLUE, "embodied": PURPLE})
CELL = '${__data.fields["%s"]}'
# The labels that say who it is, and a device of its.
WHO_IT_IS = {
    "job_name": "Job", "model_name": "Model", "run_id": "Run", "slurm_job_id": "Slurm job", "k8s_namespace_name": "Namespace",
    "k8s_pod_name": "Pod", "k8s_container_name": "Container", "instance": "Node",
}  # fmt: skip
DEVICE = {"instance": "Node", "device": "Device", "component": "Component", "method": "Method"}

SO_FAR = row(
    "In this range",
    stat("Power now", "Watts that its devices draw for it: the increase of its energy over the last minutes.", unit="watt",
         queries=[Query(rate(ENERGY, IT))], look=SMALL),
    stat("Energy", "What it used, as attributed, with the idle of what it held; without the building's overhead.", unit="watth",
         queries=[Query(wh(increase(ENERGY, IT)))], look=SMALL),
    stat("CO2e", "Location-based grams of that energy, at the grid's figure when it was used; reports may restate them.",
         unit="massg", queries=[Query(increase(GRAMS, IT))], look=SMALL),
    stat("Embodied", "Its share, by time, of what making the machines emitted; no part of the CO2e beside it.", unit="massg",
         queries=[Query(increase(EMBODIED, IT))], look=SMALL),
    stat("Water", "Litres that evaporated for its energy: onsite in cooling, offsite in power plants.", unit="litre",
         queries=[Query(increase(WATER, IT, "source"), "{{source}}")],
         look=Look(width=4, height=4, decimals=2, colours=BY_PLACE)),
    stat("Cost", "Money for its energy, at the tariff in force when it was used; needs [tariff] on the agents.", unit="none",
         queries=[Query(increase(COST, IT, "currency"), "{{currency}}")],
         look=Look(width=4, height=4, decimals=4, none="no tariff")),
    stat("Measured fraction", "Part of its energy that a sensor measured; the rest is a model's answer.", unit="percentunit",
         queries=[Query(f"{or_none(increase(ENERGY, SENSED))} / {increase(ENERGY, IT)}")],
         look=Look(width=4, height=4, decimals=1, low=0, high=1)),
    stat("Held idle", "Energy of devices that it reserved and left idle, at the idle power learnt of them.", unit="watth",
         queries=[Query(wh(increase(ENERGY, HELD)))], look=WASTED),
    stat("CO2e of idle", "Its grams times the part of its energy that was held idle.", unit="massg",
         queries=[Query(f"{increase(GRAMS, IT)} * {IDLE_PART}")], look=WASTED),
    stat("Cost of idle", "Its money times the part of its energy that was held idle.", unit="none", queries=[
             Query(f"{increase(COST, IT, 'currency')} * on () group_left () {IDLE_PART}", "{{currency}}")],
         look=Look(width=4, height=4, decimals=4, colour=ORANGE, none="no tariff")),
    stat("Devices", "Devices that it used or held in the last minutes.", unit="none", look=Look(width=4, height=4),
         queries=[Query(f"count({rate(ENERGY, IT, 'instance, device')} > 0)")]),
    stat("Share of its nodes", "Its energy over all that the nodes it is on used.", unit="percentunit",
         queries=[Query(f"{increase(ENERGY, IT)} / sum({increase(DEVICES, NODE, 'job, instance')} {ON_ITS_NODES})")],
         look=Look(width=4, height=4, decimals=1, low=0, high=1)),
)  # fmt: skip

POWER = row(
    "Power",
    timeseries("Power by component", "Watts by kind of device, as attributed; dots are its runs.", unit="watt",
               queries=[Query(rate(ENERGY, IT, "component"), "{{component}}", exemplar=True)],
               look=Look(stack=True, colours=BY_COMPONENT)),
    timeseries("Power at work and held", "Watts that it worked with, and idle watts of what it reserved.", unit="watt",
               queries=[Query(rate(ENERGY, IT, "use"), "{{use}}")], look=Look(stack=True, colours=BY_USE)),
    timeseries("Power by how it was got", "Watts by method: an energy counter, power integrated, or a model's estimate.",
               unit="watt", queries=[Query(rate(ENERGY, IT, "method"), "{{method}}")],
               look=Look(stack=True, colours=BY_METHOD)),
    timeseries("Power by job and node", "Watts of the jobs that are chosen, on each node: the twenty largest at any moment; dots "
               "are runs.", unit="watt", queries=[
                   Query(f"topk(20, {rate(ENERGY, IT, 'job_name, instance')})", "{{instance}}: {{job_name}}", exemplar=True)],
               look=Look(colours=BY_NAME, links=[to_node()])),
)  # fmt: skip

CARBON = row(
    "Carbon",
    timeseries("CO2e by the hour", "Grams an hour: operational is location-based, as first priced; embodied is beside it.",
               unit="suffix: g/h", look=HOURS, queries=[
                   Query(hourly(GRAMS, IT), "operational", exemplar=True), Query(hourly(EMBODIED, IT), "embodied")]),
    timeseries("Energy by the hour", "Watt-hours of each hour by job: its mean power over that hour.", unit="watth",
               queries=[Query(rate(ENERGY, IT, "job_name"), "{{job_name}}")],
               look=Look(bars=True, stack=True, interval="1h", colours=BY_NAME)),
    timeseries("Grid intensity where it runs", "Grams CO2e for a kWh in its nodes' zones, in force when its energy was priced.",
               unit="suffix: g/kWh", look=Look(colours=BY_NAME, links=[link("Grid and carbon", "wattledger-grid")]), queries=[
                   Query(f'avg by (grid_zone) ({INTENSITY}{{{NODE},basis="average"}} {PRICED_THERE})', "{{grid_zone}}")]),
    table("Its nodes' CO2e by day, both scope 2 bases",
          "Whole nodes, not this job: CO2e by UTC day from the books at the grid's newest figures, by location and, where an agent "
          "exports it, by market; the job's own by both bases: wattledger report job.",
          look=Look(width=12, sort="Day", decimals=1, columns={"day": "Day", "basis": "Basis", "state": "State"}), queries=[
              Query(f"sum by (day, basis, state) (wattledger_settled_emissions_grams{{{NODE}}} {PRICED_THERE})",
                    "CO2e of the nodes", "massg")]),
)  # fmt: skip

TOKENS = row(
    "Tokens, where it serves a model",
    timeseries("Tokens a second", "Tokens by kind as its engine counts them: prompt (computed), cached, generated.",
               unit="si:token/s", queries=[Query(rate("wattledger_tokens_total", IT, "kind"), "{{kind}}")],
               look=Look(width=8, colours=BY_TOKEN)),
    timeseries("Joules a token", "By kind, as of late, over all components: its measured energy, divided.", unit="si:J/token",
               queries=[Query(f'avg by (kind) (wattledger_energy_per_token_joules{{{IT},bound="value"}})', "{{kind}}")],
               look=Look(width=8, colours=BY_TOKEN, links=[link("Models and tokens", "wattledger-models")])),
    timeseries("Power by what it went into", "Watts into prompt and generated tokens, standby, and overhead (no tokens to show).",
               unit="watt", queries=[Query(rate("wattledger_token_energy_joules_total", IT, "kind"), "{{kind}}")],
               look=Look(width=8, stack=True, colours=BY_TOKEN)),
)  # fmt: skip

WHERE = row(
    "Who and where",
    table("Who it is", "What it says of itself, and what the kernel vouches for (Slurm job, namespace, pod), with its energy.",
          look=Look(height=9, sort="Energy", decimals=2, columns=WHO_IT_IS,
                    links=[link("Open this model", "wattledger-models", column="Model", model=CELL % "Model")]),
          queries=[Query(wh(increase(ENERGY, IT, ", ".join(WHO_IT_IS))), "Energy", "watth")]),
    table("Its devices", "Energy by device, what part was held idle, and how it was got.",
          look=Look(height=9, sort="Energy", decimals=2, columns=DEVICE,
                    links=[link("Open this node", "wattledger-node", column="Node", instance=CELL % "Node")]),
          queries=[Query(wh(increase(ENERGY, IT, ", ".join(DEVICE))), "Energy", "watth"),
                   Query(wh(increase(ENERGY, HELD, ", ".join(DEVICE))), "Held idle", "watth"),
                   Query(rate(ENERGY, IT, ", ".join(DEVICE)), "Power now", "watt")]),
)  # fmt: skip

PAGE = dashboard(
    Page("wattledger-job", "Job", "A job's, or one run's, power, energy, carbon, water and money: where, and how they were got."),
    variables=standard("namespace", "model", "job_name", "run_id"),
    rows=[SO_FAR, POWER, CARBON, TOKENS, WHERE],
)
