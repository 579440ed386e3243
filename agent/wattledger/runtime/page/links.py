"""Addresses within the pages: everything that a user chose is quoted."""

import hashlib
from typing import NamedTuple
from urllib.parse import quote, urlencode

from wattledger.runtime.page.jobs import Asked


class Links(NamedTuple):
    """Where the front page leads, with what was asked of it kept."""

    asked: Asked
    paused: bool

    def to(self, **changes: str) -> str:
        """The page with these words of its query changed; an empty one goes."""
        asked = self.asked
        words = {
            "q": asked.query, "sort": "" if asked.sort == "power" else asked.sort, "jobs": "all" if asked.all else "",
            "live": "off" if self.paused else "", **changes,
        }  # fmt: skip
        query = urlencode({name: value for name, value in words.items() if value}, errors="replace")
        return f"/?{query}" if query else "/"

    def poll(self, mark: str) -> str:
        """What asks for the figures that have changed."""
        return self.to(part="live", said=mark)

    def mark(self, status: str) -> str:
        """What stands for a status line in an address."""
        return hashlib.sha256(status.encode("utf-8", "replace")).hexdigest()[:8]


def links(asked: Asked, *, paused: bool) -> Links:
    """Of one request."""
    return Links(asked, paused)


def run_path(name: str) -> str:
    """Of a run's page."""
    return "/runs/" + quote(name, safe="", errors="replace")


def anchor(*names: str) -> str:
    """An element's id that is the same in each rendering and says nothing that a user chose: the focus is found again by it."""
    return hashlib.sha256("\n".join(names).encode("utf-8", "replace")).hexdigest()[:12]
