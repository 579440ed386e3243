"""Transformers' ``Trainer``: ``trainer.add_callback(EnergyCallback())``, and its own log has the energy of every epoch.

What the Trainer logs it also sends where its ``report_to`` says (MLflow, Weights & Biases, TensorBoard).  At the end the footprint
is ``callback.footprint`` and ``output_dir/wattledger.json``.  Tokens are counted where ``include_num_input_tokens_seen`` is set.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wattledger import Footprint
from wattledger.integrations._training import Report, Training, callback


class _Hooks:
    """``EnergyCallback(job=None, model=None, labels=None, report_to=())``: the energy of a ``Trainer.train()``.

    Every rank may have it; the node's first one measures for all, and only the world's first counts tokens and writes.
    """

    def __init__(
        self,
        job: str | None = None,
        *,
        model: str | None = None,
        labels: Mapping[str, str] | None = None,
        report_to: Sequence[Report] = (),
    ) -> None:
        self.training = Training(job, model=model, labels=labels, report_to=report_to)
        self._unlogged: dict[str, float] = {}
        self._tokens_before = 0
        self._epochs_before = 0.0

    @property
    def footprint(self) -> Footprint | None:
        """Of the last ``train()``; live while it runs."""
        return self.training.footprint

    def on_init_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._step_forward()

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._step_forward()
        self._unlogged = {}
        self._tokens_before, self._epochs_before = state.num_input_tokens_seen, state.epoch or 0.0
        self.training.begin(_name_of(more.get("model")))
        if args.eval_on_start:
            self.training.begin_evaluation()

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.training.step()
        if control.should_evaluate and not control.should_log:
            self.training.begin_evaluation()

    def on_prediction_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        # Only an evaluation that nothing announced (the second of several data sets) begins here, after its first batch.
        self.training.begin_evaluation()

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.training.end_evaluation()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._count_tokens(state)
        self._unlogged = self.training.epoch(_epochs_left(state), part=self._into(state))
        handler = self._handler()
        if self._unlogged and handler is not None and not control.should_log and args.logging_strategy != "no":
            # The Trainer logs by steps and has nothing to say now; the epoch's energy goes the way of its own logs.
            logs = {**self._unlogged, "epoch": state.epoch}
            state.log_history.append({**logs, "step": state.global_step})
            handler.call_event("on_log", args, state, control, logs=logs)
        elif control.should_evaluate and not control.should_log:
            self.training.begin_evaluation()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **more: Any) -> None:
        if "wattledger/energy_j" not in logs:
            found = self._for_log(state, last="train_runtime" in logs)
            logs.update(found)
            # The Trainer has put its own copy there just now.
            if state.log_history and state.log_history[-1].get("step") == state.global_step:
                state.log_history[-1].update(found)
        self._unlogged = {}
        if control.should_evaluate:
            self.training.begin_evaluation()

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._count_tokens(state)
        self.training.end()
        if state.is_world_process_zero and self.footprint is not None:
            _write(args.output_dir, {**self.footprint.to_dict(), "training": self._summary(state)})

    # --- what they need -------------------------------------------------------------------------------------------------

    def _for_log(self, state: Any, *, last: bool) -> dict[str, float]:
        if self.training.is_evaluating:
            energies_j = self.training.evaluation_energies_j()
            return {"wattledger/eval_energy_j": sum(energies_j)} if energies_j else {}
        self._count_tokens(state)
        return self._unlogged or self.training.metrics(_epochs_left(state), into=self._into(state), force=last)

    def _into(self, state: Any) -> float:
        """The part of the present epoch that this run has done: one that was resumed begins in the middle."""
        return max(0.0, (state.epoch or 0.0) - self._epochs_before - self.training.epochs)

    def _count_tokens(self, state: Any) -> None:
        # Every rank sees the count of all ranks.
        if state.is_world_process_zero:
            seen = int(state.num_input_tokens_seen) - self._tokens_before - self.training.tokens
            self.training.step(0, tokens=max(0, seen))

    def _summary(self, state: Any) -> dict[str, Any]:
        training = self.training
        found = {"epochs": training.epochs, "steps": training.steps, "tokens": training.tokens, "total_flos": state.total_flos}
        series = {"epoch_energy_j": training.epoch_energies_j, "eval_energy_j": training.evaluation_energies_j()}
        return {name: value for name, value in {**found, **series}.items() if value}

    def _handler(self) -> Any:
        """The Trainer's list of callbacks calls us and is handed to nobody; its frame is the one place where it can be met."""
        frame = sys._getframe(1)
        for _ in range(6):
            caller = frame.f_locals.get("self")
            if caller is not self and any(one is self for one in getattr(caller, "callbacks", ())):
                return caller
            if frame.f_back is None:
                break
            frame = frame.f_back
        return None

    def _step_forward(self) -> None:
        """Behind the Trainer's own flow, before those who send logs away: what we put into a log, they are to see."""
        handler = self._handler()
        if handler is not None:
            handler.callbacks.remove(self)
            flow = [i for i, one in enumerate(handler.callbacks) if type(one).__name__ == "DefaultFlowCallback"]
            handler.callbacks.insert(flow[0] + 1 if flow else 0, self)


def _name_of(model: Any) -> str | None:
    name = getattr(getattr(model, "config", None), "name_or_path", None)
    return str(name) if name else type(model).__name__ if model is not None else None


def _epochs_left(state: Any) -> float | None:
    if not state.epoch or not state.max_steps or not state.global_step:
        return None
    # In steps, because max_steps may end the run within an epoch.
    return float(max(0, state.max_steps - state.global_step) * state.epoch / state.global_step)


def _write(folder: str, found: Mapping[str, Any]) -> None:
    path = os.path.join(folder, "wattledger.json")
    os.makedirs(folder, exist_ok=True)
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    os.replace(f"{path}.part", path)


if TYPE_CHECKING:
    EnergyCallback = _Hooks


def __getattr__(name: str) -> Any:
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = callback(_Hooks, import_module("transformers").TrainerCallback)
    return globals()[name]
