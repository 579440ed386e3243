"""What is due, and what was booked."""

from typing import NamedTuple

from wattledger.accounting.assets.life import Period
from wattledger.accounting.embodied.made import Figure
from wattledger.ledger.query_embodied import Binding

UNMETERED = "(unmetered)"  # in times when nobody metered the machine
TRUE_UP = "(true-up)"  # what an assumption about hours on or work done leaves over, or (negative) charged too much


class Due(NamedTuple):
    """A period of an asset, and whose time it is divided by; ``None``: it serves no machine that is metered."""

    period: Period
    binding: Binding | None


class Booked(NamedTuple):
    """Micrograms of an asset that a job pays for; ``group``: the line of the report, ``None`` for what stands apart from all."""

    asset: str
    figure: Figure
    job: str
    group: tuple[str, ...] | None
    bucket_s: int | None
    ug: int
