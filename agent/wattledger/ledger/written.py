"""Facts that people write: contracts, residual mixes and purchases, read from TOML, JSON lines or CSV.

All of a file or nothing: every mistake is one line that says the file, the line, what is wrong, and the nearest right word.  TOML
has ``[[contract]]``, ``[[residual]]`` and ``[[purchase]]`` tables; a line of JSON, and a row of CSV that has such a column, says
its kind in ``fact``; else a CSV file is of the kind that its columns are of.
"""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple, get_args

from wattledger.core.facts import CRITERIA, ContractFact, Fact, Instrument, IntensityFact, PurchaseFact, Verdict
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.written_files import Record, records

UG_PER_G = 1_000_000
WH_PER_MWH = 1_000_000
G_PER_KWH_OF_LB_PER_MWH = Decimal("0.45359237")  # the pound's definition; MWh against kWh takes the thousand of kg against g
MOST_COUNT = 10**18
MOST_G_PER_KWH = 3000  # no power station burns so badly: a slip of the unit
WRITTEN = "written"  # the provider of residual mixes; who published them is said in `version`


class Mistake(ValueError):
    """A value cannot be understood; the message says why, and not where."""


class Field(NamedTuple):
    """A field of a record: how its value is read, and whether it must be there."""

    read: Callable[[Any], Any]
    required: bool = False


def read(path: Path, *, zones: Collection[str]) -> list[Fact]:
    """The facts of a file, in its order, each once.  ``zones``: those that are known.

    Raises LedgerError with a line for each mistake (the lines joined by newlines).
    """
    facts: list[Fact] = []
    wrong: list[str] = []
    for record in records(path, {kind: list(fields) for kind, fields in FIELDS.items()}):
        problems: list[tuple[int, str]] = []
        values = _values(record, problems)
        fact = None if problems else _made(record, values, frozenset(zones), problems)
        wrong += [f"{path}:{line}: {what}" for line, what in problems]
        if fact is not None and fact not in facts:
            facts.append(fact)
    if wrong:
        raise LedgerError("\n".join(wrong))
    if not facts:
        raise LedgerError(f"{path}: holds no facts")
    return facts


def nearest(word: str, names: Collection[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    close = difflib.get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _values(record: Record, problems: list[tuple[int, str]]) -> dict[str, Any]:
    """The record's values as they are read, without those that are empty.  What is wrong goes to ``problems``."""
    fields = FIELDS[record.kind]
    found: dict[str, Any] = {}
    for name, value in record.values.items():
        line = record.lines.get(name, record.line)
        if name not in fields:
            problems.append((line, f"a {record.kind} has no {name!r}{nearest(name, fields)}"))
        elif value is not None and value != "":
            try:
                found[name] = fields[name].read(value)
            except Mistake as mistake:
                shown = "" if isinstance(value, Mapping) else f" = {value!s}"
                problems.append((line, f"{name}{shown}: {mistake}"))
    missing = [name for name, field in fields.items() if field.required and record.values.get(name) in ("", None)]
    problems += [(record.line, f"a {record.kind} needs {name!r}") for name in missing]
    return found


def _made(record: Record, values: Mapping[str, Any], zones: frozenset[str], problems: list[tuple[int, str]]) -> Fact | None:
    """The fact; the zones it names are in ``zones``, or are a part of a country that is."""
    try:
        for zone in [values["zone"]] if "zone" in values else values.get("zones", ()):
            if zone not in zones and not (zone[:2] in zones and zone[2:3] == "-" and zone[3:].isalnum()):
                raise Mistake(f"no zone {zone!r}{nearest(zone, zones)} (`wattledger grid zones` lists them)")
        return MADE[record.kind](values)
    except Mistake as mistake:
        problems.append((record.line, str(mistake)))
        return None


# --- the three kinds ------------------------------------------------------------------------------------------------------


def _contract(values: Mapping[str, Any]) -> ContractFact:
    start_s, end_s = _period(values)
    if values["instrument"] != "supplier" and "volume_mwh" not in values:
        raise Mistake(f"an instrument of kind {values['instrument']!r} needs 'volume_mwh' (only a supplier's rate covers all)")
    said = values.get("criteria", {})
    loose = {name: values[name] for name in CRITERIA if name in values}
    evidence = {name: values.get(f"{name}_evidence", "") for name in CRITERIA}
    both = {**{name: (verdict, evidence[name]) for name, verdict in loose.items()}, **said}
    criteria = tuple((name, *both[name]) for name in CRITERIA if name in both)
    text = {name: values.get(name, "") for name in ("technology", "registry", "serials", "beneficiary")}
    first = values["contract"], values["instrument"], values["zones"]
    return ContractFact(*first, start_s, end_s, values.get("volume_mwh"), values["g_per_kwh"], criteria, **text)


def _residual(values: Mapping[str, Any]) -> IntensityFact:
    rates = [values[name] for name in ("g_per_kwh", "lb_per_mwh") if name in values]
    if len(rates) != 1:
        raise Mistake("a residual mix needs either 'g_per_kwh' or 'lb_per_mwh' (a zone without one is left out: none is not zero)")
    year = values["year"]
    start_s, end_s = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1))
    source = values.get("source", "")
    return IntensityFact(values["zone"], start_s, end_s - start_s, rates[0], WRITTEN, boundary="residual", version=source)


