"""The nouns of machines with a life: what an event says, and what the events come to.  All frozen; carbon is ints of micrograms.

An asset is a machine or a part; parts are assets ``inside`` assets.  The carbon of an asset is its own, without its parts': so a
part that moves takes its carbon along, and nothing is counted twice.
"""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Literal, NamedTuple

What = Literal[
    "make", "acquire", "commission", "move", "install", "remove", "swap", "repair", "upgrade", "refurbish", "degrade", "estimate",
    "transfer", "second-life", "scrap",
]  # fmt: skip
Kind = Literal[
    "server", "gpu", "accelerator", "cpu", "dram", "ssd", "hdd", "storage", "nic", "network", "psu", "board", "chassis", "rack",
    "building", "other",
]  # fmt: skip
Reuse = Literal["cut-off", "50/50", "time", "economic", "mass"]
Amortisation = Literal["lifetime", "hours-on", "work"]
# How carbon comes into the books of an asset and leaves them, but by being booked to somebody's use.
Cause = Literal["made", "added", "transferred-in", "written-off", "transferred-out"]
Status = Literal["stock", "service", "transferred", "scrapped"]

UG_PER_G = 1_000_000
HOUR_S = 3600


class Place(NamedTuple):
    """Where an asset is at a time: inside what, at the top of it what, on which host (as the energy facts name it) and site.

    Empty ``host``: in stock, or not a machine that is metered.  What is inside nothing has no ``root`` either.  Host, site and
    owner are those of the nearest container that has one, where the asset has none of its own.
    """

    inside: str = ""
    root: str = ""
    host: str = ""
    site: str = ""
    owner: str = ""


class Period(NamedTuple):
    """A time in which an asset is in service at one place and its carbon goes down evenly: ``carried_ug`` at its start, to nothing
    in ``life_left_s``.  ``end_s`` of ``None``: it goes on.  ``capacity_ppm``: how much of its resources is left to share.

    ``device``: the device id of the energy facts whose use it is for (empty: by its kind, else all of the host's).
    """

    asset: str
    kind: Kind
    place: Place
    device: str
    start_s: int
    end_s: int | None
    carried_ug: int
    life_left_s: int
    capacity_ppm: int = 1_000_000

    def booked_ug(self, from_s: int, to_s: int) -> int:
        """What is booked in ``[from_s, to_s)``; over pieces of a time it sums to that of the whole, exactly."""
        return self._until_ug(to_s) - self._until_ug(from_s)

    def _until_ug(self, at_s: int) -> int:
        at_s = at_s if self.end_s is None else min(at_s, self.end_s)
        used_s = min(max(0, at_s - self.start_s), self.life_left_s)
        return self.carried_ug if used_s == self.life_left_s else self.carried_ug * used_s // self.life_left_s


class Movement(NamedTuple):
    """Carbon that came in (``made``, ``added``, ``transferred-in``) or left (``written-off``, ``transferred-out``) at a time, by
    the word of a ``fact`` (its id).  ``ug`` is never negative.  ``place``: where it was, and whose, when that happened: who bears a
    ``written-off`` amount is the owner then."""

    asset: str
    at_s: int
    cause: Cause
    ug: int
    fact: str
    what: What
    place: Place = Place()


class Stay(NamedTuple):
    """A time at one place in one state, service or stock; ``end_s`` of ``None``: it goes on."""

    place: Place
    status: Status
    start_s: int
    end_s: int | None


class Account(NamedTuple):
    """The fold's own account of what an asset carries, one entry for each time that it changed: so much at ``at_s``, and from then
    on evenly to nothing in ``life_left_s``; where that is below 0 nothing is booked till the next.  Columns of equal length."""

    at_s: tuple[int, ...] = ()
    carried_ug: tuple[int, ...] = ()
    life_left_s: tuple[int, ...] = ()

    def carried_at(self, at_s: int) -> int:
        """What is still to be booked at a time; before it was made, nothing."""
        last = bisect_right(self.at_s, at_s) - 1
        if last < 0:
            return 0
        left_s = self.life_left_s[last]
        return self.carried_ug[last] if left_s < 0 else carried_on(self.carried_ug[last], left_s, at_s - self.at_s[last])


