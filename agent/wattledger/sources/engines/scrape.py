"""One engine, reply by reply: which it is, what it has done, whose energy it draws, and what is wrong with it."""

from collections.abc import Iterator
from typing import NamedTuple

from wattledger.core.model import Fault, Instant, Sample, Served
from wattledger.core.ports import Host, Now, Request, SourceFailed
from wattledger.sources.engines.exposition import Exposition, parse, shown
from wattledger.sources.engines.known import ENGINES, recognise
from wattledger.sources.engines.listeners import Owner, owner
from wattledger.sources.engines.places import NAME, Place
from wattledger.sources.engines.processes import started
from wattledger.sources.engines.reading import About, Engine, Reading, plain
from wattledger.sources.engines.steady import Steady, Total

LIMIT_BYTES = 8_000_000
MOST_MODELS = 200  # of one endpoint; a text that names more is no engine's
MOST_NOTES = 8
UNCOUNTED_EVERY_NS = 60_000_000_000  # what counts no tokens is asked so often for its models
CLOCKS_NS = 5_000_000_000  # by so much may another machine's clock, and a reply on its way, be off
PATIENCE = 60  # replies in a row of a process that had begun before the last one was seen, until it is taken for the engine

SEVERAL = "several processes answer here in turn (a load balancer?): give each replica's own address"
NONSENSE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)  # what taking JSON apart may raise


class Said(NamedTuple):
    """What the notes tell of an engine; replaced, never changed."""

    label: str
    seen: str = ""
    odd: tuple[str, ...] = ()
    owner: Owner = Owner()

    def notes(self) -> Iterator[str]:
        words = (self.seen, *self.odd, self.owner.why)
        yield from (f"{NAME}: {self.label}: {word}" for word in words if word)


