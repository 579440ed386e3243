"""How busy each MIG instance was, by the driver's own performance monitor (GPM, Hopper and newer).

Nothing else tells it: utilisation and power are the whole board's, and process utilisation is not kept under MIG (science.md
section 1.6).
"""

from collections.abc import Set
from math import isfinite
from typing import Any

from wattledger.sources.nvml.driver import Driver, NvmlError


class Gpm:
    """State: the last sample of each GPU instance, and a spare one.  All are void after the driver was started anew.

    Raises NvmlError where the driver will never tell (unsupported, denied) or is away; one instance's passing trouble leaves that
    one out.
    """

    def __init__(self, driver: Driver, handle: Any) -> None:
        self._driver, self._handle = driver, handle
        self._samples: dict[int, Any] = {}
        self._spare: list[Any] = []
        self._question = driver.constant("c_nvmlGpmMetricsGet_t")()
        self._question.version = driver.constant("NVML_GPM_METRICS_GET_VERSION")
        self._question.numMetrics = 1
        self._question.metrics[0].metricId = driver.constant("NVML_GPM_METRIC_GRAPHICS_UTIL")

    def look(self, instances: Set[int]) -> dict[int, float]:
        """Mean activity (0 to 1) of each GPU instance since the last look; the first look at one only begins."""
        active = {}
        for instance in instances:
            sample = self._sample(instance)
            before = self._samples.pop(instance, None)
            if sample is not None:
                self._samples[instance] = sample
            if before is not None:
                self._spare.append(before)
                busy = None if sample is None else self._between(before, sample)
                if busy is not None:
                    active[instance] = busy
        self._spare += [self._samples.pop(gone) for gone in self._samples.keys() - instances]
        return active

    def _sample(self, instance: int) -> Any:
        into = self._spare.pop() if self._spare else self._driver.call("nvmlGpmSampleAlloc")
        try:
            return self._driver.call("nvmlGpmMigSampleGet", self._handle, instance, into)
        except NvmlError as error:
            self._spare.append(into)
            if error.trouble != "passing":
                raise
            return None

    def _between(self, before: Any, now: Any) -> float | None:
        self._question.sample1, self._question.sample2 = before, now
        try:
            self._driver.call("nvmlGpmMetricsGet", self._question)
        except NvmlError as error:
            if error.trouble != "passing":
                raise
            return None
        metric = self._question.metrics[0]
        if metric.nvmlReturn or not isfinite(metric.value):
            return None
        return min(1.0, max(0.0, float(metric.value) / 100))

    def release(self) -> None:
        """Give the samples' memory back."""
        for sample in (*self._samples.values(), *self._spare):
            try:
                self._driver.call("nvmlGpmSampleFree", sample)
            except NvmlError:
                break  # the driver is away, and has taken them along
        self._samples, self._spare = {}, []


def monitor(driver: Driver, handle: Any) -> Gpm | None:
    """The performance monitor of a GPU, where it has one."""
    support = driver.ask("nvmlGpmQueryDeviceSupport", handle)
    return Gpm(driver, handle) if support is not None and support.isSupportedDevice else None
