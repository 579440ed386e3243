"""A passport's text as a tree, and where in the text each of its values stands: the parsers do not say."""

import json
import re
import tomllib
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from wattledger.accounting.assets.passport_fields import BadPassport

Form = Literal["toml", "json"]
LONGEST_KEY = 300  # further a line is not searched for its key
LARGEST = 16_000_000  # characters; a passport of a rack is a hundredth of that

_ARRAY = re.compile(r"\s*\[\[\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]\]")
_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]")
_SETTING = re.compile(r"\s*(\"(?:[^\"\\]|\\.)*\"|'[^']*'|[A-Za-z0-9_.\- ]+?)\s*=")


class Document(NamedTuple):
    """A parsed text.  ``lines``: path (``component[2].kind``) → line, for TOML; ``name``: of the file."""

    tree: dict[str, Any]
    name: str
    lines: dict[str, int]

    def at(self, path: str) -> str:
        """Where a path stands: ``file:12``, else ``file: component[2].kind``, else ``file``."""
        known = path
        while known:
            if known in self.lines:
                return f"{self.name}:{self.lines[known]}"
            known = known.rpartition(".")[0]
        return f"{self.name}: {path}" if path else self.name


def parsed(text: str, form: Form, name: str) -> Document:
    """The text as a tree; numbers with a point are Decimals.  BadPassport where it is no such text."""
    if len(text) > LARGEST:
        raise BadPassport([f"{name}: longer than {LARGEST} characters"])
    text = text.removeprefix("\ufeff")
    try:
        found = tomllib.loads(text, parse_float=Decimal) if form == "toml" else _json(text)
    except (ValueError, RecursionError, ArithmeticError) as wrong:
        at = re.search(r"line (\d+)", str(wrong))
        said = " ".join(ascii(str(wrong))[1:-1].split())[:120] if not isinstance(wrong, RecursionError) else "nested too deep"
        raise BadPassport([f"{name}:{at[1] if at else 1}: not {form.upper()}: {said}"]) from None
    if not isinstance(found, dict):
        raise BadPassport([f"{name}:1: expected an object with schema, asset and component"])
    return Document(found, name, _lines(text) if form == "toml" else {})


def _json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, object_pairs_hook=_once)


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members; one that is said twice is a mistake, as in TOML: nobody knows which is meant."""
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} is said twice in one object")
    return found


def _lines(text: str) -> dict[str, int]:
    """Path → line of each header and setting."""
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    inside = ""
    for number, whole in enumerate(text.splitlines(), 1):
        line = whole[:LONGEST_KEY]
        if header := _ARRAY.match(line):
            path = _indexed(_clean(header[1]), counts, last_is_new=True)
            inside = path
        elif header := _TABLE.match(line):
            inside = path = _indexed(_clean(header[1]), counts)
        elif setting := _SETTING.match(line):
            path = f"{inside}.{_clean(setting[1])}" if inside else _clean(setting[1])
        else:
            continue
        found.setdefault(path, number)
    return found


def _clean(dotted: str) -> str:
    return ".".join(word.strip().strip("\"'") for word in dotted.split("."))


def _indexed(dotted: str, counts: dict[str, int], *, last_is_new: bool = False) -> str:
    """``component.footprint`` → ``component[1].footprint``, of the tables counted so far."""
    if last_is_new:
        counts[dotted] = counts.get(dotted, -1) + 1
    path, plain = "", ""
    for word in dotted.split("."):
        plain = f"{plain}.{word}" if plain else word
        path = f"{path}.{word}" if path else word
        if plain in counts:
            path += f"[{counts[plain]}]"
    return path
