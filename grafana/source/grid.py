"""*Grid & carbon*: what a kilowatt-hour costs the air and the water now, when to run, and what the work came to."""

from dataclasses import replace

from grafana.source.colours import BLUE, BY_BASIS, BY_NAME, BY_PLACE, GOOD, GREEN, ORANGE, SKY, WATCH, YELLOW
from grafana.source.layout import Page, dashboard, row
from grafana.source.panels import Look, Query, stat, table, text, timeseries
from grafana.source.plots import against, columns, on_the_right
from grafana.source.promql import DEVICES, EMBODIED, GRAMS, INTENSITY, WATER, hourly, rate
from grafana.source.variables import NODE, WHO, standard, to_job, to_model
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import stat as stats

PER_KWH, LITRES_PER, PER_HOUR = "suffix: g/kWh", "suffix: L/kWh", "suffix: g/h"
ZONE = NODE + ',grid_zone=~"$grid_zone"'
AVERAGE = f'{INTENSITY}{{{ZONE},basis="average"}}'
AGE = f"wattledger_grid_carbon_intensity_age_seconds{{{ZONE}}}"
# Whoever sums these counters leaves (retired) out: ended workloads move there within the same metric, and would be counted twice.
ALIVE = ',job_name!="(retired)"'
EVERYBODY, MINE = NODE + ALIVE, WHO + ALIVE
# Which zone a node is in, as its agent prices it: 1 for each.
AGENT = "job,instance,cluster"
IN_ZONE = f"on ({AGENT}) group_left (grid_zone) group by ({AGENT},grid_zone) ({AVERAGE})"
HOLD_S = 6 * 3600  # so long the agent lets the last known figure stand in


def average(offset: str = "") -> str:
    return f"avg by (grid_zone) ({AVERAGE}{offset})"


def forecast(hours: str = ".*") -> str:
    return f'wattledger_grid_carbon_intensity_forecast_grams_per_kwh{{{ZONE},hours_ahead=~"{hours}"}}'


def by_zone(vector: str) -> str:
    """What is of each agent, by the zone that it is in."""
    return f"sum by (grid_zone) ({vector} * {IN_ZONE})"


def per_kwh(metric: str) -> str:
    """Of a counter, by zone: what a kilowatt-hour that was metered came to."""
    return f"3.6e6 * {by_zone(rate(metric, EVERYBODY, AGENT))} / {by_zone(rate(DEVICES, NODE, AGENT))}"


# Grams of a kilowatt-hour over the grid's own, agent by agent.
PUE = (
    f"avg by (grid_zone) (3.6e6 * {rate(GRAMS, EVERYBODY, AGENT)} / {rate(DEVICES, NODE, AGENT)}"
    f" / on ({AGENT}) group_right () max by ({AGENT},grid_zone) ({AVERAGE}))"
)


def best_start() -> model.Panel:
    made = stat(
        "Best hour to start",
        "The cleanest hour to come, by the provider's forecast: so many hours from now, and its intensity.",
        unit=PER_KWH,
        queries=[
            Query(
                f"bottomk by (grid_zone) (1, min by (grid_zone,hours_ahead) ({forecast()}))", "{{grid_zone}}: in {{hours_ahead}} h"
            )
        ],
        look=Look(width=6, height=4, none="nobody forecasts"),
    )
    assert isinstance(made.options, stats.Options)
    made.options.text_mode = common.BigValueTextMode.VALUE_AND_NAME
    return made


NOW = row(
    "In force",
    stat(
        "Intensity now",
        "Of the zones of the chosen nodes, as emissions are priced now: average, not marginal.",
        unit=PER_KWH,
        queries=[Query(average(), "{{grid_zone}}")],
    ),
    stat(
        "Age of the figure",
        "Time since the end of what it speaks of. No value: an annual average. After 6 h the agent steps down to one.",
        unit="s",
        queries=[Query(f"max by (grid_zone) ({AGE})", "{{grid_zone}}")],
        look=Look(width=4, height=4, thresholds=((None, GOOD), (HOLD_S / 2, WATCH)), none="annual"),
    ),
    best_start(),
    stat(
        "What waiting for it saves",
        "The cleanest hour to come against the next one, by the same forecast.",
        unit="percentunit",
        queries=[Query(f"1 - min by (grid_zone) ({forecast()}) / max by (grid_zone) ({forecast('01')})", "{{grid_zone}}")],
        look=Look(width=5, height=4, none="nobody forecasts"),
    ),
    stat(
        "PUE in the grams",
        "Grams of a kWh that was metered over the grid's intensity: 1 where no PUE is applied ([facility] pue sets it; it is "
        "never guessed). For some minutes after the intensity moved it is off.",
        unit="short",
        queries=[Query(PUE, "{{grid_zone}}")],
        look=Look(width=5, height=4, decimals=2),
    ),
    timeseries(
        "Intensity",
        "average: in force for the emissions here. marginal: what one kWh more would emit; for decisions, never for an inventory, "
        "and never summed with the other.",
        unit=PER_KWH,
        queries=[Query(f"avg by (grid_zone,provider,basis) ({INTENSITY}{{{ZONE}}})", "{{grid_zone}} {{basis}}, {{provider}}")],
        look=Look(low=0, colours=BY_BASIS),
    ),
    table(
        "Where the figures come from",
        "quality: live, live-estimated (the provider's own guess), last-known (6 h at most), then averages of the zone, "
        "its country, or the world (stand-in: name the place with [grid] zone).",
        queries=[
            Query(f"avg by (grid_zone,provider,basis,quality) ({INTENSITY}{{{ZONE}}})", "Intensity", PER_KWH),
            Query(f"count by (grid_zone,provider,basis,quality) ({INTENSITY}{{{ZONE}}})", "Nodes", "short"),
            Query(f"max by (grid_zone,provider) ({AGE})", "Age", "s"),
        ],
        look=Look(columns={"grid_zone": "Zone", "provider": "Provider", "basis": "Basis", "quality": "Quality"}, sort="Nodes"),
    ),
)

