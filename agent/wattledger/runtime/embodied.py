"""What it took to make this machine, per hour of its life: from its passports where the books have them, else from cited figures.

Estimates are there at once; passports are looked for and read on a thread of their own (disks may be slow) and take their place.
"""

import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from math import exp, inf, log, sqrt
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from wattledger.core.model import Device, Factor
from wattledger.core.reserved import HOST
from wattledger.core.units import NS_PER_S
from wattledger.runtime import clock
from wattledger.runtime.books.keeper import store_class
from wattledger.runtime.books.place import folders_to_read
from wattledger.runtime.config import Config
from wattledger.runtime.warn import warn_once

if TYPE_CHECKING:
    from wattledger.accounting.assets.fold import Fleet
    from wattledger.accounting.assets.life import Life, Period
    from wattledger.core.facts import Known
    from wattledger.factors.hardware.figure import Embodied

HOURS_PER_YEAR = 8_760
LIFE_G95 = 1.4  # a service life of 3 to 6 years around 4 (carbon.md 8.3)
CLOSE_S = 2.0
PATIENCE_S = 0.05  # what reads passports lets the program begin first: it would hold the interpreter's lock for milliseconds
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
        warn_once(f"footprints {path}", f"[embodied] footprints: {first_line(wrong)}; the package's figures stand")
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


class Passports(NamedTuple):
    """What passports say: rates of what is in service here, by binding; ``replaced``: whose estimate they stand in for, in service
    or not any more; and until when (seconds since the epoch) all of it stays so, as far as the books know."""

    rates: Rates = MappingProxyType({})
    replaced: frozenset[str] = frozenset()
    until_s: float = inf


def of_passports(fleet: "Fleet", host: str, devices: Iterable[Device], spread: Container[str] = ()) -> Passports:
    """What the machines of a fleet come to on one host at the fleet's time.  ``spread``: assets that many hosts share by a key, of
    which no host can tell its part."""
    known = {device.id: device for device in devices if device.inside is None}
    rates: dict[str, Factor] = {}
    replaced: set[str] = set()
    until_s = inf
    for life in fleet.lives.values():
        replaced.update(_replaced(life, host, known))
        period = _in_service(life, fleet.until_s)
        if period is None or period.place.host != host or not period.carried_ug or life.passport.asset in spread:
            continue
        ends_s = period.start_s + period.life_left_s
        if ends_s <= fleet.until_s:
            continue
        until_s = min(until_s, ends_s)
        bindings = _bindings(period.device, period.kind, known)
        for binding in bindings:
            rate = _passport_rate(life, binding, period.carried_ug * 3600 / period.life_left_s / 1e6 / len(bindings))
            rates[binding] = rate if binding not in rates else _together(rates[binding], rate)
    return Passports(rates, frozenset(replaced), until_s)


def _in_service(life: "Life", at_s: int) -> "Period | None":
    return next((p for p in life.periods if p.start_s <= at_s and (p.end_s is None or at_s < p.end_s)), None)


def _replaced(life: "Life", host: str, known: Mapping[str, Device]) -> Iterable[str]:
    """As reports have it (``accounting.embodied.estimates``): a card's passport that card's, one of a card that says no id all the
    host's cards', one of anything else the host's; also when its life is over."""
    if life.passport.device:
        yield life.passport.device
    if host in (life.place.host, *(period.place.host for period in life.periods)):
        card = life.passport.kind in CARDS
        if not card:
            yield HOST
        if (card and not life.passport.device) or life.passport.details.get("includes") == "accelerators":
            yield from (name for name, device in known.items() if device.kind in CARDS)


def _bindings(device: str, kind: str, known: Mapping[str, Device]) -> list[str]:
    """Whose use of what pays for it: its own device's, its kind's, or the host's."""
    if device:
        return [device]
    kinds = {"dram": ("dram", "cpu"), "cpu": ("cpu",), "gpu": ("gpu",), "accelerator": ("accelerator",)}
    for component in kinds.get(kind, ()):
        alike = [name for name, one in known.items() if one.kind == component]
        if alike:
            return alike
    return [HOST]


def _passport_rate(life: "Life", binding: str, g_per_h: float) -> Factor:
    """With the interval that reports give it; things of one model by one source are off alike, so they have one origin."""
    from wattledger.accounting.embodied.figures import figure_of

    who, figure = life.passport, figure_of(life)
    low, high = (_wider(g95) if figure.assumed_life else g95 for g95 in (figure.low, figure.high))
    thing = f"{who.vendor} {who.model}".strip() if who.model else who.asset
    origin = f"passport {thing}" + (f": {who.source}" if who.source else "")
    quality = f"passport, {who.method}" if who.method else "passport"
    boundary = who.boundary or "cradle-to-gate"
    return Factor("embodied", binding, g_per_h, "gCO2e/h", boundary, origin, who.year, quality, low, g95_high=high)


def _together(one: Factor, other: Factor) -> Factor:
    """Several parts of one binding as one rate; their errors are held to be common, which is never too narrow."""
    value = one.value + other.value
    low = value / (one.value / one.g95 + other.value / other.g95)
    high = (one.value * (one.g95_high or one.g95) + other.value * (other.g95_high or other.g95)) / value
    origin = one.origin if other.origin in one.origin.split("; ") else f"{one.origin}; {other.origin}"
    return one._replace(value=value, g95=low, g95_high=high, origin=origin, quality="passports")


