"""What a report leaves out, and how large it may be; where nothing was measured, and what was put there instead."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from wattledger.accounting.evidence_balance import Balance
from wattledger.accounting.evidence_machines import water_left_out
from wattledger.accounting.explain_rows import BASES, exact
from wattledger.accounting.price import Price
from wattledger.accounting.report_ask import Ask
from wattledger.accounting.report_coverage import Coverage
from wattledger.accounting.report_slots import PRICED
from wattledger.accounting.report_sums import UG_PER_G, UJ_PER_J, Sums
from wattledger.accounting.reports import iso_time
from wattledger.core.facts import GapFact, Known
from wattledger.ledger.books import Books

MS_PER_S = 1000
# A PUE that nobody said lies in this range: Amazon's published ones by region, 1.07 to 1.46, and the Uptime Institute's average of
# 1.56 (2024) for buildings in general.
UNKNOWN_PUE = (1.07, 1.56)

FILLS = {
    "energy": "a time in which a device drew nobody knows what is not filled: no joule is invented, coverage counts it as unseen",
    "last-known": "an intensity that is missing is the last known one for up to 6 h, with an interval that widens",
    "annual": "beyond that it is the annual average of the zone, its country or the world, with an interval for the shorter time",
    "stand-in": "where a zone has no direct factor its life-cycle one stands in, marked, and then nothing is upstream of it",
    "market": "what no contract covers is the residual mix, else, disclosed, the grid average",
}


def gaps(known: Iterable[Known], ask: Ask) -> list[dict[str, Any]]:
    """The gap facts of the time that is asked of, in order of time; ``known``: those that hold."""
    begin_ms = None if ask.from_s is None else ask.from_s * MS_PER_S
    end_ms = None if ask.to_s is None else ask.to_s * MS_PER_S
    found = [(fact.start_ms, one.id, fact) for one in known if isinstance(fact := one.fact, GapFact)]
    return [
        {"fact": fact_id, "host": gap.host, "device": gap.device, "start": iso_time(start_ms // MS_PER_S)}
        | {"length_ms": gap.end_ms - start_ms, "reason": gap.reason}
        for start_ms, fact_id, gap in sorted(found)
        if (end_ms is None or start_ms < end_ms) and (begin_ms is None or gap.end_ms > begin_ms)
    ]


def filled(sums: Sums) -> list[dict[str, Any]]:
    """How much of the energy stands on what was put in place of a missing value; by basis and quality."""
    found = []
    for name, basis in BASES.items():
        prices: Mapping[Price, Fraction] = sums.of(f"{basis} energy") if basis in PRICED else {}
        by_quality: dict[str, Fraction] = {}
        for price, energy_uj in prices.items():
            by_quality[price.quality] = by_quality.get(price.quality, Fraction(0)) + energy_uj
        found += [{"basis": name, "quality": q, "energy_uj": exact(uj)} for q, uj in sorted(by_quality.items())]
    return found


def exclusions(books: Books, found: Balance, covered: Coverage | None, ask: Ask) -> list[dict[str, Any]]:
    """What is left out of the report's time, each with why and with its size where it can be told."""
    whole = found.whole
    said = [*_unseen(found, covered), *_unpriced(whole, ask), *_without_pue(whole), *water_left_out(whole), *_left_by_books(books)]
    said.append({
        "what": "water that it took to make the hardware", "why": "no usable figure of accelerators or servers was found",
        "size_not_known": "the only account that has it is one operator's, for one model",
    })  # fmt: skip
    return said


def _unseen(found: Balance, covered: Coverage | None) -> Iterator[dict[str, Any]]:
    """Times in which a meter was there and did not see a device: at the mean power that it was seen to draw."""
    what = "energy of times in which devices were not seen"
    if covered is None:
        yield {"what": what, "why": "coverage was not worked out over so many rows", "size_not_known": "ask for a shorter time"}
        return
    drawn: dict[tuple[str, str], Fraction] = {}
    for (host, device, *_), sums in found.devices.items():
        drawn[host, device] = drawn.get((host, device), Fraction(0)) + sums.energy_uj()
    missing_ms, missed_uj = 0, Fraction(0)
    for key, expected_ms in covered.expected_ms.items():
        hole_ms, seen_ms = expected_ms - covered.seen_ms[key], covered.seen_ms[key]
        missing_ms += hole_ms
        missed_uj += drawn.get(key, Fraction(0)) * hole_ms / seen_ms if seen_ms else 0
    if missing_ms:
        whole = sum(drawn.values(), Fraction(0))
        size = {"device_seconds": missing_ms / MS_PER_S, "energy_j": float(missed_uj / UJ_PER_J)}
        size |= {"of_the_energy": float(missed_uj / whole)} if whole else {}
        why = "meters were stopped, or sensors did not answer"
        yield {"what": what, "why": why, "size": size, "by": "each device's mean power"}


def _unpriced(whole: Sums, ask: Ask) -> Iterator[dict[str, Any]]:
    energy_uj = whole.energy_uj()
    for name, basis in BASES.items():
        if basis not in PRICED or (basis == "marginal" and not ask.marginal):
            continue
        missing_uj = whole.missing(basis)
        if missing_uj:
            size = {"energy_uj": exact(missing_uj), "of_the_energy": float(missing_uj / energy_uj)}
            yield {"what": f"{name} of energy without a price", "why": _WHY.get(name, "no factor is known"), "size": size}


_WHY = {
    "upstream": "no source gives both the direct and the life-cycle factor, or the life-cycle one stands in and holds it",
    "market_based": "no contracts and no residual mix are in the books",
    "marginal": "no provider said any marginal intensity of these zones and times",
}


def _without_pue(whole: Sums) -> Iterator[dict[str, Any]]:
    energy_uj = whole.of("pue").get(0, Fraction(0))
    if not energy_uj:
        return
    size: dict[str, Any] = {"it_energy_uj": exact(energy_uj)}
    low, high = (float(energy_uj / UJ_PER_J) * (pue - 1) for pue in UNKNOWN_PUE)
    size["energy_j"] = {"low": low, "high": high}
    grams = float(whole.of("operational pue").get(0, Fraction(0)) / (1000 * 3_600_000_000_000 * UG_PER_G))
    if grams:
        size["location_based_g"] = {"low": grams * (UNKNOWN_PUE[0] - 1), "high": grams * (UNKNOWN_PUE[1] - 1)}
    by = f"a PUE of {UNKNOWN_PUE[0]} to {UNKNOWN_PUE[1]}: one cloud's published range by region, and an average of all buildings"
    yield {"what": "cooling and losses of the building", "why": "no PUE is known and none is applied", "size": size, "by": by}


def _left_by_books(books: Books) -> Iterator[dict[str, Any]]:
    """Facts that are not in the sums by the books' own rules."""
    counts: Sequence[tuple[int, str, str]] = (
        (books.doubled, "windows of programs that another meter had too", "each joule counts once: the outer meter's word holds"),
        (books.unfound, "corrected facts that are not here by themselves", "rolled up since, or of another chain"),
        (books.blurred, "sums of rolled-up hours", "part of them was known then, and their last fact was learnt later"),
    )
    for count, what, why in counts:
        if count:
            yield {"what": what, "why": why, "size": {"count": count}}
