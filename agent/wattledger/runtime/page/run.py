"""A run's page: what it came to, its power curve, its devices, and how its grams were computed.

From the books where they know it; else, and for what they do not keep, from the latest snapshot.
"""

from collections.abc import Callable
from typing import NamedTuple

from wattledger.core.model import Workload
from wattledger.core.rows import who
from wattledger.core.totals import Snapshot
from wattledger.core.uncertainty import Quantity
from wattledger.core.units import UJ_PER_J
from wattledger.runtime.books.minutes import RUN_LABEL
from wattledger.runtime.page import live, words
from wattledger.runtime.page.board import Board, Latest
from wattledger.runtime.page.chart import Chart, chart
from wattledger.runtime.page.explained import Explained, explained
from wattledger.runtime.page.run_books import Booked, DeviceSum, is_of
from wattledger.runtime.page.words import Said, plain

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
    snapshot = latest.final
    everybody = {key[0] for key in snapshot.energy_uj}
    mine = [w for w in everybody if _is_its(w, name, found)]
    kept = [w for w in board.history.names() if _is_its(w, name, found)]
    if found is None and not mine and not kept:
        return None
    any_of = next(iter(sorted(mine or kept, key=repr)), None)
    title = found.job if found is not None else any_of.job if any_of is not None else name
    drawn, note = _chart(board, kept, found)
    devices = [_row(each, known=True) for each in found.devices] if found else [_row(d, known=False) for d in _live(snapshot, mine)]
    return RunPage(
        plain(name), plain(title) or "(no name)", tuple(_who(name, found, any_of, snapshot)), _when(found, mine),
        tuple(_tiles(board, latest, mine, found)), drawn, note, tuple(devices), tuple(_work(snapshot, mine, found)),
        tuple(live.grid(snapshot)[:1]) if found is None else (), explained(found.slots) if found is not None else None,
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


def _when(found: Booked | None, mine: list[Workload]) -> str:
    if found is None:
        return "at work, or at rest with a series of its own; since this agent began" if mine else "ended within the last hour"
    times = f"{words.date_time(found.start_s)} to {words.date_time(found.end_s)}"
    return times + (", ended" if found.ended else ", and still seen" if mine else "")


def _tiles(board: Board, latest: Latest, mine: list[Workload], found: Booked | None) -> list[Said]:
    snapshot = latest.final
    said: list[Said] = []
    powers, over_s = board.powers(latest)
    if mine and over_s is not None:
        drawn_w = sum(powers.get(w, 0.0) for w in mine)
        note = f"its part of each device's, by the shares of the last {over_s:.0f} s"
        said.append(Said("Power now", words.watt(drawn_w), note=note))
    if found is not None:
        said += _booked_tiles(found)
    elif mine:
        said += _live_tiles(snapshot, mine)
    embodied = [snapshot.embodied_g[w] for w in mine if w in snapshot.embodied_g]
    if embodied:
        said.append(Said("Embodied", words.mass(sum(embodied)), note="its share of making the machine; since the agent began"))
    for source in ("offsite", "onsite"):
        litres = [snapshot.water_l[w, source] for w in mine if (w, source) in snapshot.water_l]
        said += [Said(f"Water, {source}", words.volume(sum(litres)), note="since the agent began")] if litres else []
    for currency in sorted({currency for w, currency in snapshot.cost if w in mine}):
        money = sum(value for (w, of), value in snapshot.cost.items() if w in mine and of == currency)
        said.append(Said("Cost", words.money(money, plain(currency)), note="since the agent began"))
    return said


def _booked_tiles(found: Booked) -> list[Said]:
    said = [_said("Energy", found.energy_j, words.energy, "from the books, open minutes included")]
    if found.energy_j.value:
        said.append(_said("CO2e", found.location_g, words.mass, "location-based, at the grid's newest figures"))
    if found.measured is not None:
        said.append(Said("Measured", words.percent(found.measured), note="of its energy; the rest is a model's answer"))
    return said


def _said(name: str, value: Quantity, show: Callable[[float], str], note: str) -> Said:
    return Said(name, show(value.value), words.interval(value, show), note)


def _live_tiles(snapshot: Snapshot, mine: list[Workload]) -> list[Said]:
    whole_uj = sum(uj for (w, *_), uj in snapshot.energy_uj.items() if w in set(mine))
    said = [Said("Energy", words.energy(whole_uj / UJ_PER_J), note="since the agent began, or since it was seen")]
    grams = [snapshot.emissions_g[w] for w in mine if w in snapshot.emissions_g]
    if grams:
        said.append(Said("CO2e", words.mass(sum(grams)), note="location-based, as first priced"))
    measured_uj = sum(uj for (w, _, method, _), uj in snapshot.energy_uj.items() if w in set(mine) and method != "estimated")
    if whole_uj:
        said.append(Said("Measured", words.percent(measured_uj / whole_uj), note="of its energy; the rest is a model's answer"))
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
