"""Energy that a served workload got and that is not divided among its tokens yet: cells of one device, cut where its engine was
read."""

from collections import deque


class Gathered:
    """State: cells in order, each (start, end, microjoules, of these held); the last one taken from may be cut.

    Cutting is telescopic: what is taken and what is left sum to what was added, as ints.
    """

    __slots__ = ("_cells", "ends_ns", "energy_uj")

    def __init__(self) -> None:
        self._cells: deque[tuple[int, int, int, int]] = deque()
        self.energy_uj = 0
        self.ends_ns = 0

    def add(self, start_ns: int, end_ns: int, energy_uj: int, held_uj: int) -> None:
        """A cell was closed."""
        self._cells.append((start_ns, end_ns, energy_uj, held_uj))
        self.energy_uj += energy_uj
        self.ends_ns = max(self.ends_ns, end_ns)

    def take(self, until_ns: int) -> tuple[int, int]:
        """Everything up to an instant, and how much of it was held; a cell that goes on after it is cut by time."""
        energy_uj = held_uj = 0
        while self._cells and self._cells[0][0] < until_ns:
            start_ns, end_ns, uj, held = self._cells.popleft()
            if end_ns > until_ns:
                part_uj = uj * (until_ns - start_ns) // (end_ns - start_ns)
                part_held = held * (until_ns - start_ns) // (end_ns - start_ns)
                self._cells.appendleft((until_ns, end_ns, uj - part_uj, held - part_held))
                uj, held = part_uj, part_held
            energy_uj += uj
            held_uj += held
        self.energy_uj -= energy_uj
        return energy_uj, held_uj