def _purchase(values: Mapping[str, Any]) -> PurchaseFact:
    start_s, end_s = _period(values)
    if not any(name in values for name in ("prompt_tokens", "cached_tokens", "generated_tokens", "requests", "cost")):
        raise Mistake("a purchase needs tokens, requests or a 'cost'")
    if ("cost" in values) != ("currency" in values):
        raise Mistake("a 'cost' needs its 'currency', and a 'currency' its 'cost'")
    plain = {name: values[name] for name in PurchaseFact._fields if name in values}
    return PurchaseFact(**plain, start_s=start_s, length_s=end_s - start_s, cost_micro=values.get("cost"))


def _period(values: Mapping[str, Any]) -> tuple[int, int]:
    (start_s, _), (_, end_s) = values["start"], values["end"]
    if end_s <= start_s:
        raise Mistake("the 'end' is not after the 'start'")
    return start_s, end_s


# --- values ---------------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\n" in value:
        raise Mistake("expected one line of text")
    return value.strip()


def _number(value: Any) -> Decimal:
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise Mistake("expected a number of 0 or more")
    return number


def _count(value: Any) -> int:
    number = _number(value)
    # The size first: an exponent of six digits would take minutes to become an int.
    if number > MOST_COUNT or number != int(number):
        raise Mistake("expected a whole number")
    return int(number)


def _scaled(value: Any, factor: Decimal | int, most: Decimal | int) -> int:
    """The number times ``factor``, rounded half to even; at most ``most`` before."""
    number = _number(value)
    if number > most:
        raise Mistake(f"more than {most} is not likely: is the unit right?")
    return round(number * factor)


def _volume(value: Any) -> int:
    wh = _number(value) * WH_PER_MWH
    if wh > MOST_COUNT or wh != int(wh):
        raise Mistake("expected a volume in MWh, to the watt-hour")
    return int(wh)


def _year(value: Any) -> int:
    year = _count(value)
    if not 1990 <= year <= 2200:
        raise Mistake("expected a year")
    return year


