"""The text that engines publish their metrics in, taken apart with patience: what is sound is kept, what is not is told once.

Prometheus text format 0.0.4 and OpenMetrics 1.0 (prometheus.io/docs, exposition formats): both end in a line feed, so a reply that
does not has broken off.  Buckets of histograms are left out: they are most of the text, and nobody here has a use for them.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from wattledger.core.ports import SourceFailed

LINE = re.compile(
    r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*"  # the name
    r"(?:\{((?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*+)\})?\s*"  # its labels; a brace within quotes ends nothing
    r"(?<=[\s}])([^\s#]+)(?:\s+[0-9.eE+-]+)?\s*(?:#.*)?",  # its value, perhaps its time, perhaps an exemplar
    re.ASCII,
)
LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.ASCII)
ESCAPE = re.compile(r"\\(.)")
SHOWN = 60  # characters of a bad line that a message repeats


class Series(NamedTuple):
    """One sample: its labels and its value, which may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float


class Exposition(NamedTuple):
    """Samples by name, and what of the text could not be taken (one line for each cause)."""

    families: Mapping[str, tuple[Series, ...]]
    odd: tuple[str, ...] = ()

    def names(self, prefix: str) -> bool:
        """Whether there is a family of this prefix."""
        return any(name.startswith(prefix) for name in self.families)


def parse(body: bytes) -> Exposition:
    """SourceFailed (one line, without the place) where the reply is no such text, or broke off."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    if text.lstrip()[:1] == "<":
        raise SourceFailed("the reply is a web page (HTML), not metrics: is it the right port and path?")
    if text.strip() and not text.endswith("\n"):
        raise SourceFailed("the reply broke off in the middle of a line")
    families: dict[str, list[Series]] = {}
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    bad: list[str] = []
    twice: list[str] = []
    for line in text.split("\n"):
        if not line.strip() or line.lstrip()[0] == "#" or _is_bucket(line):
            continue
        name, series = _sample(line)
        if series is None:
            bad.append(line)
            continue
        key = name, frozenset(series.labels.items())
        if key in seen:
            twice.append(name)
            continue
        seen.add(key)
        families.setdefault(name, []).append(series)
    if bad and not families:
        raise SourceFailed(f"the reply is not metrics: it begins with {shown(bad[0])!r}")
    return Exposition({name: tuple(found) for name, found in families.items()}, tuple(_told(bad, twice)))


def _told(bad: list[str], twice: list[str]) -> list[str]:
    """Without figures that change from one reply to the next, so that the same cause is the same line."""
    found = [f"some lines are no samples and were left out, e.g. {shown(bad[0])!r}"] if bad else []
    names = ", ".join(sorted(set(twice))[:3])
    return found + ([f"said twice with the same labels, the first is taken: {names}"] if twice else [])


def shown(line: str) -> str:
    """The beginning of a line, printable."""
    return "".join(c if c.isprintable() else "?" for c in line.strip())[:SHOWN]


def _is_bucket(line: str) -> bool:
    brace = line.find("{")
    return brace > 0 and line[:brace].rstrip().endswith("_bucket")


def _sample(line: str) -> tuple[str, Series | None]:
    match = LINE.fullmatch(line)
    if match is None:
        return "", None
    name, within, word = match.groups()
    labels = _labels(within or "")
    value = _number(word)
    return name, None if labels is None or value is None else Series(labels, value)


def _labels(within: str) -> dict[str, str] | None:
    """Empty labels are no labels: to Prometheus they mean the same."""
    found: dict[str, str] = {}
    at = 0
    while at < len(within.rstrip()):
        match = LABEL.match(within, at)
        if match is None:
            return None
        if match[2]:
            found[match[1]] = ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], match[2]) if "\\" in match[2] else match[2]
        at = match.end()
    return found


def _number(word: str) -> float | None:
    """Python's own ``float`` also takes ``1_000``, which no exposition means."""
    try:
        return None if "_" in word else float(word)
    except ValueError:
        return None
