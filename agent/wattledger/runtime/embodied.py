"""What it took to make this machine, per hour of its life: from its passports where the books have them, else from cited figures.

Estimates are there at once; passports are read from the books on a thread of their own (it loads a database) and take their place.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from math import exp, log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from wattledger.core.model import Device, Factor
from wattledger.core.reserved import HOST
from wattledger.core.units import NS_PER_S
from wattledger.runtime import clock
from wattledger.runtime.books.place import folders_to_read
from wattledger.runtime.config import Config
from wattledger.runtime.warn import warn_once

if TYPE_CHECKING:
    from wattledger.accounting.assets.life import Life
    from wattledger.factors.hardware.figure import Embodied

HOURS_PER_YEAR = 8_760
LIFE_G95 = 1.4  # a service life of 3 to 6 years around 4 (carbon.md 8.3)
CLOSE_S = 2.0
ASSETS = "assets"  # as the store calls it; imported, it would bring SQLite along
CARDS = ("gpu", "accelerator")
Rates = Mapping[str, Factor]


def estimates(config: Config, devices: Iterable[Device]) -> dict[str, Factor]:
    """Rates by device and for the ``host``, from the package's figures and what this machine says of itself."""
    if not config["embodied.enabled"]:
        return {}
    from wattledger.factors.hardware import hosts, table
    from wattledger.runtime.assets.host import host_facts

    found: dict[str, Factor] = {}
    life_h = config["embodied.gpu_life_y"] * HOURS_PER_YEAR
    own = _own(str(config["embodied.footprints"]), life_h)
    for device in devices:
        if device.kind in CARDS and device.inside is None:
            figure = own(device.model) or table.accelerator(device.model, life_h=life_h)
            found[device.id] = _rate(figure, device.id)
    here, life_h = host_facts(config), config["embodied.host_life_y"] * HOURS_PER_YEAR
    host = hosts.host(here.machine_class, here.cpus or 0, here.memory_gb or 0.0, kg=config["embodied.host_kg"], life_h=life_h)
    if host.kg > 0:
        found[HOST] = _rate(host, HOST)
    return found


def _own(path: str, life_h: float) -> Callable[[str], "Embodied | None"]:
    """model → the user's own figure.  A file that is wrong is said once, and the package's figures stand."""
    if not path:
        return lambda _model: None
    from wattledger.factors.hardware.footprints import find
    from wattledger.runtime.assets.footprints import first_line, own_figures

    try:
        figures = own_figures(path)
    except ValueError as wrong:
        warn_once("footprints", f"[embodied] footprints: {first_line(wrong)}; the package's figures stand")
        figures = ()
    return lambda model: find(figures, model, life_h=life_h)


def _rate(figure: "Embodied", binding: str) -> Factor:
    """Grams per hour; how long it will serve is an assumption of its own, independent of the figure."""
    low, high = (_wider(g95) for g95 in (figure.kg / figure.low_kg, figure.high_kg / figure.kg))
    source = f"{figure.item}: {figure.source}"
    return Factor(
        "embodied", binding, figure.g_per_h, "gCO2e/h", figure.boundary, source, figure.year, figure.method, low,
        licence=figure.licence, g95_high=high,
    )  # fmt: skip


def _wider(g95: float) -> float:
    return exp(sqrt(log(g95) ** 2 + log(LIFE_G95) ** 2))


def of_passports(lives: Iterable["Life"], host: str, devices: Iterable[Device], at_s: int) -> dict[str, Factor]:
    """Rates from passports: of what is in service on this host at a time."""
    known = {device.id: device for device in devices if device.inside is None}
    found: dict[str, Factor] = {}
    for life in lives:
        period = next((p for p in life.periods if p.start_s <= at_s and (p.end_s is None or at_s < p.end_s)), None)
        if period is None or period.place.host != host or at_s - period.start_s >= period.life_left_s:
            continue
        g_per_h = period.carried_ug * 3600 / period.life_left_s / 1e6
        bindings = _bindings(period.device, period.kind, known)
        for binding in bindings:
            rate = _passport_rate(life, binding, g_per_h / len(bindings))
            found[binding] = rate if binding not in found else _together(found[binding], rate)
    return found


