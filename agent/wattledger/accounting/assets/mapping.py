"""How somebody else's table becomes ours: a mapping file, schema ``wattledger.mapping/1``, in TOML.

``[columns]`` column → our word · ``[constants]`` words that hold for every machine (not for parts in a machine) · ``[kinds]``
pattern → kind, or "skip" · ``[footprints]`` pattern of a model → what it emitted · ``[format]`` date, decimal, delimiter, host ·
``[units]`` mass, footprint, life.  Patterns are as a shell has them (``*``, ``?``), whatever the case; the first that fits holds.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from fnmatch import translate
from typing import Any, NamedTuple

from wattledger.accounting.assets.passport_fields import BadPassport, Mistake, Problem, clipped, nearest, number
from wattledger.accounting.assets.passport_places import Document, parsed
from wattledger.accounting.assets.passport_rows import FIGURE, ROW
from wattledger.accounting.assets.passport_words import KINDS

SCHEMA = "wattledger.mapping/1"
TABLES = ("schema", "columns", "constants", "kinds", "footprints", "format", "units")
SKIP = "skip"
UNKNOWN = ("", "-", "--", "n/a", "none", "null", "unknown", "?")
FORMATS = ("date", "decimal", "delimiter", "host")
# Unit → what one of it is in ours.
UNITS: Mapping[str, Mapping[str, Decimal]] = {
    "mass": {"kg": Decimal(1), "g": Decimal("0.001"), "t": Decimal(1000), "lb": Decimal("0.45359237")},
    "footprint": {"kg": Decimal(1), "g": Decimal("0.001"), "t": Decimal(1000)},
    "life": {"years": Decimal(1), "months": 1 / Decimal(12)},
}
MEASURED = {"mass_kg": "mass", "kg": "footprint", "low_kg": "footprint", "high_kg": "footprint", "freight_kg": "footprint",
            "transport_kg": "footprint", "end_of_life_kg": "footprint", "life_years": "life"}  # fmt: skip
NUMBERS = frozenset((*MEASURED, "price", "cores", "capacity_gb", "memory_gb", "life_h", "life_work"))
DATES = frozenset(("made", "purchased", "commissioned", "scrapped"))
LISTS = frozenset(("spread_over",))


class Pattern(NamedTuple):
    """A pattern and what it stands for."""

    fits: re.Pattern[str]
    means: Any


class Mapped(NamedTuple):
    """A mapping, read; ``columns``: column → word.  ``date``: as strptime has it, empty: ISO.  ``delimiter``: empty: found out.

    ``host`` of ``id``: a server's id is the name of its host, where nothing else is said.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, Any]
    kinds: tuple[Pattern, ...]
    footprints: tuple[Pattern, ...]
    date: str = ""
    decimal: str = "."
    delimiter: str = ""
    host: str = ""
    units: Mapping[str, str] = {}

    def kind(self, *said: str) -> str:
        """The kind of the first of these words that is one or fits a pattern; empty where none does."""
        for word in filter(None, said):
            for pattern in self.kinds:
                if pattern.fits.match(word.strip()):
                    return str(pattern.means)
            if word.strip().lower() in KINDS:
                return word.strip().lower()
        return ""

    def footprint(self, *said: str) -> Mapping[str, Any]:
        """What the first pattern that fits says that it emitted, or nothing."""
        for word in filter(None, said):
            for pattern in self.footprints:
                if pattern.fits.match(word.strip()):
                    found: Mapping[str, Any] = pattern.means
                    return found
        return {}


NOTHING = Mapped({}, {}, (), ())


def read(text: str, name: str) -> Mapped:
    """A mapping file.  Raises BadPassport with every mistake and its line."""
    document = parsed(text, "toml", name)
    tree = document.tree
    if tree.get("schema") != SCHEMA:
        where = document.at("schema") if "schema" in tree else f"{name}:1"
        raise BadPassport([f'{where}: the first line must be schema = "{SCHEMA}"'])
    problems: list[Problem] = []
    for key, value in tree.items():
        if key not in TABLES:
            problems.append(Problem(key, f"there is no {clipped(key)} here{nearest(key, TABLES)}"))
        elif key != "schema" and not isinstance(value, Mapping):
            problems.append(Problem(key, f"write it as a table, [{key}]"))
    _refuse(document, problems)
    for key, word in tree.get("columns", {}).items():
        if not isinstance(word, str) or word not in ROW:
            problems.append(Problem(f"columns.{key}", f"there is no word {clipped(word)}{nearest(str(word)[:60], ROW)}"))
    for key, value in tree.get("constants", {}).items():
        problems += _constant(key, value)
    form, units = tree.get("format", {}), tree.get("units", {})
    problems += [*_format(form), *_units(units)]
    kinds, footprints = _kinds(tree.get("kinds", {}), problems), _footprints(tree.get("footprints", {}), problems)
    _refuse(document, problems)
    return Mapped(tree.get("columns", {}), tree.get("constants", {}), kinds, footprints, **form, units=units)


