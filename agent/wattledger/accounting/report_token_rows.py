"""The tokens of a report's line as plain data.  What is not known is absent, never zero and never infinite."""

from typing import Any

from wattledger.accounting.report_sums import Sums
from wattledger.accounting.report_tokens import Share, Tokens
from wattledger.core.uncertainty import Quantity
from wattledger.ledger.query_tokens import KINDS

PER_MILLION = 1_000_000


def token_row(found: Tokens, energy: Sums) -> dict[str, Any]:
    """Joules and grams by kind, and each per token; ``energy``: all that the line drew, divided or not."""
    said: dict[str, Any] = {}
    for kind in KINDS:
        sums = found.kinds[kind]
        if not sums.energy_uj():
            continue
        grams = sums.emissions_g("operational", shared=True) if not sums.missing("operational") else None
        count = found.tokens(kind) if kind in ("prompt", "generated") else 0
        said[kind] = _amounts(sums.energy_j(shared=True), grams, count)
    divided_uj, drawn_uj = found.energy_uj(), energy.energy_uj()
    if not divided_uj:
        return {}
    said["weak"] = found.weak_uj > 0
    said["weak_fraction"] = float(found.weak_uj / divided_uj)
    said |= {"divided_fraction": float(divided_uj / drawn_uj)} if drawn_uj else {}
    return {"tokens": {**said, **_pace(found)}}


def _pace(found: Tokens) -> dict[str, Any]:
    """Of the time in which tokens were worked on, by whole minutes; where several hosts serve the model, of one of them."""
    done, said = found.done, dict[str, Any]()
    if done.worked_ms:
        for kind in ("prompt", "generated"):
            said |= {f"{kind}_per_s": found.tokens(kind) * 1000 / done.worked_ms} if found.tokens(kind) else {}
    if done.steps and done.batched:
        said |= {"steps": done.steps, "mean_batch": done.batched / done.steps}
    return said


def share_row(share: Share) -> dict[str, Any]:
    """One tenant."""
    said: dict[str, Any] = {"tenant": share.tenant}
    said |= {"requests": share.requests} if share.requests is not None else {}
    said |= {"cached_tokens": share.cached_tokens} if share.cached_tokens is not None else {}
    for kind in ("prompt", "generated"):
        count, energy_j = share.tokens.get(kind, 0), share.energy_j.get(kind)
        if energy_j is not None:
            said[kind] = _amounts(energy_j, None, count)
        elif count:
            said[kind] = {"tokens": count}
    return said | ({"emissions_g": {"location_based": share.emissions_g.to_dict()}} if share.emissions_g is not None else {})


def _amounts(energy_j: Quantity, grams: Quantity | None, count: int) -> dict[str, Any]:
    said: dict[str, Any] = {"energy_j": energy_j.to_dict()}
    said |= {"emissions_g": grams.to_dict()} if grams is not None else {}
    if count:
        said |= {"tokens": count, "energy_per_token_j": _each(energy_j, count)}
        said |= {"emissions_g_per_million": _each(grams, count / PER_MILLION)} if grams is not None else {}
    return said


def _each(quantity: Quantity, count: float) -> dict[str, float]:
    return Quantity(quantity.value / count, quantity.low / count, quantity.high / count).to_dict()
