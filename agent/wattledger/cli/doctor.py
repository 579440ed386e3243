"""``wattledger doctor``: what can be measured here, what cannot, why, and the one command that would mend it.
Two views: what each source finds when it looks around (``examine``), and what a session that was really opened reads.
"""

import importlib
import json
import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import click

from wattledger.cli import fail
from wattledger.core.footprint import factor_dict
from wattledger.core.model import Batch, EnergyCounter, Factor, Finding, PowerGauge, Workload
from wattledger.core.units import joules
from wattledger.runtime import host
from wattledger.runtime.build import Plan, Session, open_session
from wattledger.runtime.config import Config, ConfigError, load
from wattledger.runtime.opening import BUILTIN, Opened, Scope

PATIENCE_S = 5.0  # a driver that has not answered by then hangs
READS = 4
OFF = Finding("", "-", "absent", "switched off in the configuration ([sources.NAME] enabled)")
T = TypeVar("T")
COLOURS = {"usable": "green", "estimate": "yellow", "denied": "red", "broken": "red", "absent": "dim"}
REMEDIES = {"denied": "To mend", "broken": "To mend", "absent": "If this machine has one,"}
RANKS = {"denied": 0, "broken": 1, "usable": 2, "estimate": 3, "absent": 4}


class Metered(NamedTuple):
    """A device that a run would meter: by which source and method, and its idle draw (``n`` seconds taught it; 0: a table)."""

    device: str
    kind: str
    model: str
    source: str
    method: str
    inside: str | None
    idle_w: float | None
    idle_n: int


class Report(NamedTuple):
    """Everything the doctor says."""

    findings: tuple[Finding, ...]
    metered: tuple[Metered, ...]
    place: Mapping[str, Any]
    factors: tuple[Factor, ...]
    notes: tuple[str, ...]

    @property
    def to_mend(self) -> tuple[Finding, ...]:
        """What is broken, and what is denied though a command would grant it.  Denied and not needed has no remedy."""
        return tuple(f for f in self.findings if f.state == "broken" or (f.state == "denied" and f.remedy))


