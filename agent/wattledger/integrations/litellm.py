"""LiteLLM: ``litellm.callbacks = [callback()]``, before callbacks that are to see the energy.

Its proxy takes the same from a module of yours that says ``energy = callback()``: ``litellm_settings: {callbacks: module.energy}``.

Each success (sync or async, streamed or not; not an answer from LiteLLM's cache) is counted, told to the node's agent with its
tenant and, where the agent knows the server behind ``api_base``, given its provisional energy in the call's metadata.  The tenant
is ``metadata["tenant"]``, else the team of the key (``user_api_key_team_alias``), never a user.  Streams are to be asked for their
usage (``stream_options={"include_usage": True}``): without it LiteLLM counts with a tokeniser that need not be the model's.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from wattledger import Run
from wattledger.integrations import _agent, _calls
from wattledger.integrations._calls import EnergyOfCall
from wattledger.integrations._records import Told
from wattledger.integrations._say import say_once
from wattledger.integrations._usage import of_usage

OPERATIONS = {"embedding": "embeddings", "text_completion": "text_completion"}


def callback(*, run: Run | None = None, on_energy: Callable[[EnergyOfCall], object] | None = None) -> Any:
    """A ``CustomLogger`` for ``litellm.callbacks``; tokens go to ``run``, or to the run open where LiteLLM calls back.

    LiteLLM calls back after the call and in another thread, so a program gives its ``run`` if it is to have the tokens.  LiteLLM is
    loaded here and not before.
    """
    base: Any = import_module("litellm.integrations.custom_logger").CustomLogger
    agent = _agent.agent()

    class EnergyLogger(base):  # type: ignore[misc]
        """Counts successes; a failure has no usage."""

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            try:
                _count(kwargs, response_obj, start_time, end_time)
            except Exception as bug:
                say_once("litellm", f"a call is not counted: {bug!r}")

        async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            self.log_success_event(kwargs, response_obj, start_time, end_time)

    def _count(kwargs: dict[str, Any], response: Any, start: Any, end: Any) -> None:
        if not kwargs.get("cache_hit"):
            used = _calls.settle(_told(kwargs, response, start, end), run or _calls.current_run(), agent)
            _write_back(kwargs, used)
            if on_energy is not None:
                on_energy(used)

    return EnergyLogger()


def _told(kwargs: Mapping[str, Any], response: Any, start: Any, end: Any) -> Told:
    log, params = kwargs.get("standard_logging_object") or {}, kwargs.get("litellm_params") or {}
    parts = urlsplit(str(log.get("api_base") or params.get("api_base") or ""))
    operation = OPERATIONS.get(str(kwargs.get("call_type") or "").removeprefix("a"), "chat")
    model = str(kwargs.get("model") or "")
    first = kwargs.get("completion_start_time") if kwargs.get("stream") else None
    return Told(
        operation,
        model,
        parts.hostname or "",
        parts.port or (443 if parts.scheme == "https" else 80),
        _utc(start) or _calls.now(),
        _utc(first),
        _utc(end) or _calls.now(),
        of_usage(getattr(response, "usage", None), generates=operation != "embeddings"),
        _tenant(params.get("metadata"), log.get("metadata")),
        str(getattr(response, "id", None) or ""),
        str(getattr(response, "model", None) or ""),
    )


def _utc(at: Any) -> datetime | None:
    """LiteLLM's times are of the local zone and do not say so."""
    return at.astimezone(UTC) if isinstance(at, datetime) else None


def _tenant(*said: Any) -> str | None:
    for name in ("tenant", "user_api_key_team_alias"):
        for metadata in said:
            if isinstance(metadata, Mapping) and metadata.get(name):
                return str(metadata[name])
    return None


def _write_back(kwargs: Mapping[str, Any], used: EnergyOfCall) -> None:
    """Into both metadata: the call's own, and the one that LiteLLM hands to other loggers."""
    if used.energy_j is None:
        return
    words = {"wattledger.energy_j": used.energy_j.value, "wattledger.energy_state": used.state}
    if used.emissions_g is not None:
        words["wattledger.emissions_g"] = used.emissions_g
    for holder in (kwargs.get("litellm_params"), kwargs.get("standard_logging_object")):
        if isinstance(holder, dict) and isinstance(holder.get("metadata"), dict):
            holder["metadata"].update(words)
