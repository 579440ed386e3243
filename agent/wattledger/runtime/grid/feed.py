"""The refresher: asks the grid's providers in turn, hands on what is new, and says which factor is in force.

One thread, which may block on the network; nobody waits for it.  Offline it goes on with the last known value, then with the
annual table, and says so once at each change.
"""

import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from wattledger.core.facts import IntensityFact
from wattledger.core.model import Factor, Instant
from wattledger.core.ports import GridProvider, Now, SourceFailed, SourceGone
from wattledger.runtime import clock
from wattledger.runtime.config import Config
from wattledger.runtime.grid.asking import Asked, Asking, Rand, Say
from wattledger.runtime.grid.best import by_hour
from wattledger.runtime.grid.learning import Learnt, span
from wattledger.runtime.grid.providers import open_providers
from wattledger.runtime.grid.standing import HOUR_S, Rules, Standing, Step, Table, in_force, is_live, seen, table_of
from wattledger.runtime.warn import warn_once

LOOK_S = 60.0  # a slot may end while nobody answers: what is in force is judged anew so often
SWEEP_S = 3_600.0  # between two questions for all that is not settled, and for what is expected
MOST_AHEAD = 24  # hours

Told = Callable[[Sequence[IntensityFact]], None]
Stands = Callable[[Sequence[Factor], Sequence[str]], None]


class Plan(NamedTuple):
    """Whom to ask about which zone, and how often.

    ``zone``: as named (``DE``, ``US-CAMX``).  ``settle_s``: after so long a slot is not asked for again.  ``doubt_g95``: where the
    zone itself was guessed.
    """

    zone: str
    providers: Sequence[GridProvider]
    period_s: float = 300.0
    settle_s: int = 72 * HOUR_S
    doubt_g95: float = 1.0


class Outlets(NamedTuple):
    """Who is told.  All are called on the refresher's thread (``start`` and ``refresh_once`` call them on the caller's, too).

    ``learnt`` gets facts that are new or changed, to be kept; if it raises, they are handed over again.  ``in_force`` gets all the
    grid's factors (``grid``, and ``upstream`` where the annual table has the pair) whenever they change.  ``ahead``: somebody looks
    at what is to come, so it is asked for.
    """

    learnt: Told
    in_force: Stands
    say: Say = lambda line: warn_once(line, line)
    ahead: bool = False


class Outlook(NamedTuple):
    """Beside what is in force: ``marginal``, what one kWh more emits just now; ``ahead``, what the first provider that forecasts
    expects of each full hour to come, by hours from now (1: the next one)."""

    marginal: Factor | None = None
    ahead: Mapping[int, Factor] = MappingProxyType({})


