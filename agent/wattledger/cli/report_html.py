"""``report … --html FILE``: a report as one page that needs nothing else, for a browser, a mail or paper.

It says what ``--json`` says, with its SHA-256, and draws it.  No script, nothing from elsewhere, no date of its own: the same
answer gives the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wattledger.accounting.evidence import digest
from wattledger.accounting.report_ask import BUCKETS_S, Ask, Rules, of_day
from wattledger.accounting.reports import iso_time
from wattledger.cli.report_csv import BASES
from wattledger.cli.report_embodied import mass
from wattledger.cli.report_html_figures import UNKNOWN, Over, Show, energy, figures, interval, label, ranked, spanned
from wattledger.cli.report_power import curve, cut, is_shared, scope_of, span_of
from wattledger.cli.report_tokens import legend, tenant_lines, token_lines
from wattledger.cli.report_view import ABOUT
from wattledger.cli.report_water import ABOUT as WATER_ABOUT
from wattledger.cli.report_water import WHERE
from wattledger.core.figures import digits
from wattledger.core.uncertainty import Quantity
from wattledger.core.version import __version__
from wattledger.ledger.books import Books
from wattledger.runtime.html.render import render, static
from wattledger.runtime.page import words
from wattledger.runtime.page.words import Said

MOST_PRINTED = 40  # rows of a figure's table that stand on paper, too
MOST_PIECES = 2000  # rows of the table of pieces; JSON and CSV have all
MOST_HOURS, MOST_DAYS = 72, 750  # columns of a figure that is as wide as a sheet
BASIS_NAMES = {basis: name.strip() for basis, name in BASES.items()} | {"location_based_inventory": "location-based, inventory"}


class Cell(NamedTuple):
    """A figure with its interval."""

    value: str
    interval: str = ""


class Table(NamedTuple):
    """``rows``: of text, or of cells."""

    caption: str
    heads: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    foot: Sequence[Any] = ()


def page(books: Books, asked: Ask, rules: Rules, found: Mapping[str, Any]) -> bytes:
    """The page of an answer ``found`` (a report's JSON).  Raises LedgerError, NoPlots and NoTemplates."""
    ask = of_day(asked)
    scope = scope_of(ask)
    span = span_of(books, scope)
    drawn = curve(books, ask, rules) if span is not None and ask.name is not None and ask.kind != "day" else None
    over = _over(books, ask, rules, span) if span is not None else None
    whole = found["rows"][0] if len(found["rows"]) == 1 and ask.name is not None else found["total"]
    title = f"{ask.kind} {words.plain(ask.name)}" if ask.name is not None else f"all {ask.kind}s"
    return render(
        "report.html", css=static("page.css").decode(), title=title, question=list(_question(ask, rules, found, span)),
        tiles=list(_tiles(whole)), lines=_lines(found), tables=list(_tables(found)), figures=figures(found, over, drawn),
        bases=list(_bases(whole)), how=list(_how(found)), not_known=_not_known(found), notes=found["notes"],
        version=__version__, schema=found["schema"], as_of=found.get("as_of"), last=books.last_s and iso_time(books.last_s),
        sha256=digest(found), most_printed=MOST_PRINTED,
    )  # fmt: skip


def _over(books: Books, ask: Ask, rules: Rules, span: tuple[int, int]) -> Over | None:
    """Its time in pieces, by hours or days as was asked or as fit."""
    hours = (span[1] - span[0]) / BUCKETS_S["hour"]
    word = "hour" if ask.by == "hour" or (ask.by != "day" and ask.kind != "day" and hours <= MOST_HOURS) else "day"
    if hours * BUCKETS_S["hour"] / BUCKETS_S[word] > MOST_DAYS:
        return None
    found = cut(books, scope_of(ask), ask, rules, step_s=BUCKETS_S[word])
    return Over(word, BUCKETS_S[word], found.sums, is_shared(ask))


def _question(ask: Ask, rules: Rules, found: Mapping[str, Any], span: tuple[int, int] | None) -> Iterator[Said]:
    yield Said("Report of", f"each {ask.kind}" if ask.name is None else f"{ask.kind} {words.plain(ask.name)}")
    yield Said("From", found.get("from", "the beginning of the books"))
    yield Said("To", found.get("to", "the end of the books"))
    if span is not None:
        yield Said("Energy booked", f"{iso_time(span[0])} to {iso_time(span[1])}")
    yield Said("As of", found.get("as_of", "all that the books hold"))
    if ask.by is not None:
        yield Said("Cut by", ask.by)
    if rules.zone:
        yield Said("Zone where the books say none", rules.zone)
    if rules.providers:
        yield Said("Grid's providers, in order of trust", ", ".join(rules.providers))


def _tiles(total: Mapping[str, Any]) -> Iterator[Said]:
    if "energy_j" not in total:
        yield Said("Energy", UNKNOWN, "", "nothing was metered")
        return
    yield _said("Energy", total["energy_j"], energy, f"{energy(total['held_j'])} of it idle that was held")
    if "measured_fraction" in total:
        rest = "the rest is a model's answer" if total["measured_fraction"] < 1 else ""
        yield Said("Measured by sensors", words.percent(total["measured_fraction"]), "", rest)
    for basis, grams in total["emissions_g"].items():
        yield _said(f"CO2e, {BASIS_NAMES[basis]}", grams, mass, ABOUT[basis])
    for where, litres in total.get("water_l", {}).items():
        yield _said(f"Water {WHERE[where]}", litres, words.volume, WATER_ABOUT[where])
    if "cost" in total:
        yield Said("Cost", words.money(total["cost"]["value"], total["cost"]["currency"]))
    for name, count in total.get("work", {}).items():
        if count:
            yield Said(name.replace("_", " ").capitalize(), f"{count:,}")


def _said(name: str, quantity: Mapping[str, float], show: Show, note: str) -> Said:
    return Said(name, show(quantity["value"]), interval(Quantity(**quantity), show), note)


def _lines(found: Mapping[str, Any]) -> Table:
    """As the text report's table, with all rows, and every interval in figures."""
    rows, total = ranked(found), found["total"]
    everything = [*rows, total]
    bases = [basis for basis in BASES if any(basis in row.get("emissions_g", {}) for row in everything)]
    waters = [where for where in WHERE if any(where in row.get("water_l", {}) for row in everything)]
    money = next((row["cost"]["currency"] for row in everything if "cost" in row), "")
    heads = [found["kind"], "energy", "held", "measured", *(BASIS_NAMES[basis] for basis in bases)]
    heads += [*(f"water {WHERE[where]}" for where in waters), *([money] if money else [])]

    def cells(name: str, row: Mapping[str, Any]) -> list[Any]:
        line: list[Any] = [name, _cell(row.get("energy_j"), energy)]
        line.append(Cell(energy(row["held_j"])) if "held_j" in row else Cell("?"))
        line.append(Cell(words.percent(row["measured_fraction"])) if "measured_fraction" in row else Cell("?"))
        line += [_cell(row.get("emissions_g", {}).get(basis), mass) for basis in bases]
        line += [_cell(row.get("water_l", {}).get(where), words.volume) for where in waters]
        return line + ([Cell(digits(row["cost"]["value"]) if "cost" in row else "?")] if money else [])

    caption = f"Every {found['kind']}, by energy; 95 % intervals below the figures; ?: not known"
    caption = caption.replace(", by energy", "") if found["kind"] == "day" else caption
    foot = cells("all", total) if len(rows) > 1 else ()
    return Table(caption, tuple(heads), [cells(label(found["kind"], row), row) for row in rows], foot)


def _cell(quantity: Mapping[str, float] | None, show: Show) -> Cell:
    return Cell("?") if quantity is None else Cell(show(quantity["value"]), interval(Quantity(**quantity), show))


def _tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """Tokens of models, who asked them, and the pieces of lines."""
    rows = [(label(found["kind"], row), row) for row in ranked(found)]
    if tokens := list(token_lines(rows)):
        caption = "Tokens. " + "; ".join(legend(row for _, row in rows)) + "; ~: the data could not tell, a prior stands in"
        yield Table(caption, tuple(tokens[0]), [[line[0], *map(Cell, line[1:])] for line in tokens[1:]])
    cut_rows = [(name, row) for name, row in rows if row.get("by")]
    for name, row in [each for each in cut_rows if any("tenant" in piece for piece in each[1]["by"])]:
        heads, *lines = tenant_lines(name, row)
        yield Table(f"Who asked {name}", ("tenant", *heads[1:]), [[line[0].strip(), *map(Cell, line[1:])] for line in lines])
    pieces = [(name, piece) for name, row in cut_rows for piece in row["by"] if "start" in piece]
    if pieces and len(pieces) <= MOST_PIECES:
        bases = ("location_based", "location_based_inventory")
        body = [
            [name, Cell(piece["start"]), _cell(piece.get("energy_j"), energy),
             *(_cell(piece.get("emissions_g", {}).get(basis), mass) for basis in bases)]
            for name, piece in pieces
        ]  # fmt: skip
        yield Table("Pieces of time", (found["kind"], "from", "energy", *(BASIS_NAMES[basis] for basis in bases)), body)


def _bases(total: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """What each figure stands on."""
    for of, unit, names, about, covers in (
        ("emissions_g", mass, BASIS_NAMES, ABOUT, "emissions_cover"),
        ("water_l", words.volume, {where: f"water {name}" for where, name in WHERE.items()}, WATER_ABOUT, "water_cover"),
    ):
        stands_on = total.get("stands_on" if of == "emissions_g" else "water_stands_on", {})
        for name, quantity in total.get(of, {}).items():
            cover = total.get(covers, {}).get(name)
            part = "all" if cover is None else words.percent(cover)
            stands = (_shares(stands_on.get(name, {}).get(word)) for word in ("quality", "boundary"))
            yield (names[name], spanned(quantity, unit), part, about[name], *stands)


def _shares(parts: Mapping[str, float] | None) -> str:
    order = sorted((parts or {}).items(), key=lambda part: (-part[1], part[0]))
    return order[0][0] if len(order) == 1 else ", ".join(f"{words.percent(share)} {name}" for name, share in order)


def _how(found: Mapping[str, Any]) -> Iterator[str]:
    """How sure it is, and how it was divided, in sentences."""
    total = found["total"]
    if "measured_fraction" in total:
        rest = "; the rest is a model's answer" if total["measured_fraction"] < 1 else ""
        yield f"{words.percent(total['measured_fraction'])} of the energy was measured by sensors{rest}."
    if total.get("provisional_fraction"):
        yield f"{words.percent(total['provisional_fraction'])} of the energy may still be priced anew."
    elif "state" in total:
        yield "All prices are settled: no revision is expected."
    if "true_up_g" in total:
        yield f"True-up, inventory less location-based: {mass(total['true_up_g'])} CO2e."
    if "coverage" in total:
        yield f"Devices were seen {words.percent(total['coverage'])} of the time that they were expected to be."
    gaps = found.get("gaps", {})
    if gaps.get("count"):
        yield f"Gaps in which a device drew nobody knows what: {gaps['count']}, {words.span(gaps['seconds'])} together."
    made = found.get("embodied")
    if made is not None:
        yield f"Embodied carbon is allocated by the method {made['method']}: {made['means']}."
        for name, what in (("unmetered_g", "of times that nobody metered"), ("true_up_g", "true-up")):
            if name in made:
                yield f"Embodied carbon beside all lines, {what}: {mass(made[name])} CO2e."


def _not_known(found: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    names = BASIS_NAMES | {f"water_{where}": f"water {name}" for where, name in WHERE.items()}
    return [(names.get(name, name), why) for name, why in found["not_known"].items()]
