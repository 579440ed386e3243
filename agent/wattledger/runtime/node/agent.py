"""The node agent: one session that goes on for ever, with a web server, a control socket and exporters that send.

Starts in the order in which things can be wrong: the words, the address, the socket, then the sensors, of which any may be missing.
"""

import contextlib
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wattledger.core.catalog import CATALOG
from wattledger.core.model import Fault, Sample, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.series import Series
from wattledger.core.totals import WATER, Health, State
from wattledger.runtime import clock, floors, host
from wattledger.runtime.books.opening import Books
from wattledger.runtime.build import Plan, Session, look_again, open_session, renew, rest_factors
from wattledger.runtime.config import Config, ConfigError, load
from wattledger.runtime.control.binding import ControlError
from wattledger.runtime.control.hearing import House
from wattledger.runtime.control.server import ControlServer
from wattledger.runtime.exporters import open_pushers
from wattledger.runtime.node.demo import Stage
from wattledger.runtime.node.edges import Edges
from wattledger.runtime.node.engines import Engines
from wattledger.runtime.node.front import Front
from wattledger.runtime.node.journal import Journal
from wattledger.runtime.node.membership import Membership
from wattledger.runtime.node.notify import Notify
from wattledger.runtime.node.pages import Views, pages_of
from wattledger.runtime.node.publish import Publisher
from wattledger.runtime.node.whereabouts import whereabouts
from wattledger.runtime.node.words import greeting, label_names, may_make, operators, state_dir
from wattledger.runtime.opening import Opened, Scope
from wattledger.runtime.sampler import Hooks
from wattledger.runtime.web.readers import Readers, in_groups
from wattledger.runtime.web.server import Web
from wattledger.sources.cgroup.clients import Spoken

NODE = Workload("(node)")  # a node has no tree of its own; this one never gets a joule
CLOSE_S = 5.0  # what the last deliveries may take
LOOK_AGAIN_NS = 60_000_000_000  # sensors that were not there: a driver may be loaded, a BMC plugged in
COARSEST_FINE_S = 1.0  # boundaries are stamps on a grid of a second or more (design.md section 10)
NEUTRAL = {"pue": 1.0, "rest_share": 0.0, "rest_offset": 0.0, "rest_off": 0.0}
FIXED = ("agent.listen", "agent.socket", "agent.state", "agent.labels", "agent.operators", "agent.readers", "agent.series",
         "agent.series_keep_s", "agent.web_config", "agent.interval_s", "agent.fine_boundaries", "exporters.compat.enabled",
         "exporters.compat.names", "agent.requests", "paths.sysfs", "paths.procfs", "ledger.enabled", "ledger.path",
         "ledger.commit_interval_s", "ledger.requests")  # fmt: skip


def say(line: str) -> None:
    """A line in the agent's log (standard error)."""
    with contextlib.suppress(OSError, ValueError):
        print(f"wattledger: {line}", file=sys.stderr, flush=True)


