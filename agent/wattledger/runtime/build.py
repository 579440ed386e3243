"""Puts a session together: sources by an explicit table, factors, floors, one pipeline, one sampler.

The agent, ``track`` and ``run`` start the same loop with other sources.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from wattledger.core.facts import Fact
from wattledger.core.model import Batch, Boundary, Claim, Device, Factor, IdleFloor, Instant, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.series import Series
from wattledger.factors import rest
from wattledger.runtime import clock, floors, host
from wattledger.runtime.books.keeper import Keeper
from wattledger.runtime.books.opening import Books, known_intensities, life, open_books
from wattledger.runtime.books.settled import Rows
from wattledger.runtime.config import Config, ConfigError
from wattledger.runtime.embodied import Materials
from wattledger.runtime.live_prices import LivePrices
from wattledger.runtime.opening import NO_ANSWER, WITNESSES, Opened, Scope
from wattledger.runtime.prices import PriceList
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Hooks, Sampler

# A package's idle draw as a part of its thermal design power, until this machine's own has been seen (Teads' ratio at 0 % load,
# science.md section 5).  A powercap limit stands for the design power.
IDLE_OF_CAP = 0.12


class Session(NamedTuple):
    """A running meter: who is metered, by what, at which prices."""

    sampler: Sampler
    pipeline: Pipeline
    tree: Workload
    host: str
    config: Config
    environ: Mapping[str, str]
    live: LivePrices
    opened: Opened
    materials: Materials
    keeper: Keeper | None = None

    def __repr__(self) -> str:
        """Without the environment, which holds other people's secrets and would be printed with any fault at exit."""
        return f"<Session on {self.host}: {', '.join(runner.source.name for runner in self.sampler.runners)}>"

    @property
    def prices(self) -> PriceList:
        """Those in force now."""
        return self.live.now()

    @property
    def settled_g(self) -> Rows:
        """Grams by (day, basis, state), as the books have them."""
        settled = None if self.keeper is None else self.keeper.settled
        return {} if settled is None else settled.shown

    @property
    def ledger_lag_s(self) -> float | None:
        """How long the books have not had everything; ``None`` where none are kept."""
        return None if self.keeper is None else self.keeper.disk.lag_s()

    def stop(self) -> None:
        """The last reading, and the last page of the books."""
        self.live.stop()
        self.materials.close()
        try:
            self.sampler.stop()
        finally:
            self.close_books([])

    def close_books(self, facts: Sequence[Fact]) -> None:
        """The last facts; nothing is metered any more."""
        if self.keeper is not None:
            self.keeper.note([*facts, life("ended", self.keeper, self.config)])
            self.keeper.stop()

    def all_notes(self) -> tuple[str, ...]:
        """What the sensors want said beside the figures, now; prices have notes of their own."""
        # Copies, because the sampler's thread may change them meanwhile.
        found: list[str] = []
        for runner in list(self.sampler.runners):
            found += runner.notes
        found += [f"{name}: {why}" for name, why in list(self.opened.absent.items()) if why == NO_ANSWER]
        for fault in list(self.pipeline.faults.values()):
            found.append(f"{fault.source}{' ' + fault.device_id if fault.device_id else ''}: {fault.what}")
        for device in list(self.pipeline.still):
            found.append(f"{device}: its counter stands still, so its energy is unknown")
        return tuple(dict.fromkeys(found))


class Plan(NamedTuple):
    """What a session is asked to do.

    ``scope``: who is metered; ``marks``: the CPU clocks of the tree and of its open spans, asked for at every full tick; ``hooks``,
    ``series``, ``state``: a node's, that is read for ever: what it does at every full tick, who has series of his own, and where
    what is learnt is kept.  ``books``: who keeps the ledger; ``None``: nobody.
    """

    scope: Scope
    marks: Callable[[Instant], Iterable[Boundary]] | None = None
    on_batches: Callable[[list[Batch]], None] | None = None
    on_step: Callable[[Step], None] | None = None
    hooks: Hooks | None = None
    series: Series | None = None
    state: Path | None = None
    books: Books | None = None


