"""An evidence pack's part on machines and water: the trial balance of embodied carbon, its figures, and what is left out."""

from collections.abc import Iterator
from typing import Any

from wattledger.accounting.embodied import trial
from wattledger.accounting.embodied.booking import Embodieds, Ready
from wattledger.accounting.embodied.entries import UNMETERED
from wattledger.accounting.embodied.estimates import Guessed
from wattledger.accounting.embodied.methods import SAID, method_of
from wattledger.accounting.explain_asset import facts_of, sources
from wattledger.accounting.explain_embodied_rows import estimate_dict
from wattledger.accounting.explain_rows import exact
from wattledger.accounting.explain_water import slots_of
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.report_sums import MILLI, UJ_PER_KWH, Sums
from wattledger.accounting.reports import Counted
from wattledger.accounting.water import WATER
from wattledger.core.facts import Known
from wattledger.factors.water import ewif
from wattledger.ledger.books import Books

GHG = "scope 3, category 2 in the year of purchase (inventory view); amortised here, for products and SCI: never both in one sum"
# What operators of clouds publish for their regions (carbon.md 7): 0.01 to 2.75 litres evaporated for a kWh of IT energy.
UNKNOWN_WUE = (0.01, 2.75)


class Machines:
    """All that machines booked in the time of a report, whoever is asked of.  State: tables of the books."""

    def __init__(self, books: Books, ask: Ask, rules: Rules) -> None:
        self._ready = Ready(books, ask._replace(kind="job", name=None, by=None), rules)
        self.found: Embodieds = self._ready.by(method_of(rules.allocation), dict(rules.prices) or None)
        self._known: tuple[Known, ...] = books.other

    def balance(self) -> dict[str, Any]:
        """Of assets with passports, to the microgram; and what was charged to jobs, estimates among it."""
        whole = trial.total(trial.rows(self.found).values())
        jobs = trial.by_job(self.found)
        charged_ug, passports_ug = sum(one.made.ug for one in jobs.values()), sum(one.passport_ug for one in jobs.values())
        said: dict[str, Any] = {"ghg": GHG, "method": self.found.method, "means": SAID[self.found.method]}
        said["passports"] = {**whole._asdict(), "residual_ug": whole.residual_ug}
        said["charged"] = {"passports_ug": passports_ug, "estimates_ug": charged_ug - passports_ug, "sum_ug": charged_ug}
        return said

    def register(self) -> Iterator[dict[str, Any]]:
        """Each figure that was booked from: a passport's with the facts of its life, or an estimate's with its source."""
        booked: dict[str, int] = {}
        for one in self.found.booked:
            booked[one.asset] = booked.get(one.asset, 0) + one.ug
        guessed = {f"estimate:{guess.asset}": guess for guess in self._ready.guessed}
        for asset, ug in sorted(booked.items()):
            said: dict[str, Any] = {"kind": "embodied", "asset": asset}
            said |= self._estimate(guessed[asset]) if asset in guessed else self._passport(asset)
            yield said | {"booked_ug": ug}

    def _passport(self, asset: str) -> dict[str, Any]:
        life, figure = self.found.fleet.lives[asset], self.found.figures[asset]
        said: dict[str, Any] = {"stands_on": "passport", "unit": "g"}
        said |= {"value": life.passport.made_g} if life.passport.made_known else {"not_known": "nobody said it"}
        said |= {"life_h": life.el_s / 3600, "life_is_stated": life.el_stated, **sources(life.passport)}
        said |= {"interval_95": {"down": figure.low, "up": figure.high}, "cause": figure.cause}
        return said | {"facts": list(facts_of(life, self.found.fleet, self._known))}

    def _estimate(self, guess: Guessed) -> dict[str, Any]:
        said = estimate_dict(guess.embodied)
        return {"stands_on": "estimate", "of": said.pop("kind"), **said}  # its kind in this register is embodied

    def exclusions(self) -> Iterator[dict[str, Any]]:
        """What of the machines nobody is charged for here."""
        unmetered_ug = self.found.apart_ug(UNMETERED)
        if unmetered_ug:
            why = "nobody metered the machine then: it is booked, and stands under no job"
            yield {"what": "embodied carbon of times without a meter", "why": why, "size": {"booked_ug": unmetered_ug}}
        unknown = [life.passport.asset for life in self.found.fleet.lives.values() if not life.passport.made_known]
        if unknown:
            said = {"what": f"the making of {len(unknown)} assets", "why": "their passports do not say what it took to make them"}
            yield said | {"assets": sorted(unknown), "size_not_known": "state it with a correction (wattledger ledger restate)"}
        for breach in self.found.fleet.refused:
            why_not = f"it breaks a rule: {breach.message}"
            yield {"what": f"the event {breach.event}", "why": why_not, "size_not_known": "it never was counted"}


def left_out() -> dict[str, Any]:
    """Where embodied carbon is not asked for."""
    why = "it is left out as configured ([embodied] enabled)"
    return {"what": "embodied carbon of the hardware", "why": why, "size_not_known": "not worked out"}


def water_register(counted: Counted, rules: Rules) -> Iterator[dict[str, Any]]:
    """Each figure of water, with the energy that it was laid on; microlitres can be multiplied again."""
    for where in WATER:
        for slot in slots_of(counted, where):
            litres = slot.litres
            if litres is None:
                continue
            said: dict[str, Any] = {"kind": "water", "basis": f"water_{where}", "unit": "ul/kWh", "value": litres.ul_per_kwh}
            names = ("zone", "boundary", "quality", "origin", "version", "cause")
            said |= {name: value for name in names if (value := getattr(litres, name))}
            said |= {"interval_95": {"down": litres.g95, "up": litres.g95_high or litres.g95}}
            said |= {"licence": ewif.offsite(litres.zone, rules.hydro).licence, "table": WATER_TABLE} if where == "offsite" else {}
            said |= {"pue": slot.pue_milli / MILLI} if slot.pue_milli else {}
            yield said | {"energy_uj": exact(slot.energy_uj), "water_ul": exact(slot.water_ul)}


WATER_TABLE = "factors/data/water.csv"


def water_left_out(whole: Sums) -> Iterator[dict[str, Any]]:
    """Litres that are not known of some of the energy."""
    on, off = whole.missing("onsite"), whole.missing("offsite")
    if on:
        kwh = float(on / UJ_PER_KWH)
        size = {"energy_uj": exact(on), "water_l": {"low": kwh * UNKNOWN_WUE[0], "high": kwh * UNKNOWN_WUE[1]}}
        by = f"a WUE of {UNKNOWN_WUE[0]} to {UNKNOWN_WUE[1]} L/kWh: the range that one cloud's regions publish"
        yield {"what": "water that the site evaporates", "why": "nobody said its WUE ([facility] wue)", "size": size, "by": by}
    if off:
        why = "hydro power is to be left out, and what the electricity is made of is not known"
        yield {"what": "water that power stations consume", "why": why, "size": {"energy_uj": exact(off)}}
