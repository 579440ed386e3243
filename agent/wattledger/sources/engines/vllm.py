"""vLLM: ``/metrics``, all names ``vllm:``.

Names: docs.vllm.ai, production metrics (0.33), ecosystem.md A5.  ``vllm:iteration_tokens_total`` is a histogram of tokens by
engine step despite its name: its count is the steps.  Computed prompt tokens: by source ``local_compute`` where that is told, else
the total less what came from a cache (science.md 4.2).  Without counters, histograms tell tokens when a request has ended.
"""

import json

from wattledger.sources.engines.exposition import Exposition
from wattledger.sources.engines.reading import About, Engine, Figures, Reading, assemble, figure

BY_SOURCE = "vllm:prompt_tokens_by_source_total"
COMPUTED = "local_compute"
AT_END = "this vLLM tells tokens by histograms only, which count when a request has ended"


def recognises(said: Exposition) -> bool:
    return said.names("vllm:")


def read(said: Exposition) -> Reading:
    found = figures(said)
    reading = assemble(said, found)
    return reading._replace(odd=(*reading.odd, AT_END)) if found.prompt.name.endswith("_sum") else reading


def figures(said: Exposition) -> Figures:
    """For whoever publishes vLLM's metrics as they are."""
    from_elsewhere = {s.labels.get("source", "") for s in said.families.get(BY_SOURCE, ())} - {COMPUTED}
    cached = figure(said, "vllm:prompt_tokens_cached_total")
    if not cached.name and from_elsewhere:
        cached = figure(said, BY_SOURCE, only=("source", from_elsewhere))
    prompt = figure(said, "vllm:prompt_tokens_total", "vllm:request_prompt_tokens_sum")
    ended = "vllm:request_prompt_tokens_count" if prompt.name.endswith("_sum") else "vllm:request_success_total"
    return Figures(
        prompt=prompt,
        generated=figure(said, "vllm:generation_tokens_total", "vllm:request_generation_tokens_sum"),
        cached=cached if cached.name else figure(said, "vllm:prefix_cache_hits_total"),
        computed=figure(said, BY_SOURCE, only=("source", (COMPUTED,))),
        requests=figure(said, ended),
        steps=figure(said, "vllm:iteration_tokens_total_count"),
        running=figure(said, "vllm:num_requests_running"),
    )


def about(body: bytes) -> About:
    return About(version=str(json.loads(body)["version"]))


ENGINE = Engine("vllm", "/metrics", ("vllm",), recognises, read, about_path="/version", about=about)
