"""A report's embodied figure taken apart, as plain data: what JSON says (schema ``wattledger.explain/1``).  Micrograms are ints."""

from typing import Any

from wattledger.accounting.embodied.methods import SAID
from wattledger.accounting.explain_asset import rate_g_per_h, sources
from wattledger.accounting.explain_embodied import EmbodiedFigure, Pay, Payer
from wattledger.accounting.explain_embodied_why import why_dict
from wattledger.accounting.explain_rows import asked_dict
from wattledger.accounting.report_sums import UG_PER_G
from wattledger.accounting.reports import iso_time
from wattledger.factors.hardware.figure import Embodied

FORMULA = "M = TE x time share x resource share: booked_ug = carried_ug x seconds / life_left_s; ug = booked_ug x ns / of_ns"
UG_PER_KG = 1_000_000_000


def embodied_dict(found: EmbodiedFigure) -> dict[str, Any]:
    """The figure, each asset that was paid for, and each part of its time."""
    said = asked_dict(found.ask) | {"basis": "embodied", "formula": FORMULA}
    said |= {"method": found.found.method, "means": SAID[found.found.method]}
    said["assets"] = [_payer(found, payer) for payer in found.payers]
    counted = sum(found.counted.values())
    for name, ug in (("sum", counted), ("report", found.reported_ug)):
        said[name] = {"emitted_ug": ug, "emitted_g": ug / UG_PER_G} if found.payers or ug else {}
    return said | {"equal": found.is_equal, "notes": list(found.notes)}


def _payer(found: EmbodiedFigure, payer: Payer) -> dict[str, Any]:
    said: dict[str, Any] = {"asset": payer.asset}
    if payer.life is not None:
        passport = payer.life.passport
        said |= {"stands_on": "passport", "kind": passport.kind, "facts": list(payer.facts)}
        said |= {name: value for name in ("vendor", "model", "device") if (value := getattr(passport, name))}
        said |= {"made_g": passport.made_g} if passport.made_known else {}
        said |= {name: value for name in ("low_g", "high_g") if (value := getattr(passport, name)) is not None}
        said |= {"life_s": payer.life.el_s, "life_is_stated": payer.life.el_stated} | dict(sources(passport))
    elif payer.guessed is not None:
        said |= {"stands_on": "estimate"} | estimate_dict(payer.guessed.embodied)
    pays = [pay for pay in found.pays if pay.asset == payer.asset]
    said["parts"] = [_pay(pay) for pay in pays]
    return said | {"ug": sum(pay.ug for pay in pays)}


def estimate_dict(one: Embodied) -> dict[str, Any]:
    """An estimate's figure with its source."""
    said: dict[str, Any] = {"item": one.item, "kg": one.kg, "low_kg": one.low_kg, "high_kg": one.high_kg, "life_h": one.life_h}
    words = ("kind", "boundary", "method", "source", "year", "licence", "note")
    return said | {word: value for word in words if (value := getattr(one, word))}


def _pay(pay: Pay) -> dict[str, Any]:
    said: dict[str, Any] = {"from": iso_time(pay.from_s), "to": iso_time(pay.to_s), "by": pay.how, "how": pay.formula}
    if pay.period is not None:
        said |= {"carried_ug": pay.period.carried_ug, "life_left_s": pay.period.life_left_s}
        said |= {"rate_g_per_h": rate_g_per_h(pay.period)}
        said |= {"since": iso_time(pay.period.start_s)} | ({"host": pay.period.place.host} if pay.period.place.host else {})
    said["booked_ug"] = pay.booked_ug
    said |= {"ns": pay.mine_ns, "of_ns": pay.of_ns} if pay.of_ns else {}
    said |= {"time_by": [why_dict(why) for why in pay.whys]} if pay.whys else {}
    return said | {"ug": pay.ug}
