"""The trial balance of machines: what each carried, what came in, who was charged, what left and what it carries now.

Ints of micrograms; the residual of each row and of the sum must be 0.  What an asset carries is the fold's own account, what jobs
were charged is counted job by job, so the two can disagree, and would show it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wattledger.accounting.assets.life import Cause, Life
from wattledger.accounting.embodied.booking import Embodieds
from wattledger.accounting.embodied.entries import TRUE_UP, UNMETERED
from wattledger.accounting.embodied.made import Made
from wattledger.accounting.embodied.shares import Span

IDLE, UNATTRIBUTED = "(idle)", "(unattributed)"
NAMED = {IDLE: "idle_ug", UNATTRIBUTED: "unattributed_ug", UNMETERED: "unmetered_ug", TRUE_UP: "true_up_ug"}
CAUSES: Mapping[Cause, str] = {
    "made": "made_ug", "added": "added_ug", "transferred-in": "transferred_in_ug", "written-off": "written_off_ug",
    "transferred-out": "transferred_out_ug",
}  # fmt: skip


class TrialRow(NamedTuple):
    """Of one asset, or of all, from the beginning of the report's time to its end."""

    opening_ug: int = 0
    made_ug: int = 0
    added_ug: int = 0
    transferred_in_ug: int = 0
    jobs_ug: int = 0
    idle_ug: int = 0
    unattributed_ug: int = 0
    unmetered_ug: int = 0
    true_up_ug: int = 0
    written_off_ug: int = 0
    transferred_out_ug: int = 0
    closing_ug: int = 0

    @property
    def residual_ug(self) -> int:
        """Must be 0."""
        came = self.opening_ug + self.made_ug + self.added_ug + self.transferred_in_ug
        booked = self.jobs_ug + self.idle_ug + self.unattributed_ug + self.unmetered_ug + self.true_up_ug
        return came - booked - self.written_off_ug - self.transferred_out_ug - self.closing_ug


class OfJob(NamedTuple):
    """What a job was charged: together, and of that from passports."""

    made: Made
    passport_ug: int


def rows(found: Embodieds) -> dict[str, TrialRow]:
    """By asset, sorted by name."""
    booked: dict[str, dict[str, int]] = {}
    for one in found.booked:
        sums = booked.setdefault(one.asset, {})
        column = NAMED.get(one.job, "jobs_ug")
        sums[column] = sums.get(column, 0) + one.ug
    return {name: _row(life, found.span, booked.get(name, {})) for name, life in sorted(found.fleet.lives.items())}


def _row(life: Life, span: Span, booked: Mapping[str, int]) -> TrialRow:
    moved: dict[str, int] = {}
    for movement in life.movements:
        if span.from_s <= movement.at_s < span.to_s:
            column = CAUSES[movement.cause]
            moved[column] = moved.get(column, 0) + movement.ug
    return TrialRow(opening_ug=_before(life, span.from_s), closing_ug=_before(life, span.to_s), **moved, **booked)


def _before(life: Life, at_s: int) -> int:
    """What it carries at the end of the second before: what happens at ``at_s`` is of the time that begins then."""
    return life.carried_ug(at_s - 1) - life.booked_ug(at_s - 1, at_s)


def total(several: Iterable[TrialRow]) -> TrialRow:
    """The sum."""
    return TrialRow(*(sum(column) for column in zip(*several, strict=True))) if (several := list(several)) else TrialRow()


def by_job(found: Embodieds) -> dict[str, OfJob]:
    """What each job was charged, reserved names and what stands apart among them, sorted."""
    sums: dict[str, OfJob] = {}
    for one in found.booked:
        of = sums.get(one.job) or OfJob(Made(), 0)
        of.made.add(one.figure, one.ug)
        passport_ug = one.ug if one.figure.stands == "passport" else 0
        sums[one.job] = OfJob(of.made, of.passport_ug + passport_ug)
    return dict(sorted(sums.items()))
