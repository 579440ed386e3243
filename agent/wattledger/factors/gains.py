"""How far a sensor's reading may be off, in common for all that it said.

A gain is a factor of 1 with an interval, keyed by device model and method: it never averages away over samples or runs.
Where a figure comes from is in each factor's ``origin``: studies of NVML against external meters (SC24 "part-time power
measurements" and its published result matrix), and our defaults where there is no study.
"""

from wattledger.core.model import Factor, Kind, Method

# GA100, the one die whose ``power.draw`` looks at 25 ms of every 100 with every driver.
PART_TIME = frozenset({"A100", "A800", "A30"})
PART_TIME_LONG_S = 300.0

SLOW_POWER_S = 0.1
SLOW_POWER = "NVML power at 10 readings a second, integrated: taken as a part-time sensor"

# fmt: off
DATACENTRE = PART_TIME | {
    "H100", "H800", "H200", "H20", "GH200", "B100", "B200", "B300", "GB200", "GB300", "V100", "V100S", "P100", "P40",
    "P4", "T4", "T4G", "L4", "L20", "L40", "L40S", "L40G", "A2", "A10", "A10G", "A10M", "A16", "A40", "TESLA",
}
# fmt: on

# One sigma of 30 % (processor) and 40 % (board); 95 % is exp(1.96 sigma).
MODELLED = {
    "cpu": (1.80, "processor model: one sigma 30 %"),
    "gpu": (2.19, "TDP times utilisation: one sigma 40 %"),
    "accelerator": (2.19, "TDP times utilisation: one sigma 40 %, as for a GPU"),
    "dram": (2.00, "memory model: watts per installed byte"),
    "rest": (1.40, "rest of the host estimated: our default"),
}
MODELLED_ELSE = (2.00, "model without a study of its error: taken as for memory")
# Fans, boards and losses as BMC minus parts: 5 % of the whole and 10 % of the parts fall on what may be a quarter of
# the whole.
REST_BY_DIFFERENCE = (1.40, "BMC minus parts: the errors of both fall on a small difference")


def gain(kind: Kind, model: str, method: Method, duration_s: float | None = None, *, refresh_s: float = 0.0) -> Factor:
    """The gain of a sensor: value 1, and the interval that its kind, model and method deserve.

    ``duration_s``: how long was measured, where known; a part-time sensor does better over more than five minutes.
    ``refresh_s``: power that is shown ten times a second and integrated may beat with the load (a 300 ms square wave came out 18
    % high on the rig), so it is taken as part-time too.
    """
    if method == "integrated" and kind == "gpu" and refresh_s >= SLOW_POWER_S:
        long = duration_s is not None and duration_s > PART_TIME_LONG_S
        g95 = max(_board(model, method, duration_s)[0], 1.10 if long else 1.30)
        return Factor("sensor_gain", f"{kind}:{model}:{method}", 1.0, "1", "sensor", SLOW_POWER, "", method, g95)
    g95, origin = _modelled(kind) if method == "estimated" else _measured(kind, model, method, duration_s)
    return Factor("sensor_gain", f"{kind}:{model}:{method}", 1.0, "1", "sensor", origin, "", method, g95)


def _modelled(kind: Kind) -> tuple[float, str]:
    return MODELLED.get(kind, MODELLED_ELSE)


def _measured(kind: Kind, model: str, method: Method, duration_s: float | None) -> tuple[float, str]:
    if kind == "gpu":
        return _board(model, method, duration_s)
    if kind == "rest":
        return REST_BY_DIFFERENCE
    if kind in ("cpu", "dram"):
        return (
            (1.10, "RAPL: our default") if method == "counter" else (1.10, "hwmon or other power sensor: taken as RAPL")
        )
    return 1.15, "on-board sensor without an accuracy study: taken as a consumer card's"


def _board(model: str, method: Method, duration_s: float | None) -> tuple[float, str]:
    """A graphics board: gains of -8 to +13 % were measured against meters; wider where no datacentre part is known."""
    words = frozenset(model.upper().replace("-", " ").split())
    if method == "integrated" and words & PART_TIME:
        if duration_s is not None and duration_s > PART_TIME_LONG_S:
            return 1.10, "NVML power, sensor on 25 % of the time, over five minutes (SC24 study)"
        return 1.30, "NVML power, sensor on 25 % of the time, short (SC24 study)"
    if words & DATACENTRE:
        return 1.10, "NVML, datacentre card, uncalibrated"
    return 1.15, "graphics card, consumer or not recognised, uncalibrated"
