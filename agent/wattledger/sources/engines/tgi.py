"""Text Generation Inference: ``/metrics``, all names ``tgi_``.

Names: huggingface.co/docs/text-generation-inference, metrics; ecosystem.md A5.  There is no counter of tokens: the sums of two
histograms are, and they grow when a request has ended.  No label names the model: the configuration does, or ``/info``.
"""

import json

from wattledger.sources.engines.exposition import Exposition
from wattledger.sources.engines.reading import About, Engine, Figures, Reading, assemble, figure

AT_END = "tgi counts tokens when a request has ended, and does not tell cache hits: they count as computed"


def recognises(said: Exposition) -> bool:
    return said.names("tgi_")


def read(said: Exposition) -> Reading:
    found = Figures(
        prompt=figure(said, "tgi_request_input_length_sum"),
        generated=figure(said, "tgi_request_generated_tokens_sum"),
        requests=figure(said, "tgi_request_success_total", "tgi_request_count_total"),
        steps=figure(said, "tgi_batch_inference_count_total"),
        running=figure(said, "tgi_batch_current_size"),
    )
    reading = assemble(said, found, lazy=True)
    return reading._replace(odd=(*reading.odd, AT_END))


def about(body: bytes) -> About:
    said = json.loads(body)
    return About(str(said["model_id"]), str(said.get("version") or ""))


ENGINE = Engine(
    "tgi", "/metrics", ("text-generation-launcher", "text-generation-router"), recognises, read, about_path="/info", about=about
)
