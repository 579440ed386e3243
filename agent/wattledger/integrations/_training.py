"""The bookkeeping that every training framework's callback shares: one run, its epochs, its evaluations apart, one set of names.

The metrics, in joules and grams CO2e of this node (its ranks share one measurement).  What is not known is absent, never zero:

``wattledger/energy_j``, ``/emissions_g``: the run until now, evaluations included.  ``/eval_energy_j``: its evaluations until now.
``/epoch_energy_j``, ``/epoch_emissions_g``: the last epoch, and what followed the one before it (checkpoints), without evaluations.
``/measured_fraction``: the part of ``energy_j`` that sensors measured; the rest is a model's answer.
``/step_energy_j``: its mean optimiser step.  ``/energy_per_1k_tokens_j``: training until now, without evaluations.
``/forecast_energy_j``, ``_low``, ``_high``: ``energy_j`` as it will be when the planned run has ended, with a 95 % interval.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

from wattledger import Footprint, Run, track
from wattledger.integrations._forecast import expected, whole
from wattledger.integrations._say import say_once

Report = Callable[[Mapping[str, float], int], object]

# A footprint of a running span costs 1-2 ms: at one in 4 s that is under 0.05 %.
LOOK_EVERY_S = 4.0
POST_EVERY = 100


class Mark(NamedTuple):
    """Cumulative figures at one moment: the run's joules, those without its evaluations, grams (where known) and steps."""

    energy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    own_j: float = 0.0
    grams: float | None = None
    steps: int = 0
    at_s: float = 0.0
    measured: float | None = None


