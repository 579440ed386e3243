"""What today came to (UTC): the running sums less what they were at midnight, or since the agent began."""

from collections.abc import Mapping
from typing import NamedTuple

from wattledger.core.model import Instant
from wattledger.core.totals import DeviceKey, Snapshot
from wattledger.core.units import NS_PER_S

DAY_S = 86_400
LITTLE_S = 3_600


class Sums(NamedTuple):
    """Everything since the agent began: microjoules by device and method, location-based and embodied grams, litres, money.

    A quantity that nothing is known of is empty or ``None``, never zero.
    """

    energy_uj: Mapping[DeviceKey, int]
    location_g: float | None
    embodied_g: float | None
    water_l: Mapping[str, float]
    cost: Mapping[str, float]


NOTHING = Sums({}, None, None, {}, {})


def sums_of(snapshot: Snapshot) -> Sums:
    """As the snapshot has them."""
    water_l: dict[str, float] = {}
    for (_, source), litres in snapshot.water_l.items():
        water_l[source] = water_l.get(source, 0.0) + litres
    cost: dict[str, float] = {}
    for (_, currency), money in snapshot.cost.items():
        cost[currency] = cost.get(currency, 0.0) + money
    located = sum(snapshot.emissions_g.values()) if snapshot.emissions_g else None
    made = sum(snapshot.embodied_g.values()) if snapshot.embodied_g else None
    return Sums(dict(snapshot.device_energy_uj), located, made, water_l, cost)


def less(now: Sums, before: Sums) -> Sums:
    """What came to it since."""

    def rest(one: float | None, other: float | None) -> float | None:
        return None if one is None else max(0.0, one - (other or 0.0))

    return Sums(
        {key: uj - before.energy_uj.get(key, 0) for key, uj in now.energy_uj.items()},
        rest(now.location_g, before.location_g),
        rest(now.embodied_g, before.embodied_g),
        {name: max(0.0, litres - before.water_l.get(name, 0.0)) for name, litres in now.water_l.items()},
        {name: max(0.0, money - before.cost.get(name, 0.0)) for name, money in now.cost.items()},
    )


class Today:
    """State: the day, the sums with which it began for this agent, and when that was; replaced together, never mutated."""

    def __init__(self, started: Instant) -> None:
        self._began = _day_s(started), NOTHING, started.wall_ns / NS_PER_S

    def look(self, at: Instant, snapshot: Snapshot) -> None:
        """To be asked about once a second: at the first time after midnight the day begins anew; where the clock is set back over
        midnight by little, it does not, by much, it does."""
        if _day_s(at) > self._began[0] or at.wall_ns < (self._began[0] - LITTLE_S) * NS_PER_S:
            self._began = _day_s(at), sums_of(snapshot), at.wall_ns / NS_PER_S

    def so_far(self, snapshot: Snapshot) -> tuple[Sums, float]:
        """What today came to, and since when that counts (seconds since the epoch)."""
        _, before, since_s = self._began
        return less(sums_of(snapshot), before), since_s


def _day_s(at: Instant) -> int:
    return at.wall_ns // NS_PER_S // DAY_S * DAY_S
