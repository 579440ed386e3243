"""A serving engine that serves nobody: a process that says of itself what vLLM would, burns what its tokens cost, and misbehaves
when it is told to.

``Stub`` is the test's side.  The process is this file, run as a program: it needs nothing but Python, like an engine it is a
process tree of its own, and killed with -9 it is gone.
"""

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STEP_S = 0.02
COUNTS = ("prompt", "generated", "steps", "requests")
HTML = "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>\n"
# What vllm/v1/metrics writes; the labels are its own.
TEXT = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="{model}"}} {running}
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{engine="0",model_name="{model}"}} {prompt}.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="{model}"}} {generated}.0
# TYPE vllm:request_success_total counter
vllm:request_success_total{{engine="0",finished_reason="stop",model_name="{model}"}} {requests}.0
# TYPE vllm:iteration_tokens_total histogram
vllm:iteration_tokens_total_count{{engine="0",model_name="{model}"}} {steps}.0
# TYPE process_start_time_seconds gauge
process_start_time_seconds {began}
"""


# --- the test's side --------------------------------------------------------------------------------------------------------------


class Stub:
    """An engine of one model on a port of its own; ``start`` it again after ``kill`` and it counts from zero."""

    def __init__(self, folder: Path, model: str, port: int) -> None:
        self.model, self.port = model, port
        self.url = f"vllm=http://127.0.0.1:{port}/metrics"
        self.address = f"127.0.0.1:{port}"
        self._log = folder / f"{model}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **said: Any) -> None:
        """Begin, with these words (see ``tell``)."""
        with self._log.open("ab") as log:
            words = [sys.executable, "-I", str(Path(__file__).resolve()), self.model, str(self.port), json.dumps(said)]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(600):
            with contextlib.suppress(OSError):
                self.counts()
                return
            threading.Event().wait(0.05)
        raise RuntimeError(f"the stub does not answer:\n{self._log.read_text()}")

    def tell(self, **said: Any) -> None:
        """``mode``: ok, hang, html, error, cut; ``rate``, ``prompt_rate``: tokens a second; ``cpu_ms`` for each generated token;
        ``running``; and each count by its name."""
        self._ask("POST", "/tell", json.dumps(said).encode())

    def counts(self) -> dict[str, int]:
        """What it would say now."""
        found: dict[str, int] = json.loads(self._ask("GET", "/counts"))
        return found

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"http://{self.address}{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=20) as reply:
            return bytes(reply.read())


@contextlib.contextmanager
def stubs(folder: Path, **ports: int) -> Iterator[dict[str, Stub]]:
    """Engines by model; each is started by the test, and all are ended here."""
    found = {model: Stub(folder, model, port) for model, port in ports.items()}
    try:
        yield found
    finally:
        for stub in found.values():
            stub.kill()


def post(url: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """OTLP/HTTP JSON to an agent: status and answer."""
    host = url.removeprefix("http://")
    with contextlib.closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")


# --- the program ------------------------------------------------------------------------------------------------------------------


class Engine:
    """State, under its lock: the words it was told, and its counts.  ``free`` is set while it does not hang."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.lock, self.free = threading.Lock(), threading.Event()
        self.words: dict[str, Any] = {"mode": "ok", "rate": 0.0, "prompt_rate": 0.0, "cpu_ms": 0.0, "running": 0}
        self.sums = dict.fromkeys(COUNTS, 0.0)
        self.began = time.time()
        self.tell(said)

    def tell(self, said: dict[str, Any]) -> None:
        with self.lock:
            self.sums.update((name, said[name]) for name in COUNTS if name in said)
            self.words.update((name, said[name]) for name in said if name not in COUNTS)
            (self.free.clear if self.words["mode"] == "hang" else self.free.set)()

    def counts(self) -> dict[str, int]:
        with self.lock:
            return {name: int(count) for name, count in self.sums.items()}

    def work(self) -> None:
        """Tokens as time goes by, and the CPU that they cost."""
        last = time.monotonic()
        while True:
            time.sleep(STEP_S)
            now = time.monotonic()
            with self.lock:
                made = self.words["rate"] * (now - last)
                self.sums["generated"] += made
                self.sums["steps"] += made
                self.sums["prompt"] += self.words["prompt_rate"] * (now - last)
                burn_s = made * self.words["cpu_ms"] / 1000
            last = now
            until = time.thread_time() + burn_s
            while time.thread_time() < until:
                pass

    def page(self, model: str) -> tuple[int, str]:
        mode = self.words["mode"]
        if mode == "hang":
            self.free.wait()
        if mode in ("html", "error"):
            return (200, HTML) if mode == "html" else (500, "oh no\n")
        text = TEXT.format(model=model, running=self.words["running"], began=self.began, **self.counts())
        return 200, text[: len(text) // 2].rstrip("\n") if mode == "cut" else text


def serve(model: str, port: int, said: dict[str, Any]) -> None:
    engine = Engine(said)
    threading.Thread(target=engine.work, daemon=True).start()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/counts":
                self._answer(200, json.dumps(engine.counts()))
            elif self.path == "/version":
                self._answer(200, '{"version": "0.33.0"}')
            else:
                self._answer(*engine.page(model))

        def do_POST(self) -> None:
            engine.tell(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(200, "{}")

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            with contextlib.suppress(OSError):  # who asked has gone
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
