"""What a program's own books say of the machine that it reserved is what its footprints said, however short its runs were."""

from pathlib import Path

import pytest
from tests.runtime.books.read import BOOKS, facts
from tests.runtime.programs import blind, python

from wattledger.core.facts import RunFact

PROGRAM = """
told = 0.0
for n in range(3):
    with track(job="short") as run:
        burn(0.2)
    told += run.footprint.emissions_g["embodied"].value
with track(job="long") as run:
    with track(job="inner"):
        burn(1.2)
told += final(run).emissions_g["embodied"].value
[rate] = [f for f in run.footprint.factors if f.kind == "embodied"]
out([told, rate.value])
"""


def test_the_books_hold_the_time_that_footprints_were_priced_by(tmp_path: Path) -> None:
    told_g, g_per_h = python(PROGRAM, blind(tmp_path)).value
    ended = [f for f in facts(tmp_path / "XDG_STATE_HOME" / BOOKS) if isinstance(f, RunFact) and f.what == "ended" and f.reserved]
    assert {fact.job for fact in ended} == {"long", ""}  # of short ones, the meter's end tells
    reserved_ns = sum(dict(fact.reserved)["host"] for fact in ended)
    assert reserved_ns * g_per_h / 3.6e12 == pytest.approx(told_g, rel=0.02)