WHEN = row(
    "When to run",
    columns(
        "Forecast by hour ahead",
        "What the provider expects so many full hours from now; 01 is the next hour. Start where the columns are lowest.",
        unit=PER_KWH,
        query=Query(f"avg by (grid_zone,hours_ahead) ({forecast()})", "g/kWh"),
        look=Look(low=0, colours=BY_NAME, columns={"hours_ahead": "Hours ahead", "grid_zone": "Zone"}, none="nobody forecasts"),
    ),
    timeseries(
        "The same hour on earlier days",
        "Intensity now, and one day, two days and a week before: what a forecast has to beat.",
        unit=PER_KWH,
        look=Look(low=0, colours={"/now/": BLUE, "/1 day/": ORANGE, "/2 days/": GREEN, "/7 days/": SKY}),
        queries=[
            Query(average(), "{{grid_zone}} now"),
            Query(average(" offset 1d"), "{{grid_zone}} 1 day before"),
            Query(average(" offset 2d"), "{{grid_zone}} 2 days before"),
            Query(average(" offset 7d"), "{{grid_zone}} 7 days before"),
        ],
    ),
)

WORK = row(
    "Grams an hour",
    timeseries(
        "By zone",
        "Location-based CO2e an hour of everything on the nodes of a zone, idle included, at the price in force.",
        unit=PER_HOUR,
        queries=[Query(by_zone(hourly(GRAMS, EVERYBODY, AGENT)), "{{grid_zone}}")],
        look=Look(width=8, stack=True, low=0, colours=BY_NAME),
    ),
    timeseries(
        "By job",
        "Location-based CO2e an hour of the twelve jobs that emit most.",
        unit=PER_HOUR,
        queries=[Query(f"topk(12, {hourly(GRAMS, MINE, 'job_name')})", "{{job_name}}")],
        look=Look(width=8, stack=True, low=0, colours=BY_NAME, links=[to_job()]),
    ),
    timeseries(
        "By model",
        "Location-based CO2e an hour of the twelve models that emit most; without a name: jobs that name no model.",
        unit=PER_HOUR,
        queries=[Query(f"topk(12, {hourly(GRAMS, MINE, 'model_name')})", "{{model_name}}")],
        look=Look(width=8, stack=True, low=0, colours=BY_NAME, links=[to_model()]),
    ),
)

THIRST = row(
    "Water against carbon",
    on_the_right(
        timeseries(
            "A kilowatt-hour, in litres and in grams",
            "Litres evaporated (right) and grams emitted (left) for each kWh metered: where the two move "
            "against each other, the cleaner hour is the thirstier one.",
            unit=PER_KWH,
            look=Look(width=8, low=0, colours={"/litres/": ORANGE}),
            queries=[Query(per_kwh(GRAMS), "{{grid_zone}} grams"), Query(per_kwh(WATER), "{{grid_zone}} litres")],
        ),
        "/litres/",
        LITRES_PER,
    ),
    against(
        "Zones: grams across, litres up",
        "A point for each zone now: near the corner is best, and between two others the choice is yours.",
        by=("grid_zone", "Zone"),
        look=Look(width=8, low=0),
        queries=[Query(per_kwh(GRAMS), "grams a kWh", PER_KWH), Query(per_kwh(WATER), "litres a kWh", LITRES_PER)],
    ),
    timeseries(
        "Water by where it evaporates",
        "Litres an hour. onsite: cooling, where [facility] wue says; offsite: power plants, by the grid's mix.",
        unit="suffix: L/h",
        queries=[Query(hourly(WATER, EVERYBODY, "source"), "{{source}}")],
        look=Look(width=8, stack=True, low=0, colours=BY_PLACE),
    ),
)

