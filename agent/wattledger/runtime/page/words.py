"""Figures and times as the pages say them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from wattledger.core.figures import digits, gram, joule, litre
from wattledger.core.uncertainty import Quantity
from wattledger.core.units import J_PER_KWH, NS_PER_S

UNKNOWN = "not known"
METHODS = {"counter": "measured (energy counter)", "integrated": "measured (power, integrated)", "estimated": "estimated (a model)"}


class Said(NamedTuple):
    """A figure with what must be said beside it: its interval, and how it was got or since when it counts."""

    name: str
    value: str
    interval: str = ""
    note: str = ""


def watt(power_w: float) -> str:
    """``1.94 kW``."""
    return f"{joule(power_w)[:-1]}W" if power_w else "0 W"


def energy(energy_j: float) -> str:
    """In kilowatt-hours from a tenth of one on, else in joules: ``1.23 kWh``, ``412 J``."""
    kwh = energy_j / J_PER_KWH
    if kwh >= 999.5:
        return f"{digits(kwh / 1000)} MWh"
    if kwh >= 0.1:
        return f"{digits(kwh)} kWh"
    return joule(energy_j) if energy_j else "0 J"


def mass(grams: float) -> str:
    """``114 mg``."""
    return gram(grams) if grams else "0 g"


def volume(litres: float) -> str:
    """``16.9 mL``."""
    return litre(litres) if litres else "0 L"


def money(amount: float, currency: str) -> str:
    """``1.23 EUR``; three digits below one."""
    return f"{amount:.2f} {currency}" if amount >= 0.995 else f"{amount:.3g} {currency}"


def percent(part: float) -> str:
    """``98.7 %``; never 100 where something is missing, and never 0 where there is something."""
    shown = part * 100
    if 99.95 <= shown < 100:
        return "over 99.9 %"
    return "under 0.1 %" if 0 < shown < 0.05 else f"{shown:.1f} %".replace(".0 %", " %")


def interval(found: Quantity, show: Callable[[float], str]) -> str:
    """``1.15 kJ to 1.36 kJ``; empty where it is a point."""
    return "" if found.low == found.high else f"{show(found.low)} to {show(found.high)}"


def span(seconds: float) -> str:
    """``12 s``, ``5 min``, ``3.2 h``, ``2.1 d``."""
    if seconds < 99.5:
        return f"{digits(seconds)} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{digits(seconds / 3600)} h" if seconds < 48 * 3600 else f"{digits(seconds / 86_400)} d"


def clock_time(wall_ns: int) -> str:
    """``12:00:03 UTC``."""
    return datetime.fromtimestamp(wall_ns / NS_PER_S, UTC).strftime("%H:%M:%S UTC")


def date_time(wall_s: float) -> str:
    """``2026-11-22 12:00 UTC``."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def iso_time(wall_s: float) -> str:
    """As ``<time datetime>`` wants it."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(name: str) -> str:
    """A user's word as text: control signs and half characters show as such and do nothing."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)
