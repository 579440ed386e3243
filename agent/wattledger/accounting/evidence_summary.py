"""The top of an evidence pack, for people: what was asked, what the answer is, what it stands on, and what is left out."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from wattledger.accounting.report_sums import UG_PER_G
from wattledger.core.figures import gram, joule

UG_PER_KG = 1_000_000_000
SHOWN = 6  # factors of a kind
RATIO = re.compile(r"-?\d+/[1-9]\d*")
Row = Mapping[str, Any]


def lines(pack: Row, left_out: Iterable[Row]) -> list[str]:
    """Of a pack that is complete but for this; ``left_out``: those of its exclusions that concern the answer."""
    asked, answer = pack["question"], pack["answer"]
    said = [f"question: {shlex.join(asked['command'])}"]
    said += [f"configuration: {asked['configuration']['file']}"] if "configuration" in asked else []
    said += [f"answer: {line}" for line in _headline(answer)]
    said += [f"stands on: {line}" for line in _stands(pack["factors"], _kinds(answer))]
    said += [f"left out: {each['what']}: {each['why']}" for each in left_out]
    return [*said, f"the command prints the answer as JSON, whose SHA-256 is {pack['answer_sha256']}"]


def rounded(value: Any) -> Any:
    """The same, with a float beside each exact ratio (``NAME_about``)."""
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for name, each in value.items():
            found[name] = rounded(each)
            if isinstance(each, str) and RATIO.fullmatch(each):
                found[f"{name}_about"] = float(Fraction(each))
        return found
    return [rounded(each) for each in value] if isinstance(value, list) else value


def _headline(answer: Row) -> Iterator[str]:
    if "formula" in answer:
        yield from _scored(answer)
    elif answer.get("kind") == "embodied":
        yield from _machines(answer)
    else:
        yield from _reported(answer.get("total", {}))


def _reported(total: Row) -> Iterator[str]:
    if "energy_j" not in total:
        yield "nothing was metered"
        return
    said = [_between(total["energy_j"], joule)]
    grams = total.get("emissions_g", {})
    said += [f"{name.replace('_', ' ')} {_between(each, gram)}" for name, each in grams.items() if "value" in each]
    yield ", ".join(said)


def _scored(answer: Row) -> Iterator[str]:
    rows = answer["rows"]
    for row in rows[:SHOWN]:
        score = f"{_between(row['sci_g'], gram)} CO2e" if "sci_g" in row else f"not known: {row['why']}"
        yield f"SCI of {row[answer['kind']]}, per {answer['per']}: {score}"
    yield from _more(len(rows), "scores")
    if not rows:
        yield f"nothing is booked for any {answer['kind']}"


def _machines(answer: Row) -> Iterator[str]:
    if answer["view"] == "inventory":
        for year in answer["years"]:
            whole = sum(each["emitted_ug"] for each in year["categories"])
            yield f"{year['year']}: {gram(whole / UG_PER_G)} CO2e"
        if not answer["years"]:
            yield "nothing was bought"
        return
    for method, ug in answer["charged_ug"].items():
        yield f"charged {gram(ug / UG_PER_G)} CO2e ({method})"
    total = answer["total"]
    yield f"carried at the end {total['closing_ug'] / UG_PER_KG:,.3f} kg CO2e, residual {total['residual_ug']} ug"


def _kinds(answer: Row) -> tuple[str, ...]:
    """The factors that an answer stands on: the pack has those of all that was metered meanwhile."""
    if answer.get("kind") == "embodied" and "formula" not in answer:
        return ("embodied",)
    return ("grid", "pue", "sensor", "embodied") if "formula" in answer else ("grid", "pue", "sensor", "water", "embodied")


def _stands(factors: Iterable[Row], kinds: tuple[str, ...]) -> Iterator[str]:
    """Each source once, by kind."""
    named: dict[str, list[str]] = {}
    for each in factors:
        if each["kind"] not in kinds:
            continue
        text = _named(each)
        if text not in named.setdefault(each["kind"], []):
            named[each["kind"]].append(text)
    for kind, texts in named.items():
        rest = f", and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
        yield f"{kind}: {'; '.join(texts[:SHOWN])}{rest}"


def _named(each: Row) -> str:
    if each["kind"] == "embodied":
        return " ".join(str(word) for word in (each["asset"], each["stands_on"], each.get("method", "")) if word)
    where = each.get("zone") or each.get("component") or ""
    value = f"{each['value']:g}" if each["kind"] == "pue" else ""
    words = (value, where, each.get("boundary", ""), each.get("quality", ""), each.get("origin", ""), each.get("version", ""))
    return " ".join(str(word) for word in words if word) or "rolled-up days"


def _more(count: int, what: str) -> Iterator[str]:
    if count > SHOWN:
        yield f"{count - SHOWN} more {what}"


def _between(quantity: Row, show: Any) -> str:
    return f"{show(quantity['value'])} (95 %: {show(quantity['low'])} to {show(quantity['high'])})"
