"""Conversions at the edge: inside are microjoules and nanoseconds (ints), outside joules, seconds, kWh and grams.

The only place that knows 3,600,000.
"""

UJ_PER_J = 1_000_000
NS_PER_S = 1_000_000_000
J_PER_KWH = 3_600_000


def joules(energy_uj: int) -> float:
    """Microjoules as joules."""
    return energy_uj / UJ_PER_J


def seconds(duration_ns: int) -> float:
    """Nanoseconds as seconds."""
    return duration_ns / NS_PER_S


def kwh(energy_j: float) -> float:
    """Joules as kilowatt-hours."""
    return energy_j / J_PER_KWH


def energy_uj(power_uw: int, duration_ns: int) -> int:
    """Constant power over a duration, rounded half up to whole microjoules.

    Half up and not down: flooring 50 readings a second would lose 25 uJ/s for ever in one direction.
    """
    return (power_uw * duration_ns + NS_PER_S // 2) // NS_PER_S
