"""NVIDIA GPUs through NVML.

``source`` reads, ``driver`` is the one file that knows pynvml, ``visible`` says which GPUs are ours, ``sanity`` which
readings are believed, ``contexts`` whose time it was, ``doctor`` what an operator is told.  A host without a driver
pays for none of them: pynvml alone takes 42 ms to import (peers.md section 5).
"""

from collections.abc import Iterable

from wattledger.core.model import Finding
from wattledger.core.ports import Host, Source
from wattledger.sources.nvml.library import load


def open(host: Host) -> Source:
    """Find the GPUs that are ours.  ``SourceGone`` where there is no driver or none is visible."""
    load()
    from wattledger.sources.nvml.source import open_gpus

    return open_gpus(host)


def examine(host: Host) -> Iterable[Finding]:
    """One finding per GPU, and one for each thing that stands in the way; never raises."""
    from wattledger.sources.nvml.doctor import examine_gpus

    return examine_gpus(host)
