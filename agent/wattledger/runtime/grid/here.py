"""Which grid zone this is, by its canonical name, and how sure we are."""

from collections.abc import Mapping
from typing import NamedTuple

from wattledger.factors.grid import annual, cloud
from wattledger.runtime.config import Config
from wattledger.runtime.prices import today


class Here(NamedTuple):
    """``zone`` is ``None`` where nobody named one and no cloud's region tells it; ``doubt_g95`` where it was guessed."""

    zone: str | None
    doubt_g95: float = 1.0


def zone_here(config: Config, environ: Mapping[str, str], zone: str | None = None) -> Here:
    """The zone asked for, else the configured one, else that of the cloud's region."""
    named = zone or str(config["grid.zone"])
    if named:
        return Here(canonical(named))
    found = cloud.zone_from_environ(environ, cloud.CLOUD_INIT)
    return Here(None) if found is None else Here(found.zone, found.g95)


def canonical(zone: str) -> str:
    """``DE`` for ``germany``; what the table does not hold in capitals, as providers' zones are (``DK-DK1``)."""
    try:
        return annual.lookup(zone, today()).zone
    except annual.UnknownZone:
        return zone.strip().upper()