@click.command("doctor", short_help="What can be measured here.")
@click.option("--strict", is_flag=True, help="Exit with status 1 when a sensor is broken, or denied and could be granted.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(strict: bool, as_json: bool, config_file: str | None) -> None:
    """Say what can be measured here, what cannot, why, and the one command that would mend it.

    Reads every sensor, changes nothing.
    """
    try:
        config = load(os.environ, file=config_file)
        report = examine(config, os.environ)
    except ConfigError as wrong:
        fail(f"doctor: {wrong}")
    if as_json:
        click.echo(json.dumps(to_dict(report), ensure_ascii=False))
    else:
        show(report)
    raise SystemExit(1 if strict and report.to_mend else 0)


# --- looking around -----------------------------------------------------------------------------------------------------


def examine(config: Config, environ: Mapping[str, str], table: Mapping[str, str] = BUILTIN) -> Report:
    """Look at every source of ``table`` (name to module).  A source that is missing or buggy is one row, never a traceback.

    Raises ConfigError for words that are wrong.
    """
    methods: dict[str, str] = {}
    plan = Plan(Scope(Workload("(doctor)"), (os.getpid(),)), on_batches=lambda batches: methods.update(_methods(batches)))
    session, broken = _open(config, environ, plan)
    # Without a session the sources are still asked, each told what a session would have told it.
    opened = session.opened if session is not None else Opened(config, environ, plan.scope, [])
    runners = session.sampler.runners if session is not None else []
    findings: list[Finding] = []
    for name, module in table.items():
        # What a model must answer for is what the other sources leave open.
        others = [runner for runner in runners if runner.source.name != name]
        covered = (getattr(r.source, "covers", ()) for r in others)
        measured = {d.kind for r in others for d in r.devices if d.inside is None}.union(*covered)
        findings += _of_source(name, module, opened, measured) if config[f"sources.{name}.enabled"] else [OFF._replace(source=name)]
    place = _place(config, environ)
    if session is None:
        return Report((*findings, broken), (), place, (), config.warnings)
    findings += _read(session, methods)
    metered = tuple(_metered(session, methods))
    session.sampler.stop()
    factors = tuple(session.prices.factors.values())
    return Report(tuple(findings), metered, place, factors, (*config.warnings, *session.prices.notes))


def _read(session: Session, methods: Mapping[str, str]) -> list[Finding]:
    """Read every sensor; what fails is a row.  A driver on a thread of its own may be a tick late with its first answer."""

    def ask() -> list[Finding]:
        try:
            for _ in range(READS):
                session.sampler.tick()
                if all(device.id in methods for device in session.sampler.devices()):
                    break
        except Exception as bug:
            return [Finding("session", "-", "broken", f"the sensors were read, and that cannot be understood: {bug!r}")]
        return [Finding(f.source, f.device_id or "-", "broken", f.what) for f in session.pipeline.faults.values()]

    hung = Finding("session", "-", "broken", f"reading the sensors took longer than {PATIENCE_S:g} s: a driver hangs")
    found = within(PATIENCE_S, ask)
    return [hung] if found is None else found


def _open(config: Config, environ: Mapping[str, str], plan: Plan) -> tuple[Session | None, Finding]:
    fine = Finding("session", "-", "usable", "")
    try:
        return open_session(config, environ, plan), fine
    except ConfigError:
        raise
    except Exception as bug:
        # The doctor is asked when something is wrong: it must still answer.
        return None, fine._replace(state="broken", why=f"no meter could be opened: {bug!r}")


def _of_source(name: str, module: str, opened: Opened, measured: Iterable[str]) -> list[Finding]:
    def ask() -> list[Finding]:
        try:
            place = opened.host(name)
            place = place._replace(options={**place.options, "measured": frozenset(measured)})
            return list(importlib.import_module(module).examine(place))
        except Exception as bug:
            return [Finding(name, "-", "broken", f"the source cannot be asked: {type(bug).__name__}: {bug}")]

    found = within(PATIENCE_S, ask)
    if found is None:
        return [Finding(name, "-", "broken", f"no answer within {PATIENCE_S:g} s: the driver hangs")]
    prefix = f"{name}: "  # the table has a column for it
    found = [f._replace(why=f.why.removeprefix(prefix)) for f in found]
    reason = opened.absent.get(name, "").removeprefix(prefix)
    if not found:
        return [Finding(name, "-", "absent", reason or "nothing of this kind was found here")]
    # A sensor may be fine and still not be read, because a better one is.
    return [f._replace(why=f"{f.why}; not used: {reason}") if reason and f.state == "usable" else f for f in found]


def within(patience_s: float, ask: Callable[[], T]) -> T | None:
    """The answer, or ``None``: asked on a thread of its own, because a driver may hang for ever."""
    box: list[T] = []
    thread = threading.Thread(target=lambda: box.append(ask()), name="wattledger-doctor", daemon=True)
    thread.start()
    thread.join(patience_s)
    return box[0] if box else None


def _methods(batches: Iterable[Batch]) -> Iterator[tuple[str, str]]:
    for sample in (s for batch in batches for s in batch.samples):
        if isinstance(sample, PowerGauge):
            yield sample.device.id, "estimated" if sample.estimated else "integrated"
    for sample in (s for batch in batches for s in batch.samples):
        if isinstance(sample, EnergyCounter):  # a device with a register and a gauge is metered by its register
            yield sample.device.id, "counter"


def _metered(session: Session, methods: Mapping[str, str]) -> Iterator[Metered]:
    for runner in session.sampler.runners:
        for device in runner.devices:
            floor = session.pipeline.floors.get(device.id)
            idle = (None, 0) if floor is None else (joules(floor.power_uw), floor.n)
            method = methods.get(device.id, "not read")
            yield Metered(device.id, device.kind, device.model, runner.source.name, method, device.inside, *idle)
    if "rest_share" in session.pipeline.factors and methods:
        yield Metered("rest", "rest", "fans, board and conversion losses", "(model)", "estimated", None, None, 0)


def _place(config: Config, environ: Mapping[str, str]) -> dict[str, Any]:
    procfs = str(config["paths.procfs"])
    rank = host.rank_of(environ)
    facts = {
        "host": host.host_name(environ),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}".strip(),
        "virtual_machine": host.is_virtual(procfs),
        "container": _container(environ),
        "pids_match": host.pids_match(procfs),
        "rank": f"{rank.local} of {rank.size} on this node" if rank is not None else None,
        "state": str(host.state_dir(environ) or ""),
    }
    return {key: value for key, value in facts.items() if value not in (None, "")}


