"""A job's footprint in its comment: one line of plain text, behind what others wrote there.

Its units mean the same in lower case, which is how sacctmgr writes it down: no mega beside a milli, no ``Mg``.
"""

from collections.abc import Sequence

from wattledger.core.figures import digits
from wattledger.core.uncertainty import Quantity
from wattledger.core.units import J_PER_KWH
from wattledger.runtime.slurm.live import Found

OURS = "wattledger: "
APART = "; "
SCALES = ((J_PER_KWH, "kWh"), (J_PER_KWH / 1e3, "Wh"), (1.0, "J"))
GRAMS = ((1e6, "t"), (1e3, "kg"), (1.0, "g"), (1e-3, "mg"), (1e-6, "ug"))


def footprint(found: Found, *, so_far: bool = False, late: bool = False) -> str:
    """``wattledger: 1.25 kWh (1.15 to 1.36), 411 g CO2e, 80 % measured``.

    ``so_far``: the job still runs; ``late``: the agent began after it, so it knows the end only.
    """
    words = [f"{'at least ' if late else ''}{_energy(found.energy_j)}"]
    words += [f"{_grams(found.grams)} CO2e"] if found.grams is not None else []
    words += [f"{_percent(found.measured)} measured"]
    if found.asked > 1 or found.nodes < found.asked:
        words += [f"{found.nodes} of {found.asked} nodes" if found.nodes < found.asked else f"{found.asked} nodes"]
    words += ["so far"] if so_far else []
    words += ["the agent began after the job"] if late else []
    return OURS + ", ".join(words)


def merged(before: str, ours: str) -> str:
    """The user's words, then ours in place of what we said before."""
    kept = [part for part in before.split(APART) if part and not part.startswith(OURS)]
    return APART.join([*kept, ours] if ours else kept)


def _energy(energy_j: Quantity) -> str:
    """In the unit of the value, so that its ends are read beside it."""
    size, unit = _scale(energy_j.value, SCALES)
    value, low, high = (digits(end / size) for end in energy_j)
    return f"{value} {unit} ({low} to {high})"


def _grams(grams: float) -> str:
    size, unit = _scale(grams, GRAMS)
    return f"{digits(grams / size)} {unit}"


def _scale(value: float, scales: Sequence[tuple[float, str]]) -> tuple[float, str]:
    # 999.7 is already a thousand at three digits.
    return next((scale for scale in scales if value >= scale[0] * 0.9995), scales[-1])


def _percent(part: float) -> str:
    # 99.96 % is not all of it.
    return f"{part:.0%}".replace("%", " %") if part in (0.0, 1.0) or 0.005 <= part < 0.995 else f"{part:.1%}".replace("%", " %")
