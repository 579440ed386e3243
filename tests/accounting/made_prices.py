"""Facts made by hand for the tests of prices and scope 2."""

from datetime import datetime

from wattledger.accounting.price import Price
from wattledger.core.facts import CRITERIA, ContractFact, IntensityFact, Known, Verdict

H = 3600
KWH = 3_600_000_000_000  # microjoules
MWH = 1000 * KWH
MWH_WH = 1_000_000
LB_PER_MWH = 0.45359237  # g/kWh


def at(text: str) -> int:
    """An ISO time as seconds; UTC where it names no zone."""
    when = datetime.fromisoformat(text)
    return int((when if when.tzinfo else datetime.fromisoformat(text + "+00:00")).timestamp())


T0 = at("2026-03-01T00:00")


def known(fact: IntensityFact | ContractFact, seq: int = 1, recorded_s: int = 0, corrects: str = "") -> Known:
    return Known(f"00000000000000aa:{seq}", recorded_s, fact, corrects)


def intensity(
    start_s: int, g_per_kwh: float, length_s: int = H, *, zone: str = "DE", provider: str = "p", boundary: str = "direct"
) -> IntensityFact:
    return IntensityFact(zone, start_s, length_s, round(g_per_kwh * 1e6), provider, boundary=boundary)


def contract(name: str, volume_wh: int | None, *, failed: str = "", checked: Verdict = "pass") -> ContractFact:
    """Wind certificates of DE in 2026, all criteria checked; change what the test is about with ``_replace``."""
    criteria = tuple((criterion, "fail" if criterion == failed else checked, "") for criterion in CRITERIA)
    return ContractFact(name, "eac", ("DE",), at("2026-01-01"), at("2027-01-01"), volume_wh, 0, criteria)


def flat(zone: str, g_per_kwh: float, *, boundary: str = "direct", start_s: int = 0, end_s: int = at("2100-01-01")) -> list[Price]:
    """One price for all time."""
    return [Price(zone, start_s, end_s - start_s, round(g_per_kwh * 1e6), boundary, "made", f"{zone} made", 1.10)]