def value(mapped: Mapped, word: str, said: str) -> Any:
    """What a cell says, in our units and forms; ``None`` where it says that it does not know.  Raises Mistake."""
    said = said.strip()
    if said.lower() in UNKNOWN:
        return None
    if word in NUMBERS:
        try:
            found = number(_plain(said, mapped.decimal))
        except Mistake as mistake:
            raise Mistake(f"{word} = {clipped(said)}: {mistake}") from None
        kind = MEASURED.get(word, "")
        return round(found * UNITS[kind][mapped.units[kind]], 9) if kind in mapped.units else found
    if word in DATES and mapped.date:
        try:
            return datetime.strptime(said, mapped.date).date()
        except ValueError:
            raise Mistake(f"{word} = {clipped(said)}: is not a day as {mapped.date!r} has it") from None
    return said


def _plain(said: str, decimal: str) -> str:
    """A number as people group its digits, as a computer writes it."""
    other = "." if decimal == "," else ","
    if re.fullmatch(rf"[+-]?\d{{1,3}}([{other} '\u00a0]\d{{3}})+([{decimal}]\d*)?", said):
        said = re.sub(rf"[{other} '\u00a0]", "", said)
    return said.replace(decimal, ".") if decimal == "," and "." not in said else said


def _constant(key: str, value: Any) -> list[Problem]:
    if key not in ROW or key in ("id", "serial", "device"):
        return [Problem(f"constants.{key}", f"there is no constant {clipped(key)}{nearest(key, ROW)}")]
    try:
        ROW[key].read(value)
    except Mistake as mistake:
        return [Problem(f"constants.{key}", f"{key}: {mistake}")]
    return []


def _format(form: Mapping[str, Any]) -> list[Problem]:
    wrong = [Problem(f"format.{key}", f"there is no {clipped(key)}{nearest(key, FORMATS)}") for key in form if key not in FORMATS]
    if "date" in form and not (isinstance(form["date"], str) and {"%d", "%m"} <= set(re.findall("%.", form["date"]))):
        wrong.append(Problem("format.date", 'expected a day as strptime has it, e.g. "%d.%m.%Y"'))
    if form.get("decimal", ".") not in (".", ","):
        wrong.append(Problem("format.decimal", 'expected "." or ","'))
    if form.get("host", "id") != "id":
        wrong.append(Problem("format.host", 'expected "id": a server\'s id is the name of its host'))
    if form.get("delimiter", ",") not in (",", ";", "\t", "|"):
        wrong.append(Problem("format.delimiter", 'expected ",", ";", "|" or a tab'))
    return wrong


def _units(units: Mapping[str, Any]) -> list[Problem]:
    wrong = []
    for key, unit in units.items():
        if key not in UNITS:
            wrong.append(Problem(f"units.{key}", f"there is no {clipped(key)}{nearest(key, UNITS)}"))
        elif not isinstance(unit, str) or unit not in UNITS[key]:
            wrong.append(Problem(f"units.{key}", f"{clipped(unit)} is no unit of {key} (there are {', '.join(UNITS[key])})"))
    return wrong


def _kinds(table: Mapping[str, Any], problems: list[Problem]) -> tuple[Pattern, ...]:
    found = []
    for key, kind in table.items():
        if not isinstance(kind, str) or kind not in (*KINDS, SKIP):
            problems.append(Problem(f"kinds.{key}", f"{clipped(kind)} is no kind{nearest(str(kind)[:60], (*KINDS, SKIP))}"))
        found.append(Pattern(_pattern(key), kind))
    return tuple(found)


def _footprints(table: Mapping[str, Any], problems: list[Problem]) -> tuple[Pattern, ...]:
    found = []
    for key, said in table.items():
        if not isinstance(said, Mapping) or "kg" not in said or any(word not in FIGURE for word in said):
            problems.append(Problem(f"footprints.{key}", f'expected {{ kg = …, source = "…" }}, of {", ".join(FIGURE)}'))
        found.append(Pattern(_pattern(key), said))
    return tuple(found)


def patterns(table: Mapping[str, str]) -> tuple[Pattern, ...]:
    """Shell patterns and what they stand for."""
    return tuple(Pattern(_pattern(key), means) for key, means in table.items())


def _pattern(shell: str) -> re.Pattern[str]:
    return re.compile(translate(shell.strip()), re.IGNORECASE)


def _refuse(document: Document, problems: list[Problem]) -> None:
    if problems:
        raise BadPassport([f"{document.at(path)}: {what}" for path, what in problems])
