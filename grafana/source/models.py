"""*Model & tokens*: what a prompt and a generated token cost in joules and grams, what else engines drew, who asked."""

from dataclasses import replace

from grafana.source.colours import BY_NAME, BY_TOKEN, ORANGE
from grafana.source.layout import Page, dashboard, row
from grafana.source.panels import Look, Query, stat, table, timeseries
from grafana.source.plots import against, band, dashed, on_the_right
from grafana.source.variables import NODE, WHO, link, standard, values
from grafana_foundation_sdk.models import dashboard as model

PER_TOKEN, PER_REQUEST, PER_MILLION = "si:J/token", "si:J/request", "si:g/million tokens"
ENERGY, GRAMS = "wattledger_token_energy_joules_total", "wattledger_token_emissions_grams_total"
NOW, SPAN = "rate", "increase"
WINDOW = {NOW: "$__rate_interval", SPAN: "$__range"}

VARIABLES = [
    values("model", "model", of="wattledger_tokens_total:model_name", within=NODE) if variable.name == "model" else variable
    for variable in standard("namespace", "model", "job_name")
]


def counted(how: str, metric: str, kind: str = "") -> str:
    """What a counter grew by over the time chosen, or its rate now."""
    chosen = f',kind=~"{kind}"' if kind else ""
    return f"{how}({metric}{{{WHO}{chosen}}}[{WINDOW[how]}])"


def grown(how: str, metric: str, kind: str = "", by: str = "") -> str:
    return f"sum{by} ({counted(how, metric, kind)})"


def done(how: str, metric: str, kind: str = "", by: str = "") -> str:
    """The same of tokens or requests, of those alone whose engine's energy was divided: others have tokens without joules."""
    return f"sum{by} ({counted(how, metric, kind)} and ignoring (component,method,kind) {counted(how, ENERGY)})"


def over(part: str, whole: str) -> str:
    """A ratio; no value, and not NaN, where there is nothing to divide by."""
    return f"{part} / ({whole} > 0)"


def joules(how: str, *, of: str = "", per: str = "generated", by: str = "") -> str:
    """Joules that went into ``of`` (everything, if empty) for each token that is ``per``."""
    return over(grown(how, ENERGY, of, by), done(how, TOKENS, per, by))


def grams(how: str, by: str = "") -> str:
    return over(f"1e6 * {grown(how, GRAMS, by=by)}", done(how, TOKENS, "generated", by))


def share(kind: str) -> str:
    return over(grown(SPAN, ENERGY, kind), grown(SPAN, ENERGY))


MODEL, TENANT = " by (model_name)", " by (tenant)"
TOKENS, REQUESTS = "wattledger_tokens_total", "wattledger_requests_total"
TENANTS, TENANT_TOKENS = "wattledger_request_energy_joules_total", "wattledger_request_tokens_total"
BATCH = (
    Query(done(NOW, TOKENS, "generated"), "generated tokens a second", "si:token/s"),
    Query(joules(NOW), "joules per generated token, all in", PER_TOKEN),
)
BY_MODEL = Look(colours=BY_NAME, low=0, links=[link("Only this model", "wattledger-models", model="${__field.labels.model_name}")])


def live(kind: str, work: str) -> model.Panel:
    """The price as of late with its interval: a panel for each model that is chosen."""
    made = timeseries(
        f"Live price of a {kind} token: $model",
        f"Joules to {work} one token as of late, all components: the agent's fit and its 95 % interval. The sensors' own gain is "
        "not in it, nor are standby and overhead. Of several replicas: their mean, and the widest bounds.",
        unit=PER_TOKEN,
        queries=[
            Query(f'{how} (wattledger_energy_per_token_joules{{{WHO},kind="{kind}",bound="{bound}"}})', bound)
            for bound, how in (("low", "min"), ("value", "avg"), ("high", "max"))
        ],
        look=Look(width=24, height=7, low=0, colours={"/./": BY_TOKEN[f"/{kind}/"]}),
    )
    made.repeat, made.repeat_direction = "model", "h"
    return band(made, "low", "high")


