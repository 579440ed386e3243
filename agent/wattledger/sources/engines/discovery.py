"""Engines that nobody named: looked for on a thread of their own, only where the configuration asks for it.

Among the listeners of this node whose programs are known engines, and in annotated pods.  What is found is asked once whether it
speaks as an engine does; only then it becomes an endpoint.
"""

import threading
from collections.abc import Iterator

from wattledger.core.model import Fault, Sample
from wattledger.core.ports import Host, Now, Request, SourceFailed
from wattledger.sources.engines.exposition import parse
from wattledger.sources.engines.known import ENGINES, recognise
from wattledger.sources.engines.listeners import ANY, Listener, listening, sockets
from wattledger.sources.engines.places import NAME, Place
from wattledger.sources.engines.pods import PodList
from wattledger.sources.engines.processes import engine_of, look, pids
from wattledger.sources.engines.scrape import LIMIT_BYTES

EVERY_NS = 60_000_000_000
PROBE_S = 1.0
WAYS = ("ports", "pods")


class Discovery:
    """State: the places found last (replaced, never changed), when to look again, which ways fail, and the thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        wanted = str(host.options.get("discover", "off"))
        self._ways = WAYS if wanted == "all" else (wanted,) if wanted in WAYS else ()
        self._pods = PodList(host)
        self.places: tuple[Place, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._fails: dict[str, str] = {}
        self._faults: list[Sample] = []
        self._next_ns: int | None = None
        self._now: Now | None = None
        self._wanted = threading.Event()
        self._closed = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def failing(self) -> bool:
        """Whether a way of looking fails now."""
        return bool(self._fails)

    def faults(self) -> list[Sample]:
        """Failures that have begun since the last call."""
        with self._lock:
            found, self._faults = self._faults, []
        return found

    def ask(self, now: Now) -> None:
        """Look again when it is time; returns at once."""
        at_ns = now().mono_ns
        if not self._ways or self._closed or (self._next_ns is not None and at_ns < self._next_ns):
            return
        self._next_ns, self._now = at_ns + EVERY_NS, now
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"wattledger-{NAME}-discovery", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """The thread ends, at once or after the question under way."""
        self._closed = True
        self._wanted.set()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            now = self._now
            if self._closed or now is None:
                return
            self.look(now)

    def look(self, now: Now) -> None:
        """Look once, in all the ways that were asked for; blocks as long as that takes."""
        known = {place.url: place for place in self.places}
        found: list[Place] = []
        notes: list[str] = []
        for way in self._ways:
            kept = [place for place in self.places if (place.found == "ports") == (way == "ports")]
            try:
                candidates = self._at_ports(notes) if way == "ports" else self._in_pods(notes)
            except SourceFailed as failure:
                self._fail(way, str(failure), now)
                found += kept  # an engine does not end because nobody can tell
                continue
            self._fails.pop(way, None)
            found += [place for choice in candidates if (place := self._first(choice, known)) is not None]
        self.places, self.notes = tuple({place.url: place for place in found}.values()), tuple(notes)

    def _fail(self, way: str, what: str, now: Now) -> None:
        if way not in self._fails:
            line = what if what.startswith(NAME) else f"{NAME}: {what}"
            with self._lock:
                self._faults.append(Fault(NAME, f"discover = {way}", now(), line, False))
        self._fails[way] = what

    def _first(self, choice: tuple[Place, ...], known: dict[str, Place]) -> Place | None:
        """Of the places where one engine may publish, the one where it does; who has said that it is an engine is believed."""
        for place in choice:
            if self._closed:
                return None
            if place.url in known:
                return known[place.url]
            if (place.found == "pod" and place.engine) or self._speaks(place):
                return place
        return None

    def _speaks(self, place: Place) -> bool:
        try:
            body = self._host.fetch(Request(place.url, timeout_s=PROBE_S, limit_bytes=LIMIT_BYTES))
            engine = ENGINES.get(place.engine)
            if engine is not None and not engine.counts:
                engine.loaded(body)
                return True
            return recognise(parse(body)) is not None
        except (SourceFailed, ValueError, KeyError, TypeError, RecursionError):
            return False

    def _at_ports(self, notes: list[str]) -> list[tuple[Place, ...]]:
        found = list(engine_listeners(self._host.procfs))
        if not found and not pids(self._host.procfs):
            raise SourceFailed(f"{NAME}: {self._host.procfs} shows no processes, so none is known to listen")
        return [tuple(candidates(name, listener)) for name, listener in found]

    def _in_pods(self, notes: list[str]) -> list[tuple[Place, ...]]:
        if not self._pods.url:
            notes.append(f"{NAME}: discover asks for pods, but pods_url is not set (e.g. https://127.0.0.1:10250/pods)")
            return []
        return [(place,) for place in self._pods.read()]


def engine_listeners(procfs: str) -> Iterator[tuple[str, Listener]]:
    """Sockets of our own network that a process with an engine's command line listens on."""
    waiting = {f"socket:[{one.inode}]": one for one in listening(f"{procfs}/net")}
    for pid in pids(procfs) if waiting else ():
        process = look(procfs, pid)
        name = engine_of(process) if process is not None else ""
        if name:
            for link in sorted(sockets(procfs, pid) & waiting.keys()):
                yield name, waiting.pop(link)  # its children hold it too


def candidates(name: str, listener: Listener) -> Iterator[Place]:
    """Where an engine that listens there may publish."""
    ip = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(listener.ip, listener.ip) if listener.ip in ANY else listener.ip
    host = f"[{ip}]" if ":" in ip else ip
    for path in dict.fromkeys((ENGINES[name].path, "/metrics", "/v1/metrics")) if ENGINES[name].counts else (ENGINES[name].path,):
        yield Place("" if ENGINES[name].counts else name, f"http://{host}:{listener.port}{path}", "", "ports")
