"""A run's page: what it came to, its power curve, its devices, and how its grams were computed.

From the books where they know it; else, and for what they do not keep, from the latest snapshot.
"""

from collections.abc import Callable
from typing import NamedTuple

from wattledger.core.model import Workload
from wattledger.core.rows import who
from wattledger.core.totals import Snapshot
from wattledger.core.uncertainty import Quantity
from wattledger.core.units import NS_PER_S, UJ_PER_J
from wattledger.runtime.books.minutes import RUN_LABEL
from wattledger.runtime.page import live, words
from wattledger.runtime.page.board import Board, Latest
from wattledger.runtime.page.chart import Chart, chart
from wattledger.runtime.page.explained import Explained, explained
from wattledger.runtime.page.run_books import Booked, DeviceSum, is_of
from wattledger.runtime.page.words import Said, plain

STILL_S = 120  # without a watt and without a joule for so long, nobody sees it any more
SAME_S = 60  # the books know when a run began by the minute
TOKENS = ("prompt tokens (computed)", "cached tokens", "generated tokens", "requests")


class DeviceRow(NamedTuple):
    """What it got of one device, as it is shown."""

    component: str
    device: str
    model: str
    method: str
    energy: str
    interval: str
    held: str


class Now(NamedTuple):
    """What is known of this moment.  ``drawn_w``: by the shares of the last ``over_s`` seconds, ``None``: not known yet."""

    at_s: float
    drawn_w: float | None
    over_s: float


class RunPage(NamedTuple):
    """Everything that the page says."""

    id: str
    title: str
    who: tuple[Said, ...]
    when: str
    tiles: tuple[Said, ...]
    chart: Chart | None
    chart_note: str
    devices: tuple[DeviceRow, ...]
    work: tuple[Said, ...]
    factors: tuple[Said, ...]
    explained: Explained | None
    notes: tuple[str, ...]


def run_page(board: Board, latest: Latest, name: str, found: Booked | None) -> RunPage | None:
    """``None`` where nobody knows of it.  ``found``: what the books say."""
    snapshot, now_s = latest.final, latest.at.wall_ns / NS_PER_S
    everybody = {key[0] for key in snapshot.energy_uj}
    mine = [w for w in everybody if _is_its(w, name, found)]
    kept = [w for w in board.history.names() if _is_its(w, name, found)]
    if found is None and not mine and not kept:
        return None
    any_of = next(iter(sorted(mine or kept, key=repr)), None)
    title = found.job if found is not None else any_of.job if any_of is not None else name
    drawn, note = _chart(board, kept, found)
    powers, over_s = board.powers(latest)
    now = Now(now_s, sum(powers.get(w, 0.0) for w in mine) if mine and over_s is not None else None, over_s or 0.0)
    devices = [_row(each, known=True) for each in found.devices] if found else [_row(d, known=False) for d in _live(snapshot, mine)]
    return RunPage(
        plain(name), plain(title) or "(no name)", tuple(_who(name, found, any_of, snapshot)), _when(board, found, mine, now),
        tuple(_tiles(board, snapshot, mine, found, now=now)), drawn, note, tuple(devices), tuple(_work(snapshot, mine, found)),
        tuple(live.grid(snapshot, int(now_s))[:1]) if found is None else (), explained(found.slots) if found is not None else None,
        tuple(plain(word) for word in _notes(board, found, bool(mine))),
    )  # fmt: skip


def _is_its(workload: Workload, name: str, found: Booked | None) -> bool:
    """Whether a series is of this page.  Where series do not say their run, a job's are the run's, if the books know no other."""
    run = dict(workload.labels).get(RUN_LABEL, "")
    return is_of(name, workload.job, run) or (found is not None and found.alone and not run and workload.job == found.job)