class Feed:
    """State: what has been learnt and not yet handed over, what is in force, what is expected and when that was asked, and the
    patience with each provider."""

    def __init__(
        self, plan: Plan, outlets: Outlets, known: Iterable[IntensityFact] = (), *, now: Now = clock.now, rand: Rand = random.random
    ) -> None:
        self._plan, self._outlets, self._now = plan, outlets, now
        self._learnt = Learnt(plan.zone, known)
        self._owed: list[IntensityFact] = []
        self._asking = [Asking(p, plan.period_s, say=outlets.say, rand=rand) for p in plan.providers if self._covers(p)]
        self._licences = {asking.provider.name: asking.provider.licence for asking in self._asking}
        self._tables: dict[int, Table] = {}
        self._expected: Sequence[IntensityFact] = ()
        self._expect_at_s = float("-inf")
        self._outlook = Outlook()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: Sequence[Factor] | None = None
        self._said: Step | None = None
        at = now()
        self._standing = in_force(self._learnt, _wall_s(at), self._rules(_wall_s(at)))
        for asking in self._asking:
            # What the books hold will do for a while: a short program asks nobody.
            if self._is_live(asking, _wall_s(at)):
                asking.postpone(_mono_s(at))

    def current(self) -> Standing:
        """What is in force, as judged last; never blocks."""
        return self._standing

    def outlook(self) -> Outlook:
        """What is known beside what is in force, as judged last; never blocks."""
        return self._outlook

    def _marginal(self, now_s: int) -> Factor | None:
        live = [f for f in self._learnt if f.signal == "marginal" and is_live(f, now_s, self._grace_s())]
        best = max(live, key=lambda fact: fact.start_s, default=None)
        return None if best is None else seen(best, "live-estimated" if best.estimated or best.forecast else "live")

    def _ahead(self, now_s: int) -> Mapping[int, Factor]:
        hour_s = now_s // HOUR_S * HOUR_S
        hours = {at_s: value for at_s, value in by_hour(self._expected).items() if hour_s < at_s <= hour_s + MOST_AHEAD * HOUR_S}
        if not hours:
            return {}
        one = self._expected[0]
        facts = {at_s: one._replace(start_s=at_s, length_s=HOUR_S, ug_per_kwh=round(value)) for at_s, value in hours.items()}
        return {(at_s - hour_s) // HOUR_S: seen(fact, "forecast") for at_s, fact in sorted(facts.items())}

    def health(self) -> list[Asked]:
        """How it went with each provider."""
        return [asking.state() for asking in self._asking]

    def start(self) -> None:
        """Hand over what is in force by what is known already, then go on in a thread; returns at once."""
        self._publish(_wall_s(self._now()))
        self._thread = threading.Thread(target=self._run, name="wattledger-grid", daemon=True)
        self._thread.start()

    def refresh_once(self) -> Standing:
        """Ask whoever may be asked, now and in this thread, and say what is in force; never raises.  Not beside ``start``."""
        self.look()
        return self._standing

    def close(self, timeout_s: float = 0.0) -> None:
        """Stop; a question under way is not waited for longer than that."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def look(self) -> None:
        """One round: ask who is due, hand on what is new, judge what is in force."""
        for signal in ("average", "marginal"):
            for asking in self._asking:
                if asking.provider.signal == signal and self._round(asking):
                    break  # the first that speaks of now will do; the next in line are left in peace
        now_s = _wall_s(self._now())
        if self._outlets.ahead and (at_s := _mono_s(self._now())) >= self._expect_at_s:
            found = self._expect(now_s)
            # Who could not be asked is asked again soon, and what was expected before is still the best there is.
            self._expect_at_s = at_s + (SWEEP_S if found is not None else self._plan.period_s)
            self._expected = self._expected if found is None else found
        self._outlook = Outlook(self._marginal(now_s), self._ahead(now_s))
        self._hand_over()
        self._publish(now_s)
        self._say_step()
        self._learnt.forget(now_s - self._plan.settle_s - 2 * HOUR_S)

    def _run(self) -> None:
        while not self._over.is_set():
            self.look()
            self._over.wait(min(LOOK_S, self._plan.period_s))

    def _round(self, asking: Asking) -> bool:
        """Ask one provider if it is time; whether it speaks of now."""
        at = self._now()
        if asking.due(_mono_s(at)) and not self._over.is_set():
            whole = asking.swept_s is None or _mono_s(at) - asking.swept_s >= SWEEP_S
            start_s, until_s = self._span(asking.provider, _wall_s(at), whole)
            zone = self._plan.zone
            facts = asking.ask(lambda provider: provider.read(zone, start_s, until_s, _wall_s(at)), lambda: _mono_s(self._now()))
            if facts is not None:
                asking.swept_s = _mono_s(at) if whole else asking.swept_s
                self._owed += self._learnt.add(facts)
        return not asking.stopped and self._is_live(asking, _wall_s(at))

    def _expect(self, now_s: int) -> Sequence[IntensityFact] | None:
        """What is to come, by the first that says; ``None``: nobody does, but one of them could not be asked."""
        missed = False
        for asking in self._asking:
            if asking.stopped or asking.provider.signal != "average" or self._over.is_set():
                continue
            try:
                found = [f for f in asking.provider.forecast(self._plan.zone, now_s) if f.signal == "average"]
            except SourceFailed:
                missed = True
                continue  # who cannot be reached is said by the question for now
            except SourceGone:
                continue
            except Exception as bug:
                self._outlets.say(f"grid {asking.provider.name}: its forecast cannot be read: {bug!r}")
                continue
            if found:
                return found
        return None if missed else ()

    def _span(self, provider: GridProvider, now_s: int, whole: bool) -> tuple[int, int]:
        until_s = self._learnt.known_until_s(provider.name)
        return span(now_s, step_s=provider.step_s, settle_s=self._plan.settle_s, until_s=until_s, whole=whole)

    def _is_live(self, asking: Asking, now_s: int) -> bool:
        facts = self._learnt.of(asking.provider.name)
        return any(is_live(fact, now_s, self._grace_s()) for fact in facts if fact.signal == asking.provider.signal)

    def _covers(self, provider: GridProvider) -> bool:
        try:
            found, why = provider.covers(self._plan.zone), f"does not know {self._plan.zone}"
        except Exception as bug:
            found, why = False, repr(bug)
        if not found:
            self._outlets.say(f"grid {provider.name}: {why}, and is not asked")
        return found

    def _hand_over(self) -> None:
        if not self._owed:
            return
        try:
            self._outlets.learnt(tuple(self._owed))
        except Exception as failure:
            # The disk may be full: they are handed over again, and what they say is in force meanwhile.
            self._outlets.say(f"grid: what was learnt cannot be kept yet: {failure}")
            return
        self._owed = []

    def _publish(self, now_s: int) -> None:
        """Replaces the reference; tells of a change once."""
        self._standing = standing = in_force(self._learnt, now_s, self._rules(now_s))
        if self._told != standing.factors:
            self._told = standing.factors
            self._outlets.in_force(standing.factors, standing.notes)

    def _say_step(self) -> None:
        """After a question, not before: that nothing is known yet is no news.  Nor is that all is as it should be."""
        said, step = self._said, self._standing.step
        self._said = step
        live = ("live", "live-estimated")
        if step != said and not (step in live and (said is None or said in live)):
            self._outlets.say(_line(self._standing))

    def _rules(self, now_s: int) -> Rules:
        plan = self._plan
        today = datetime.fromtimestamp(now_s, UTC).date()
        if today.year not in self._tables:  # an annual figure ages by the year
            self._tables[today.year] = table_of(plan.zone, today, plan.doubt_g95)
        order = tuple(self._licences)
        return Rules(plan.zone, order, self._tables[today.year], self._grace_s(), plan.doubt_g95, self._licences)

    def _grace_s(self) -> int:
        """The next slot is learnt of a period after it began, and a failure may cost another one."""
        return int(min(2 * self._plan.period_s, HOUR_S))


def feed_of(
    config: Config,
    environ: Mapping[str, str],
    outlets: Outlets,
    *,
    zone: str | None,
    known: Iterable[IntensityFact] = (),
    doubt_g95: float = 1.0,
) -> Feed | None:
    """The feed that ``[grid]`` asks for; ``None`` where it names no provider, the zone is not known or no provider can be asked.

    Opens providers, asks nobody yet.
    """
    if not config["grid.provider"]:
        return None
    if not zone:
        outlets.say("grid: no zone is known, so no provider is asked: name it with [grid] zone")
        return None
    opened = open_providers(config, environ)
    for name, why in opened.absent.items():
        outlets.say(f"grid provider {name} is not asked: {why}")
    if not opened.providers:
        return None
    settle_s = round(float(config["grid.settle_h"]) * HOUR_S)
    period_s = max(1.0, float(config["grid.period_s"]))
    return Feed(Plan(zone, opened.providers, period_s, settle_s, doubt_g95), outlets, known)


def _line(standing: Standing) -> str:
    factor = standing.factors[0]
    value = f"{factor.value:.4g} {factor.unit} ({factor.origin} {factor.version}".rstrip() + ")"
    times = f"{factor.valid_from} to {factor.valid_to}"
    match standing.step:
        case "live" | "live-estimated":
            return f"grid {factor.zone}: live again, by {factor.origin}"
        case "last-known":
            return f"grid {factor.zone}: nothing newer is known than {times}: the last known value stands in, 6 h at most"
        case _:
            return f"grid {factor.zone}: nothing live is known: the annual average stands in, {value}"


def _wall_s(at: Instant) -> int:
    return at.wall_ns // 1_000_000_000


def _mono_s(at: Instant) -> float:
    return at.mono_ns / 1e9
