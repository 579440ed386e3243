"""Every exported metric, once: a row names it, says what it means, and how its values are drawn from a snapshot.

Names and labels are for ever (contract.md, Metrics).
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Literal, NamedTuple

from wattledger.core import rows
from wattledger.core.rows import WHO, Number, Row
from wattledger.core.totals import Snapshot

__all__ = ["CATALOG", "WHO", "Metric", "Number", "Row", "number_text"]


class Metric(NamedTuple):
    """One metric.  ``name`` is Prometheus's, whole; ``unit`` is the one spelled in it, or empty.

    ``otlp_name`` and ``otlp_unit`` say the same in OpenTelemetry's words; no ``otlp_name``: there it is a resource attribute.
    ``rows`` gives label values (in the order of ``label_names``; an empty one is an absent label) and a number, sorted, no two rows
    with the same labels; what is not known has no row.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    help: str
    labels: tuple[str, ...]
    otlp_name: str
    otlp_unit: str
    rows: Callable[[Snapshot], Iterable[Row]]

    def label_names(self, snapshot: Snapshot) -> tuple[str, ...]:
        """``labels``, and those that this agent was told to export beside job and model."""
        return (*self.labels, *snapshot.label_names) if self.labels[:1] == WHO[:1] else self.labels


def number_text(value: Number) -> str:
    """The shortest decimal that is exactly the value: ``1.5``, ``0``, ``12345678901.234567``; never an exponent for energy."""
    text = format(value, "f") if isinstance(value, Decimal) else repr(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


CATALOG: tuple[Metric, ...] = (
    Metric(
        "wattledger_energy_joules_total", "counter", "joules",
        "Energy by the workload it worked for. use: active, or held (idle energy of what it holds). "
        "Over all workloads it sums to wattledger_device_energy_joules_total.",
        (*WHO, "device", "component", "method", "use"), "wattledger.energy", "J", rows.energy,
    ),
    Metric(
        "wattledger_device_energy_joules_total", "counter", "joules",
        "Energy of each device; their sum counts every joule of the host once. "
        "method: counter (an energy register), integrated (measured power), estimated (a model).",
        ("device", "component", "device_model", "method"), "hw.energy", "J", rows.device_energy,
    ),
    Metric(
        "wattledger_subdevice_energy_joules_total", "counter", "joules",
        "Energy that another device already counts (inside): never to be added to wattledger_device_energy_joules_total.",
        ("device", "component", "inside", "method"), "hw.energy", "J", rows.subdevice_energy,
    ),
    Metric(
        "wattledger_device_power_watts", "gauge", "watts",
        "Mean power of each device over the last reading period.",
        ("device", "component"), "hw.power", "W", rows.device_power,
    ),
    Metric(
        "wattledger_device_power_limit_watts", "gauge", "watts",
        "The most that the device may draw: the limit in force, where it tells.",
        ("device", "component"), "wattledger.device.power_limit", "W", rows.power_limit,
    ),
    Metric(
        "wattledger_device_temperature_celsius", "gauge", "celsius",
        "Temperature of the device, where it tells.",
        ("device", "component"), "hw.temperature", "Cel", rows.temperature,
    ),
    Metric(
        "wattledger_emissions_grams_total", "counter", "grams",
        "Location-based CO2e of the energy, at the grid factor in force when it was metered. For operations, not for reports.",
        WHO, "wattledger.emissions", "g", rows.emissions,
    ),
    Metric(
        "wattledger_embodied_emissions_grams_total", "counter", "grams",
        "CO2e that it took to make the machine, by whom its time was for, at the rate in force then. "
        "For operations, not for reports.",
        WHO, "wattledger.embodied_emissions", "g", rows.embodied,
    ),
    Metric(
        "wattledger_water_litres_total", "counter", "litres",
        "Water evaporated for the energy. source: onsite (cooling), offsite (power plants).",
        (*WHO, "source"), "wattledger.water_litres", "", rows.water,
    ),
    Metric(
        "wattledger_cost_total", "counter", "",
        "Money for the energy, PUE included, at the tariff in force when it was metered. Absent where no tariff is set.",
        (*WHO, "currency"), "wattledger.cost", "", rows.cost,
    ),
    Metric(
        "wattledger_tokens_total", "counter", "",
        "Tokens. kind: prompt (computed, without cache hits), cached, generated.",
        (*WHO, "kind"), "wattledger.tokens", "{token}", rows.tokens,
    ),
    Metric(
        "wattledger_requests_total", "counter", "",
        "Requests served.",
        WHO, "wattledger.requests", "{request}", rows.requests,
    ),
    Metric(
        "wattledger_token_energy_joules_total", "counter", "joules",
        "Energy of serving engines by what it went into. kind: prompt (computed), generated, standby, overhead (no tokens to show "
        "for it). With wattledger_token_energy_pending_joules it sums to the model's wattledger_energy_joules_total.",
        (*WHO, "component", "method", "kind"), "wattledger.token.energy", "J", rows.token_energy,
    ),
    Metric(
        "wattledger_token_energy_pending_joules", "gauge", "joules",
        "Energy of serving engines that is not divided yet: drawn since they were last read.",
        WHO, "wattledger.token.energy_pending", "J", rows.token_pending,
    ),
    Metric(
        "wattledger_token_emissions_grams_total", "counter", "grams",
        "Location-based CO2e of that energy, by kind. For operations, not for reports.",
        (*WHO, "kind"), "wattledger.token.emissions", "g", rows.token_emissions,
    ),
    Metric(
        "wattledger_energy_per_token_joules", "gauge", "joules",
        "Joules per token as of late, all components. bound: value, and low and high of the division's 95 % interval (the sensors' "
        "own gain is not in it). Absent without such tokens.",
        (*WHO, "kind", "bound"), "wattledger.energy_per_token", "J", rows.token_price,
    ),
    Metric(
        "wattledger_request_energy_joules_total", "counter", "joules",
        "Energy of settled requests by tenant: part of the prompt and generated energy above, never to be added to it. tenant: "
        "(unrecorded) for tokens whose requests nobody told of.",
        (*WHO, "tenant", "kind"), "wattledger.request.energy", "J", rows.request_energy,
    ),
    Metric(
        "wattledger_request_tokens_total", "counter", "",
        "Tokens of settled requests by tenant.",
        (*WHO, "tenant", "kind"), "wattledger.request.tokens", "{token}", rows.request_tokens,
    ),
    Metric(
        "wattledger_grid_carbon_intensity_grams_per_kwh", "gauge", "grams_per_kwh",
        "Carbon intensity of the grid. basis: average (in force for the emissions above), or marginal (what one kWh more would "
        "emit: for decisions, never for an inventory). quality live: of the slot under way, or of one that ended so lately that "
        "the next cannot be known yet.",
        ("grid_zone", "provider", "basis", "quality"), "wattledger.grid.carbon_intensity_grams_per_kwh", "", rows.grid,
    ),
    Metric(
        "wattledger_grid_carbon_intensity_age_seconds", "gauge", "seconds",
        "Age of the live figure above: time since the end of what it speaks of. Absent for an annual average.",
        ("grid_zone", "provider"), "wattledger.grid.carbon_intensity_age", "s", rows.grid_age,
    ),
    Metric(
        "wattledger_grid_carbon_intensity_forecast_grams_per_kwh", "gauge", "grams_per_kwh",
        "What the provider expects of the grid so many full hours from now; 01: the next hour. Absent where nobody forecasts.",
        ("grid_zone", "provider", "hours_ahead"), "wattledger.grid.carbon_intensity_forecast_grams_per_kwh", "", rows.forecast,
    ),
    Metric(
        "wattledger_settled_emissions_grams", "gauge", "grams",
        "CO2e by day (UTC) from the ledger, at the grid's newest figures. basis: location, or market (from contracts and residual "
        "mixes; absent where the books cannot tell it). state: provisional while they may still be revised, then settled.",
        ("day", "basis", "state"), "wattledger.settled_emissions", "g", rows.settled,
    ),
    Metric(
        "wattledger_attribution_residual_joules", "gauge", "joules",
        "Energy measured less energy handed out, by two sums that never meet: must read 0.",
        ("device",), "wattledger.attribution.residual", "J", rows.residual,
    ),
    Metric(
        "wattledger_retired_energy_joules_total", "counter", "joules",
        "Energy of workloads that ended and whose series are gone. With wattledger_energy_joules_total it sums to "
        "wattledger_device_energy_joules_total.",
        ("device", "component"), "wattledger.retired_energy", "J", rows.retired,
    ),
    Metric(
        "wattledger_coverage_ratio", "gauge", "ratio",
        "Time over which the source was read, of the time since it was opened.",
        ("source",), "wattledger.coverage_ratio", "", rows.coverage,
    ),
    Metric(
        "wattledger_source_up", "gauge", "",
        "1 while the source is read, 0 while it fails or hangs and once it is gone or was stopped.",
        ("source",), "wattledger.source.up", "", rows.source_up,
    ),
    Metric(
        "wattledger_source_read_seconds", "gauge", "seconds",
        "Length of the source's last read.",
        ("source",), "wattledger.source.read", "s", rows.source_read,
    ),
    Metric(
        "wattledger_source_errors_total", "counter", "",
        "Reads that failed.",
        ("source",), "wattledger.source.errors", "{error}", rows.source_errors,
    ),
    Metric(
        "wattledger_tick_late_seconds", "gauge", "seconds",
        "How late the last background reading began.",
        (), "wattledger.tick_late", "s", rows.tick_late,
    ),
    Metric(
        "wattledger_ledger_lag_seconds", "gauge", "seconds",
        "How long the books have not had everything that was measured. A few seconds between two commits; grows while the disk "
        "refuses or hangs, and what waits is in memory. Absent where no books are kept.",
        (), "wattledger.ledger.lag", "s", rows.ledger_lag,
    ),
    Metric(
        "wattledger_exports_total", "counter", "",
        "Deliveries of exporters that send. outcome: delivered, failed.",
        ("exporter", "outcome"), "wattledger.exports", "{export}", rows.sent,
    ),
    Metric(
        "wattledger_build_info", "gauge", "",
        "1, with the version as a label.",
        ("version",), "", "", rows.build_info,
    ),
)  # fmt: skip