class Training:
    """One training run over ``track``: ``begin``, ``step`` and ``epoch`` as they happen, ``end``; again for the next run.

    A step is counted and nothing is read; a footprint is taken at each epoch's end and, at most every few seconds, for ``metrics``.
    State: the open runs, counts, and the marks between which an epoch's energy lies.  One thread at a time.
    """

    def __init__(
        self,
        job: str | None = None,
        *,
        model: str | None = None,
        labels: Mapping[str, str] | None = None,
        report_to: Sequence[Report] = (),
    ) -> None:
        self.job, self.model, self.labels = job, model, labels
        self.report_to = list(report_to)
        self.run: Run | None = None
        self._fresh()

    def _fresh(self) -> None:
        self.steps = self.tokens = self.samples = 0
        self.epochs = 0.0
        self.epoch_energies_j: list[float] = []
        self._whole_epochs_j: list[float] = []
        self._posted_tokens = self._unposted = 0
        self._open: list[Any] = []  # the run's span, and within it an evaluation's
        self._evaluations: list[Run] = []
        self._steps_at_evaluation = 0
        self._epoch_mark, self._epochs_since = Mark(), 0.0
        self._last_look_s, self._calls, self._every = 0.0, 0, 1

    # --- the run --------------------------------------------------------------------------------------------------------

    def begin(self, model: str | None = None) -> None:
        """Begin a run; one that is still open (it was left by an exception) ends.  ``model`` where none was given before."""
        self.end()
        self._fresh()
        span = track(job=self.job, model=self.model or model, labels=self.labels)
        self.run = span.__enter__()
        self._open = [span]

    def end(self) -> None:
        """The run has ended; its footprint stays."""
        self.end_evaluation()
        if self._open:
            self._post()
            self._open.pop().__exit__(None, None, None)

    @property
    def is_open(self) -> bool:
        """Whether a run is being measured."""
        return bool(self._open)

    @property
    def footprint(self) -> Footprint | None:
        """The run's footprint, live and then final; ``None`` before the first."""
        return None if self.run is None else self.run.footprint

    # --- what happens in it ---------------------------------------------------------------------------------------------

    def step(self, steps: int = 1, *, tokens: int = 0, samples: int = 0) -> None:
        """Optimiser steps were done on so many tokens and samples: counts, and nothing else."""
        self.steps += steps
        self.tokens += tokens
        self.samples += samples
        self._unposted += 1
        if self._unposted >= POST_EVERY:
            self._post()

    def begin_evaluation(self) -> None:
        """What follows is no training: a run of its own within this one, named ``job/eval``."""
        if self.run is not None and len(self._open) == 1:
            span = track(job=f"{self.run.job}/eval", model=self.run.model, labels=self.run.labels)
            self._evaluations.append(span.__enter__())
            self._open.append(span)

    def end_evaluation(self) -> None:
        """Training goes on."""
        if self.is_evaluating:
            self._open.pop().__exit__(None, None, None)
            self._steps_at_evaluation = self.steps

    @property
    def is_evaluating(self) -> bool:
        """Whether an evaluation is being measured."""
        return len(self._open) == 2

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """``with training.evaluation(): ...`` keeps the block's energy out of the epoch's."""
        self.begin_evaluation()
        try:
            yield
        finally:
            self.end_evaluation()

    # --- the figures ----------------------------------------------------------------------------------------------------

    def epoch(self, left: float | None = None, *, part: float = 1.0) -> dict[str, float]:
        """An epoch has ended and ``left`` more are planned (``None``: nobody knows): the metrics, also sent to ``report_to``.

        ``part``: how much of it was done, where it was resumed or cut short.
        """
        if not self.is_open:
            return {}
        self.epochs += part
        self._epochs_since += part
        mark = self._look()
        if mark is None:
            return {}
        return self._told({**self._so_far(mark), **self._of_epoch(mark), **self._forecast(mark, left)})

    def _of_epoch(self, mark: Mark) -> dict[str, float | None]:
        before, own_j = self._epoch_mark, mark.own_j - self._epoch_mark.own_j
        # An agent publishes once a second: an epoch may show no growth yet, and is told together with the next, as their mean.
        if own_j <= 0:
            return {}
        several = max(1.0, self._epochs_since)
        found: dict[str, float | None] = {"epoch_energy_j": own_j / several}
        if mark.grams is not None and mark.energy[0] > before.energy[0]:
            own_part = own_j / (mark.energy[0] - before.energy[0])
            found["epoch_emissions_g"] = (mark.grams - (before.grams or 0.0)) * own_part / several
        if mark.steps > before.steps:
            found["step_energy_j"] = own_j / (mark.steps - before.steps)
        self.epoch_energies_j.append(own_j / several)
        if self._epochs_since > 0:
            self._whole_epochs_j.append(own_j / self._epochs_since)
        self._epoch_mark, self._epochs_since = mark, 0.0
        return found

    def metrics(self, left: float | None = None, *, into: float = 0.0, force: bool = False) -> dict[str, float]:
        """The metrics between epochs, for a framework that logs now; empty where it is too early for another look.

        ``left``: epochs still to do, a part included; ``into``: the part of the present one that is done.
        """
        self._calls += 1
        if not self.is_open or not (force or self._calls >= self._every):
            return {}
        mark = self._look()
        if mark is None:
            return {}
        self._pace(mark)
        return self._told({**self._so_far(mark), **self._forecast(mark, left, into)})

    def _pace(self, mark: Mark) -> None:
        """After how many calls to look again.  At most twice as many as now: calls that become rarer are noticed soon."""
        elapsed_s = max(mark.at_s - self._last_look_s, 1e-6)
        wanted = self._calls * LOOK_EVERY_S / elapsed_s
        self._every = max(1, min(2 * self._calls, int(wanted)))
        self._calls, self._last_look_s = 0, mark.at_s

    def _look(self) -> Mark | None:
        self._post()
        footprint = self.footprint
        energy, own = getattr(footprint, "energy_j", None), getattr(footprint, "own_energy_j", None)
        if footprint is None or energy is None or own is None:
            return None
        if any(factor.kind == "grid" and factor.zone == "WORLD" for factor in footprint.factors):
            say_once("zone", "no grid zone is set: grams are at the world's average (WATTLEDGER_GRID_ZONE=DE, or [grid] zone)")
        grams = footprint.emissions_g.get("location_based")
        spent = energy.value, energy.low, energy.high
        worth = None if grams is None else grams.value
        return Mark(spent, own.value, worth, self.steps, footprint.duration_s, footprint.measured_fraction)

    def _so_far(self, mark: Mark) -> dict[str, float | None]:
        tokens = self.tokens if self.tokens and not several_nodes() else None
        evaluations_j = self.evaluation_energies_j()
        return {
            "energy_j": mark.energy[0],
            "measured_fraction": mark.measured,
            "emissions_g": mark.grams,
            "energy_per_1k_tokens_j": None if tokens is None else 1000 * mark.own_j / tokens,
            "eval_energy_j": sum(evaluations_j) if evaluations_j else None,
        }

    def evaluation_energies_j(self) -> list[float]:
        """The energy of each evaluation so far, one that runs included; those too short for a reading are left out."""
        found = [getattr(run.footprint, "energy_j", None) for run in self._evaluations]
        return [energy.value for energy in found if energy is not None]

    def _forecast(self, mark: Mark, left: float | None, into: float = 0.0) -> dict[str, float | None]:
        done = self.epochs + into
        if left is None or done <= 0:
            return {}
        # Within the first epoch its own part is all there is to go by.
        training = expected(self._whole_epochs_j or [mark.own_j / done], left)
        evaluations = expected(self.evaluation_energies_j(), self._evaluations_left(done, left))
        if training is None or evaluations is None:
            return {}
        value_j, low_j, high_j = whole(mark.energy, training, evaluations)
        return {"forecast_energy_j": value_j, "forecast_energy_j_low": low_j, "forecast_energy_j_high": high_j}

    def _evaluations_left(self, done: float, left: float) -> float:
        """As many for each step as until the last one (by epochs it would matter which comes first, it or the epoch's end)."""
        if not self._steps_at_evaluation:
            return 0.0
        planned_steps = self.steps * (1 + left / done)
        return max(0.0, round(planned_steps * len(self._evaluations) / self._steps_at_evaluation) - len(self._evaluations))

    def _told(self, found: Mapping[str, float | None]) -> dict[str, float]:
        known = {f"wattledger/{name}": value for name, value in found.items() if value is not None}
        for report in list(self.report_to):
            try:
                report(known, self.steps)
            except Exception as failure:
                self.report_to.remove(report)
                say_once(f"report {report!r}", f"metrics are no longer sent to {report!r}: {failure!r}")
        return known

    def _post(self) -> None:
        """Tokens go to the run in lots: a lock and a record for each step would cost more than the count."""
        self._unposted = 0
        if self.run is not None and self.tokens > self._posted_tokens:
            self.run.add_tokens(prompt=self.tokens - self._posted_tokens)
            self._posted_tokens = self.tokens


def several_nodes() -> bool:
    """Whether ranks of other nodes share the work: then tokens are counted for all, and the energy here is this node's alone."""
    world = os.environ.get("WORLD_SIZE", "1")
    return world != "1" and world != os.environ.get("LOCAL_WORLD_SIZE")


def callback(hooks: type, *bases: type) -> type:
    """``EnergyCallback`` for a framework: ``hooks`` on top of the framework's own class, and none raises into the program."""
    quiet = {name: _quiet(hook) for name, hook in vars(hooks).items() if name.startswith("on_")}
    return type("EnergyCallback", (hooks, *bases), {"__module__": hooks.__module__, "__doc__": hooks.__doc__, **quiet})


def _quiet(hook: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(hook)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return hook(*args, **kwargs)
        except Exception as bug:
            say_once(hook.__module__ + hook.__name__, f"{hook.__module__}.{hook.__name__}: {bug!r}; the training goes on")

    return call
