"""Opens sources one by one from an explicit table, and tells each what it may know of the place it runs in."""

import contextlib
import importlib
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from wattledger.core.model import Workload
from wattledger.core.ports import Fetch, Host, Source, SourceFailed, SourceGone, no_fetch
from wattledger.runtime import clock, host
from wattledger.runtime.config import Config
from wattledger.runtime.runner import COLLECT_S, Runner
from wattledger.runtime.settings import SOURCE_KEYS
from wattledger.runtime.warn import warn_once

# name -> module; in this order, because the estimate must know what the sensors before it have covered.
BUILTIN = {
    "rapl": "wattledger.sources.rapl",
    "nvml": "wattledger.sources.nvml",
    "amdsmi": "wattledger.sources.amdsmi",
    "jetson": "wattledger.sources.jetson",
    "hwmon": "wattledger.sources.hwmon",
    "redfish": "wattledger.sources.redfish",
    "ipmi": "wattledger.sources.ipmi",
    "promquery": "wattledger.sources.promquery",
    "cgroup": "wattledger.sources.cgroup",
    "kubernetes": "wattledger.sources.kubernetes",
    "slurm": "wattledger.sources.slurm",
    "engines": "wattledger.sources.engines",
    "procfs": "wattledger.sources.procfs",
    "portable": "wattledger.sources.portable",
    "estimate": "wattledger.sources.estimate",
}
DEMO_SOURCE = "wattledger.sources.demo"
DEMO_NAMES = ("demo_nvml", "demo_rapl", "demo_redfish", "demo_cgroup", "demo_kubernetes", "demo_slurm", "demo_engines")
DEMO = dict.fromkeys(DEMO_NAMES, DEMO_SOURCE)
WITNESSES = ("procfs", "portable")  # who used what, of a program: they need a process to watch
NODE = ("redfish", "ipmi", "promquery", "cgroup", "kubernetes", "slurm", "engines")  # of a whole node: the agent's
DRIVERS = ("nvml", "amdsmi")  # calls into them may never come back
REMOTE = ("redfish", "ipmi", "promquery")  # ask a network or a tool: nobody waits for them
# Ask the node's own daemons: waited for a little, or what begins now is paid for without its name.
NAMING = ("kubernetes", "slurm", "engines")
VISIBILITY = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
OPEN_S = 3.0  # a driver that has not answered by then hangs; the others go on without it
NO_ANSWER = f"the driver did not answer within {OPEN_S:g} s, so its devices are not counted"


class Scope(NamedTuple):
    """What the sources of a session are for.

    ``roots``: process ids whose trees are metered; none yet: ``attend`` names them; ``agent_pid``: the meter's own process, where
    it is not the metered one; ``whole_machine``: GPUs hidden from this process are metered too; ``clients``: for a node's
    session, the roots of the trees that have said who they are, with their CPU time (ticks) when they first did; ``demo``: a
    made-up node takes the place of every source.
    """

    tree: Workload
    roots: tuple[int, ...]
    agent_pid: int | None = None
    whole_machine: bool = False
    clients: Callable[[], Mapping[int, Any]] | None = None
    demo: bool = False

    @property
    def is_node(self) -> bool:
        """Whether everybody on the machine is metered, and not one program."""
        return self.clients is not None


