"""The prices in force while a session lasts: the grid's by its feed, money by the tariff's hours, the rest by the configuration."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wattledger.core.facts import IntensityFact
from wattledger.core.footprint import iso
from wattledger.core.model import Factor, Sample
from wattledger.core.units import NS_PER_S
from wattledger.runtime import clock
from wattledger.runtime.config import Config, ConfigError
from wattledger.runtime.prices import PriceList, price_list

if TYPE_CHECKING:
    from wattledger.accounting.tariffs import Tariff
    from wattledger.runtime.grid.feed import Feed

LOOK_AHEAD_S = 8 * 86_400
MICRO = 1_000_000
GRID = ("grid", "upstream")  # kinds of factor that a feed speaks of


class LivePrices:
    """State: the price list as configured and what has taken its place since, the feed, the tariff and when its rate ends.

    ``put`` hands factors to the sampler; ``ahead``: somebody looks at what the grid is to be.  Raises ConfigError with one line
    for words that are wrong.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        zone: str | None,
        put: Callable[[Iterable[Sample]], None],
        *,
        ahead: bool = False,
    ) -> None:
        self._put, self._environ, self._zone, self._ahead = put, environ, zone, ahead
        self._feed: Feed | None = None
        self._feeds = 0  # how many there were: what one that was stopped still says is not heard
        self._money: dict[str, Factor] = {}
        self._rates: Mapping[str, Factor] = {}
        self._configure(config, *self._read(config))

    def _read(self, config: Config) -> "tuple[PriceList, Tariff | None]":
        return price_list(config, self._environ, self._zone), _tariff(config)

    def _configure(self, config: Config, base: PriceList, tariff: "Tariff | None") -> None:
        self._config, self._base = config, base
        self._tariff, self._until_s = tariff, 0
        self._grid, self._grid_notes = dict[str, Factor](), tuple[str, ...]()
        # A price that is not named any more has no successor that would take its place.
        self._money = {kind: factor._replace(value=0.0, quality="unknown") for kind, factor in self._money.items()}
        self._rate()

    def now(self) -> PriceList:
        """Every factor in force, and what must be said of them."""
        notes = self._base.notes if not self._grid else (*self._grid_notes, *self._base.own_notes)
        # A provider's figure may hold the upstream part: then none of the table's stands beside it.
        base = {kind: factor for kind, factor in self._base.factors.items() if not self._grid or kind not in GRID}
        return self._base._replace(factors={**base, **self._grid, **self._money}, notes=notes, rates=self._rates)

    def embody(self, rates: Mapping[str, Factor]) -> None:
        """What it took to make each device from now on; one that is not named any more counts for nothing."""
        gone = {binding: rate._replace(value=0.0, quality="unknown") for binding, rate in self._rates.items()}
        self._rates = dict(rates)
        self._put([*({**gone, **self._rates}).values()])

    def grid_age_s(self) -> float | None:
        """How old the grid's live figure is; ``None`` where there is none."""
        standing = None if self._feed is None else self._feed.current()
        if standing is None or standing.fact is None:
            return None
        return float(standing.age_s(clock.now().wall_ns // NS_PER_S))

    def outlook(self) -> tuple[Factor | None, Mapping[int, Factor]]:
        """The grid's marginal intensity of now and what is expected of it by full hours ahead, where somebody says so."""
        return (None, {}) if self._feed is None else self._feed.outlook()

    # --- the grid ---------------------------------------------------------------------------------------------------------

    def follow(
        self,
        known: Callable[[], Iterable[IntensityFact]],
        learnt: Callable[[Sequence[IntensityFact]], None],
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Begin to follow the grid, where a provider is configured; ``known``: what the books hold, ``learnt``: what is to be
        kept."""
        self._following = known, learnt, say
        if not self._config["grid.provider"]:
            return
        from wattledger.runtime.grid.feed import Outlets, feed_of  # nothing of it is loaded by who asks nobody

        zone = self._base.factors["grid"].zone
        stands = partial(self._stands, self._feeds)
        outlets = Outlets(learnt, stands, ahead=self._ahead) if say is None else Outlets(learnt, stands, say, self._ahead)
        place = None if zone == "WORLD" else zone
        doubt_g95 = self._base.doubt_g95
        self._feed = feed_of(self._config, self._environ, outlets, zone=place, known=known(), doubt_g95=doubt_g95)
        if self._feed is not None:
            self._feed.start()

    def _stands(self, feed: int, factors: Sequence[Factor], notes: Sequence[str]) -> None:
        """A feed's word; on its thread."""
        if feed != self._feeds:
            return
        # Whoever's figure stands in: the energy was drawn in this zone, and the books say so.
        zone = self._base.factors["grid"].zone
        self._grid_notes = tuple(notes)
        before = {kind: factor for kind, factor in self.now().factors.items() if kind in GRID}
        self._grid = {factor.kind: factor._replace(zone=zone) for factor in factors}
        # What is not said any more has no successor that would take its place.
        gone = [f._replace(value=0.0, quality="unknown") for kind, f in before.items() if kind not in self._grid]
        self._put([*self._grid.values(), *gone])

    def renew(self, config: Config) -> PriceList:
        """Another configuration; a ConfigError leaves the one before in force."""
        words = self._read(config)
        self.stop()
        self._configure(config, *words)
        self.follow(*self._following)
        return self.now()

    def stop(self) -> None:
        """Ask nobody any more."""
        self._feeds += 1
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    # --- money ------------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Another hour may have another rate; costs a comparison."""
        if self._tariff is not None and clock.now().wall_ns // NS_PER_S >= self._until_s:
            self._rate()
            self._put(self._money.values())

    def _rate(self) -> None:
        if self._tariff is None:
            return
        from wattledger.accounting.tariffs import rates

        now_s = clock.now().wall_ns // NS_PER_S
        known = rates(self._tariff, now_s, now_s + LOOK_AHEAD_S)
        if known and known[0].start_s == now_s:
            rate = known[0]
            self._until_s = now_s + rate.length_s
            value, quality = rate.micro_per_kwh / MICRO, ""
        else:
            self._until_s = known[0].start_s if known else now_s + LOOK_AHEAD_S
            value, quality = 0.0, "unknown"
        times = iso(now_s * NS_PER_S), iso(self._until_s * NS_PER_S)
        unit = f"{self._tariff.currency}/kWh"
        self._money = {"tariff": Factor("tariff", "", value, unit, "", "[tariff]", "", quality, 1.0, *times)}


def _tariff(config: Config) -> "Tariff | None":
    """What ``[tariff]`` says; ``None`` where it says nothing."""
    file = str(config["tariff.file"])
    if not (config["tariff.per_kwh"] or config["tariff.hours"] or file):
        return None
    from wattledger.accounting.tariffs import tariff

    try:
        rows = Path(file).expanduser().read_text(encoding="utf-8") if file else ""
        return tariff(
            config["tariff.per_kwh"],
            str(config["tariff.hours"]),
            timezone=str(config["tariff.timezone"]),
            currency=str(config["tariff.currency"]),
            rows=rows,
        )
    except (OSError, ValueError) as wrong:
        raise ConfigError(f"[tariff]: {wrong}") from wrong
