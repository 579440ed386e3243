"""Evidence packs of reports over books made by hand, for their tests."""

from fractions import Fraction
from pathlib import Path
from typing import Any

from wattledger.accounting.evidence import pack, pinned
from wattledger.accounting.report_ask import Ask, Rules, of_day
from wattledger.accounting.report_rows import to_dict
from wattledger.accounting.reports import report
from wattledger.ledger.books import Books, Span
from wattledger.ledger.store import Store

JOB = Ask("job", "job-0")


def packed(place: Path, ask: Ask = JOB, rules: Rules | None = None) -> dict[str, Any]:
    """The pack of a report over these books."""
    ask = of_day(ask)
    with Books([place], Span(ask.from_s, ask.to_s, ask.as_of_s)) as opened:
        ask = pinned(ask, opened)
        return pack(opened, ask, rules, to_dict(report(opened, ask, rules)))


def number(said: int | str) -> Fraction:
    """An exact figure of a pack."""
    return Fraction(said)


def known(place: Path) -> Any:
    """The facts in a store's open part."""
    store = Store.open(place, readonly=True)
    try:
        return list(store.known())
    finally:
        store.close()
