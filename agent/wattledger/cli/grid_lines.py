"""Grid factors as people and programs read them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import click

from wattledger.core.footprint import factor_dict
from wattledger.core.model import Factor
from wattledger.runtime.grid.standing import instant


def factor_lines(factor: Factor, day: date, now_s: int = 0) -> list[str]:
    """Value with its interval, then where it is from, then how old."""
    name = factor.kind if factor.kind == "pue" else factor.boundary
    unit = "" if factor.unit == "1" else f" {factor.unit}"
    low, high = interval(factor)
    between = f"95 % between {digits(low)} and {digits(high)}"
    lines = [f"{name:<9} {factor.value:g}{unit}, {between}", f"          {factor.origin} {factor.version}".rstrip()]
    said = [factor.quality, *([_age(factor, day, now_s)] if factor.valid_to else []), *([factor.licence] if factor.licence else [])]
    return [*lines, f"          {', '.join(said)}"]


def digits(value: float) -> str:
    """Three digits, whole from a hundred on."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def interval(factor: Factor) -> tuple[float, float]:
    """The 95 % interval; a PUE is never below 1."""
    low = factor.value / factor.g95
    return max(1.0, low) if factor.kind == "pue" else low, factor.value * (factor.g95_high or factor.g95)


def dated(factor: Factor, day: date, now_s: int = 0) -> dict[str, Any]:
    """A factor as JSON, with its interval and its age: of an annual one in days, of a live one in seconds."""
    low, high = interval(factor)
    row = {**factor_dict(factor), "low": low, "high": high}
    if not factor.valid_to:
        return row
    return {**row, "age_s": _age_s(factor, now_s)} if _is_live(factor) else {**row, "age_days": max(0, _age_days(factor, day))}


def clock_time(at_s: int) -> str:
    """``2026-11-22 13:00``, UTC."""
    return instant(at_s)[:16].replace("T", " ")


def show(lines: Iterable[str]) -> None:
    """Indented, below a heading."""
    for line in lines:
        click.echo(f"  {line}")


def _is_live(factor: Factor) -> bool:
    """Live factors say their hours, annual ones their days."""
    return "T" in factor.valid_to


def _age(factor: Factor, day: date, now_s: int) -> str:
    if _is_live(factor):
        age_min = _age_s(factor, now_s) // 60
        until = f", which ended {age_min} min ago" if age_min else ""
        return f"of {factor.valid_from[11:16]} to {factor.valid_to[11:16]} UTC{until}"
    year = factor.valid_from[:4] if factor.valid_from[:4] == factor.valid_to[:4] else f"{factor.valid_from} to {factor.valid_to}"
    months = _age_days(factor, day) * 12 // 365
    return f"of {year}, which ended {months} months ago" if months > 0 else f"of {year}"


def _age_s(factor: Factor, now_s: int) -> int:
    ended = datetime.fromisoformat(factor.valid_to).replace(tzinfo=UTC)
    return max(0, now_s - int(ended.timestamp()))


def _age_days(factor: Factor, day: date) -> int:
    return (day - date.fromisoformat(factor.valid_to)).days
