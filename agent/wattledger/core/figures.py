"""Figures as people read them: three digits, and a prefix that leaves one to three of them before the point."""

from collections.abc import Callable, Iterable

from wattledger.core.uncertainty import Quantity


def joule(value: float) -> str:
    """Joules at three digits: ``1.25 kJ``."""
    return _scaled(value, "J", ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u")))


def gram(value: float) -> str:
    """Grams at three digits: ``114 mg``."""
    return _scaled(value, "g", ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")))


def litre(value: float) -> str:
    """Litres at three digits: ``16.9 mL``."""
    return _scaled(value, "L", ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")))


def _scaled(value: float, unit: str, prefixes: Iterable[tuple[float, str]]) -> str:
    for size, prefix in prefixes:
        # 999.7 is already a thousand at three digits.
        if abs(value) >= size * 0.9995:
            return f"{digits(value / size)} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def digits(value: float) -> str:
    """Three digits, and never 1e+03."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def span_of(quantity: Quantity, show: Callable[[float], str]) -> str:
    """``1.25 kJ (1.15 kJ to 1.36 kJ)``."""
    return f"{show(quantity.value)} ({show(quantity.low)} to {show(quantity.high)})"