def _who(name: str, found: Booked | None, workload: Workload | None, snapshot: Snapshot) -> list[Said]:
    said = [Said("Run" if not name.startswith("job:") else "All runs of", plain(name.removeprefix("job:")))]
    if found is not None:
        said += [Said("Model", ", ".join(map(plain, found.models)))] if found.models else []
        said += [Said("Host", ", ".join(map(plain, found.hosts)))]
        return said + [Said(plain(label), plain(value)) for label, value in found.labels]
    if workload is not None:
        said += [Said("Model", plain(workload.model))] if workload.model else []
        said += [Said(plain(label), plain(value)) for label, value in workload.labels if label != RUN_LABEL]
    return said


def _when(board: Board, found: Booked | None, mine: list[Workload], now: Now) -> str:
    if found is None:
        since = f"at work, or at rest with a series of its own; figures {_of_live(board, found)}"
        return since if mine else "ended within the last hour"
    times = f"{words.date_time(found.start_s)} to {words.date_time(found.end_s)}"
    if found.ended:
        return f"{times}, ended"
    return times + (", and still seen" if _is_seen(found, mine, now) else ", and not seen since")


def _is_seen(found: Booked | None, mine: list[Workload], now: Now) -> bool:
    """Its series stay for a while when it is over: what it draws tells, or that it got something a moment ago."""
    recent = found is None or (not found.ended and now.at_s - found.end_s < STILL_S)
    return bool(mine) and (recent or bool(now.drawn_w))


def _of_live(board: Board, found: Booked | None) -> str:
    """Since when the running sums count, beside what the books know."""
    began_s = board.about.started.wall_ns / NS_PER_S
    if found is not None and found.start_s >= began_s - SAME_S and found.since_s <= began_s + SAME_S:
        return "of the same time"
    return f"since {words.date_time(began_s)}, when this agent began" + (", or since it was seen" if found is None else "")


def _tiles(board: Board, snapshot: Snapshot, mine: list[Workload], found: Booked | None, *, now: Now) -> list[Said]:
    said: list[Said] = []
    if now.drawn_w is not None and _is_seen(found, mine, now):
        note = f"its part of each device's, by the shares of the last {now.over_s:.0f} s"
        said.append(Said("Power now", words.watt(now.drawn_w), note=note))
    since = _of_live(board, found)
    if found is not None:
        said += _booked_tiles(found)
    elif mine:
        said += _live_tiles(snapshot, mine, since)
    embodied = [snapshot.embodied_g[w] for w in mine if w in snapshot.embodied_g]
    if embodied:
        said.append(Said("Embodied", words.mass(sum(embodied)), note=f"its share of making the machine; {since}"))
    for source, where in (("offsite", "at power plants"), ("onsite", "at this site")):
        litres = [snapshot.water_l[w, source] for w in mine if (w, source) in snapshot.water_l]
        said += [Said(f"Water, {source}", words.volume(sum(litres)), note=f"evaporated {where}; {since}")] if litres else []
    for currency in sorted({currency for w, currency in snapshot.cost if w in mine}):
        money = sum(value for (w, of), value in snapshot.cost.items() if w in mine and of == currency)
        said.append(Said("Cost", words.money(money, plain(currency)), note=f"at the tariff in force; {since}"))
    return said


def _booked_tiles(found: Booked) -> list[Said]:
    since = f"since {words.date_time(found.start_s)}"
    said = [_said("Energy", found.energy_j, words.energy, f"{since}; from the books, open minutes included")]
    if found.energy_j.value:
        said.append(_said("CO2e", found.location_g, words.mass, f"{since}; location-based, at the grid's newest figures"))
    if found.measured is not None:
        said.append(_measured(found.measured, since))
    return said


def _measured(part: float, since: str) -> Said:
    how = "every joule was read from a sensor" if part == 1 else "of its energy; the rest is a model's answer"
    return Said("Measured", words.percent(part), note=f"{how}; {since}")


def _said(name: str, value: Quantity, show: Callable[[float], str], note: str) -> Said:
    return Said(name, show(value.value), words.interval(value, show), note)