def merged(guessed: Rates, said: Passports) -> dict[str, Factor]:
    """A passport stands in an estimate's place; where a card's own word is for the whole host, beside the host's estimate."""
    found = {binding: rate for binding, rate in guessed.items() if binding not in said.replaced}
    for binding, rate in said.rates.items():
        found[binding] = rate if binding not in found else _together(found[binding], rate)
    return found


class Materials:
    """State: the estimates, what passports say, how often was asked, what the books looked like when they were read, and whether a
    thread reads them.  ``embody`` is told of each change, under the lock: the last word is of who asked last.

    ``environ`` says where the books are; ``None``: passports are none of this machine's (it is made up).
    """

    def __init__(self, config: Config, environ: Mapping[str, str] | None, host: str, embody: Callable[[Rates], None]) -> None:
        self._config, self._environ, self._host, self._embody = config, environ, host, embody
        self._guessed: Rates = {}
        self._said = Passports()
        self._devices: list[Device] = []
        self._lock = threading.Lock()
        self._asked = 0
        self._seen: Mapping[Path, int] | None = None
        self._reading, self._hurry = False, threading.Event()
        self._thread: threading.Thread | None = None

    def look(self, devices: Iterable[Device], config: Config | None = None) -> None:
        """Work out the rates of these devices; passports are read meanwhile, where there are any."""
        self._config = config or self._config
        self._devices = list(devices)
        guessed = estimates(self._config, self._devices)
        with self._lock:
            self._asked += 1
            self._guessed, self._seen = guessed, None
            if not self._config["embodied.enabled"]:
                self._said = Passports()
            self._embody(merged(guessed, self._said))
        self.look_again()

    def look_again(self) -> None:
        """Read the passports once more, where somebody has written in their books since or a life is over."""
        with self._lock:
            if self._reading or self._environ is None or not self._config["embodied.enabled"]:
                return
            self._reading = True
            self._thread = threading.Thread(target=self._read, name="wattledger-passports", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait a moment for what is being read: of a run of milliseconds, too, the passports are to speak."""
        self._hurry.set()
        if self._thread is not None:
            self._thread.join(timeout=CLOSE_S)

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Until nobody has asked for something else meanwhile."""
        asked, reading = -1, True
        self._hurry.wait(PATIENCE_S)
        while reading:
            asked = self._asked
            try:
                found = self._found()
            except Exception as bug:  # our mistake, and the program's day goes on
                warn_once("passports", f"passports are not read, by a bug of ours: {bug!r}; estimates stand in")
                found = None
            with self._lock:
                reading = self._reading = asked != self._asked
                if found is not None and not reading:
                    self._said, self._seen = found
                    self._embody(merged(self._guessed, self._said))

    def _found(self) -> tuple[Passports, Mapping[Path, int]] | None:
        """What the books say now, and what they look like; ``None`` where they are as they were, or cannot be read."""
        now_s = clock.now().wall_ns // NS_PER_S
        books = self._books() if self._config["embodied.enabled"] else {}
        if books == self._seen and now_s < self._said.until_s:
            return None
        if not books:
            return Passports(), books
        from wattledger.accounting.assets.books import fleet_of
        from wattledger.accounting.embodied.figures import words_of
        from wattledger.ledger.engine import LedgerError

        try:
            other, holding = _machines(list(books), now_s)
        except LedgerError as wrong:
            warn_once("passports", f"passports are not read: {wrong}; estimates stand in")
            return None
        spread = {asset for asset, said in words_of(holding).items() if "spread_over" in said}
        return of_passports(fleet_of(other, until_s=now_s), self._host, self._devices, spread), books

    def _books(self) -> Mapping[Path, int]:
        """The books that tell of machines, and when they last did.  May take long: a home may lie on a network."""
        found: dict[Path, int] = {}
        for folder in folders_to_read(self._config, self._environ or {}):
            with suppress(OSError):  # none, or not ours to read
                found[folder] = (folder / ASSETS).stat().st_mtime_ns
        return found


def _machines(places: Sequence[Path], now_s: int) -> "tuple[list[Known], list[Known]]":
    """All that books say of machines, corrections beside what they correct; and what of it was not corrected.  Raises LedgerError.

    Books of which nothing was sealed yet are read without the engine of reports, which takes 60 MB and all their rows.
    """
    from wattledger.ledger.query_standing import Link, standing

    known: list[Known] = []
    links: list[Link] = []
    for place in places:
        store = store_class().open(place, readonly=True)
        try:
            if store.start().seq:
                return _sealed(places, now_s)
            known += store.known(("asset",))
            links += [Link(one.id, one.corrects, one.recorded_s, True) for one in store.withdrawals()]
        finally:
            store.close()
    held = standing([*links, *(Link(one.id, one.corrects, one.recorded_s, False) for one in known if one.corrects)])
    other = [one for one in known if one.id not in held.gone]
    return other, [one for one in other if one.id not in held.replaced]


def _sealed(places: Sequence[Path], now_s: int) -> "tuple[list[Known], list[Known]]":
    from wattledger.ledger.books import Books, Span

    with Books(places, Span(from_s=now_s)) as books:
        return list(books.other), list(books.holding)
