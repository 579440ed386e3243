"""What an allocation is of: the energy facts that it divides, and among which tokens; of a request, its part of that."""

from typing import Any, NamedTuple

from wattledger.core.posted import MINUTE_S
from wattledger.ledger.books import Books
from wattledger.ledger.columns import KEY_COLUMNS, KINDS_UJ, TOKENS
from wattledger.ledger.engine import told
from wattledger.ledger.query_tokens import WHO

_ID = ("writer", "seq")


class Amount(NamedTuple):
    """What facts come to; ``ids``: theirs, of those that stand in the books by themselves."""

    ids: tuple[str, ...]
    counts: tuple[int, ...]


class Division(NamedTuple):
    """``energy``: microjoules of the facts that a window's allocation divides; ``work``: computed prompt, cached and generated
    tokens and engine steps of the same window.

    Of a request, ``windows``: what went into prompt and generated tokens (microjoules) in ``[from_s, to_s)``, while it was worked
    on.
    """

    energy: Amount | None = None
    work: Amount | None = None
    windows: Amount | None = None
    from_s: int = 0
    to_s: int = 0


def division(books: Books, row: dict[str, Any]) -> Division:
    """Of an allocation's row, as the books stand."""
    books.view("energy_facts", "energy", (*_ID, *KEY_COLUMNS, "start_s", "length_s", "energy_uj"))
    books.view("work_facts", "work", (*_ID, *KEY_COLUMNS, "start_s", "length_s", *TOKENS, "steps"))
    books.view("allocation_facts", "allocation", (*_ID, *KEY_COLUMNS, "start_s", "length_s", *KINDS_UJ, "request"))
    with told("the books"):
        return _window(books, row) if row["request"] is None else _request(books, row)


def _window(books: Books, row: dict[str, Any]) -> Division:
    same = {name: row[name] for name in ("start_s", "length_s")}
    sensor = {name: row[name] for name in ("component", "method")}
    energy = _sum(books, ("energy_facts", "energy_uj"), {**_who(row), **sensor, **same})
    if not energy.counts[0]:
        # One engine may serve several models: its energy stands under the name that its process has.
        energy = _sum(books, ("energy_facts", "energy_uj"), {**_who(row, but="model"), **sensor, **same})
    return Division(energy, _sum(books, ("work_facts", *TOKENS, "steps"), {**_who(row), **same}))


def _request(books: Books, row: dict[str, Any]) -> Division:
    """What an engine did across a minute's end stands in the minute in which that was known: where need be, the next one too."""
    from_s, end_s = row["start_s"], row["start_s"] + row["length_s"]
    found = Division()
    for until_s in (end_s, end_s + MINUTE_S):
        touching = f"request IS NULL AND start_s < {until_s:d} AND start_s + length_s > {from_s:d}"
        windows = _sum(books, ("allocation_facts", "prompt_uj", "generated_uj"), _who(row), touching)
        found = Division(windows=windows, from_s=from_s, to_s=until_s)
        if sum(windows.counts) >= row["prompt_uj"] + row["generated_uj"]:
            break
    return found


def _who(row: dict[str, Any], *, but: str = "") -> dict[str, Any]:
    return {name: row[name] for name in WHO if name != but}


def _sum(books: Books, what: tuple[str, ...], like: dict[str, Any], more: str = "1 = 1") -> Amount:
    table, *names = what
    same = " AND ".join(f"{name} = ?" for name in like)
    sql = f"SELECT writer, seq, {', '.join(names)} FROM {table} WHERE {same} AND {more} ORDER BY start_s, writer, seq"
    rows = books.connection.execute(sql, list(like.values())).fetchall()
    counts = tuple(sum(row[n] or 0 for row in rows) for n in range(2, 2 + len(names)))
    return Amount(tuple(f"{writer}:{seq}" for writer, seq, *_ in rows if writer is not None), counts)
