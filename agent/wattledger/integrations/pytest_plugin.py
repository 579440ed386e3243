"""pytest: ``--energy`` says what each test used; ``--energy-budget J`` and ``@pytest.mark.energy(budget_j=…)`` fail what used more.

Without ``--energy`` (or a budget for all) nothing is loaded and nothing measured.  A test is its call, without fixtures; under
xdist each worker measures its own process, and the sums stand at the controller.  A test fails only where the lower end of its
95 % interval is above its budget: what a sensor cannot tell apart fails nobody.
"""

from collections.abc import Generator, Mapping
from math import isfinite
from typing import Any, NamedTuple

import pytest

MARKER = "energy(budget_j): fail where the test's call used more than so many joules (measured with --energy)"
# Of a report's user_properties, which also stand in JUnit's XML; absent where the test was too short for a reading.
PROPERTIES = ("wattledger_energy_j", "wattledger_energy_low_j", "wattledger_energy_high_j")


class Used(NamedTuple):
    """Joules of one test: value and 95 % interval."""

    value: float
    low: float
    high: float


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our words."""
    group = parser.getgroup("wattledger", "energy per test")
    group.addoption("--energy", action="store_true", help="measure the energy of each test's call")
    group.addoption("--energy-top", type=int, default=10, metavar="N", help="how many tests to list, 0: all (default: 10)")
    group.addoption(
        "--energy-budget", type=_budget, metavar="J", help="fail tests that used more joules than J (begins --energy by itself)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker is known always, so that a marked test also runs where nobody measures."""
    config.addinivalue_line("markers", MARKER)
    if config.getoption("--energy") or config.getoption("--energy-budget") is not None:
        config.pluginmanager.register(EnergyPlugin(config), "wattledger-energy")


class EnergyPlugin:
    """State: what each test used, by its id; ``None``: too short for a reading."""

    def __init__(self, config: pytest.Config) -> None:
        self._budget_j: float | None = config.getoption("--energy-budget")
        self._top: int = config.getoption("--energy-top")
        self._used: dict[str, Used | None] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Measure the call, and hold it against its budget if it passed."""
        from wattledger import track

        try:
            with track(job=item.nodeid) as run:
                result = yield
        finally:
            energy = getattr(run.footprint, "energy_j", None)
            item.user_properties += [] if energy is None else zip(PROPERTIES, energy, strict=True)
        used = _used(dict(item.user_properties))
        budget_j = self._budget_of(item)
        if used is not None and budget_j is not None and used.low > budget_j:
            pytest.fail(f"used {_shown(used)}, its budget is {budget_j:g} J", pytrace=False)
        return result

    def _budget_of(self, item: pytest.Item) -> float | None:
        mark = item.get_closest_marker("energy")
        if mark is None:
            return self._budget_j
        given = (*mark.args, *mark.kwargs.values())
        if len(given) != 1 or set(mark.kwargs) - {"budget_j"}:
            pytest.fail("@pytest.mark.energy takes one budget in joules: energy(budget_j=5)", pytrace=False)
        try:
            return _budget(given[0])
        except (TypeError, ValueError):
            pytest.fail(f"@pytest.mark.energy(budget_j={given[0]!r}): a number of joules, 0 or more, is wanted", pytrace=False)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """At the controller reports come from every worker."""
        if report.when == "call":
            self._used[report.nodeid] = _used(dict(report.user_properties))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The most hungry tests, and the sum of all."""
        known = {name: used for name, used in self._used.items() if used is not None}
        ranked = sorted(known.items(), key=lambda pair: -pair[1].value)
        shown = ranked[: self._top] if self._top > 0 else ranked
        terminalreporter.section(f"energy of {len(known)} tests" + (f", the first {len(shown)}" if len(shown) < len(known) else ""))
        for name, used in shown:
            terminalreporter.write_line(f"{_shown(used)}  {name}")
        # Errors of one sensor are common to all its tests: they add up.
        whole = Used(*(sum(ends) for ends in zip(*known.values(), strict=True))) if known else None
        terminalreporter.write_line(f"{_shown(whole)}  in all" if whole else "nothing was measured (wattledger doctor says why)")
        if unknown := len(self._used) - len(known):
            terminalreporter.write_line(f"{unknown} too short for a reading, or not measured")


def _used(properties: Mapping[str, Any]) -> Used | None:
    return Used(*(float(properties[name]) for name in PROPERTIES)) if PROPERTIES[0] in properties else None


def _budget(text: Any) -> float:
    """Joules; ValueError for what is no number of them."""
    value = float(text)
    if isinstance(text, bool) or not isfinite(value) or value < 0:
        raise ValueError("a number of joules, 0 or more")
    return value


def _shown(used: Used) -> str:
    return f"{used.value:.3g} J ({used.low:.3g} to {used.high:.3g})"
