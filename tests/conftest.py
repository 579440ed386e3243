"""Hypothesis profiles: no deadlines (a shared machine stalls), and on CI the same examples every time."""

import os

from hypothesis import HealthCheck, settings

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("here", deadline=None, suppress_health_check=QUIET)
settings.register_profile("ci", deadline=None, suppress_health_check=QUIET, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
