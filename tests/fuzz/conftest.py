"""The profile of the fuzz tests: the same examples every time, unless WATTLEDGER_FUZZ_EXAMPLES asks for more, and then new ones."""

import os

from hypothesis import HealthCheck, Phase, settings

MORE = os.environ.get("WATTLEDGER_FUZZ_EXAMPLES", "")

settings.register_profile(
    "fuzz",
    database=None,
    deadline=None,
    derandomize=not MORE,
    max_examples=int(MORE or 30),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
