"""What a report writes beside its answer: a page (``--html``) and the power over time as a picture (``--plot``)."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.ledger.books import Books

FORMS = {".svg": "svg", ".png": "png"}


def also(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options."""
    for option in (
        click.option("--run", metavar="RUN-ID", help="Of --plot: this run alone."),
        click.option("--plot", metavar="FILE", help="Also draw its power over time there, carbon under it: FILE.svg or FILE.png."),
        click.option("--html", metavar="FILE", help="Also write it there as one page with plots, to read, send or print."),
    ):
        command = option(command)
    return command


def checked(given: Mapping[str, Any]) -> None:
    """Raises ValueError with one line where the words do not fit, before any book is opened."""
    if given["plot"] is not None and Path(given["plot"]).suffix.lower() not in FORMS:
        raise ValueError(f"--plot {given['plot']}: the name must end in {' or '.join(FORMS)}")
    if given["run"] is not None and given["plot"] is None:
        raise ValueError("--run says which run --plot draws: name a file, too, e.g. --plot run.svg")
    wanted = [f"--{name}" for name in ("html", "plot") if given[name] is not None]
    if wanted:
        from wattledger.cli import report_plot

        try:
            report_plot.needed(wanted[0])
        except report_plot.NoPlots as wrong:
            raise ValueError(str(wrong)) from None


def written(books: Books, ask: Ask, rules: Rules, *, found: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """The files that were asked for.  Raises LedgerError, and ValueError with one line."""
    if given["html"] is not None:
        _page(books, ask, rules, found=found, to=given["html"])
    if given["plot"] is not None:
        from wattledger.cli.report_html_figures import power_said
        from wattledger.cli.report_plot import power
        from wattledger.cli.report_power import curve

        drawn = curve(books, ask, rules, given["run"])
        form: Any = FORMS[Path(given["plot"]).suffix.lower()]
        write(given["plot"], power(drawn, power_said(drawn), form), option="--plot")


def _page(books: Books, ask: Ask, rules: Rules, *, found: Mapping[str, Any], to: str) -> None:
    from wattledger.cli.report_html import page
    from wattledger.runtime.html.render import NoTemplates

    try:
        write(to, page(books, ask, rules, found), option="--html")
    except NoTemplates as wrong:
        raise ValueError(f"--html: {wrong}") from None


def write(path: str, content: bytes, *, option: str) -> None:
    """A file in place of what had that name, whole or not at all.  Raises ValueError with one line."""
    to = Path(path).expanduser().absolute()
    try:
        with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as folder:
            part = Path(folder, "part")
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, to)
    except OSError as wrong:
        raise ValueError(f"{option} {path}: cannot be written: {wrong.strerror or wrong}") from None
