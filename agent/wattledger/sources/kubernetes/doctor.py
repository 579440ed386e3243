"""What of a Kubernetes node can be known here: allotments, names from the logs, names from the kubelet's list."""

import os
from collections.abc import Iterator

from wattledger.core.model import Finding
from wattledger.core.ports import Host, SourceFailed, SourceGone
from wattledger.sources.kubernetes.logs import read_logs
from wattledger.sources.kubernetes.podresources import INSTALL, lister
from wattledger.sources.kubernetes.pods import PodList
from wattledger.sources.kubernetes.source import NAME, open_node

MOUNT = "run as root; in a pod, mount the node's folder {}"


def findings(host: Host) -> Iterator[Finding]:
    try:
        open_node(host).close()
    except SourceGone as gone:
        yield Finding(NAME, "pods", "absent", str(gone))
        return
    yield _of_socket(str(host.options.get("podresources", "")))
    yield _of_logs(str(host.options.get("logs", "")))
    if host.options.get("pods_url"):
        yield _of_list(PodList(host))


def _of_socket(socket: str) -> Finding:
    sensor = "PodResources"
    folder = os.path.dirname(socket)
    if not os.path.exists(socket):
        why = f"{socket or 'podresources'} is not there: GPUs of pods are not known"
        return Finding(NAME, sensor, "absent", why, MOUNT.format(folder) if folder else "")
    try:
        given = lister(socket)()
    except SourceGone as gone:
        return Finding(NAME, sensor, "absent", str(gone), INSTALL)
    except SourceFailed as failure:
        denied = not os.access(socket, os.R_OK | os.W_OK)
        return Finding(NAME, sensor, "denied" if denied else "broken", str(failure), MOUNT.format(folder) if denied else "")
    return Finding(NAME, sensor, "usable", f"{socket}: {len(given)} containers were allotted devices or CPUs")


def _of_logs(logs: str) -> Finding:
    sensor = "log folders"
    try:
        pods, containers = read_logs(logs)
    except SourceFailed as failure:
        return Finding(NAME, sensor, "denied", str(failure), MOUNT.format(logs))
    if not pods:
        return Finding(NAME, sensor, "absent", f"{logs}/pods names no pod", MOUNT.format(logs))
    return Finding(NAME, sensor, "usable", f"{logs}: {len(pods)} pods and {len(containers)} containers named")


def _of_list(pod_list: PodList) -> Finding:
    sensor = "kubelet's pod list"
    try:
        pods, containers = pod_list.read()
    except SourceFailed as failure:
        remedy = "give the service account the right to get nodes/proxy, or set token_file and ca_file"
        return Finding(NAME, sensor, "broken", str(failure), remedy)
    return Finding(NAME, sensor, "usable", f"{pod_list.url}: {len(pods)} pods and {len(containers)} containers named")
