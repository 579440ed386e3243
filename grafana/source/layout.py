"""Rows of panels → a dashboard as Grafana's file has it.

    PAGE = dashboard("wattledger-fleet", "Fleet overview", says="…", variables=standard("model"), rows=[
        row("Now", stat(…), stat(…)),
    ])

Panels are laid out as written, left to right; the next line begins where one no longer fits in 24 columns.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.models import dashboard as model

COLUMNS = 24
TAG = "wattledger"


class Row(NamedTuple):
    """A heading and the panels under it; ``collapsed``: they are asked for only once somebody opens it."""

    title: str
    panels: tuple[model.Panel, ...]
    collapsed: bool = False


def row(title: str, *panels: model.Panel, collapsed: bool = False) -> Row:
    return Row(title, panels, collapsed)


class Page(NamedTuple):
    """What a dashboard is called and what it is for, in a sentence; ``since``: the range it opens with.

    ``finest``: no curve is asked for in finer steps, unless its panel says so.  A rate looks back a minute in any case, so that
    finer ones show nothing new, and of hundreds of nodes they cost three times as much.
    """

    uid: str
    title: str
    says: str
    since: str = "now-6h"
    finest: str | None = "1m"


def dashboard(page: Page, *, variables: list[model.VariableModel], rows: Sequence[Row]) -> model.Dashboard:
    """One that nobody edits in Grafana: it is edited here, and written again."""
    for panel in (panel for heading in rows for panel in heading.panels):
        if panel.type_val in ("timeseries", "xychart") and panel.interval is None:
            panel.interval = page.finest
    others = model.DashboardLink(
        title="wattledger", type_val=model.DashboardLinkType.DASHBOARDS, tags=[TAG], icon="external link",
        as_dropdown=True, include_vars=True, keep_time=True,
    )  # fmt: skip
    return model.Dashboard(
        uid=page.uid, title=f"wattledger / {page.title}", description=page.says, tags=[TAG], editable=False, refresh="30s",
        timezone="browser", graph_tooltip=model.DashboardCursorSync.CROSSHAIR, time=model.DashboardDashboardTime(page.since, "now"),
        templating=model.DashboardDashboardTemplating(list_val=variables), links=[others], panels=list(_placed(rows)), version=1,
    )  # fmt: skip


def _placed(rows: Sequence[Row]) -> Iterator[model.Panel | model.RowPanel]:
    top, number = 0, 0
    for heading in rows:
        number += 1
        band = model.RowPanel(collapsed=heading.collapsed, title=heading.title, id_val=number, panels=[])
        band.grid_pos = model.GridPos(h=1, w=COLUMNS, x=0, y=top)
        bottom = _lay(heading.panels, top + 1)
        for panel in heading.panels:
            number += 1
            panel.id_val = number
        yield band
        if heading.collapsed:
            band.panels = list(heading.panels)
        else:
            yield from heading.panels
        top = bottom


def _lay(panels: Sequence[model.Panel], top: int) -> int:
    """Gives each its place, from ``top``; where the last line ends."""
    left, height = 0, 0
    for place in (panel.grid_pos for panel in panels):
        assert place is not None
        if left + place.w > COLUMNS:
            left, top, height = 0, top + height, 0
        place.x, place.y = left, top
        left, height = left + place.w, max(height, place.h)
    return top + height
