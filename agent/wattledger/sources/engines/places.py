"""Where engines are: what the configuration says, and how an address is shown."""

import difflib
import ipaddress
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from wattledger.sources.engines.known import ENGINES

NAME = "engines"
SCHEMES = {"http": 80, "https": 443}
HOW = 'set [sources.engines] urls = "vllm=http://127.0.0.1:8000/metrics" (one of ' + ", ".join(sorted(ENGINES)) + "), or discover"


class Place(NamedTuple):
    """One endpoint.  ``engine``: its kind, empty: to be recognised by what it says; ``model``: where its text names none."""

    engine: str
    url: str
    model: str = ""
    found: str = "configured"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or SCHEMES[parts.scheme]

    @property
    def address(self) -> str:
        """``host:port``, as requests name their server."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def beside(self, path: str) -> str:
        """Another page of the same server."""
        parts = urlsplit(self.url)
        base = parts.path.removesuffix("/metrics").removesuffix("/v1").rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{base}{path}"


def configured(text: str) -> tuple[list[Place], list[str]]:
    """``vllm=URL, URL#model=name, …``: the places, and one line for each entry that is none."""
    places: dict[str, Place] = {}
    wrong: list[str] = []
    for entry in text.replace(",", " ").split():
        name, mark, url = entry.partition("=")
        if not mark or "://" in name:
            name, url = "", entry
        place = _place(name, url)
        if isinstance(place, str):
            wrong.append(f"{NAME}: {place}")
        else:
            places.setdefault(place.url, place)
    return list(places.values()), wrong


def _place(name: str, url: str) -> Place | str:
    """A place, or what is wrong with it; a password is not repeated."""
    name = name.lower()
    if name and name not in ENGINES:
        near = difflib.get_close_matches(name, ENGINES, 1) or sorted(ENGINES)
        return f"urls: {name!r} is no engine that is known; did you mean {', '.join(near)}?"
    url, _, fragment = url.partition("#")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return f"urls: the address after {name or 'the comma'!r} is malformed"
    if "@" in parts.netloc:
        return "urls: an address holds a password; let the engine's metrics be read without"
    if parts.scheme not in SCHEMES or not host or port == 0:
        return f"urls: {url[:100]!r} is no address; let it begin with http:// or https://"
    path = parts.path if parts.path not in ("", "/") else ENGINES[name].path if name else "/metrics"
    query = f"?{parts.query}" if parts.query else ""
    model = unquote(fragment.removeprefix("model=")) if fragment.startswith("model=") else ""
    return Place(name, f"{parts.scheme}://{parts.netloc.lower()}{path}{query}", model)


def is_ip(host: str) -> bool:
    """Whether this is an address already, and no name to be looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
