"""``wattledger top``: who draws how many watts on this node, live, from its agent's /metrics."""

import contextlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import click

from wattledger.cli import fail
from wattledger.cli.top_screen import lines
from wattledger.cli.top_view import NoAgent, Scrape, View, compared, moved, scrape_of
from wattledger.core.footprint import iso
from wattledger.core.ports import BadStatus, Request, SourceFailed
from wattledger.runtime import clock
from wattledger.runtime.config import ConfigError, load
from wattledger.runtime.fetch import make_fetch

LIMIT_BYTES = 64_000_000  # a hundred thousand series
STANDSTILL = 30  # looks without a tick between them, and `--once` gives up
ANY_INTERFACE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
# What an HTTPS server makes of a question in the clear: most hang up, some say so.
NOT_PLAIN = ("reset by peer", "the reply is not HTTP", "the reply broke off", "the reply is broken", "broken pipe", "HTTP 400")
REFUSALS = (403, 421)
_NEVER = threading.Event()

Wait = Callable[[float], bool]  # seconds -> whether to end


@click.command("top", short_help="Who draws how many watts, live.")
@click.option("--url", metavar="URL", help="The agent's metrics; default: where [agent] listen says.")
@click.option("--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, metavar="S",
              help="Seconds between two looks.")  # fmt: skip
@click.option("--once", is_flag=True, help="Look twice, print once, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each look, one a line.")
@click.option("--all", "show_all", is_flag=True, help="Jobs that draw nothing now, too.")
@click.option("--user", metavar="NAME", help="User, where the agent asks for one.")
@click.option("--password-file", type=click.Path(dir_okay=False), metavar="FILE", help="File that holds the password.")
@click.option("--ca-file", type=click.Path(dir_okay=False), metavar="FILE", help="Authority of the agent's certificate.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(interval: float, once: bool, as_json: bool, show_all: bool, **options: Any) -> None:
    """Jobs and devices of this node by watts, and the grams they come to; q or Ctrl-C ends it."""
    request = _request(options)
    look = partial(_look, make_fetch(), request)
    try:
        if as_json or once or not sys.stdout.isatty():
            views = looks(look, _pause, interval, patience=STANDSTILL if once else None)
            next(views)  # sums without watts are not what was asked for
            for view in views:
                said = json.dumps(view.to_dict(iso(clock.now().wall_ns))) if as_json else plain(view, show_all=show_all)
                click.echo(said, nl=as_json)
                if once:
                    return
        else:
            _live(look, interval, show_all)
    except (SourceFailed, NoAgent) as failure:
        fail(f"top: {failure}{_hint(request.url, failure)}", 1)
    except KeyboardInterrupt:
        return


def _hint(url: str, failure: Exception) -> str:
    """What to do about it; who refuses us says that best himself."""
    told, said = str(failure), ""
    if isinstance(failure, BadStatus) and failure.said:
        said = f": {failure.said}"
        if failure.status in REFUSALS:
            return said
    if "HTTP 401" in told:
        return f"{said}; --user and --password-file say who asks"
    if url.startswith("http:") and any(words in told for words in NOT_PLAIN):
        return "; does it speak TLS? --url https://… and, for an authority of your own, --ca-file"
    if "certificate is not trusted" in told:
        return "; --ca-file names the authority that signed it"
    if "wrong version number" in told:
        return "; does it speak TLS at all? --url http://…"
    return f"{said}; is the agent running? `wattledger agent` starts it, --url names another"


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


def _live(look: Callable[[], Scrape], interval_s: float, show_all: bool) -> None:
    from rich.live import Live
    from rich.text import Text

    with _keys() as wait:
        views = looks(look, wait, interval_s)
        first = next(views)  # an agent that is not there is said before the screen is taken
        with Live(screen=True, auto_refresh=False) as live:
            for view in chain((first,), views):
                width, height = live.console.size  # it may be another after each look
                found = lines(view, width, height, show_all=show_all)
                # Text: a job named [red] is a name, not a colour.
                live.update(Text("\n", no_wrap=True).join(Text(t, "bold" if bold else "") for t, bold in found), refresh=True)


def plain(view: View, *, show_all: bool = False) -> str:
    """The tables as text, as wide and as high as the terminal; 120 wide and as long as they are where there is none."""
    width, height = shutil.get_terminal_size((120, 0))
    height = 0 if show_all else max(height - 1, 0)  # the prompt comes below
    return "".join(f"{line.text}\n" for line in lines(view, width, height, show_all=show_all))
