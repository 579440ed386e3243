"""Idle floors kept between runs: one small JSON file, replaced whole, never half written."""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wattledger.core.model import IdleFloor, Instant

NAME = "floors.json"


def load(folder: Path | None) -> list[IdleFloor]:
    """What earlier runs learnt; a file that cannot be read or believed is as good as none: it will be learnt again."""
    if folder is None:
        return []
    try:
        return [_floor(row) for row in json.loads((folder / NAME).read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return []


def _floor(row: Mapping[str, Any]) -> IdleFloor:
    device, state, power_uw, n = str(row["device"]), row["state"], int(row["power_uw"]), int(row["n"])
    if state not in ("empty", "context") or not isinstance(row["device"], str) or power_uw < 0 or n < 1:
        raise ValueError(f"not a floor: {row}")
    return IdleFloor(device, state, power_uw, Instant(0, int(row["wall_ns"])), n)


def save(folder: Path | None, floors: Iterable[IdleFloor]) -> None:
    """Keep the floors that were seen (``n`` > 0), not those from a table."""
    rows = [
        {"device": f.device_id, "state": f.state, "power_uw": f.power_uw, "wall_ns": f.learnt_at.wall_ns, "n": f.n}
        for f in floors
        if f.n and f.learnt_at is not None
    ]
    if folder is None or not rows:
        return
    part = folder / f"{NAME}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(rows), encoding="utf-8")
        part.replace(folder / NAME)
    except OSError:
        with contextlib.suppress(OSError):  # a floor not kept is learnt again; nothing to trouble the user with
            part.unlink()
