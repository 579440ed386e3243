"""The values of a passport: how each is read from what people write, and in which units the ledger keeps it.

People write kilograms, years and ISO dates; facts hold whole grams, hours and seconds.  A value that cannot be understood is a
Mistake that says why; where it stands is added by who reads the file.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

HOURS_PER_YEAR = 8760  # 365 days, as SCI and Boavizta count a year of service
G_PER_KG = 1000
LONGEST_TEXT = 500
LONGEST_NAME = 128
LONGEST_LINE = 1_000  # of a message, which repeats names that a file says
MOST = Decimal(10) ** 12
SERIAL_PREFIX = "wattledger.serial/1:"  # public and for ever: equal serials must give equal hashes on every host

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_CURRENCY = re.compile(r"[A-Z]{3}")


class BadPassport(ValueError):
    """What was written cannot be taken; one line for each mistake, with its place."""

    def __init__(self, lines: Sequence[str]) -> None:
        # Names in a file may hold anything; a line stays one line, and a terminal is not told to do something.
        self.lines = tuple("".join(sign if sign.isprintable() else "�" for sign in line[:LONGEST_LINE]) for line in lines)
        super().__init__("\n".join(self.lines))


class Mistake(ValueError):
    """A value cannot be understood; the message says why, and not where."""


class Field(NamedTuple):
    """A field: how its value is read, and whether it must be there."""

    read: Callable[[Any], Any]
    required: bool = False


class Problem(NamedTuple):
    """What is wrong at a path such as ``component[2].footprint.kg``."""

    path: str
    what: str


Fields = Mapping[str, Field]


def values(fields: Fields, table: Any, path: str, problems: list[Problem]) -> dict[str, Any]:
    """The table's values as they are read, without those that are empty; what is wrong goes to ``problems``."""
    if not isinstance(table, Mapping):
        problems.append(Problem(path, "expected a table of names and values"))
        return {}
    found: dict[str, Any] = {}
    for name, value in table.items():
        here = f"{path}.{name}" if path else str(name)
        if name not in fields:
            problems.append(Problem(here, f"there is no {clipped(name)} here{nearest(str(name), fields)}"))
        elif value is not None and value != "":
            try:
                found[name] = fields[name].read(value)
            except Mistake as mistake:
                plain = isinstance(value, (str, int, float, Decimal, date))
                problems.append(Problem(here, f"{name}{f' = {clipped(value)}' if plain and name != 'serial' else ''}: {mistake}"))
    missing = [name for name, field in fields.items() if field.required and table.get(name) in ("", None)]
    problems += [Problem(path, f"{name!r} is missing") for name in missing]
    return found


