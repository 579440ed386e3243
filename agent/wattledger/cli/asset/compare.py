"""``wattledger asset compare``: keep, repair, upgrade or replace, by what each emits from now on."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from typing import Any

import click

from wattledger.accounting.assets.books import fleet_of
from wattledger.accounting.assets.efficiency import UNITS, efficiency, ratio
from wattledger.accounting.compare import ask
from wattledger.accounting.compare.answer import answer
from wattledger.accounting.compare.assumption import Assumption
from wattledger.accounting.compare.draws import SEED
from wattledger.accounting.compare.machine import Machine, Unfound, machine
from wattledger.accounting.compare.option import Option, Question
from wattledger.accounting.compare.rows import Aside, measured, to_dict
from wattledger.cli import fail
from wattledger.cli.asset.compare_shared import Here, shared
from wattledger.cli.asset.compare_view import efficiency_lines, lines
from wattledger.cli.asset.kept import CONFIG, LEDGERS, places
from wattledger.cli.ledger.anchor import now_s
from wattledger.core.uncertainty import Quantity
from wattledger.factors.hardware.figure import Embodied
from wattledger.ledger.books import Books
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.query_efficiency import stays_of_model
from wattledger.runtime.config import Config, ConfigError, load, nearest

LONGEST_Y = 50.0
GUESSED = ("nearest", "class")  # a model without a figure of its own
TOO_MANY_KG = 50_000  # heavier in carbon than a rack of eight DGX: grams were meant
NEAR = 0.75  # how like one in the books a name must be, for numbers by flags to be asked back


@click.command("compare")
@click.argument("asset")
@click.option("--keep", "keeps", is_flag=True, help="Beside --repair: it may also go on as it is. Without --repair it always may.")
@click.option("--repair", metavar="WORDS", help="What the repair emits, and for how long it then works: kg=12,years=2.")
@click.option("--upgrade", "upgrades", metavar="WORDS", multiple=True, help="A part: kg=40,efficiency=1.3.  Repeatable.")
@click.option("--replace", "replaces", metavar="MODEL|WORDS", multiple=True, help="A model, or words, or both.  Repeatable.")
@click.option("--with", "other", metavar="OTHER", help="Another asset, device, host or model of the books: whose work takes less?")
@click.option("--horizon", metavar="YEARS", help="How far to look; default: the life of what replaces it.")
@click.option("--count", "counting", type=click.Choice(["whole", "share"]), default="whole", show_default=True,
              help="What is made counts whole, or by the share of its life that lies within the horizon.")  # fmt: skip
@click.option("--work-per-day", "work", metavar="N", help="How much work it does; default: as measured.")
@click.option("--unit", type=click.Choice(UNITS), default="token", show_default=True, help="What work is counted in.")
@click.option("--joules-per-unit", "joules", metavar="J", help="What a unit takes; default: as measured. Of an hour at 1 W: 3600.")
@click.option("--maintenance", metavar="KG", help="What keeping it running emits each year, beside its electricity.")
@click.option("--zone", metavar="ZONE", help="The grid; default: where it was metered, else as configured.")
@click.option("--boundary", type=click.Choice(["lifecycle", "direct"]), default=None,
              help="Of the zone's factor; default: life-cycle, as what is made is counted, where there is one.")  # fmt: skip
@click.option("--intensity", metavar="G", help="gCO2e/kWh, in place of the zone's.")
@click.option("--decline", metavar="PERCENT", help="By how much the grid's intensity falls each year; default: not at all.")
@click.option("--pue", metavar="X", help="The building's PUE; default: as configured.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="Of the Monte Carlo: the same seed gives the same answer.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schema wattledger.compare/1).")
@LEDGERS
@CONFIG
def command(asset: str, **given: Any) -> None:
    """Keep ASSET, repair it, upgrade it or replace it: what each emits from now on, when it breaks even, and how sure that is.

    ASSET is an asset, a device, a host or a device model of the books; or any name, with --joules-per-unit and --work-per-day.
    What was emitted to make it is the same in every choice, and no part of any.

    \b
    WORDS are separated by commas; a number may carry its 95 % interval, as LOW..VALUE..HIGH:
      kg=150..164..575     what is emitted to make it (or to repair), kg CO2e
      years=4              how long it serves
      efficiency=2         how much more work it does with a joule than ASSET does; or
      joules_per_unit=0.3  what a unit of work takes; or
      power_w=350          watts while it works (of tokens and requests: over the whole day)
      maintenance=5        kg a year; eol=3: kg at its end

    \b
    wattledger asset compare gpu-3 --replace "NVIDIA H100 80GB HBM3,efficiency=2.5" --horizon 4
    wattledger asset compare node-7 --repair kg=35,years=2 --replace kg=1300,years=5,efficiency=1.8 --zone DE
    wattledger asset compare old --joules-per-unit 0.4 --work-per-day 2e7 --replace "NVIDIA L4,efficiency=3"
    wattledger asset compare gpu-3 --with gpu-4
    """
    try:
        with ExitStack() as stack:
            here = _here(given, stack)
            if not (given["other"] or given["repair"] or given["upgrades"] or given["replaces"]):
                raise ask.WrongWords("nothing to compare with: --repair, --upgrade, --replace or --with")
            said = _side_by_side(here, asset) if given["other"] else {}
            found = _answer(here, asset) if given["repair"] or given["upgrades"] or given["replaces"] else {}
    except Unfound as wrong:
        fail(f"asset compare: {wrong}{nearest(asset, wrong.names)}; or say --joules-per-unit and --work-per-day")
    except (ConfigError, LedgerError, ValueError) as wrong:
        fail(f"asset compare: {wrong}")
    if given["as_json"]:
        click.echo(json.dumps({**(found or {"schema": "wattledger.compare/1"}), **said}, ensure_ascii=False))
        return
    for line in [*(_said_lines(said) if said else []), *(lines(found) if found else [])]:
        click.echo(line)


def _here(given: Mapping[str, Any], stack: ExitStack) -> Here:
    config = load(os.environ, file=given["config_file"])
    where = places(config, given["ledgers"])
    if not where:
        return Here(config, None, None, given)
    books = stack.enter_context(Books(where))
    return Here(config, books, fleet_of(books.other, until_s=now_s()), given)


def _side_by_side(here: Here, asset: str) -> dict[str, Any]:
    """Two machines of the books, by what their work took."""
    both = [_machine(here, name, needed=True) for name in (asset, str(here.given["other"]))]
    found = [each.measured for each in both]
    compared: Quantity | str = "one of them has not been metered"
    if found[0] is not None and found[1] is not None:
        compared = ratio(found[0], found[1])
    why = {"not_known": compared} if isinstance(compared, str) else compared.to_dict()
    absent = {"not_known": {"joules_per_unit": "no device of it was metered", "trend": ""}, "unit": here.unit}
    rows = [{"told": each.told, **(measured(each.measured) if each.measured else absent)} for each in both]
    return {"efficiency": {"machines": rows, "times_the_work_per_joule": why}}


def _said_lines(said: Mapping[str, Any]) -> list[str]:
    rows = said["efficiency"]["machines"]
    compared = said["efficiency"]["times_the_work_per_joule"]
    return efficiency_lines([(row["told"], row) for row in rows], compared.get("not_known", compared))


def _answer(here: Here, asset: str) -> dict[str, Any]:
    given = here.given
    enough = given["joules"] is not None and given["work"] is not None
    of = _machine(here, asset, needed=not enough)
    common, grid, notes = shared(here, of)
    stand_ins: list[str] = []
    wanted = [(kind, text) for kind in ("repair", "upgrade", "replace") for text in _texts(given, kind)]
    options: list[tuple[Option, Sequence[Assumption]]] = [(ask.keep(common), [])] if given["keeps"] or not given["repair"] else []
    for kind, text in wanted:
        said = ask.words(kind, text)
        if "kg" in said.numbers and (kg := said.numbers["kg"].value) > TOO_MANY_KG:
            notes.append(f"--{kind} kg={kg:g}: are these grams? {kg / 1000:g} t is more than a rack of machines")
        name = _name(said, [option.name for option, _ in options])
        known = _model(here, of, said)
        if known is not None and known.made is not None and known.made.method in GUESSED:
            stand_ins.append(_stand_in(known.made))
        options.append(ask.option(said, common, model=known, name=name))
    if len(options) < 2:
        raise ask.WrongWords("a repair alone is no choice: add --keep, --upgrade or --replace")
    years = None if given["horizon"] is None else ask.number(given["horizon"], "--horizon", positive=True).value
    if years is not None and years > LONGEST_Y:
        raise ask.WrongWords(f"--horizon {years:g}: years, at most {LONGEST_Y:g}")
    asked: Question = ask.question(options, common, horizon_y=years, start_s=now_s(), counting=given["counting"])
    kept = of.keeps_on(asked.horizon_y) if any(option.kind == "keep" for option, _ in options) else ""
    aside = Aside([*([kept] if kept else []), *notes], tuple(dict.fromkeys(stand_ins)), grid)
    return to_dict(answer(asked, seed=given["seed"]), of, here.unit, aside)


def _texts(given: Mapping[str, Any], kind: str) -> Sequence[str]:
    if kind == "repair":
        return [given["repair"]] if given["repair"] else []
    return list(given[f"{kind}s"])


def _name(said: ask.Words, taken: Sequence[str]) -> str:
    name = f"{said.kind} by {said.model}" if said.model else said.kind
    again = sum(each == name or each.startswith(f"{name} #") for each in taken)
    return f"{name} #{again + 1}" if again else name


def _machine(here: Here, name: str, *, needed: bool) -> Machine:
    """What the books know of it.  Where it is not ``needed``, a name will do.  Raises Unfound."""
    if here.books is not None and here.fleet is not None:
        try:
            return machine(name, here.books, here.fleet, here.unit, now_s=now_s())
        except Unfound as wrong:
            if needed:
                raise
            return Machine(name, f"{name} (not in the books{_meant(name, wrong.names)})", name)
    elif needed:
        raise Unfound(f"no books are kept here that could know {name!r}", ())
    return Machine(name, f"{name} (not in the books)", name)


def _stand_in(made: Embodied) -> str:
    """Whose figure it is, where the model has none of its own."""
    return made.note if made.method == "nearest" else f"{made.note}: the {made.source.removesuffix(' in the table')} stands in"


def _meant(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, n=1, cutoff=NEAR)
    return f"; did you mean {near[0]!r}?" if near else ""


def _model(here: Here, of: Machine, said: ask.Words) -> ask.Model | None:
    """What is known of the model that replaces it: its making from the package's figures, its work from the books."""
    if not said.model:
        return None
    made = None if "kg" in said.numbers else _figure(here.config, said.model)
    times: Quantity | str = ""
    if here.books is not None and of.measured is not None and here.given["joules"] is None:
        stays = stays_of_model(here.books.connection, said.model)
        times = ratio(of.measured, efficiency(here.books.connection, stays, here.unit)) if stays else ""
    return ask.Model(made, None if isinstance(times, str) else times, f"{said.model} in these books, on what both served")


def _figure(config: Config, model: str) -> Embodied:
    from wattledger.factors.hardware import table  # its figures are read at once

    return table.accelerator(model, life_h=config["embodied.gpu_life_y"] * ask.H_PER_Y)
