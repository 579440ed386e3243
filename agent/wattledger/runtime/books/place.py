"""Where the books are: as configured, but never on a network file system, where SQLite's locks do not hold."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from wattledger.runtime import host
from wattledger.runtime.config import Config

AGENTS = Path("/var/lib/wattledger/ledger")  # systemd's StateDirectory=wattledger
MOUNTS = Path("/proc/self/mountinfo")


def mounts() -> str:
    """What is mounted where, as this process sees it; empty where the kernel does not say."""
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


class Local(NamedTuple):
    """A folder on a disk of this host, and what must be said where it is not the one that was asked for."""

    folder: Path
    line: str = ""


def local(folder: Path, mounts: Callable[[], str] = mounts, spools: Path | None = None) -> Local:
    """The folder, or one on local disk in its place (``spools``: below this) where it lies on a network file system.  Raises
    LedgerError."""
    from wattledger.ledger import filesystem  # what it needs is loaded off the program's path

    os.path.realpath(folder)  # looking may mount
    kind = filesystem.is_network(folder, mounts())
    if kind is None or not hasattr(os, "getuid"):
        return Local(folder)
    spool = filesystem.spool(folder, os.getuid(), filesystem.SPOOLS if spools is None else spools)
    return Local(spool, f"{folder} lies on a network file system ({kind}), so this host's books are kept in {spool}")


def configured_folder(config: Config, environ: Mapping[str, str], *, agent: bool = False) -> Path | None:
    """The folder of this user's books (``agent``: the agent's) by the words; ``None`` where there is no place for any.

    As configured; else beside what else is kept: ``$STATE_DIRECTORY`` or ``[agent] state`` of an agent,
    ``$XDG_STATE_HOME/wattledger``.
    """
    if config["ledger.path"]:
        return Path(str(config["ledger.path"])).expanduser()
    given = str(config["agent.state"]) or environ.get("STATE_DIRECTORY", "").split(":")[0] if agent else ""
    state = Path(given) if given else host.state_dir(environ)
    return None if state is None else state / "ledger"


def ledger_folder(
    config: Config, environ: Mapping[str, str], *, agent: bool = False, mounts: Callable[[], str] = mounts
) -> Path | None:
    """Where these books really are."""
    folder = configured_folder(config, environ, agent=agent)
    return None if folder is None else _really(folder, mounts)


def folders_to_read(config: Config, environ: Mapping[str, str], mounts: Callable[[], str] = mounts) -> list[Path]:
    """The books that a report reads when it is not told which: this user's, and the agent's where they may be read.

    What was written to a network file system before, or by another host, is read too.
    """
    named = configured_folder(config, environ)
    found = [] if named is None else [named]
    if named is not None and (really := _really(named, mounts)) != named:
        found = [really, *(found if has_books(named) else [])]
    if not config["ledger.path"]:
        agents = [Path(str(config["agent.state"]), "ledger")] if config["agent.state"] else [AGENTS]
        found += [folder for folder in agents if folder not in found and has_books(folder)]
    return found


def has_books(folder: Path) -> bool:
    """Whether there are books that may be seen."""
    try:
        return (folder / "open.db").exists()
    except OSError:
        return False


def _really(folder: Path, mounts: Callable[[], str]) -> Path:
    from wattledger.ledger.engine import LedgerError

    try:
        return local(folder, mounts).folder
    except LedgerError:
        return folder  # whoever writes there says what is wrong with it
