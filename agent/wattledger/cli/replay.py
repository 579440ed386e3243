"""``wattledger replay CAPTURE``: a recorded run through the same pipeline, at full speed, to the same figures."""

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

import click

from wattledger.cli import fail
from wattledger.cli.present import footprint_lines
from wattledger.core.ports import Renderer
from wattledger.core.totals import Snapshot, State
from wattledger.runtime.capture import CaptureError
from wattledger.runtime.config import nearest
from wattledger.testing import Replay, replay_all

EXPORTERS = "wattledger.exporters"


@click.command("replay", short_help="Replay CAPTURE.")
@click.argument("capture", metavar="CAPTURE", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="One JSON footprint per span, one a line, as `run --json` writes it.")
@click.option("--export", metavar="EXPORTER", help="Print the machine's totals instead: prometheus, jsonl, console.")
def command(capture: str, as_json: bool, export: str | None) -> None:
    """Put CAPTURE (from `wattledger run --record`) through the same pipeline and print the same footprint.

    Nothing is measured and no clock is read: the same file gives the same figures on any machine.
    """
    if as_json and export:
        raise click.UsageError("--json and --export say two different things: leave one out")
    renderer = find_exporter(export) if export else None
    try:
        done = replay_all(capture)
    except CaptureError as wrong:
        fail(f"replay: {wrong}")
    if renderer is not None:
        click.echo(renderer.render(snapshot_of(done)), nl=False)
    elif as_json:
        for footprint in done.footprints:
            click.echo(json.dumps(footprint.to_dict()))
    else:
        click.echo(_text(done))


def _text(done: Replay) -> str:
    if not done.footprints:
        return "no span in this capture: only the machine's totals (--export console)"
    return "\n\n".join("\n".join(footprint_lines(footprint)) for footprint in done.footprints)


def snapshot_of(done: Replay) -> Snapshot:
    """The machine's totals at the end of a capture.  No source was read, so none has a health."""
    return done.pipeline.totals.snapshot(State(done.pipeline.factors.get("grid")))


def find_exporter(name: str) -> Renderer:
    """An installed exporter that answers when asked; else one line with the nearest right name, and exit status 2."""
    found = {entry.name: entry for entry in entry_points(group=EXPORTERS)}
    if name not in found:
        fail(f"replay: no exporter {name!r}{nearest(name, found)}; installed: {', '.join(sorted(found)) or 'none'}")
    try:
        exporter = cast(Callable[[], Renderer], found[name].load())()
    except (ImportError, AttributeError) as failure:
        fail(f"replay: exporter {name!r} ({found[name].value}) cannot be loaded: {failure}")
    if not hasattr(exporter, "render"):
        fail(f"replay: exporter {name!r} sends and cannot print; use prometheus, jsonl or console")
    return exporter
