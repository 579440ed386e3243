"""What was rendered, kept for all tests of the chart, and how they look at it."""

import pytest
from tests.deploy.chart_toggles import CASES
from tests.deploy.helm_render import CHART, Helm, Object, Rendered

VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
README = (CHART / "README.md").read_text(encoding="utf-8")
KUBERNETES = "1.37"

every = pytest.mark.parametrize("case", CASES)


class Charts:
    """State: what was rendered already."""

    def __init__(self, by: Helm) -> None:
        self.helm = by
        self._done: dict[str, Rendered] = {}

    def of(self, case: str) -> Rendered:
        if case not in self._done:
            self._done[case] = self.helm.render(CASES[case])
        return self._done[case]

    def pod(self, case: str) -> Object:
        """The specification of the agent's pod."""
        found: Object = self.of(case).the("DaemonSet")["spec"]["template"]["spec"]
        return found


def agent(pod: Object) -> Object:
    (container,) = pod["containers"]
    found: Object = container
    return found


def rights(charts: Charts, case: str) -> str:
    annotations = charts.of(case).the("DaemonSet")["spec"]["template"]["metadata"]["annotations"]
    return str(annotations["wattledger.io/rights"])