SETTLED = {"/location, settled/": BLUE, "/location, provisional/": SKY, "/market, settled/": GREEN, "/market, provisional/": YELLOW}
NOTES = """
* **PUE** multiplies grams and off-site water, where `[facility] pue` or the cloud's own figure gives one; joules stay IT energy.
* **Counters** keep the price at which they were counted; `wattledger report` prices anew, from the ledger.
* **Marginal** answers what one kWh more would emit. It stands beside the average and is never added to it.
* **Water** is no part of emissions, and a litre of a dry place weighs more than one of a wet place: no figure here weighs them.
"""

BOOKS = row(
    "Books, and what it took to make the machines",
    columns(
        "Settled emissions by day",
        "From the ledgers of the nodes, at the grid's newest figures, by day (UTC). provisional: the grid may still revise it.",
        unit="massg",
        query=Query(
            f'sum by (day,kind) (label_join(wattledger_settled_emissions_grams{{{NODE}}}, "kind", ", ", "basis", "state"))', "grams"
        ),
        look=Look(width=8, low=0, colours=SETTLED, columns={"day": "Day", "kind": "Basis and state"}),
    ),
    timeseries(
        "Operational emissions by day",
        "The same as counted while it was metered, at the price then: a column ends with its day, in the browser's time. "
        "The difference to the left is what the grid's operator revised.",
        unit="massg",
        queries=[Query(f"sum (increase({GRAMS}{{{EVERYBODY}}}[$__rate_interval]))", "as first priced")],
        look=Look(width=8, low=0, bars=True, since="7d", interval="1d"),
    ),
    timeseries(
        "Operational and embodied",
        "Grams an hour: of the energy, and of what it took to make the machines (a share for each hour of use). A clean grid "
        "makes the second the larger one.",
        unit=PER_HOUR,
        queries=[Query(hourly(GRAMS, EVERYBODY), "operational"), Query(hourly(EMBODIED, EVERYBODY), "embodied")],
        look=Look(width=8, stack=True, low=0, colours={"operational": BLUE, "embodied": ORANGE}),
    ),
    stat(
        "Embodied share",
        "Part of both that is embodied, now.",
        unit="percentunit",
        queries=[Query(f"{rate(EMBODIED, EVERYBODY)} / ({rate(EMBODIED, EVERYBODY)} + {rate(GRAMS, EVERYBODY)})")],
        look=Look(width=4, height=5),
    ),
    text("What these figures stand on", "Boundaries that a reader should know.", NOTES, look=Look(width=20, height=5)),
)

# Over weeks many nodes' own series are too much to read; what the rules recorded each minute is not (deploy/prometheus).
CLUSTER = 'cluster=~"$cluster"'
WEEKS = Look(width=8, low=0, since="now-30d", interval="1h", colours=BY_NAME)
MONTH = row(
    "Thirty days (needs the recording rules)",
    timeseries(
        "Intensity, 30 days",
        "Average intensity of each zone, from what Prometheus recorded.",
        unit=PER_KWH,
        look=WEEKS,
        queries=[
            Query(
                f'avg by (grid_zone) (zone:wattledger_grid_carbon_intensity_grams_per_kwh:avg{{{CLUSTER},basis="average"}})',
                "{{grid_zone}}",
            )
        ],
    ),
    timeseries(
        "CO2e by day and zone, 30 days",
        "Location-based grams of each day, as first priced, from the sums that Prometheus recorded.",
        unit="massg",
        look=replace(WEEKS, interval="1d", bars=True, stack=True),
        queries=[
            Query(
                f"sum by (grid_zone) (sum_over_time(zone:wattledger_emissions_grams:increase1h{{{CLUSTER}}}[$__interval]))",
                "{{grid_zone}}",
            )
        ],
    ),
    timeseries(
        "Water by day, 30 days",
        "Litres of each day by where they evaporated, from the sums that Prometheus recorded.",
        unit="litre",
        look=replace(WEEKS, interval="1d", bars=True, stack=True, colours=BY_PLACE),
        queries=[
            Query(
                f"sum by (source) (sum_over_time(fleet_source:wattledger_water_litres:increase1h{{{CLUSTER}}}[$__interval]))",
                "{{source}}",
            )
        ],
    ),
    collapsed=True,
)

PAGE = dashboard(
    Page("wattledger-grid", "Grid & carbon", "The grid in force, when to run, and what the work came to in grams and litres."),
    variables=standard("grid_zone", "namespace", "model", "job_name"),
    rows=[NOW, WHEN, WORK, THIRST, BOOKS, MONTH],
)
