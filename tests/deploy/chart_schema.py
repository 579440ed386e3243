"""The part of the chart's values.schema.json that is ``wattledger.toml``: made from the settings, so that neither forgets one."""

import json
from typing import Any

from tests.deploy.helm_render import CHART

from wattledger.runtime.settings import KEYS

SCHEMA = CHART / "values.schema.json"
LONGEST = 150
PLAIN_TYPES = {"str": "string", "float": "number", "int": "integer", "bool": "boolean"}

Schema = dict[str, Any]


def config_schema() -> Schema:
    """``config``: every section closed, every key with its type and its line of help."""
    top = _section("wattledger.toml over what the chart sets: section, key, value")
    for name, key in KEYS.items():
        *sections, last = name.split(".")
        at = top
        for section in sections:
            at = at["properties"].setdefault(section, _section(f"[{'.'.join(sections[: sections.index(section) + 1])}]"))
        at["properties"][last] = {**_type(key.kind), "description": key.help}
    return top


def _section(what: str) -> Schema:
    return {"description": what, "type": "object", "additionalProperties": False, "properties": {}}


def _type(kind: str) -> Schema:
    if "|" in kind:
        # YAML reads on and off as true and false.
        choices: list[str | bool] = list(kind.split("|"))
        return {"enum": [*choices, True, False] if "on" in choices or "off" in choices else choices}
    found: Schema = {"type": PLAIN_TYPES[kind]}
    return {**found, "minimum": 0} if kind in ("float", "int") else found


def written() -> Schema:
    """The committed schema, whole."""
    found: Schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


def write() -> None:
    """Put the settings of today into it."""
    schema = written()
    schema["properties"]["config"] = config_schema()
    SCHEMA.write_text(_lines(schema) + "\n", encoding="utf-8")


def _lines(value: Any, indent: str = "") -> str:
    """What fits on a line stands on one."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or len(indent) + len(flat) <= LONGEST:
        return flat
    inner = indent + "  "
    return "{\n" + ",\n".join(f"{inner}{json.dumps(key)}: {_lines(one, inner)}" for key, one in value.items()) + f"\n{indent}}}"
