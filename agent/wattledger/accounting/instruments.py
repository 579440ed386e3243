"""Contracts as the books have them: which may be claimed at all, which may not lower a figure, and what must be said of each."""

import re
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from wattledger.accounting.prices_live import standing
from wattledger.core.facts import CRITERIA, ContractFact, Known

Category = Literal["eac", "ppa", "supplier", "residual", "grid-average"]

UJ_PER_WH = 3_600_000_000
HOUR_S = 3600

# Two serials with a sign between them; serials hold dashes themselves, so every dash is tried.
_BETWEEN = re.compile(r"\.\.|-|/| to ")
_NUMBERED = re.compile(r"^(.*?)(\d+)$", re.DOTALL)


class Disclosure(NamedTuple):
    """What a report must say beside the figure: ``code`` for machines, ``text`` one line for readers."""

    code: str
    text: str
    zone: str = ""
    energy_uj: int = 0
    contract: str = ""


class Claimable(NamedTuple):
    """A contract that may be claimed; one that fails a criterion ``lowers`` nothing."""

    id: str
    fact: ContractFact
    lowers: bool

    @property
    def volume_uj(self) -> int | None:
        """Its volume in microjoules; ``None``: all that is consumed."""
        return None if self.fact.volume_wh is None else self.fact.volume_wh * UJ_PER_WH

    @property
    def stamped(self) -> bool:
        """Whether its own time is within one UTC hour: then it can be matched by the hour."""
        return (self.fact.end_s - 1) // HOUR_S == self.fact.start_s // HOUR_S


def claimable(known: Iterable[Known], as_of_s: int | None) -> tuple[list[Claimable], list[Disclosure]]:
    """The contracts in force as of then, in the order they were learnt, and what must be said of them.

    Corrections are applied.  A contract that was said anew (same name, zones, time and serials) counts once, as said last.
    Refused: negative rates and volumes, empty times, and serials that an earlier contract of the same registry holds already.
    """
    newest: dict[tuple[object, ...], Claimable] = {}
    said: list[Disclosure] = []
    for each in standing((one for one in known if isinstance(one.fact, ContractFact)), as_of_s):
        fact = each.known.fact
        if isinstance(fact, ContractFact):
            same = (fact.contract, fact.instrument, fact.zones, fact.start_s, fact.end_s, fact.registry, fact.serials)
            if same in newest:
                said.append(_of(fact, "said-anew", "it is in the books twice; what was said last holds"))
            newest[same] = Claimable(each.known.id, fact, all(verdict != "fail" for _, verdict, _ in fact.criteria))
    sound = []
    for one in newest.values():
        wrong = _wrong(one.fact)
        said.extend([_of(one.fact, "refused", wrong)] if wrong else _criteria(one.fact))
        if not wrong:
            sound.append(one)
    doubled = _doubled(sound)
    said.extend(_of(one.fact, "serials-twice", f"its serials are {other} too; it is not counted again") for one, other in doubled)
    refused = {one.id for one, _ in doubled}
    return [one for one in sound if one.id not in refused], list(dict.fromkeys(said))


def _of(fact: ContractFact, code: str, text: str) -> Disclosure:
    return Disclosure(code, f"contract {fact.contract}: {text}", contract=fact.contract)


def _wrong(fact: ContractFact) -> str:
    if fact.ug_per_kwh < 0:
        return "a negative rate lowers nothing; it is not used"
    if fact.volume_wh is not None and fact.volume_wh < 0:
        return "a negative volume covers nothing; it is not used"
    if fact.end_s <= fact.start_s:
        return "it ends before it begins; it is not used"
    return ""


def _criteria(fact: ContractFact) -> Iterator[Disclosure]:
    verdicts = {criterion: verdict for criterion, verdict, _ in fact.criteria}
    failed = [name for name in CRITERIA if verdicts.get(name) == "fail"]
    failed += sorted(name for name, verdict in verdicts.items() if verdict == "fail" and name not in CRITERIA)
    unknown = [name for name in CRITERIA if verdicts.get(name, "unknown") == "unknown"]
    if failed:
        yield _of(fact, "criterion-failed", f"fails {', '.join(failed)}; it may not lower the market-based figure")
    if unknown:
        yield _of(fact, "criterion-unknown", f"nobody has checked {', '.join(unknown)}")


def _doubled(sound: list[Claimable]) -> list[tuple[Claimable, str]]:
    """Those whose serials an earlier one of the same registry holds, with the earlier one's name."""
    # By registry and prefix: (from, to, whose), disjoint and sorted, so that a year of hourly certificates is no square of itself.
    held: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    found = []
    for one in sound:
        ranges = list(_ranges(one.fact.serials))
        places = [held.setdefault((one.fact.registry.casefold(), prefix), []) for prefix, _, _ in ranges]
        whose = [_holder(place, low, high) for place, (_, low, high) in zip(places, ranges, strict=True)]
        if any(whose):
            found.append((one, f"those of {next(name for name in whose if name)}"))
            continue
        for place, (_, low, high) in zip(places, ranges, strict=True):
            if not _holder(place, low, high):  # its own range twice
                insort(place, (low, high, one.fact.contract or one.id))
    return found


def _holder(held: list[tuple[int, int, str]], low: int, high: int) -> str:
    """Whose serials meet these; empty where nobody's do."""
    at = bisect_right(held, high, key=lambda each: each[0]) - 1
    return held[at][2] if at >= 0 and held[at][1] >= low else ""


Serials = tuple[str, int, int]


def _ranges(text: str) -> Iterator[Serials]:
    """``GO-0001-GO-0100, X7`` as (prefix, from, to); what bears no number is its own prefix."""
    for word in re.split(r"[,;\n]", text):
        if word.strip():
            yield _range(word.strip())


def _range(word: str) -> Serials:
    for sign in _BETWEEN.finditer(word):
        low, high = _NUMBERED.match(word[: sign.start()].strip()), _NUMBERED.match(word[sign.end() :].strip())
        if low and high and low[1] == high[1] and len(low[2]) == len(high[2]) and int(low[2]) <= int(high[2]):
            return low[1], int(low[2]), int(high[2])
    one = _NUMBERED.match(word)
    return (one[1], int(one[2]), int(one[2])) if one else (word, 0, 0)
