"""Our few words for a panel, over Grafana's own types (grafana-foundation-sdk).

    stat("Power", "Drawn by every device now, by its sensor.", unit="watt", queries=[Query("sum(…)")], look=Look(width=6))

A panel is ``kind(title, says, *, unit, queries, look)``: ``says`` is its description, one sentence on what it shows and how that
was got; ``unit`` is one of Grafana's names.  Rows and dashboards are in ``layout``, choices and links in ``variables``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from grafana.source.colours import BLUE, DASHED, Colours
from grafana.source.variables import SOURCE, Link
from grafana_foundation_sdk.models import bargauge, common, statetimeline
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import gauge as gauges
from grafana_foundation_sdk.models import geomap as maps
from grafana_foundation_sdk.models import stat as stats
from grafana_foundation_sdk.models import table as tables
from grafana_foundation_sdk.models import text as texts
from grafana_foundation_sdk.models import timeseries as lines
from grafana_foundation_sdk.models.prometheus import Dataquery, PromQueryFormat, QueryEditorMode

LAST = common.ReduceDataOptions(values=False, calcs=["lastNotNull"], fields="")


class Query(NamedTuple):
    """PromQL.  ``legend``: the series' name (``{{label}}`` stands for its value), in a table the column's; ``unit``: that column's.

    ``instant``: one value of the end; ``None``: a curve where the panel is one.  ``exemplar``: mark the runs behind it.
    """

    expr: str
    legend: str = ""
    unit: str = ""
    instant: bool | None = None
    exemplar: bool = False


@dataclass(frozen=True)
class Look:
    """How a panel is drawn.  What is not said is Grafana's default.

    ``thresholds``: (from, colour), the first from ``None``: only where a value has a meaning, which ``says`` tells.  ``since``: the
    panel's own range (``now/d``: today so far).  ``interval``: no finer step than this.  ``mappings``: value → (text, colour).
    ``columns``: in a table label → heading, and a label not named is hidden; ``sort``: the heading to sort by, largest first.
    """

    width: int = 12
    height: int = 8
    stack: bool = False
    bars: bool = False
    colours: Colours = field(default_factory=dict)
    colour: str = BLUE
    thresholds: Sequence[tuple[float | None, str]] = ()
    mappings: dict[str, tuple[str, str]] = field(default_factory=dict)
    links: Sequence[Link] = ()
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    none: str | None = None
    since: str | None = None
    interval: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    sort: str = ""
    lookup: str = "country"


def timeseries(title: str, says: str, *, unit: str, queries: Sequence[Query], look: Look = Look()) -> model.Panel:
    """Curves, or with ``look.bars`` columns, over time."""
    drawn = lines.FieldConfig(
        draw_style=common.GraphDrawStyle.BARS if look.bars else common.GraphDrawStyle.LINE,
        line_width=1, fill_opacity=60 if look.bars else 30 if look.stack else 0,
        show_points=common.VisibilityMode.AUTO, span_nulls=False,
        stacking=common.StackingConfig(mode=common.StackingMode.NORMAL if look.stack else common.StackingMode.NONE, group="A"),
        thresholds_style=common.GraphThresholdsStyleConfig(common.GraphThresholdsStyleMode("dashed" if look.thresholds else "off")),
    )  # fmt: skip
    options = lines.Options(
        legend=common.VizLegendOptions(
            display_mode=common.LegendDisplayMode.TABLE, placement=common.LegendPlacement.BOTTOM, show_legend=True,
            calcs=["mean", "max"],
        ),
        tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING),
    )  # fmt: skip
    return _panel("timeseries", (title, says, unit), queries, look, (options, drawn))


def stat(title: str, says: str, *, unit: str, queries: Sequence[Query], look: Look = Look(width=4, height=4)) -> model.Panel:
    """One number, or a few with their names."""
    options = stats.Options(
        graph_mode=common.BigValueGraphMode.NONE, color_mode=common.BigValueColorMode.VALUE, reduce_options=LAST,
        justify_mode=common.BigValueJustifyMode.AUTO, text_mode=common.BigValueTextMode.AUTO,
        orientation=common.VizOrientation.AUTO,
    )  # fmt: skip
    return _panel("stat", (title, says, unit), queries, look, (options, None))


def bars(title: str, says: str, *, unit: str, queries: Sequence[Query], look: Look = Look()) -> model.Panel:
    """Lying bars, one a series, longest as long as the panel."""
    options = bargauge.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC, value_mode=common.BarGaugeValueMode.TEXT, reduce_options=LAST,
        name_placement=common.BarGaugeNamePlacement.AUTO, sizing=common.BarGaugeSizing.AUTO,
        orientation=common.VizOrientation.HORIZONTAL,
        legend=common.VizLegendOptions(show_legend=False, display_mode=common.LegendDisplayMode.LIST, calcs=[]),
    )  # fmt: skip
    return _panel("bargauge", (title, says, unit), queries, look, (options, None))


def gauge(title: str, says: str, *, unit: str, queries: Sequence[Query], look: Look = Look(width=4, height=4)) -> model.Panel:
    """A dial from ``look.low`` to ``look.high``."""
    options = gauges.Options(reduce_options=LAST, sizing=common.BarGaugeSizing.AUTO, orientation=common.VizOrientation.AUTO)
    return _panel("gauge", (title, says, unit), queries, look, (options, None))


def states(title: str, says: str, *, unit: str, queries: Sequence[Query], look: Look = Look()) -> model.Panel:
    """Bands over time, coloured by ``look.mappings`` or ``look.thresholds``: when a thing was up, and when not."""
    options = statetimeline.Options(
        show_value=common.VisibilityMode.NEVER, legend=common.VizLegendOptions(show_legend=True, calcs=[]),
        tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.SINGLE), merge_values=True,
    )  # fmt: skip
    return _panel("state-timeline", (title, says, unit), queries, look, (options, statetimeline.FieldConfig(fill_opacity=80)))


def table(title: str, says: str, *, queries: Sequence[Query], look: Look, unit: str = "short") -> model.Panel:
    """One row for each set of labels in ``look.columns``, one column for each query, named by its legend."""
    sort = [common.TableSortByFieldState(display_name=look.sort, desc=True)] if look.sort else []
    options = tables.Options(cell_height=common.TableCellHeight.SM, sort_by=sort)
    cells = tables.FieldConfig(filterable=True, cell_options=common.TableAutoCellOptions())
    made = _panel("table", (title, says, unit), queries, look, (options, cells))
    numbers = [f"Value #{ref(i)}" for i in range(len(queries))] if len(queries) > 1 else ["Value"]
    headings = look.columns | {number: query.legend for number, query in zip(numbers, queries, strict=True)}
    made.transformations = [
        # A filter by name, for Prometheus puts every label in a column and Time before them.
        model.DataTransformerConfig(id_val="merge", options={}),
        model.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(headings)}}),
        model.DataTransformerConfig(
            id_val="organize", options={"indexByName": {n: i for i, n in enumerate(headings)}, "renameByName": headings}
        ),
    ]
    for query in queries:
        if query.unit:
            _override(made, query.legend, unit=query.unit)
    return made


def geomap(title: str, says: str, *, unit: str, queries: Sequence[Query], look: Look = Look()) -> model.Panel:
    """A spot for each row, where Grafana's gazetteer finds the country whose ISO code the label ``look.lookup`` holds."""
    size = {"fixed": 8, "min": 6, "max": 24, "field": "Value"}
    spot = {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"}
    style = {"color": {"fixed": look.colour}, "opacity": 0.7, "size": size, "symbol": spot}
    spots = common.MapLayerOptions(
        type_val="markers", name=title, tooltip=True, config={"style": style, "showLegend": False},
        location=common.FrameGeometrySource(
            mode=common.FrameGeometrySourceMode.LOOKUP, lookup=look.lookup, gazetteer="public/gazetteer/countries.json"
        ),
    )  # fmt: skip
    options = maps.Options(
        view=maps.MapViewConfig(id_val="fit", padding=20, all_layers=True, zoom=2), layers=[spots],
        basemap=common.MapLayerOptions(type_val="default", name="Base layer", config={}),
        controls=maps.ControlsOptions(show_zoom=True, mouse_wheel_zoom=False, show_attribution=True),
        tooltip=maps.TooltipOptions(mode=maps.TooltipMode.DETAILS),
    )  # fmt: skip
    return _panel("geomap", (title, says, unit), queries, look, (options, None))


def text(title: str, says: str, markdown: str, *, look: Look = Look(width=24, height=4)) -> model.Panel:
    """Words."""
    made = _panel("text", (title, says, ""), (), look, (texts.Options(mode=texts.TextMode.MARKDOWN, content=markdown), None))
    made.datasource = made.field_config = None
    return made


def ref(index: int) -> str:
    """A query's letter: A, B, C, ….."""
    return chr(ord("A") + index)


def _panel(kind: str, words: tuple[str, str, str], queries: Sequence[Query], look: Look, drawn: tuple[Any, Any]) -> model.Panel:
    title, says, unit = words
    curve, tabular = kind in ("timeseries", "state-timeline"), kind in ("table", "geomap")
    made = model.Panel(
        type_val=kind, title=title, description=says, datasource=SOURCE, options=drawn[0],
        grid_pos=model.GridPos(h=look.height, w=look.width), time_from=look.since, interval=look.interval,
        targets=[_target(ref(i), query, curve, tabular) for i, query in enumerate(queries)],
        field_config=model.FieldConfigSource(defaults=_defaults(unit, look, drawn[1], tabular), overrides=[]),
    )  # fmt: skip
    for name, colour in look.colours.items():
        _override(made, name, color=model.FieldColor(mode=model.FieldColorModeId.FIXED, fixed_color=colour))
    for name in DASHED if kind == "timeseries" else ():
        _override(made, name, **{"custom.lineStyle": common.LineStyle(fill="dash", dash=[10, 10])})
    for column in dict.fromkeys(link.column for link in look.links if link.column):
        _override(made, column, links=_links(look, column))
    return made


def _target(letter: str, query: Query, curve: bool, tabular: bool) -> Dataquery:
    instant = not curve if query.instant is None else query.instant
    return Dataquery(
        expr=query.expr, ref_id=letter, legend_format=None if tabular else query.legend or "__auto", datasource=SOURCE,
        instant=instant, range_val=not instant, exemplar=query.exemplar and not instant, editor_mode=QueryEditorMode.CODE,
        format_val=PromQueryFormat.TABLE if tabular else PromQueryFormat.TIME_SERIES,
    )  # fmt: skip


def _defaults(unit: str, look: Look, custom: Any, tabular: bool) -> model.FieldConfig:
    steps = [model.Threshold(value=at, color=colour) for at, colour in look.thresholds]
    fixed = model.FieldColor(mode=model.FieldColorModeId.FIXED, fixed_color=look.colour)
    said = {value: model.ValueMappingResult(text=text, color=colour) for value, (text, colour) in look.mappings.items()}
    return model.FieldConfig(
        unit=unit or None, decimals=look.decimals, min_val=look.low, max_val=look.high, no_value=look.none, custom=custom,
        thresholds=model.ThresholdsConfig(mode=model.ThresholdsMode.ABSOLUTE, steps=steps or [model.Threshold(None, look.colour)]),
        color=model.FieldColor(mode=model.FieldColorModeId.THRESHOLDS) if steps and not look.colours and not tabular else fixed,
        mappings=[model.ValueMap(said)] if said else [], links=_links(look, ""),
    )  # fmt: skip


def _links(look: Look, column: str) -> list[model.DashboardLink]:
    meant = (to for to in look.links if to.column == column)
    return [model.DashboardLink(title=to.title, type_val=model.DashboardLinkType.LINK, url=to.url) for to in meant]


def _override(panel: model.Panel, name: str, **properties: object) -> None:
    """``name`` as in ``Colours``: a series' or column's, or a pattern between slashes."""
    assert panel.field_config is not None
    panel.field_config.overrides.append(
        model.DashboardFieldConfigSourceOverrides(
            matcher=model.MatcherConfig("byRegexp" if name.startswith("/") else "byName", name),
            properties=[model.DynamicConfigValue(key, value) for key, value in properties.items()],
        )
    )
