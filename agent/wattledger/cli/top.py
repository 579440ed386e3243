"""``wattledger top``: who draws how many watts on this node, live, from its agent's /metrics."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattledger.cli import fail
from wattledger.cli.top_view import Job, NoAgent, Part, Scrape, View, compared, moved, scrape_of
from wattledger.core.footprint import digits, gram, iso, joule
from wattledger.core.ports import Request, SourceFailed
from wattledger.runtime import clock
from wattledger.runtime.config import ConfigError, load
from wattledger.runtime.fetch import make_fetch

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

LIMIT_BYTES = 64_000_000  # a hundred thousand series
STANDSTILL = 30  # looks without a tick between them, and `--once` gives up
ANY_INTERFACE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
_NEVER = threading.Event()

Wait = Callable[[float], bool]  # seconds -> whether to end


@click.command("top", short_help="Who draws how many watts, live.")
@click.option("--url", metavar="URL", help="The agent's metrics; default: where [agent] listen says.")
@click.option("--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, metavar="S",
              help="Seconds between two looks.")  # fmt: skip
@click.option("--once", is_flag=True, help="Look twice, print once, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each look, one a line.")
@click.option("--user", metavar="NAME", help="User, where the agent asks for one.")
@click.option("--password-file", type=click.Path(dir_okay=False), metavar="FILE", help="File that holds the password.")
@click.option("--ca-file", type=click.Path(dir_okay=False), metavar="FILE", help="Authority of the agent's certificate.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(interval: float, once: bool, as_json: bool, **options: Any) -> None:
    """Jobs and devices of this node by watts, and the grams they come to; q or Ctrl-C ends it."""
    look = partial(_look, make_fetch(), _request(options))
    try:
        if as_json or once or not sys.stdout.isatty():
            views = looks(look, _pause, interval, patience=STANDSTILL if once else None)
            next(views)  # sums without watts are not what was asked for
            for view in views:
                click.echo(json.dumps(view.to_dict(iso(clock.now().wall_ns))) if as_json else plain(view), nl=as_json)
                if once:
                    return
        else:
            _live(look, interval)
    except (SourceFailed, NoAgent) as failure:
        hint = "is the agent running? `wattledger agent` starts it, --url names another"
        fail(f"top: {failure}; {'--user and --password-file say who asks' if 'HTTP 401' in str(failure) else hint}", 1)
    except KeyboardInterrupt:
        return


def _request(options: dict[str, Any]) -> Request:
    url, auth, password_file = options["url"], None, options["password_file"]
    try:
        url = url or _listens_at(str(load(os.environ, file=options["config_file"])["agent.listen"]))
        if options["user"]:
            auth = options["user"], Path(password_file).read_text(encoding="utf-8").rstrip("\r\n") if password_file else ""
    except ConfigError as wrong:
        fail(str(wrong))
    except (OSError, UnicodeDecodeError) as failure:
        fail(f"top: cannot read {password_file}: {getattr(failure, 'strerror', None) or 'not text'}")
    url = url if "://" in url else f"http://{url}"
    url = url if url.count("/") > 2 else f"{url}/metrics"
    return Request(url, auth=auth, verify=options["ca_file"] or True, limit_bytes=LIMIT_BYTES)


def _listens_at(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    return f"http://{ANY_INTERFACE.get(host, host)}:{port}/metrics"


def _look(fetch: Callable[[Request], bytes], request: Request) -> Scrape:
    return scrape_of(fetch(request).decode("utf-8", "replace"))


def looks(look: Callable[[], Scrape], wait: Wait, interval_s: float, *, patience: int | None = None) -> Iterator[View]:
    """First the sums, then a view each time that the agent has ticked, until ``wait`` says to end.

    ``patience``: looks without a tick before SourceFailed; ``None``: for ever.
    """
    before, still = look(), 0
    yield compared(None, before)
    while not wait(interval_s):
        now = look()
        if moved(before, now):
            yield compared(before, now)
            before, still = now, 0
            continue
        still += 1
        if still == patience:
            raise SourceFailed(f"the agent answers, but its figures have stood still for {still} looks (its /readyz says why)")


def _pause(duration_s: float) -> bool:
    return _NEVER.wait(duration_s)


@contextlib.contextmanager
def _keys() -> Iterator[Wait]:
    """A wait that the key q ends, while standard input is a terminal; its settings are put back."""
    try:
        import select
        import termios
        import tty

        stdin = sys.stdin.fileno()
        kept = termios.tcgetattr(stdin)
    except (ImportError, OSError, ValueError, termios.error):
        yield _pause
        return

    def wait(duration_s: float) -> bool:
        until_ns = clock.elapsed_ns() + round(duration_s * 1e9)
        while (left_ns := until_ns - clock.elapsed_ns()) > 0:
            if select.select([stdin], [], [], left_ns / 1e9)[0] and os.read(stdin, 1) in (b"q", b"Q", b""):
                return True
        return False

    try:
        tty.setcbreak(stdin)
        yield wait
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, kept)


def _live(look: Callable[[], Scrape], interval_s: float) -> None:
    from rich.live import Live

    with _keys() as wait:
        views = looks(look, wait, interval_s)
        first = next(views)  # an agent that is not there is said before the screen is taken
        with Live(tables(first), screen=True, auto_refresh=False) as live:
            live.refresh()
            for view in views:
                live.update(tables(view), refresh=True)


def plain(view: View) -> str:
    """The tables as text, as wide as the terminal, or 120 where there is none."""
    import io
    import shutil

    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=shutil.get_terminal_size((120, 0)).columns, color_system=None).print(tables(view))
    return text.getvalue()


def tables(view: View) -> "Group":
    """Jobs over devices."""
    from rich.console import Group

    columns = ("job", "model", "power", "of it held", "CO2e/h", "energy", "CO2e", "labels")
    jobs = _table(columns, [_job_cells(job) for job in view.jobs])
    devices = _table(("device", "kind", "power", "energy", "how", "what"), [_part_cells(part) for part in view.devices])
    known = [part.power_w for part in view.devices if part.power_w is not None]
    return Group(f"wattledger top: {watts(sum(known)) if known else 'no power known'}", jobs, devices)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column in ("power", "of it held", "CO2e/h", "energy", "CO2e")
        table.add_column(column, justify="right" if right else "left", no_wrap=right, overflow="ellipsis" if right else "fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a job named [red] is a name, not a colour
    return table


def _job_cells(job: Job) -> tuple[str, ...]:
    labels = dict(job.who)
    name, model = labels.pop("job_name", ""), labels.pop("model_name", "")
    rate, grams = (gram(value) if value is not None else "" for value in (job.g_per_h, job.emissions_g))
    said = " ".join(f"{key}={value}" for key, value in labels.items())
    return name, model, watts(job.power_w), watts(job.held_w), rate, joule(job.energy_j), grams, said


def _part_cells(part: Part) -> tuple[str, ...]:
    return part.device, part.component, watts(part.power_w), joule(part.energy_j), part.method, part.model


def watts(power_w: float | None) -> str:
    """Three digits; nothing for what is not known."""
    return "" if power_w is None else f"{digits(power_w)} W"
