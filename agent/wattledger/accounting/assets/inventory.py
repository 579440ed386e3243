"""A CSV inventory, with a mapping that says what its columns are, → facts of all its machines; none where a row is wrong."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wattledger.accounting.assets import mapping
from wattledger.accounting.assets.mapping import LISTS, SKIP, Mapped
from wattledger.accounting.assets.passport import Parsed
from wattledger.accounting.assets.passport_fields import BadPassport, Mistake, clipped, nearest
from wattledger.accounting.assets.passport_figures import Estimate
from wattledger.accounting.assets.passport_rows import FIGURE, ROW, Row, facts_of

LARGEST = 64_000_000  # characters
UNKNOWN = ("nic", "other")  # parts for which the package has no figure
DELIMITERS = (",", ";", "\t", "|")


def read(text: str, mapped: Mapped, name: str, *, boavizta: Estimate | None = None) -> Parsed:
    """The facts of a CSV file whose first line names its columns.  Raises BadPassport; each bad row is a line of it.

    A column that bears one of our words and is not mapped is taken for what it says.
    """
    lines = list(_cells(text, mapped, name))
    if not lines:
        raise BadPassport([f"{name}: holds no machines"])
    (head, columns), *cells = lines
    words = _words(columns, mapped, f"{name}:{head}")
    wrong = [f"{name}:{line}: {len(row)} values for {len(columns)} columns" for line, row in cells if len(row) != len(columns)]
    whole = ((f"{name}:{line}", _said(row, columns, words)) for line, row in cells if len(row) == len(columns))
    return of_cells(whole, mapped, name=name, wrong=wrong, boavizta=boavizta)


def of_cells(
    cells: Iterable[tuple[str, Mapping[str, str]]], mapped: Mapped, *, name: str, wrong: Iterable[str] = (),
    boavizta: Estimate | None = None,
) -> Parsed:  # fmt: skip
    """The same of cells that have been found already: (place, word → text as it is written).  ``wrong``: mistakes found before.

    A part of a kind that cannot be estimated, and whose footprint nobody says, is left out, and a warning counts it.
    """
    mistakes = list(wrong)
    rows = []
    left: Counter[str] = Counter()
    for place, said in cells:
        try:
            table = row(said, mapped)
        except Mistake as mistake:
            mistakes.append(f"{place}: {mistake}")
            continue
        if table is not None and "inside" in table and table["kind"] in UNKNOWN and not table.keys() & set(FIGURE):
            left[table["kind"]] += 1
        elif table is not None:
            rows.append(Row(place, table))
    if not mistakes:
        found = facts_of(rows, name, boavizta=boavizta)
        hint = "there is no figure to estimate one by: give it one in [footprints]"
        return found._replace(warnings=[*found.warnings, *(f"{name}: {n} {kind} left out: {hint}" for kind, n in left.items())])
    if rows:
        # What else is wrong is said with these, so that one look mends all.
        try:
            facts_of(rows, name, boavizta=boavizta)
        except BadPassport as more:
            mistakes += more.lines
    raise BadPassport(mistakes)


def row(said: Mapping[str, str], mapped: Mapped) -> dict[str, Any] | None:
    """A row in our words, with constants, kind and footprint by the mapping; ``None`` where it is to be left out."""
    found: dict[str, Any] = {}
    for word, cell in said.items():
        value = mapping.value(mapped, word, cell) if word != "kind" else cell
        if value is not None:
            found[word] = value
    hints = [found.get(word, "") for word in ("kind", "model", "vendor")]
    kind = mapped.kind(*hints) or str(mapped.constants.get("kind", ""))
    if kind == SKIP:
        return None
    if not kind:
        shown = clipped(hints[0] or hints[1])
        raise Mistake(f'its kind is not known from {shown}: map it in [kinds], e.g. {shown} = "server" (or "skip")')
    if "inside" not in found:
        # An ISO day of the mapping, whatever the form of the days in the cells.
        found = {**mapped.constants, **found}
    found["kind"] = kind
    if mapped.host == "id" and kind == "server" and "inside" not in found and "id" in found:
        found.setdefault("host", found["id"])
    if not any(word in found for word in FIGURE):
        found |= mapped.footprint(str(found.get("model", "")), kind)
    for word in LISTS & found.keys():
        if isinstance(found[word], str):
            found[word] = [each.strip() for each in found[word].replace(";", ",").split(",")]
    return found


def _cells(text: str, mapped: Mapped, name: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each row that is not empty, the header first."""
    if len(text) > LARGEST:
        raise BadPassport([f"{name}: longer than {LARGEST} characters"])
    text = text.removeprefix("\ufeff")
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = mapped.delimiter or max(DELIMITERS, key=head.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    before = 0
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                yield line, cells
    except csv.Error as wrong:
        raise BadPassport([f"{name}:{reader.line_num}: not CSV: {wrong}"]) from None


def _words(columns: list[str], mapped: Mapped, where: str) -> dict[str, str]:
    """Column → word, of the columns that mean something; all that the mapping names must be there."""
    columns = [column.strip() for column in columns]
    if len(set(columns)) < len(columns):
        raise BadPassport([f"{where}: two columns have one name"])
    absent = [each for each in mapped.columns if each not in columns]
    wrong = [f"{where}: there is no column {clipped(each)}{nearest(each, columns)}" for each in absent]
    found = {column: mapped.columns.get(column, column if column in ROW else "") for column in columns}
    found = {column: word for column, word in found.items() if word}
    twice = {word for word in found.values() if list(found.values()).count(word) > 1}
    wrong += [f"{where}: two columns say {word!r}" for word in sorted(twice)]
    if "id" not in found.values():
        wrong.append(f"{where}: no column is the 'id': map one in [columns], e.g. {clipped(columns[0])} = \"id\"")
    if wrong:
        raise BadPassport(wrong)
    return found


def _said(cells: list[str], columns: list[str], words: Mapping[str, str]) -> dict[str, str]:
    return {words[column.strip()]: cell for column, cell in zip(columns, cells, strict=True) if column.strip() in words}
