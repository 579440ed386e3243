"""vLLM's shapes, by stand-ins with the signatures that vLLM 0.33 documents: it is not installed here, and was not run."""

import sys
from abc import ABC, abstractmethod
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tests.integrations.clients import work_of

from wattledger import track
from wattledger.integrations.vllm import count, stat_logger


class StatLoggerBase(ABC):
    """vllm.v1.metrics.loggers.StatLoggerBase, its signatures alone."""

    @abstractmethod
    def __init__(self, vllm_config: Any, engine_index: int = 0) -> None: ...

    @abstractmethod
    def record(
        self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0
    ) -> None: ...  # fmt: skip

    @abstractmethod
    def log_engine_initialized(self) -> None: ...

    def log(self) -> None:
        return


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's modules, as far as the hook opens them."""
    if "vllm" in sys.modules:
        pytest.skip("a real vLLM is loaded")
    for name in ("vllm", "vllm.v1", "vllm.v1.metrics", "vllm.v1.metrics.loggers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["vllm.v1.metrics.loggers"].StatLoggerBase = StatLoggerBase  # type: ignore[attr-defined]


def output(prompt: int | None, generated: list[int], cached: int | None = None, *, finished: bool = True) -> Any:
    """A RequestOutput's fields."""
    ids = None if prompt is None else list(range(prompt))
    made = [SimpleNamespace(token_ids=list(range(n))) for n in generated]
    return SimpleNamespace(prompt_token_ids=ids, num_cached_tokens=cached, outputs=made, finished=finished)


def test_offline_outputs_are_counted_with_their_cache_hits_apart() -> None:
    with track(job="eval") as run:
        count([output(12, [4], 5), output(3, [2, 2, 2])], run)
    assert work_of(run) == {"prompt_tokens": 10, "cached_tokens": 5, "generated_tokens": 10, "requests": 2}


def test_an_output_that_has_not_finished_is_no_request_yet() -> None:
    with track(job="eval") as run:
        count([output(3, [1], finished=False)], run)
    assert work_of(run) == {"prompt_tokens": 3, "cached_tokens": 0, "generated_tokens": 1, "requests": 0}


def test_an_odd_output_does_not_stop_the_others() -> None:
    with track(job="eval") as run:
        count([object(), output(None, [1]), output(3, [1])], run)
    assert work_of(run) == {"prompt_tokens": 3, "cached_tokens": 0, "generated_tokens": 2, "requests": 2}


def test_each_engine_step_is_counted(vllm: None) -> None:
    first = SimpleNamespace(num_prompt_tokens=12, num_generation_tokens=1, finished_requests=[])
    hits = SimpleNamespace(cached_tokens=5)
    second = SimpleNamespace(num_prompt_tokens=8, num_generation_tokens=2, finished_requests=[object()], prompt_token_stats=hits)
    with track(job="serve") as run:
        logger = stat_logger(run)(SimpleNamespace(), 0)
        logger.log_engine_initialized()
        logger.record(SimpleNamespace(num_running_reqs=1), first)
        logger.record(scheduler_stats=None, iteration_stats=second, mm_cache_stats=None, engine_idx=0)
        logger.record(None, None)
        logger.log()
    assert isinstance(logger, StatLoggerBase)
    assert work_of(run) == {"prompt_tokens": 15, "cached_tokens": 5, "generated_tokens": 3, "requests": 1}


def test_statistics_of_another_form_do_not_stop_the_engine(vllm: None) -> None:
    with track(job="serve") as run:
        stat_logger(run)(SimpleNamespace()).record(None, SimpleNamespace(finished_requests=3))
    assert sum(work_of(run).values()) == 0
