"""The page's figures as words: tiles, devices, grid and sensors, each with how it was got and, where known, its interval."""

from datetime import datetime
from typing import NamedTuple, get_args

from wattledger.core.model import Device, Factor, Kind
from wattledger.core.pricing import OF_THE_HOUR
from wattledger.core.rows import device_power
from wattledger.core.totals import Snapshot
from wattledger.core.units import NS_PER_S, UJ_PER_J
from wattledger.runtime.page import words
from wattledger.runtime.page.board import Board, Latest
from wattledger.runtime.page.earlier import Earlier
from wattledger.runtime.page.figures import emitted_g, energy_j, measured, reads
from wattledger.runtime.page.today import DAY_S, Sums
from wattledger.runtime.page.words import Said, plain


class DeviceLine(NamedTuple):
    """One device; texts are as they are shown, ``bar`` is a part of the widest (percent, ``None``: no power is known)."""

    id: str
    model: str
    kind: str
    power: str
    bar: float | None
    limit: str
    temperature: str
    energy: str
    interval: str
    method: str
    residual: str


class SourceLine(NamedTuple):
    """One source of readings."""

    name: str
    up: bool
    coverage: str
    read: str
    errors: int
    last_error: str


KINDS = ("node", *(kind for kind in get_args(Kind) if kind != "node"))


def power_w(snapshot: Snapshot) -> float | None:
    """Everything that is measured and inside nothing; ``None`` where no device tells."""
    rows = [float(watts) for _, watts in device_power(snapshot)]
    return sum(rows) if rows else None


def tiles(board: Board, latest: Latest, earlier: Earlier | None) -> list[Said]:
    """The large figures; what is not known is not there, except power and energy, whose absence is said."""
    snapshot = latest.final
    drawn_w = power_w(snapshot)
    count = len([d for d in snapshot.power_uw if snapshot.devices[d].inside is None])
    note = f"{count} device{'' if count == 1 else 's'}, mean of the last reading period"
    found = [Said("Power now", words.UNKNOWN if drawn_w is None else words.watt(drawn_w), note=note)]
    found += _of_today(board, latest, earlier)
    parts = reads(snapshot.device_energy_uj, snapshot.devices)
    part = measured(parts)
    if part is not None:
        estimated = sorted({read.kind for read in parts if read.method == "estimated" and read.energy_uj})
        note = f"{', '.join(estimated)}: a model's answer" if estimated else "every joule was read from a sensor"
        found.append(Said("Measured", words.percent(part), note=f"of the energy since the agent began; {note}"))
    rest_j = sum(abs(uj) for uj in snapshot.residual_uj.values()) / UJ_PER_J
    found.append(Said("Residual", words.energy(rest_j), note="measured less handed out, all devices; must read 0"))
    return found


def _of_today(board: Board, latest: Latest, earlier: Earlier | None) -> list[Said]:
    snapshot = latest.final
    sums, since_s = board.today.so_far(snapshot)
    length_s = max(1.0, latest.at.wall_ns / NS_PER_S - since_s)
    since = _since(since_s, latest, board.about.started.wall_ns / NS_PER_S)
    whole = since
    parts = reads(sums.energy_uj, snapshot.devices)
    grams = sums.location_g
    if earlier is not None and earlier.since_s < _midnight_s(latest):
        earlier = None  # it was read before midnight, and is yesterday's
    if earlier is not None and earlier.parts:
        parts = [*parts, *earlier.parts]
        grams = None if grams is None or earlier.grams is None else grams + earlier.grams
        whole = f"since {words.clock_time(int(earlier.since_s) * NS_PER_S)}: the books up to this agent's start, then live"
    energy = energy_j(parts, length_s)
    found = [Said("Energy today", words.energy(energy.value), words.interval(energy, words.energy), whole)]
    grid = snapshot.grid
    if grams is not None and grid is not None:
        emitted = emitted_g(grams, energy, grid, length_s)
        about = f"{whole}; location-based, {grid.boundary}"
        found.append(Said("CO2e today", words.mass(grams), words.interval(emitted, words.mass), about))
    return found + _beside(sums, since)


def _beside(sums: Sums, since: str) -> list[Said]:
    found = []
    if sums.embodied_g is not None:
        found.append(Said("Embodied today", words.mass(sums.embodied_g), note=f"{since}; CO2e of making the machine, its share"))
    for source, litres in sorted(sums.water_l.items()):
        where = "at power plants" if source == "offsite" else "at this site"
        found.append(Said(f"Water today, {source}", words.volume(litres), note=f"{since}; evaporated {where}"))
    found += [Said("Cost today", words.money(money, plain(currency)), note=since) for currency, money in sorted(sums.cost.items())]
    return found


def _since(since_s: float, latest: Latest, started_s: float) -> str:
    if 0 <= since_s - _midnight_s(latest) < 5:
        return "since 00:00 UTC"
    whose = "the agent's start" if since_s == started_s else "when the clock was set, or the machine woke"
    return f"since {words.clock_time(int(since_s * NS_PER_S))} ({whose})"


def _midnight_s(latest: Latest) -> int:
    return latest.at.wall_ns // NS_PER_S // DAY_S * DAY_S


def devices(snapshot: Snapshot, length_s: float) -> list[DeviceLine]:
    """Those that are inside nothing, by kind and name: a line stays where it is."""
    outer = [device for device in snapshot.devices.values() if device.inside is None]
    widest_uw = max((snapshot.power_uw.get(device.id, 0) for device in outer), default=0)
    order = sorted(outer, key=lambda device: (KINDS.index(device.kind), device.id))
    return [_device(device, snapshot, widest_uw, length_s) for device in order]