def _bindings(device: str, kind: str, known: Mapping[str, Device]) -> list[str]:
    """Whose use of what pays for it: its own device's, its kind's, or the host's."""
    if device:
        return [device]
    if kind in ("cpu", "dram"):
        for component in (kind, "cpu"):
            alike = [name for name, one in known.items() if one.kind == component]
            if alike:
                return alike
    return [HOST]


def _passport_rate(life: "Life", binding: str, g_per_h: float) -> Factor:
    who = life.passport
    low = who.made_g / who.low_g if who.low_g and who.made_g else 1.0
    high = who.high_g / who.made_g if who.high_g and who.made_g else low
    origin = f"passport {who.asset}" + (f": {who.source}" if who.source else "")
    quality = f"passport, {who.method}" if who.method else "passport"
    boundary, (below, above) = who.boundary or "cradle-to-gate", (_wider(max(1.0, g95)) for g95 in (low, high))
    return Factor("embodied", binding, g_per_h, "gCO2e/h", boundary, origin, who.year, quality, below, g95_high=above)


def _together(one: Factor, other: Factor) -> Factor:
    """Several parts of one binding as one rate; their errors are held to be common, which is never too narrow."""
    value = one.value + other.value
    low = value / (one.value / one.g95 + other.value / other.g95) if value else one.g95
    high = (one.value * one.g95_high + other.value * other.g95_high) / value if value else one.g95_high
    return one._replace(value=value, g95=low, g95_high=high, origin=f"{one.origin}; {other.origin}", quality="passports")


def merged(guessed: Rates, said: Rates, devices: Iterable[Device]) -> dict[str, Factor]:
    """A passport takes the estimate's place: one for a card that card's, one for anything else the whole host's."""
    cards = {device.id for device in devices if device.kind in CARDS}
    others = any(binding not in cards for binding in said)
    return {**{b: rate for b, rate in guessed.items() if b not in said and not (b == HOST and others)}, **said}


class Materials:
    """State: the estimates, what passports say, and the thread that reads them.  ``embody`` is told of each change.

    ``environ`` says where the books are; ``None``: passports are none of this machine's (it is made up).
    """

    def __init__(self, config: Config, environ: Mapping[str, str] | None, host: str, embody: Callable[[Rates], None]) -> None:
        self._config, self._environ, self._host, self._embody = config, environ, host, embody
        self._said: Rates = {}
        self._devices: list[Device] = []
        self._read_at: list[int] = []
        self._thread: threading.Thread | None = None

    def look(self, devices: Iterable[Device], config: Config | None = None) -> None:
        """Work out the rates of these devices; passports are read meanwhile, where there are any."""
        self._config = config or self._config
        here = self._devices = list(devices)
        self._read_at = self._marks()
        if not self._config["embodied.enabled"]:
            self._embody({})
            return
        guessed = estimates(self._config, here)
        self._embody(merged(guessed, self._said, here))
        if self._read_at and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._read, args=(guessed, here), name="wattledger-passports", daemon=True)
            self._thread.start()

    def look_again(self) -> None:
        """Read the passports once more where somebody has written in their books since."""
        if self._config["embodied.enabled"] and self._marks() != self._read_at:
            self.look(self._devices)

    def _marks(self) -> list[int]:
        return [(folder / ASSETS).stat().st_mtime_ns for folder in self._places()]

    def _places(self) -> list[Path]:
        """Books that tell of machines."""
        folders = [] if self._environ is None else folders_to_read(self._config, self._environ)
        return [folder for folder in folders if (folder / ASSETS).exists()]

    def close(self) -> None:
        """Nothing is read any more; waits a moment for what is."""
        if self._thread is not None:
            self._thread.join(timeout=CLOSE_S)

    def _read(self, guessed: Rates, devices: list[Device]) -> None:
        places = self._places()
        from wattledger.accounting.assets.books import fleet_of
        from wattledger.ledger.books import Books
        from wattledger.ledger.engine import LedgerError

        now_s = clock.now().wall_ns // NS_PER_S
        try:
            with Books(places, None) as books:
                fleet = fleet_of(books.other, until_s=now_s)
        except LedgerError:
            return  # whoever keeps these books says what is wrong with them
        self._said = of_passports(fleet.lives.values(), self._host, devices, now_s)
        if self._said:
            self._embody(merged(guessed, self._said, devices))
