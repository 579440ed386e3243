"""What stands beside an evidence pack's figures: the standard controls, the register of instruments, how intervals are made."""

from typing import Any

from wattledger.accounting.instruments import claimable
from wattledger.accounting.prices_live import standing
from wattledger.accounting.report_coverage import Coverage
from wattledger.accounting.reports import iso_time
from wattledger.core.facts import CRITERIA, ContractFact
from wattledger.ledger.books import Books

UNCERTAINTY = (
    "every quantity is {value, low, high}: a 95 % interval",
    "a factor's error is log-normal, from value / g to value x g; of a product, the logarithms of g add in quadrature",
    "errors of one cause (a kind of sensor, a price's source, a PUE) are common to all that it touched and add linearly",
    "independent causes add by the moments of their log-normals, else in quadrature; rows never average a shared error away",
    "energy that a shared device may have spent for another is part of the interval of jobs and models, not of devices",
    "an annual average that prices a shorter time is wider: 2.0 for an hour, 1.8 for a day, 1.4 for a week, 1.0 for a year",
    "the interval of each factor stands beside it in the register",
)


def controls(books: Books, covered: Coverage | None) -> list[dict[str, Any]]:
    """The standard controls of an audit."""
    said: list[dict[str, Any]] = []
    if covered is not None:
        hosts = sorted({host for host, _ in covered.expected_ms})
        seen = [{"host": host, "part": part} for host in hosts if (part := covered.part([host])) is not None]
        said.append({"control": "completeness", "what": "time seen over time expected, by host", "found": seen})
    said.append({"control": "cut-off", "what": "windows are half-open, UTC; the report's ends cut them in proportion to time"})
    said.append({"control": "double counting", "what": "one meter per host, device and instant", "left_to_another": books.doubled})
    said.append({"control": "chain", "what": "open rows were held against their chain as they were read; `ledger verify` does all"})
    return said


def instruments(books: Books, as_of_s: int | None) -> list[dict[str, Any]]:
    """Every contract in force, with its serials and the verdict on each of the eight criteria, and what it may be used for."""
    sound, disclosed = claimable(books.other, as_of_s)
    lowers = {one.id: one.lowers for one in sound}
    told: dict[str, list[str]] = {}
    for each in disclosed:
        told.setdefault(each.contract, []).append(each.text)
    known = (each.known for each in standing((one for one in books.other if isinstance(one.fact, ContractFact)), as_of_s))
    return [
        _instrument(one.id, one.fact) | {"claimable": one.id in lowers, "may_lower": lowers.get(one.id, False)}
        | {"disclosed": told.get(one.fact.contract, [])}
        for one in known if isinstance(one.fact, ContractFact)
    ]  # fmt: skip


def _instrument(fact_id: str, fact: ContractFact) -> dict[str, Any]:
    verdicts = {criterion: (verdict, evidence) for criterion, verdict, evidence in fact.criteria}
    said: dict[str, Any] = {"fact": fact_id, "contract": fact.contract, "instrument": fact.instrument, "zones": list(fact.zones)}
    said |= {"start": iso_time(fact.start_s), "end": iso_time(fact.end_s), "ug_per_kwh": fact.ug_per_kwh}
    said |= {"volume_wh": fact.volume_wh} if fact.volume_wh is not None else {"volume": "all that is consumed"}
    words = ("technology", "registry", "serials", "beneficiary")
    said |= {word: value for word in words if (value := getattr(fact, word))}
    criteria = {}
    for name in (*CRITERIA, *(name for name in verdicts if name not in CRITERIA)):
        verdict, evidence = verdicts.get(name, ("unknown", ""))
        criteria[name] = {"verdict": verdict} | ({"evidence": evidence} if evidence else {})
    return said | {"criteria": criteria}
