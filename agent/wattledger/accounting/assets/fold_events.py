"""What each event does to the assets it is about.  Every event here has kept the rules (fold_judge), so nothing here is refused.

Each change is of one shape: halt what it touches, change it, resume it.
"""

from collections.abc import Callable, Mapping
from typing import Final

from wattledger.accounting.assets.fold_judge import World, serials
from wattledger.accounting.assets.fold_state import Asset, halted, resumed
from wattledger.accounting.assets.life import UG_PER_G
from wattledger.accounting.assets.reuse import Terms, production, terms_of
from wattledger.accounting.assets.words import Event

Assets = dict[str, Asset]


def happen(world: World, event: Event) -> None:
    """Change the assets as the event says."""
    if event.what == "make":
        asset = world.assets[event.asset] = Asset(event)
        world.bearers.update(dict.fromkeys(serials(event), asset))
    else:
        asset = world.assets[event.asset]
    asset.events.append(event.id)
    _HANDLERS[event.what](world.assets, asset, event)


def _make(assets: Assets, asset: Asset, event: Event) -> None:
    if event.inside:
        asset.enter(assets[event.inside])
    _prolong(asset, event)
    asset.resume(event)  # so that it has its place when its carbon comes in
    asset.come(event, "made", asset.made_ug)
    asset.resume(event)


def _alter(assets: Assets, asset: Asset, event: Event) -> None:
    """What changes the asset alone, where it stands: repair, refurbish, degrade, estimate."""
    asset.halt(event.at_s)
    _spend(asset, event)
    if event.words:
        _prolong(asset, event)
    if event.what == "refurbish" and not asset.serving:
        asset.fresh_ug += event.emitted_ug or 0
    if event.what == "degrade" and event.capacity_ppm is not None:
        asset.capacity_ppm = event.capacity_ppm
    asset.resume_here(event)


def _acquire(assets: Assets, asset: Asset, event: Event) -> None:
    whole = asset.whole()
    halted(whole, event.at_s)
    _spend(asset, event)
    asset.owner = event.words.get("owner", "") or asset.owner
    resumed(whole, event)


def _commission(assets: Assets, asset: Asset, event: Event) -> None:
    whole = asset.whole()
    halted(whole, event.at_s)
    _spend(asset, event)
    _prolong(asset, event)
    _serve(asset, event)
    resumed(whole, event)


def _move(assets: Assets, asset: Asset, event: Event) -> None:
    host, site, up = event.words.get("host", ""), event.words.get("site", ""), asset.inside
    whole = asset.whole()
    halted(whole, event.at_s)
    _spend(asset, event)
    if event.inside:
        asset.enter(assets[event.inside])
    elif up is not None and host and up.address != host and (up.address or asset.follows(up)):
        asset.leave()
    elif up is not None and site and not host and up.place.site != site:
        asset.leave()
        if asset.follows(up):
            asset.store()  # a part that is elsewhere than its machine is in no machine
    asset.settle(host=host, site=site)
    alone = asset.inside is None or not asset.follows(asset.inside)
    # What has been in service goes on where it is brought; what has not is commissioned first.
    asset.on = asset.on or bool(alone and host and asset.served)
    resumed(whole, event)


def _install(assets: Assets, asset: Asset, event: Event) -> None:
    whole = asset.whole()
    halted(whole, event.at_s)
    _spend(asset, event)
    asset.enter(assets[event.inside])
    resumed(whole, event)


def _remove(assets: Assets, asset: Asset, event: Event) -> None:
    whole = asset.whole()
    halted(whole, event.at_s)
    _spend(asset, event)
    asset.leave()
    asset.store()
    resumed(whole, event)


def _swap(assets: Assets, asset: Asset, event: Event) -> None:
    out, into = event.words.get("out", ""), event.words.get("in", "")
    touched = [asset, *(one for name in (out, into) if name for one in assets[name].whole())]
    halted(touched, event.at_s)
    _spend(asset, event)
    _prolong(asset, event)
    for name in filter(None, (out, into)):
        assets[name].events.append(event.id)
    if out:
        assets[out].leave()
        assets[out].store()
    if into:
        assets[into].enter(asset)
    resumed(touched, event)


