"""A real serving engine on this machine's CPU: llama.cpp's server, with a model of two layers and random weights made here.

``WATTLEDGER_LLAMA_SERVER`` names the program (``.ci/run`` builds it); the model is written with the gguf package.
"""

import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.programs import free_port, running, until

ALIAS = "tiny-random"
DIM, LAYERS, HEADS, VOCABULARY = 128, 4, 4, 320


def program() -> str:
    """Where it is; skips the test, and says so, where it is not."""
    found = os.environ.get("WATTLEDGER_LLAMA_SERVER", "")
    if not found or not Path(found).exists():
        pytest.skip("no llama-server here: WATTLEDGER_LLAMA_SERVER does not name one (.ci/run builds it)")
    return found


def make_model(path: Path) -> None:
    """A llama with byte tokens, which says nonsense fast."""
    gguf = pytest.importorskip("gguf", reason="the model is written with gguf, which is not installed")
    np = pytest.importorskip("numpy", reason="the model's weights are made with numpy, which is not installed")
    random = np.random.default_rng(1)
    file = gguf.GGUFWriter(str(path), "llama")
    file.add_name(ALIAS)
    file.add_context_length(4096)
    file.add_embedding_length(DIM)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(2 * DIM)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(DIM // HEADS)
    file.add_vocab_size(VOCABULARY)
    words = [f"w{i}".encode() for i in range(VOCABULARY - 259)]
    file.add_tokenizer_model("llama")
    file.add_token_list([b"<unk>", b"<s>", b"</s>", *(f"<0x{i:02X}>".encode() for i in range(256)), *words])
    file.add_token_scores([0.0] * VOCABULARY)
    file.add_token_types([2, 3, 3, *[6] * 256, *[1] * len(words)])
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_unk_token_id(0)

    def weights(name: str, *shape: int) -> None:
        file.add_tensor(f"{name}.weight", (random.standard_normal(shape) * 0.05).astype(np.float32))

    weights("token_embd", VOCABULARY, DIM)
    weights("output", VOCABULARY, DIM)
    file.add_tensor("output_norm.weight", np.ones(DIM, np.float32))
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            file.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(DIM, np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights(f"blk.{layer}.{part}", DIM, DIM)
        weights(f"blk.{layer}.ffn_gate", 2 * DIM, DIM)
        weights(f"blk.{layer}.ffn_up", 2 * DIM, DIM)
        weights(f"blk.{layer}.ffn_down", DIM, 2 * DIM)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


@contextlib.contextmanager
def serving(folder: Path, *, port: int | None = None) -> Iterator[int]:
    """The engine, ready; gives its port."""
    model = folder / "tiny.gguf"
    if not model.exists():
        make_model(model)
    port = port or free_port()
    where = ["--metrics", "--host", "127.0.0.1", "--port", str(port)]
    how = ["--alias", ALIAS, "-c", "8192", "-np", "4", "-t", "1"]
    with running(program(), "-m", str(model), *where, *how, log=folder / "llama.log"):
        until(lambda: _answers(port), "llama-server answers", folder / "llama.log")
        yield port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
        return bool(json.loads(reply.read())["status"] == "ok")
    return False


def complete(port: int, prompt: str, most: int) -> dict[str, Any]:
    """One request; its usage."""
    body = json.dumps({"prompt": prompt, "max_tokens": most, "ignore_eos": True, "model": ALIAS, "cache_prompt": False}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        found: dict[str, Any] = json.loads(reply.read())["usage"]
    return found
