"""Triton Inference Server: ``/metrics`` (port 8002 unless told otherwise), names ``nv_``.

Its vLLM backend publishes vLLM's own metrics beside (label ``model``).  The TensorRT-LLM backend tells what is in flight and
nothing that accumulates, so of it no token can be counted here (ecosystem.md A5).
"""

from wattledger.sources.engines import vllm
from wattledger.sources.engines.exposition import Exposition
from wattledger.sources.engines.reading import Engine, Reading

NOTHING = (
    "Triton's own metrics count no tokens (TensorRT-LLM tells only what is in flight): "
    "send request records to the agent (OpenTelemetry spans at /v1/traces, or wattledger.integrations.openai)"
)


def recognises(said: Exposition) -> bool:
    return said.names("nv_inference_") or said.names("nv_trt_llm_")


def read(said: Exposition) -> Reading:
    if not vllm.recognises(said):
        return Reading({}, "", said.odd, (NOTHING,))
    return vllm.read(said)


ENGINE = Engine("triton", "/metrics", ("tritonserver",), recognises, read)