def _container(environ: Mapping[str, str]) -> str | None:
    """What the usual marks say; a runtime that leaves none is not seen."""
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    marks = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
    return environ.get("container") or next((name for path, name in marks.items() if os.path.exists(path)), None)


# --- saying it ----------------------------------------------------------------------------------------------------------


def to_dict(report: Report) -> dict[str, Any]:
    """JSON, schema ``wattledger.doctor/1``; what is not known is absent."""
    return {
        "schema": "wattledger.doctor/1",
        "place": dict(report.place),
        "findings": [{k: v for k, v in f._asdict().items() if k != "remedy" or v} for f in report.findings],
        "metered": [{k: v for k, v in m._asdict().items() if v is not None} for m in report.metered],
        "factors": [factor_dict(f) for f in report.factors],
        "notes": list(report.notes),
        "to_mend": len(report.to_mend),
    }


def show(report: Report) -> None:
    """Tables for people: the place, the sensors, what will be metered, prices, and the commands that mend."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print("\n".join(_place_lines(report.place)), markup=False)
    cells = [(m.kind, m.device, _how(m), _idle(m), m.model) for m in report.metered]
    if not cells:
        console.print("A run here meters nothing: no sensor and no model answered.", markup=False)
    _table(console, "A run here meters", ("kind", "device", "how", "idle", "model"), cells)
    ordered = sorted(report.findings, key=lambda f: RANKS[f.state])
    rows = [(Text(f.state, COLOURS[f.state]), f.source, f.sensor, f.why) for f in ordered]
    _table(console, "Sensors", ("state", "source", "sensor", "why"), rows)
    console.print("\n".join(_price_lines(report)), markup=False)
    # Commands are printed unwrapped, so that they can be copied whole.
    console.print("\n".join(_remedies(report.findings)), markup=False, soft_wrap=True)


def _table(console: Any, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("state", "source", "kind"))
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    if table.row_count:
        console.print(table)


def _place_lines(place: Mapping[str, Any]) -> Iterator[str]:
    inside = f", in a container ({place['container']})" if "container" in place else ""
    yield f"{place['host']}: {place['system']}" + (", a virtual machine" if place["virtual_machine"] else "") + inside
    if not place["pids_match"]:
        yield "in a PID namespace of its own: a GPU's process ids cannot be matched with ours"
    if "rank" in place:
        yield f"rank {place['rank']}: local rank 0 measures for all of them"


def _how(metered: Metered) -> str:
    return f"{metered.method}, {metered.source}" + (f"; inside {metered.inside}, not added" if metered.inside else "")


def _idle(metered: Metered) -> str:
    if metered.idle_w is None:
        return ""
    return f"{metered.idle_w:.3g} W, " + (f"learnt ({metered.idle_n})" if metered.idle_n else "from a table")


def _price_lines(report: Report) -> Iterator[str]:
    for factor in report.factors:
        name = "PUE" if factor.kind == "pue" else f"{factor.kind} {factor.zone}"
        unit = "" if factor.unit == "1" else f" {factor.unit}"
        yield f"{name}: {factor.value:g}{unit}, {factor.boundary}, {factor.origin} {factor.version}".rstrip()
    yield from (f"note: {note}" for note in report.notes)


def _remedies(findings: Iterable[Finding]) -> Iterator[str]:
    """Each command once, with all that it mends; first what a command would grant, last what may not be there at all."""
    mended: dict[tuple[str, str], list[str]] = {}
    for finding in sorted(findings, key=lambda f: RANKS[f.state]):
        if finding.remedy:
            words = REMEDIES.get(finding.state, "To improve")
            mended.setdefault((words, finding.remedy), []).append(f"{finding.source} {finding.sensor}")
    for (words, remedy), sensors in mended.items():
        shown = ", ".join(sensors[:3]) + (f" and {len(sensors) - 3} more" if len(sensors) > 3 else "")
        yield from ("", f"{words} {shown}:", f"  {remedy}")
