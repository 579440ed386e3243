"""One figure of embodied carbon, with where it came from and how sure it is."""

from typing import NamedTuple


class Embodied(NamedTuple):
    """Kilograms CO2e that it emitted to make one thing; ``low_kg`` to ``high_kg`` is the 95 % interval, not always symmetric.

    ``method``: ``pcf`` (the vendor's product footprint), ``published``, ``bottom-up``, ``class`` (others of its kind), ``nearest``
    (of its family), ``declared`` (by the user).  ``life_h``: the service life that it is spread over, a stated assumption.
    ``note``: what a reader of the figure must be told, or empty.
    """

    item: str
    kind: str
    kg: float
    low_kg: float
    high_kg: float
    boundary: str
    method: str
    source: str
    year: str
    licence: str
    life_h: float
    note: str = ""

    @property
    def g_per_h(self) -> float:
        """Grams for each hour of its life."""
        return self.kg * 1000 / self.life_h
