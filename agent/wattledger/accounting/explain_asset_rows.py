"""The life of an asset as plain data: what JSON says (schema ``wattledger.explain/1``).  Micrograms are ints."""

from typing import Any

from wattledger.accounting.assets.life import Period
from wattledger.accounting.explain_asset import AssetStory, Effect, Step, rate_g_per_h, sources
from wattledger.accounting.explain_rows import SCHEMA
from wattledger.accounting.reports import iso_time

FORMULA = "booked_ug = carried_ug x seconds / life_left_s: TE x time share x resource share, r = C / (EL - age)"


def asset_dict(found: AssetStory) -> dict[str, Any]:
    """An asset."""
    life = found.life
    passport = life.passport
    said: dict[str, Any] = {"schema": SCHEMA, "of": "asset", "asset": passport.asset, "kind": passport.kind}
    said |= {"until": iso_time(found.until_s), "formula": FORMULA}
    made: dict[str, Any] = {"made_g": passport.made_g} if passport.made_known else {}
    made |= {name: value for name in ("low_g", "high_g", "mass_g") if (value := getattr(passport, name)) is not None}
    made |= {name: value for name in ("vendor", "model", "device", "serial_hash") if (value := getattr(passport, name))}
    said["passport"] = made | dict(sources(passport))
    said |= {"status": life.status, "life_s": life.el_s, "life_is_stated": life.el_stated, "age_s": life.age_s}
    said |= {"place": _named(life.place), "parts": list(life.parts)}
    said["events"] = [step_dict(step) for step in found.steps]
    said["periods"] = [period_dict(period, found.until_s) for period in life.periods if period.start_s < found.until_s]
    said["balance"] = {**found.balance._asdict(), "residual_ug": found.balance.residual_ug}
    said |= {"refused": list(found.refused)} if found.refused else {}
    return said | {"equal": found.is_equal}


def effect_dict(found: Effect) -> dict[str, Any]:
    """What a fact does to the lives of machines."""
    said: dict[str, Any] = {"until": iso_time(found.until_s), "steps": [step_dict(step) for step in found.steps]}
    said |= {"why_none": found.why_none} if found.why_none else {}
    said |= {"needed_by": list(found.breaks)} if found.breaks else {}
    said["moves_reports"] = [
        {"asset": each.asset, "host": each.host, "from": iso_time(each.from_s)}
        | {"booked_ug": each.with_ug, "without_it_ug": each.without_ug, "difference_ug": each.with_ug - each.without_ug}
        for each in found.changes
    ]
    return said


def step_dict(step: Step) -> dict[str, Any]:
    """An event."""
    fact = step.fact
    said: dict[str, Any] = {"fact": step.known.id, "event": fact.event, "of": fact.asset, "at": iso_time(fact.at_s)}
    said |= {"learnt": iso_time(step.known.recorded_s)}
    said |= {"emitted_g": fact.emitted_g} if fact.emitted_g is not None else {}
    said |= {"inside": fact.inside} if fact.inside else {}
    said |= {"details": dict(fact.details)} if fact.details else {}
    said |= {"evidence": fact.evidence} if fact.evidence else {}
    said |= {"corrects": step.known.corrects, "because": step.known.reason} if step.known.corrects else {}
    said["moved"] = [{"asset": each.asset, "cause": each.cause, "ug": each.ug} for each in step.moved]
    return said | {"carried_ug": step.carried_ug, "place": _named(step.place)}


def period_dict(period: Period, until_s: int) -> dict[str, Any]:
    """A time in which it is booked evenly."""
    said: dict[str, Any] = {"start": iso_time(period.start_s)}
    said |= {"end": iso_time(period.end_s)} if period.end_s is not None else {}
    said |= {"place": _named(period.place), "carried_ug": period.carried_ug, "life_left_s": period.life_left_s}
    said |= {"rate_g_per_h": rate_g_per_h(period), "booked_ug": period.booked_ug(period.start_s, until_s)}
    return said | ({"capacity": period.capacity_ppm / 1_000_000} if period.capacity_ppm != 1_000_000 else {})


def _named(place: Any) -> dict[str, str]:
    return {name: value for name, value in place._asdict().items() if value}
