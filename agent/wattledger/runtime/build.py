"""Puts a session together: sources by an explicit table, factors, floors, one pipeline, one sampler.

The agent, ``track`` and ``run`` start the same loop with other sources.
"""

import importlib
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.core.model import Batch, Boundary, Claim, Device, Factor, IdleFloor, Instant, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.ports import Host, Source, SourceFailed, SourceGone
from wattledger.factors import rest
from wattledger.runtime import clock, floors, host
from wattledger.runtime.config import Config
from wattledger.runtime.prices import PriceList, price_list
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Sampler
from wattledger.runtime.warn import warn_once

# name -> module; in this order, because the estimate must know what the sensors before it have covered.
BUILTIN = {
    "rapl": "wattledger.sources.rapl",
    "nvml": "wattledger.sources.nvml",
    "amdsmi": "wattledger.sources.amdsmi",
    "jetson": "wattledger.sources.jetson",
    "hwmon": "wattledger.sources.hwmon",
    "procfs": "wattledger.sources.procfs",
    "portable": "wattledger.sources.portable",
    "estimate": "wattledger.sources.estimate",
}
WITNESSES = ("procfs", "portable")  # who used what: they need a process to watch
DRIVERS = ("nvml", "amdsmi")  # calls into them may never come back
VISIBILITY = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
OPEN_S = 3.0  # a driver that has not answered by then hangs; the others go on without it
NO_ANSWER = f"the driver did not answer within {OPEN_S:g} s, so its devices are not counted"

# A package's idle draw as a part of its thermal design power, until this machine's own has been seen (Teads' ratio at 0 % load,
# science.md section 5).  A powercap limit stands for the design power.
IDLE_OF_CAP = 0.12


class Session(NamedTuple):
    """A running meter: who is metered, by what, at which prices."""

    sampler: Sampler
    pipeline: Pipeline
    tree: Workload
    host: str
    config: Config
    environ: Mapping[str, str]
    prices: PriceList
    opened: "Opened"

    def all_notes(self) -> tuple[str, ...]:
        """What the sensors want said beside the figures, now; prices have notes of their own."""
        found: list[str] = []
        for runner in self.sampler.runners:
            found += runner.notes
        found += [f"{name}: {why}" for name, why in self.opened.absent.items() if why == NO_ANSWER]
        for fault in self.pipeline.faults.values():
            found.append(f"{fault.source}{' ' + fault.device_id if fault.device_id else ''}: {fault.what}")
        for device in self.pipeline.still:
            found.append(f"{device}: its counter stands still, so its energy is unknown")
        return tuple(dict.fromkeys(found))


class Plan(NamedTuple):
    """What a session is asked to do.

    ``roots``: process ids whose trees are metered; none yet: ``attend`` names them; ``agent_pid``: the meter's own process, where
    it is not the metered one; ``whole_machine``: GPUs hidden from this process are metered too; ``marks``: the CPU clocks of the
    tree and of its open spans, asked for at every full tick.
    """

    tree: Workload
    roots: tuple[int, ...]
    agent_pid: int | None = None
    whole_machine: bool = False
    marks: Callable[[Instant], Iterable[Boundary]] | None = None
    on_batches: Callable[[list[Batch]], None] | None = None
    on_step: Callable[[Step], None] | None = None


def open_session(config: Config, environ: Mapping[str, str], plan: Plan, *, zone: str | None = None) -> Session:
    """Open every source that is there, and take the first full reading.

    Raises ConfigError for words that are wrong; a sensor that is not there is a reason in ``absent``, never an error.
    """
    prices = price_list(config, environ, zone)
    pipeline = Pipeline()
    agent_threads: list[int] = []
    opened = Opened(config, environ, plan, agent_threads)
    now_open = [name for name in BUILTIN if plan.roots or name not in WITNESSES]
    found = [(name, source) for name in now_open if (source := opened.open(name)) is not None]
    runners = [Runner(source, clock.now, can_hang=name in DRIVERS, threads=agent_threads) for name, source in found]
    sampler = Sampler(
        runners,
        pipeline,
        interval_ns=int(config["agent.interval_s"] * 1e9),
        marks=plan.marks,
        on_batches=plan.on_batches,
        on_step=_floor_keeper(environ, pipeline, plan.on_step),
    )
    sampler.agent_threads = agent_threads
    claims = [Claim(f"pid:{root}", clock.now(), plan.tree) for root in (*plan.roots, os.getpid())]
    sampler.put([*claims, *prices.factors.values(), *_rest(config, runners), *_floors(environ, sampler.devices())])
    return Session(sampler, pipeline, plan.tree, host.host_name(environ), config, environ, prices, opened)


