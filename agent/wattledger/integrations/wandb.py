"""Weights & Biases: a training's metrics beside its loss (``reporter``), and a footprint in a run's summary."""

from collections.abc import Callable, Mapping
from typing import Any

from wattledger import Footprint
from wattledger.integrations._flat import metrics_of, tags_of
from wattledger.integrations._say import say_once

STEP = "wattledger/step"


def reporter(run: Any = None) -> Callable[[Mapping[str, float], int], None]:
    """A training's metrics to ``run``, or the one that is active, over a step axis of their own.

    W&B drops what comes with a smaller step than the run has reached, and another callback may count otherwise: so ours is a metric
    of its own.
    """
    defined: list[Any] = []

    def report(metrics: Mapping[str, float], step: int) -> None:
        to = run or _active()
        if to is None:
            say_once("wandb reporter", "no W&B run is active: metrics go to none (wandb.init())")
            return
        if to not in defined:
            to.define_metric(STEP)
            to.define_metric("wattledger/*", step_metric=STEP)
            defined[:] = [to]
        to.log({**metrics, STEP: step})

    return report


def summary(footprint: Footprint, run: Any = None) -> None:
    """A footprint's metrics and tags into the summary of ``run``, or of the one that is active.  Never raises."""
    to = run or _active()
    if to is None:
        say_once("wandb summary", "no W&B run is active: the footprint is in no summary (wandb.init())")
        return
    try:
        to.summary.update({**metrics_of(footprint), **{name.replace(".", "/", 1): tag for name, tag in tags_of(footprint).items()}})
    except Exception as failure:  # W&B's own and the network's kinds have no common base
        say_once("wandb summary", f"the footprint is not in the W&B summary: {failure!r}")


def _active() -> Any:
    import wandb

    return wandb.run
