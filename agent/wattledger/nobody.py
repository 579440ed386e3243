"""In the tracker's place where the meter cannot even be loaded: a user who may not read the interpreter's own library."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wattledger.track import Run


class Nobody:
    """A tracker that measures nothing, and has said so once."""

    def __init__(self, why: Exception) -> None:
        self._why = why
        if sys.stderr is None:
            return  # print would take standard output instead, which is not ours
        try:
            print(f"wattledger: nothing is measured: {why!r}", file=sys.stderr)
        except (OSError, ValueError):
            return  # a closed standard error is the user's wish

    def around(self) -> None:
        return None

    def enter(self, run: "Run", whole: "Run | None") -> None:
        return None

    def leave(self, run: "Run") -> None:
        run._left = True

    def add_work(self, run: "Run", counts: tuple[int, int, int, int]) -> None:
        return None

    def footprint(self, run: "Run") -> "Nobody":
        return self

    energy_j = None

    def to_dict(self) -> dict[str, Any]:
        """A footprint of which nothing is known."""
        return {"schema": "wattledger.footprint/1", "notes": [str(self)]}

    def to_model_card(self, *_: Any, **__: Any) -> str:
        """Nothing to report."""
        return str(self)

    def to_codecarbon_row(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Nothing to report."""
        return {}

    def __str__(self) -> str:
        return f"not measured: {self._why!r}"