def open_session(config: Config, environ: Mapping[str, str], plan: Plan, *, zone: str | None = None) -> Session:
    """Open every source that is there, and take the first full reading.

    Raises ConfigError for words that are wrong; a sensor that is not there is a reason in ``absent``, never an error.
    """
    live = LivePrices(config, environ, zone, lambda samples: sampler.put(samples), ahead=plan.scope.is_node)
    pipeline = Pipeline(plan.series, own_only=not plan.scope.is_node and (plan.books is None or plan.books.own is None))
    agent_threads: list[int] = []
    scope = plan.scope
    folder = plan.state or host.state_dir(environ)
    opened = Opened(config, environ, scope, agent_threads)
    runners = list(opened.all())
    host_name = host.host_name(environ)
    keeper = None if plan.books is None else open_books(config, environ, plan.books, host_name)
    sampler = Sampler(
        runners,
        pipeline,
        interval_ns=int(config["agent.interval_s"] * 1e9),
        marks=plan.marks,
        hooks=plan.hooks,
        steady=scope.is_node,
        on_batches=plan.on_batches,
        on_step=_after_step(folder, pipeline, (keeper, live), plan.on_step),
    )
    sampler.agent_threads = agent_threads
    claims = [] if scope.is_node else [Claim(f"pid:{root}", clock.now(), scope.tree) for root in (*scope.roots, os.getpid())]
    sampler.put([*claims, *live.now().factors.values(), *rest_factors(config, runners), *_floors(folder, sampler.devices())])
    say = None if plan.books is None else plan.books.say
    live.follow(partial(known_intensities, config, environ, plan.books), keeper.note if keeper else lambda _: None, say)
    # Of a made-up node nobody has a passport.
    materials = Materials(config, None if scope.demo else environ, host_name, live.embody)
    materials.look(sampler.devices())
    return Session(sampler, pipeline, scope.tree, host_name, config, environ, live, opened, materials, keeper)


def attend(session: Session, roots: tuple[int, ...]) -> None:
    """Begin to watch processes that were started after the sensors were opened."""
    session.opened.roots = roots
    for name in WITNESSES:
        if (runner := session.opened.runner(name)) is not None:
            session.sampler.runners.append(runner)


def look_again(session: Session, say: Callable[[str], None]) -> None:
    """Open what was not there before, or has gone since: a driver may be loaded, a socket appear.  Lines go to ``say``."""
    sampler, opened = session.sampler, session.opened
    for gone in [runner for runner in sampler.runners if not runner.up]:
        sampler.runners.remove(gone)
        opened.let_go(gone.source.name, lost=True)
        gone.close()
    for runner in opened.all():
        kinds = {device.kind for device in runner.devices if device.inside is None}
        model = next((r for r in sampler.runners if r.source.name == "estimate"), None)
        if model is not None and runner is not model and kinds & {device.kind for device in model.devices}:
            # A sensor has come for what a model answered for until now: from here on the sensor does, and no joule counts twice.
            sampler.runners.remove(model)
            opened.let_go("estimate")
            model.close()
        sampler.runners.append(runner)
        devices = ", ".join(device.id for device in runner.devices)
        say(f"{runner.source.name} is there now: {devices}" if devices else f"{runner.source.name} is there now")
        sampler.put(_floors(None, runner.devices))
        session.materials.look(sampler.devices())


def renew(session: Session, names: Collection[str], say: Callable[[str], None]) -> None:
    """Open these sources anew, because what they are told has changed."""
    session.opened.config = session.config
    for runner in [runner for runner in session.sampler.runners if runner.source.name in names]:
        session.sampler.runners.remove(runner)
        session.opened.let_go(runner.source.name)
        runner.close()
    if names:
        look_again(session, say)


def rest_factors(config: Config, runners: Iterable[Runner]) -> Iterable[Factor]:
    """The rest of the host, unless it is switched off or a model of the whole server contains it already.  Raises ConfigError."""
    sources = [runner.source for runner in runners]
    if config["facility.rest"] == "off":
        return (rest.OFF,)
    if any(getattr(source, "whole_server", False) for source in sources):
        return ()
    ours = not host.is_virtual(config["paths.procfs"]) and not any(getattr(source, "is_part", False) for source in sources)
    try:
        return rest.rest(ours, wall_gain=config["facility.wall_gain"], wall_offset_w=config["facility.wall_offset_w"])
    except ValueError as wrong:
        raise ConfigError(f"{config.origin('facility.wall_gain')}: {wrong}") from wrong


def _floors(folder: Path | None, devices: Iterable[Device]) -> Iterable[IdleFloor]:
    for device in devices:
        if device.kind == "cpu" and device.inside is None and device.cap_uw is not None:
            yield IdleFloor(device.id, "empty", int(device.cap_uw * IDLE_OF_CAP), None, 0)
    yield from floors.load(folder)


def _after_step(
    folder: Path | None, pipeline: Pipeline, aware: tuple[Keeper | None, LivePrices], then: Callable[[Step], None] | None
) -> Callable[[Step], None]:
    keeper, live = aware

    def keep(step: Step) -> None:
        live.tick()
        if keeper is not None:
            keeper.take(step, pipeline)
        # Kept at each power of two: a floor that 64 seconds taught is not written 64 times.
        if any(f.n & (f.n - 1) == 0 for f in step.floors):
            floors.save(folder, pipeline.floors.values())
        if then is not None:
            then(step)

    return keep
