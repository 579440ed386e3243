"""What the notes for people who change over promise is there: every name on our side, and every one that is said to be served."""

import re
from pathlib import Path

from wattledger.core.catalog import CATALOG
from wattledger_exporters.compat import FAMILIES, Compat

NOTES = (Path(__file__).parents[2] / "deploy" / "migrating.md").read_text(encoding="utf-8")
OURS = {metric.name for metric in CATALOG}
SERVED = {metric.name for metric in Compat(",".join(FAMILIES), "", lambda: 1.0).catalog}


def rows() -> list[list[str]]:
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in NOTES.splitlines() if line.startswith("| `")]
    return [cells for cells in found if len(cells) >= 3]


def named(cell: str) -> set[str]:
    """Whole names, and the ends that follow one (``_watts`` after ``kepler_node_cpu_joules_total``)."""
    found, stem = set[str](), ""
    for word in re.findall(r"`([^`]+)`", cell):
        name = word.split("{")[0]
        if name.startswith("_") and stem:
            found.add(stem + name)
        elif not name.endswith(("…", "*")):
            found.add(name)
            stem = re.sub(r"_(active_|idle_)?joules_total$", "", name)
    return found


def test_every_metric_of_ours_in_the_notes_is_in_the_catalog() -> None:
    said = set(re.findall(r"\bwattledger_[a-z_]+[a-z]\b", NOTES))
    assert len(said) > 5
    assert said - OURS == set()


def test_what_is_said_to_be_served_is_and_what_is_not_is_not() -> None:
    checked = 0
    for first, served, *_ in rows():
        names = {name for name in named(first) if re.match(r"DCGM_|kepler_|ceems_|uuid:", name)}
        if served.startswith("yes"):
            assert names - SERVED == set(), first
        elif served.startswith("no"):
            assert names & SERVED == set(), first
        checked += len(names)
    assert checked > 15


def test_every_family_and_name_that_is_served_is_in_the_notes() -> None:
    stems = set(re.findall(r"`([a-z_]+)…`", NOTES))
    told = set[str]().union(*(named(cells[0]) for cells in rows()))
    unsaid = {name for name in SERVED - told if not any(name.startswith(stem) for stem in stems)}
    assert unsaid == {"kepler_node_cpu_info"}
