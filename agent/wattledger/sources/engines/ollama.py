"""Ollama: has no metrics, only ``/api/ps``, the models that are loaded (ecosystem.md A5).

What it has done stands in each of its answers (``prompt_eval_count``, ``eval_count``) and nowhere else.
"""

import json

from wattledger.sources.engines.exposition import Exposition
from wattledger.sources.engines.reading import Engine, Reading

NOTHING = (
    "Ollama counts no tokens: use wattledger.integrations.openai in its clients, "
    "or send request records to the agent (OpenTelemetry spans at /v1/traces)"
)


def recognises(said: Exposition) -> bool:
    """It publishes no text that could be recognised."""
    return False


def read(said: Exposition) -> Reading:
    return Reading({}, "", (), (NOTHING,))


def loaded(body: bytes) -> tuple[str, ...]:
    """Names of the models in memory; raises what json does on nonsense."""
    return tuple(sorted(str(model["name"]) for model in json.loads(body)["models"]))


ENGINE = Engine("ollama", "/api/ps", ("ollama",), recognises, read, counts=False, loaded=loaded)
