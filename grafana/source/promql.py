"""Our counters' names, and the two questions that may be asked of a counter: how fast now, and how much in the range.

Sums are taken of what counts each joule once: devices, or workloads, never both, and never what is inside a device.
"""

ENERGY, DEVICES = "wattledger_energy_joules_total", "wattledger_device_energy_joules_total"
GRAMS, EMBODIED = "wattledger_emissions_grams_total", "wattledger_embodied_emissions_grams_total"
WATER, COST = "wattledger_water_litres_total", "wattledger_cost_total"
INTENSITY = "wattledger_grid_carbon_intensity_grams_per_kwh"
POWER, REQUESTS = "wattledger_device_power_watts", "wattledger_request_energy_joules_total"


def summed(vector: str, by: str = "") -> str:
    return f"sum by ({by}) ({vector})" if by else f"sum({vector})"


def rate(metric: str, selector: str, by: str = "") -> str:
    """A second's worth now, summed: of joules, watts."""
    return summed(f"rate({metric}{{{selector}}}[$__rate_interval])", by)


def increase(metric: str, selector: str, by: str = "") -> str:
    """All of the range, summed; who ended meanwhile is in it, for their series are still in Prometheus."""
    return summed(f"increase({metric}{{{selector}}}[$__range])", by)


def recorded(rate5m: str, selector: str, by: str = "") -> str:
    """All of the range, summed, from rates that the rules recorded each minute (deploy/prometheus/rules.yml): many times quicker.

    Of a rate a second; of one an hour this is 3600 times too much.  A job that ended is in it as long as it was recorded.
    """
    return f"60 * {summed(f'sum_over_time({rate5m}{{{selector}}}[$__range])', by)}"


def wh(joules: str) -> str:
    """Watt-hours, which Grafana scales to kWh and MWh."""
    return f"{joules} / 3600"


def hourly(metric: str, selector: str, by: str = "") -> str:
    """An hour's worth at the rate now."""
    return f"{rate(metric, selector, by)} * 3600"


def or_none(vector: str) -> str:
    """0 where no series is: for a part of a sum that is known, so that the whole stays absent where that is."""
    return f"({vector} or vector(0))"
