"""Hypothesis profiles: no deadlines (a shared machine stalls), and on CI the same examples every time."""

import os

from hypothesis import HealthCheck, Phase, settings

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
# Without `explain`: it triples the time of a failure, and the smallest example says enough.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]

settings.register_profile("here", deadline=None, suppress_health_check=QUIET, phases=PHASES)
settings.register_profile("ci", deadline=None, suppress_health_check=QUIET, derandomize=True, phases=PHASES)
settings.load_profile("ci" if os.environ.get("CI") else "here")