SUMMARY = row(
    "Over the time chosen",
    stat(
        "A generated token, all in",
        "Energy of the engines, standby and overhead included, per generated token.",
        unit=PER_TOKEN,
        queries=[Query(joules(SPAN))],
    ),
    stat(
        "A generated token, alone",
        "What went into generating, per generated token: a ratio of counters.",
        unit=PER_TOKEN,
        queries=[Query(joules(SPAN, of="generated"))],
    ),
    stat(
        "A prompt token",
        "What went into prompts, per prompt token that was computed (cache hits are not).",
        unit=PER_TOKEN,
        queries=[Query(joules(SPAN, of="prompt", per="prompt"))],
    ),
    stat(
        "Carbon of a million tokens",
        "Location-based CO2e of the engines' energy, all in, per million generated tokens.",
        unit=PER_MILLION,
        queries=[Query(grams(SPAN))],
    ),
    stat(
        "A request",
        "What went into prompts and generating, per request. No value: the engine counts no requests.",
        unit=PER_REQUEST,
        queries=[Query(over(grown(SPAN, ENERGY, "prompt|generated"), done(SPAN, REQUESTS)))],
    ),
    stat(
        "Generated per request",
        "Mean length of a reply in tokens: long replies cost most.",
        unit="short",
        queries=[Query(over(done(SPAN, TOKENS, "generated"), done(SPAN, REQUESTS)))],
    ),
    stat("Requests", "Requests served.", unit="reqps", queries=[Query(grown(NOW, REQUESTS))]),
    stat(
        "Generated tokens",
        "Tokens generated, in engines and in programs that count them.",
        unit="si:token/s",
        queries=[Query(grown(NOW, TOKENS, "generated"))],
    ),
    stat(
        "Cached share",
        "Part of the prompt tokens that a prefix cache answered, so that nothing was computed for them.",
        unit="percentunit",
        queries=[Query(over(grown(SPAN, TOKENS, "cached"), grown(SPAN, TOKENS, "prompt|cached")))],
    ),
    stat(
        "Standby share",
        "Part of the engines' energy that kept them ready and made no token: idle draw of what they hold.",
        unit="percentunit",
        queries=[Query(share("standby"))],
    ),
    stat(
        "Overhead share",
        "Part of the engines' energy above idle with no token to show for it, such as loading a model.",
        unit="percentunit",
        queries=[Query(share("overhead"))],
    ),
    stat(
        "Pending",
        "Energy drawn since the engines were last read: not divided yet, and soon will be.",
        unit="joule",
        queries=[Query(f"sum (wattledger_token_energy_pending_joules{{{WHO}}})")],
    ),
)

PRICES = row(
    "What a token takes",
    live("generated", "generate"),
    live("prompt", "compute"),
    dashed(
        timeseries(
            "A generated token, all in and alone",
            "Ratio of counters by model. All in: with prompts, standby and overhead; the two part where load is light, because few "
            "tokens pay for the standby.",
            unit=PER_TOKEN,
            look=BY_MODEL,
            queries=[
                Query(joules(NOW, by=MODEL), "all in: {{model_name}}"),
                Query(joules(NOW, of="generated", by=MODEL), "alone: {{model_name}}"),
            ],
        ),
        "/^alone/",
    ),
    timeseries(
        "Carbon of a million tokens by model",
        "Location-based CO2e, all in, per million generated tokens: falls with the grid's intensity and with better batches.",
        unit=PER_MILLION,
        look=BY_MODEL,
        queries=[Query(grams(NOW, MODEL), "{{model_name}}")],
    ),
)

BATCHES = row(
    "Batch against joules per token",
    against(
        "The more at once, the less each",
        "Across: tokens a second; up: joules for each, all in. A batch reads the weights once, so that points fall to the right.",
        by=("Time", "Time"),
        queries=BATCH,
        look=Look(low=0),
    ),
    on_the_right(
        timeseries(
            "The same over time",
            "Tokens generated a second (left), and joules for each, all in (right).",
            unit="si:token/s",
            queries=[query._replace(unit="") for query in BATCH],
            look=Look(low=0, colours={"/joules/": ORANGE}),
        ),
        BATCH[1].legend,
        PER_TOKEN,
    ),
)

WHAT_FOR = row(
    "What the energy went into",
    timeseries(
        "Power by what it went into",
        "Energy of the engines: prompts, generated tokens, standby (kept ready), overhead (nothing to show for it). With what is "
        "pending it sums to the models' own energy.",
        unit="watt",
        look=Look(stack=True, colours=BY_TOKEN, low=0),
        queries=[Query(grown(NOW, ENERGY, by=" by (kind)"), "{{kind}}")],
    ),
    timeseries(
        "Tokens a second by kind",
        "The three kinds are disjoint: prompt tokens were computed, cached ones were not.",
        unit="si:token/s",
        look=Look(stack=True, colours=BY_TOKEN, low=0),
        queries=[Query(grown(NOW, TOKENS, by=" by (kind)"), "{{kind}}")],
    ),
)

