"""Serving engines: how many tokens each model has computed, found in a cache and generated, by the engine's own metrics.

One file for each engine knows its names (``known`` lists them); ``exposition`` takes their text apart, ``reading`` makes counts of
it, ``steady`` keeps these from falling; ``scrape`` follows one engine, ``endpoint`` does so on a thread, ``source`` asks them all;
``listeners`` and ``processes`` say whose energy an engine draws, ``discovery`` and ``pods`` find engines that nobody named.
"""

from collections.abc import Iterable

from wattledger.core.model import Finding
from wattledger.core.ports import Host, Source
from wattledger.sources.engines.source import open_engines


def open(host: Host) -> Source:
    """The engines named in the configuration, or looked for.  ``SourceGone`` where it names none and asks for no search."""
    return open_engines(host)


def examine(host: Host) -> Iterable[Finding]:
    """Asks each engine once; never raises."""
    from wattledger.sources.engines.doctor import findings

    return findings(host)
