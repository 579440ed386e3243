"""Where the books are."""

from collections.abc import Mapping
from pathlib import Path

from wattledger.runtime import host
from wattledger.runtime.config import Config

AGENTS = Path("/var/lib/wattledger/ledger")  # systemd's StateDirectory=wattledger


def ledger_folder(config: Config, environ: Mapping[str, str], *, agent: bool = False) -> Path | None:
    """The folder of this user's books (``agent``: the agent's); ``None`` where there is no place for any.

    As configured; else beside what else is kept: ``$STATE_DIRECTORY`` or ``[agent] state`` of an agent,
    ``$XDG_STATE_HOME/wattledger``.
    """
    if config["ledger.path"]:
        return Path(str(config["ledger.path"])).expanduser()
    given = str(config["agent.state"]) or environ.get("STATE_DIRECTORY", "").split(":")[0] if agent else ""
    state = Path(given) if given else host.state_dir(environ)
    return None if state is None else state / "ledger"


def folders_to_read(config: Config, environ: Mapping[str, str]) -> list[Path]:
    """The books that a report reads when it is not told which: this user's, and the agent's where they may be read."""
    mine = ledger_folder(config, environ)
    found = [] if mine is None else [mine]
    if not config["ledger.path"] and AGENTS not in found and _readable(AGENTS):
        found.append(AGENTS)
    return found


def _readable(folder: Path) -> bool:
    try:
        return (folder / "open.db").exists()
    except OSError:
        return False