class Opened:
    """Opens sources one by one.  State: those that are open, why the rest is absent, and who of these refuses or has been lost;
    of a made-up node, the show that all of its sources play."""

    def __init__(self, config: Config, environ: Mapping[str, str], scope: Scope, agent_threads: list[int]) -> None:
        self.config, self._environ, self._scope = config, environ, scope
        self._agent_threads = agent_threads
        self.roots = scope.roots
        self._table = DEMO if scope.demo else BUILTIN
        self._open: dict[str, Source] = {}
        self._fetch: Fetch | None = None
        self._show: Any = None
        self.absent: dict[str, str] = {}
        self._refused: set[str] = set()
        self._lost: set[str] = set()

    def all(self) -> Iterator[Runner]:
        """Open every source that this session has a use for and that is not open yet."""
        for name in self._table:
            if name not in self._open and self._wanted(name) and (runner := self.runner(name)) is not None:
                yield runner

    def _wanted(self, name: str) -> bool:
        if self._scope.is_node:
            return name not in WITNESSES or "cgroup" not in self._open
        return name not in NODE and (bool(self.roots) or name not in WITNESSES)

    def missed(self) -> dict[str, str]:
        """Sources that somebody configured, that are there but refuse, or were there before, with why: their absence is news, that
        of others is not."""
        news = self._refused | self._lost
        return {name: why for name, why in list(self.absent.items()) if name in news or self._asked_for(name)}

    def _asked_for(self, name: str) -> bool:
        keys = [f"sources.{name}.{key}" for key in SOURCE_KEYS.get(name, {})]
        return any(self.config.origin(key) != "default" and self.config[key] for key in keys)

    def let_go(self, name: str, *, lost: bool = False) -> None:
        """This source is not read any more; what it covered is open to others.  ``lost``: because it went away by itself."""
        self._open.pop(name, None)
        if lost:
            self._lost.add(name)

    def _measured(self) -> frozenset[str]:
        """Kinds of device that a sensor opened so far covers."""
        found: set[str] = set()
        for source in self._open.values():
            found |= {d.kind for d in source.devices() if d.inside is None} | getattr(source, "covers", frozenset())
        return frozenset(found)

    def runner(self, name: str) -> Runner | None:
        """The source with its keeper, or ``None`` with the reason in ``absent``."""
        source = self.open(name)
        if source is None:
            return None
        remote = name in REMOTE
        wait_s = 0.0 if remote else COLLECT_S
        can_hang = remote or name in NAMING or name in DRIVERS
        return Runner(source, clock.now, can_hang=can_hang, threads=self._agent_threads, wait_s=wait_s)

    def open(self, name: str) -> Source | None:
        """The source, or ``None`` with the reason in ``absent``."""
        self.absent.pop(name, None)
        self._refused.discard(name)
        if not self.config[f"sources.{name}.enabled"]:
            self._lost.discard(name)
            self.absent[name] = "switched off in the configuration"
            return None
        if name == "hwmon" and "cpu" in self._measured():
            self.absent[name] = "the CPU is measured by another sensor already"
            return None
        if name == "portable" and os.path.exists(f"{self.config['paths.procfs']}/stat"):
            self.absent[name] = "the kernel's procfs tells more"
            return None
        box: list[Source | Exception] = []
        thread = threading.Thread(target=self._try, args=(name, box), name=f"wattledger-open-{name}", daemon=True)
        if name in DRIVERS:
            thread.start()
            thread.join(OPEN_S)
        else:
            self._try(name, box)
        if not box or isinstance(box[0], Exception):
            self.absent[name] = str(box[0]) if box else NO_ANSWER
            if not box or self._is_denied(name):
                self._refused.add(name)
            return None
        self._open[name] = box[0]
        self._lost.discard(name)
        return box[0]

    def _try(self, name: str, box: list[Source | Exception]) -> None:
        try:
            box.append(importlib.import_module(self._table[name]).open(self.host(name)))
        except (SourceGone, SourceFailed) as failure:
            box.append(failure)
        except Exception as bug:
            # Not a missing sensor but our mistake: said once, and the other sources go on.
            warn_once(f"bug in source {name}", traceback.format_exc().rstrip())
            box.append(bug)

    def _is_denied(self, name: str) -> bool:
        """Whether a node's sensor is there, and only the right to read it is not."""
        if not self._scope.is_node or name in (*DRIVERS, *REMOTE, *NAMING):
            return False
        with contextlib.suppress(Exception):  # opening it has said what there is to say
            return any(found.state == "denied" for found in importlib.import_module(self._table[name]).examine(self.host(name)))
        return False

    def host(self, name: str) -> Host:
        """What this source is told."""
        scope = self._scope
        procfs = str(self.config["paths.procfs"])
        options: dict[str, Any] = self.config.source_options(name)
        roots = () if scope.is_node else self.roots or (os.getpid(),)
        environ = self._environ
        if scope.whole_machine:
            environ = {k: v for k, v in environ.items() if k not in VISIBILITY}
        place = Host(
            str(self.config["paths.sysfs"]), procfs, environ, roots, host.pids_match(procfs), options, self._fetcher(name)
        )
        options["measured"] = self._measured()
        if name in DEMO:
            options |= {"plays": name, "show": self._shown()}
        if scope.is_node:
            options |= {"steady": True, "clients": scope.clients, "agent_pid": scope.agent_pid, "listed_pid": os.getpid()}
        if name in WITNESSES and not scope.is_node:
            options["workload"] = scope.tree
            options["agent_threads"] = lambda: tuple(self._agent_threads)
            if scope.agent_pid is not None:
                options["agent_pid"] = scope.agent_pid
        if name == "estimate":
            witness = "procfs" if os.path.exists(f"{procfs}/stat") else "portable"
            options["load"] = importlib.import_module(BUILTIN[witness]).load(place)
        return place

    def _shown(self) -> Any:
        if self._show is None:
            from wattledger.runtime.capture import load  # nobody else needs it here

            self._show = importlib.import_module(DEMO_SOURCE).show(load)
        return self._show

    def _fetcher(self, name: str) -> Fetch:
        """Only a node's own sources have business on a network."""
        if name not in NODE and not (self._scope.is_node and name == "nvml"):
            return no_fetch
        if self._fetch is None:
            from wattledger.runtime.fetch import make_fetch  # requests is not loaded by who fetches nothing

            self._fetch = make_fetch()
        return self._fetch
