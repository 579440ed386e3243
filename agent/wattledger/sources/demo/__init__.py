"""A GPU node that is made up, for ``wattledger agent --demo``: its capture, played round and round through the real pipeline.

``node.capture.gz`` lies beside this file; ``compile_node.py`` makes it.  Eight GPUs, two CPUs, their memory and a BMC; a training
run, a serving engine with two tenants, a Slurm job and an evaluation that come and go, a notebook that holds a GPU and rests.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from wattledger.core.model import Batch, Device, Finding, Sample
from wattledger.core.ports import Host, Now, SourceGone
from wattledger.sources.demo.show import Show

CAPTURE = Path(__file__).with_name("node.capture.gz")
NAMES = ("demo_nvml", "demo_rapl", "demo_redfish", "demo_cgroup", "demo_kubernetes", "demo_slurm", "demo_engines")
NOTE = "every sensor here is made up (--demo)"


class Recorded(Protocol):
    """A capture as it is read from its file."""

    @property
    def header(self) -> object: ...
    @property
    def batches(self) -> Sequence[Batch]: ...


def show(load: Callable[[Path], "Recorded"]) -> Show:
    """The shipped capture, to be played by all sources of one session together.  ``load`` reads a capture."""
    found = load(CAPTURE)
    counted = found.header.get("counted", ()) if isinstance(found.header, dict) else ()
    return Show(found.batches, tuple(counted))


def open(host: Host) -> "Demo":
    """The source that ``plays`` names, of a ``show``: both are handed in as options."""
    part, name = host.options.get("show"), host.options.get("plays")
    if not isinstance(part, Show) or name not in NAMES:
        raise SourceGone("demo: there is nothing to play here; wattledger agent --demo has it")
    return Demo(str(name), part)


def examine(host: Host) -> Iterator[Finding]:
    """Nothing: it is no sensor."""
    return iter(())


class Demo:
    """One of the made-up node's sources.  State: how many batches it has played."""

    edge = False
    period_ns: int | None = None
    notes = (NOTE,)

    def __init__(self, name: str, show: Show) -> None:
        self.name, self._show = name, show
        self._devices = show.devices(name)
        self._played = 0

    def devices(self) -> Sequence[Device]:
        return self._devices

    def close(self) -> None:
        return

    def read(self, now: Now, full: bool) -> list[Sample]:
        """Whatever has happened since the last read, stamped with when it did."""
        at = now()
        due = self._show.due(at, self._played)
        samples = [sample for number in due for sample in self._show.samples(self.name, number, at)]
        self._played = max(self._played, due.stop)
        return samples