def nearest(word: str, names: Collection[str], *, given: bool = True) -> str:
    """``; did you mean 'x'?``, else the names that there are, or nothing."""
    import difflib  # only when something is wrong

    close = difflib.get_close_matches(word[:60].lower(), list(names), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f" (there are {', '.join(names)})" if given and len(names) <= 30 else ""


def clipped(value: object) -> str:
    """A value as messages show it: quoted if it is text, on one line, not endless."""
    shown = ascii(value) if isinstance(value, str) else "0" if isinstance(value, Decimal) and value == 0 else str(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def hashed_serial(serial: str) -> str:
    """What stands for a serial number in the books: ``sha256:…`` of a fixed prefix and the serial, trimmed, in capitals.

    It tells whether two machines are one; it is no secret from who can guess the serial.
    """
    said = " ".join(serial.split()).upper()
    return f"sha256:{hashlib.sha256((SERIAL_PREFIX + said).encode()).hexdigest()}"


# --- readers: what is written → what is kept -------------------------------------------------------------------------------


def text(value: Any) -> str:
    """One line of printable text, trimmed."""
    if not isinstance(value, str):
        raise Mistake("expected text")
    said = value.replace("\u00a0", " ").strip()
    if not said or not said.isprintable():
        raise Mistake("expected one line of readable text")
    if len(said) > LONGEST_TEXT:
        raise Mistake(f"longer than {LONGEST_TEXT} characters")
    return said


def name(value: Any) -> str:
    """An asset's name."""
    said = text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
    if ":" in said or len(said) > LONGEST_NAME:
        raise Mistake(f"a name has at most {LONGEST_NAME} characters and no ':'")
    return said


def number(value: Any) -> Decimal:
    """A finite number of 0 or more, to nine places."""
    said = str(value).strip() if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool) else ""
    if re.fullmatch(r"[+-]?(nan|inf(inity)?)", said, re.IGNORECASE):
        raise Mistake("not a finite number; leave out what is not known")
    if not _NUMBER.fullmatch(said):
        raise Mistake("expected a number")
    try:
        found = Decimal(said)
    except InvalidOperation:
        raise Mistake("expected a number") from None
    if found < 0:
        raise Mistake("must not be negative")
    if found > MOST:
        raise Mistake(f"more than {MOST:f} is not likely: is the unit right?")
    return round(found, 9)


def positive(value: Any) -> Decimal:
    """A number above 0."""
    found = number(value)
    if not found:
        raise Mistake("must be more than 0")
    return found


def part(value: Any) -> Decimal:
    """A share, 0 to 1."""
    found = number(value)
    if found > 1:
        raise Mistake("a share is 0 to 1 (per cent are hundredths)")
    return found


def grams(value: Any) -> int:
    """Kilograms as whole grams."""
    return round(number(value) * G_PER_KG)


def count(value: Any) -> int:
    """A whole number, 1 to 10,000."""
    found = number(value)
    if found != int(found) or not 1 <= found <= 10_000:
        raise Mistake("expected a whole number, 1 to 10,000")
    return int(found)


def flag(value: Any) -> bool:
    """True or false; words of a CSV too."""
    said = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).strip().lower())
    if said is None:
        raise Mistake("expected true or false")
    return said


def when(value: Any) -> int:
    """A day (its first second, UTC) or a time with its zone, in seconds since the epoch."""
    said = value.isoformat() if isinstance(value, date) else value.strip() if isinstance(value, str) else ""
    try:
        if len(said) == len("2025-03-01"):
            day = date.fromisoformat(said)
            at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            at = datetime.fromisoformat(said)
    except ValueError:
        raise Mistake("expected an ISO date, e.g. 2025-03-01, or a time with its zone") from None
    if at.tzinfo is None:
        raise Mistake("a time of day needs its zone, e.g. 2025-03-01T12:00:00Z")
    if not 1970 < at.year < 2200:
        raise Mistake("the year is not likely")
    return int(at.timestamp() // 1)


def serial(value: Any) -> str:
    """A serial number's hash; the serial itself goes no further."""
    try:
        return hashed_serial(text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value))
    except Mistake as mistake:
        raise Mistake(str(mistake)) from None


def digest(value: Any) -> str:
    """A serial number's hash, as ``hashed_serial`` makes it."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise Mistake("expected sha256: and 64 hex digits; a clear serial number belongs in 'serial'")
    return value


def currency(value: Any) -> str:
    """An ISO 4217 code."""
    said = text(value)
    if not _CURRENCY.fullmatch(said):
        raise Mistake("expected an ISO 4217 code, e.g. EUR")
    return said


def one_of(words: Sequence[str]) -> Callable[[Any], str]:
    """A reader of one of these words."""

    def read(value: Any) -> str:
        said = text(value)
        if said not in words:
            raise Mistake(f"expected {', '.join(words[:-1])} or {words[-1]}{nearest(said, words, given=False)}")
        return said

    return read


def several(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """A reader of a list, or of text with commas."""

    def read_all(value: Any) -> tuple[Any, ...]:
        given = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else None
        if given is None or not 1 <= len(given) <= 10_000:
            raise Mistake('expected a list, e.g. ["a", "b"]')
        return tuple(read(each) for each in given)

    return read_all


def table(value: Any) -> Mapping[str, Any]:
    """A table, to be read later."""
    if not isinstance(value, Mapping):
        raise Mistake("expected a table of names and values")
    return value


# --- what is kept, as text -------------------------------------------------------------------------------------------------


def plain(value: Any) -> str:
    """A value as a fact's details hold it."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, tuple):
        return ",".join(plain(each) for each in value)
    return str(value)


def pairs(details: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Details as a fact holds them: sorted, without those that are not known."""
    return tuple(sorted((key, plain(value)) for key, value in details.items() if value is not None and value != ""))
