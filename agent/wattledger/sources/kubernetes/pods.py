"""The kubelet's own list of its pods (``/pods``): names, labels, containers' ids, and the CPUs they asked for.

Fields: kubernetes.io/docs, Kubernetes API, PodList v1.  It takes the right ``get`` on ``nodes/proxy`` (or ``nodes/pods``).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wattledger.core.ports import Fetch, Host, Request, SourceFailed
from wattledger.sources.kubernetes.logs import Listed
from wattledger.sources.kubernetes.names import Container, Pod, said_name

MOST_BYTES = 64_000_000
MOST_CORES = 100_000  # of a container; JSON's numbers may be infinite, or none
MOST_ATTEMPTS = 1 << 31
JOB_LABELS = ("batch.kubernetes.io/job-name", "job-name")
SAID_JOB, SAID_MODEL = "wattledger.io/job", "wattledger.io/model"
STATIC_UID = "kubernetes.io/config.hash"  # a static pod's control groups carry this, whatever uid its mirror has
STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")

# Suffixes of quantities (Kubernetes API conventions, resource quantities), as far as CPUs are counted in them.
_SCALE = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)((?:[eE][+-]?[0-9]{1,2})?)([num]?|k)")
_CONTAINER_ID = re.compile(r"[a-z0-9-]+://([0-9a-f]{64})")


class PodList:
    """State: the last reply and what it said, because it seldom changes and is dear to take apart."""

    def __init__(self, host: Host) -> None:
        self.url = str(host.options.get("pods_url", ""))
        self._fetch: Fetch = host.fetch
        self._token_file = str(host.options.get("token_file", ""))
        ca_file = str(host.options.get("ca_file", ""))
        self._verify: bool | str = ca_file or True
        if not host.options.get("verify", True):
            self._verify = False
        self._body = b""
        self._listed: Listed = ([], [])

    def read(self) -> Listed:
        """Pods and containers; ``SourceFailed`` says what went wrong, without the token."""
        body = self._fetch(Request(self.url, self._headers(), verify=self._verify, limit_bytes=MOST_BYTES))
        if body != self._body:
            self._listed = parse(self.url, body)
            self._body = body
        return self._listed

    def _headers(self) -> Mapping[str, str]:
        """The token is read each time, because it is renewed; it is never sent in the clear."""
        if not self._token_file or not self.url.startswith("https://"):
            return {}
        try:
            with open(self._token_file, encoding="ascii") as file:
                words = file.read(65_536).split()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a token"
            raise SourceFailed(f"kubernetes: cannot read token_file {self._token_file}: {why}") from None
        return {"Authorization": f"Bearer {words[0]}"} if words else {}


def parse(url: str, body: bytes) -> Listed:
    """A PodList's pods and containers."""
    try:
        items = json.loads(body)["items"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SourceFailed(f"kubernetes: {url}: the reply is not a list of pods") from None
    pods: list[Pod] = []
    containers: list[Container] = []
    for item in map(_mapping, _items(items)):
        pod = _pod(item)
        if pod is not None:
            pods.append(pod)
            containers += _containers(item, pod.uid)
    return pods, containers


def _pod(item: Mapping[str, Any]) -> Pod | None:
    meta = _mapping(item.get("metadata"))
    labels, notes = _mapping(meta.get("labels")), _mapping(meta.get("annotations"))
    uid, name, namespace = (str(meta.get(key) or "") for key in ("uid", "name", "namespace"))
    uid = str(notes.get(STATIC_UID) or uid)
    if not (uid and name and namespace):
        return None
    owners = (owner for owner in map(_mapping, _items(meta.get("ownerReferences"))) if owner.get("kind") == "Job")
    run = next((f"k8s-{owner['uid']}" for owner in owners if owner.get("uid")), "")
    words = [notes.get(SAID_JOB), labels.get(SAID_JOB), *(labels.get(key) for key in JOB_LABELS)]
    job = next((said for word in words if (said := said_name(word))), name)
    model = said_name(notes.get(SAID_MODEL)) or said_name(labels.get(SAID_MODEL)) or None
    ended = _mapping(item.get("status")).get("phase") in ("Succeeded", "Failed")
    return Pod(uid, namespace, name, job, model, run, ended)


def _containers(item: Mapping[str, Any], uid: str) -> Iterator[Container]:
    spec, status = _mapping(item.get("spec")), _mapping(item.get("status"))
    asked: dict[str, Any] = {}
    for key in ("initContainers", "containers"):
        for one in map(_mapping, _items(spec.get(key))):
            asked[str(one.get("name"))] = _mapping(_mapping(one.get("resources")).get("requests")).get("cpu")
    for one in (_mapping(one) for key in STATUSES for one in _items(status.get(key))):
        if match := _CONTAINER_ID.fullmatch(str(one.get("containerID") or "")):
            name = str(one.get("name") or "")
            # A pod resized in place is allotted what its status says, not yet what its specification asks for.
            wanted = _mapping(one.get("allocatedResources")).get("cpu", asked.get(name))
            attempt = one.get("restartCount")
            running = "running" in _mapping(one.get("state"))
            if not isinstance(attempt, int) or not 0 <= attempt < MOST_ATTEMPTS:
                attempt = 0
            yield Container(match[1], uid, name, attempt, cores(wanted) if running else 0.0)


def cores(quantity: object) -> float:
    """``500m``, ``2``, ``0.5``, ``1e3m``, or a number; 0 (nothing is reserved) where nothing, or nonsense, was asked for."""
    found: int | float = 0
    if isinstance(quantity, int | float):
        found = quantity
    elif match := _QUANTITY.fullmatch(quantity.strip()) if isinstance(quantity, str) else None:
        found = float(match[1] + match[2]) * _SCALE[match[3]]
    return float(found) if 0 < found <= MOST_CORES else 0.0


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _items(found: object) -> list[Any]:
    return found if isinstance(found, list) else []
