"""Machines with passports, and what ran on them, for the tests of embodied carbon."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.ledger.made import NOON_S, key

from wattledger.accounting.embodied.booking import Embodieds, Ready
from wattledger.accounting.embodied.methods import Method
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.core.facts import AssetFact, EnergyFact
from wattledger.ledger.books import Books, Span

H, DAY_S = 3600, 86_400
HOST, GPU = "gpu-7", "GPU-00000000"
UG = 1_000_000  # in a gram
PRICES = {"job-0": 3.0, "b": 1.0, "*": 0.5}
METHODS: tuple[Method, ...] = ("reserved", "time", "physical", "economic")


def at(hours: float) -> int:
    """So many hours after noon."""
    return NOON_S + round(hours * H)


def event(asset: str, what: str, hours: float, emitted_g: int | None = None, *, inside: str = "", **details: str) -> AssetFact:
    """An event in the life of an asset."""
    return AssetFact(asset, what, at(hours), emitted_g, inside, "", tuple(sorted(details.items())))


def server(name: str = "srv", *, g: int = 1_000_000, host: str = HOST, hours: float = -100, **more: str) -> list[AssetFact]:
    """A server in service on a host: by default a ton over four years."""
    words = {"kind": "server", "method": "pcf", "source": "vendor", "model": "R1", "el_h": "35040"} | more
    return [event(name, "make", hours - 24, g, **words), event(name, "commission", hours, host=host)]


def card(name: str = "card", *, inside: str = "srv", g: int = 164_000, hours: float = -100, device: str = GPU) -> list[AssetFact]:
    """A GPU in a machine."""
    words = {"kind": "gpu", "method": "pcf", "source": "vendor", "model": "H100", "el_h": "35040", "device": device}
    return [event(name, "make", hours - 24, g, **words), event(name, "install", hours, inside=inside)]


def ran(joules: float, *, minutes: Iterable[int] = range(60), length_s: int = 60, **more: Any) -> list[EnergyFact]:
    """So many joules in each of these minutes after noon."""
    seen_ms = more.pop("seen_ms", length_s * 1000)
    of = key(pue_milli=1000)._replace(**more)
    return [EnergyFact(of, NOON_S + 60 * minute, length_s, seen_ms, round(joules * 1_000_000)) for minute in minutes]


def booked(place: Path, method: Method = "reserved", ask: Ask | None = None, rules: Rules | None = None) -> Embodieds:
    """What machines booked, by a method."""
    ask = ask or Ask("job")
    with Books([place], Span(ask.from_s, ask.to_s, ask.as_of_s)) as opened:
        return Ready(opened, ask, rules or Rules()).by(method, PRICES)


def by_job(found: Embodieds, asset: str | None = None) -> dict[str, int]:
    """Micrograms of an asset, or of all, by job."""
    sums: dict[str, int] = {}
    for one in found.booked:
        if asset in (None, one.asset):
            sums[one.job] = sums.get(one.job, 0) + one.ug
    return sums


def owed(found: Embodieds) -> Mapping[str, int]:
    """What each asset books in the span, by its own account."""
    span = found.span
    sums = {name: life.booked_ug(span.from_s, span.to_s) for name, life in found.fleet.lives.items()}
    return {name: ug for name, ug in sums.items() if ug}


def charged(found: Embodieds) -> dict[str, int]:
    """What was charged of each asset with a passport."""
    sums: dict[str, int] = {}
    for one in found.booked:
        if one.figure.stands == "passport":
            sums[one.asset] = sums.get(one.asset, 0) + one.ug
    return {asset: ug for asset, ug in sums.items() if ug}
