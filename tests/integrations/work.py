"""Work of a known length, for runs whose energy is to be more than nothing, and what their footprints say."""

import time

from wattledger import Footprint


def burn(cpu_s: float) -> None:
    """Keep one core of this process busy for so many seconds of CPU time."""
    began = time.process_time()
    while time.process_time() - began < cpu_s:
        pass


def known(footprint: Footprint | None) -> Footprint:
    """A footprint that there must be."""
    assert footprint is not None
    return footprint


def joules(footprint: Footprint | None) -> tuple[float, float]:
    """A run's energy, and what of it is in no run within it."""
    found = known(footprint)
    assert found.energy_j is not None
    assert found.own_energy_j is not None
    return found.energy_j.value, found.own_energy_j.value
