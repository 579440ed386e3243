"""A supplier's product footprint in the form of PACT v3 (WBCSD, Technical Specification 3) → what a thing emitted.

Decimals are strings there.  The figure is ``pcfExcludingBiogenicUptake``, cradle to gate, in kilograms CO2e for each declared unit:
a piece, or a kilogram of a thing whose mass is known.  Its 95 % interval is by its data quality ratings (pedigree, basic
uncertainty of CO2 1.05), else by the standard that it follows (carbon footprints of products by ISO 14067 1.5, others 2).
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from math import exp, log, sqrt
from typing import Any, NamedTuple

from wattledger.accounting.assets.passport_fields import BadPassport, clipped, nearest
from wattledger.factors.hardware.figure import Embodied

# v3's names, and what the older specification calls them: some still send those.
V2_NAMES: Mapping[str, str] = {
    "pcfExcludingBiogenicUptake": "pCfExcludingBiogenic", "pcfIncludingBiogenicUptake": "pCfIncludingBiogenic",
    "declaredUnitOfMeasurement": "declaredUnit", "declaredUnitAmount": "unitaryProductAmount",
    "crossSectoralStandards": "crossSectoralStandardsUsed", "ipccCharacterizationFactors": "characterizationFactors",
}  # fmt: skip
UNITS = ("liter", "kilogram", "cubic meter", "kilowatt hour", "megajoule", "ton kilometer", "square meter", "piece", "hour",
         "megabit second")  # fmt: skip
BASIC = 1.05  # the basic uncertainty of CO2
G95 = {"iso": 1.5, "other": 2.0}
# Pedigree: score → multiplicative half-width; what the tables leave out lies between its neighbours.
PEDIGREE: Mapping[str, Mapping[int, float]] = {
    "temporalDQR": {1: 1.00, 2: 1.03, 3: 1.10, 4: 1.20, 5: 1.50},
    "geographicalDQR": {1: 1.00, 2: 1.01, 3: 1.02, 5: 1.10},
    "technologicalDQR": {1: 1.00, 3: 1.20, 4: 1.50, 5: 2.00},
}

_DECIMAL = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BadFootprint(BadPassport):
    """The footprint cannot be taken; one line for each mistake, with its place."""


class Pact(NamedTuple):
    """``kg`` in decimal; ``evidence``: its id and the SHA-256 of its text; ``warnings``: one line each."""

    embodied: Embodied
    kg: Decimal
    evidence: str
    warnings: tuple[str, ...]


class Thing(NamedTuple):
    """What the footprint is said to be of: its mass, when it was bought, its kind, and the life it is spread over."""

    mass_kg: Decimal | None = None
    bought_s: int | None = None
    kind: str = "other"
    life_h: float = 0.0


def read(text: str, name: str, thing: Thing = Thing()) -> Pact:  # noqa: B008 - frozen
    """A ``ProductFootprint``, alone or in ``{"data": …}`` as the API answers.  Raises BadFootprint with every mistake."""
    try:
        found = json.loads(text.removeprefix("\ufeff"), parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        raise BadFootprint([f"{name}: not JSON"]) from None
    if isinstance(found, dict) and isinstance(found.get("data"), dict) and "pcf" not in found:
        found = found["data"]
    return of(found, name, thing, sha256=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest())


def of(found: object, name: str, thing: Thing = Thing(), *, sha256: str = "") -> Pact:  # noqa: B008 - frozen
    """The same of an object that is parsed already; its hash is that of its canonical JSON."""
    if not isinstance(found, Mapping):
        raise BadFootprint([f"{name}: expected a PACT v3 ProductFootprint, an object"])
    wrong: list[str] = []
    warnings: list[str] = []
    top = _checked(found, _TOP, f"{name}: ", wrong)
    inner = found.get("pcf")
    pcf = _checked(inner, _PCF, f"{name}: pcf.", wrong) if isinstance(inner, Mapping) else {}
    if "pcf" in found and not isinstance(inner, Mapping):
        wrong.append(f"{name}: pcf: expected an object")
    if not wrong:
        wrong += [f"{name}: {what}" for what in _sense(top, pcf, thing)]
    if wrong:
        raise BadFootprint(wrong)
    kg = pcf["pcfExcludingBiogenicUptake"]
    if pcf["declaredUnitOfMeasurement"] == "kilogram":
        kg *= thing.mass_kg or Decimal(0)
    warnings += [f"{name}: {what}" for what in _doubts(top, pcf, thing)]
    sha256 = sha256 or hashlib.sha256(_canonical(found).encode("utf-8", "replace")).hexdigest()
    evidence = f"pact:{top['id']} sha256:{sha256}"
    return Pact(_embodied(top, pcf, thing, float(kg)), kg, evidence, tuple(warnings))


def pedigree_g95(dqi: Mapping[str, Decimal]) -> float:
    """The multiplicative half-width of the 95 % interval that data quality ratings of 1 to 5 come to (pedigree matrix)."""
    logs = [log(BASIC)] + [_log_of(PEDIGREE[indicator], float(score)) for indicator, score in dqi.items()]
    return exp(sqrt(sum(each * each for each in logs)))


def _log_of(scores: Mapping[int, float], score: float) -> float:
    """The logarithm at a score, straight between the two nearest that the table has."""
    low = max(each for each in scores if each <= score)
    high = min(each for each in scores if each >= score)
    if low == high:
        return log(scores[low])
    share = (score - low) / (high - low)
    return log(scores[low]) * (1 - share) + log(scores[high]) * share


def _embodied(top: Mapping[str, Any], pcf: Mapping[str, Any], thing: Thing, kg: float) -> Embodied:
    dqi = pcf.get("dqi") or {}
    by_iso = any("14067" in standard for standard in pcf["crossSectoralStandards"])
    g95 = pedigree_g95(dqi) if dqi else G95["iso" if by_iso else "other"]
    how = "interval by its data quality ratings" if dqi else f"interval by its standard ({g95:g})"
    including = pcf["pcfIncludingBiogenicUptake"]
    apart = f"; {including:f} kg/unit with biogenic uptake" if including != pcf["pcfExcludingBiogenicUptake"] else ""
    return Embodied(
        top["productNameCompany"],
        thing.kind,
        kg,
        kg / g95,
        kg * g95,
        "cradle-to-gate",
        "pcf",
        f"{top['companyName']}, PACT {top['specVersion']} footprint {top['id']}",
        pcf["referencePeriodEnd"].strftime("%Y"),
        "the supplier's own",
        thing.life_h,
        f"{how}{apart}",
    )


def _sense(top: Mapping[str, Any], pcf: Mapping[str, Any], thing: Thing) -> list[str]:
    """What cannot be, of values that can each be read."""
    wrong = []
    unit = pcf["declaredUnitOfMeasurement"]
    if unit == "kilogram" and not thing.mass_kg:
        wrong.append("pcf: it is per kilogram; say the thing's mass_kg")
    elif unit not in ("piece", "kilogram"):
        wrong.append(f"pcf.declaredUnitOfMeasurement: hardware is counted by piece or kilogram, not by {unit}")
    if pcf["pcfExcludingBiogenicUptake"] < 0:
        wrong.append("pcf.pcfExcludingBiogenicUptake: must not be negative")
    if pcf["declaredUnitAmount"] <= 0:
        wrong.append("pcf.declaredUnitAmount: must be more than 0")
    if pcf["referencePeriodEnd"] < pcf["referencePeriodStart"]:
        wrong.append("pcf.referencePeriodEnd: before its start")
    return wrong


def _doubts(top: Mapping[str, Any], pcf: Mapping[str, Any], thing: Thing) -> list[str]:
    """What can be, but must be said."""
    said = []
    if top["status"] == "Deprecated":
        said.append("the supplier has withdrawn this footprint (status Deprecated): ask for the newer one")
    if pcf["declaredUnitOfMeasurement"] == "piece" and pcf["declaredUnitAmount"] != 1:
        said.append(f"the product holds {pcf['declaredUnitAmount']:f} pieces; its figure was taken for one piece")
    start, end = _validity(top, pcf)
    if thing.bought_s is not None and not start.timestamp() <= thing.bought_s <= end.timestamp():
        said.append(f"it is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}, and the thing is not of that time")
    if pcf["exemptedEmissionsPercent"] > 5:
        said.append(f"it leaves out {pcf['exemptedEmissionsPercent']:f} % of the emissions; PACT lets 5 be left out")
    if sum(name in pcf for name in _PLACES) > 1:
        said.append("it names more than one of region, country and subdivision")
    return said


def _validity(top: Mapping[str, Any], pcf: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """From the reference period's end, for three years, where it does not say otherwise."""
    start = top.get("validityPeriodStart") or pcf["referencePeriodEnd"]
    after = pcf["referencePeriodEnd"]
    year = after.year + 3
    leap = after.month == 2 and after.day == 29
    return start, top.get("validityPeriodEnd") or (after.replace(year=year, day=28) if leap else after.replace(year=year))


