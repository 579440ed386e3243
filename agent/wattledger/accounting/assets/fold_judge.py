"""What cannot have happened: the rules that an event must keep, given all that happened before it.

An event that breaks one is never folded, whoever wrote it: so the fold cannot be made to lose or to double carbon.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, NamedTuple, get_args

from wattledger.accounting.assets.fold_state import Asset
from wattledger.accounting.assets.life import Amortisation
from wattledger.accounting.assets.reuse import METHODS, RATIOS, terms_of
from wattledger.accounting.assets.words import EVENTS, KINDS, LONGEST_NAME, Event

# A device id that no two devices in the world share; ``package-0`` is on every host.
UNIQUE = re.compile(r".*[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}.*", re.DOTALL)
TWO_PLACES: Final = "part in two places at once"
LIFE_WORDS: Final = {"el_h": "life_h", "el_work": "life_work"}  # as people type them
NEVER_MADE: Final = "asset never made"
# What can hold a part.  Other parts are of one piece: a card does not go into a card, nor a disk into a disk.
HOLDERS: Final = frozenset(("server", "chassis", "rack", "building", "storage", "network", "board", "other"))
HELD_BY: Final = f"a part is inside a {', '.join(sorted(HOLDERS - {'other'}))} or other"
SCHEMES: Final = frozenset(get_args(Amortisation))


class Broken(NamedTuple):
    """Which rule, and what broke it."""

    rule: str
    text: str


class Breach(NamedTuple):
    """An event that broke a rule and was left out: ``event`` is the id of its fact."""

    rule: str
    asset: str
    at_s: int
    text: str
    event: str

    @property
    def message(self) -> str:
        """One line: the rule, the asset, the time, and what is wrong."""
        return f"{self.rule}: {shown(self.asset)}, {time_text(self.at_s)}: {self.text}"


class World(NamedTuple):
    """What happened so far: the assets, when each is ever made, and who bears a serial number or a device id."""

    assets: dict[str, Asset]
    made_s: Mapping[str, int]
    bearers: dict[str, Asset]


def time_text(at_s: int) -> str:
    """ISO, UTC; what no calendar holds as seconds."""
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"second {at_s}"


def shown(name: str) -> str:
    """A name that somebody else wrote, on one line."""
    short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."
    return short if short and short.isprintable() else ascii(short)


def judged(world: World, event: Event) -> Broken | None:
    """The first rule that the event breaks, or ``None``."""
    if event.what not in EVENTS:
        return Broken("unknown event", f"{shown(event.what)} is none of {', '.join(sorted(EVENTS))}")
    if event.numbers or event.unread or (event.emitted_ug or 0) < 0:
        wrong = _numbers(event)
        if wrong is not None:
            return wrong
    if event.what == "make":
        return _make(world, event)
    asset = world.assets.get(event.asset)
    if asset is None:
        return _absent(world, event)
    if asset.gone is not None and (asset.gone == "scrapped" or event.what != "second-life"):
        rule = "event after scrap" if asset.gone == "scrapped" else "event after transfer"
        return Broken(rule, f"{event.what}: it was {asset.gone} before")
    judge = _JUDGES.get(event.what)
    found = judge(world, asset, event) if judge is not None else None
    return found or (_life(asset, event) if event.words else None)


def serials(event: Event) -> list[str]:
    """What no two things in the world share, of the thing that is made."""
    device, serial = event.words.get("device", ""), event.words.get("serial_hash", "")
    return [f"serial {serial}"] * bool(serial) + [f"device {device}"] * bool(UNIQUE.fullmatch(device))


def _numbers(event: Event) -> Broken | None:
    if (event.emitted_ug or 0) < 0:
        return Broken("negative kilograms", f"{event.what} emitted {event.emitted_ug or 0:+} micrograms; carbon does not come back")
    if event.unread:
        return Broken("not a number", f"{event.unread[0]} = {shown(event.words[event.unread[0]])}")
    numbers = event.numbers
    for name in LIFE_WORDS:
        if name in numbers and (numbers[name] <= 0 or (name == "el_h" and not event.el_s)):
            return Broken("lifetime of zero", f"{LIFE_WORDS[name]} = {event.words[name]}; a service life is more than nothing")
    for name in ("capacity", *RATIOS):
        if name in numbers and not 0 <= numbers[name] <= 1:
            return Broken("share over 1", f"{name} = {event.words[name]} is not between 0 and 1")
    if event.capacity_ppm == 0:
        return Broken("capacity of zero", "what can do nothing is scrapped, not degraded")
    below = sorted(name for name, number in numbers.items() if number < 0)
    rule = "negative kilograms" if below and below[0].endswith("_g") else "negative number"
    return Broken(rule, f"{below[0]} = {event.words[below[0]]}") if below else None


def _absent(world: World, event: Event) -> Broken:
    made_s = world.made_s.get(event.asset)
    if made_s is None:
        return Broken(NEVER_MADE, f"{event.what} of what no 'make' tells of")
    return Broken("event before manufacture", f"{event.what}, but it was made {time_text(made_s)}")


def _make(world: World, event: Event) -> Broken | None:
    name, kind = event.asset, event.words.get("kind", "")
    if not name or len(name) > LONGEST_NAME or ":" in name or not name.isprintable() or name != name.strip():
        return Broken("bad name", f"a name is 1 to {LONGEST_NAME} printable characters without ':' and without blanks around it")
    if name in world.assets:
        return Broken("made twice", "it is made already; correct that fact instead")
    if kind not in KINDS:
        return Broken("unknown kind", f"{shown(kind)} is none of {', '.join(sorted(KINDS))}")
    for serial in serials(event):
        bearer = world.bearers.get(serial)
        if bearer is not None and bearer.gone is None:
            return Broken(TWO_PLACES, f"{shown(bearer.name)} has the same {serial.partition(' ')[0]}")
    if event.inside == name:
        return Broken("asset inside itself", "it cannot be made inside itself")
    found = _container(world, event.inside) if event.inside else None
    return found or _hosts(world, None, event) or _scheme(event)


def _container(world: World, name: str) -> Broken | None:
    container = world.assets.get(name)
    if container is None:
        later = world.made_s.get(name)
        return Broken("unknown container", f"{shown(name)} {'was never made' if later is None else f'is made {time_text(later)}'}")
    if container.gone is not None:
        return Broken("unknown container", f"{shown(name)} was {container.gone} before")
    if container.kind not in HOLDERS:
        return Broken("part inside a part", f"{shown(name)} is a {container.kind}, which holds nothing; {HELD_BY}")
    return None


def _hosts(world: World, asset: Asset | None, event: Event) -> Broken | None:
    """A host said of what is inside a thing of another host."""
    host = event.words.get("host", "")
    if not host:
        return None
    around = world.assets.get(event.inside) if event.inside else asset.inside if asset is not None else None
    there = around.address if around is not None else ""
    if around is not None and there not in ("", host):
        return Broken(TWO_PLACES, f"host {shown(host)}, but it is inside {shown(around.name)} on host {shown(there)}")
    return None


def _enters(world: World, asset: Asset, name: str) -> Broken | None:
    """Into a container that is there, and not into itself or what is inside it."""
    if name == asset.name:
        return Broken("asset inside itself", "it cannot be its own container")
    around = world.assets.get(name)
    while around is not None:
        if around is asset:
            return Broken("asset inside itself", f"{shown(name)} is inside it: that is a ring")
        around = around.inside
    return _container(world, name)


def _installed(world: World, asset: Asset, name: str) -> Broken | None:
    """Into a container, out of stock: what is elsewhere is removed first, or moved."""
    wrong = _enters(world, asset, name)
    if wrong is not None:
        return wrong
    if asset.inside is not None:
        return Broken(TWO_PLACES, f"into {shown(name)}, but it is inside {shown(asset.inside.name)}")
    here, there = asset.place.host, world.assets[name].address
    if here and there and here != there:
        return Broken(TWO_PLACES, f"into {shown(name)} on {shown(there)}, but it is in service on {shown(here)}")
    return None


def _install(world: World, asset: Asset, event: Event) -> Broken | None:
    if not event.inside:
        return Broken("unknown container", "install names nothing that it goes inside")
    return _installed(world, asset, event.inside)


def _move(world: World, asset: Asset, event: Event) -> Broken | None:
    if not event.inside:
        return None
    return _enters(world, asset, event.inside) or _hosts(world, asset, event)


def _remove(world: World, asset: Asset, event: Event) -> Broken | None:
    if asset.inside is None and not asset.on:
        return Broken("not inside anything", "it cannot be removed: it is in stock already")
    return None


def _swap(world: World, asset: Asset, event: Event) -> Broken | None:
    out, into = event.words.get("out", ""), event.words.get("in", "")
    if not out and not into and event.what == "swap":
        return Broken("swap of a part that is not there", "swap names neither the part that leaves nor the one that comes")
    if out:
        part = world.assets.get(out)
        if part is None or part.inside is not asset:
            return Broken("swap of a part that is not there", f"{shown(out)} is not inside it")
    if not into:
        return None
    coming = world.assets.get(into)
    if coming is None or coming.gone is not None:
        why = "was never made" if into not in world.made_s else "is not made yet" if coming is None else f"was {coming.gone} before"
        return Broken("swap of a part that is not there", f"{shown(into)} {why}")
    wrong = _installed(world, coming, asset.name)
    return Broken(wrong.rule, f"{shown(into)} {wrong.text}") if wrong is not None else None


def _commission(world: World, asset: Asset, event: Event) -> Broken | None:
    if asset.on:
        return Broken("commissioned twice", "it is in service already")
    return _hosts(world, asset, event)


def _transfer(world: World, asset: Asset, event: Event) -> Broken | None:
    terms = terms_of(event.words, event.numbers)
    if terms is None:
        return Broken("unknown method", f"{shown(event.words['method'])} is none of {', '.join(sorted(METHODS))}")
    wrong = terms.wrong()
    return Broken("shares of two lives", wrong) if wrong else None


def _second_life(world: World, asset: Asset, event: Event) -> Broken | None:
    if asset.serving:
        return Broken("commissioned twice", "its first life has not ended: it is in service")
    if asset.gone is None:
        return _transfer(world, asset, event) or _hosts(world, asset, event)
    if event.words.get("method", asset.out_method) != asset.out_method:
        text = f"it went by {asset.out_method}, and comes back by {shown(event.words['method'])}; both must be the same"
        return Broken("shares of two lives", text)
    return None if asset.inside is not None else _hosts(world, asset, event)


def _life(asset: Asset, event: Event) -> Broken | None:
    """A new service life must be longer than what is lived of it; a second life begins anew."""
    el_s = event.el_s
    if el_s is not None and event.what != "second-life" and el_s <= asset.age_at(event.at_s):
        lived_h = float(Fraction(asset.age_at(event.at_s), 3600))
        return Broken("service life that is over", f"life_h = {event.words['el_h']}, but it has served for {lived_h:.0f} hours")
    return _scheme(event)


def _scheme(event: Event) -> Broken | None:
    scheme = event.words.get("scheme")
    if scheme is not None and scheme not in SCHEMES:
        return Broken("unknown scheme", f"{shown(scheme)} is none of {', '.join(sorted(SCHEMES))}")
    return None


def _estimate(world: World, asset: Asset, event: Event) -> Broken | None:
    return None if event.el_s is not None else Broken("lifetime of zero", "estimate says no life_years")


def _degrade(world: World, asset: Asset, event: Event) -> Broken | None:
    return None if event.capacity_ppm is not None else Broken("capacity of zero", "degrade says no capacity")


_JUDGES: Final[Mapping[str, Callable[[World, Asset, Event], Broken | None]]] = {
    "install": _install, "move": _move, "remove": _remove, "swap": _swap, "upgrade": _swap, "commission": _commission,
    "transfer": _transfer, "second-life": _second_life, "estimate": _estimate, "degrade": _degrade,
}  # fmt: skip