TENANCY = row(
    "Tenants",
    timeseries(
        "Power by tenant",
        "Energy of settled requests: part of the prompt and generated energy above, never to be added to it. (unrecorded): "
        "tokens whose requests nobody told of.",
        unit="watt",
        look=Look(stack=True, colours=BY_NAME, low=0),
        queries=[Query(grown(NOW, TENANTS, by=TENANT), "{{tenant}}")],
    ),
    table(
        "Tenants over the time chosen",
        "Energy and tokens of each tenant's settled requests, and what a generated token took.",
        queries=[
            Query(grown(SPAN, TENANTS, by=TENANT), "Energy", "joule"),
            Query(grown(SPAN, TENANT_TOKENS, "prompt", TENANT), "Prompt tokens", "short"),
            Query(grown(SPAN, TENANT_TOKENS, "generated", TENANT), "Generated tokens", "short"),
            Query(over(*(grown(SPAN, metric, "generated", TENANT) for metric in (TENANTS, TENANT_TOKENS))), "Each", PER_TOKEN),
        ],
        look=Look(columns={"tenant": "Tenant"}, sort="Energy"),
    ),
)

WHOSE = " by (model_name,job_name,k8s_namespace_name)"
LEAGUE = row(
    "Models",
    table(
        "Models and the jobs that serve them",
        "Over the time chosen; all in: standby and overhead included. Click a model or a job.",
        queries=[
            Query(grown(SPAN, ENERGY, by=WHOSE), "Energy", "joule"),
            Query(grown(SPAN, GRAMS, by=WHOSE), "CO2e", "massg"),
            Query(done(SPAN, TOKENS, "generated", WHOSE), "Generated tokens", "short"),
            Query(done(SPAN, TOKENS, "prompt", WHOSE), "Prompt tokens", "short"),
            Query(done(SPAN, REQUESTS, by=WHOSE), "Requests", "short"),
            Query(joules(SPAN, by=WHOSE), "All in", PER_TOKEN),
            Query(joules(SPAN, of="generated", by=WHOSE), "Generating alone", PER_TOKEN),
            Query(grams(SPAN, WHOSE), "Per million tokens", PER_MILLION),
        ],
        look=Look(
            width=24,
            columns={"model_name": "Model", "job_name": "Job", "k8s_namespace_name": "Namespace"},
            sort="Energy",
            links=[
                link("Only this model", "wattledger-models", column="Model", model="${__value.raw}"),
                link("Open this job", "wattledger-job", column="Job", job_name="${__value.raw}"),
            ],
        ),
    ),
)

# Over weeks many nodes' own series are too much to read; what the rules recorded each minute is not (deploy/prometheus).
RATIO = "model_kind:wattledger_token_energy_joules_per_token:ratio_rate5m"
RECORDED = 'cluster=~"$cluster",model_name=~"$model"'
WEEKS = Look(low=0, since="now-30d", interval="1h", colours=BY_NAME)
MONTH = row(
    "Thirty days (needs the recording rules)",
    timeseries(
        "A generated token alone, 30 days",
        "Joules that went into generating, per generated token, from the ratios that Prometheus recorded.",
        unit=PER_TOKEN,
        look=WEEKS,
        queries=[Query(f'avg by (model_name) ({RATIO}{{{RECORDED},kind="generated"}})', "{{model_name}}")],
    ),
    timeseries(
        "Power by what it went into, 30 days",
        "Energy of the engines by kind, from the rates that Prometheus recorded.",
        unit="watt",
        look=replace(WEEKS, stack=True, colours=BY_TOKEN),
        queries=[Query(f"sum by (kind) (model_kind:wattledger_token_energy_joules:rate5m{{{RECORDED}}})", "{{kind}}")],
    ),
    collapsed=True,
)

PAGE = dashboard(
    Page("wattledger-models", "Model & tokens", "What tokens cost in joules and grams, and what else their engines drew."),
    variables=VARIABLES,
    rows=[SUMMARY, PRICES, BATCHES, WHAT_FOR, TENANCY, LEAGUE, MONTH],
)
