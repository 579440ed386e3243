"""What an agent must know of its node and of the words it was given: where it keeps things, who operates it, what it exports."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from wattledger.core.catalog import CATALOG
from wattledger.core.version import __version__
from wattledger.runtime import host
from wattledger.runtime.build import Session
from wattledger.runtime.config import Config, ConfigError
from wattledger.runtime.runner import Runner
from wattledger.runtime.web.server import Web

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Set on targets by Prometheus and its operator (contract.md, Metrics), or meant for Prometheus itself.
TARGETS = frozenset({"job", "instance", "zone", "region", "cluster", "namespace", "pod", "container", "le", "quantile"})


def label_names(text: str) -> tuple[str, ...]:
    """``agent.labels`` as names.  Raises ConfigError for one that Prometheus or the catalog has taken."""
    names = tuple(dict.fromkeys(name for word in text.split(",") if (name := word.strip())))
    taken = {label for metric in CATALOG for label in metric.labels}
    for name in names:
        if not LABEL.fullmatch(name) or name.startswith("__"):
            raise ConfigError(f"agent.labels: {name!r} cannot be a label's name in Prometheus (letters, digits and _)")
        if name in TARGETS or name in taken:
            whose = "set by Prometheus" if name in TARGETS else "a label already"
            raise ConfigError(f"agent.labels: {name!r} is {whose}; leave it out")
    return names


def operators(group: str) -> frozenset[int]:
    """Group ids whose members may see everybody's figures.  Raises ConfigError where there is no such group."""
    if not group:
        return frozenset()
    import grp  # not on Windows, where there is no agent's socket either

    try:
        return frozenset({int(group) if group.isdigit() else grp.getgrnam(group).gr_gid})
    except KeyError:
        raise ConfigError(f"agent.operators: no group {group!r} on this machine (getent group)") from None


def state_dir(config: Config, environ: Mapping[str, str]) -> Path | None:
    """Where an agent keeps what it learns: as configured, else where systemd says, else the user's own place."""
    if config["agent.state"]:
        return Path(str(config["agent.state"]))
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else host.state_dir(environ)


def greeting(session: Session, web: Web, socket: str) -> str:
    """One line: who meters where, and by what."""
    found = ", ".join(_reader(runner) for runner in session.sampler.runners)
    place = str(session.config["agent.listen"]).rpartition(":")[0] or "[::]"
    url = f"{web.scheme}://{place}:{web.port}/metrics"
    return f"agent {__version__} on {session.host}: {url}, socket {socket}, sources: {found or 'none'}"


def _reader(runner: Runner) -> str:
    n = len(runner.devices)
    return f"{runner.source.name} ({n} device{'s' if n > 1 else ''})" if n else runner.source.name


def may_make(path: str) -> bool:
    """Whether we have the right to make this file, and its folder where that is not there yet."""
    folder = Path(path).parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)
