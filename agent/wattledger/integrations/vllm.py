"""vLLM: what each way of running it needs.  Written against vLLM's documented interfaces (0.33); not yet run against a real vLLM.

The server (``vllm serve``) needs nothing from here: the node's agent reads its ``/metrics``, and with
``--otlp-traces-endpoint http://127.0.0.1:9909/v1/traces``, and ``OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf`` in its
environment, it tells the agent of each request, which is then given its own energy.

Offline: ``with track(job="eval", model=...) as run: count(llm.generate(prompts), run)``.
In a program that holds an engine: ``AsyncLLM.from_engine_args(args, stat_loggers=[stat_logger(run)])``.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from wattledger import Run
from wattledger.integrations._say import say_once
from wattledger.integrations._usage import Counts, counted


def count(outputs: Iterable[Any], run: Run) -> None:
    """Add the tokens of ``LLM.generate``'s results (``RequestOutput``) to ``run``; one that has not finished is no request yet."""
    for output in outputs:
        try:
            counts = _of_output(output)
            _add(run, counts, requests=1 if getattr(output, "finished", True) else 0)
            if counts.note:
                say_once("vllm usage", f"a vLLM output: {counts.note} (said once)")
        except Exception as odd:
            say_once("vllm output", f"a vLLM output is not counted: {odd!r}")


def _of_output(output: Any) -> Counts:
    prompt = getattr(output, "prompt_token_ids", None)
    made = sum(len(one.token_ids) for one in output.outputs)
    return counted(None if prompt is None else len(prompt), getattr(output, "num_cached_tokens", None), made)


def _add(run: Run, counts: Counts, *, requests: int) -> None:
    run.add_tokens(prompt=counts.prompt or 0, generated=counts.generated or 0, cached=counts.cached or 0, requests=requests)


def stat_logger(run: Run) -> Any:
    """A factory for vLLM's ``stat_loggers``: each engine step's tokens are added to ``run``.  vLLM is loaded here and not before.

    vLLM calls ``record`` with its scheduler's and its iteration's statistics, of which it promises no stable form: a field that is
    missing is counted as nothing, and said once; where cache hits are not told (``prompt_token_stats``), they count as computed.
    """
    base: Any = import_module("vllm.v1.metrics.loggers").StatLoggerBase

    class EnergyStatLogger(base):  # type: ignore[misc]
        """State: none; what the run has is its own."""

        def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
            self.engine_index = engine_index

        def record(self, scheduler_stats: Any = None, iteration_stats: Any = None, *more: Any, **further: Any) -> None:
            try:
                if iteration_stats is not None:
                    _record(iteration_stats, run)
            except Exception as odd:
                say_once("vllm step", f"a vLLM step is not counted: {odd!r}")

        def log_engine_initialized(self) -> None:
            return

    return EnergyStatLogger


def _record(step: Any, run: Run) -> None:
    finished = getattr(step, "finished_requests", None) or ()
    hits = getattr(getattr(step, "prompt_token_stats", None), "cached_tokens", None)
    counts = counted(getattr(step, "num_prompt_tokens", None), hits, getattr(step, "num_generation_tokens", None))
    _add(run, counts, requests=len(finished))
    if counts.note:
        say_once("vllm step usage", f"a vLLM step: {counts.note} (said once)")
