"""A real OpenAI-compatible HTTP server on the loopback, and a real agent's two doors: for tests, on free ports.

The server answers each request by its ``mood``; what it was asked is kept.  Streams are sent as server-sent events, in chunks.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeVar

Mood = Literal["usage", "no usage", "negative", "huge", "null details", "cut", "error", "strict", "continuous", "silent end"]

WORDS = ("The", " sea", " is", " blue")
CHAT = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16, "prompt_tokens_details": {"cached_tokens": 5}}
RESPONSE = {
    "input_tokens": 12, "output_tokens": 4, "total_tokens": 16,
    "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
}  # fmt: skip
ODD: dict[str, dict[str, Any]] = {
    "negative": {"prompt_tokens": -3, "completion_tokens": 4, "total_tokens": 1},
    "huge": {"prompt_tokens": 12, "completion_tokens": 10**15, "total_tokens": 12},
    "null details": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16, "prompt_tokens_details": None},
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    app: Any

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *said: Any) -> None:
        """Tests print nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.app.post(self, self.path, body)

    def do_GET(self) -> None:
        self.server.app.get(self, self.path)

    def answer(self, status: int, said: Any) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: list[str], *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            data = event.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        if cut:
            self.close_connection = True  # in the middle of a chunked body
        else:
            self.wfile.write(b"0\r\n\r\n")


class OpenAI:
    """State: its mood (set it at any time) and every body it was sent, by path."""

    def __init__(self) -> None:
        self.mood: Mood = "usage"
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.url, self.port = "", 0

    def get(self, handler: _Handler, path: str) -> None:
        handler.answer(404, {"error": {"message": path}})

    def post(self, handler: _Handler, path: str, body: bytes) -> None:
        asked = json.loads(body)
        self.asked.append((path, asked))
        if self.mood == "error" or (self.mood == "strict" and "stream_options" in asked):
            handler.answer(400, {"error": {"message": "Unrecognized request argument supplied: stream_options"}})
        elif asked.get("stream"):
            events = _response_events() if path.endswith("/responses") else self._chunks(path, asked)
            if self.mood == "cut":
                events = events[:3]
            handler.stream([*events] if self.mood == "cut" else [*events, "data: [DONE]\n\n"], cut=self.mood == "cut")
        else:
            handler.answer(200, self._whole(path, asked))

    def _whole(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        model = asked["model"]
        if path.endswith("/responses"):
            return _response(model, "completed")
        if path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
            return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 7, "total_tokens": 7}}
        chat = path.endswith("/chat/completions")
        text = {"message": {"role": "assistant", "content": "".join(WORDS)}} if chat else {"text": "".join(WORDS)}
        found = {**_head(model, chat=chat), "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None, **text}]}
        return found if self.mood == "no usage" else {**found, "usage": ODD.get(self.mood, CHAT)}

    def _chunks(self, path: str, asked: dict[str, Any]) -> list[str]:
        chat, model = path.endswith("/chat/completions"), asked["model"]
        options = asked.get("stream_options") or {}
        found = []
        for n, word in enumerate(WORDS):
            last = n == len(WORDS) - 1 and self.mood != "silent end"
            text: dict[str, Any] = {"delta": {"role": "assistant", "content": word}} if chat else {"text": word}
            choice = {"index": 0, "finish_reason": "stop" if last else None, "logprobs": None, **text}
            chunk = {**_head(model, chat=chat, chunk=True), "choices": [choice]}
            if self.mood == "continuous":
                chunk["usage"] = {"prompt_tokens": 12, "completion_tokens": n + 1, "total_tokens": 13 + n}
            found.append(chunk)
        if options.get("include_usage") and self.mood not in ("no usage", "silent end"):
            found.append({**_head(model, chat=chat, chunk=True), "choices": [], "usage": ODD.get(self.mood, CHAT)})
        return [f"data: {json.dumps(chunk)}\n\n" for chunk in found]


def _head(model: str, *, chat: bool, chunk: bool = False) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if chunk else "chat.completion") if chat else "text_completion"
    return {"id": "chatcmpl-1" if chat else "cmpl-1", "object": kind, "created": 1, "model": model}


