"""Events that say energy, and the grid that these books are configured for."""

import os
from collections.abc import Sequence
from functools import cache

from wattledger.accounting.assets.passport_energy import NoGrid, with_energy
from wattledger.core.facts import AssetFact
from wattledger.core.model import Factor
from wattledger.runtime.config import Config, ConfigError
from wattledger.runtime.grid.here import zone_here
from wattledger.runtime.prices import price_list


def priced(facts: Sequence[AssetFact], config: Config) -> list[AssetFact]:
    """The facts with what their energy emitted, by the zone's annual average.  Raises BadPassport."""

    @cache
    def grid() -> Factor:
        # Of the world's average nobody knows whether it is right of this workshop.
        if zone_here(config, os.environ).zone is None:
            raise NoGrid("set [grid] zone")
        try:
            return price_list(config, os.environ).factors["grid"]
        except ConfigError as wrong:
            raise NoGrid(str(wrong)) from None

    return with_energy(facts, grid)
