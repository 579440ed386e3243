"""Writes an evidence pack, whole or not at all."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
