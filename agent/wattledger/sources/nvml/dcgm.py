"""How busy each MIG instance was, as a local dcgm-exporter publishes it: for GPUs before Hopper, whose driver does not tell us.

``DCGM_FI_PROF_GR_ENGINE_ACTIVE`` is the part of its last sampling period (a second, or what the exporter was started with) in which
an instance's engines were busy; ``UUID`` is the GPU's and ``GPU_I_ID`` the GPU instance's (ecosystem.md A3).
"""

import re
from collections.abc import Mapping
from math import isfinite

from wattledger.core.ports import Fetch, Request, SourceFailed

METRIC = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
LEAST_NS = 900_000_000  # it is not asked more often than this (a tick of a second may come a little early),
SULK_NS = 30_000_000_000  # and not for this long after it has failed: our registers are read on the same thread
TIMEOUT_S = 0.5

LINE = re.compile(rf"^{METRIC}\{{(?P<labels>.*)\}}[ \t]+(?P<value>\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Active = Mapping[str, Mapping[int, float]]


def parse(text: str) -> dict[str, dict[int, float]]:
    """Activity (0 to 1) by GPU UUID and GPU instance; whole GPUs and values that are no number are left out."""
    found: dict[str, dict[int, float]] = {}
    for line in LINE.finditer(text):
        labels = dict(LABEL.findall(line["labels"]))
        instance, value = labels.get("GPU_I_ID", ""), _number(line["value"])
        if instance.isascii() and instance.isdigit() and len(instance) < 10 and value is not None:
            found.setdefault(labels.get("UUID", ""), {})[int(instance)] = min(1.0, max(0.0, value))
    return found


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if isfinite(value) else None


class Dcgm:
    """State: the last answer, when the next question may be asked, and whether the last one failed."""

    def __init__(self, url: str, fetch: Fetch) -> None:
        self._request = Request(url, timeout_s=TIMEOUT_S)
        self._fetch = fetch
        self._active: Active = {}
        self._next_ns = 0
        self._failed = False

    def activity(self, at_ns: int) -> Active:
        """What the exporter says now.  ``SourceFailed`` when it begins to fail, then nothing until it answers again."""
        if at_ns < self._next_ns:
            return self._active
        try:
            self._active = parse(self._fetch(self._request).decode("utf-8", "replace"))
        except SourceFailed:
            failed_before, self._failed = self._failed, True
            self._active, self._next_ns = {}, at_ns + SULK_NS
            if failed_before:
                return self._active
            raise
        self._failed, self._next_ns = False, at_ns + LEAST_NS
        return self._active
