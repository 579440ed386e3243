"""What the pipeline says of a played run, held against the truth."""

import statistics
from collections.abc import Iterable
from typing import NamedTuple

from tests.serving.engine_model import Done, Played
from tests.serving.samples import SERVE, Eyes, batches

from wattledger.core.model import Batch, EnergyCounter
from wattledger.core.pipeline import Pipeline
from wattledger.core.served.book import TokenBook
from wattledger.core.tokens import ModelPrices
from wattledger.core.totals import Tokens

KINDS = ("prompt", "generated", "standby", "overhead")


class Settled(NamedTuple):
    """One request as the pipeline settled it."""

    energy_uj: int
    spread_uj: int
    weak: bool


class Verdict(NamedTuple):
    """Errors as parts of the truth.

    ``told``: the part of requests that were settled with their record; ``coverage``: of these, whose stated 95 % interval holds the
    truth; ``weak``: whose prices stood on a prior.  ``lost_uj``: what the books miss or invented, see ``lost_uj``.
    """

    interval_s: float
    told: float
    median: float
    p95: float
    coverage: float
    idle: float
    prompt_price: float
    lost_uj: tuple[int, int, int]
    weak: float


def judge(played: Played, eyes: Eyes) -> Verdict:
    """Run it through a pipeline of its own."""
    pipeline = Pipeline()
    every = list(batches(played, eyes))
    settled = watched(pipeline, every)
    pairs = [(one, settled[f"r{n}"]) for n, one in enumerate(played.done) if f"r{n}" in settled]
    errors = sorted(abs(found.energy_uj / 1e6 / one.energy_j - 1) for one, found in pairs)
    held = sum(abs(found.energy_uj / 1e6 - one.energy_j) <= found.spread_uj / 1e6 for one, found in pairs)
    kinds_uj = by_kind(pipeline)
    lasted_s = (every[-1].at.mono_ns - every[0].at.mono_ns) / 1e9
    return Verdict(
        interval_s=eyes.interval_s,
        told=len(pairs) / len(played.done),
        median=statistics.median(errors),
        p95=errors[int(0.95 * len(errors))],
        coverage=held / len(pairs),
        # The rest after the last request is no feat, so it is not part of the time by which the error is divided.
        idle=(kinds_uj["standby"] / 1e6 - played.card.idle_w * lasted_s) / (played.card.idle_w * played.ends_s[-1]),
        prompt_price=learnt(pipeline).prompt_j / true_prompt_j(played.done) - 1,
        lost_uj=lost_uj(pipeline, every),
        weak=sum(found.weak for _, found in pairs) / len(pairs),
    )


def watched(pipeline: Pipeline, every: Iterable[Batch]) -> dict[str, Settled]:
    """Step through all batches; what was settled, by the request's id."""
    found: dict[str, Settled] = {}
    for batch in every:
        for of in pipeline.step(batch).requests:
            one = of.settled
            if one.request is not None:
                assert one.request.id not in found, f"{one.request.id} was settled twice"
                found[one.request.id] = Settled(one.prompt_uj + one.generated_uj, one.spread_uj, one.weak)
    return found


def told(pipeline: Pipeline) -> Tokens:
    """What its snapshot would say of tokens."""
    assert pipeline.totals.tokens is not None
    return pipeline.totals.tokens


def by_kind(pipeline: Pipeline) -> dict[str, int]:
    """Microjoules that the served workload's energy went into."""
    sums = dict.fromkeys(KINDS, 0)
    for (_, _, _, kind), uj in told(pipeline).token_uj.items():
        sums[kind] += uj
    return sums


def true_prompt_j(done: Iterable[Done]) -> float:
    """What another prompt token would have cost: steps are not part of it."""
    ended = list(done)
    return sum(one.prompt_j for one in ended) / sum(max(1, one.arrival.computed) for one in ended)


def book(pipeline: Pipeline) -> TokenBook:
    """Where the fits stand; the snapshot has only prices per token, steps shared in."""
    assert pipeline._posting.tokens is not None
    return pipeline._posting.tokens


def learnt(pipeline: Pipeline) -> ModelPrices:
    """The prices that the fit stands at, over all components."""
    [serving] = book(pipeline).serving.values()
    prices = [fit.prices[0] for fit in serving.fits.values()]
    return ModelPrices(*(sum(parts) for parts in zip(*prices, strict=True)))


def lost_uj(pipeline: Pipeline, every: Iterable[Batch]) -> tuple[int, int, int]:
    """(the register's growth less what workloads got, the served workload's energy less its kinds and what is pending, prompt and
    generated energy less what requests and those unrecorded got and what is still open)."""
    counts = [s.count_uj for batch in every for s in batch.samples if isinstance(s, EnergyCounter)]
    totals, tokens = pipeline.totals, told(pipeline)
    served_uj = sum(uj for (workload, *_), uj in totals.energy_uj.items() if workload == SERVE)
    kinds_uj = by_kind(pipeline)
    requests_uj = sum(tokens.request_uj.values())
    return (
        counts[-1] - counts[0] - sum(totals.energy_uj.values()),
        served_uj - sum(kinds_uj.values()) - sum(tokens.token_pending_uj.values()),
        kinds_uj["prompt"] + kinds_uj["generated"] - requests_uj - open_uj(pipeline),
    )


def open_uj(pipeline: Pipeline) -> int:
    """Prompt and generated energy of stretches whose requests may still be told."""
    [serving] = book(pipeline).serving.values()
    return sum(sum(requests.pending_uj) for requests in serving.requests.values())
