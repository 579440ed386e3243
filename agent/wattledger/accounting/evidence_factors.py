"""The factor register of a report: each factor that it used, with where it came from, and what it was laid on.

Energies and grams under each value are exact, so an auditor can multiply any of them again: uJ x ug/kWh x PUE / 3.6e12 = ug.
"""

import csv
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from wattledger.accounting.explain import Slot, slots_of
from wattledger.accounting.explain_rows import BASES, exact
from wattledger.accounting.price import Price
from wattledger.accounting.report_slots import PRICED
from wattledger.accounting.report_sums import MILLI, Sensor, Sums
from wattledger.accounting.reports import Counted, iso_time
from wattledger.factors import gains
from wattledger.factors.grid import annual, cloud

TABLE = "factors/data/grid_annual.csv"
Key = tuple[Any, ...]


def register(counted: Counted, sums: Sums) -> list[dict[str, Any]]:
    """Of a scope counted with its prices apart; ``sums``: its energy, for sensors' gains and PUEs."""
    found = [line for name, basis in BASES.items() if basis in PRICED for line in _prices(name, slots_of(counted, basis))]
    return [*found, *_pues(sums), *_sensors(sums)]


def _prices(name: str, slots: tuple[Slot, ...]) -> Iterator[dict[str, Any]]:
    """A line for each source, boundary and quality of a basis; its values by time below it."""
    lines: dict[Key, list[Slot]] = {}
    for slot in slots:
        if slot.is_priced:
            lines.setdefault(_key(slot), []).append(slot)
    for key, mine in sorted(lines.items(), key=lambda each: repr(each[0])):
        said: dict[str, Any] = {"kind": "grid", "basis": name, "unit": "ug/kWh"}
        price = mine[0].price
        said |= {"quality": "rolled-up", "cause": key[0]} if price is None else _source(price)
        said["energy_uj"] = exact(sum((slot.energy_uj for slot in mine), Fraction(0)))
        said["emitted_ug"] = exact(sum((slot.emitted_ug for slot in mine), Fraction(0)))
        said["values"] = [_value(slot) for slot in mine]
        yield said


def _key(slot: Slot) -> Key:
    """What slots of one line have in common."""
    price = slot.price
    if price is None:
        return (slot.priced_by,)
    version = "" if price.facts else price.version
    return price.zone, price.boundary, price.quality, price.cause, price.g95, price.g95_high, price.origin, version


def _source(price: Price) -> dict[str, Any]:
    said: dict[str, Any] = {"zone": price.zone} if price.zone else {}
    said |= {"boundary": price.boundary, "quality": price.quality}
    said |= {"interval_95": {"down": price.g95, "up": price.g95_high or price.g95}, "cause": price.cause}
    if price.facts:
        said |= {"origin": price.origin} if price.origin else {}
        licence = licences().get(price.origin, "")
        return said | ({"licence": licence} if licence else {})
    said |= {name: value for name, value in (("origin", price.origin), ("version", price.version)) if value}
    return said | _row(price)


def _row(price: Price) -> dict[str, Any]:
    """The table's row behind an annual average: its cause says origin|zone|version|boundary."""
    _, zone, *_ = (*price.cause.split("|"), "")
    row = _rows().get((zone, price.boundary, price.origin, price.version))
    if row is None:
        return {}
    said = {"table": TABLE, "table_sha256": digest(annual.TABLE), "row": zone, "year": row["year"], "licence": row["licence"]}
    return said | ({"not_yet_checked": True} if row["check"] == "verify" else {})


def _value(slot: Slot) -> dict[str, Any]:
    said: dict[str, Any] = {}
    price, rate = slot.price, slot.ug_per_kwh
    if price is not None:
        said |= {"start": iso_time(price.start_s), "length_s": price.length_s, "value": price.ug_per_kwh}
        said |= {"settled": price.settled} | ({"facts": list(price.facts)} if price.facts else {})
        said |= {"version": price.version} if price.facts and price.version else {}
    elif rate is not None:
        said["value"] = exact(rate)
    said |= {"pue": slot.pue_milli / MILLI} if slot.pue_milli else {}
    return said | {"energy_uj": exact(slot.energy_uj), "emitted_ug": exact(slot.emitted_ug)}


def _pues(sums: Sums) -> Iterator[dict[str, Any]]:
    """What each building's PUE was applied to; where none is known, that is an exclusion."""
    for pue_milli, energy_uj in sums.of("pue").items():
        if pue_milli:
            g95 = cloud.CONFIGURED_PUE_G95
            said = {"kind": "pue", "unit": "1", "value": pue_milli / MILLI, "origin": "said by the meter of each energy fact"}
            yield said | {"interval_95": {"down": g95, "up": g95}, "energy_uj": exact(energy_uj)}


def _sensors(sums: Sums) -> Iterator[dict[str, Any]]:
    """Gains: a factor of 1 whose error is common to all that a kind of sensor said."""
    sensors: Mapping[Sensor, Fraction] = sums.of("energy")
    for sensor, energy_uj in sensors.items():
        gain = gains.gain(sensor.component, sensor.device_model, sensor.method, float(sums.used_s))  # type: ignore[arg-type]
        said = {"kind": "sensor", "unit": "1", "value": 1.0, **sensor._asdict(), "origin": gain.origin}
        yield said | {"interval_95": {"down": gain.g95, "up": gain.g95_high or gain.g95}, "energy_uj": exact(energy_uj)}


@lru_cache(maxsize=1)
def _rows() -> dict[tuple[str, str, str, str], dict[str, str]]:
    """The rows of the annual table, by zone, boundary, source and version."""
    with open(annual.TABLE, encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(line for line in table if not line.startswith("#")))
    return {(row["zone"], row["boundary"], row["source"], row["version"]): row for row in rows}


@lru_cache(maxsize=8)
def digest(path: str) -> str:
    """The SHA-256 of a file of the package, in hex."""
    return sha256(Path(path).read_bytes()).hexdigest()


@lru_cache(maxsize=1)
def tables() -> dict[str, str]:
    """The package's tables of factors, with the SHA-256 of each."""
    folder = Path(annual.TABLE).parent
    return {f"factors/data/{path.name}": digest(str(path)) for path in sorted(folder.glob("*.csv"))}


@lru_cache(maxsize=1)
def licences() -> dict[str, str]:
    """Of what live providers say, by their names."""
    from wattledger.factors.grid import eco2mix, eia, electricitymaps, energidataservice, entsoe, file, neso, promquery, watttime

    providers = (
        eco2mix.Eco2mix, eia.Eia, electricitymaps.ElectricityMaps, energidataservice.EnergiDataService, entsoe.Entsoe, file.File,
        neso.Neso, promquery.Promquery, watttime.WattTime,
    )  # fmt: skip
    return {provider.name: provider.licence for provider in providers}
