"""One asset while the events of its life are folded: where it is, what it carries, and how it comes to book that or to lose it.

An asset that changes is first halted (what it has booked is taken off), then changed, then resumed: so what was booked before an
event never depends on it.
"""

from collections.abc import Iterable
from typing import Final

from wattledger.accounting.assets.life import (
    HOUR_S,
    Account,
    Cause,
    Life,
    Movement,
    Passport,
    Period,
    Place,
    Status,
    What,
    carried_on,
)
from wattledger.accounting.assets.words import PPM, Event, passport_of

# Service lives in hours where nobody said one (reference carbon.md 3.1: four years for accelerators, five for servers).
CARD_LIFE_H, MACHINE_LIFE_H = 35_040, 43_800
NOWHERE: Final = Place()
CARDS: Final = ("gpu", "accelerator")
# What is inside these keeps a service of its own; what is inside anything else serves with it.
AROUND: Final = ("building", "rack", "chassis")


class Asset:
    """State: all of it, changed only by the fold that made it.

    ``on``: it was put into service itself; ``serving``: it is in service, alone or with its container; ``since_s``: since when
    it books, ``None`` while it does not; ``gone``: it left the books, and why.  ``host``, ``site`` and ``owner`` are what was said
    of itself, ``place`` what that and its containers come to.  ``fresh_ug``: what a refurbishment in stock added, for the life to
    come; ``out_ug`` and ``out_method``: what was handed over with the last transfer.
    """

    __slots__ = (
        "account", "age_s", "capacity_ppm", "carried_ug", "el_s", "el_stated", "events", "fresh_ug", "gone", "host", "inner",
        "inside", "kind", "left_s", "made_ug", "moved_s", "movements", "name", "on", "out_method", "out_ug", "owner", "parts",
        "passport", "periods", "place", "places", "served", "serving", "since_s", "site", "states",
    )  # fmt: skip

    def __init__(self, event: Event) -> None:
        """As it is made: in stock, with the carbon of its making still to come in."""
        self.name = event.asset
        self.passport: Passport = passport_of(event)
        self.kind = self.passport.kind
        self.made_ug = event.emitted_ug or 0
        self.inside: Asset | None = None
        self.parts: dict[str, Asset] = {}
        said = event.words.get
        self.host, self.site, self.owner = said("host", ""), said("site", ""), said("owner", "")
        self.place = NOWHERE
        self.inner: Place | None = None
        self.gone: Status | None = None
        self.on = self.serving = self.served = False
        self.carried_ug = self.fresh_ug = self.out_ug = 0
        self.out_method = ""
        self.el_s = (CARD_LIFE_H if self.kind in CARDS else MACHINE_LIFE_H) * HOUR_S
        self.el_stated = False
        self.age_s = self.left_s = 0
        self.since_s: int | None = None
        self.capacity_ppm = PPM
        self.periods: list[Period] = []
        self.movements: list[Movement] = []
        self.account: list[int] = []  # flat: when, carried, life left (-1: not booking) at each change
        self.moved_s: list[int] = []
        self.places: list[Place] = []
        self.states: list[Status] = []
        self.events: list[str] = []

    @property
    def address(self) -> str:
        """The host that was said of it or of the nearest container, in service or not."""
        one: Asset | None = self
        while one is not None:
            if one.host:
                return one.host
            one = one.inside
        return ""

    @property
    def status(self) -> Status:
        """Where its life stands."""
        return self.gone or ("service" if self.serving else "stock")

    def whole(self) -> list["Asset"]:
        """It and all that is inside it, containers first."""
        found = [self]
        for one in found:
            if one.parts:
                found.extend(one.parts.values())
        return found

    def age_at(self, at_s: int) -> int:
        """Seconds in service so far."""
        return self.age_s if self.since_s is None else self.age_s + at_s - self.since_s

    def follows(self, container: "Asset") -> bool:
        """Whether it serves where and when its container does: a server in a rack does not, a card in a server does."""
        return self.kind != "server" and container.kind not in AROUND

    def enter(self, container: "Asset") -> None:
        """It is inside the container from now on."""
        self.leave()
        self.inside = container
        container.parts[self.name] = self
        if self.follows(container):
            self.on, self.host = False, ""
        self.site = ""

    def leave(self) -> None:
        """It is inside nothing from now on, where its container was."""
        if self.inside is not None:
            self.site, self.owner = self.place.site, self.place.owner
            del self.inside.parts[self.name]
            self.inside = None

    def settle(self, *, host: str = "", site: str = "") -> None:
        """It is here from now on, with all that is inside it; empty is not said.  What follows a container is on its host."""
        for part in self.whole()[1:] if site else ():
            part.site = ""
        self.site = site or self.site
        if self.inside is None or not self.follows(self.inside):
            self.host = host or self.host

    def store(self) -> None:
        """It and all that is inside it are in stock from now on."""
        for one in self.whole():
            one.on, one.host = False, ""

    def come(self, event: Event, cause: Cause, ug: int) -> None:
        """Carbon comes in."""
        if ug:
            self.carried_ug += ug
            self.note(event, cause, ug)

    def go(self, event: Event, cause: Cause, ug: int) -> None:
        """Carbon that it carries leaves."""
        if ug:
            self.carried_ug -= ug
            self.note(event, cause, ug)

    def note(self, event: Event, cause: Cause, ug: int) -> None:
        """A movement, in the place where the asset was when it happened."""
        what: What = event.what  # type: ignore[assignment]  # the rules let no other word through
        self.movements.append(Movement(self.name, event.at_s, cause, ug, event.id, what, self.place))

    def halt(self, at_s: int) -> None:
        """Take off what it has booked since it last changed."""
        since_s = self.since_s
        if since_s is None:
            return
        if at_s > since_s:
            self.periods.append(self.period(since_s, at_s))
            self.carried_ug = carried_on(self.carried_ug, self.left_s, at_s - since_s)
            self.age_s += at_s - since_s
        self.since_s = None

    def resume(self, event: Event) -> None:
        """Go on as it is after the event; its container has resumed before it."""
        self._place(event.at_s)
        self.resume_here(event)

    def resume_here(self, event: Event) -> None:
        """Go on where it was."""
        at_s = event.at_s
        self.left_s = left_s = max(0, self.el_s - self.age_s)
        if left_s == 0 and self.serving:
            # Beyond its planned life nothing is spread: what a repair adds is borne by the owner, at once.
            self.go(event, "written-off", self.carried_ug)
        self.since_s = at_s if self.serving else None
        account = self.account
        if account and account[-3] == at_s:
            del account[-3:]
        account += (at_s, self.carried_ug, left_s if self.serving else -1)

    def _place(self, at_s: int) -> None:
        """Where it is and whether it serves, by its containers and what was said of itself."""
        up = self.inside
        self.serving = serving = self.gone is None and (self.on or (up is not None and up.serving and self.kind != "server"))
        self.served = self.served or serving
        if up is None:
            place = Place("", "", self.host if serving else "", self.site, self.owner)
        else:
            place = up.within()
            if self.host or self.site or self.owner or (place.host and not serving):
                host = (self.host or place.host) if serving else ""
                place = place._replace(host=host, site=self.site or place.site, owner=self.owner or place.owner)
        at, places, states, status = self.moved_s, self.places, self.states, self.status
        if at and states[-1] == status and places[-1] == place:
            return
        self.place, self.inner = place, None
        if at and at[-1] == at_s:
            places[-1], states[-1] = place, status
        else:
            at.append(at_s)
            places.append(place)
            states.append(status)

    def within(self) -> Place:
        """The place of what is inside it and has no other of its own; one for all of that."""
        if self.inner is None:
            here = self.place
            self.inner = Place(self.name, here.root or self.name, here.host, here.site, here.owner)
        return self.inner

    def period(self, start_s: int, end_s: int | None) -> Period:
        """What it books from then till then."""
        return Period(
            self.name, self.kind, self.place, self.passport.device, start_s, end_s, self.carried_ug, self.left_s, self.capacity_ppm
        )

    def life(self, until_s: int) -> Life:
        """All that its events came to."""
        running = () if self.since_s is None else (self.period(self.since_s, None),)
        return Life(
            self.passport, self.place, self.status, self.el_s, self.age_at(until_s), tuple(self.parts),
            (*self.periods, *running), tuple(self.movements), tuple(self.events),
            (tuple(self.moved_s), tuple(self.places), tuple(self.states)),
            Account(tuple(self.account[::3]), tuple(self.account[1::3]), tuple(self.account[2::3])),
            self.capacity_ppm, self.el_stated,
        )  # fmt: skip


def halted(assets: Iterable[Asset], at_s: int) -> None:
    """All of them."""
    for one in assets:
        one.halt(at_s)


def resumed(assets: Iterable[Asset], event: Event) -> None:
    """All of them, containers first."""
    for one in assets:
        one.resume(event)
