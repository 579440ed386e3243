"""Templates → bytes, and the files that pages link to.  The only file that knows Jinja2.

Whatever is shown was written by others (jobs, labels, models, devices): everything is escaped, and a name that a template does not
know is an error rather than an empty place.
"""

import hashlib
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parent
STATIC = {"page.css": "text/css; charset=utf-8", "htmx.min.js": "text/javascript; charset=utf-8"}
PIECES = 200  # of a template, then other threads may take the interpreter
BREATH_S = 0.0001
_NEVER = threading.Event()


class NoTemplates(RuntimeError):
    """Jinja2 is not installed.  The message says what to do."""


def render(template: str, **given: Any) -> bytes:
    """A template filled in.  Raises NoTemplates."""
    parts: list[str] = []
    for n, piece in enumerate(_environment().get_template(template).generate(version_of=version_of, **given)):
        parts.append(piece)
        if n % PIECES == PIECES - 1:
            _NEVER.wait(BREATH_S)  # a thread that holds the interpreter for long delays the sampler's
    return "".join(parts).encode("utf-8", "replace")


@lru_cache(maxsize=1)
def _environment() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise NoTemplates("the agent's page needs Jinja2: pip install jinja2") from None
    return Environment(
        loader=FileSystemLoader(PLACE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip


@lru_cache(maxsize=len(STATIC))
def static(name: str) -> bytes:
    """A file of ``STATIC``."""
    return (PLACE / "static" / name).read_bytes()


@lru_cache(maxsize=len(STATIC))
def version_of(name: str) -> str:
    """What tells one version of a file from another, in its address: then it may be kept for ever."""
    return hashlib.sha256(static(name)).hexdigest()[:12]
