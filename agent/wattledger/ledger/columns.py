"""The columns of a sealed segment and of the open part beside it: one flat, wide table, whatever the kind of fact.

Every column but ``writer`` is derived from the bodies, so it can be checked against them; what a kind of fact does not have is
null. ``labels`` is canonical JSON of an object.  Sums are made of ``energy_uj`` and never of anything rounded.
"""

import json
from collections.abc import Mapping
from typing import Any

from wattledger.core.facts import Key
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
    "start_s": "BIGINT",
    "length_s": "BIGINT",
    "seen_ms": "BIGINT",
    "energy_uj": "BIGINT",
    "spread_uj": "BIGINT",
    "prompt_tokens": "BIGINT",
    "cached_tokens": "BIGINT",
    "generated_tokens": "BIGINT",
    "requests": "BIGINT",
    "body": "VARCHAR",
}
DAY_S = 86_400
KEYED = ("energy", "work")  # kinds of fact whose key columns come from their key
KEY_COLUMNS = Key._fields
TIME_AND_ENERGY = ("start_s", "length_s", "seen_ms", "energy_uj", "spread_uj")
OWN_COLUMNS = (*TIME_AND_ENERGY, "prompt_tokens", "cached_tokens", "generated_tokens", "requests")
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
        own: tuple[Any, ...] = tuple(found.get(name) for name in OWN_COLUMNS)
        if kind in KEYED:
            keyed = self._keys[found["key"]]
            zeros = _COUNTS[kind]
            own = tuple(0 if n is None and name in zeros else n for name, n in zip(OWN_COLUMNS, own, strict=True))
        elif kind == "key":
            keyed, own = (None,) * len(KEY_COLUMNS), (None,) * len(OWN_COLUMNS)
        else:
            keyed = tuple(found.get(name) if name in PLAIN_COLUMNS else None for name in KEY_COLUMNS)
        return (self._writer, seq, found["recorded_s"], kind, found.get("corrects"), *keyed, *own, body)


# Counts that are left out of a body where they are 0.
_COUNTS = {
    "energy": ("spread_uj",),
    "work": ("prompt_tokens", "cached_tokens", "generated_tokens", "requests"),
}


def labels_text(labels: tuple[tuple[str, str], ...]) -> str:
    """Labels as canonical JSON, or empty."""
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"), ensure_ascii=False) if labels else ""
