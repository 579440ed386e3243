"""A PyTorch loop written by hand: ``for epoch, batch in (run := iterate(loader, epochs=3)): ...``, then ``run.footprint``.

Nothing of torch is touched: any iterable that can be gone through once an epoch will do.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from wattledger.integrations._loops import Epochs
from wattledger.integrations._training import Report, Training

T = TypeVar("T")


def iterate(
    loader: Iterable[T],
    *,
    epochs: int = 1,
    job: str | None = None,
    model: str | None = None,
    tokens: Callable[[T], int] | None = None,
    report_to: Sequence[Report] = (),
) -> Epochs[T]:
    """Go through ``loader`` so many times and measure it: gives ``(epoch, batch)``, epochs from 0.

    ``tokens``: called with each batch after its step, gives the tokens in it.  ``report_to``: each is called with an epoch's
    metrics and the number of steps.  An evaluation inside belongs in ``with run.evaluation():``.
    """
    return Epochs(loader, Training(job, model=model, report_to=report_to), epochs=epochs, tokens=tokens)
