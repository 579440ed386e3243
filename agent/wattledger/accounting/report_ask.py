"""What is asked of a report, and by which rules it is priced."""

from datetime import UTC, datetime
from typing import Literal, NamedTuple

from wattledger.accounting.tariffs import Tariff
from wattledger.factors.hardware.figure import Embodied

HOUR_S = 3600
DAY_S = 86_400
YEAR_H = 8760
KINDS = ("job", "model", "device", "host", "day")
BUCKETS_S = {"hour": HOUR_S, "day": DAY_S}


class Ask(NamedTuple):
    """A report of ``kind``, of one ``name`` where given, over ``[from_s, to_s)``; ``by`` cuts each line by UTC hours or days,
    or a model's among those who asked it (``tenant``).

    ``as_of_s`` is said in the answer; the books were opened with it.  ``marginal``: that basis beside the others.
    """

    kind: str
    name: str | None = None
    from_s: int | None = None
    to_s: int | None = None
    by: Literal["hour", "day", "tenant"] | None = None
    as_of_s: int | None = None
    marginal: bool = False

    @property
    def bucket_s(self) -> int | None:
        """How long the pieces are that windows are cut into, ``None``: not at all."""
        return DAY_S if self.by is None and self.kind == "day" else BUCKETS_S.get(self.by or "")


def of_day(ask: Ask) -> Ask:
    """A report of one day by its name is one of that time.  Raises ValueError where the name is no date."""
    if ask.kind != "day" or ask.name is None:
        return ask
    try:
        day_s = int(datetime.strptime(ask.name, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise ValueError(f"{ask.name!r} is no day: expected a UTC date such as 2026-11-22") from None
    from_s = day_s if ask.from_s is None else max(day_s, ask.from_s)
    return ask._replace(from_s=from_s, to_s=day_s + DAY_S if ask.to_s is None else min(day_s + DAY_S, ask.to_s))


class Rules(NamedTuple):
    """``zone``: of energy whose zone the books do not say (empty: the world).  ``providers``: whose word goes first.

    ``settle_s``: after it, no revision is expected.  ``coverage_rows``: above so many rows the time seen is not worked out.
    ``wue``: litres that sites evaporate for a kWh of IT energy, 0: not known; ``hydro``: whether reservoirs' water is counted.

    ``embodied``: whether lines have their share of what made the machines, by the method ``allocation`` (``embodied.methods``), of
    which one needs ``prices``, (job, per hour); above ``embodied_rows`` rows they have not.  Without passports: ``host_kg`` that
    the host took to make (0: estimated), the service lives of hosts and of accelerators, and ``footprints``, the user's own
    figures of models.
    """

    zone: str = ""
    providers: tuple[str, ...] = ()
    settle_s: int = 72 * HOUR_S
    tariff: Tariff | None = None
    coverage_rows: int = 30_000_000
    wue: float = 0.0
    hydro: Literal["allocate", "exclude"] = "allocate"
    embodied: bool = True
    embodied_rows: int = 5_000_000
    allocation: str = "reserved"
    prices: tuple[tuple[str, float], ...] = ()
    host_kg: float = 0.0
    host_life_h: float = 5 * YEAR_H
    gpu_life_h: float = 4 * YEAR_H
    footprints: tuple[Embodied, ...] = ()
