"""As much of a Kubernetes API server as Helm needs to install a chart: it lists kinds, knows no object, and takes what it is sent.

Helm asks it which kinds there are (a chart may hold no other), whether each object exists, and creates them; what it
rendered it then tells itself.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Group and version to (kind, plural, whether it is in a namespace): what a chart of ours may hold.
KINDS: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "v1": (
        ("ConfigMap", "configmaps", True), ("Secret", "secrets", True), ("Service", "services", True),
        ("ServiceAccount", "serviceaccounts", True), ("Namespace", "namespaces", False), ("Pod", "pods", True),
    ),
    "apps/v1": (("DaemonSet", "daemonsets", True),),
    "rbac.authorization.k8s.io/v1": (
        ("ClusterRole", "clusterroles", False), ("ClusterRoleBinding", "clusterrolebindings", False),
    ),
    "networking.k8s.io/v1": (("NetworkPolicy", "networkpolicies", True),),
    "monitoring.coreos.com/v1": (
        ("ServiceMonitor", "servicemonitors", True), ("PodMonitor", "podmonitors", True),
        ("PrometheusRule", "prometheusrules", True),
    ),
}  # fmt: skip

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: fake
clusters: [{{name: fake, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: fake, user: {{}}}}]
contexts: [{{name: fake, context: {{cluster: fake, user: fake, namespace: monitoring}}}}]
"""


class Api(ThreadingHTTPServer):
    """State: none but its connections; every object that is asked for is not there, so a release can be installed again."""

    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    """One request of Helm's."""

    protocol_version = "HTTP/1.0"  # a connection for each request: none is left open at the end

    def log_message(self, *args: object) -> None:
        """Nothing on the tests' standard error."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        found = discovered(path)
        if found is None and path.rpartition("/")[2] in PLURALS:
            found = {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []}
        self._say(found if found is not None else MISSING, 404 if found is None else 200)

    def do_POST(self) -> None:
        self._echo()

    def do_PUT(self) -> None:
        self._echo()

    def do_PATCH(self) -> None:
        self._echo()

    def do_DELETE(self) -> None:
        self._body()
        self._say({"kind": "Status", "apiVersion": "v1", "status": "Success"}, 200)

    def _echo(self) -> None:
        """Taken as it was sent, in the form in which it was sent: Helm sends its Secrets as protobuf."""
        body = self._body()
        self._answer(body, self.headers.get("Content-Type", "application/json"), 201 if self.command == "POST" else 200)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _say(self, what: Any, status: int) -> None:
        self._answer(json.dumps(what).encode(), "application/json", status)

    def _answer(self, body: bytes, content_type: str, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


MISSING = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"}
PLURALS = frozenset(plural for kinds in KINDS.values() for _, plural, _ in kinds)
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discovered(path: str) -> dict[str, Any] | None:
    """What the API says of itself (kubernetes.io/docs, API discovery, the unaggregated form)."""
    if path == "/version":
        return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [version.split("/") for version in KINDS if "/" in version]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group, version) for group, version in groups]}
    kinds = KINDS.get(path.removeprefix("/api/").removeprefix("/apis/"))
    if kinds is None or not path.startswith(("/api/", "/apis/")):
        return None
    resources = [
        {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": inside, "verbs": VERBS}
        for kind, plural, inside in kinds
    ]
    version = path.removeprefix("/api/").removeprefix("/apis/")
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}


def _group(group: str, version: str) -> dict[str, Any]:
    preferred = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [preferred], "preferredVersion": preferred}


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The server on a port of its own; gives the kubeconfig that leads to it."""
    with Api(("127.0.0.1", 0), Handler) as api:
        thread = threading.Thread(target=api.serve_forever, args=(0.05,), name="kube-api", daemon=True)
        thread.start()
        try:
            yield KUBECONFIG.format(port=api.server_address[1])
        finally:
            api.shutdown()
            thread.join()
