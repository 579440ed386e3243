"""What a reader may choose at the top of a dashboard, the selectors that it becomes, and the links that carry it along.

``job`` and ``instance`` are the scrape's own labels and ``cluster`` the operator's; ``job_name``, ``model``, ``namespace`` and
``run_id`` are ours.  Each is a pattern, and *All* is ``.*``, which also fits where the label is absent.
"""

from typing import NamedTuple

from grafana_foundation_sdk.models import dashboard as model

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

# Selectors to write between braces.  Of any metric; of those that say whose.
NODE = 'job=~"$job",instance=~"$instance",cluster=~"$cluster"'
WHO = NODE + ',k8s_namespace_name=~"$namespace",model_name=~"$model",job_name=~"$job_name"'
JOBS = "[^(].*"  # what is not in parentheses is somebody's job; (idle), (agent), (unattributed), (other) are not

_KEPT = "${__url_time_range}&${datasource:queryparam}&${cluster:queryparam}"


class Link(NamedTuple):
    """A click that leads on.  ``column``: in a table, the column it hangs on."""

    title: str
    url: str
    column: str = ""


def link(title: str, uid: str, *, column: str = "", **chosen: str) -> Link:
    """To another dashboard at the same time and data source; ``chosen``: what is set there, variable by variable.

    A series' label is ``${__field.labels.job_name}``, a table's cell ``${__data.fields["Job"]}``.
    """
    asked = "".join(f"&var-{name}={value}" for name, value in chosen.items())
    return Link(title, f"/d/{uid}?{_KEPT}{asked}", column)


def to_job(label: str = "job_name") -> Link:
    """From a series to its job."""
    return link("Open this job", "wattledger-job", job_name=f"${{__field.labels.{label}}}")


def to_node(label: str = "instance") -> Link:
    """From a series to its node."""
    return link("Open this node", "wattledger-node", instance=f"${{__field.labels.{label}}}")


def to_model(label: str = "model_name") -> Link:
    """From a series to its model."""
    return link("Open this model", "wattledger-models", model=f"${{__field.labels.{label}}}")


def datasource() -> model.VariableModel:
    return _plain(model.VariableType.DATASOURCE, "datasource", "Data Source", query="prometheus")


def values(name: str, label: str, *, of: str, within: str = "", only: str = "") -> model.VariableModel:
    """The values of a label: ``of`` is ``metric:label``, ``within`` the selector that narrows it, ``only`` a pattern for them.

    Several may be chosen; *All* is ``only``, or everything.
    """
    metric, _, wanted = of.partition(":")
    query = f"label_values({metric}{{{within}}}, {wanted})" if within else f"label_values({metric}, {wanted})"
    chosen = _plain(model.VariableType.QUERY, name, label, query={"query": query, "refId": name})
    chosen.datasource = SOURCE
    chosen.refresh, chosen.sort = model.VariableRefresh.ON_TIME_RANGE_CHANGED, model.VariableSort.NATURAL_ASC
    chosen.multi, chosen.include_all, chosen.all_value = True, True, only or ".*"
    chosen.regex = f"/^{only}$/" if only else None
    chosen.current = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return chosen


def choice(name: str, label: str, *among: str) -> model.VariableModel:
    """One of a few words, the first unless told."""
    chosen = _plain(model.VariableType.CUSTOM, name, label, query=",".join(among))
    chosen.options = [model.VariableOption(selected=i == 0, text=word, value=word) for i, word in enumerate(among)]
    chosen.current = chosen.options[0]
    return chosen


def _plain(kind: model.VariableType, name: str, label: str, *, query: str | dict[str, object]) -> model.VariableModel:
    # auto, auto_min and auto_count are an interval's alone; Grafana's own types refuse them elsewhere.
    return model.VariableModel(type_val=kind, name=name, label=label, query=query, auto=None, auto_min=None, auto_count=None)


_DEVICES, _ENERGY = "wattledger_device_energy_joules_total", "wattledger_energy_joules_total"
_KNOWN = {
    "job": ("job", "wattledger_build_info:job", "", ""),
    "cluster": ("cluster", "wattledger_build_info:cluster", 'job=~"$job"', ""),
    "instance": ("instance", "wattledger_build_info:instance", 'job=~"$job",cluster=~"$cluster"', ""),
    "namespace": ("namespace", f"{_ENERGY}:k8s_namespace_name", NODE, ""),
    "model": ("model", f"{_ENERGY}:model_name", NODE, ""),
    "job_name": ("job name", f"{_ENERGY}:job_name", NODE, JOBS),
    "run_id": ("run", f"{_ENERGY}:run_id", NODE, ""),
    "device": ("device", f"{_DEVICES}:device", NODE, ""),
    "grid_zone": ("grid zone", "wattledger_grid_carbon_intensity_grams_per_kwh:grid_zone", NODE, ""),
}


def standard(*names: str, one: str = "") -> list[model.VariableModel]:
    """The data source, job, cluster and instance, which every dashboard has, and those named of ``_KNOWN``.

    ``one``: opens with the first of its values and not with all, for a page that is about one such thing; several may be chosen.
    """
    asked = ("job", "cluster", "instance", *names)
    chosen = [values(n, label, of=of, within=within, only=only) for n, (label, of, within, only) in ((n, _KNOWN[n]) for n in asked)]
    for variable in chosen:
        if variable.name == one:
            variable.include_all, variable.current = False, None
    return [datasource(), *chosen]
