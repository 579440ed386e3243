"""A machine with a part, and what runs on it, for tests of embodied carbon that is explained."""

from typing import Any

from tests.accounting.made_reports import DAY_S, H, used
from tests.ledger.made import NOON_S

from wattledger.accounting.assets.words import fact
from wattledger.core.facts import EnergyFact

KG = 1000  # grams
LIFE_H = 35_040
BEFORE_S = NOON_S - 100 * DAY_S


def machine(**more: Any) -> list[Any]:
    """A server of a tonne with a GPU of 164 kg in it, in service long before."""
    return [
        fact("s1", "make", at_s=BEFORE_S, emitted_g=1000 * KG, kind="server", el_h=LIFE_H),
        fact("g1", "make", at_s=BEFORE_S, emitted_g=164 * KG, kind="gpu", inside="s1", device="GPU-1", el_h=LIFE_H, source="PCF",
             method="pcf", **more),
        fact("s1", "commission", at_s=BEFORE_S + H, host="h1"),
    ]  # fmt: skip


def ran(job: str, hour: float = 0, **more: Any) -> EnergyFact:
    """A kWh in a minute on the GPU of h1."""
    return used(1, hour=hour, **{"job": job, "device": "GPU-1", "host": "h1", **more})
