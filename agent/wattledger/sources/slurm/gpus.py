"""Which GPUs a job was given: the words of its environment, or the folder that a prolog keeps, to the driver's UUIDs."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from wattledger.sources._linux.files import is_number
from wattledger.sources.slurm.jobs import Environ, listed, read_bytes

_UUID = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z/-]+")
_MAPPED = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,4}))?")


class Given(NamedTuple):
    """``size`` of a GPU (1, or a slice's part of it) to some jobs, who share it equally.  ``word``: its UUID or number."""

    word: str
    size: float
    jobs: tuple[str, ...]


class Gpu(NamedTuple):
    """As the driver's ``information`` file tells it: place on the bus, minor number (``/dev/nvidiaN``), UUID."""

    bus: str
    minor: int
    uuid: str


Pick = Callable[[Sequence[Gpu]], Gpu | None]


class Gpus:
    """State: the GPUs that the driver listed, listed again when one is asked for that was not there."""

    def __init__(self, procfs: str) -> None:
        self.folder = f"{procfs}/driver/nvidia/gpus"
        self._procfs = procfs
        self._listed: list[Gpu] = []

    def by_minor(self, word: str) -> str | None:
        """Slurm's number is that of the device file."""
        if _UUID.fullmatch(word):
            return word
        gpu = self._find(lambda gpus: next((gpu for gpu in gpus if str(gpu.minor) == word), None))
        return gpu.uuid if gpu else None

    def by_index(self, word: str) -> Gpu | None:
        """An index counts in the order of the bus, as NVML does; on big machines it is another than the minor number."""
        return self._find(lambda gpus: gpus[int(word)] if int(word) < len(gpus) else None)

    def slices(self, gpu: Gpu) -> int:
        """How many MIG instances the driver has made of a GPU; 0 where it does not say."""
        return sum(name.startswith("gi") for name in listed(f"{self._procfs}/driver/nvidia/capabilities/gpu{gpu.minor}/mig"))

    def _find(self, pick: Pick) -> Gpu | None:
        found = pick(self._listed)
        if found is None:
            self._listed = sorted(_listed_gpus(self.folder))
            found = pick(self._listed)
        return found


def given_by_environ(words: Iterable[tuple[str, tuple[str, ...]]]) -> list[Given]:
    """From (job, the GPUs it names)."""
    on: dict[str, list[str]] = {}
    for job, named in words:
        for word in named:
            on.setdefault(word, []).append(job)
    return [Given(word, 1.0, tuple(jobs)) for word, jobs in on.items()]


def given_by_folder(folder: str, gpus: Gpus) -> list[Given] | None:
    """From the files ``<GPU index>`` or ``<GPU index>.<MIG instance>``, whose lines are job ids; ``None``: no such folder.

    Slices of a GPU count as equal parts: the driver's files tell how many there are, not how big.
    """
    if not os.path.isdir(folder):
        return None
    named = [(match, _jobs(f"{folder}/{name}")) for name in sorted(listed(folder)) if (match := _MAPPED.fullmatch(name))]
    given = []
    for match, jobs in named:
        gpu = gpus.by_index(match[1])
        beside = sum(other[1] == match[1] and other[2] is not None for other, _ in named)
        slices = 1 if match[2] is None else max(beside, gpus.slices(gpu) if gpu else 0)
        given.append(Given(gpu.uuid if gpu else f"index {match[1]}", 1.0 / slices, jobs))
    return given


def gpus_of(environs: Iterable[Environ]) -> tuple[str, ...]:
    """The GPUs of a job on this node, by device number or, where Slurm names GPUs and slices so, by UUID.

    The batch script passes the first node's SLURM_JOB_GPUS on to the steps of all, so elsewhere the steps' own go first.  An index
    in CUDA_VISIBLE_DEVICES counts among what the job may see, and anybody may set it: only a UUID tells, where Slurm gave GPUs.
    """
    found: dict[str, None] = {}
    for environ in environs:
        job, step = (environ.get(f"SLURM_{whose}_GPUS", "") for whose in ("JOB", "STEP"))
        given = (job or step) if environ.get("SLURM_NODEID", "0") == "0" else (step or job)
        visible = [word for word in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if _UUID.fullmatch(word)]
        words = visible if given and visible else given.split(",")
        found.update(dict.fromkeys(word for word in words if _UUID.fullmatch(word) or re.fullmatch("[0-9]{1,4}", word)))
    return tuple(found)


def _jobs(path: str) -> tuple[str, ...]:
    words = read_bytes(path).decode("ascii", "replace").split()
    return tuple(dict.fromkeys(word for word in words if word.isdigit()))


def _listed_gpus(folder: str) -> Iterable[Gpu]:
    for bus in listed(folder):
        lines = (line.partition(":") for line in read_bytes(f"{folder}/{bus}/information").decode("utf-8", "replace").splitlines())
        said = {key.strip(): value.strip() for key, _, value in lines}
        minor, uuid = said.get("Device Minor", ""), said.get("GPU UUID", "")
        # An excluded GPU is not listed by NVML, and so has no index.
        if is_number(minor) and _UUID.fullmatch(uuid) and "Yes" not in (said.get("GPU Excluded"), said.get("Blacklisted")):
            yield Gpu(bus.rjust(16, "0"), int(minor), uuid)