def attend(session: Session, roots: tuple[int, ...]) -> None:
    """Begin to watch processes that were started after the sensors were opened."""
    session.opened.roots = roots
    for name in WITNESSES:
        source = session.opened.open(name)
        if source is not None:
            session.sampler.runners.append(Runner(source, clock.now))


class Opened:
    """Opens sources one by one.  State: what has been covered so far, and why the rest is absent."""

    def __init__(self, config: Config, environ: Mapping[str, str], plan: Plan, agent_threads: list[int]) -> None:
        self._config, self._environ, self._plan = config, environ, plan
        self._agent_threads = agent_threads
        self.roots = plan.roots
        self._measured: set[str] = set()
        self.absent: dict[str, str] = {}

    def open(self, name: str) -> Source | None:
        """The source, or ``None`` with the reason in ``absent``."""
        if not self._config[f"sources.{name}.enabled"]:
            self.absent[name] = "switched off in the configuration"
            return None
        if name == "hwmon" and "cpu" in self._measured:
            self.absent[name] = "the CPU is measured by another sensor already"
            return None
        if name == "portable" and os.path.exists(f"{self._config['paths.procfs']}/stat"):
            self.absent[name] = "the kernel's procfs tells more"
            return None
        box: list[Source | Exception] = []
        thread = threading.Thread(target=self._try, args=(name, box), name=f"wattledger-open-{name}", daemon=True)
        if name in DRIVERS:
            thread.start()
            thread.join(OPEN_S)
        else:
            self._try(name, box)
        if not box:
            self.absent[name] = NO_ANSWER
            return None
        if isinstance(box[0], Exception):
            self.absent[name] = str(box[0])
            return None
        self._measured |= {d.kind for d in box[0].devices() if d.inside is None}
        self._measured |= getattr(box[0], "covers", frozenset())
        return box[0]

    def _try(self, name: str, box: list[Source | Exception]) -> None:
        try:
            box.append(importlib.import_module(BUILTIN[name]).open(self.host(name)))
        except (SourceGone, SourceFailed) as failure:
            box.append(failure)
        except Exception as bug:
            # Not a missing sensor but our mistake: said once, and the other sources go on.
            warn_once(f"bug in source {name}", traceback.format_exc().rstrip())
            box.append(bug)

    def host(self, name: str) -> Host:
        """What this source is told."""
        procfs = str(self._config["paths.procfs"])
        options: dict[str, Any] = self._config.source_options(name)
        roots = self.roots or (os.getpid(),)
        environ = self._environ
        if self._plan.whole_machine:
            environ = {k: v for k, v in environ.items() if k not in VISIBILITY}
        place = Host(str(self._config["paths.sysfs"]), procfs, environ, roots, host.pids_match(procfs), options)
        options["measured"] = frozenset(self._measured)
        if name in WITNESSES:
            options["workload"] = self._plan.tree
            options["agent_threads"] = lambda: tuple(self._agent_threads)
            if self._plan.agent_pid is not None:
                options["agent_pid"] = self._plan.agent_pid
        if name == "estimate":
            witness = "procfs" if os.path.exists(f"{procfs}/stat") else "portable"
            options["load"] = importlib.import_module(BUILTIN[witness]).load(place)
        return place


def _rest(config: Config, runners: Iterable[Runner]) -> Iterable[Factor]:
    """The rest of the host, unless it is switched off or a model of the whole server contains it already."""
    sources = [runner.source for runner in runners]
    if config["facility.rest"] == "off" or any(getattr(source, "whole_server", False) for source in sources):
        return ()
    ours = not host.is_virtual(config["paths.procfs"]) and not any(getattr(source, "is_part", False) for source in sources)
    return rest.rest(ours)


def _floors(environ: Mapping[str, str], devices: Iterable[Device]) -> Iterable[IdleFloor]:
    for device in devices:
        if device.kind == "cpu" and device.inside is None and device.cap_uw is not None:
            yield IdleFloor(device.id, "empty", int(device.cap_uw * IDLE_OF_CAP), None, 0)
    yield from floors.load(_state(environ))


def _state(environ: Mapping[str, str]) -> Path | None:
    return host.state_dir(environ)


def _floor_keeper(
    environ: Mapping[str, str], pipeline: Pipeline, then: Callable[[Step], None] | None
) -> Callable[[Step], None]:
    def keep(step: Step) -> None:
        # Kept at each power of two: a floor that 64 seconds taught is not written 64 times.
        if any(f.n & (f.n - 1) == 0 for f in step.floors):
            floors.save(_state(environ), pipeline.floors.values())
        if then is not None:
            then(step)

    return keep