def _device(device: Device, snapshot: Snapshot, widest_uw: int, length_s: float) -> DeviceLine:
    uw = snapshot.power_uw.get(device.id)
    said = snapshot.conditions.get(device.id)
    own = {key: uj for key, uj in snapshot.device_energy_uj.items() if key[0] == device.id}
    energy = energy_j(reads(own, snapshot.devices), length_s)
    limit_uw = None if said is None else said.limit_uw
    warm_mc = None if said is None else said.temperature_mc
    residual_uj = snapshot.residual_uj.get(device.id, 0)
    return DeviceLine(
        plain(device.id), plain(device.model), device.kind,
        words.UNKNOWN if uw is None else words.watt(uw / UJ_PER_J),
        None if uw is None or not widest_uw else max(0.0, 100 * uw / widest_uw),
        "" if limit_uw is None else words.watt(limit_uw / UJ_PER_J),
        "" if warm_mc is None else f"{warm_mc / 1000:.0f} °C",
        words.energy(energy.value) if own else words.UNKNOWN, words.interval(energy, words.energy),
        ", ".join(words.METHODS[method] for _, method in sorted(own)),
        words.energy(abs(residual_uj) / UJ_PER_J),
    )  # fmt: skip


def grid(snapshot: Snapshot, now_s: int) -> list[Said]:
    """What the grid's kWh stand for, where that is from, how old and how sure."""
    found = []
    if snapshot.grid is not None:
        found.append(_grid("Carbon intensity", snapshot.grid, now_s))
    if snapshot.marginal is not None:
        found.append(_grid("Marginal intensity", snapshot.marginal, now_s))
    cleanest = min(snapshot.forecast.items(), key=lambda each: (each[1].value, each[0]), default=None)
    if cleanest is not None:
        hours, factor = cleanest
        note = f"in {hours} h; {plain(factor.origin)}'s forecast of the next {max(snapshot.forecast)} h"
        found.append(Said("Lowest expected", per_kwh(factor.value), note=note))
    return found


def per_kwh(value: float) -> str:
    """``329 g/kWh``."""
    return f"{value:.3g} g/kWh" if value < 999.5 else f"{value:.0f} g/kWh"


def _grid(name: str, factor: Factor, now_s: int) -> Said:
    factor = as_booked(factor, now_s)
    low, high = factor.value / factor.g95, factor.value * (factor.g95_high or factor.g95)
    zone = "no zone set: the world's average" if factor.zone == "WORLD" else f"zone {plain(factor.zone)}"
    source = " ".join(plain(word) for word in (factor.origin, factor.version) if word)
    note = f"{zone}; {factor.boundary}, {factor.quality}; {_age(factor, now_s)}; {source}"
    return Said(name, per_kwh(factor.value), f"{per_kwh(low)} to {per_kwh(high)}" if low < high else "", note)


def as_booked(factor: Factor, now_s: int) -> Factor:
    """As the books price this moment: when its slot is over and the next is not told of, a live value is the last known.

    The agent calls it live for two more rounds of asking, lest the label changes at each slot; that is no surer for it.
    """
    end_s = _end_s(factor)
    if factor.quality not in ("live", "live-estimated") or end_s is None or now_s < end_s:
        return factor
    from wattledger.accounting.prices import HELD_DRIFT_G95, HELD_G95, HOLD_S, HOLD_STEP_S
    from wattledger.runtime.grid.standing import combined_g95

    steps = -(-max(1, now_s - end_s) // HOLD_STEP_S)
    g95 = combined_g95(max(HELD_G95, factor.g95), HELD_DRIFT_G95 ** (steps * HOLD_STEP_S / HOLD_S))
    return factor._replace(quality="last-known", g95=g95)


def _end_s(factor: Factor) -> int | None:
    """Of the slot that it speaks of; ``None`` where it is of years, or nobody said."""
    if factor.quality not in OF_THE_HOUR or not factor.valid_to:
        return None
    return round(datetime.fromisoformat(factor.valid_to).timestamp())


def _age(factor: Factor, now_s: int) -> str:
    end_s = _end_s(factor)
    if end_s is None:
        return "its time is not known" if factor.quality in OF_THE_HOUR else "no live figure"
    slot = f"of {factor.valid_from[11:16]} to {factor.valid_to[11:16]} UTC"
    return slot if now_s < end_s else f"{slot}, {words.span(now_s - end_s)} ago"


def sources(snapshot: Snapshot) -> list[SourceLine]:
    """How each source of readings fares, those that are down first."""
    found = []
    for name, health in sorted(snapshot.health.items(), key=lambda each: (each[1].up, each[0])):
        coverage = "" if health.coverage is None else words.percent(min(1.0, health.coverage))
        read = f"{health.read_s * 1000:.3g} ms"
        found.append(SourceLine(plain(name), health.up, coverage, read, health.errors, plain(health.last_error)))
    return found


def status(snapshot: Snapshot, overdue_since: str = "") -> str:
    """One line that changes only when something has: what a screen reader is told of.  ``overdue_since``: figures of then are all
    that there is, though they ought to be newer."""
    down = sorted(plain(name) for name, health in snapshot.health.items() if not health.up)
    off = sorted(plain(device) for device, uj in snapshot.residual_uj.items() if uj)
    parts = [f"Not read: {', '.join(down)}." if down else "All sources are read."]
    if overdue_since:
        parts = [f"No new figures since {overdue_since}: the agent does not get to read its sensors."]
    if off:
        parts.append(f"Measured and handed out energy differ on {', '.join(off)}: a bug; please report it.")
    return " ".join(parts)