class Agent:
    """State: the configuration in force, what is running, whether its limits were said, when absent sensors were looked for.

    ``file``: the configuration's; it is read again at ``reload``.  Raises ConfigError with one line where it cannot start.
    """

    def __init__(
        self, file: str | None, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None, *, demo: bool = False
    ) -> None:
        self._stage = Stage(demo)
        self._file, self._environ, self._flags = file, self._stage.environ(environ), dict(flags or {})
        self.config = self._first = self._load()
        self._clients: dict[int, Spoken] = {}
        self._stop = threading.Event()
        self._said_folded = self._noted = False
        self._wanted: list[int] = []
        self._notify = Notify(environ)
        self._journal = Journal(say, clock.now)
        self._doubts: deque[Fault] = deque(maxlen=64)
        self._looked_ns = clock.now().mono_ns
        self._started = clock.now()
        names = label_names(str(self.config["agent.labels"]))
        self._pushers = open_pushers(self.config, self._environ, started=self._started)
        self.publisher = Publisher(names, lambda: self._pushers.sent())
        self._control: ControlServer | None = None
        self.web = self._web()
        try:
            self._stage.open(self.config)
            self.web.start()
            self._control = self._listen()
            self.session = self._open(names)
        except BaseException:
            self._let_go()
            raise

    # --- starting ---------------------------------------------------------------------------------------------------------

    def _load(self) -> Config:
        config = self._stage.settings(load(self._environ, file=self._file, flags=self._flags, here=False))
        if config["agent.interval_s"] < COARSEST_FINE_S and not config["agent.fine_boundaries"]:
            raise ConfigError(
                f"agent.interval_s = {config['agent.interval_s']:g} ({config.origin('agent.interval_s')}): an agent that several "
                "users share reads once a second at most; agent.fine_boundaries = true allows it on a single-user node"
            )
        return config

    def _web(self) -> Web:
        shown, at, name = lambda: self.publisher.shown, lambda: self.publisher.at, host.host_name(self._environ)
        pages = pages_of(self.config, Views(shown, at, self._pue, self._taker, self.publisher.powered, name))
        self._front = Front(name, self._started, self._opened, demo=self._stage.demo)
        config = self.config
        readers = Readers(config["agent.readers"], in_groups(operators(str(config["agent.operators"]))))
        return Web(str(config["agent.listen"]), self._front.beside(pages), str(config["agent.web_config"]), readers=readers)

    def _taker(self) -> Callable[[Iterable[Sample]], None] | None:
        """Where samples from elsewhere go, once the sensors are open."""
        return None if (session := self._opened()) is None else session.sampler.put

    def _opened(self) -> Session | None:
        return getattr(self, "session", None)

    def _pue(self) -> float:
        return 1.0 if (pue := self.session.pipeline.factors.get("pue")) is None else pue.value

    def _listen(self) -> ControlServer | None:
        path = str(self.config["agent.socket"])
        if not path:
            return None  # nor does a demo have one: no program must take a made-up node's figures for its own
        if self.config.origin("agent.socket") == "default" and not may_make(path):
            say(f"no rights to make {path}: track() will not find this agent; set agent.socket to a place of your own")
            return None
        house = House(
            put=lambda samples: self.session.sampler.put(samples),
            clients=self._clients,
            host=host.host_name(self._environ),
            interval_s=self.config["agent.interval_s"],
            notes=lambda: self.session.all_notes(),
            price_notes=lambda: self.session.prices.notes,
            operators=operators(str(self.config["agent.operators"])),
            procfs=str(self.config["paths.procfs"]),
            shown=lambda: (self.publisher.at, self.publisher.shown),
            log=say,
        )
        if self.config["agent.fine_boundaries"]:
            house = house._replace(edges=Edges(lambda: self.session.sampler))
        server = ControlServer(house)
        try:
            server.bind(path)
        except ControlError as failure:
            raise ConfigError(f"agent.socket ({self.config.origin('agent.socket')}): {failure}") from failure
        return server

    def _open(self, names: tuple[str, ...]) -> Session:
        config = self.config
        labels = {label for metric in CATALOG for label in metric.labels} | set(names)
        pid = host.own_pid(str(config["paths.procfs"]))
        scope = Scope(NODE, (), pid, whole_machine=True, clients=lambda: dict(self._clients), demo=self._stage.demo)
        place = Opened(config, self._environ, scope, []).host("cgroup")
        look = whereabouts(place)
        self._members = Membership(look, lambda: tuple(self._clients))
        self._engines = Engines(look, self._clients)
        self._series = Series(config["agent.series"], int(config["agent.series_keep_s"] * 1e9), labels)
        plan = Plan(
            scope,
            hooks=Hooks(self._name, self._look),
            series=self._series,
            state=state_dir(config, self._environ),
            books=Books("agent", say=say),
        )
        return open_session(config, self._environ, plan)

    def _name(self, samples: Sequence[Sample]) -> Iterable[Sample]:
        return [*self._engines.name(samples, now := clock.now()), *self._members.name(samples, now)]

    def _look(self, step: Step, pipeline: Pipeline) -> None:
        """A cell was closed: under the sampler's lock, so copies are made here and everything else is done by others."""
        sampler, session = self.session.sampler, self.session
        self._doubts.extend(step.doubts)
        health = {name: Health(False, 0.0, 1, why) for name, why in session.opened.missed().items()}
        health |= {runner.source.name: runner.health() for runner in sampler.runners}
        late_s, age_s = sampler.late_ns / 1e9, session.live.grid_age_s()
        state = State(None, health, {}, late_s, (), age_s, session.settled_g, *session.live.outlook(), session.ledger_lag_s)
        self.publisher.publish(pipeline, state, clock.now())
        self._front.post(self.publisher)
        if self._control is not None:
            self._control.closed(step, pipeline)
        if self.publisher.shown is not None:
            self._pushers.push(self.publisher.shown)

    # --- running ----------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until SIGTERM or SIGINT; returns the exit status."""
        before = {number: signal.signal(number, self._signal) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            self.start()
            while not self._stop.wait(min(1.0, self._notify.period_s or 1.0)):
                if not self._beat():
                    return 1
            return 0
        finally:
            self.stop()
            say("stopped")
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self) -> None:
        """Begin to tick, answer and say so."""
        if self._control is not None:
            self._control.start()
        self.session.sampler.start()
        say(greeting(self.session, self.web, str(self.config["agent.socket"]) if self._control else "none") + self._stage.line)
        self._notify.ready()

    def _signal(self, number: int, _frame: object) -> None:
        self._wanted.append(number)
        if number != signal.SIGHUP:
            self._stop.set()

    def _beat(self) -> bool:
        """Once a second: whatever was asked for meanwhile, and a sign of life only while the ticks go on."""
        while self._wanted:
            if self._wanted.pop(0) == signal.SIGHUP:
                self.reload()
        if not self.session.sampler.is_alive():
            say("the sampler has stopped: this is a bug; see the traceback above")
            return False
        self._front.look()
        self._journal.look(self.session.sampler.runners, self.session.opened.missed())
        self._journal.hear([self._doubts.popleft() for _ in range(len(self._doubts))])
        at = self.publisher.at
        if at is not None and not self._noted:
            self._noted = True  # once: what cannot be known here, and why
            notes = [note for runner in list(self.session.sampler.runners) for note in runner.notes]
            self._journal.tell([*notes, *self.session.prices.notes])
        for runner in [r for r in list(self.session.sampler.runners) if self._noted and r.source.name == "engines"]:
            self._journal.tell(runner.notes)  # an engine may come later
        if self._series.folded and not self._said_folded:
            self._said_folded = True
            say(f"more than {self.config['agent.series']} workloads: later ones are (other) (agent.series); no sum changes")
        age_ns = clock.now().mono_ns - (at or self._started).mono_ns
        if age_ns < 10 * max(1.0, self.config["agent.interval_s"]) * 1e9:
            self._notify.alive(f"{len(self.session.sampler.devices())} devices, {len(self._clients)} programs connected")
        if clock.now().mono_ns - self._looked_ns > LOOK_AGAIN_NS:
            self._looked_ns = clock.now().mono_ns
            look_again(self.session, say)
            self.session.materials.look_again()
        return True

    def reload(self) -> None:
        """Read the configuration again: prices, exporters, TLS and users, and what each source is told; nothing metered is lost."""
        self._notify.reloading()
        try:
            config = self._load()
            rest = rest_factors(config, self.session.sampler.runners)
            prices = self.session.live.renew(config)
        except ConfigError as wrong:
            say(f"reload: {wrong}; the configuration before stays in force")
            self._notify.ready()
            return
        changed = [name for name, value in config.rows() if value.value != self.config[name]]
        fixed = [name for name in FIXED if config[name] != self._first[name]]
        self.config = config
        self._stage.keep(config)
        self.session = self.session._replace(config=config)
        self.session.materials.look(self.session.sampler.devices(), config)
        now = {**prices.factors, **{factor.kind: factor for factor in rest}}
        # What was in force and is not named any more counts for nothing: a factor that is gone has no successor to replace it.
        known = self.session.pipeline.factors
        gone = [f._replace(value=NEUTRAL[kind]) for kind, f in list(known.items()) if kind in NEUTRAL and kind not in now]
        dry = [f for kind, f in list(known.items()) if kind in WATER.values() and kind not in now]
        gone += [factor._replace(value=0.0, quality="unknown") for factor in dry]
        self.session.sampler.put([*now.values(), *gone])
        renew(self.session, {name.split(".")[1] for name in changed if name.startswith("sources.")}, say)
        if any(name.startswith("exporters.") for name in changed):
            before, self._pushers = self._pushers, open_pushers(config, self._environ, started=self._started)
            before.close(CLOSE_S)
        self.web.reload()
        waiting = f"; {', '.join(fixed)} wait for a restart" if fixed else ""
        say(f"reload: {', '.join(name for name in changed if name not in FIXED) or 'nothing'} changed{waiting}")
        self._notify.ready()

    def stop(self) -> None:
        """The last tick, the last deliveries, and everything let go."""
        self._notify.stopping()
        if self._control is not None:
            self._control.stopping()
        self.session.stop()
        floors.save(state_dir(self.config, self._environ), self.session.pipeline.floors.values())
        if self.publisher.final is not None:
            self._pushers.push(self.publisher.final)
        self._let_go()

    def _let_go(self) -> None:
        self._pushers.close(CLOSE_S)
        self.web.stop()
        if self._control is not None:
            self._control.close()
        self._stage.close()
