"""Names from the kubelet's log folders: no network, and no right but to read a folder.

``{logs}/pods/<namespace>_<pod>_<uid>/<container>/<attempt>.log``, and links to those files in ``{logs}/containers`` named
``<pod>_<namespace>_<container>-<id>.log`` (kubernetes/pkg/kubelet/kuberuntime: legacy logs).  Namespaces and pods have no ``_``.
"""

import os
import re
from collections.abc import Iterator

from wattledger.core.ports import SourceFailed
from wattledger.sources.kubernetes.names import Container, Pod

_POD = re.compile(r"([^_]+)_([^_]+)_([0-9a-f-]+)")
_LINK = re.compile(r"([^_]+)_([^_]+)_([^_]+)-([0-9a-f]{64})\.log")
_TARGET = re.compile(r"/[^_/]+_[^_/]+_([0-9a-f-]+)/[^/]+/([0-9]{1,9})\.log$")

Listed = tuple[list[Pod], list[Container]]


def read_logs(logs: str) -> Listed:
    """Pods (the newest last) and containers; both empty where there is no such folder."""
    try:
        pods = [pod for _, pod in sorted(_pods(f"{logs}/pods"))]
        uids = {(pod.namespace, pod.name): pod.uid for pod in pods}
        return pods, list(_containers(f"{logs}/containers", uids))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise SourceFailed(f"kubernetes: cannot list {error.filename or logs}: {error.strerror}; make it readable") from None


def changed_ns(logs: str) -> int:
    """When a container was last added or removed; 0 where that cannot be known."""
    try:
        return os.stat(f"{logs}/containers").st_mtime_ns
    except OSError:
        return 0


def _pods(folder: str) -> Iterator[tuple[int, Pod]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if match := _POD.fullmatch(entry.name):
                namespace, name, uid = match.groups()
                try:
                    yield entry.stat().st_mtime_ns, Pod(uid, namespace, name, job=name)
                except FileNotFoundError:  # removed while we look
                    continue


def _containers(folder: str, uids: dict[tuple[str, str], str]) -> Iterator[Container]:
    for link in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if match := _LINK.fullmatch(link):
            pod, namespace, name, id_ = match.groups()
            uid, attempt = _target(f"{folder}/{link}")
            if uid := uid or uids.get((namespace, pod), ""):
                yield Container(id_, uid, name, attempt)


def _target(link: str) -> tuple[str, int]:
    """The pod's uid and the attempt, which the link's target names; the target itself need not be visible here."""
    try:
        target = os.readlink(link)
    except OSError:
        return "", 0
    match = _TARGET.search(target)
    return (match[1], int(match[2])) if match else ("", 0)