def _response(model: str, status: str) -> dict[str, Any]:
    text = {"type": "output_text", "text": "".join(WORDS), "annotations": []}
    message = {"type": "message", "id": "msg-1", "role": "assistant", "status": "completed", "content": [text]}
    found = {"id": "resp-1", "object": "response", "created_at": 1, "model": model, "status": status, "output": [message]}
    found |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**found, "usage": RESPONSE} if status == "completed" else found


def _response_events() -> list[str]:
    events: list[dict[str, Any]] = [{"type": "response.created", "response": _response("tiny", "in_progress")}]
    delta = {"type": "response.output_text.delta", "item_id": "msg-1", "output_index": 0, "content_index": 0, "logprobs": []}
    events += [{**delta, "delta": word} for word in WORDS]
    events.append({"type": "response.completed", "response": _response("tiny", "completed")})
    return [f"event: {e['type']}\ndata: {json.dumps({**e, 'sequence_number': n})}\n\n" for n, e in enumerate(events)]


class Agent:
    """The agent's side.  State: the models it tells, the status it answers records with, the spans it took, and how often it was
    asked for prices and sent records."""

    def __init__(self) -> None:
        self.models: list[dict[str, Any]] = []
        self.status = 200
        self.spans: list[dict[str, Any]] = []
        self.asked = self.posts = 0
        self.url, self.port = "", 0
        self._changed = threading.Condition()

    @property
    def listen(self) -> str:
        """What WATTLEDGER_AGENT_LISTEN says."""
        return f"127.0.0.1:{self.port}"

    def get(self, handler: _Handler, path: str) -> None:
        known = path == "/tokens.json"
        handler.answer(200 if known else 404, {"schema": "wattledger.tokens/1", "models": self.models})
        with self._changed:
            self.asked += 1
            self._changed.notify_all()

    def post(self, handler: _Handler, path: str, body: bytes) -> None:
        taken = self.status == 200 and path == "/v1/traces"
        with self._changed:  # before the answer: who has it may look at once
            self.posts += 1
            for resource in json.loads(body)["resourceSpans"] if taken else ():
                self.spans += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
            self._changed.notify_all()
        handler.answer(self.status if path == "/v1/traces" else 404, {})

    def wait_for(self, *, spans: int = 0, asked: int = 0, posts: int = 0, timeout_s: float = 15.0) -> None:
        """Until it has so many spans and was asked and sent records so often; fails the test if that does not come."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: len(self.spans) >= spans and self.asked >= asked and self.posts >= posts, timeout_s
            )
        assert enough, f"{len(self.spans)} spans in {self.posts} posts, asked {self.asked} times"

    def knows(self, address: str, model: str = "tiny", **more: Any) -> None:
        """From now on it tells prices for that server: 0.5 J a prompt token, 2 J a generated one."""
        prices = {
            "prompt_j": {"value": 0.5, "low": 0.4, "high": 0.6}, "generated_j": {"value": 2.0, "low": 1.5, "high": 3.0},
            "grams_per_joule": 1e-4, "weak": False,
        }  # fmt: skip
        self.models.append({"job": "serve", "model": model, "addresses": [address], **prices, **more})


def said(span: dict[str, Any]) -> dict[str, Any]:
    """A span's attributes, plain."""
    plain = {}
    for attribute in span["attributes"]:
        ((kind, value),) = attribute["value"].items()
        plain[attribute["key"]] = int(value) if kind == "intValue" else value
    return plain


App = TypeVar("App", OpenAI, Agent)


@contextlib.contextmanager
def serving(app: App) -> Iterator[App]:
    """``app`` behind a free port until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.app = app
    app.port = server.server_address[1]
    app.url = f"http://127.0.0.1:{app.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