def _live_tiles(snapshot: Snapshot, mine: list[Workload], since: str) -> list[Said]:
    whole_uj = sum(uj for (w, *_), uj in snapshot.energy_uj.items() if w in set(mine))
    said = [Said("Energy", words.energy(whole_uj / UJ_PER_J), note=since)]
    grams = [snapshot.emissions_g[w] for w in mine if w in snapshot.emissions_g]
    if grams:
        said.append(Said("CO2e", words.mass(sum(grams)), note=f"location-based, as first priced; {since}"))
    measured_uj = sum(uj for (w, _, method, _), uj in snapshot.energy_uj.items() if w in set(mine) and method != "estimated")
    if whole_uj:
        said.append(_measured(measured_uj / whole_uj, since))
    return said


def _chart(board: Board, kept: list[Workload], found: Booked | None) -> tuple[Chart | None, str]:
    """The last hour in steps of ten seconds where that is all of it, else by the minute from the books."""
    ring = board.history.curve(kept)
    if found is not None and (not ring or found.start_s < ring[0].start_s - 120):
        return chart(found.minutes), "Means by the minute, from the books; of longer runs by several."
    return chart(ring), "Means over ten seconds, of the last hour at most."


def _live(snapshot: Snapshot, mine: list[Workload]) -> list[DeviceSum]:
    sums: dict[tuple[str, str], list[int]] = {}
    for (workload, device, method, use), uj in snapshot.energy_uj.items():
        if workload in mine:
            of = sums.setdefault((device, method), [0, 0])
            of[0] += uj
            of[1] += uj if use == "held" else 0
    found = []
    for (device_id, how), (uj, held_uj) in sums.items():
        of_it = snapshot.devices[device_id]
        point = Quantity(*(uj / UJ_PER_J,) * 3)
        found.append(DeviceSum(of_it.kind, of_it.id, of_it.model, how, point, held_uj / UJ_PER_J))
    return sorted(found, key=lambda each: (-each.energy_j.value, each.device))


def _row(each: DeviceSum, *, known: bool) -> DeviceRow:
    return DeviceRow(
        each.component, plain(each.device), plain(each.model), words.METHODS.get(each.method, each.method),
        words.energy(each.energy_j.value), words.interval(each.energy_j, words.energy) if known else "", words.energy(each.held_j),
    )  # fmt: skip


def _work(snapshot: Snapshot, mine: list[Workload], found: Booked | None) -> list[Said]:
    done = found.work if found is not None else None
    if done is None:
        counted = [snapshot.work[w] for w in mine if w in snapshot.work]
        done = tuple(sum(column) for column in zip(*(w[2:6] for w in counted), strict=True)) if counted else ()
    said = [Said(name, f"{count:,}".replace(",", " ")) for name, count in zip(TOKENS, done, strict=False) if count]
    prices = snapshot.tokens.token_price
    for workload in mine:
        for kind in ("prompt", "generated"):
            each = [prices.get((workload, kind, bound)) for bound in ("value", "low", "high")]
            if None not in each:
                value, low, high = (words.energy(joules or 0.0) for joules in each)
                name = f"a {kind} token" + (f", {plain(who(workload)[1])}" if workload.model else "")
                said.append(Said(name, value, f"{low} to {high}", "as of late"))
    return said


def _notes(board: Board, found: Booked | None, is_live: bool) -> tuple[str, ...]:
    notes = []
    if found is None:
        notes.append("The books do not tell of it yet: these are running sums, whose intervals are not known.")
    else:
        notes.append(f"Of facts recorded since {words.date_time(found.since_s)}; what was sealed before is in `wattledger report`.")
        if found.meters and not found.meters[0].startswith("agent:"):
            notes.append("Metered by the program itself, not by this agent.")
    return (*notes, *(board.about.notes() if is_live or found is not None else ()))
