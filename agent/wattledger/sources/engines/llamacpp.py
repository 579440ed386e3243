"""llama.cpp's server: ``/metrics`` where it was started with ``--metrics``, all names ``llamacpp:``.

Names and meaning: its own help texts (build 0c1e570, run here): prompt tokens exclude what came from the cache, and
``n_decode_total`` is its calls of the decoder.  Requests that have ended are not counted.  No label names the model: the
configuration does, or ``/props``.
"""

import json
import os

from wattledger.sources.engines.exposition import Exposition
from wattledger.sources.engines.reading import About, Engine, Figures, Reading, assemble, figure

LUMPS = 1_000_000  # it writes six digits
LUMPY = "llama.cpp writes six digits, so counts over a million come in lumps (exact again over longer times)"


def recognises(said: Exposition) -> bool:
    return said.names("llamacpp:")


def read(said: Exposition) -> Reading:
    prompt = figure(said, "llamacpp:prompt_tokens_total")
    found = Figures(
        prompt=prompt,
        computed=prompt,
        generated=figure(said, "llamacpp:tokens_predicted_total"),
        cached=figure(said, "llamacpp:prompt_tokens_cached_total"),
        steps=figure(said, "llamacpp:n_decode_total"),
        running=figure(said, "llamacpp:requests_processing"),
    )
    reading = assemble(said, found)
    lumpy = any(count >= LUMPS for f in (prompt, found.generated) for count in f.by.values())
    return reading._replace(odd=(*reading.odd, LUMPY)) if lumpy else reading


def about(body: bytes) -> About:
    said = json.loads(body)
    model = str(said.get("model_alias") or "") or os.path.basename(str(said.get("model_path") or ""))
    return About(model.removesuffix(".gguf"), str(said.get("build_info") or ""))


ENGINE = Engine("llamacpp", "/metrics", ("llama-server",), recognises, read, about_path="/props", about=about)
