"""The energy of a refurbishment or a repair → what it emitted, where its kilograms are not said."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from wattledger.accounting.assets.passport_fields import BadPassport, pairs, plain
from wattledger.core.facts import AssetFact
from wattledger.core.model import Factor

OF_ENERGY: Final = frozenset(("refurbish", "repair"))


class NoGrid(ValueError):
    """Nobody said which grid the energy came from, or there is no such zone; the message says which."""


def with_energy(facts: Sequence[AssetFact], grid: Callable[[], Factor]) -> list[AssetFact]:
    """The facts, and of those that say ``energy_kwh`` and no kilograms what that energy emitted: kWh x the grid's grams per kWh,
    in whole grams, with the figure and its ``source`` among the details.

    ``grid`` is asked where one needs it, and may raise NoGrid.  Raises BadPassport, one line for each event.
    """
    wrong: list[str] = []
    found = []
    for fact in facts:
        said = dict(fact.details)
        if fact.event in OF_ENERGY and fact.emitted_g is None and "energy_kwh" in said:
            try:
                fact = _emitted(fact, said, grid)
            except NoGrid as why:
                wrong.append(f"{fact.event} of {fact.asset}: energy_kwh needs a grid: {why}, or say its 'kg'")
        found.append(fact)
    if wrong:
        raise BadPassport(wrong)
    return found


def _emitted(fact: AssetFact, said: dict[str, str], grid: Callable[[], Factor]) -> AssetFact:
    if "g_per_kwh" not in said:  # else somebody knows better
        factor = grid()
        own = f"grid {factor.zone}: {factor.origin} {factor.version}, {factor.boundary}"
        source = "; ".join(filter(None, (said.get("source"), own)))
        said = {**said, "g_per_kwh": plain(Decimal(str(factor.value))), "source": source}
    emitted_g = round(Decimal(said["energy_kwh"]) * Decimal(said["g_per_kwh"]))
    return fact._replace(emitted_g=emitted_g, details=pairs(said))
