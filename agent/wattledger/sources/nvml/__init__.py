"""NVIDIA GPUs through NVML.

``source`` reads, ``driver`` is the one file that knows pynvml (``calls``: what is called past it), ``inventory`` finds GPUs,
``visible`` says which are ours, ``sanity`` which readings are believed.  ``processes`` asks who computes, ``mig`` divides what
slices did (``gpm`` and ``dcgm`` tell how busy they were), ``contexts`` keeps the account; ``doctor`` tells an operator.  A host
without a driver pays for none of them: pynvml alone takes 42 ms to import (peers.md section 5).
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
