"""The trial balance of an evidence pack: what everybody used beside what all devices drew, and what it was held against."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from wattledger.accounting.explain_rows import BASES, exact
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.report_slots import PRICED
from wattledger.accounting.report_sums import Sums
from wattledger.accounting.reports import count
from wattledger.ledger.books import Books
from wattledger.ledger.query import Scope

Group = tuple[str, ...]
ZERO = Fraction(0)

# Where a figure belongs in a corporate inventory (GHG Protocol; reference carbon.md 1.1, for one's own machines).
GHG = {
    "location_based": "scope 2, location-based, at the price of the hour (operations)",
    "location_based_inventory": "scope 2, location-based",
    "upstream": "scope 3, category 3",
    "market_based": "scope 2, market-based",
    "marginal": "none: for decisions, never for an inventory",
}


class Balance(NamedTuple):
    """Sums of all energy of a time: by whom it was used, and by which device it was drawn."""

    accounts: Mapping[str, Sums]
    devices: Mapping[Group, Sums]
    jobs: int

    @property
    def whole(self) -> Sums:
        """All of it."""
        return together(self.accounts.values())


def balance(books: Books, ask: Ask, rules: Rules) -> Balance:
    """Of all that is booked in the time that is asked of, whoever is asked of: a figure is judged by what is beside it."""
    wide = ask._replace(name=None, by=None)
    jobs = _by_group(books, wide._replace(kind="job"), rules)
    accounts: dict[str, Sums] = {}
    for (job,), sums in jobs.items():
        # Reserved names begin with a bracket, and users' may not.
        accounts.setdefault(job if job.startswith("(") else "jobs" if job else "(no name)", Sums()).merge(sums)
    named = sum(1 for (job,) in jobs if job and not job.startswith("("))
    return Balance(dict(sorted(accounts.items())), _by_group(books, wide._replace(kind="device"), rules), named)


def together(parts: Iterable[Sums]) -> Sums:
    """Sums of all of them."""
    whole = Sums()
    for part in parts:
        whole.merge(part)
    return whole


def to_dict(found: Balance) -> dict[str, Any]:
    """JSON: ``difference`` must be 0 everywhere; bases of which nothing is known are absent."""
    said: dict[str, Any] = {"energy_uj": {"jobs_named": found.jobs, **_line(found, Sums.energy_uj)}}
    for name, basis in BASES.items():
        if basis not in PRICED or not found.whole.of(f"{basis} energy"):
            continue

        def emitted_ug(sums: Sums, basis: str = basis) -> Fraction:
            return sums.emitted_ug(basis)

        said.setdefault("emitted_ug", {})[name] = {"ghg": GHG.get(name, ""), **_line(found, emitted_ug)}
    said["devices"] = [
        {"host": host, "device": device, "component": component, "energy_uj": exact(sums.energy_uj())}
        for (host, device, component, _), sums in sorted(found.devices.items())
    ]
    return said


def reconciled(found: Balance) -> Iterator[dict[str, Any]]:
    """What was held against what; the last is what nobody could hold it against."""
    for host in sorted({group[0] for group in found.devices}):
        drawn = sum((sums.energy_uj() for group, sums in found.devices.items() if group[0] == host), ZERO)
        yield {"what": f"the devices of {host} and no others", "energy_uj": exact(drawn)}
    used, drawn = (sum((s.energy_uj() for s in side.values()), ZERO) for side in (found.accounts, found.devices))
    names = " + ".join(name for name in found.accounts) or "nobody"
    line = {"what": f"{names} == all devices", "left_uj": exact(used), "right_uj": exact(drawn)}
    yield line | {"difference_uj": exact(used - drawn)}
    why = "no outside meter's reading and no invoice is in these books; hold the devices' sum against yours"
    yield {"what": "all devices == the building's meter or the invoice", "not_known": why}


def _line(found: Balance, of: Callable[[Sums], Fraction]) -> dict[str, Any]:
    used = {name: of(sums) for name, sums in found.accounts.items()}
    drawn = sum((of(sums) for sums in found.devices.values()), ZERO)
    whole = sum(used.values(), ZERO)
    said = {"accounts": {name: exact(value) for name, value in used.items()}, "sum": exact(whole)}
    return said | {"devices": exact(drawn), "difference": exact(whole - drawn)}


def _by_group(books: Books, ask: Ask, rules: Rules) -> dict[Group, Sums]:
    counted = count(books, Scope(ask.kind, None, ask.from_s, ask.to_s), ask, rules)
    found: dict[Group, Sums] = {}
    for row in counted.rows:
        found.setdefault(row.group, Sums()).add(row, counted.slots.combos[row.combo])
    return found
