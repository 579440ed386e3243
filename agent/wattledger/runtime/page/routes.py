"""The pages' addresses: ``/``, ``/runs/NAME`` and the files they link to.  Each is rendered once a tick, however many look."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from email.message import Message
from functools import partial
from typing import Any, NamedTuple

from wattledger.core.units import NS_PER_S
from wattledger.core.version import __version__
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.html import render
from wattledger.runtime.html.render import NoTemplates
from wattledger.runtime.page import live, words
from wattledger.runtime.page.board import Board, Latest
from wattledger.runtime.page.books import Place
from wattledger.runtime.page.earlier import NONE, Earlier, earlier
from wattledger.runtime.page.jobs import MOST, QUERY_SIGNS, SORTS, TOP, Asked, Jobs, jobs
from wattledger.runtime.page.kept import Kept
from wattledger.runtime.page.links import anchor, links, run_path
from wattledger.runtime.page.priced import Rules
from wattledger.runtime.page.run import run_page
from wattledger.runtime.page.run_books import Booked, booked
from wattledger.runtime.page.runs import Runs, newest
from wattledger.runtime.web.pages import NOT_YET, Below, Page, Reads, Route, text

HTML = "text/html; charset=utf-8"
PAGES = 32  # renderings kept: what sixteen viewers ask for, and then some
SEATS = 12  # pages made at once; the server's other places are for scrapers
MOST_ASKED = 4  # runs of the books that are not known yet and asked for at once: each is a thread until it is its turn
PATIENCE_S = 0.1  # what a page waits for the books; with the next refresh they are there
READING = "the books are still being read: ask again in a moment"
RUNS_FRESH_S, EARLIER_FRESH_S, RUN_FRESH_S = 10.0, 300.0, 5.0
NAME_SIGNS = 300
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
FOR_EVER = {**SAFE, "Cache-Control": "private, max-age=31536000, immutable"}
COME_AGAIN = {"Retry-After": "1"}


class Told(NamedTuple):
    """An answer of the books, or why there is none."""

    value: Any
    why: str = ""


class Site:
    """The pages of one agent.  State: what was rendered for the newest tick, and answers of the books that are a while old.

    ``place``: where the books are, asked each time, ``None``: none are kept.  ``others``: paths of the other views.
    """

    def __init__(
        self, board: Board, place: Callable[[], Place | None], rules: Callable[[], Rules], *, others: tuple[str, ...]
    ) -> None:
        self._board, self._place, self._rules, self._others = board, place, rules, others
        self._seats = threading.Semaphore(SEATS)
        self._rendering = threading.Lock()
        self._asking = threading.Lock()  # one reads the books at a time, and the sampler has the interpreter in between
        self._rendered: OrderedDict[tuple[object, ...], tuple[object, bytes]] = OrderedDict()
        self._runs: Kept[Told] = Kept(partial(self._told, self._newest), RUNS_FRESH_S)
        self._earlier: Kept[Told] = Kept(partial(self._told, self._before), EARLIER_FRESH_S)
        self._booked: OrderedDict[str, Kept[Told]] = OrderedDict()

    def pages(self) -> dict[str, Route]:
        """By path."""
        files: dict[str, Route] = {f"/static/{name}": _file(name, kind) for name, kind in render.STATIC.items()}
        return {"/": Reads(self._seated(self.front)), "/runs/": Below(self._seated(self.run)), **files}

    def _seated(self, serve: Callable[..., Page]) -> Callable[..., Page]:
        """The page while there are seats."""

        def page(*asked: Any) -> Page:
            if not self._seats.acquire(blocking=False):
                return _busy("busy: too many look at once")
            try:
                return serve(*asked)
            finally:
                self._seats.release()

        return page

    # --- the front page ---------------------------------------------------------------------------------------------------

    def front(self, headers: Message, query: Mapping[str, str]) -> Page:
        """``/``, or with ``part=live`` what of it changes."""
        latest = self._looked()
        if latest is None:
            return text(NOT_YET, 503)
        wanted = words.plain(query.get("q", "")[:QUERY_SIGNS]).strip()
        asked = Asked(wanted, query.get("jobs") == "all", SORTS.get(query.get("sort", ""), "power"))
        where = links(asked, paused=query.get("live") == "off")
        self._earlier.get(0.0)  # both are asked before one is waited for
        runs, before = self._runs.get(PATIENCE_S), self._earlier.get(PATIENCE_S / 3)
        overdue = self._board.about.overdue(latest.at)
        status = live.status(latest.final, words.clock_time(latest.at.wall_ns) if overdue else "")
        part = query.get("part") == "live"
        # What the viewer was told last: the line for screen readers is sent again only when it says something else.
        repeat = part and query.get("said") == where.mark(status)
        key = part, repeat, where, overdue, id(runs), id(before)

        def make() -> bytes:
            template = "part.html" if part else "page.html"
            found = self._view(latest, asked, before)
            return render.render(template, **found, links=where, runs=runs, status=status, repeat=repeat, mark=where.mark(status))

        return self._page(key, latest, make)

    def _view(self, latest: Latest, asked: Asked, before: Told | None) -> dict[str, Any]:
        snapshot, about = latest.final, self._board.about
        found: Jobs = jobs(self._board, latest, asked)
        length_s = max(1.0, (latest.at.mono_ns - about.started.mono_ns) / NS_PER_S)
        earlier_today: Earlier | None = before.value if before is not None else None
        return {
            **self._frame(), "host": words.plain(about.host),
            "at": words.clock_time(latest.at.wall_ns), "at_iso": words.iso_time(latest.at.wall_ns // NS_PER_S),
            "started": words.date_time(about.started.wall_ns / NS_PER_S),
            "tiles": live.tiles(self._board, latest, earlier_today), "devices": live.devices(snapshot, length_s),
            "jobs": found, "asked": asked, "top": TOP, "most": MOST, "sources": live.sources(snapshot),
            "grid": live.grid(snapshot, latest.at.wall_ns // NS_PER_S),
            "sent": sorted(snapshot.sent.items()), "notes": [words.plain(note) for note in about.notes()], "words": words,
            "run_path": run_path, "anchor": anchor, "widest_w": _widest(found),
            "before_why": before.why if before is not None else "",
        }  # fmt: skip

    # --- a run's page -----------------------------------------------------------------------------------------------------

    def run(self, headers: Message, query: Mapping[str, str], name: str) -> Page:
        """``/runs/NAME``."""
        latest = self._looked()
        if latest is None:
            return text(NOT_YET, 503)
        if not name or len(name) > NAME_SIGNS:
            return self._missing(name[:NAME_SIGNS], Told(None))
        kept = self._of_run(name)
        told = kept.get(PATIENCE_S * 4) if kept is not None else None
        found: Booked | None = told.value if told is not None else None
        page = run_page(self._board, latest, name, found)
        if page is None:
            return self._missing(name, told) if kept is not None else _busy("busy: too many runs are asked for at once")

        def make() -> bytes:
            return render.render("run.html", page=page, why=told.why if told is not None else READING, **self._frame())

        return self._page(("run", name, id(told)), latest, make)

    def _of_run(self, name: str) -> "Kept[Told] | None":
        """``None`` while too many others are asked for."""
        with self._rendering:
            found = self._booked.get(name)
            if found is None:
                if sum(kept.busy for kept in self._booked.values()) >= MOST_ASKED:
                    return None
                found = self._booked[name] = Kept(partial(self._told, partial(self._one, name)), RUN_FRESH_S)
                while len(self._booked) > PAGES:
                    self._booked.popitem(last=False)
            self._booked.move_to_end(name)
        return found

    def _missing(self, name: str, told: Told | None) -> Page:
        """Nobody knows of it; or only the books may, and they have not answered yet, or cannot."""
        why = READING if told is None else told.why
        try:
            body = render.render("missing.html", run=words.plain(name), why=why, **self._frame())
        except NoTemplates as missing:
            return text(str(missing), 503)
        return Page(HTML, body, 503, {**SAFE, **COME_AGAIN}) if told is None else Page(HTML, body, 404, SAFE)

    def _frame(self) -> dict[str, Any]:
        return {"version": __version__, "others": self._others, "demo": self._board.about.demo}

    # --- the books --------------------------------------------------------------------------------------------------------

    def _told(self, ask: "Callable[[Place, Rules], Any]") -> Told:
        place = self._place()
        if place is None:
            return Told(None, "no books are kept here ([ledger] enabled)")
        try:
            with self._asking:
                return Told(ask(place, self._rules()))
        except LedgerError as failure:
            return Told(None, str(failure).replace(str(place.folder), "the books"))  # where they lie is nobody's business

    def _now_s(self) -> int:
        latest = self._board.latest
        return latest.at.wall_ns // NS_PER_S if latest is not None else 0

    def _newest(self, place: Place, rules: Rules) -> Runs:
        return newest(place, self._now_s(), rules)

    def _before(self, place: Place, rules: Rules) -> Earlier:
        latest = self._board.latest
        return NONE if latest is None else earlier(place, latest.at, rules)

    def _one(self, name: str, place: Place, rules: Rules) -> Booked | None:
        return booked(place, name, self._now_s(), rules)

    # --- rendering --------------------------------------------------------------------------------------------------------

    def _looked(self) -> Latest | None:
        self._board.look()
        return self._board.latest

    def _page(self, key: tuple[object, ...], latest: Latest, make: Callable[[], bytes]) -> Page:
        """One rendering a tick of what all ask alike; one at a time, so that many viewers do not take the interpreter in turns."""
        with self._rendering:
            kept = self._rendered.get(key)
            if kept is not None and kept[0] is latest:
                return Page(HTML, kept[1], 200, SAFE)
            try:
                body = make()
            except NoTemplates as missing:
                return text(str(missing), 503)
            self._rendered[key] = latest, body
            self._rendered.move_to_end(key)
            while len(self._rendered) > PAGES:
                self._rendered.popitem(last=False)
            return Page(HTML, body, 200, SAFE)


def _busy(why: str) -> Page:
    return text(why, 503)._replace(more=COME_AGAIN)


def _widest(found: Jobs) -> float:
    return max((job.power_w or 0.0 for job in (*found.shown, *found.rest)), default=0.0)


def _file(name: str, kind: str) -> Callable[[Message], Page]:
    return lambda headers: Page(kind, render.static(name), 200, FOR_EVER)