class Scrape:
    """Blocking, of one thread.  State: what is known of the engine that runs there now, and whether it fails.

    ``said`` and ``failing`` may be read by others.
    """

    def __init__(self, host: Host, place: Place) -> None:
        self._host, self.place = host, place
        self._engine = ENGINES.get(place.engine)
        self._steady = Steady()
        self._about: About | None = None
        self._owner: Owner | None = None
        self._began_s: float | None = None
        self._seen_at: Instant | None = None
        self._strange = 0  # replies in a row of a process that is not the one we follow
        self._doubt = 0  # replies until a place where another process has answered is trusted again
        self._nameless: str | None = None
        self._setups: dict[str, str] = {}
        self._next_ns = 0
        self.failing = False
        self.said = Said(self._label)

    @property
    def owner(self) -> Owner:
        """Whose energy it draws, as far as that was found."""
        return self._owner or Owner()

    @property
    def _label(self) -> str:
        return f"{self._engine.name if self._engine is not None else 'engine'} {self.place.address}"

    def look(self, now: Now) -> list[Sample]:
        """Ask once.  A failure is a fault when it begins, and then silence until the engine answers again."""
        if now().mono_ns < self._next_ns:
            return []
        try:
            samples, wrong = self._ask(now)
        except SourceFailed as failure:
            samples, wrong = [], str(failure)
        failed_before, self.failing = self.failing, bool(wrong)
        if wrong and not failed_before:
            what = wrong if self.place.address in wrong else f"{self._label}: {wrong}"
            samples.append(Fault(NAME, self._label, now(), f"{NAME}: {what}", False))
        return samples

    def _ask(self, now: Now) -> tuple[list[Sample], str]:
        body = self._fetch(self.place.url)
        at = now()  # its counts are of the moment in which it answered, not of when they were understood
        if self._engine is not None and not self._engine.counts:
            return self._without_counts(self._engine, body, at)
        said = parse(body)
        engine = self._engine = self._engine_of(said)
        reading = engine.read(said)
        if len(reading.counts) > MOST_MODELS:
            raise SourceFailed(f"it names {len(reading.counts)} models, more than the {MOST_MODELS} that an engine may")
        if reading.counts and not self._is_ours(reading, at):
            self._doubt = PATIENCE
            return [], SEVERAL
        self._doubt = max(0, self._doubt - 1)
        samples = self._served(engine, reading, at)
        odd = tuple(dict.fromkeys((*self.said.odd, *reading.odd)))[:MOST_NOTES]
        self.said = Said(self._label, reading.seen or self.said.seen, odd, self.owner)
        if not reading.counts and not reading.refused:
            return samples, "there are no counts of tokens in the reply"
        return samples, reading.refused[0] if reading.refused else SEVERAL if self._doubt else ""

    def _engine_of(self, said: Exposition) -> Engine:
        """The engine that was named, or the one that the text is of."""
        engine = self._engine
        if engine is not None and (not said.families or engine.recognises(said)):
            return engine
        found = recognise(said)
        if engine is None and found is not None:
            return found
        if engine is None:
            kind = "of no engine that is known" if said.families else "empty"
            raise SourceFailed(f"the reply is {kind}; if it is an engine's, say so in urls (vllm=…)")
        others = f"they are {found.name}'s" if found is not None else f"e.g. {shown(next(iter(said.families)))}"
        raise SourceFailed(f"these are not {engine.name}'s metrics: {others}")

    def _is_ours(self, reading: Reading, at: Instant) -> bool:
        """Whether the process that we follow answered, or a new one in its place.

        One that had begun before the other was seen last did not come after it: behind a load balancer, counts of several would be
        taken for the growth of one.
        """
        began_s, last = self._began_s, self._seen_at
        other = began_s is not None and reading.began_s is not None and reading.began_s != began_s
        if other and last is not None and reading.began_s is not None:
            ran_already = reading.began_s * 1e9 + CLOCKS_NS < last.wall_ns
            self._strange = self._strange + 1 if ran_already else PATIENCE
            if self._strange < PATIENCE:
                return False
        replaced = self._owner is not None and self._is_replaced(self._owner)
        # A process that says when it began would have said that it is another; one that does not, and is, counts from zero.
        if self._owner is None or other or (replaced and reading.began_s is None):
            self._began_s = reading.began_s
            self._steady.forget()
            self._setups.clear()
            self._nameless = None
            self._meet()
        elif replaced:
            self._meet()
        self._strange, self._seen_at = 0, at
        return True

    def _is_replaced(self, owner: Owner) -> bool:
        return bool(owner.listener) and started(self._host.procfs, owner.listener) != owner.start

    def _meet(self) -> None:
        """Who it is and what it says of itself: asked once in its life, for both are dear."""
        self._owner = owner(self._host.procfs, self.place.host, self.place.port)
        self._about = About()
        if self._engine is not None and self._engine.about_path:
            try:
                said = self._engine.about(self._fetch(self.place.beside(self._engine.about_path)))
                self._about = About(plain(said.model), plain(said.version))
            except (SourceFailed, *NONSENSE):
                self._about = About()  # it does well without

    def _served(self, engine: Engine, reading: Reading, at: Instant) -> list[Sample]:
        totals: dict[str, Total] = {}
        for said, replicas in reading.counts.items():
            model = said
            if reading.nameless:  # the guess stands while the engine runs, whatever names turn up
                self._nameless = model = said if self._nameless is None else self._nameless
            totals[model], restarted = self._steady.take(model, replicas)
            if restarted:
                self._meet()
            if restarted or model not in self._setups:
                self._setups[model] = self._setup(engine, len(replicas), reading.ranks)
        about = self._about or About()
        who = f"pid:{self.owner.pid}" if self.owner.pid else ""
        return [
            Served(
                self._label, model or self.place.model or about.model, self.place.address, who, at, total.computed, total.cached,
                total.generated, total.requests, total.steps, total.running, self._setups[model],
            )
            for model, total in totals.items()
        ]  # fmt: skip

    def _setup(self, engine: Engine, replicas: int, ranks: int) -> str:
        """What prices learnt from it rest on.  Made when its counts begin: another text says that they have begun anew."""
        words = [engine.name]
        if self._about is not None and self._about.version:
            words.append(self._about.version)
        words += [f"{replicas} replicas"] if replicas > 1 else []
        words += [f"{ranks} ranks"] if ranks > 1 else []
        if self._began_s is not None:
            words.append(f"began {self._began_s:.2f}")
        elif self.owner.start:
            words.append(f"began at tick {self.owner.start}")
        return ", ".join(words)

    def _without_counts(self, engine: Engine, body: bytes, at: Instant) -> tuple[list[Sample], str]:
        """An engine that tells only what it has loaded: once a minute is enough."""
        self._next_ns = at.mono_ns + UNCOUNTED_EVERY_NS
        try:
            models = engine.loaded(body)
        except NONSENSE:
            raise SourceFailed(f"the reply is not {engine.name}'s list of models") from None
        loaded = f"has {', '.join(shown(model) for model in models[:5])} loaded" if models else "has no model loaded"
        self.said = Said(self._label, loaded, engine.read(Exposition({})).refused)
        return [], ""

    def _fetch(self, url: str) -> bytes:
        options = self._host.options
        verify = str(options.get("ca_file", "")) or True
        timeout_s = float(str(options.get("timeout_s", 1.0)))
        return self._host.fetch(Request(url, verify=verify, timeout_s=timeout_s, limit_bytes=LIMIT_BYTES))