def _transfer(assets: Assets, asset: Asset, event: Event) -> None:
    """It leaves the books: the second life's share of its production goes with it, as far as that is not booked yet; the rest of
    what it carries was the first life's, and is written off."""
    whole = asset.whole()
    halted(whole, event.at_s)
    _spend(asset, event)
    terms = terms_of(event.words, event.numbers) or Terms()
    for one in whole:
        one.out_ug = min(one.carried_ug, production(one.made_ug, terms).second_ug)
        one.out_method = terms.method
        one.go(event, "transferred-out", one.out_ug)
        one.go(event, "written-off", one.carried_ug)
        one.gone = "transferred"
    asset.leave()
    asset.store()
    resumed(whole, event)


def _second_life(assets: Assets, asset: Asset, event: Event) -> None:
    whole = asset.whole()
    halted(whole, event.at_s)
    if asset.gone is not None and asset.inside is not None:
        asset.leave()  # it comes back without the machine it went with
    terms = terms_of(event.words, event.numbers) or Terms()
    for one in whole:
        if one.gone is None:
            _end_first(one, event, terms)
        else:
            one.gone = None
            one.come(event, "transferred-in", one.out_ug)
        one.out_ug = one.fresh_ug = 0
        if event.el_s is not None:
            one.el_s, one.age_s, one.el_stated = event.el_s, 0, True
    _spend(asset, event)
    _serve(asset, event)
    resumed(whole, event)


def _end_first(asset: Asset, event: Event, terms: Terms) -> None:
    """The first life's share of what it still carries leaves: to those whom it served before us, or, where that was us, off."""
    old_ug = asset.carried_ug - asset.fresh_ug
    first = production(asset.made_ug, terms)
    if asset.served:
        asset.go(event, "written-off", old_ug - min(old_ug, first.second_ug))
    else:
        asset.go(event, "transferred-out", min(old_ug, first.first_ug))


def _scrap(assets: Assets, asset: Asset, event: Event) -> None:
    """What it and its parts still carry is written off, their treatment with it; parts that are harvested go to stock."""
    whole = asset.whole()
    halted(whole, event.at_s)
    kept = list(asset.parts.values()) if event.words.get("route") == "harvest" else []
    for part in kept:
        part.leave()
        part.store()
    ended = asset.whole()
    for one in ended:
        one.come(event, "added", _treatment_ug(one, asset, event))
        one.go(event, "written-off", one.carried_ug)
        one.gone = "scrapped"
    asset.leave()
    asset.store()
    resumed(whole, event)


def _treatment_ug(one: Asset, scrapped: Asset, event: Event) -> int:
    """As the event says, of the whole; where it does not, as each passport expected."""
    if event.emitted_ug is not None:
        return event.emitted_ug if one is scrapped else 0
    return (one.passport.eol_g or 0) * UG_PER_G


def _spend(asset: Asset, event: Event) -> None:
    asset.come(event, "added", event.emitted_ug or 0)


def _prolong(asset: Asset, event: Event) -> None:
    if event.el_s is not None:
        asset.el_s, asset.el_stated = event.el_s, True


def _serve(asset: Asset, event: Event) -> None:
    asset.on = True
    asset.settle(host=event.words.get("host", ""), site=event.words.get("site", ""))
    asset.owner = event.words.get("owner", "") or asset.owner


_HANDLERS: Final[Mapping[str, Callable[[Assets, Asset, Event], None]]] = {
    "make": _make, "acquire": _acquire, "commission": _commission, "move": _move, "install": _install, "remove": _remove,
    "swap": _swap, "upgrade": _swap, "repair": _alter, "refurbish": _alter, "degrade": _alter, "estimate": _alter,
    "transfer": _transfer, "second-life": _second_life, "scrap": _scrap,
}  # fmt: skip
