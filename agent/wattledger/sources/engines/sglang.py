"""SGLang: ``/metrics`` where it was started with ``--enable-metrics``, all names ``sglang:``.

Names: docs.sglang.ai, production metrics (0.5.23), ecosystem.md A5.  Labels differ by collector: what the schedulers say has a
``tp_rank`` (each rank the same), what the tokenizer says has not.  It counts no engine steps.
"""

from wattledger.sources.engines.exposition import Exposition
from wattledger.sources.engines.reading import Engine, Figures, Reading, assemble, figure


def recognises(said: Exposition) -> bool:
    return said.names("sglang:")


def read(said: Exposition) -> Reading:
    found = Figures(
        prompt=figure(said, "sglang:prompt_tokens_total"),
        generated=figure(said, "sglang:generation_tokens_total"),
        cached=figure(said, "sglang:cached_tokens_total"),
        requests=figure(said, "sglang:num_requests_total", "sglang:e2e_request_latency_seconds_count"),
        running=figure(said, "sglang:num_running_reqs"),
    )
    return assemble(said, found)


ENGINE = Engine("sglang", "/metrics", ("sglang",), recognises, read)
