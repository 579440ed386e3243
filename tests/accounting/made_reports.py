"""Books made by hand, and reports over them, for the tests of reports."""

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.ledger.made import NOON_S, energy, key

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.report_rows import to_dict
from wattledger.accounting.reports import report
from wattledger.cli.report_csv import csv_text
from wattledger.cli.report_view import table
from wattledger.core.facts import EnergyFact, IntensityFact
from wattledger.ledger.books import Books, Span
from wattledger.ledger.store import Store

H, DAY_S = 3600, 86_400
KWH = 3_600_000_000_000  # microjoules
LEARNT_S = NOON_S + 30 * DAY_S  # when facts are recorded unless it is said otherwise
NUMBERS = itertools.count()


def books(folder: Path, facts: Sequence[Any], at_s: int = LEARNT_S) -> Path:
    """A store with these facts, all learnt at one time; a new folder each time."""
    place = folder / f"books-{next(NUMBERS)}"
    add(place, facts, at_s)
    return place


def add(place: Path, facts: Sequence[Any], at_s: int) -> list[str]:
    """Facts and corrections; the facts' ids."""
    store = Store.open(place)
    try:
        return store.append(facts, at_s)
    finally:
        store.close()


def used(kwh: float, *, hour: float = 0, length_s: int = 60, **more: Any) -> EnergyFact:
    """So many kWh of job-0 in a minute that begins so many hours after noon."""
    made = energy(of=key(pue_milli=1000)._replace(**more), start_s=NOON_S + round(hour * H), uj=round(kwh * KWH))
    return made._replace(length_s=length_s, seen_ms=length_s * 1000)


def said(hour: int, g_per_kwh: float, *, length_s: int = H, **more: Any) -> IntensityFact:
    """What a provider said of DE's grid in an hour after noon."""
    return IntensityFact("DE", NOON_S + hour * H, length_s, round(g_per_kwh * 1e6), "p")._replace(**more)


def asked(place: Path | Iterable[Path], ask: Ask, rules: Rules | None = None) -> dict[str, Any]:
    """The report as JSON."""
    places = [place] if isinstance(place, Path) else list(place)
    with Books(places, Span(ask.from_s, ask.to_s, ask.as_of_s)) as opened:
        return to_dict(report(opened, ask, rules))


def written(place: Path | Iterable[Path], ask: Ask, rules: Rules | None = None) -> str:
    """The report's bytes, as JSON, CSV and for people."""
    found = asked(place, ask, rules)
    return "\n".join([json.dumps(found), csv_text(found), *table(found)])


def grams(found: dict[str, Any], basis: str = "location_based", row: int | None = None) -> float:
    """Of one row, or of the total."""
    line = found["total"] if row is None else found["rows"][row]
    return float(line["emissions_g"][basis]["value"])
