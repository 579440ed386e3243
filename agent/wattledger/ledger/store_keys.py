"""Keys by number: what each number means on a recorded day is said in the chain before its first use, and counted on from there."""

import json
import sqlite3
from collections.abc import Sequence

from wattledger.core.facts import Correction, Fact, Key
from wattledger.ledger.body import Keyed, decode_key, encode, encode_key
from wattledger.ledger.columns import DAY_S
from wattledger.ledger.store_people import People
from wattledger.ledger.store_schema import KEY_ROWS


class Keys:
    """The numbers in force.  Used within a transaction: other processes explain keys too, and all share the numbers.

    State: ``_numbers``, of keys as they were handed in and as they are stored; valid on ``_day`` as of row ``_upto``.
    """

    def __init__(self, db: sqlite3.Connection, people: People) -> None:
        self._db, self._people = db, people
        self._numbers: dict[Key, int] = {}
        self._day, self._upto, self._next = -1, 0, 1

    def drop(self) -> None:
        """What was known may not have been committed, or hold no more."""
        self._numbers, self._day, self._upto, self._next = {}, -1, 0, 1

    def catch_up(self, seq: int, recorded_s: int) -> None:
        """Learn what other processes have explained up to row ``seq``, on the day of ``recorded_s``."""
        day = recorded_s // DAY_S
        if day != self._day or self._people.changed():
            self.drop()
        if self._upto != seq:
            query = f"SELECT body FROM fact WHERE {KEY_ROWS} AND seq > ? AND recorded_s >= ?"
            for (body,) in self._db.execute(query, (self._upto, day * DAY_S)):
                said = decode_key(json.loads(body))
                self._numbers[said.key] = said.number
                self._next = max(self._next, said.number + 1)
        self._day, self._upto = day, seq

    def encoded(self, facts: Sequence[Fact | Correction], recorded_s: int) -> tuple[list[str], list[int]]:
        """The bodies to write, keys that are new before their first use; and where among them those of the facts are."""
        bodies: list[str] = []
        places: list[int] = []
        numbers = self._numbers
        for fact in facts:
            number = None
            keyed = fact.fact if isinstance(fact, Correction) else fact
            if isinstance(keyed, Keyed):
                number = numbers.get(keyed.key) or self._explained(keyed.key, recorded_s, bodies)
                body = encode(fact, recorded_s, number)
            else:
                body = sound(encode(self._people.masked(fact), recorded_s))
            places.append(len(bodies))
            bodies.append(body)
        return bodies, places

    def numbered(self, facts: Sequence[Keyed], recorded_s: int) -> tuple[list[str], list[int]]:
        """The bodies of keys that are new, and the number of each fact's key."""
        bodies: list[str] = []
        numbers = self._numbers
        return bodies, [numbers.get(fact.key) or self._explained(fact.key, recorded_s, bodies) for fact in facts]

    def wrote(self, seq: int) -> None:
        """All that was explained stands in the chain now, which ends at ``seq``."""
        self._upto = seq

    def _explained(self, key: Key, recorded_s: int, bodies: list[str]) -> int:
        masked = self._people.masked_key(key)
        number = self._numbers.get(masked)
        if number is None:
            number, self._next = self._next, self._next + 1
            bodies.append(sound(encode_key(number, masked, recorded_s)))
            self._numbers[masked] = number
        self._numbers[key] = number
        return number


def sound(body: str) -> str:
    """A body as it can be written: names that came as bytes and are no UTF-8 (lone surrogates) get question marks."""
    try:
        body.encode()
    except UnicodeEncodeError:
        return body.encode("utf-8", "replace").decode()
    return body