# --- reading --------------------------------------------------------------------------------------------------------------

Readers = Mapping[str, tuple[bool, Callable[[Any], Any]]]


def _checked(found: Mapping[str, Any], readers: Readers, where: str, wrong: list[str]) -> dict[str, Any]:
    """The keys that matter here, read; others are the supplier's business.  Missing and wrong ones go to ``wrong``."""
    read: dict[str, Any] = {}
    for key, (required, reader) in readers.items():
        if found.get(key) is None:
            if required:
                wrong.append(f"{where}{key}: is missing{_instead(key, found, readers)}")
            continue
        try:
            read[key] = reader(found[key])
        except ValueError as mistake:
            wrong.append(f"{where}{key}: {mistake}")
    return read


def _instead(key: str, found: Mapping[str, Any], readers: Readers) -> str:
    """What stands there in its place."""
    if (old := V2_NAMES.get(key)) in found:
        return f"; {old!r} is PACT v2's name for it: ask the supplier for v3"
    return nearest(key, [str(each) for each in found if each not in readers], given=False).replace("did you mean", "is it")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 2000:
        raise ValueError("expected text")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())[:200]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise ValueError("expected a list of text")
    return [_text(each) for each in value]


def _decimal(value: Any) -> Decimal:
    """PACT writes decimals as strings, because JSON's numbers lose digits on the way."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError(f'expected a decimal in quotes, e.g. "1.5", not {clipped(value)}')
    number = Decimal(value)
    if abs(number) > 10**12:
        raise ValueError("more than 10^12 is not likely: is the unit right?")
    return number


def _time(value: Any) -> datetime:
    said = value.isoformat() if isinstance(value, date) else value
    try:
        at = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        raise ValueError("expected an ISO time, e.g. 2025-01-01T00:00:00Z") from None
    if not 1990 <= at.year <= 2200:
        raise ValueError("the year is not likely")
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _uuid(value: Any) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("expected a UUID")
    return value.lower()


def _version(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"3(\.[0-9]{1,4}){1,2}[\w.+-]{0,40}", value):
        raise ValueError(f"{clipped(value)} is not read here: ask the supplier for PACT 3")
    return value


def _word(*words: str) -> Callable[[Any], str]:
    def read_one(value: Any) -> str:
        if value not in words:
            raise ValueError(f"expected one of {', '.join(words)}{nearest(str(value)[:60], words, given=False)}")
        return str(value)

    return read_one


def _dqi(value: Any) -> dict[str, Decimal]:
    if not isinstance(value, Mapping):
        raise ValueError("expected an object of ratings")
    found = {key: _decimal(value[key]) for key in PEDIGREE if value.get(key) is not None}
    if any(not 1 <= score <= 5 for score in found.values()):
        raise ValueError("a data quality rating is 1 to 5")
    return found


def _canonical(found: object) -> str:
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


_PLACES = ("geographyRegionOrSubregion", "geographyCountry", "geographyCountrySubdivision")
_TOP: Readers = {
    "id": (True, _uuid), "specVersion": (True, _version), "created": (True, _time), "status": (True, _word("Active", "Deprecated")),
    "companyName": (True, _text), "companyIds": (True, _texts), "productDescription": (True, _text), "productIds": (True, _texts),
    "productNameCompany": (True, _text), "pcf": (True, lambda value: value), "validityPeriodStart": (False, _time),
    "validityPeriodEnd": (False, _time),
}  # fmt: skip
_PCF: Readers = {
    "declaredUnitOfMeasurement": (True, _word(*UNITS)), "declaredUnitAmount": (True, _decimal),
    "productMassPerDeclaredUnit": (True, _decimal), "referencePeriodStart": (True, _time), "referencePeriodEnd": (True, _time),
    "pcfExcludingBiogenicUptake": (True, _decimal), "pcfIncludingBiogenicUptake": (True, _decimal),
    "fossilGhgEmissions": (True, _decimal), "fossilCarbonContent": (True, _decimal), "ipccCharacterizationFactors": (True, _texts),
    "crossSectoralStandards": (True, _texts), "exemptedEmissionsPercent": (True, _decimal), "dqi": (False, _dqi),
    **dict.fromkeys(_PLACES, (False, _text)),
}  # fmt: skip
