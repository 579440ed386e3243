"""A Kubernetes node of our making: log folders with real naming, a kubelet's pod list over HTTP, a machine of 16 CPUs."""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from wattledger.core.model import Claim, Holding, Instant, Sample, Workload
from wattledger.core.ports import Fetch, Host, Request, Source, SourceFailed, no_fetch
from wattledger.sources import kubernetes

CPUS = 16
S = 1_000_000_000


def uid_of(pod: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, pod))


def id_of(pod: str, container: str, attempt: int = 0) -> str:
    return hashlib.sha256(f"{pod}/{container}/{attempt}".encode()).hexdigest()


class Node:
    """``/proc``, ``/var/log`` and, where one listens, the kubelet."""

    def __init__(self, base: Path) -> None:
        self.proc, self.logs = base / "proc", base / "log"
        self.proc.mkdir()
        cpus = "".join(f"cpu{n} 1 0 0 1 0 0 0 0 0 0\n" for n in range(CPUS))
        (self.proc / "stat").write_text(f"cpu  16 0 0 16 0 0 0 0 0 0\n{cpus}intr 1 2\n")
        for name in ("pods", "containers"):
            (self.logs / name).mkdir(parents=True)
        self.clock_s = 0.0

    def pod(self, namespace: str, pod: str, *containers: str, uid: str = "", attempt: int = 0) -> None:
        """The log folders of a pod whose containers run, for the ``attempt``-th time."""
        uid = uid or uid_of(pod)
        for container in containers:
            folder = self.logs / "pods" / f"{namespace}_{pod}_{uid}" / container
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / f"{attempt}.log"
            target.touch()
            link = self.logs / "containers" / f"{pod}_{namespace}_{container}-{id_of(uid, container, attempt)}.log"
            # The kubelet's links name the node's own folder, wherever it is mounted here.
            link.symlink_to(f"/var/log/pods/{namespace}_{pod}_{uid}/{container}/{attempt}.log")

    def remove(self, pod: str) -> None:
        for link in (self.logs / "containers").glob(f"{pod}_*.log"):
            link.unlink()
        for folder in (self.logs / "pods").glob(f"*_{pod}_*"):
            folder.rename(self.logs / f"removed-{folder.name}")

    def gpu(self, bus: str, minor: int, gpu: str, excluded: str = "No") -> None:
        folder = self.proc / "driver/nvidia/gpus" / bus
        folder.mkdir(parents=True)
        lines = ["Model: \t\t NVIDIA H100", f"GPU UUID: \t {gpu}", f"Device Minor: \t {minor}", f"GPU Excluded:\t {excluded}"]
        (folder / "information").write_text("\n".join(lines) + "\n")

    def host(self, fetch: Fetch = no_fetch, **options: object) -> Host:
        return Host("sys", str(self.proc), {}, (), True, {"logs": str(self.logs), **options}, fetch)

    def open(self, fetch: Fetch = no_fetch, **options: object) -> Source:
        return kubernetes.open(self.host(fetch, **options))

    def read(self, source: Source, after_s: float = 10) -> list[Sample]:
        self.clock_s += after_s
        return list(source.read(lambda: Instant(int(self.clock_s * S), 0), True))


def claims(samples: list[Sample]) -> dict[str, Workload | None]:
    return {s.who: s.workload for s in samples if isinstance(s, Claim)}


def holdings(samples: list[Sample]) -> dict[tuple[str, str], float]:
    return {(s.device_id, s.who): s.part for s in samples if isinstance(s, Holding)}


def container(pod: str, name: str = "main", attempt: int = 0) -> str:
    return f"container:{id_of(uid_of(pod), name, attempt)}"


def item(namespace: str, pod: str, *, cpu: str | None = None, phase: str = "Running", **meta: Any) -> dict[str, Any]:
    """A pod as the kubelet's ``/pods`` shows it, with one container ``main``."""
    state = {"running": {"startedAt": "2026-11-22T10:00:00Z"}} if phase == "Running" else {"terminated": {"exitCode": 0}}
    status = {"name": "main", "containerID": f"containerd://{id_of(uid_of(pod), 'main')}", "restartCount": 0, "state": state}
    requests = {"requests": {"cpu": cpu, "memory": "1Gi"}} if cpu else {}
    return {
        "metadata": {"name": pod, "namespace": namespace, "uid": uid_of(pod), **meta},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "image", "resources": requests}]},
        "status": {"phase": phase, "containerStatuses": [status]},
    }


class PodsServer:
    """The kubelet's port 10250.  State: what it replies, and the requests' headers so far."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.body: bytes | None = None
        self.seen: list[dict[str, str]] = []
        self.url = "https://kubelet.test:10250/pods"
        self._port = 0

    def fetch(self, request: Request) -> bytes:
        """As runtime's: every failure is SourceFailed.  The certificate is left to that; here there is none."""
        url = request.url.replace("https://kubelet.test:10250", f"http://127.0.0.1:{self._port}")
        try:
            with urlopen(HttpRequest(url, headers=dict(request.headers)), timeout=request.timeout_s) as reply:
                return bytes(reply.read(request.limit_bytes))
        except URLError as error:
            raise SourceFailed(f"{request.url}: {error.reason}") from None

    @contextmanager
    def serving(self) -> Iterator["PodsServer"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kept.seen.append(dict(self.headers))
                body = json.dumps({"kind": "PodList", "apiVersion": "v1", "items": kept.items}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body if kept.body is None else kept.body)

            def log_message(self, *args: object) -> None:
                """Quiet."""

        return Handler