def _when(value: Any) -> tuple[int, int]:
    """A time as (begin, end) in seconds: of a year, a month or a day, its first and its last (UTC); of a moment, itself."""
    given = value.isoformat() if isinstance(value, date) else str(value).strip()
    try:
        if "T" in given or " " in given:
            moment = datetime.fromisoformat(given)
            if moment.tzinfo is None:
                raise Mistake("a time of day needs its zone, e.g. 2026-01-01T00:00:00+01:00")
            at_s = int(moment.timestamp())
            return at_s, at_s
        parts = [int(part) for part in given.split("-")]
        year, month, day = (*parts, *[1] * (3 - len(parts)))
        begin = datetime(year, month, day, tzinfo=UTC)
        next_month = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        end = [datetime(year + 1, 1, 1, tzinfo=UTC), next_month, begin + timedelta(1)][len(parts) - 1]
        return int(begin.timestamp()), int(end.timestamp())
    except Mistake:
        raise
    except (ValueError, OverflowError):
        raise Mistake("expected an ISO date: 2026, 2026-03, 2026-03-31, or a time with its zone") from None


def _zones(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else str(value).replace(",", " ").replace(";", " ").split()
    if not given or not all(isinstance(zone, str) and zone for zone in given):
        raise Mistake("expected zones, e.g. DE or [\"DE\", \"FR\"]")
    return tuple(dict.fromkeys(zone.strip() for zone in given))


def _one_of(names: Sequence[str]) -> Callable[[Any], str]:
    def read_one(value: Any) -> str:
        if value not in names:
            raise Mistake(f"expected {', '.join(names[:-1])} or {names[-1]}{nearest(str(value), names)}")
        return str(value)

    return read_one


def _criteria(value: Any) -> dict[str, tuple[str, str]]:
    """criterion → (verdict, evidence), of ``name = "pass"`` or ``name = {verdict = "pass", evidence = "…"}``."""
    if not isinstance(value, Mapping):
        raise Mistake("expected a table of criteria")
    found = {}
    for name, said in value.items():
        if name not in CRITERIA:
            raise Mistake(f"no quality criterion {name!r}{nearest(str(name), CRITERIA)}")
        table = said if isinstance(said, Mapping) else {"verdict": said}
        if unknown := set(table) - {"verdict", "evidence"}:
            raise Mistake(f"{name}: has no {min(unknown)!r}{nearest(min(unknown), ('verdict', 'evidence'))}")
        found[name] = (_verdict(table.get("verdict", "unknown")), _text(table.get("evidence", "")))
    return found


_verdict = _one_of(get_args(Verdict))
_OPTIONAL = Field(_text)
_RATE = Field(lambda value: _scaled(value, UG_PER_G, MOST_G_PER_KWH))
_WHEN = Field(_when, required=True)
FIELDS: dict[str, dict[str, Field]] = {
    "contract": {
        "contract": Field(_text, required=True), "instrument": Field(_one_of(get_args(Instrument)), required=True),
        "zones": Field(_zones, required=True), "start": _WHEN, "end": _WHEN, "volume_mwh": Field(_volume),
        "g_per_kwh": _RATE._replace(required=True), "criteria": Field(_criteria),
        **dict.fromkeys(("technology", "registry", "serials", "beneficiary"), _OPTIONAL),
        **{name: Field(_verdict) for name in CRITERIA}, **{f"{name}_evidence": _OPTIONAL for name in CRITERIA},
    },
    "residual": {
        "zone": Field(_text, required=True), "year": Field(_year, required=True), "g_per_kwh": _RATE,
        "lb_per_mwh": Field(lambda value: _scaled(value, UG_PER_G * G_PER_KWH_OF_LB_PER_MWH, MOST_G_PER_KWH * 2)),
        "source": _OPTIONAL,
    },
    "purchase": {
        "supplier": Field(_text, required=True), "service": Field(_text, required=True), "start": _WHEN, "end": _WHEN,
        "region": _OPTIONAL, "prompt_tokens": Field(_count), "cached_tokens": Field(_count), "generated_tokens": Field(_count),
        "requests": Field(_count), "cost": Field(lambda value: _scaled(value, 1_000_000, 10**12)), "currency": _OPTIONAL,
        "evidence": _OPTIONAL,
    },
}  # fmt: skip
MADE: dict[str, Callable[[Mapping[str, Any]], Fact]] = {"contract": _contract, "residual": _residual, "purchase": _purchase}
