"""``--evidence FILE``: which command an evidence pack was asked by, and the pack written, whole or not at all."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from wattledger.accounting.evidence_question import Told
from wattledger.runtime.config import file_in_force

SYSTEM = Path("/etc/wattledger/config.toml")
EVIDENCE = click.option("--evidence", "evidence_file", metavar="FILE", help="Also write the evidence pack there, one JSON file.")


def told(given: Mapping[str, Any], words: Sequence[str], *, under: str = "") -> Told:
    """The command's own words, and the configuration file that was in force: by the name that was typed, else by where it was found
    (``~/.config/…``), never by whose home that is.  Its hash tells whether another one is the same."""
    typed = given["config_file"]
    configuration = _in_force(typed, os.environ)
    return Told((*words, *(("--config", typed) if typed else ())), under, configuration)


def _in_force(typed: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    path = file_in_force(environ, typed)
    if path is None:
        return {"file": "none: the defaults, and what the environment says"}
    return {"file": typed or _place(path, environ), "sha256": sha256(path.read_bytes()).hexdigest()}


def _place(path: Path, environ: Mapping[str, str]) -> str:
    """Where it was found, without anybody's home."""
    if environ.get("WATTLEDGER_CONFIG"):
        return "$WATTLEDGER_CONFIG"
    if path == SYSTEM:
        return str(path)
    home = "$XDG_CONFIG_HOME" if environ.get("XDG_CONFIG_HOME") else "~/.config"
    return f"{home}/wattledger/config.toml" if path.is_absolute() else f"./{path}"


def write(path: str | Path, pack: Mapping[str, Any]) -> None:
    """One JSON file in place of what had that name; equal packs give equal bytes.  Raises ValueError with one line."""
    to = Path(path).expanduser().absolute()
    text = json.dumps(pack, ensure_ascii=False, indent=1) + "\n"
    try:
        with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as folder:
            part = Path(folder, "part")
            with open(part, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, to)
    except OSError as wrong:
        raise ValueError(f"--evidence {path}: cannot be written: {wrong.strerror or wrong}") from None
