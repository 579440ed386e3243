"""NVIDIA NIM for LLMs: ``/v1/metrics``, the names of vLLM without a prefix; newer ones publish vLLM's own.

Names: docs.nvidia.com/nim, observability; ecosystem.md A5.
"""

from wattledger.sources.engines import vllm
from wattledger.sources.engines.exposition import Exposition
from wattledger.sources.engines.reading import Engine, Figures, Reading, assemble, figure


def recognises(said: Exposition) -> bool:
    return {"prompt_tokens_total", "generation_tokens_total"} <= said.families.keys()


def read(said: Exposition) -> Reading:
    if vllm.recognises(said):
        return vllm.read(said)
    found = Figures(
        prompt=figure(said, "prompt_tokens_total"),
        generated=figure(said, "generation_tokens_total"),
        cached=figure(said, "prefix_cache_hits_total"),
        requests=figure(said, "request_success_total"),
        steps=figure(said, "iteration_tokens_total_count"),
        running=figure(said, "num_requests_running"),
    )
    return assemble(said, found)


ENGINE = Engine("nim", "/v1/metrics", ("vllm_nvext", "nim_llm_sdk"), recognises, read)
