"""Ray Train: ``TorchTrainer(metered(train_loop), ...)``: every worker's work is one run, whatever node it is on.

The first worker of each node measures for all of them, through the node's agent where there is one.  All carry one run id, by which
the books merge the nodes.  Without an agent a node's share is what the tree below its raylet draws: another job of the same Ray
node would be in it.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib import import_module
from typing import Any

from wattledger import track
from wattledger.integrations._say import say_once

RUN_ID = "WATTLEDGER_RUN_ID"


def metered(
    train_loop: Callable[..., Any],
    *,
    job: str | None = None,
    model: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Callable[..., Any]:
    """The same training function for ``train_loop_per_worker``, measured in the workers; ``.run_id`` names the run in the books.

    ``job`` defaults to the function's name.  Inside it the other integrations work as ever: their runs are parts of this one.
    """
    run_id = os.environ.get(RUN_ID) or os.urandom(8).hex()
    name = job or getattr(train_loop, "__name__", None)

    def per_worker(*config: Any) -> Any:
        os.environ.setdefault(RUN_ID, run_id)
        with ExitStack() as span:
            with _place():
                span.enter_context(track(job=name, model=model, labels=labels))
            return train_loop(*config)

    wrapped = wraps(train_loop)(per_worker)
    wrapped.run_id = run_id  # type: ignore[attr-defined]
    return wrapped


@contextmanager
def _place() -> Iterator[None]:
    """This worker's place on its node in the environment, where the backend has not put it there; only while the meter is made,
    because other libraries take it for torchrun's."""
    missing = {variable: value for variable, value in _ranks().items() if variable not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for variable in missing:
            os.environ.pop(variable, None)


def _ranks() -> dict[str, str]:
    try:
        context = import_module("ray.train").get_context()
        return {"LOCAL_RANK": str(context.get_local_rank()), "LOCAL_WORLD_SIZE": str(context.get_local_world_size())}
    except Exception as failure:
        # Outside a worker (the function called by hand) there is no place to tell.
        say_once("ray context", f"this is no worker of Ray Train, so it measures itself: {failure!r}")
        return {}
