"""The engines that are known, in the order in which a text is held against them (Triton and NIM publish vLLM's names, too)."""

from wattledger.sources.engines import llamacpp, nim, ollama, sglang, tgi, triton, vllm
from wattledger.sources.engines.exposition import Exposition
from wattledger.sources.engines.reading import Engine

FILES = (triton, nim, vllm, sglang, tgi, llamacpp, ollama)
ENGINES: dict[str, Engine] = {file.ENGINE.name: file.ENGINE for file in FILES}


def recognise(said: Exposition) -> Engine | None:
    """Whose text this is."""
    return next((engine for engine in ENGINES.values() if engine.recognises(said)), None)
