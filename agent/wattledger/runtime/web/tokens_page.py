"""``GET /tokens.json``: what a token costs just now, for programs that write energy back on their spans.

    {"schema": "wattledger.tokens/1", "models": [{"job": "vllm", "model": "llama-3.1-8b", "addresses": ["127.0.0.1:8000"],
      "prompt_j": {"value": 0.011, "low": 0.009, "high": 0.013}, "generated_j": {"value": 0.42, "low": 0.4, "high": 0.45},
      "grams_per_joule": 9.1e-05, "weak": false}]}

Joules per token of all components together, as of late, with a 95 % interval; ``weak``: they stand on a prior.  Keys that are not
known are absent: no tokens lately, no price; no grid, no grams.
"""

import json
import math
from collections.abc import Callable
from email.message import Message
from typing import Any

from wattledger.core.model import Workload, by_name
from wattledger.core.pricing import grams
from wattledger.core.totals import Snapshot
from wattledger.core.units import UJ_PER_J
from wattledger.runtime.web.pages import NOT_YET, Page, Serve, text

SCHEMA = "wattledger.tokens/1"
BOUNDS = ("value", "low", "high")


def no_pue() -> float:
    """Grams are for the IT energy alone where the building's PUE is not known."""
    return 1.0


def tokens(latest: Callable[[], Snapshot | None], pue: Callable[[], float] = no_pue) -> Serve:
    """The latest snapshot's prices; 503 until there is one.  ``pue``: the factor in force."""

    def serve(headers: Message) -> Page:
        snapshot = latest()
        if snapshot is None:
            return text(NOT_YET, 503)
        return Page("application/json", json.dumps(said(snapshot, pue()), allow_nan=False).encode())

    return serve


def said(snapshot: Snapshot, pue: float) -> dict[str, Any]:
    """The page as an object."""
    served = {*snapshot.tokens.engines.values(), *(workload for workload, _, _ in snapshot.tokens.token_price)}
    ordered = sorted(served, key=by_name)
    return {"schema": SCHEMA, "models": [_model(snapshot, workload, pue) for workload in ordered]}


def _model(snapshot: Snapshot, workload: Workload, pue: float) -> dict[str, Any]:
    found: dict[str, Any] = {"job": workload.job}
    if workload.model is not None:
        found["model"] = workload.model
    found["addresses"] = sorted(address for address, whose in snapshot.tokens.engines.items() if whose == workload)
    for kind in ("prompt", "generated"):
        price = {bound: snapshot.tokens.token_price.get((workload, kind, bound)) for bound in BOUNDS}
        if all(joules is not None and math.isfinite(joules) for joules in price.values()):
            found[f"{kind}_j"] = price
    grid = snapshot.grid
    if grid is not None and grid.quality != "unknown":
        found["grams_per_joule"] = grams(UJ_PER_J, grid.value, pue)
    found["weak"] = workload in snapshot.tokens.weak_tokens
    return found
