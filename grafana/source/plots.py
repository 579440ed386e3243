"""Drawings that only some dashboards need: a second axis, a band, a line over a stack, one figure against another, columns by name.

Each takes a panel of ``panels`` (a table, where labels become places) and gives it back drawn otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grafana.source.panels import Look, Query, table
from grafana_foundation_sdk.models import barchart, common, xychart
from grafana_foundation_sdk.models import dashboard as model

LEGEND = common.VizLegendOptions(
    display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=True, calcs=[]
)
TOOLTIP = common.VizTooltipOptions(mode=common.TooltipDisplayMode.SINGLE, sort=common.SortOrder.NONE)


def styled(panel: model.Panel, styles: Mapping[str, Mapping[str, object]]) -> model.Panel:
    """Properties (``unit``, ``custom.lineWidth``, …) by the series or column that has them, named as in ``Colours``."""
    assert panel.field_config is not None
    for name, properties in styles.items():
        matcher = model.MatcherConfig("byRegexp" if name.startswith("/") else "byName", name)
        values = [model.DynamicConfigValue(key, value) for key, value in properties.items()]
        panel.field_config.overrides.append(model.DashboardFieldConfigSourceOverrides(matcher, values))
    return panel


def on_the_right(panel: model.Panel, name: str, unit: str) -> model.Panel:
    """The series has an axis and a unit of its own."""
    return styled(panel, {name: {"unit": unit, "custom.axisPlacement": "right"}})


def over_the_stack(panel: model.Panel, name: str) -> model.Panel:
    """The series is a thick line of its own and no part of the stack."""
    apart = {"mode": "none", "group": "over"}
    return styled(panel, {name: {"custom.stacking": apart, "custom.lineWidth": 3, "custom.fillOpacity": 0}})


def dashed(panel: model.Panel, name: str) -> model.Panel:
    """The series is drawn in dashes: of the same thing as another, but told otherwise."""
    return styled(panel, {name: {"custom.lineStyle": {"fill": "dash", "dash": [4, 6]}}})


def band(panel: model.Panel, low: str, high: str) -> model.Panel:
    """What lies between two series is filled."""
    edge = {"custom.lineWidth": 0}
    return styled(panel, {high: {"custom.fillBelowTo": low, "custom.fillOpacity": 20, **edge}, low: edge})


def against(title: str, says: str, *, by: tuple[str, str], queries: Sequence[Query], look: Look) -> model.Panel:
    """Points: the first query across, the second up, each with its legend and unit.

    ``by``: what makes two values one point, a label and its heading, or ``("Time", "Time")``: curves, a point for each moment.
    """
    label, heading = by
    curve = label == "Time"
    pairs = [query._replace(instant=not curve) for query in queries]
    made = table(title, says, unit=pairs[1].unit, queries=pairs, look=replace(look, columns={label: heading}))
    across, up = (xychart.MatcherConfig("byName", query.legend) for query in pairs)
    series = xychart.XYSeriesConfig(
        name=xychart.XychartXYSeriesConfigName(fixed=f"{pairs[1].legend} against {pairs[0].legend}"),
        frame=xychart.XychartXYSeriesConfigFrame(xychart.MatcherConfig("byIndex", 0)),
        x=xychart.XychartXYSeriesConfigX(across),
        y=xychart.XychartXYSeriesConfigY(up),
    )
    made.type_val, made.options = "xychart", xychart.Options(xychart.SeriesMapping.MANUAL, LEGEND, TOOLTIP, [series])
    assert made.field_config is not None
    made.field_config.defaults.custom = xychart.FieldConfig(
        show=xychart.XYShowMode.POINTS, point_size=xychart.XychartFieldConfigPointSize(fixed=6 if curve else 12)
    )
    return styled(made, {query.legend: {"custom.axisLabel": query.legend} for query in pairs})


def columns(title: str, says: str, *, unit: str, query: Query, look: Look) -> model.Panel:
    """Standing columns: ``look.columns`` names two labels, the first along the axis in its order, the second side by side there."""
    along, beside = look.columns.values()
    made = table(title, says, unit=unit, queries=[query._replace(unit="")], look=look)
    assert made.transformations is not None
    assert made.field_config is not None
    made.transformations += [
        model.DataTransformerConfig(id_val="sortBy", options={"fields": {}, "sort": [{"field": along}]}),
        model.DataTransformerConfig(
            id_val="groupingToMatrix", options={"rowField": along, "columnField": beside, "valueField": query.legend}
        ),
    ]
    made.type_val, made.options = (
        "barchart",
        barchart.Options(
            x_field=f"{along}\\{beside}",
            orientation=common.VizOrientation.VERTICAL,
            stacking=common.StackingMode.NONE,
            show_value=common.VisibilityMode.NEVER,
            legend=LEGEND,
            tooltip=TOOLTIP,
        ),
    )
    made.field_config.defaults.custom = barchart.FieldConfig(line_width=0, fill_opacity=80)
    return made
