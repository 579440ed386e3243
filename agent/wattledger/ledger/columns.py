"""The columns of a sealed segment and of the open part beside it: one flat, wide table, whatever the kind of fact.

Every column but ``writer`` is derived from the bodies, so it can be checked against them; what a kind of fact does not have is
null. ``labels`` is canonical JSON of an object.  Sums are made of ``energy_uj`` and never of anything rounded.  ``request`` and
``tenant`` are as in the body, in JSON's escapes (so that they are one line); null where they are empty.
"""

import json
from collections.abc import Mapping
from typing import Any

from wattledger.core.facts import Key
from wattledger.ledger.body import KEYED as KEYED
from wattledger.ledger.body import decode_key

# name → SQL type, in the words of standard SQL
COLUMNS: dict[str, str] = {
    "writer": "VARCHAR",
    "seq": "BIGINT",
    "recorded_s": "BIGINT",
    "fact": "VARCHAR",
    "corrects": "VARCHAR",
    "meter": "VARCHAR",
    "host": "VARCHAR",
    "zone": "VARCHAR",
    "pue_milli": "INTEGER",
    "device": "VARCHAR",
    "component": "VARCHAR",
    "device_model": "VARCHAR",
    "method": "VARCHAR",
    "use": "VARCHAR",
    "run": "VARCHAR",
    "job": "VARCHAR",
    "model": "VARCHAR",
    "labels": "VARCHAR",
    "tenant": "VARCHAR",
    "start_s": "BIGINT",
    "length_s": "BIGINT",
    "seen_ms": "BIGINT",
    "energy_uj": "BIGINT",
    "spread_uj": "BIGINT",
    "prompt_tokens": "BIGINT",
    "cached_tokens": "BIGINT",
    "generated_tokens": "BIGINT",
    "requests": "BIGINT",
    "steps": "BIGINT",
    "prompt_uj": "BIGINT",
    "generated_uj": "BIGINT",
    "standby_uj": "BIGINT",
    "overhead_uj": "BIGINT",
    "weak": "INTEGER",
    "request": "VARCHAR",
    "body": "VARCHAR",
}
DAY_S = 86_400
KEY_COLUMNS = Key._fields
TIME_AND_ENERGY = ("start_s", "length_s", "seen_ms", "energy_uj", "spread_uj")
TOKENS = ("prompt_tokens", "cached_tokens", "generated_tokens")
KINDS_UJ = ("prompt_uj", "generated_uj", "standby_uj", "overhead_uj")  # what a served workload's energy went into
OWN_COLUMNS = (*TIME_AND_ENERGY, *TOKENS, "requests", "steps", *KINDS_UJ, "weak", "request")
# Files that were written before allocations were kept lack these.
LATER = ("tenant", "steps", *KINDS_UJ, "weak", "request")
FIRST_COLUMNS = {name: kind for name, kind in COLUMNS.items() if name not in LATER}
PLAIN_COLUMNS = ("meter", "host", "zone", "device", "run", "job", "model")  # of other kinds, where they say so themselves


class Rows:
    """Bodies of one chain, in order → rows of the table.  State: the recorded day, and the keys explained so far on it."""

    def __init__(self, writer: str) -> None:
        self._writer = writer
        self._day = -1
        self._keys: dict[int, tuple[Any, ...]] = {}

    def row(self, seq: int, body: str) -> tuple[Any, ...]:
        """One row, in the order of ``COLUMNS``.  Raises BadBody or ValueError where the body is no fact."""
        found: Mapping[str, Any] = json.loads(body)
        kind, day = found["fact"], found["recorded_s"] // DAY_S
        if day != self._day:
            self._day, self._keys = day, {}
        if kind == "key":
            said = decode_key(found)
            key = said.key
            self._keys[said.number] = (*key[:-1], labels_text(key.labels))
        tenant = None
        if kind in KEYED:
            keyed: tuple[Any, ...] = self._keys[found["key"]]
            own: tuple[Any, ...] = (*(found.get(name, default) for name, default in _OWN[kind]), None, None)
            if kind == "allocation":
                tenant = _escaped(found.get("tenant"))
                own = (*own[:-2], int(found.get("weak", False)), _escaped(found.get("request")))
        elif kind == "key":
            keyed, own = (None,) * len(KEY_COLUMNS), _NONE
        else:
            keyed = tuple(found.get(name) if name in PLAIN_COLUMNS else None for name in KEY_COLUMNS)
            own = (*(found.get(name) for name in _FIRST_OWN), *_NONE[len(_FIRST_OWN) :])
        return (self._writer, seq, found["recorded_s"], kind, found.get("corrects"), *keyed, tenant, *own, body)


# Counts that are left out of a body where they are 0.
_COUNTS = {
    "energy": ("spread_uj",),
    "work": (*TOKENS, "requests", "steps"),
    "allocation": (*KINDS_UJ, "spread_uj", *TOKENS),
}
# By kind: each column of its own up to ``weak`` and ``request``, with what it is where the body does not say it.
_OWN = {kind: [(name, 0 if name in zeros else None) for name in OWN_COLUMNS[:-2]] for kind, zeros in _COUNTS.items()}
_FIRST_OWN = tuple(name for name in OWN_COLUMNS if name not in LATER)
_NONE = (None,) * len(OWN_COLUMNS)


def _escaped(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.80} is no text")
    return json.dumps(value, ensure_ascii=False)[1:-1]


def unescaped(column: str | None) -> str:
    """``request`` or ``tenant`` as the fact says it."""
    return "" if column is None else str(json.loads(f'"{column}"'))


def labels_text(labels: tuple[tuple[str, str], ...]) -> str:
    """Labels as canonical JSON, or empty."""
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"), ensure_ascii=False) if labels else ""