def carried_on(carried_ug: int, life_left_s: int, used_s: int) -> int:
    """What is left of ``carried_ug`` after ``used_s``; by the time that is left, where Period counts the time that is used, so that
    neither account can hide the other's mistake."""
    left_s = life_left_s - used_s
    return -(-carried_ug * left_s // life_left_s) if left_s > 0 else 0


class Passport(NamedTuple):
    """What does not change of an asset: the words of its making.  Empty text and ``None``: not known.

    ``made_g``: cradle to gate, without parts that are assets of their own; ``low_g`` and ``high_g`` its 95 % interval.
    ``method``: ``pcf`` (a vendor's product footprint), ``declared``, ``bottom-up``, ``class``, ….  ``details``: all that was said.
    ``eol_g``: what its end is expected to emit.  ``made_known``: somebody said ``made_g``; else it stands at 0 in all sums, and who
    shows them must say so.
    """

    asset: str
    kind: Kind
    vendor: str = ""
    model: str = ""
    device: str = ""
    serial_hash: str = ""
    mass_g: int | None = None
    made_s: int | None = None
    made_g: int = 0
    low_g: int | None = None
    high_g: int | None = None
    boundary: str = ""
    method: str = ""
    source: str = ""
    year: str = ""
    details: Mapping[str, str] = {}
    eol_g: int | None = None
    made_known: bool = True


class Balance(NamedTuple):
    """Kilograms in == kilograms booked + kilograms carried + kilograms leaving, as micrograms, from the beginning to a time."""

    made_ug: int = 0
    added_ug: int = 0
    transferred_in_ug: int = 0
    booked_ug: int = 0
    carried_ug: int = 0
    written_off_ug: int = 0
    transferred_out_ug: int = 0

    @property
    def residual_ug(self) -> int:
        """Must be 0."""
        came = self.made_ug + self.added_ug + self.transferred_in_ug
        return came - self.booked_ug - self.carried_ug - self.written_off_ug - self.transferred_out_ug


class Life(NamedTuple):
    """All that the events of one asset come to.  ``status``: ``stock``, ``service``, ``transferred`` or ``scrapped``, at the end of
    what was folded; ``parts``: assets inside it then.  ``events``: ids of the facts, in the order in which they happened.

    ``age_s``: time in service, of ``el_s``; stock does not age.  ``el_stated``: somebody said ``el_s``, it is not the default of
    its kind.  ``account`` tells what it carries, and does not know the periods.  ``moved``: since when it was where, and in which
    state, as columns; ``stays`` says it in rows.
    """

    passport: Passport
    place: Place
    status: Status
    el_s: int
    age_s: int
    parts: tuple[str, ...]
    periods: tuple[Period, ...]
    movements: tuple[Movement, ...]
    events: tuple[str, ...]
    moved: tuple[tuple[int, ...], tuple[Place, ...], tuple[Status, ...]] = ((), (), ())
    account: Account = Account()
    capacity_ppm: int = 1_000_000
    el_stated: bool = True

    def booked_ug(self, from_s: int, to_s: int) -> int:
        """What amortisation books in ``[from_s, to_s)``."""
        return sum(period.booked_ug(from_s, to_s) for period in self.periods)

    @property
    def stays(self) -> tuple[Stay, ...]:
        """Where it was and in which state, from its making on without a gap."""
        at, places, states = self.moved
        return tuple(map(Stay, places, states, at, (*at[1:], None)))

    def carried_ug(self, at_s: int) -> int:
        """What is still to be booked at a time, by the fold's own account; before it was made, nothing."""
        return self.account.carried_at(at_s)

    def balance(self, at_s: int) -> Balance:
        """From the beginning to a time, what happened in that very second included."""
        sums: dict[Cause, int] = {}
        for moved in self.movements:
            if moved.at_s <= at_s:
                sums[moved.cause] = sums.get(moved.cause, 0) + moved.ug
        booked_ug = sum(period.booked_ug(period.start_s, at_s) for period in self.periods if period.start_s < at_s)
        return Balance(
            sums.get("made", 0), sums.get("added", 0), sums.get("transferred-in", 0), booked_ug, self.carried_ug(at_s),
            sums.get("written-off", 0), sums.get("transferred-out", 0),
        )  # fmt: skip
