"""The agent's own page: what it is made of, and where it stands beside the other views."""

from collections.abc import Callable, Mapping

from wattledger.core.model import Instant
from wattledger.runtime import clock
from wattledger.runtime.books.opening import providers
from wattledger.runtime.books.place import has_books, ledger_folder
from wattledger.runtime.build import Session
from wattledger.runtime.node.publish import Publisher
from wattledger.runtime.page.board import About, Board
from wattledger.runtime.page.books import Place
from wattledger.runtime.page.priced import Rules
from wattledger.runtime.page.routes import Site
from wattledger.runtime.web.pages import Accepts, Below, Route


class Front:
    """The board and who reads it.  ``session``: the agent's, ``None`` while its sensors are not open."""

    def __init__(self, host: str, started: Instant, session: Callable[[], Session | None], *, demo: bool) -> None:
        self._session = session
        self._board = Board(About(host, started, demo, self._notes, self._overdue))

    def beside(self, pages: Mapping[str, Route]) -> dict[str, Route]:
        """These pages, and ours that link to them."""
        plain = (path for path, page in pages.items() if not isinstance(page, (Accepts, Below)))
        site = Site(self._board, self._place, self._rules, others=(*sorted(plain), "/healthz"))
        return {**pages, **site.pages()}

    def post(self, publisher: Publisher) -> None:
        """The newest; under the sampler's lock."""
        if publisher.shown is not None and publisher.final is not None and publisher.at is not None:
            self._board.post(publisher.shown, publisher.final, publisher.at)

    def look(self) -> None:
        """Once a second, on the agent's own thread."""
        self._board.look()

    def _notes(self) -> tuple[str, ...]:
        session = self._session()
        if session is None:
            return ()
        trouble = "" if session.keeper is None else session.keeper.disk.trouble()
        if trouble and (folder := ledger_folder(session.config, session.environ, agent=True)) is not None:
            trouble = trouble.replace(str(folder), "their folder")  # where they lie is nobody's business
        said = [*([trouble] if trouble else ()), *session.all_notes(), *session.prices.notes]
        return tuple(dict.fromkeys(said))

    def _overdue(self, at: Instant) -> bool:
        """As the service manager is told that the agent lives: ten ticks were missed."""
        session = self._session()
        each_s = max(1.0, session.config["agent.interval_s"]) if session is not None else 1.0
        return clock.now().mono_ns - at.mono_ns > 10 * each_s * 1e9

    def _place(self) -> Place | None:
        """Where the books are; none where nothing has been written yet."""
        session = self._session()
        if session is None or session.keeper is None:
            return None
        folder = ledger_folder(session.config, session.environ, agent=True)
        return Place(folder, session.keeper.meter.id) if folder is not None and has_books(folder) else None

    def _rules(self) -> Rules:
        session = self._session()
        if session is None:
            return Rules()
        config = session.config
        return Rules(tuple(providers(config)), int(config["grid.settle_h"] * 3600), str(config["grid.zone"]).strip().upper())
