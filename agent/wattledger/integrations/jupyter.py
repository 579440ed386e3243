"""``%load_ext wattledger.integrations.jupyter``, then ``%%wattledger`` above a cell (or ``%wattledger statement``).

Options: ``--job NAME``, ``--model NAME``, ``--zone ZONE``, ``--no-plot``.  The cell runs as ever (its value, its exceptions); then
its footprint stands below it, with the power over the cell's time, and in the notebook as ``wattledger_footprint``.
"""

import ast
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple

from wattledger import Footprint, Run, track

SAMPLE_S = 1.0  # what an agent publishes at; a live footprint costs about a millisecond
MOST_SAMPLES = 120
BARS = "▁▂▃▄▅▆▇█"
OPTION = re.compile(r"""--(?:(job|model|zone)[ =]\s*("[^"]*"|'[^']*'|\S+)|(no-plot))(?:\s+|$)""")


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext`` calls."""

    def wattledger(line: str, cell: str | None = None) -> Any:
        """Measure the cell, or the statement: joules, watts, grams."""
        __tracebackhide__ = True  # the traceback is the cell's
        asked = _asked(line, has_cell=cell is not None)
        with _measured(asked, shell):
            return _run(shell, asked.statement if cell is None else cell)

    shell.register_magic_function(wattledger, "line_cell", "wattledger")


@contextmanager
def _measured(asked: "_Asked", shell: Any) -> Iterator[None]:
    try:
        with track(job=asked.job or "notebook", model=asked.model, zone=asked.zone) as run, _Curve(run) as curve:
            yield
    finally:
        footprint = run.footprint
        shell.user_ns["wattledger_footprint"] = footprint
        _show(footprint, curve.powers_w(footprint) if asked.plotted else [])


def _run(shell: Any, cell: str) -> Any:
    """As IPython runs a cell, but its exceptions pass through us to IPython, which shows them once and stops "run all"."""
    __tracebackhide__ = True
    code = shell.transform_cell(cell)
    name = shell.compile.cache(code, shell.execution_count)
    tree = shell.transform_ast(shell.compile.ast_parse(code, name))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(shell.compile(tree, name, "exec"), shell.user_ns)
    if last is None:
        return None
    return eval(shell.compile(ast.Expression(last.value), name, "eval"), shell.user_ns)


class _Curve:
    """Seconds and joules of a run while it goes on, read now and then by a thread of its own."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._seen: list[tuple[float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="wattledger-jupyter", daemon=True)

    def __enter__(self) -> "_Curve":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        every_s = SAMPLE_S
        while not self._ended.wait(every_s):
            self._take(self._run.footprint)
            if len(self._seen) > MOST_SAMPLES:  # a long cell is looked at less often
                self._seen, every_s = self._seen[1::2], every_s * 2

    def _take(self, footprint: Footprint) -> None:
        # Where energy has not grown there was no new reading: its time belongs to the next one.
        at_s, energy_j = self._seen[-1] if self._seen else (0.0, 0.0)
        if footprint.energy_j is not None and footprint.duration_s > at_s and footprint.energy_j.value > energy_j:
            self._seen.append((footprint.duration_s, footprint.energy_j.value))

    def powers_w(self, last: Footprint) -> list[tuple[float, float]]:
        """(seconds, mean watts since the one before): fewer than two make no curve."""
        self._take(last)
        before = [(0.0, 0.0), *self._seen]
        return [(now_s, (e - e0) / (now_s - s0)) for (s0, e0), (now_s, e) in zip(before, self._seen, strict=False)]


def _show(footprint: Footprint, powers_w: Sequence[tuple[float, float]]) -> None:
    """The line; below it the curve: a picture in a notebook that has matplotlib, else a line of bars."""
    print(footprint)
    if len(powers_w) < 2:
        return
    from IPython.display import display

    bundle: dict[str, Any] = {"text/plain": sparkline(powers_w)}
    if (png := plot(powers_w)) is not None:
        bundle["image/png"] = png
    display(bundle, raw=True)


def sparkline(powers_w: Sequence[tuple[float, float]]) -> str:
    """``▁▃█▆ 12 to 310 W over 42 s``; the bars begin at 0 W."""
    watts = [power for _, power in powers_w]
    top = max(watts) or 1.0
    bars = "".join(BARS[min(len(BARS) - 1, int(power / top * len(BARS)))] for power in watts)
    return f"{bars} {min(watts):.3g} to {max(watts):.3g} W over {powers_w[-1][0]:.3g} s"


def plot(powers_w: Sequence[tuple[float, float]]) -> bytes | None:
    """The curve as PNG; ``None`` where there is no matplotlib."""
    try:
        from matplotlib.figure import Figure  # not pyplot: its state is the user's
    except ImportError:
        return None
    figure = Figure(figsize=(6, 1.6), layout="constrained")
    axes = figure.subplots()
    times_s = [0.0, *(at_s for at_s, _ in powers_w)]
    axes.stairs([power for _, power in powers_w], times_s, fill=True, alpha=0.6)
    axes.set(xlabel="s", ylabel="W", xlim=(0, times_s[-1]), ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    made = BytesIO()
    figure.savefig(made, format="png", dpi=100)
    return made.getvalue()


class _Asked(NamedTuple):
    job: str | None
    model: str | None
    zone: str | None
    plotted: bool
    statement: str


def _asked(line: str, *, has_cell: bool) -> _Asked:
    """Our options stand first; what follows them is Python."""
    found: dict[str, str] = {}
    rest = line.strip()
    while (option := OPTION.match(rest)) is not None:
        found[option[1] or option[3]] = (option[2] or "").strip("\"'")
        rest = rest[option.end() :]
    if rest.startswith("--") or (has_cell and rest):
        from IPython.core.error import UsageError

        raise UsageError(f"%%wattledger: unknown {rest.split()[0]!r}; there are --job NAME, --model NAME, --zone ZONE, --no-plot")
    return _Asked(found.get("job"), found.get("model"), found.get("zone"), "no-plot" not in found, rest)
