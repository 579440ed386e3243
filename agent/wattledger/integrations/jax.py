"""A JAX or Flax loop: ``for batch in (run := loop(batches)): state = step(state, batch)``, then ``run.footprint``.

JAX returns before the device has done its work.  At the run's two ends ``track`` waits for an initialised JAX by itself; an epoch's
energy is read without waiting, so what is still queued then counts for the next (``jax.block_until_ready`` first, to avoid that).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from wattledger.integrations._loops import Steps
from wattledger.integrations._training import Report, Training

T = TypeVar("T")


def loop(
    steps: Iterable[T],
    *,
    epochs: int = 1,
    job: str | None = None,
    model: str | None = None,
    tokens: Callable[[T], int] | None = None,
    report_to: Sequence[Report] = (),
) -> Steps[T]:
    """Go through ``steps`` (batches, or a ``range``) so many times and measure it: gives what ``steps`` gives.

    ``tokens``: called with each item after its step, gives the tokens in it.  ``report_to``: each is called with an epoch's
    metrics and the number of steps.  An evaluation inside belongs in ``with run.evaluation():``.
    """
    return Steps(steps, Training(job, model=model, report_to=report_to), epochs=epochs, tokens=tokens)
