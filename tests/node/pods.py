"""A Kubernetes node for a real agent: pods with real control groups and processes, and a kubelet that tells of them in every way.

Its log folders, its PodResources socket, and its pod list over HTTPS, which takes a token.
"""

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.node.groups import Groups, hierarchies
from tests.servers.podresources import Given, Kubelet, serving
from tests.sources.kubernetes_node import Node, id_of, item, uid_of

TOKEN = "eyJ.a-token.of-ours"
NAMESPACE = "ml"
# As the kubelet names them with the driver cgroupfs, and with systemd's; of this process alone, because the machine is shared.
CGROUPFS = f"/kubelet{os.getpid()}/kubepods/burstable/pod{{uid}}/{{id}}"
SYSTEMD = (
    f"/kubelet{os.getpid()}.slice/kubelet{os.getpid()}-kubepods.slice/kubelet{os.getpid()}-kubepods-burstable.slice/"
    f"kubelet{os.getpid()}-kubepods-burstable-pod{{slice}}.slice/cri-containerd-{{id}}.scope"
)


class Cluster:
    """State: the pods as the kubelet knows them (by name, each a pod of its list), and what is allotted (``kubelet.given``)."""

    def __init__(self, base: Path, made: Groups, kubelet: Kubelet) -> None:
        self.node, self.groups, self.kubelet = Node(base), made, kubelet
        self.listed: dict[str, dict[str, Any]] = {}
        self.asked = 0
        self.url = ""
        self._base = base
        (base / "token").write_text(f"{TOKEN}\n")

    def start(self, pod: str, part: float = 0.0, *, layout: str = CGROUPFS, env: dict[str, str] | None = None, **meta: Any) -> int:
        """A pod of one container, ``main``, with a process that burns this part of a CPU; ``meta``: labels and the like."""
        self.admit(pod, **meta)
        return self.groups.start(self.path(pod, layout), part, env=env)

    def admit(self, pod: str, **meta: Any) -> None:
        """The kubelet's word of a pod, before anything of it runs."""
        uid = str(meta.setdefault("uid", uid_of(pod)))
        self.node.pod(NAMESPACE, pod, "main", uid=uid)
        self.listed[pod] = item(NAMESPACE, pod, **meta)
        self.listed[pod]["status"]["containerStatuses"][0]["containerID"] = f"containerd://{self.id(pod)}"

    def uid(self, pod: str) -> str:
        return str(self.listed[pod]["metadata"]["uid"])

    def id(self, pod: str) -> str:
        return id_of(self.uid(pod), "main")

    def path(self, pod: str, layout: str = CGROUPFS) -> str:
        uid = self.uid(pod)
        return layout.format(uid=uid, slice=uid.replace("-", "_"), id=self.id(pod))

    def end(self, pod: str, pid: int) -> None:
        """Its process ends, its group is removed, and the kubelet forgets it."""
        self.groups.end(pid)
        for top in hierarchies():
            container = top / self.path(pod).strip("/")
            container.rmdir()
            container.parent.rmdir()
        del self.listed[pod]
        self.node.remove(pod)
        self.kubelet.given = [given for given in self.kubelet.given if given.pod != pod]

    def give(self, pod: str, *ids: str, resource: str = "nvidia.com/gpu") -> None:
        self.kubelet.given.append(Given(NAMESPACE, pod, "main", {resource: list(ids)}))

    def config(self, more: str = "") -> str:
        return f"""
[sources.kubernetes]
podresources = "{self.kubelet.socket}"
logs = "{self.node.logs}"
pods_url = "{self.url}"
token_file = "{self._base / 'token'}"
ca_file = "{self._base / 'cert.pem'}"
period_s = 0.5
{more}"""

    @contextlib.contextmanager
    def listing(self) -> Iterator[None]:
        """The kubelet's port: its pods to whoever has the token."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(self._base))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{server.server_address[1]}/pods"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("Authorization") == f"Bearer {TOKEN}" and self.path == "/pods"
                kept.asked += known
                body = json.dumps({"kind": "PodList", "items": list(kept.listed.values())} if known else {}).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Quiet."""

        return Handler


class NoCertificate(Exception):
    """There is no command to make one with; one line."""


def _certificate(base: Path) -> tuple[str, str]:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NoCertificate("no openssl command to make the kubelet's certificate with")
    cert, key = base / "cert.pem", base / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return str(cert), str(key)


@contextlib.contextmanager
def cluster(base: Path, made: Groups) -> Iterator[Cluster]:
    """Raises NoCertificate."""
    base.mkdir(parents=True, exist_ok=True)
    with serving() as kubelet:
        found = Cluster(base, made, kubelet)
        with found.listing():
            yield found
