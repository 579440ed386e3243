"""A report's embodied figure as people read it: who was paid for, at what pace, and what part of that time it was."""

from collections.abc import Iterator

from wattledger.accounting.assets.life import HOUR_S, UG_PER_G
from wattledger.accounting.embodied.methods import SAID, Method
from wattledger.accounting.explain_asset import rate_g_per_h, sources
from wattledger.accounting.explain_embodied import EmbodiedFigure, Pay, Payer
from wattledger.accounting.explain_embodied_why import because
from wattledger.accounting.reports import iso_time
from wattledger.cli.explain_asset import kilos, word
from wattledger.cli.explain_tokens import named
from wattledger.cli.explain_view import OFF, asked_words
from wattledger.core.figures import digits, gram

SHOWN_ASSETS, SHOWN_PARTS = 12, 6
UG_PER_MG = 1000


def embodied_lines(found: EmbodiedFigure, *, every: bool) -> Iterator[str]:
    """Asset by asset, the largest first; the sum, and whether the report says the same."""
    yield f"{asked_words(found.ask)}, embodied, {SAID[found.found.method]}"
    if not found.payers:
        yield "  no machine that is known was paid for in that time: not known"
    yield "  booked = carried x hours / hours of life left; of that the part of the time"
    counted = found.counted
    payers = sorted(found.payers, key=lambda payer: (-counted.get(payer.asset, 0), payer.asset))
    shown = len(payers) if every or len(payers) <= SHOWN_ASSETS else SHOWN_ASSETS - 1
    for payer in payers[:shown]:
        yield from _payer(found, payer, every=every)
    if rest := payers[shown:]:
        much = sum(counted.get(payer.asset, 0) for payer in rest)
        yield f"  {len(rest)} more machines: {_ug(much)} (--all lists them)"
    whole = sum(counted.values())
    if found.payers or found.reported_ug:
        as_said = f" = {gram(whole / UG_PER_G)}" if whole >= UG_PER_MG else ""
        yield f"  sum              {_ug(whole)}{as_said} CO2e"
        yield f"  the report says  {_ug(found.reported_ug)}: {'exactly equal' if found.is_equal else OFF}"
    for note in found.notes:
        yield f"note: {note}"


def _payer(found: EmbodiedFigure, payer: Payer, *, every: bool) -> Iterator[str]:
    pays = [pay for pay in found.pays if pay.asset == payer.asset]
    yield f"  {word(payer.asset)}  {_ug(sum(pay.ug for pay in pays))}: {_source(payer)}"
    shown = len(pays) if every or len(pays) <= SHOWN_PARTS else SHOWN_PARTS - 1
    for pay in pays[:shown]:
        yield _pay(pay)
        if found.ask.name is not None:  # what is everybody's needs no reason
            yield from _whys(pay, found.found.method, every=every)
    if rest := pays[shown:]:
        yield f"    {len(rest)} more times: {_ug(sum(pay.ug for pay in rest))} (--all lists them)"


def _source(payer: Payer) -> str:
    if payer.life is not None:
        passport = payer.life.passport
        made = kilos(passport.made_g * UG_PER_G) if passport.made_known else "carbon not known"
        said = ", ".join(word(value) for value in sources(passport).values())
        stated = "" if payer.life.el_stated else " assumed"
        life = f"over {digits(payer.life.el_s / HOUR_S)} h{stated}"
        return f"passport, {made} {life}{f', {said}' if said else ''}: {named(payer.facts)}"
    if payer.guessed is None:
        return "not known"
    one = payer.guessed.embodied
    interval = f"{digits(one.kg)} kg ({digits(one.low_kg)} to {digits(one.high_kg)}) over {digits(one.life_h)} h"
    said = ", ".join(text for text in (one.method, one.boundary, one.source, one.year) if text)
    return f"estimate, {one.item}, {interval}, {said}"


def _pay(pay: Pay) -> str:
    when = f"    {iso_time(pay.from_s)} to {iso_time(pay.to_s)}"
    pace = f"  {digits(rate_g_per_h(pay.period))} g/h" if pay.period is not None and pay.how == "time" else f"  {pay.formula}"
    share = f" x {digits(pay.mine_ns / 1e9)} s of {digits(pay.of_ns / 1e9)} s" if pay.of_ns else ""
    return f"{when}{pace}: booked {_ug(pay.booked_ug)}{share} = {_ug(pay.ug)}"


def _whys(pay: Pay, method: Method, *, every: bool) -> Iterator[str]:
    """What the job's part of the time is made of; of a program that metered itself, who says so."""
    whys = pay.whys if every else pay.whys[:SHOWN_PARTS]
    for why in whys:
        facts = f": {named(why.facts)}" if why.facts else ""
        yield f"      {because(why, method)}{facts}"
    if rest := len(pay.whys) - len(whys):
        yield f"      {rest} more (--all lists them)"


def _ug(ug: int) -> str:
    return f"{ug:,} ug".replace(",", " ")
